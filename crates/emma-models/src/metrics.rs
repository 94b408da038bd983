//! Measures of a binary classifier at a threshold.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Counts of right and wrong predictions.
///
/// Ratios with an empty denominator are 0, as is usual for F1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfusionMatrix {
    /// Label 1, predicted 1.
    pub true_positives: usize,
    /// Label 0, predicted 1.
    pub false_positives: usize,
    /// Label 0, predicted 0.
    pub true_negatives: usize,
    /// Label 1, predicted 0.
    pub false_negatives: usize,
}

impl ConfusionMatrix {
    /// Counts predictions: 1 where the probability is at least the threshold.
    ///
    /// # Errors
    /// [`Error::LabelCount`] if there is not one label a probability.
    pub fn at_threshold(probabilities: &[f32], labels: &[u8], threshold: f64) -> Result<Self> {
        if probabilities.len() != labels.len() {
            return Err(Error::LabelCount {
                predictions: probabilities.len(),
                labels: labels.len(),
            });
        }
        let mut counts = Self::default();
        for (&probability, &label) in probabilities.iter().zip(labels) {
            let count = match (f64::from(probability) >= threshold, label != 0) {
                (true, true) => &mut counts.true_positives,
                (true, false) => &mut counts.false_positives,
                (false, false) => &mut counts.true_negatives,
                (false, true) => &mut counts.false_negatives,
            };
            *count += 1;
        }
        Ok(counts)
    }

    /// `TP / (TP + FP)`: how many of the predicted are right.
    pub fn precision(&self) -> f64 {
        ratio(
            self.true_positives,
            self.true_positives + self.false_positives,
        )
    }

    /// `TP / (TP + FN)`: how many of the positives are found.
    pub fn recall(&self) -> f64 {
        ratio(
            self.true_positives,
            self.true_positives + self.false_negatives,
        )
    }

    /// `TN / (TN + FP)`: how many of the negatives are left alone.
    pub fn specificity(&self) -> f64 {
        ratio(
            self.true_negatives,
            self.true_negatives + self.false_positives,
        )
    }

    /// `2 TP / (2 TP + FP + FN)`: the harmonic mean of precision and recall.
    pub fn f1(&self) -> f64 {
        ratio(
            2 * self.true_positives,
            2 * self.true_positives + self.false_positives + self.false_negatives,
        )
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        0.
    } else {
        part as f64 / whole as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_case_worked_by_hand() -> Result<()> {
        let probabilities = [0.9, 0.8, 0.5, 0.4, 0.1];
        let counts = ConfusionMatrix::at_threshold(&probabilities, &[1, 0, 1, 1, 0], 0.5)?;
        assert_eq!(
            counts,
            ConfusionMatrix {
                true_positives: 2,
                false_positives: 1,
                true_negatives: 1,
                false_negatives: 1,
            }
        );
        assert!((counts.precision() - 2. / 3.).abs() < 1e-15);
        assert!((counts.recall() - 2. / 3.).abs() < 1e-15);
        assert!((counts.specificity() - 0.5).abs() < 1e-15);
        assert!((counts.f1() - 2. / 3.).abs() < 1e-15);
        Ok(())
    }

    #[test]
    fn nothing_predicted_and_nothing_to_find_is_zero() -> Result<()> {
        let counts = ConfusionMatrix::at_threshold(&[0.1], &[0], 0.5)?;
        assert!(counts.f1().abs() < 1e-15 && counts.precision().abs() < 1e-15);
        assert!((counts.specificity() - 1.).abs() < 1e-15);
        Ok(())
    }

    #[test]
    fn labels_must_be_as_many_as_predictions() {
        let error = ConfusionMatrix::at_threshold(&[0.1], &[0, 1], 0.5).unwrap_err();
        assert_eq!(
            error.to_string(),
            "expected as many labels as predictions (1), got 2"
        );
    }
}
