//! What one seed found; written beside its models, so that an interrupted run can go on.

use std::collections::BTreeMap;

use emma_models::{ClassificationMetrics, TrainingHistory};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// All models of one seed, by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SeedOutcome {
    pub(crate) seed: u64,
    pub(crate) models: BTreeMap<String, ModelOutcome>,
}

/// One model of one seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ModelOutcome {
    /// Every measure of the test rows, by condition.
    pub(crate) test: BTreeMap<String, ClassificationMetrics>,
    /// F1 on the validation rows that the threshold was chosen on.
    pub(crate) validation_f1: f64,
    pub(crate) threshold: f64,
    /// What was chosen by validation.
    pub(crate) hyperparameters: Map<String, Value>,
    /// First values that were tried: more than one if the first could not learn (see `seed`).
    pub(crate) starts: usize,
    pub(crate) history: TrainingHistory,
    /// Seconds of training, selection included.
    pub(crate) training_seconds: f64,
}
