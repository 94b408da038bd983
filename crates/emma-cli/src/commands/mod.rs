//! One module a subcommand.

pub(crate) mod arena;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod corrupt;
pub(crate) mod coupling;
pub(crate) mod coupling_study;
pub(crate) mod data;
pub(crate) mod describe;
pub(crate) mod evaluate;
pub(crate) mod experiment1;
pub(crate) mod experiment2;
pub(crate) mod experiment3;
pub(crate) mod export;
pub(crate) mod init;
pub(crate) mod inspect;
pub(crate) mod man;
pub(crate) mod manifold;
pub(crate) mod merge;
pub(crate) mod monitor;
pub(crate) mod score;
pub(crate) mod simulate;
pub(crate) mod train;
pub(crate) mod transform;
