//! Mini-batch steps by candle's operations, gradients and optimizer.

use candle_nn::Optimizer;
use emma_energy::SeededVarMap;
use emma_energy::optimization::{adam, mini_batches};
use emma_energy::transfer::scalar;

use super::config::TrainingConfig;
use super::loss::binary_cross_entropy;
use super::rows::OrderedRows;
use crate::batch::Batch;
use crate::error::Result;
use crate::model::MultiModalModel;

/// Steps of any model, on any device: the reference for the fused ones.
pub(super) struct CandleSteps {
    optimizer: candle_nn::AdamW,
}

impl CandleSteps {
    pub(super) fn new(variables: &SeededVarMap, config: &TrainingConfig) -> Result<Self> {
        Ok(Self {
            optimizer: adam(variables.all_vars(), config.learning_rate)?,
        })
    }

    /// One pass over the rows; returns the mean loss.
    pub(super) fn epoch(
        &mut self,
        model: &(impl MultiModalModel + ?Sized),
        rows: &OrderedRows,
        config: &TrainingConfig,
    ) -> Result<f64> {
        // One gather an epoch: the mini-batches are then views.
        let ordered = rows.batch().select(&rows.order()?)?;
        let mut total = 0.;
        for (start, length) in mini_batches(ordered.n_rows(), config.batch_size) {
            let batch = ordered.narrow(start, length)?;
            let output = model.forward(batch.modes(), batch.potentials())?;
            let task =
                binary_cross_entropy(&output.logits, batch.labels(), config.positive_weight)?;
            let loss = match model.penalty(&output, batch.corruption_sign())? {
                Some(penalty) => (task + penalty)?,
                None => task,
            };
            self.optimizer.backward_step(&loss)?;
            model.project()?;
            total += scalar(&loss)? * length as f64;
        }
        Ok(total / ordered.n_rows() as f64)
    }
}

/// Mean loss of the rows, without penalties.
pub(super) fn task_loss(
    model: &(impl MultiModalModel + ?Sized),
    rows: &Batch,
    config: &TrainingConfig,
) -> Result<f64> {
    let output = model.forward(rows.modes(), rows.potentials())?;
    // A loss to look at, not to differentiate: the graph is dropped at once.
    let logits = output.logits.detach();
    let loss = binary_cross_entropy(&logits, rows.labels(), config.positive_weight)?;
    Ok(scalar(&loss)?)
}
