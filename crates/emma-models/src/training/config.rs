//! How a model is trained.

use serde::{Deserialize, Serialize};

use super::loss::Loss;
use crate::error::{Error, Result};

/// How a model is trained.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingConfig {
    /// Passes over the training rows, at most. Default 35; at least 1.
    pub n_epochs: usize,
    /// Rows a step. Default 32; at least 1.
    pub batch_size: usize,
    /// Adam's step size. Default 1e-3; positive.
    pub learning_rate: f64,
    /// Weight of the positive class in the loss. Default 1 (none); positive.
    pub positive_weight: f64,
    /// Epochs without a better validation loss before training stops. Default none: all epochs
    /// run, and the best one's parameters are kept all the same.
    pub patience: Option<usize>,
    /// What is minimized. Default the binary cross-entropy, the one that fused steps know.
    #[serde(skip_serializing_if = "Loss::is_default")]
    pub loss: Loss,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            n_epochs: 35,
            batch_size: 32,
            learning_rate: 1e-3,
            positive_weight: 1.,
            patience: None,
            loss: Loss::default(),
        }
    }
}

impl TrainingConfig {
    pub(super) fn validate(&self) -> Result<()> {
        let check = |valid: bool, name, expected, found: f64| {
            if valid {
                return Ok(());
            }
            Err(Error::InvalidSetting {
                name,
                expected,
                found: found.to_string(),
            })
        };
        let positive = |value: f64| value.is_finite() && value > 0.;
        check(self.n_epochs > 0, "n_epochs", "at least 1", 0.)?;
        check(self.batch_size > 0, "batch_size", "at least 1", 0.)?;
        check(
            positive(self.learning_rate),
            "learning_rate",
            "positive and finite",
            self.learning_rate,
        )?;
        check(
            positive(self.positive_weight),
            "positive_weight",
            "positive and finite",
            self.positive_weight,
        )
    }
}
