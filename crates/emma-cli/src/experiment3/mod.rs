//! The thesis's experiment 3: six models over seeds, scored on test rows in 32 conditions.
//!
//! Settings → one outcome a seed (data, training, selection, evaluation) → results → tables, figures, report.
//! Trained models wait in files (`unscored`), so that a run can be stopped or shared out (`shard`).

pub(crate) mod as_published;
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
