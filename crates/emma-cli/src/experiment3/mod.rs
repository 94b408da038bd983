//! The thesis's experiment 3: six models over seeds, scored on clean and on noisy test rows.
//!
//! Settings → one outcome a seed (data, training, selection, evaluation) and a close look at its EMMA →
//! results → table, figures, page.

pub(crate) mod close_look;
pub(crate) mod comparisons;
pub(crate) mod conditions;
pub(crate) mod data;
pub(crate) mod figures;
mod findings;
pub(crate) mod grid;
pub(crate) mod models;
pub(crate) mod oracle;
pub(crate) mod outcome;
pub(crate) mod page;
mod published;
mod refusal;
pub(crate) mod report;
pub(crate) mod results;
pub(crate) mod robustness;
pub(crate) mod seed;
pub(crate) mod settings;
pub(crate) mod shard;
pub(crate) mod unscored;
