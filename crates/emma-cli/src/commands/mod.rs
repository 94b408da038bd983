//! One module a subcommand.

pub(crate) mod compare;
pub(crate) mod data;
pub(crate) mod experiment1;
pub(crate) mod experiment2;
pub(crate) mod experiment3;
pub(crate) mod inspect;
pub(crate) mod merge;
pub(crate) mod score;
pub(crate) mod simulate;
