//! Scoring by candle's operations: on any device, and the reference for the fused kernels.

use candle_core::{D, DType, Device, Tensor};
use emma_attention::{EmmaOutput, PotentialEnergies};
use emma_energy::transfer;

use super::faults;
use super::prediction::{Answers, Explanation, Prediction, saturate};
use super::{Predictor, TrainedModel};
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
        let modes = modes
            .iter()
            .map(|mode| self.adopt(mode))
            .collect::<Result<Vec<_>>>()?;
        self.check_finite(&modes)?;
        match &self.predictor {
            Predictor::Concatenation(model) => self.without_explanation(model, &modes),
            Predictor::Alternative(model) => self.without_explanation(model, &modes),
            Predictor::Emma(model) => {
                let potentials = model.potentials(&modes)?;
                let output = model.forward(&modes, Some(&potentials))?;
                let explanation = match &output.emma {
                    Some(emma) => Some(self.explain(&potentials, emma)?),
                    None => None,
                };
                Ok(Prediction {
                    answers: self.answers(&output)?,
                    explanation,
                })
            }
        }
    }

    fn without_explanation(
        &self,
        model: &impl MultiModalModel,
        modes: &[Tensor],
    ) -> Result<Prediction> {
        Ok(Prediction {
            answers: self.answers(&model.forward(modes, None)?)?,
            explanation: None,
        })
    }

    /// What the network's outputs say, by the model's task.
    fn answers(&self, output: &ModelOutput) -> Result<Answers> {
        let checked = |values: &Tensor| -> Result<Vec<f32>> {
            let values: Vec<f64> = on_cpu(values)?.to_vec1()?;
            let rows = values.into_iter().enumerate();
            rows.map(|(row, value)| faults::checked_output(row, value))
                .collect()
        };
        Ok(match &self.metadata.task {
            Task::Binary { .. } => Answers::Binary(checked(&output.probabilities()?)?),
            Task::Multiclass { .. } => {
                let probabilities = candle_nn::ops::softmax(&output.logits, D::Minus1)?;
                let rows = numbers(&probabilities)?.into_iter().enumerate();
                let row = |(row, values): (usize, Vec<f64>)| -> Result<Vec<f32>> {
                    let values = values.into_iter();
                    values
                        .map(|value| faults::checked_output(row, value))
                        .collect()
                };
                Answers::Multiclass(rows.map(row).collect::<Result<_>>()?)
            }
            Task::Regression { mean, std } => {
                let values = ((&output.logits * *std)? + *mean)?;
                let values = checked(&values)?.into_iter();
                Answers::Regression(values.map(|value| saturate(value.into())).collect())
            }
        })
    }

    fn explain(&self, potentials: &PotentialEnergies, emma: &EmmaOutput) -> Result<Explanation> {
        let modes = &self.metadata.modes;
        for (row, energies) in numbers(emma.self_energies.as_tensor())?.iter().enumerate() {
            faults::check_self_energies(row, energies, modes)?;
        }
        for (row, energies) in numbers(emma.modal_energies.as_tensor())?.iter().enumerate() {
            faults::check_modal_energies(row, energies, modes)?;
        }
        let importance = numbers(&emma.log_importance.importance()?)?;
        for (row, importance) in importance.iter().enumerate() {
            faults::check_importance(row, importance)?;
        }
        Ok(Explanation {
            total_energy: on_cpu(&emma.total_energy)?
                .to_vec1()?
                .into_iter()
                .map(saturate)
                .collect(),
            potential: rows_of(potentials.as_tensor())?,
            energy: rows_of(emma.modal_energies.as_tensor())?,
            importance: saturated(importance),
            attention: rows_of(emma.attention.as_tensor())?,
        })
    }

    fn check_finite(&self, modes: &[Tensor]) -> Result<()> {
        for (mode, columns) in modes.iter().zip(&self.metadata.modes) {
            for (row, features) in numbers(mode)?.iter().enumerate() {
                faults::check_features(row, features, columns)?;
            }
        }
        Ok(())
    }
}

fn rows_of(tensor: &Tensor) -> Result<Vec<Vec<f32>>> {
    Ok(saturated(numbers(tensor)?))
}

fn saturated(rows: Vec<Vec<f64>>) -> Vec<Vec<f32>> {
    let row = |row: Vec<f64>| row.into_iter().map(saturate).collect();
    rows.into_iter().map(row).collect()
}

fn numbers(tensor: &Tensor) -> Result<Vec<Vec<f64>>> {
    Ok(on_cpu(tensor)?.to_vec2()?)
}

fn on_cpu(tensor: &Tensor) -> Result<Tensor> {
    Ok(transfer(tensor, DType::F64, &Device::Cpu)?)
}
