//! One model's way through training.

use std::collections::BTreeMap;

use candle_core::Tensor;
use emma_energy::{Adam, AdamState, SeededVarMap};

use super::by_candle::{self, CandleSteps};
use super::config::TrainingConfig;
use super::fused::FusedSteps;
use super::history::{EpochLosses, TrainingHistory};
use super::rows::OrderedRows;
use super::state::TrainingState;
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
    /// Of an earlier session, until the steps are chosen.
    memory: Option<AdamState>,
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
            memory: None,
        }
    }

    /// Goes on after the epochs of an earlier run.
    pub(super) fn take_up(&mut self, state: TrainingState) -> Result<()> {
        let n_epochs = state.history.epochs.len();
        if state.history.best_epoch > n_epochs {
            return Err(Error::InvalidSetting {
                name: "best epoch of a training state",
                expected: "one of its epochs",
                found: format!("{} of {n_epochs}", state.history.best_epoch),
            });
        }
        // The best parameters first: whether they fit shows now, not at the end.
        self.variables.restore(&state.best_parameters)?;
        if state.optimizer.n_steps > 0 {
            Adam::resume(self.variables, 1., &state.optimizer)?;
        }
        self.variables.restore(&state.parameters)?;
        self.best_loss = state.history.best_validation_loss();
        self.history = state.history;
        self.best_parameters = Some(state.best_parameters);
        // An optimizer that has not taken a step has nothing to remember.
        self.memory = Some(state.optimizer).filter(|memory| memory.n_steps > 0);
        Ok(())
    }

    /// Everything that [`take_up`](Self::take_up) needs.
    pub(super) fn state(&self) -> Result<TrainingState> {
        let parameters = self.variables.snapshot()?;
        Ok(TrainingState {
            history: self.history.clone(),
            best_parameters: match &self.best_parameters {
                Some(best) => best.clone(),
                None => parameters.clone(),
            },
            parameters,
            optimizer: match (&self.steps, &self.memory) {
                (Some(Steps::Fused(steps)), _) => steps.memory()?,
                (Some(Steps::Candle(steps)), _) => steps.memory(),
                (None, Some(memory)) => memory.clone(),
                (None, None) => AdamState::default(),
            },
        })
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

    fn choose_steps(&mut self, batch: &Batch, config: &TrainingConfig) -> Result<Steps> {
        let fused = match self.model.standard_form() {
            Some(form) => FusedSteps::take_over(&form, self.variables, batch, config)?,
            None => None,
        };
        let memory = self.memory.take();
        Ok(match (fused, memory) {
            (Some(mut steps), memory) => {
                if let Some(memory) = memory {
                    steps.remember(&memory)?;
                }
                Steps::Fused(Box::new(steps))
            }
            (None, Some(memory)) => {
                Steps::Candle(CandleSteps::resume(self.variables, config, &memory)?)
            }
            (None, None) => Steps::Candle(CandleSteps::new(self.variables, config)?),
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
