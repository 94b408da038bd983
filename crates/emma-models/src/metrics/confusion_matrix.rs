//! Counts of right and wrong predictions, and what is made of them.

use serde::{Deserialize, Serialize};

use super::labeled_rows::LabeledRows;
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
    /// # Shapes
    /// - `probabilities`, `labels`: one a row, labels 0 or 1
    ///
    /// # Errors
    /// [`Error::LabelCount`] if there is not one label a probability, [`Error::NoRows`] without any,
    /// [`Error::Row`] for another label or NaN, [`Error::InvalidSetting`] for a NaN threshold.
    pub fn at_threshold(probabilities: &[f32], labels: &[u8], threshold: f64) -> Result<Self> {
        if threshold.is_nan() {
            return Err(Error::InvalidSetting {
                name: "threshold",
                expected: "a number",
                found: threshold.to_string(),
            });
        }
        let rows = LabeledRows::new(probabilities, labels)?;
        let mut counts = Self::default();
        for (probability, positive) in rows.iter() {
            let count = match (probability >= threshold, positive) {
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
        let Wide { tp, fp, .. } = self.wide();
        ratio(tp, tp + fp)
    }

    /// `TP / (TP + FN)`: how many of the positives are found.
    pub fn recall(&self) -> f64 {
        let Wide { tp, fn_, .. } = self.wide();
        ratio(tp, tp + fn_)
    }

    /// `TN / (TN + FP)`: how many of the negatives are left alone.
    pub fn specificity(&self) -> f64 {
        let Wide { tn, fp, .. } = self.wide();
        ratio(tn, tn + fp)
    }

    /// `2 TP / (2 TP + FP + FN)`: the harmonic mean of precision and recall.
    pub fn f1(&self) -> f64 {
        let Wide { tp, fp, fn_, .. } = self.wide();
        ratio(2 * tp, 2 * tp + fp + fn_)
    }

    /// `(TP + TN) / n`: how many predictions are right. With few positives, predicting none is
    /// accurate.
    pub fn accuracy(&self) -> f64 {
        let Wide { tp, fp, tn, fn_ } = self.wide();
        ratio(tp + tn, tp + tn + fp + fn_)
    }

    /// `(recall + specificity) / 2`: accuracy if both classes were equally frequent.
    pub fn balanced_accuracy(&self) -> f64 {
        f64::midpoint(self.recall(), self.specificity())
    }

    /// `sqrt(recall · specificity)`: 0 as soon as one class is never recognized.
    ///
    /// # Source
    /// M. Kubat and S. Matwin, ICML 1997.
    pub fn g_mean(&self) -> f64 {
        (self.recall() * self.specificity()).sqrt()
    }

    /// Matthews correlation coefficient: the correlation of predictions and labels, from -1 to 1.
    ///
    /// `(TP · TN − FP · FN) / sqrt((TP + FP)(TP + FN)(TN + FP)(TN + FN))`; 0 if a class is never
    /// predicted or not there.
    ///
    /// # Source
    /// B. W. Matthews, Biochimica et Biophysica Acta 405 (1975).
    pub fn mcc(&self) -> f64 {
        let Wide { tp, fp, tn, fn_ } = self.wide();
        let (right, wrong) = (tp * tn, fp * fn_);
        // Whole numbers up to the difference: two products near each other would lose it in f64.
        let covariance = if right >= wrong {
            (right - wrong) as f64
        } else {
            -((wrong - right) as f64)
        };
        // In equal pairs, so that perfect predictions give exactly 1.
        let predicted = (tp + fp) as f64 * (tn + fn_) as f64;
        let labelled = (tp + fn_) as f64 * (tn + fp) as f64;
        let scale = (predicted * labelled).sqrt();
        if scale > 0. {
            (covariance / scale).clamp(-1., 1.)
        } else {
            0.
        }
    }

    /// Counts in a type in which no sum of them overflows, and no product of two: the fields are
    /// public, and files may hold anything.
    fn wide(&self) -> Wide {
        Wide {
            tp: self.true_positives as u128,
            fp: self.false_positives as u128,
            tn: self.true_negatives as u128,
            fn_: self.false_negatives as u128,
        }
    }
}

/// The four counts of a [`ConfusionMatrix`].
struct Wide {
    tp: u128,
    fp: u128,
    tn: u128,
    fn_: u128,
}

fn ratio(part: u128, whole: u128) -> f64 {
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

    #[test]
    fn correlation_and_means_worked_by_hand() {
        let counts = ConfusionMatrix {
            true_positives: 6,
            false_positives: 1,
            true_negatives: 3,
            false_negatives: 2,
        };
        assert!((counts.mcc() - 16. / 1120f64.sqrt()).abs() < 1e-15);
        assert!((counts.g_mean() - 0.75).abs() < 1e-15);
        assert!((counts.balanced_accuracy() - 0.75).abs() < 1e-15);
        assert!((counts.accuracy() - 0.75).abs() < 1e-15);
    }

    #[test]
    #[allow(clippy::float_cmp)] // Exact.
    fn mcc_of_perfect_inverted_and_constant_predictions_is_exact() {
        let counts = |true_positives, false_positives, true_negatives, false_negatives| {
            ConfusionMatrix {
                true_positives,
                false_positives,
                true_negatives,
                false_negatives,
            }
            .mcc()
        };
        assert_eq!(counts(271, 0, 2682, 0), 1.);
        assert_eq!(counts(0, 2682, 0, 271), -1.);
        assert_eq!(counts(0, 0, 2682, 271), 0.);
        assert_eq!(counts(271, 2682, 0, 0), 0.);
        assert_eq!(counts(0, 0, 0, 0), 0.);
    }

    #[test]
    #[allow(clippy::float_cmp)] // Exact.
    fn no_count_is_too_large() {
        let counts = ConfusionMatrix {
            true_positives: usize::MAX,
            false_positives: usize::MAX,
            true_negatives: usize::MAX,
            false_negatives: usize::MAX,
        };
        assert_eq!(counts.mcc(), 0.);
        for half in [
            counts.precision(),
            counts.recall(),
            counts.specificity(),
            counts.f1(),
            counts.accuracy(),
        ] {
            assert_eq!(half, 0.5);
        }
        // Their products differ by 1, which f64 would not see: (a − 1)(a + 1) against a².
        let a = usize::MAX / 2;
        let counts = ConfusionMatrix {
            true_positives: a - 1,
            false_positives: a,
            true_negatives: a + 1,
            false_negatives: a,
        };
        assert!(counts.mcc() < 0., "{}", counts.mcc());
    }

    #[test]
    fn what_cannot_be_counted_is_an_error() {
        for (probabilities, labels, threshold, message) in [
            (
                &[][..],
                &[][..],
                0.5,
                "expected at least one row of predictions, got none",
            ),
            (
                &[0.5f32, 0.5],
                &[0u8, 3],
                0.5,
                "row 1: expected label 0 or 1, got 3",
            ),
            (
                &[f32::NAN, 0.5],
                &[0, 1],
                0.5,
                "row 0: expected a probability that is a number, got NaN",
            ),
            (
                &[0.5],
                &[0],
                f64::NAN,
                "threshold must be a number, got NaN",
            ),
        ] {
            let error = ConfusionMatrix::at_threshold(probabilities, labels, threshold);
            assert_eq!(error.unwrap_err().to_string(), message);
        }
    }
}
