//! Probabilities and labels that go together.

use crate::error::{Error, Result};

/// One probability and one label a row: checked once, by whatever measures them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LabeledRows<'a> {
    probabilities: &'a [f32],
    labels: &'a [u8],
    n_positives: usize,
}

impl<'a> LabeledRows<'a> {
    /// Rows of any scores.
    ///
    /// # Errors
    /// [`Error::LabelCount`] if there is not one label a probability, [`Error::NoRows`] if there are
    /// none, [`Error::Row`] for a label that is neither 0 nor 1 and for a NaN.
    pub(crate) fn new(probabilities: &'a [f32], labels: &'a [u8]) -> Result<Self> {
        if probabilities.len() != labels.len() {
            return Err(Error::LabelCount {
                predictions: probabilities.len(),
                labels: labels.len(),
            });
        }
        if labels.is_empty() {
            return Err(Error::NoRows {
                what: "predictions",
            });
        }
        if let Some(row) = labels.iter().position(|&label| label > 1) {
            return Err(Error::Row {
                row,
                message: format!("expected label 0 or 1, got {}", labels[row]),
            });
        }
        if let Some(row) = probabilities.iter().position(|value| value.is_nan()) {
            return Err(Error::Row {
                row,
                message: "expected a probability that is a number, got NaN".into(),
            });
        }
        Ok(Self {
            probabilities,
            labels,
            n_positives: labels.iter().map(|&label| usize::from(label)).sum(),
        })
    }

    /// The same rows, if both classes are among them.
    ///
    /// # Errors
    /// [`Error::OneClass`] if one is missing.
    pub(crate) fn with_both_classes(self) -> Result<Self> {
        if self.n_positives == 0 || self.n_negatives() == 0 {
            return Err(Error::OneClass {
                positives: self.n_positives,
                rows: self.n_rows(),
            });
        }
        Ok(self)
    }

    /// The same rows, if the scores can be probabilities.
    ///
    /// # Errors
    /// [`Error::Row`] for one below 0 or above 1.
    pub(crate) fn with_real_probabilities(self) -> Result<Self> {
        let outside = |value: &f32| !(0.0..=1.0).contains(value);
        match self.probabilities.iter().position(outside) {
            None => Ok(self),
            Some(row) => Err(Error::Row {
                row,
                message: format!(
                    "expected a probability from 0 to 1, got {}",
                    self.probabilities[row]
                ),
            }),
        }
    }

    pub(crate) fn n_rows(&self) -> usize {
        self.labels.len()
    }

    pub(crate) fn n_positives(&self) -> usize {
        self.n_positives
    }

    pub(crate) fn n_negatives(&self) -> usize {
        self.labels.len() - self.n_positives
    }

    /// Each row's probability and whether its label is 1.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (f64, bool)> + use<'a> {
        let labels = self.labels.iter().map(|&label| label == 1);
        self.probabilities
            .iter()
            .map(|&value| f64::from(value))
            .zip(labels)
    }
}
