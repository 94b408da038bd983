//! What one seed found; written beside its models, so that an interrupted run can go on.

use std::collections::BTreeMap;

use emma_models::{ClassificationMetrics, ThresholdRule, TrainingHistory};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// All models of one seed, by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SeedOutcome {
    pub(crate) seed: u64,
    /// Digest of `split.json`: which rows it was.
    pub(crate) split_sha256: String,
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
    /// The same model with the threshold of either rule.
    pub(crate) threshold_rules: ByRule<RuleOutcome>,
    /// What was chosen by validation.
    pub(crate) hyperparameters: Map<String, Value>,
    /// All that it was chosen from, in the order of the grid; only `with` has it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) grid: Vec<CandidateOutcome>,
    /// EMMA without regularizers at many values of the coldness, in order; only `with` has it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) coldness_sweep: Vec<SweepOutcome>,
    /// First values that were tried: more than one if the first could not learn (see `seed`).
    pub(crate) starts: usize,
    pub(crate) history: TrainingHistory,
    /// Seconds of training, selection included.
    pub(crate) training_seconds: f64,
}

/// One combination of hyper-parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CandidateOutcome {
    #[serde(flatten)]
    pub(crate) hyperparameters: Map<String, Value>,
    pub(crate) validation_f1: f64,
}

/// EMMA without regularizers at one value of the coldness.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct SweepOutcome {
    pub(crate) coldness: f64,
    pub(crate) validation_f1: f64,
    /// What the attention function, rectified, integrates to over all importances.
    pub(crate) rectified_capacity: f64,
}

/// One thing for each rule of choosing thresholds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct ByRule<T> {
    pub(crate) max_f1: T,
    pub(crate) roc_corner: T,
}

impl<T> ByRule<T> {
    /// Makes it, rule by rule.
    pub(crate) fn of<E>(mut make: impl FnMut(ThresholdRule) -> Result<T, E>) -> Result<Self, E> {
        Ok(Self {
            max_f1: make(ThresholdRule::MaxF1)?,
            roc_corner: make(ThresholdRule::RocCorner)?,
        })
    }

    /// Something else of each.
    pub(crate) fn map<U>(self, make: impl Fn(T) -> U) -> ByRule<U> {
        ByRule {
            max_f1: make(self.max_f1),
            roc_corner: make(self.roc_corner),
        }
    }

    /// That of one rule, if it is one of the two that are compared.
    pub(crate) fn get(&self, rule: ThresholdRule) -> Option<&T> {
        match rule {
            ThresholdRule::MaxF1 => Some(&self.max_f1),
            ThresholdRule::RocCorner => Some(&self.roc_corner),
            _ => None,
        }
    }
}

/// A model with the threshold of one rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RuleOutcome {
    pub(crate) threshold: f64,
    /// F1 of the test rows, by condition.
    pub(crate) f1: BTreeMap<String, f64>,
}
