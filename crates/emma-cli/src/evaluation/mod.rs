//! `emma evaluate`: measures of a model on labelled rows, clean or corrupted.
//!
//! [`rows`] reads and corrupts the table, [`measured`] takes measures and their intervals, [`curve`] follows one
//! measure over the levels of a corruption, [`answered`] counts the rows of a model that may abstain.

pub(crate) mod answered;
pub(crate) mod curve;
pub(crate) mod measured;
pub(crate) mod rows;
