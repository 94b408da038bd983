//! Measures of the order of rows; no threshold is chosen.

use super::operating_points::OperatingPoints;
use crate::error::{Error, Result};

/// Area under the receiver operating characteristic: the chance that a positive row ranks above a
/// negative one.
///
/// `AUC = (pairs in the right order + half of the tied pairs) / (P · N)` over all pairs of one of the
/// P positive and one of the N negative rows. This is the area under the curve with straight lines
/// between its points, and the Mann-Whitney U statistic, with ties at their average rank, divided
/// by `P · N`. 1 is a perfect order, 0.5 none, 0 the inverted one.
///
/// # Shapes
/// - `scores`, `labels`: one a row, labels 0 or 1. Only the order of the scores counts; they need
///   not be probabilities.
///
/// # Errors
/// [`Error::LabelCount`] if there is not one label a score, [`Error::NoRows`] without any,
/// [`Error::OneClass`] if a class is missing, [`Error::Row`] for another label or NaN.
///
/// # Source
/// J. A. Hanley and B. J. McNeil, Radiology 143 (1982); scikit-learn's `roc_auc_score`.
pub fn roc_auc(scores: &[f32], labels: &[u8]) -> Result<f64> {
    Ok(OperatingPoints::new(scores, labels)?.roc_auc())
}

/// Area under the precision-recall curve, as average precision: the mean precision at which
/// positives are found.
///
/// `AP = Σ_k (R_k − R_(k−1)) · P_k` over all distinguishable thresholds from the strictest down, with
/// recall `R_k`, precision `P_k` and `R_0 = 0`. Rows of equal score are one step. Nothing is
/// interpolated: straight lines between the points of this curve would promise precisions that no
/// threshold has. A random order gives the share of positives on average, so that values of tables
/// with different shares do not compare.
///
/// # Shapes
/// - `scores`, `labels`: as for [`roc_auc`]
///
/// # Errors
/// Those of [`roc_auc`].
///
/// # Source
/// J. Davis and M. Goadrich, ICML 2006, on why not to interpolate; scikit-learn's
/// `average_precision_score`.
pub fn pr_auc(scores: &[f32], labels: &[u8]) -> Result<f64> {
    Ok(OperatingPoints::new(scores, labels)?.pr_auc())
}

/// The largest recall among all thresholds whose false-positive rate is at most `rate`.
///
/// `max { TP / P : FP / N ≤ rate }` over the thresholds that the rows can tell apart, predicting
/// nothing (recall 0) among them. Points of the ROC curve only, nothing is interpolated. Rates are
/// compared as f64 quotients: 3 of 300 negatives are within a rate of 0.01.
///
/// # Shapes
/// - `scores`, `labels`: as for [`roc_auc`]
/// - `rate`: from 0 to 1
///
/// # Errors
/// Those of [`roc_auc`], and [`Error::InvalidSetting`] for a rate outside its range.
///
/// # Source
/// The convention of scikit-learn's `roc_curve` with all its points.
pub fn recall_at_false_positive_rate(scores: &[f32], labels: &[u8], rate: f64) -> Result<f64> {
    if !(0.0..=1.0).contains(&rate) {
        return Err(Error::InvalidSetting {
            name: "false-positive rate",
            expected: "from 0 to 1",
            found: rate.to_string(),
        });
    }
    Ok(OperatingPoints::new(scores, labels)?.recall_at_false_positive_rate(rate))
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // These results are exact.
mod tests {
    use super::*;

    /// Two positives and three negatives; one of each is tied at 0.5.
    const SCORES: [f32; 5] = [0.5, 0.9, 0.1, 0.5, 0.7];
    const LABELS: [u8; 5] = [1, 1, 0, 0, 0];

    #[test]
    fn a_small_case_worked_by_hand() -> Result<()> {
        // Of six pairs four are right (.9 above all three, .5 above .1), one is tied.
        assert_eq!(roc_auc(&SCORES, &LABELS)?, 4.5 / 6.);
        // Steps: .9 finds the first half at precision 1, the pair at .5 the second half at 2/4.
        assert_eq!(pr_auc(&SCORES, &LABELS)?, 0.75);
        Ok(())
    }

    #[test]
    fn recall_at_a_rate_takes_the_last_threshold_within_it() -> Result<()> {
        // From the strictest down: recall 1/2 at rate 0, then 1/2 at 1/3, 1 at 2/3, 1 at 1.
        for (rate, recall) in [(0., 0.5), (0.5, 0.5), (2. / 3., 1.), (1., 1.)] {
            assert_eq!(
                recall_at_false_positive_rate(&SCORES, &LABELS, rate)?,
                recall,
                "{rate}"
            );
        }
        // Even the strictest threshold has a false positive: nothing may be predicted.
        assert_eq!(
            recall_at_false_positive_rate(&[0.1, 0.9], &[1, 0], 0.5)?,
            0.
        );
        Ok(())
    }

    #[test]
    fn scores_of_zero_are_tied_whatever_their_sign() -> Result<()> {
        assert_eq!(roc_auc(&[0., -0.], &[1, 0])?, 0.5);
        assert_eq!(roc_auc(&[-0., 0.], &[1, 0])?, 0.5);
        Ok(())
    }

    #[test]
    fn what_cannot_be_ranked_is_an_error() {
        for (scores, labels, message) in [
            (
                &[0.5f32][..],
                &[1u8, 0][..],
                "expected as many labels as predictions (1), got 2",
            ),
            (
                &[],
                &[],
                "expected at least one row of predictions, got none",
            ),
            (
                &[0.5, 0.5],
                &[1, 1],
                "expected rows of both classes, got 2 of 2 positive",
            ),
            (
                &[0.5, 0.5, 0.5],
                &[1, 0, 2],
                "row 2: expected label 0 or 1, got 2",
            ),
            (
                &[0.5, f32::NAN],
                &[1, 0],
                "row 1: expected a probability that is a number, got NaN",
            ),
        ] {
            for error in [
                roc_auc(scores, labels).unwrap_err(),
                pr_auc(scores, labels).unwrap_err(),
                recall_at_false_positive_rate(scores, labels, 0.01).unwrap_err(),
            ] {
                assert_eq!(error.to_string(), message);
            }
        }
        for rate in [-0.1, 1.1, f64::NAN] {
            let error = recall_at_false_positive_rate(&SCORES, &LABELS, rate).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("false-positive rate must be from 0 to 1, got {rate}")
            );
        }
    }
}
