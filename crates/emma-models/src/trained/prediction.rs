//! What a trained model says about rows.

use crate::error::{Error, Result};
use crate::metrics::likeliest;

/// What a [`TrainedModel`](crate::TrainedModel) says about rows.
#[derive(Debug, Clone)]
pub struct Prediction {
    /// What the model predicts.
    pub answers: Answers,
    /// What EMMA saw, if the model has it.
    pub explanation: Option<Explanation>,
}

/// What a model predicts for rows, by its [`Task`](crate::Task).
#[derive(Debug, Clone, PartialEq)]
pub enum Answers {
    /// Probability of label 1, one a row.
    Binary(Vec<f32>),
    /// Probabilities of the classes, `[row][class]`, each row summing to one.
    Multiclass(Vec<Vec<f32>>),
    /// The number predicted, one a row, in the target's unit.
    Regression(Vec<f32>),
}

impl Answers {
    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        match self {
            Self::Binary(values) | Self::Regression(values) => values.len(),
            Self::Multiclass(rows) => rows.len(),
        }
    }

    /// Those of some rows, in the order given; a row may come several times.
    #[must_use]
    pub fn of_rows(&self, rows: &[usize]) -> Self {
        let numbers = |values: &[f32]| rows.iter().map(|&row| values[row]).collect();
        match self {
            Self::Binary(values) => Self::Binary(numbers(values)),
            Self::Multiclass(values) => {
                Self::Multiclass(rows.iter().map(|&row| values[row].clone()).collect())
            }
            Self::Regression(values) => Self::Regression(numbers(values)),
        }
    }

    /// Probabilities of label 1 of a binary classifier.
    ///
    /// # Errors
    /// [`Error::TaskKind`] for another task.
    pub fn into_probabilities(self) -> Result<Vec<f32>> {
        let found = match self {
            Self::Binary(probabilities) => return Ok(probabilities),
            Self::Multiclass(_) => "multiclass",
            Self::Regression(_) => "regression",
        };
        Err(Error::TaskKind {
            expected: "binary",
            found,
        })
    }
}

/// The class that a model decides for in a row: 1 from the threshold up where it gives one probability, that of class 1; else the
/// likeliest of several, the first of equals. None where a probability is NaN, or there is none.
pub fn decided_class(probabilities: &[f32], threshold: f64) -> Option<usize> {
    match probabilities {
        [probability] if probability.is_nan() => None,
        [probability] => Some(usize::from(f64::from(*probability) >= threshold)),
        probabilities => likeliest(probabilities),
    }
}

/// Energies and attention behind a [`Prediction`], in f32 (finite: larger numbers saturate).
#[derive(Debug, Clone, Default)]
pub struct Explanation {
    /// Total energy, one a row.
    pub total_energy: Vec<f32>,
    /// Potential energy Ψ_i before any correction, `[row][mode]`.
    pub potential: Vec<Vec<f32>>,
    /// Modal energy E_i, `[row][mode]`.
    pub energy: Vec<Vec<f32>>,
    /// Importance α_i, `[row][mode]`.
    pub importance: Vec<Vec<f32>>,
    /// Attention β_i, `[row][mode]`.
    pub attention: Vec<Vec<f32>>,
}

/// Nearest f32 that is finite; NaN stays NaN.
pub(super) fn saturate(value: f64) -> f32 {
    value.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}
