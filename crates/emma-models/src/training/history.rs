//! What happened in training.

use serde::{Deserialize, Serialize};

/// Losses of one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpochLosses {
    /// One-based epoch.
    pub epoch: usize,
    /// Mean loss of the epoch's steps, with the model's penalty.
    pub training: f64,
    /// Loss on the validation rows after the epoch, without the penalty.
    pub validation: f64,
}

/// What happened in training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingHistory {
    /// All epochs that ran.
    pub epochs: Vec<EpochLosses>,
    /// One-based epoch of the lowest validation loss, whose parameters were kept.
    pub best_epoch: usize,
}

impl TrainingHistory {
    /// Validation loss of the best epoch; infinite if none ran.
    pub fn best_validation_loss(&self) -> f64 {
        self.best_epoch
            .checked_sub(1)
            .and_then(|index| self.epochs.get(index))
            .map_or(f64::INFINITY, |losses| losses.validation)
    }
}
