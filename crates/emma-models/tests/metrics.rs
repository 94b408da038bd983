//! Measures against scikit-learn, and what holds of them for any rows.
// In a test a panic is the report; results that must be the same are compared bit by bit.
#![allow(clippy::unwrap_used, clippy::float_cmp)]

use emma_models::metrics::{
    brier_score, expected_calibration_error, pr_auc, recall_at_false_positive_rate, roc_auc,
};
use emma_models::{ClassificationMetrics, ConfusionMatrix};
use emma_testkit::fixtures;
use emma_testkit::tolerance::assert_close;
use proptest::prelude::*;

/// Sums over at most 600 rows of numbers up to 1, in another order of summation.
const TOLERANCE: f64 = 1e-13;

#[test]
fn every_measure_is_that_of_scikit_learn() {
    let cases = fixtures::metrics().classification;
    assert!(cases.len() > 15);
    for case in cases {
        let (probabilities, labels) = (&case.probabilities[..], &case.labels[..]);
        let got = ClassificationMetrics::of(probabilities, labels, case.threshold).unwrap();
        assert_eq!(
            got.counts,
            ConfusionMatrix {
                true_positives: case.true_positives,
                false_positives: case.false_positives,
                true_negatives: case.true_negatives,
                false_negatives: case.false_negatives,
            },
            "{}",
            case.name
        );
        let close = |what: &str, got: f64, expected: f64| {
            let what = format!("{}: {what}", case.name);
            assert_close(&what, &[got], &[expected], 0., TOLERANCE);
        };
        close("f1", got.f1, case.f1);
        close("precision", got.precision, case.precision);
        close("recall", got.recall, case.recall);
        close("specificity", got.specificity, case.specificity);
        close("g_mean", got.g_mean, case.g_mean);
        close("mcc", got.mcc, case.mcc);
        close("accuracy", got.counts.accuracy(), case.accuracy);
        close(
            "balanced_accuracy",
            got.counts.balanced_accuracy(),
            case.balanced_accuracy,
        );
        close("roc_auc", got.roc_auc, case.roc_auc);
        close("pr_auc", got.pr_auc, case.pr_auc);
        close("brier", got.brier, case.brier);
        for expected in &case.recall_at_false_positive_rate {
            let recall = recall_at_false_positive_rate(probabilities, labels, expected.rate);
            let what = format!("recall at {}", expected.rate);
            close(&what, recall.unwrap(), expected.recall);
            if (expected.rate - 0.01).abs() < 1e-15 {
                close(&what, got.recall_at_fpr_1pct, expected.recall);
            }
        }
        for expected in &case.expected_calibration_error {
            let error = expected_calibration_error(probabilities, labels, expected.n_bins);
            let what = format!("ece of {} bins", expected.n_bins);
            close(&what, error.unwrap(), expected.value);
            if expected.n_bins == 15 {
                close(&what, got.ece, expected.value);
            }
        }
        // The measures one by one are those of the struct.
        close(
            "roc_auc",
            roc_auc(probabilities, labels).unwrap(),
            got.roc_auc,
        );
        close("pr_auc", pr_auc(probabilities, labels).unwrap(), got.pr_auc);
        close(
            "brier",
            brier_score(probabilities, labels).unwrap(),
            got.brier,
        );
    }
}

/// Probabilities on a grid, so that ties are frequent and `1 − p` is exact.
fn rows() -> impl Strategy<Value = (Vec<f32>, Vec<u8>)> {
    let row = (0u16..=64, 0u8..=1);
    proptest::collection::vec(row, 2..60)
        .prop_filter("both classes", |rows| {
            rows.iter().any(|row| row.1 == 0) && rows.iter().any(|row| row.1 == 1)
        })
        .prop_map(|rows| {
            rows.into_iter()
                .map(|(position, label)| (f32::from(position) / 64., label))
                .unzip()
        })
}

fn inverted(probabilities: &[f32]) -> Vec<f32> {
    probabilities.iter().map(|value| 1. - value).collect()
}

proptest! {
    /// The definition: pairs counted one by one.
    #[test]
    fn roc_auc_is_the_share_of_pairs_in_order((probabilities, labels) in rows()) {
        let (mut right, mut pairs) = (0., 0.);
        for (positive, &label) in probabilities.iter().zip(&labels) {
            for (negative, &other) in probabilities.iter().zip(&labels) {
                if label == 1 && other == 0 {
                    pairs += 1.;
                    right += f64::from(u8::from(positive > negative))
                        + f64::from(u8::from(positive >= negative));
                }
            }
        }
        let auc = roc_auc(&probabilities, &labels).unwrap();
        // Whole numbers, divided once on either side.
        prop_assert!((auc - right / (2. * pairs)).abs() < 1e-15);
    }

    #[test]
    fn inverted_probabilities_have_the_rest_of_the_roc_auc((probabilities, labels) in rows()) {
        let auc = roc_auc(&probabilities, &labels).unwrap();
        let rest = roc_auc(&inverted(&probabilities), &labels).unwrap();
        // Two quotients, each rounded once.
        prop_assert!((auc + rest - 1.).abs() < 1e-15, "{auc} {rest}");
    }

    #[test]
    fn only_the_order_counts_in_rankings((probabilities, labels) in rows()) {
        // Increasing, and exact on the grid: no two values become one.
        let mapped: Vec<f32> = probabilities.iter().map(|p| p * p * p * 100. - 7.).collect();
        let rankings = |scores: &[f32]| {
            let recall = recall_at_false_positive_rate(scores, &labels, 0.2).unwrap();
            [roc_auc(scores, &labels).unwrap(), pr_auc(scores, &labels).unwrap(), recall]
        };
        prop_assert_eq!(rankings(&mapped), rankings(&probabilities));
    }

    #[test]
    fn the_order_of_rows_does_not_count((mut probabilities, mut labels) in rows()) {
        let before = ClassificationMetrics::of(&probabilities, &labels, 0.5).unwrap();
        probabilities.reverse();
        labels.reverse();
        let after = ClassificationMetrics::of(&probabilities, &labels, 0.5).unwrap();
        prop_assert_eq!(before.counts, after.counts);
        // All sums are exact on the grid.
        prop_assert_eq!(before, after);
    }

    #[test]
    fn measures_stay_in_their_ranges(
        (probabilities, labels) in rows(),
        threshold in -0.1f64..1.1,
        n_bins in 1usize..40,
    ) {
        let metrics = ClassificationMetrics::of(&probabilities, &labels, threshold).unwrap();
        for metric in emma_models::Metric::ALL {
            let least = if metric == emma_models::Metric::Mcc { -1. } else { 0. };
            let value = metric.of(&metrics);
            prop_assert!((least..=1.).contains(&value), "{metric} {value}");
        }
        let ece = expected_calibration_error(&probabilities, &labels, n_bins).unwrap();
        prop_assert!((0. ..=1.).contains(&ece));
        // Within a bin residuals may cancel, never add up: |Σ r| ≤ Σ |r|, and the mean of r² is at
        // least the square of that of |r|.
        prop_assert!(ece * ece <= metrics.brier + 1e-15, "{ece} {}", metrics.brier);
    }

    /// Average precision of any order is at least what the worst order of it would give, and 1 only
    /// for a perfect one.
    #[test]
    fn both_areas_are_1_for_a_perfect_order_only((probabilities, labels) in rows()) {
        let of_class = |class| {
            let rows = probabilities.iter().zip(&labels);
            rows.filter(move |row| *row.1 == class).map(|row| *row.0)
        };
        let lowest_positive = of_class(1).fold(f32::INFINITY, f32::min);
        let highest_negative = of_class(0).fold(f32::NEG_INFINITY, f32::max);
        let perfect = lowest_positive > highest_negative;
        for area in [roc_auc(&probabilities, &labels), pr_auc(&probabilities, &labels)] {
            prop_assert_eq!(area.unwrap() > 1. - 1e-12, perfect);
        }
    }

    #[test]
    fn swapping_labels_and_predictions_keeps_the_correlation(
        tp in 0usize..1000, fp in 0usize..1000, tn in 0usize..1000, missed in 0usize..1000,
    ) {
        let counts = |[true_positives, false_positives, true_negatives, false_negatives]: [_; 4]| {
            ConfusionMatrix { true_positives, false_positives, true_negatives, false_negatives }
        };
        let mcc = counts([tp, fp, tn, missed]).mcc();
        let classes_swapped = counts([tn, missed, tp, fp]).mcc();
        let roles_swapped = counts([tp, missed, tn, fp]).mcc();
        let predictions_inverted = counts([missed, tn, fp, tp]).mcc();
        for other in [classes_swapped, roles_swapped, -predictions_inverted] {
            prop_assert!((mcc - other).abs() < 1e-14, "{mcc} {other}");
        }
    }
}
