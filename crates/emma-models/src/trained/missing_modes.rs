//! Scoring rows that lack modes.

use candle_core::{Device, Tensor};
use candle_nn::Module;
use emma_attention::ModeMask;

use super::by_candle::numbers;
use super::plus::Gaps;
use super::row_scores::{RowEnergies, RowFault, RowScores};
use super::{Prediction, Predictor, TrainedModel, faults};
use crate::error::{Error, Result};
use crate::model::{ModelOutput, concatenate, outputs_of_rows};
use crate::trained::prediction::saturate;

/// What is done with a row that has NaN among its features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissingModes {
    /// It cannot be scored.
    #[default]
    Refuse,
    /// NaN is a missing value, and a mode that has one is missing as a whole; the row is scored without it, as
    /// [`TrainedModel::predict_masked`] does. EMMA+ leaves out the missing features alone.
    LeaveOut,
}

/// Numbers `[rows, modes, modes]` that are held at once.
const MOST_PAIRS: usize = 1 << 20;

/// What a row without any mode is told.
pub(super) const NOTHING: &str = "expected at least one mode, all are missing";

impl TrainedModel {
    /// Scores raw rows, the features of all modes side by side, and says of which it cannot and why.
    ///
    /// A row's scores never depend on the other rows, and those of a row without a missing value have the bits that
    /// [`predict`](Self::predict) gives.
    ///
    /// # Shapes
    /// - `rows`: `[rows, all features]`, row-major, in the table's units
    ///
    /// # Errors
    /// [`Error::Shape`] if `rows` is no whole number of rows; candle's.
    pub fn score_rows(&self, rows: &[f32], missing: MissingModes) -> Result<RowScores> {
        let n_features = self.metadata.n_features();
        if let Predictor::Plus(model) = &self.predictor {
            let modes = self.standardize(&self.side_by_side(rows)?)?;
            let gaps = match missing {
                MissingModes::Refuse => Gaps::Refused,
                MissingModes::LeaveOut => Gaps::Nan,
            };
            return self.scores_by_plus(model, &modes, gaps);
        }
        self.check_whole(rows)?;
        let n_modes = self.metadata.modes.len();
        let incomplete: Vec<usize> = match missing {
            MissingModes::Refuse => Vec::new(),
            MissingModes::LeaveOut => rows
                .chunks_exact(n_features)
                .enumerate()
                .filter(|(_, row)| row.iter().any(|value| value.is_nan()))
                .map(|(row, _)| row)
                .collect(),
        };
        if incomplete.is_empty() {
            return self.score_complete(rows);
        }
        // Missing modes at their mean, whose standard score is exactly 0.
        let mut filled = rows.to_vec();
        let (mut masked, mut masks, mut empty) = (Vec::new(), Vec::new(), Vec::new());
        for row in incomplete {
            let features = &mut filled[row * n_features..][..n_features];
            let mut start = 0;
            let mut present = Vec::with_capacity(n_modes);
            for mode in &self.metadata.modes {
                let own = start..start + mode.columns.len();
                start = own.end;
                present.push(!features[own.clone()].iter().any(|value| value.is_nan()));
                if present.last() == Some(&false) {
                    features[own.clone()].copy_from_slice(&self.mean[own]);
                }
            }
            if present.contains(&true) {
                masked.push(row);
                masks.extend(present);
            } else {
                empty.push(row);
            }
        }
        let mut scores = self.score_complete(&filled)?;
        if !masked.is_empty() && self.has_emma() {
            let rows: Vec<&[f32]> = masked
                .iter()
                .map(|&row| &filled[row * n_features..][..n_features])
                .collect();
            let modes = self.modes_of(&rows.concat())?;
            let mask = ModeMask::new(masks, n_modes)?;
            scores.replace(&masked, self.score_masked(&modes, &mask, true)?);
        }
        for row in empty {
            scores.refuse(row);
            scores.faults.retain(|fault| fault.row != row);
            scores.faults.push(RowFault::new(row, NOTHING.into()));
        }
        scores.faults.sort_by_key(|fault| fault.row);
        Ok(scores)
    }

    /// Scores raw rows of which some modes are missing.
    ///
    /// With EMMA a missing mode has no part in anything ([`Emma::forward_masked`](emma_attention::Emma::forward_masked)):
    /// its attention is 0, its potential, energy and importance are NaN, what others share with it is dropped, and the
    /// importance is shared among the others. EMMA+ integrates it out: its attention is 0 where energies have a
    /// ceiling, its energy the highest. Without EMMA it is put at its mean in training. What it holds does not
    /// matter. Rows that have all modes get the bits of [`predict`](Self::predict).
    ///
    /// # Shapes
    /// - `modes`: one `[rows, features]` tensor a mode, in the table's units
    /// - `mask`: `[rows, modes]`
    ///
    /// # Errors
    /// As [`predict`](Self::predict); an attention error if the mask does not fit.
    pub fn predict_masked(&self, modes: &[Tensor], mask: &ModeMask) -> Result<Prediction> {
        self.masked(modes, mask, true)
    }

    /// Scores rows that are already standardized, of which some modes are missing, as
    /// [`predict_masked`](Self::predict_masked) scores raw ones.
    ///
    /// # Errors
    /// As [`predict_masked`](Self::predict_masked).
    pub fn predict_standardized_masked(
        &self,
        modes: &[Tensor],
        mask: &ModeMask,
    ) -> Result<Prediction> {
        self.masked(modes, mask, false)
    }

    fn masked(&self, modes: &[Tensor], mask: &ModeMask, is_raw: bool) -> Result<Prediction> {
        let n_rows = modes.first().and_then(|mode| mode.dims().first());
        if mask.n_modes() != self.metadata.modes.len() || Some(&mask.n_rows()) != n_rows {
            return Err(Error::Shape {
                what: "the mask".into(),
                expected: format!("[{:?}, {}]", n_rows.unwrap_or(&0), modes.len()),
                found: vec![mask.n_rows(), mask.n_modes()],
            });
        }
        if let Predictor::Plus(model) = &self.predictor {
            let standardized = if is_raw {
                self.standardize(modes)?
            } else {
                modes.to_vec()
            };
            return self
                .scores_by_plus(model, &standardized, Gaps::Of(mask))?
                .into_prediction(&self.metadata.task);
        }
        let mut start = 0;
        let mut filled = Vec::with_capacity(modes.len());
        for (index, (mode, columns)) in modes.iter().zip(&self.metadata.modes).enumerate() {
            let standard = vec![0.; columns.columns.len()];
            let mean = if is_raw {
                &self.mean[start..start + columns.columns.len()]
            } else {
                &standard
            };
            start += mean.len();
            let present: Vec<u8> = mask.rows().map(|row| u8::from(row[index])).collect();
            if present.contains(&0) {
                let mean = Tensor::new(mean, mode.device())?.to_dtype(mode.dtype())?;
                let present = Tensor::from_vec(present, (mask.n_rows(), 1), &Device::Cpu)?
                    .to_device(mode.device())?
                    .broadcast_as(mode.dims())?
                    .contiguous()?;
                filled.push(present.where_cond(mode, &mean.broadcast_as(mode.dims())?)?);
            } else {
                filled.push(mode.clone());
            }
        }
        let mut scores = self.scores(&filled, is_raw, true)?;
        let masked: Vec<usize> = mask
            .rows()
            .enumerate()
            .filter(|(_, present)| present.contains(&false))
            .map(|(row, _)| row)
            .collect();
        if self.has_emma() && !masked.is_empty() {
            let index: Vec<u32> = masked.iter().map(|&row| row as u32).collect();
            let own = filled
                .iter()
                .map(|mode| {
                    let index = Tensor::new(&index[..], mode.device())?;
                    Ok(mode.contiguous()?.index_select(&index, 0)?)
                })
                .collect::<Result<Vec<_>>>()?;
            let rows: Vec<&[bool]> = mask.rows().collect();
            let present = masked.iter().flat_map(|&row| rows[row].iter().copied());
            let own_mask = ModeMask::new(present.collect(), mask.n_modes())?;
            scores.replace(&masked, self.score_masked(&own, &own_mask, is_raw)?);
        }
        scores.into_prediction(&self.metadata.task)
    }

    fn check_whole(&self, rows: &[f32]) -> Result<()> {
        let n_features = self.metadata.n_features();
        if rows.len().is_multiple_of(n_features) {
            return Ok(());
        }
        Err(Error::Shape {
            what: "rows".into(),
            expected: format!("a multiple of {n_features} numbers"),
            found: vec![rows.len()],
        })
    }

    /// The modes of rows side by side, of which there must be a whole number.
    pub(super) fn side_by_side(&self, rows: &[f32]) -> Result<Vec<Tensor>> {
        self.check_whole(rows)?;
        self.modes_of(rows)
    }

    /// Rows without missing values, side by side.
    fn score_complete(&self, rows: &[f32]) -> Result<RowScores> {
        match &self.fused {
            Some(fused) => Ok(fused.score_rows(rows, &self.metadata)),
            None => self.scores(&self.modes_of(rows)?, true, true),
        }
    }

    /// The modes of rows side by side.
    fn modes_of(&self, rows: &[f32]) -> Result<Vec<Tensor>> {
        let n_features = self.metadata.n_features();
        let n_rows = rows.len() / n_features;
        let mut start = 0;
        let modes = self.metadata.modes.iter().map(|mode| {
            let own = start..start + mode.columns.len();
            start = own.end;
            let values: Vec<f32> = rows
                .chunks_exact(n_features)
                .flat_map(|row| row[own.clone()].iter().copied())
                .collect();
            Ok(Tensor::from_vec(values, (n_rows, own.len()), &Device::Cpu)?)
        });
        modes.collect()
    }

    /// Rows, raw or standardized, of which all lack a mode, by a model that has EMMA.
    fn score_masked(&self, modes: &[Tensor], mask: &ModeMask, is_raw: bool) -> Result<RowScores> {
        let n_modes = mask.n_modes();
        let step = (MOST_PAIRS / (n_modes * n_modes)).max(1);
        let all: Vec<&[bool]> = mask.rows().collect();
        let mut scores = RowScores::default();
        for first in (0..mask.n_rows()).step_by(step) {
            let n_rows = step.min(mask.n_rows() - first);
            let own = modes
                .iter()
                .map(|mode| Ok(mode.narrow(0, first, n_rows)?))
                .collect::<Result<Vec<_>>>()?;
            let present = all[first..first + n_rows].concat();
            let mask = ModeMask::new(present, n_modes)?;
            let mut part = self.score_few_masked(&own, &mask, is_raw)?;
            for fault in &mut part.faults {
                fault.row += first;
            }
            scores.extend(part);
        }
        Ok(scores)
    }

    fn score_few_masked(
        &self,
        modes: &[Tensor],
        mask: &ModeMask,
        is_raw: bool,
    ) -> Result<RowScores> {
        let Predictor::Emma(model) = &self.predictor else {
            return self.scores(modes, is_raw, true);
        };
        let columns = &self.metadata.modes;
        let n_modes = columns.len();
        let modes = if is_raw {
            self.standardize(modes)?
        } else {
            modes
                .iter()
                .map(|mode| self.adopt(mode))
                .collect::<Result<_>>()?
        };
        let features = modes.iter().map(numbers).collect::<Result<Vec<_>>>()?;
        let potentials = model.potentials(&modes)?;
        let output = model.emma.forward_masked(&modes, &potentials, mask)?;
        let logits = model
            .network
            .forward(&concatenate(&output.weighted_modes)?)?;
        let logits = ModelOutput {
            logits: outputs_of_rows(&logits)?,
            emma: None,
        };
        let outputs = self.outputs_of_task(&logits)?;
        let potential = numbers(potentials.as_tensor())?;
        let self_energy = numbers(output.self_energies.as_tensor())?;
        let energy = numbers(output.modal_energies.as_tensor())?;
        let importance = numbers(&output.log_importance.importance()?)?;
        let attention = numbers(output.attention.as_tensor())?;

        let mut scores = RowScores {
            n_modes,
            n_outputs: self.metadata.task.n_outputs(),
            ..RowScores::default()
        };
        let mut energies = RowEnergies::default();
        for (row, present) in mask.rows().enumerate() {
            let there = |mode: &usize| present[*mode];
            let checked = (0..n_modes)
                .filter(there)
                .try_for_each(|mode| {
                    faults::check_features(row, &features[mode][row], &columns[mode])?;
                    let own = mode..mode + 1;
                    let columns = &columns[own.clone()];
                    faults::check_self_energies(row, &self_energy[row][own.clone()], columns)?;
                    faults::check_modal_energies(row, &energy[row][own], columns)
                })
                .and_then(|()| faults::check_importance(row, &importance[row]))
                .and_then(|()| faults::check_outputs(row, &outputs[row]));
            let own = outputs[row].iter().copied().map(saturate);
            scores.outputs.extend(own);
            scores.faults.extend(checked.err());
            energies.total.push(saturate(energy[row].iter().sum()));
            for mode in 0..n_modes {
                let if_there = |value: f64| {
                    if present[mode] {
                        saturate(value)
                    } else {
                        f32::NAN
                    }
                };
                energies.potential.push(if_there(potential[row][mode]));
                energies.energy.push(if_there(energy[row][mode]));
                energies.importance.push(if_there(importance[row][mode]));
                energies.attention.push(saturate(attention[row][mode]));
            }
        }
        scores.energies = Some(energies);
        let refused: Vec<usize> = scores.faults.iter().map(|fault| fault.row).collect();
        for row in refused {
            scores.refuse(row);
        }
        Ok(scores)
    }
}
