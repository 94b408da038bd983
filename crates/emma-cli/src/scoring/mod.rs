//! `emma score`: rows in, scores out, in order, in bounded memory, with nothing lost on the way.
//!
//! [`input`] gives chunks of rows; [`scorer`] makes columns of each, laid out by [`layout`], with sentences by
//! [`sentence`], and puts rows that cannot be scored among the [`rejects`]; [`output`] writes them, after [`ranking`]
//! if only the best are wanted. `emma transform` writes what [`transform`] lays out, the same way. [`delivery`] is what both have in common, [`pipeline`] lets all
//! three go on at once.

pub(crate) mod delivery;
pub(crate) mod input;
pub(crate) mod layout;
pub(crate) mod output;
pub(crate) mod pipeline;
pub(crate) mod ranking;
pub(crate) mod rejects;
pub(crate) mod scorer;
pub(crate) mod sentence;
pub(crate) mod transform;
