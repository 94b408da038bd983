//! What one seed's learners scored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::hyper::Hyper;
use super::learner::Learner;
use super::regime::Regime;

/// A learner after one regime.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LearnerOutcome {
    pub(crate) regime: Regime,
    pub(crate) learner: Learner,
    pub(crate) hyper: Hyper,
    pub(crate) threshold: f64,
    pub(crate) n_parameters: usize,
    pub(crate) validation_loss: f64,
    /// Mean over the validation copies, at the threshold.
    pub(crate) validation_f1: f64,
    /// F1 on test rows by condition; empty where only validation rows were looked at.
    pub(crate) f1: BTreeMap<String, f64>,
}

/// All learners of one seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SeedOutcome {
    pub(crate) seed: u64,
    pub(crate) split_sha256: String,
    pub(crate) learners: Vec<LearnerOutcome>,
}
