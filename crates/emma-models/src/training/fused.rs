//! Mini-batch steps without candle's graph.

use std::sync::Arc;

use candle_core::TensorId;
use emma_attention::PotentialEnergies;
use emma_energy::{AdamState, EnergyEstimator, PackedVariables, SeededVarMap};
use emma_kernels::{Batches, Memory, StageTwo, StageTwoConfig};

use super::config::TrainingConfig;
use super::rows::OrderedRows;
use super::standard_form::{StandardForm, StandardGate, is_plain};
use crate::batch::Batch;
use crate::error::{Error, Result};

/// A model in training by fused steps, whose variables follow after every epoch.
pub(super) struct FusedSteps {
    config: StageTwoConfig,
    variables: PackedVariables,
    model: StageTwo,
    training_potentials: Potentials,
    validation_potentials: Potentials,
}

impl FusedSteps {
    /// Takes over the model, if it can: in f32 on the CPU, in a standard form, all of its parameters
    /// variables, its estimators (if they are asked) not, a mini-batch no more than all rows.
    pub(super) fn take_over(
        form: &StandardForm<'_>,
        variables: &SeededVarMap,
        batch: &Batch,
        config: &TrainingConfig,
    ) -> Result<Option<Self>> {
        let Some(variables) = PackedVariables::find(variables, &form.parameters()) else {
            return Ok(None);
        };
        // Room is taken for whole mini-batches.
        if config.batch_size > batch.n_rows() {
            return Ok(None);
        }
        let Some(config) = form.config(batch, config)? else {
            return Ok(None);
        };
        let mut training_potentials = Potentials::default();
        if let Some(estimators) = estimators_to_ask(form, batch) {
            let potentials = training_potentials.of(estimators, batch)?.as_tensor();
            // Energies that training changes are candle's to differentiate.
            if potentials.track_op() || !is_plain(potentials) {
                return Ok(None);
            }
        }
        Ok(Some(Self {
            model: StageTwo::new(config.clone(), &variables.read()?),
            config,
            variables,
            training_potentials,
            validation_potentials: Potentials::default(),
        }))
    }

    /// What the optimizer remembers.
    pub(super) fn memory(&self) -> Result<AdamState> {
        let memory = self.model.memory();
        Ok(AdamState {
            n_steps: memory.n_steps,
            mean: self.variables.to_named(&memory.mean)?,
            mean_square: self.variables.to_named(&memory.mean_square)?,
        })
    }

    /// Goes on with what an earlier optimizer remembered.
    pub(super) fn remember(&mut self, memory: &AdamState) -> Result<()> {
        self.model.remember(&Memory {
            n_steps: memory.n_steps,
            mean: self.variables.of_named(&memory.mean)?,
            mean_square: self.variables.of_named(&memory.mean_square)?,
        });
        Ok(())
    }

    /// One pass over the rows; returns the mean loss.
    pub(super) fn epoch(
        &mut self,
        form: &StandardForm<'_>,
        rows: &OrderedRows,
        config: &TrainingConfig,
        epoch: usize,
    ) -> Result<f64> {
        if form.config(rows.batch(), config)?.as_ref() != Some(&self.config) {
            return Err(Error::Rows {
                epoch,
                source:
                    "expected modes, potential energies and signs of the same types and shapes as \
                         in the first epoch"
                        .into(),
            });
        }
        let batches = batches(&self.config, &mut self.training_potentials, form, rows)?;
        let loss = self.model.epoch(&batches);
        self.variables.write(self.model.parameters())?;
        Ok(loss)
    }

    /// Mean loss of the rows, without penalties; nothing if they do not fit.
    pub(super) fn task_loss(
        &mut self,
        form: &StandardForm<'_>,
        rows: &OrderedRows,
        config: &TrainingConfig,
    ) -> Result<Option<f64>> {
        let fits = match form.config(rows.batch(), config)? {
            Some(found) => found == self.config,
            None => false,
        };
        if !fits {
            return Ok(None);
        }
        let batches = batches(&self.config, &mut self.validation_potentials, form, rows)?;
        Ok(Some(self.model.task_loss_of(&batches)))
    }
}

fn batches(
    config: &StageTwoConfig,
    potentials: &mut Potentials,
    form: &StandardForm<'_>,
    rows: &OrderedRows,
) -> Result<Arc<Batches>> {
    let (widths, batch_size) = (&config.mode_widths, config.batch_size);
    match estimators_to_ask(form, rows.batch()) {
        None => rows.batches(form, widths, batch_size),
        Some(estimators) => {
            let potentials = potentials.of(estimators, rows.batch())?;
            Ok(Arc::new(rows.lay_out(
                form,
                Some(potentials),
                widths,
                batch_size,
            )?))
        }
    }
}

/// The model's own estimators, if the batch does not bring the energies.
fn estimators_to_ask<'a>(
    form: &StandardForm<'a>,
    batch: &Batch,
) -> Option<&'a [Box<dyn EnergyEstimator>]> {
    match form.gate {
        StandardGate::Emma { estimators, .. } if batch.potentials().is_none() => Some(estimators),
        _ => None,
    }
}

/// Potential energies of the rows that were last asked for: frozen estimators say the same every epoch.
#[derive(Default)]
struct Potentials(Option<(Vec<TensorId>, PotentialEnergies)>);

impl Potentials {
    fn of(
        &mut self,
        estimators: &[Box<dyn EnergyEstimator>],
        batch: &Batch,
    ) -> Result<&PotentialEnergies> {
        let rows: Vec<TensorId> = batch.modes().iter().map(candle_core::Tensor::id).collect();
        let known = self.0.take().filter(|(known, _)| *known == rows);
        let known = match known {
            Some(known) => known,
            None => (
                rows,
                PotentialEnergies::estimate(estimators, batch.modes())?,
            ),
        };
        Ok(&self.0.insert(known).1)
    }
}
