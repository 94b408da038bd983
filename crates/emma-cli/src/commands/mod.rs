//! One module a subcommand.

pub(crate) mod experiment3;
pub(crate) mod score;
