//! All measures of one set of rows.

use serde::{Deserialize, Serialize};

use super::confusion_matrix::ConfusionMatrix;
use super::operating_points::OperatingPoints;
use super::probability::{CALIBRATION_BINS, brier_score, expected_calibration_error};
use crate::error::Result;

/// The false-positive rate of [`ClassificationMetrics::recall_at_fpr_1pct`].
const ONE_PERCENT: f64 = 0.01;

/// Every measure of one set of rows at one threshold; [`Metric`](super::Metric) names them.
///
/// Serialized as one flat object, the four counts first.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ClassificationMetrics {
    /// Right and wrong predictions at the threshold.
    #[serde(flatten)]
    pub counts: ConfusionMatrix,
    /// [`ConfusionMatrix::f1`].
    pub f1: f64,
    /// [`ConfusionMatrix::precision`].
    pub precision: f64,
    /// [`ConfusionMatrix::recall`].
    pub recall: f64,
    /// [`ConfusionMatrix::specificity`].
    pub specificity: f64,
    /// [`ConfusionMatrix::g_mean`].
    pub g_mean: f64,
    /// [`ConfusionMatrix::mcc`].
    pub mcc: f64,
    /// [`roc_auc`](super::roc_auc); independent of the threshold, as all that follow.
    pub roc_auc: f64,
    /// [`pr_auc`](super::pr_auc).
    pub pr_auc: f64,
    /// [`recall_at_false_positive_rate`](super::recall_at_false_positive_rate) 0.01.
    pub recall_at_fpr_1pct: f64,
    /// [`brier_score`].
    pub brier: f64,
    /// [`expected_calibration_error`] with [`CALIBRATION_BINS`].
    pub ece: f64,
}

impl ClassificationMetrics {
    /// Measures probabilities of label 1, predicted where they are at least the threshold.
    ///
    /// # Shapes
    /// - `probabilities`, `labels`: one a row, from 0 to 1 and 0 or 1
    ///
    /// # Errors
    /// [`LabelCount`](crate::Error::LabelCount) if there is not one label a probability,
    /// [`NoRows`](crate::Error::NoRows) without any, [`OneClass`](crate::Error::OneClass) if a class
    /// is missing, [`Row`](crate::Error::Row) for another label or a probability outside its range,
    /// [`InvalidSetting`](crate::Error::InvalidSetting) for a NaN threshold.
    pub fn of(probabilities: &[f32], labels: &[u8], threshold: f64) -> Result<Self> {
        let counts = ConfusionMatrix::at_threshold(probabilities, labels, threshold)?;
        let curve = OperatingPoints::new(probabilities, labels)?;
        Ok(Self {
            counts,
            f1: counts.f1(),
            precision: counts.precision(),
            recall: counts.recall(),
            specificity: counts.specificity(),
            g_mean: counts.g_mean(),
            mcc: counts.mcc(),
            roc_auc: curve.roc_auc(),
            pr_auc: curve.pr_auc(),
            recall_at_fpr_1pct: curve.recall_at_false_positive_rate(ONE_PERCENT),
            brier: brier_score(probabilities, labels)?,
            ece: expected_calibration_error(probabilities, labels, CALIBRATION_BINS)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_back_as_it_was_written() {
        let metrics = ClassificationMetrics::of(&[0.9, 0.7, 0.4, 0.1], &[1, 0, 1, 0], 0.3).unwrap();
        let text = serde_json::to_string(&metrics).unwrap();
        assert!(
            text.starts_with(r#"{"true_positives":2,"false_positives":1,"true_negatives":1,"#),
            "{text}"
        );
        let read: ClassificationMetrics = serde_json::from_str(&text).unwrap();
        assert_eq!(read, metrics);
        // Whoever knows the counts alone still finds them.
        let counts: ConfusionMatrix = serde_json::from_str(&text).unwrap();
        assert_eq!(counts, metrics.counts);
    }

    #[test]
    fn what_cannot_be_measured_is_an_error() {
        for (probabilities, labels, threshold, message) in [
            (
                &[0.5f32, 0.5][..],
                &[0u8, 0][..],
                0.5,
                "expected rows of both classes, got 0 of 2 positive",
            ),
            (
                &[0.5, 1.5],
                &[0, 1],
                0.5,
                "row 1: expected a probability from 0 to 1, got 1.5",
            ),
            (
                &[0.5, 0.5],
                &[0, 1],
                f64::NAN,
                "threshold must be a number, got NaN",
            ),
        ] {
            let error = ClassificationMetrics::of(probabilities, labels, threshold).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }
}
