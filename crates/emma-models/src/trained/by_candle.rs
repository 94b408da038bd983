//! Scoring by candle's operations: on any device, and the reference for the fused kernels.

use candle_core::{D, DType, Device, Tensor};
use emma_attention::{EmmaOutput, PotentialEnergies};
use emma_energy::transfer;

use super::faults;
use super::plus::Gaps;
use super::prediction::{Prediction, saturate};
use super::row_scores::{RowEnergies, RowFault, RowScores};
use super::{Predictor, TrainedModel};
use crate::checkpoint::ModeColumns;
use crate::error::Result;
use crate::model::{ModelOutput, MultiModalModel};
use crate::task::Task;

impl TrainedModel {
    /// What [`predict_standardized`](Self::predict_standardized) does, by candle's operations: the readable
    /// reference, and the way on devices other than the CPU.
    ///
    /// # Errors
    /// As [`predict_standardized`](Self::predict_standardized).
    pub fn predict_by_candle(&self, modes: &[Tensor]) -> Result<Prediction> {
        self.scores_by_candle(modes)?
            .into_prediction(&self.metadata.task)
    }

    /// Scores of standardized rows, those included that cannot be scored.
    pub(super) fn scores_by_candle(&self, modes: &[Tensor]) -> Result<RowScores> {
        if let Predictor::Plus(model) = &self.predictor {
            return self.scores_by_plus(model, modes, Gaps::Refused);
        }
        let modes = modes
            .iter()
            .map(|mode| self.adopt(mode))
            .collect::<Result<Vec<_>>>()?;
        let features = modes.iter().map(numbers).collect::<Result<Vec<_>>>()?;
        let (output, potentials) = match &self.predictor {
            Predictor::Concatenation(model) => (model.forward(&modes, None)?, None),
            Predictor::Alternative(model) => (model.forward(&modes, None)?, None),
            // Above.
            Predictor::Plus(model) => (model.forward(&modes, None)?, None),
            Predictor::Emma(model) => {
                let potentials = model.potentials(&modes)?;
                let output = model.forward(&modes, Some(&potentials))?;
                (output, Some(potentials))
            }
        };
        let columns = &self.metadata.modes;
        let outputs = self.outputs_of_task(&output)?;
        let seen = match (&output.emma, &potentials) {
            (Some(emma), Some(potentials)) => Some(Seen::new(emma, potentials)?),
            _ => None,
        };
        let mut scores = RowScores {
            n_modes: columns.len(),
            n_outputs: self.metadata.task.n_outputs(),
            energies: seen.as_ref().map(Seen::row_energies),
            ..RowScores::default()
        };
        for (row, outputs) in outputs.iter().enumerate() {
            let checked = features
                .iter()
                .zip(columns)
                .try_for_each(|(mode, columns)| faults::check_features(row, &mode[row], columns))
                .and_then(|()| {
                    seen.as_ref()
                        .map_or(Ok(()), |seen| seen.check(row, columns))
                })
                .and_then(|()| faults::check_outputs(row, outputs));
            scores.outputs.extend(outputs.iter().copied().map(saturate));
            scores.faults.extend(checked.err());
        }
        let refused: Vec<usize> = scores.faults.iter().map(|fault| fault.row).collect();
        for row in refused {
            scores.refuse(row);
        }
        Ok(scores)
    }
}

impl TrainedModel {
    /// What the network's outputs answer, by the model's task: `[row][output]`.
    pub(super) fn outputs_of_task(&self, output: &ModelOutput) -> Result<Vec<Vec<f64>>> {
        // candle's softmax has no largest of no rows.
        if output.logits.elem_count() == 0 {
            return Ok(Vec::new());
        }
        let single = |values: &Tensor| numbers(&values.unsqueeze(1)?);
        match &self.metadata.task {
            Task::Binary { .. } => single(&output.probabilities()?),
            Task::Multiclass { .. } => {
                numbers(&candle_nn::ops::softmax(&output.logits, D::Minus1)?)
            }
            Task::Regression { mean, std } => single(&((&output.logits * *std)? + *mean)?),
        }
    }
}

/// What EMMA saw, as numbers: `[row][mode]`.
struct Seen {
    total: Vec<f64>,
    potential: Vec<Vec<f64>>,
    self_energy: Vec<Vec<f64>>,
    energy: Vec<Vec<f64>>,
    importance: Vec<Vec<f64>>,
    attention: Vec<Vec<f64>>,
}

impl Seen {
    fn new(emma: &EmmaOutput, potentials: &PotentialEnergies) -> Result<Self> {
        Ok(Self {
            total: on_cpu(&emma.total_energy)?.to_vec1()?,
            potential: numbers(potentials.as_tensor())?,
            self_energy: numbers(emma.self_energies.as_tensor())?,
            energy: numbers(emma.modal_energies.as_tensor())?,
            importance: numbers(&emma.log_importance.importance()?)?,
            attention: numbers(emma.attention.as_tensor())?,
        })
    }

    fn check(&self, row: usize, columns: &[ModeColumns]) -> std::result::Result<(), RowFault> {
        faults::check_self_energies(row, &self.self_energy[row], columns)?;
        faults::check_modal_energies(row, &self.energy[row], columns)?;
        faults::check_importance(row, &self.importance[row])
    }

    fn row_energies(&self) -> RowEnergies {
        let flat = |rows: &[Vec<f64>]| rows.iter().flatten().copied().map(saturate).collect();
        RowEnergies {
            total: self.total.iter().copied().map(saturate).collect(),
            potential: flat(&self.potential),
            energy: flat(&self.energy),
            importance: flat(&self.importance),
            attention: flat(&self.attention),
        }
    }
}

pub(super) fn numbers(tensor: &Tensor) -> Result<Vec<Vec<f64>>> {
    Ok(on_cpu(tensor)?.to_vec2()?)
}

fn on_cpu(tensor: &Tensor) -> Result<Tensor> {
    Ok(transfer(tensor, DType::F64, &Device::Cpu)?)
}
