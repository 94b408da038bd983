//! Mini-batch steps by candle's operations, gradients and optimizer.

use candle_core::Tensor;
use candle_nn::Optimizer;
use emma_energy::optimization::mini_batches;
use emma_energy::transfer::scalar;
use emma_energy::{Adam, AdamState, SeededVarMap};

use super::config::TrainingConfig;
use super::rows::OrderedRows;
use crate::batch::Batch;
use crate::error::Result;
use crate::model::MultiModalModel;

/// Steps of any model, on any device: the reference for the fused ones.
pub(super) struct CandleSteps {
    optimizer: Adam,
}

impl CandleSteps {
    pub(super) fn new(variables: &SeededVarMap, config: &TrainingConfig) -> Result<Self> {
        Ok(Self {
            optimizer: Adam::new(variables, config.learning_rate)?,
        })
    }

    /// Goes on with what an earlier optimizer remembered.
    pub(super) fn resume(
        variables: &SeededVarMap,
        config: &TrainingConfig,
        memory: &AdamState,
    ) -> Result<Self> {
        Ok(Self {
            optimizer: Adam::resume(variables, config.learning_rate, memory)?,
        })
    }

    pub(super) fn memory(&self) -> AdamState {
        self.optimizer.state()
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
            let loss = training_loss(model, &batch, config)?;
            self.optimizer.backward_step(&loss)?;
            model.project()?;
            total += scalar(&loss)? * length as f64;
        }
        Ok(total / ordered.n_rows() as f64)
    }
}

/// What a step makes less.
fn training_loss(
    model: &(impl MultiModalModel + ?Sized),
    batch: &Batch,
    config: &TrainingConfig,
) -> Result<Tensor> {
    if let Some(own) = model.training_loss(batch, config)? {
        return Ok(own);
    }
    let output = model.forward(batch.modes(), batch.potentials())?;
    let task = config.task_loss(&output.logits, batch.labels())?;
    Ok(match model.penalty(&output, batch.corruption_sign())? {
        Some(penalty) => (task + penalty)?,
        None => task,
    })
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
    Ok(scalar(&config.task_loss(&logits, rows.labels())?)?)
}
