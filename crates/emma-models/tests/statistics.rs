//! Intervals and tests against scipy and statsmodels, and what holds of them for any values.
// In a test a panic is the report; results that must be the same are compared bit by bit.
#![allow(clippy::unwrap_used, clippy::float_cmp)]

use emma_models::MeanInterval;
use emma_models::metrics::roc_auc;
use emma_models::statistics::{Bootstrap, Resampling, holm, wilcoxon_signed_rank};
use emma_testkit::fixtures;
use emma_testkit::tolerance::assert_close;
use proptest::prelude::*;

#[test]
fn signed_rank_tests_are_those_of_scipy() {
    let cases = fixtures::metrics().wilcoxon;
    assert!(cases.len() > 15);
    for case in cases {
        let test = wilcoxon_signed_rank(&case.differences).unwrap();
        let got = [
            test.positive_rank_sum,
            test.negative_rank_sum,
            test.statistic(),
        ];
        let expected = [
            case.positive_rank_sum,
            case.negative_rank_sum,
            case.statistic,
        ];
        // Halves of whole numbers: exact.
        assert_close(&case.name, &got, &expected, 0., 0.);
        // Counts divided once; or erfc, whose relative error is z² times that of z.
        let relative = if test.exact { 1e-15 } else { 1e-13 };
        assert_close(&case.name, &[test.p_value], &[case.p_value], relative, 0.);
        assert_eq!(
            test.exact,
            !case.name.starts_with("normal"),
            "{}",
            case.name
        );
    }
}

#[test]
fn adjusted_p_values_are_those_of_statsmodels() {
    for case in fixtures::metrics().holm {
        let adjusted = holm(&case.p_values).unwrap();
        // One product each.
        assert_close("holm", &adjusted, &case.adjusted, 1e-15, 0.);
    }
}

#[test]
fn mean_intervals_are_those_of_scipy() {
    for case in fixtures::metrics().mean_interval {
        let interval = MeanInterval::of(&case.values).unwrap();
        assert_close("mean", &[interval.mean], &[case.mean], 1e-15, 0.);
        let ci95 = interval.ci95.unwrap();
        assert_close("ci95", &[ci95], &[case.ci95], 1e-12, 0.);
    }
}

/// The statistics have few values: with enough resamples, each end falls on the very value that it
/// has over all possible resamples.
#[test]
fn bootstrap_intervals_are_those_of_all_resamples() {
    let n_resamples: u16 = 40_000;
    let cases = fixtures::metrics().bootstrap;
    assert!(!cases.is_empty());
    for case in cases {
        let tail = (1. - case.level) / 2.;
        let standard_error = (tail * (1. - tail) / f64::from(n_resamples)).sqrt();
        assert!(
            case.margin > 5. * standard_error,
            "the case decides nothing"
        );
        let values = &case.values;
        let mean = |rows: &[usize]| {
            Ok(rows.iter().map(|&row| values[row]).sum::<f64>() / rows.len() as f64)
        };
        let bootstrap = Bootstrap {
            n_resamples: n_resamples.into(),
            level: case.level,
        };
        let rng = &mut emma_testkit::rng(1);
        let interval = match &case.labels {
            None => bootstrap.interval(Resampling::Rows(values.len()), mean, rng),
            Some(labels) => {
                let auc = |rows: &[usize]| {
                    let scores: Vec<f32> = rows.iter().map(|&row| values[row] as f32).collect();
                    let labels: Vec<u8> = rows.iter().map(|&row| labels[row]).collect();
                    roc_auc(&scores, &labels)
                };
                bootstrap.interval(Resampling::Stratified(labels), auc, rng)
            }
        };
        let interval = interval.unwrap();
        // Ends are stored to 12 decimals.
        assert_close(
            &case.statistic,
            &[interval.estimate, interval.lower, interval.upper],
            &[case.estimate, case.lower, case.upper],
            0.,
            1e-12,
        );
    }
}

/// All signs of a few differences, one by one.
fn p_value_of_all_signs(differences: &[f64]) -> f64 {
    let magnitudes: Vec<f64> = differences.iter().map(|value| value.abs()).collect();
    let rank = |magnitude: f64| {
        let below = magnitudes
            .iter()
            .filter(|&&other| other < magnitude)
            .count();
        let equal = magnitudes
            .iter()
            .filter(|&&other| other <= magnitude)
            .count()
            - below;
        below as f64 + f64::midpoint(1., equal as f64)
    };
    let ranks: Vec<f64> = magnitudes
        .iter()
        .map(|&magnitude| rank(magnitude))
        .collect();
    let half = ranks.iter().sum::<f64>() / 2.;
    let distance = |is_positive: &dyn Fn(usize) -> bool| {
        let positive = (0..ranks.len()).filter(|&i| is_positive(i));
        (positive.map(|i| ranks[i]).sum::<f64>() - half).abs()
    };
    let observed = distance(&|i| differences[i] > 0.);
    let signs = 1u32 << ranks.len();
    let extreme = (0..signs).filter(|signs| distance(&|i| signs >> i & 1 == 1) >= observed);
    f64::from(u32::try_from(extreme.count()).unwrap()) / f64::from(signs)
}

fn small_differences() -> impl Strategy<Value = Vec<f64>> {
    let difference = prop_oneof![-6i8..=-1, 1i8..=6].prop_map(|value| f64::from(value) / 4.);
    proptest::collection::vec(difference, 1..10)
}

proptest! {
    #[test]
    fn small_signed_rank_tests_count_all_signs(differences in small_differences()) {
        let test = wilcoxon_signed_rank(&differences).unwrap();
        // Whole numbers divided by a power of two: exact.
        prop_assert_eq!(test.p_value, p_value_of_all_signs(&differences));
    }

    #[test]
    fn the_direction_does_not_change_the_p_value(
        differences in proptest::collection::vec(-1f64..1., 1..80),
    ) {
        let test = wilcoxon_signed_rank(&differences).unwrap();
        let mirrored: Vec<f64> = differences.iter().map(|value| -value).collect();
        let other = wilcoxon_signed_rank(&mirrored).unwrap();
        prop_assert_eq!(test.p_value, other.p_value);
        prop_assert_eq!(test.positive_rank_sum, other.negative_rank_sum);
        let n = test.n_differences as f64;
        prop_assert_eq!(test.positive_rank_sum + test.negative_rank_sum, n * (n + 1.) / 2.);
        prop_assert!(test.p_value > 0. && test.p_value <= 1.);
    }

    #[test]
    fn holm_never_lowers_a_p_value_and_keeps_their_order(
        p_values in proptest::collection::vec(0f64..=1., 0..30),
    ) {
        let adjusted = holm(&p_values).unwrap();
        prop_assert_eq!(adjusted.len(), p_values.len());
        for (i, (&raw, &value)) in p_values.iter().zip(&adjusted).enumerate() {
            prop_assert!(value >= raw && value <= 1.);
            // No worse than Bonferroni.
            prop_assert!(value <= (raw * p_values.len() as f64).min(1.));
            for (other_raw, other) in p_values.iter().zip(&adjusted).skip(i) {
                prop_assert!(raw > *other_raw || value <= *other);
                prop_assert!(raw < *other_raw || value >= *other);
            }
        }
    }

    #[test]
    fn the_bootstrap_of_a_constant_is_that_constant(
        value in -1e9f64..1e9,
        n_rows in 1usize..20,
        seed in 0u64..100,
    ) {
        let rng = &mut emma_testkit::rng(seed);
        let bootstrap = Bootstrap { n_resamples: 50, level: 0.95 };
        let interval = bootstrap.interval(Resampling::Rows(n_rows), |_| Ok(value), rng).unwrap();
        let ends = [interval.lower, interval.estimate, interval.upper];
        prop_assert_eq!(ends, [value; 3]);
    }

    #[test]
    fn a_stratified_bootstrap_never_lacks_a_class(
        labels in proptest::collection::vec(0u8..=1, 0..30),
        seed in 0u64..100,
    ) {
        let labels = [&labels[..], &[0, 1]].concat();
        let auc = |rows: &[usize]| {
            let scores: Vec<f32> = rows.iter().map(|&row| row as f32).collect();
            let labels: Vec<u8> = rows.iter().map(|&row| labels[row]).collect();
            roc_auc(&scores, &labels)
        };
        let rng = &mut emma_testkit::rng(seed);
        let bootstrap = Bootstrap { n_resamples: 100, level: 0.9 };
        let interval = bootstrap.interval(Resampling::Stratified(&labels), auc, rng).unwrap();
        prop_assert!(0. <= interval.lower && interval.upper <= 1.);
        prop_assert!(interval.lower <= interval.upper);
    }
}
