//! One model's way through training.

use std::collections::BTreeMap;

use candle_core::Tensor;
use emma_energy::SeededVarMap;

use super::by_candle::{self, CandleSteps};
use super::config::TrainingConfig;
use super::fused::FusedSteps;
use super::history::{EpochLosses, TrainingHistory};
use super::rows::OrderedRows;
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::model::MultiModalModel;

/// A model in training, and the best of what it has been.
pub(super) struct Run<'a, M: ?Sized> {
    model: &'a M,
    variables: &'a SeededVarMap,
    /// Chosen when the first rows are seen.
    steps: Option<Steps>,
    history: TrainingHistory,
    best_loss: f64,
    best_parameters: Option<BTreeMap<String, Tensor>>,
}

enum Steps {
    Fused(Box<FusedSteps>),
    Candle(CandleSteps),
}

impl<'a, M: MultiModalModel + ?Sized> Run<'a, M> {
    pub(super) fn new(model: &'a M, variables: &'a SeededVarMap) -> Self {
        Self {
            model,
            variables,
            steps: None,
            history: TrainingHistory {
                epochs: Vec::new(),
                best_epoch: 0,
            },
            best_loss: f64::INFINITY,
            best_parameters: None,
        }
    }

    /// Whether patience is at its end.
    pub(super) fn is_over(&self, config: &TrainingConfig) -> bool {
        let without_gain = self.history.epochs.len() - self.history.best_epoch;
        config
            .patience
            .is_some_and(|patience| without_gain >= patience.max(1))
    }

    /// One pass over the training rows, then the loss on validation rows.
    pub(super) fn epoch(
        &mut self,
        rows: &OrderedRows,
        validation: &OrderedRows,
        config: &TrainingConfig,
        epoch: usize,
    ) -> Result<EpochLosses> {
        if self.best_parameters.is_none() {
            self.best_parameters = Some(self.variables.snapshot()?);
        }
        let training = self.train_epoch(rows, config, epoch)?;
        let validation = self.validation_loss(validation, config)?;
        let losses = EpochLosses {
            epoch,
            training,
            validation: finite("validation", epoch, validation)?,
        };
        self.history.epochs.push(losses);
        if losses.validation < self.best_loss {
            self.history.best_epoch = epoch;
            self.best_loss = losses.validation;
            self.best_parameters = Some(self.variables.snapshot()?);
        }
        Ok(losses)
    }

    /// One pass over the rows; returns the mean loss.
    pub(super) fn train_epoch(
        &mut self,
        rows: &OrderedRows,
        config: &TrainingConfig,
        epoch: usize,
    ) -> Result<f64> {
        let mut steps = match self.steps.take() {
            Some(steps) => steps,
            None => self.choose_steps(rows.batch(), config)?,
        };
        let loss = match (&mut steps, self.model.standard_form()) {
            (Steps::Fused(steps), Some(form)) => steps.epoch(&form, rows, config, epoch)?,
            (Steps::Candle(steps), _) => steps.epoch(self.model, rows, config)?,
            (Steps::Fused(_), None) => return Err(lost_form(epoch)),
        };
        self.steps = Some(steps);
        finite("training", epoch, loss)
    }

    fn choose_steps(&self, batch: &Batch, config: &TrainingConfig) -> Result<Steps> {
        let fused = match self.model.standard_form() {
            Some(form) => FusedSteps::take_over(&form, self.variables, batch, config)?,
            None => None,
        };
        Ok(match fused {
            Some(steps) => Steps::Fused(Box::new(steps)),
            None => Steps::Candle(CandleSteps::new(self.variables, config)?),
        })
    }

    fn validation_loss(&mut self, rows: &OrderedRows, config: &TrainingConfig) -> Result<f64> {
        if let (Some(Steps::Fused(steps)), Some(form)) =
            (&mut self.steps, self.model.standard_form())
            && let Some(loss) = steps.task_loss(&form, rows, config)?
        {
            return Ok(loss);
        }
        by_candle::task_loss(self.model, rows.batch(), config)
    }

    /// Goes back to the best epoch.
    pub(super) fn finish(self) -> Result<TrainingHistory> {
        if let Some(best) = &self.best_parameters {
            self.variables.restore(best)?;
        }
        Ok(self.history)
    }
}

fn lost_form(epoch: usize) -> Error {
    Error::Rows {
        epoch,
        source: "the model no longer has the standard form that it had in the first epoch".into(),
    }
}

fn finite(which: &'static str, epoch: usize, value: f64) -> Result<f64> {
    if value.is_finite() {
        return Ok(value);
    }
    Err(Error::Diverged {
        which,
        epoch,
        value,
    })
}
