//! What a trained model says about rows, side by side, those included that it can say nothing about.

use crate::error::{Error, Result};
use crate::task::Task;
use crate::trained::{Answers, Explanation, Prediction};

/// What [`TrainedModel::score_rows`](crate::TrainedModel::score_rows) says about rows: one long list for each measure.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RowScores {
    /// Number of modes.
    pub n_modes: usize,
    /// Numbers that answer for a row: 1, or one a class.
    pub n_outputs: usize,
    /// What the model answers, `[rows, outputs]`, row-major: the probability of label 1, the probabilities of
    /// several classes, or the number predicted, as the model's [`Task`] has it. NaN for rows that
    /// cannot be scored.
    pub outputs: Vec<f32>,
    /// What EMMA saw, if the model has it.
    pub energies: Option<RowEnergies>,
    /// Rows that cannot be scored, in order.
    pub faults: Vec<RowFault>,
}

/// Energies and attention of rows, in f32 (finite: larger numbers saturate), row-major. NaN for rows that cannot be scored.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RowEnergies {
    /// Total energy, `[rows]`: the sum of the modes' energies.
    pub total: Vec<f32>,
    /// Potential energy Ψ_i before any correction, `[rows, modes]`; NaN for a missing mode, and with EMMA+.
    pub potential: Vec<f32>,
    /// Modal energy E_i, `[rows, modes]`; NaN for a missing mode. With EMMA+ the energy of the mode's noise, before the
    /// ceiling; that of a missing mode is the highest.
    pub energy: Vec<f32>,
    /// Importance α_i, `[rows, modes]`; NaN for a missing mode, and with EMMA+.
    pub importance: Vec<f32>,
    /// Attention β_i, `[rows, modes]`; 0 for a missing mode.
    pub attention: Vec<f32>,
}

/// A row that cannot be scored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFault {
    /// Row, from 0.
    pub row: usize,
    /// What was expected of it and what was found.
    pub message: String,
}

impl RowFault {
    pub(super) fn new(row: usize, message: String) -> Self {
        Self { row, message }
    }
}

impl From<RowFault> for Error {
    fn from(fault: RowFault) -> Self {
        Self::Row {
            row: fault.row,
            message: fault.message,
        }
    }
}

impl RowEnergies {
    fn per_mode(&mut self) -> [&mut Vec<f32>; 4] {
        [
            &mut self.potential,
            &mut self.energy,
            &mut self.importance,
            &mut self.attention,
        ]
    }

    fn extend(&mut self, later: Self) {
        self.total.extend(later.total);
        self.potential.extend(later.potential);
        self.energy.extend(later.energy);
        self.importance.extend(later.importance);
        self.attention.extend(later.attention);
    }
}

impl RowScores {
    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.outputs.len() / self.n_outputs.max(1)
    }

    /// Adds later rows; the rows of their faults count from the first of all.
    pub(super) fn extend(&mut self, later: Self) {
        self.n_modes = later.n_modes;
        self.n_outputs = later.n_outputs;
        self.outputs.extend(later.outputs);
        self.faults.extend(later.faults);
        match (&mut self.energies, later.energies) {
            (Some(energies), Some(later)) => energies.extend(later),
            (energies, later) => *energies = later,
        }
    }

    /// Makes a row one that cannot be scored.
    pub(super) fn refuse(&mut self, row: usize) {
        let outputs = row * self.n_outputs..(row + 1) * self.n_outputs;
        self.outputs[outputs].fill(f32::NAN);
        let own = row * self.n_modes..(row + 1) * self.n_modes;
        if let Some(energies) = &mut self.energies {
            energies.total[row] = f32::NAN;
            for values in energies.per_mode() {
                values[own.clone()].fill(f32::NAN);
            }
        }
    }

    /// Puts other scores of some rows, in order, in the place of those that are here.
    pub(super) fn replace(&mut self, rows: &[usize], mut others: Self) {
        let (n_modes, n_outputs) = (self.n_modes, self.n_outputs);
        for (other, &row) in rows.iter().enumerate() {
            self.outputs[row * n_outputs..][..n_outputs]
                .copy_from_slice(&others.outputs[other * n_outputs..][..n_outputs]);
            if let (Some(energies), Some(others)) = (&mut self.energies, &mut others.energies) {
                energies.total[row] = others.total[other];
                for (values, others) in energies.per_mode().into_iter().zip(others.per_mode()) {
                    values[row * n_modes..][..n_modes]
                        .copy_from_slice(&others[other * n_modes..][..n_modes]);
                }
            }
        }
        self.faults
            .retain(|fault| rows.binary_search(&fault.row).is_err());
        let faults = others.faults.into_iter();
        self.faults
            .extend(faults.map(|fault| RowFault::new(rows[fault.row], fault.message)));
        self.faults.sort_by_key(|fault| fault.row);
    }

    /// The same as a prediction of rows that can all be scored.
    ///
    /// # Errors
    /// [`Error::Row`] for the first that cannot.
    pub(super) fn into_prediction(self, task: &Task) -> Result<Prediction> {
        if let Some(fault) = self.faults.into_iter().next() {
            return Err(fault.into());
        }
        let n_modes = self.n_modes.max(1);
        let rows = |values: Vec<f32>| values.chunks_exact(n_modes).map(<[f32]>::to_vec).collect();
        Ok(Prediction {
            answers: match task {
                Task::Binary { .. } => Answers::Binary(self.outputs),
                Task::Regression { .. } => Answers::Regression(self.outputs),
                Task::Multiclass { .. } => {
                    let rows = self.outputs.chunks_exact(self.n_outputs.max(1));
                    Answers::Multiclass(rows.map(<[f32]>::to_vec).collect())
                }
            },
            explanation: self.energies.map(|energies| Explanation {
                total_energy: energies.total,
                potential: rows(energies.potential),
                energy: rows(energies.energy),
                importance: rows(energies.importance),
                attention: rows(energies.attention),
            }),
        })
    }
}
