//! Scoring by candle's operations: on any device, and the reference for the fused kernels.

use candle_core::{DType, Device, Tensor};
use emma_attention::{EmmaOutput, PotentialEnergies};
use emma_energy::transfer;

use super::faults;
use super::prediction::{Explanation, Prediction, saturate};
use super::{Predictor, TrainedModel};
use crate::error::Result;
use crate::model::{ModelOutput, MultiModalModel};

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
            Predictor::Concatenation(model) => without_explanation(model, &modes),
            Predictor::Alternative(model) => without_explanation(model, &modes),
            Predictor::Emma(model) => {
                let potentials = model.potentials(&modes)?;
                let output = model.forward(&modes, Some(&potentials))?;
                let explanation = match &output.emma {
                    Some(emma) => Some(self.explain(&potentials, emma)?),
                    None => None,
                };
                Ok(Prediction {
                    probabilities: probabilities(&output)?,
                    explanation,
                })
            }
        }
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

fn without_explanation(model: &impl MultiModalModel, modes: &[Tensor]) -> Result<Prediction> {
    Ok(Prediction {
        probabilities: probabilities(&model.forward(modes, None)?)?,
        explanation: None,
    })
}

fn probabilities(output: &ModelOutput) -> Result<Vec<f32>> {
    let probabilities: Vec<f64> = on_cpu(&output.probabilities()?)?.to_vec1()?;
    probabilities
        .into_iter()
        .enumerate()
        .map(|(row, value)| faults::checked_probability(row, value))
        .collect()
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
