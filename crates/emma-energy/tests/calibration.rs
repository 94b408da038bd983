//! What every calibration promises, and what each is.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

use candle_core::{DType, Device, Tensor, Var};
use emma_energy::{
    Calibration, CalibrationMethod, ConformalPValue, EmpiricalQuantile, FittedCalibration,
    GeneralizedPareto, Logarithm, StandardScore, SurprisalFit,
};
use emma_testkit::tolerance::{assert_close, values};
use emma_testkit::{devices, has_type};
use proptest::prelude::*;
use rand::Rng;

/// Energies like an estimator's: squares of normal numbers, negative ones among them, some equal.
fn clean_energies(n: usize, seed: u64) -> Vec<f64> {
    let mut rng = emma_testkit::rng(seed);
    let mut sum = || (0..4).map(|_| rng.random_range(-1f64..1.)).sum::<f64>();
    let mut energies: Vec<f64> = (0..n).map(|_| sum().powi(2) * 3. - 2.).collect();
    energies[n / 2] = energies[0];
    energies
}

fn fitted(energies: &[f64]) -> Vec<(String, FittedCalibration)> {
    CalibrationMethod::ALL
        .iter()
        .map(|method| (format!("{method:?}"), method.fit(energies).unwrap()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_calibration_makes_the_less_outlying_row_the_more_outlying(
        n in 20usize..400, seed: u64, mut a in -1e6f64..1e6, mut b in -1e6f64..1e6, near: bool,
    ) {
        let energies = clean_energies(n, seed);
        if near {
            // Among the clean rows' energies, which most of that range is not.
            (a, b) = (a / 1e5, b / 1e5);
        }
        let (low, high) = (a.min(b), a.max(b));
        for (name, calibration) in fitted(&energies) {
            prop_assert!(calibration.value(low) <= calibration.value(high), "{}", name);
        }
    }

    /// Where a calibration rises, its inverse leads back.
    #[test]
    fn the_inverse_leads_back(n in 20usize..400, seed: u64, share in 0.01f64..0.99, beyond in 0f64..1e3) {
        let energies = clean_energies(n, seed);
        let low = energies.iter().copied().fold(f64::INFINITY, f64::min);
        let high = energies.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let inside = low + share * (high - low);
        for (name, calibration) in fitted(&energies) {
            let outside_counts = !matches!(
                calibration,
                FittedCalibration::EmpiricalQuantile(_) | FittedCalibration::ConformalPValue(_)
            );
            for energy in [inside, high + beyond] {
                let value = calibration.value(energy);
                let back = calibration.inverse(value);
                prop_assert!(
                    (calibration.value(back) - value).abs() <= 1e-9 * (1. + value.abs()),
                    "{}: {} became {} came back as {}", name, energy, value, back
                );
                if outside_counts || energy <= high {
                    // A step function's inverse is the start of the step.
                    let exact = !matches!(calibration, FittedCalibration::ConformalPValue(_));
                    prop_assert!(
                        !exact || (back - energy).abs() <= 1e-6 * (1. + energy.abs()),
                        "{}: {} became {} came back as {}", name, energy, value, back
                    );
                    prop_assert!(back <= energy + 1e-6 * (1. + energy.abs()), "{}", name);
                }
            }
        }
    }

    #[test]
    fn surprisal_rises_everywhere_above_the_lowest_clean_row(
        n in 20usize..3000, seed: u64, steps in prop::collection::vec(1e-3f64..10., 2..20),
    ) {
        let energies = clean_energies(n, seed);
        let calibration = SurprisalFit::default().fit(&energies).unwrap();
        let mut energy = energies.iter().copied().fold(f64::INFINITY, f64::min);
        let mut value = calibration.value(energy);
        prop_assert!(value.abs() < 1e-15);
        for step in steps {
            energy += step;
            let next = calibration.value(energy);
            prop_assert!(next > value && next.is_finite());
            value = next;
        }
    }
}

#[test]
fn tensors_are_calibrated_like_numbers() {
    let energies = clean_energies(200, 1);
    let probes = [-5., -2., -1.9, 0., 0.7, 3., 40., 1e6];
    for device in devices() {
        for dtype in [DType::F32, DType::F64] {
            if !has_type(device, dtype) {
                continue;
            }
            let tensor = Tensor::new(&probes, &Device::Cpu).unwrap();
            let tensor = emma_energy::transfer(&tensor, dtype, device).unwrap();
            for (name, calibration) in fitted(&energies) {
                let calibrated = calibration.calibrate(&tensor).unwrap();
                assert_eq!(calibrated.dtype(), dtype, "{name}");
                let expected: Vec<f64> = probes.iter().map(|&e| calibration.value(e)).collect();
                assert_close(&name, &values(&calibrated).unwrap(), &expected, 1e-5, 1e-5);
            }
        }
    }
}

#[test]
fn energies_that_are_no_numbers_stay_none() {
    for (name, calibration) in fitted(&clean_energies(200, 1)) {
        assert!(calibration.value(f64::NAN).is_nan(), "{name}");
        assert!(calibration.inverse(f64::NAN).is_nan(), "{name}");
        assert!(!calibration.value(f64::INFINITY).is_nan(), "{name}");
        assert!(!calibration.value(f64::NEG_INFINITY).is_nan(), "{name}");
    }
}

#[test]
fn calibrations_read_back_from_json_bit_for_bit() {
    for (name, calibration) in fitted(&clean_energies(200, 1)) {
        let text = serde_json::to_string(&calibration).unwrap();
        let back: FittedCalibration = serde_json::from_str(&text).unwrap();
        assert_eq!(back, calibration, "{name}: {text}");
    }
}

#[test]
fn a_standard_score_worked_by_hand() {
    let score = StandardScore::fit(&[1., 3.]).unwrap();
    assert_close(
        "score",
        &[score.value(4.), score.value(2.)],
        &[2., 0.],
        1e-15,
        0.,
    );
}

#[test]
fn a_logarithm_worked_by_hand() {
    // Quantiles of 0 to 20: 1 at 5 %, 10 at one half.
    let energies: Vec<f64> = (0..=20).map(f64::from).collect();
    let logarithm = Logarithm::fit(&energies).unwrap();
    let expected = [0., 2f64.ln(), -(1f64 + 1. / 9.).ln(), 12f64.ln()];
    let found = [1., 10., 0., 100.].map(|energy| logarithm.value(energy));
    assert_close("logarithm", &found, &expected, 1e-15, 1e-15);
}

#[test]
fn an_empirical_quantile_worked_by_hand() {
    let quantile = EmpiricalQuantile::fit(&[3., 1., 2., 2., 5.]).unwrap();
    let found = [0., 1., 1.5, 2., 4., 5., 9.].map(|energy| quantile.value(energy));
    assert_close(
        "quantile",
        &found,
        &[0., 0., 0.125, 0.5, 0.625 + 0.25, 1., 1.],
        1e-15,
        0.,
    );
}

#[test]
fn a_p_value_counts_clean_rows_that_are_at_least_as_outlying() {
    let p = ConformalPValue::fit(&[3., 1., 2., 2.]).unwrap();
    let found = [0., 1., 1.5, 2., 2.5, 3., 9.].map(|energy| p.p_value(energy));
    assert_close("p", &found, &[1., 1., 0.8, 0.8, 0.4, 0.4, 0.2], 1e-15, 0.);
}

/// The promise of the p-value: of rows drawn as the clean ones were, at most a share a has `p ≤ a`.
#[test]
fn false_alarms_are_as_rare_as_the_p_value_says() {
    let n_trials = 400;
    for level in [0.05, 0.2] {
        let mut alarms = 0;
        for seed in 0..n_trials {
            let energies = clean_energies(100, seed);
            let (new, clean) = energies.split_at(20);
            let p = ConformalPValue::fit(clean).unwrap();
            alarms += new
                .iter()
                .filter(|&&energy| p.p_value(energy) <= level)
                .count();
        }
        let rate = alarms as f64 / (20 * n_trials) as f64;
        // Three standard deviations of the mean, the trials' own clean rows included: 0.006 and 0.009.
        assert!((rate - level).abs() < 0.012, "{level}: {rate}");
    }
}

#[test]
fn the_tail_finds_the_shape_that_made_it() {
    for (seed, shape, scale) in [(1, 0.3, 2.), (2, 0.1, 1e-6), (3, 1., 1e200)] {
        let mut rng = emma_testkit::rng(seed);
        let excesses: Vec<f64> = (0..20_000)
            .map(|_| {
                let survival = 1. - rng.random::<f64>();
                scale * (survival.powf(-shape) - 1.) / shape
            })
            .collect();
        let tail = GeneralizedPareto::fit(&excesses).unwrap();
        // The maximum-likelihood standard error of the shape is (1 + shape) / sqrt(n): .014 at most.
        assert!((tail.shape() - shape).abs() < 0.04, "{tail:?}");
        assert!((tail.scale() / scale - 1.).abs() < 0.06, "{tail:?}");
    }
}

#[test]
fn a_tail_that_would_end_is_made_exponential() {
    let uniform: Vec<f64> = (0..1000).map(|i| f64::from(i) / 1000.).collect();
    let tail = GeneralizedPareto::fit(&uniform).unwrap();
    assert_close(
        "tail",
        &[tail.shape(), tail.scale()],
        &[0., 0.4995],
        1e-12,
        0.,
    );
    let few = GeneralizedPareto::fit(&[1., 2., 1000.]).unwrap();
    assert!(few.shape().abs() < 1e-300 && (few.scale() - 1003. / 3.).abs() < 1e-9);
}

#[test]
fn surprisal_agrees_with_the_p_value_and_then_with_the_tail() {
    let energies = clean_energies(500, 4);
    let surprisal = SurprisalFit::default().fit(&energies).unwrap();
    let p = ConformalPValue::fit(&energies).unwrap();
    let (threshold, at_threshold) = surprisal.threshold();
    for &energy in energies.iter().filter(|&&energy| energy <= threshold) {
        let expected = -p.p_value(energy).ln();
        assert!((surprisal.value(energy) - expected).abs() < 1e-12);
    }
    let step = 1e-9;
    assert!(
        (surprisal.value(threshold + step) - at_threshold).abs() < 1e-6,
        "not continuous"
    );
    let beyond = surprisal.value(threshold + 5.) - at_threshold;
    assert!((beyond - surprisal.tail().surprisal(5.)).abs() < 1e-12);
    // A tenth of the rows lies beyond, and p counts one row more.
    assert!(
        (at_threshold - (501f64 / 52.).ln()).abs() < 1e-12,
        "{at_threshold}"
    );
}

#[test]
fn gradients_go_through_scores_and_logarithms() {
    let energies = clean_energies(200, 1);
    for method in [
        CalibrationMethod::StandardScore,
        CalibrationMethod::Logarithm,
    ] {
        let calibration = method.fit(&energies).unwrap();
        let probes = [-1.9f64, 0.7, 40.];
        let variable = Var::new(&probes, &Device::Cpu).unwrap();
        let sum = calibration.calibrate(&variable).unwrap().sum_all().unwrap();
        let gradients = sum.backward().unwrap();
        let gradient = values(gradients.get(&variable).unwrap()).unwrap();
        let expected = probes.map(|energy| {
            (calibration.value(energy + 1e-6) - calibration.value(energy - 1e-6)) / 2e-6
        });
        assert_close("gradient", &gradient, &expected, 1e-7, 1e-7);
    }
}

#[test]
fn energies_that_give_no_scale_are_refused() {
    let refusal =
        |method: CalibrationMethod, energies: &[f64]| method.fit(energies).unwrap_err().to_string();
    for (method, purpose) in [
        (
            CalibrationMethod::StandardScore,
            "the standard score of energies",
        ),
        (CalibrationMethod::Logarithm, "the logarithm of energies"),
        (
            CalibrationMethod::EmpiricalQuantile,
            "the quantile of energies",
        ),
        (
            CalibrationMethod::ConformalPValue,
            "the p-value of energies",
        ),
        (CalibrationMethod::Surprisal, "the surprisal of energies"),
    ] {
        assert_eq!(
            refusal(method, &[]),
            format!("expected at least one row for {purpose}, got none")
        );
        assert_eq!(
            refusal(method, &[1., f64::NAN]),
            "expected finite energies, got NaN in row 1"
        );
    }
    for method in [
        CalibrationMethod::StandardScore,
        CalibrationMethod::Logarithm,
    ] {
        assert!(refusal(method, &[2.; 30]).ends_with("all are the same"));
    }
    assert_eq!(
        refusal(CalibrationMethod::Surprisal, &[2.; 30]),
        "expected energies that differ for the surprisal of energies, all are the same"
    );
    let fit = SurprisalFit { tail_fraction: 1. };
    assert_eq!(
        fit.fit(&[1., 2.]).unwrap_err().to_string(),
        "tail_fraction must be above 0 and below 1, got 1"
    );
}

#[test]
fn energies_of_any_size_are_calibrated() {
    for scale in [1e-300, 1e-9, 1e30, 1e150] {
        let energies: Vec<f64> = clean_energies(200, 3).iter().map(|e| e * scale).collect();
        for (name, calibration) in fitted(&energies) {
            for &energy in &energies {
                assert!(calibration.value(energy).is_finite(), "{name} at {scale:e}");
            }
        }
    }
}

#[test]
fn stored_calibrations_that_are_none_are_refused() {
    for text in [
        r#"{"method":"standard_score","mean":0,"std":0}"#,
        r#"{"method":"standard_score","mean":0,"std":-1}"#,
        r#"{"method":"logarithm","origin":0,"scale":-1}"#,
        r#"{"method":"empirical_quantile","energies":[]}"#,
        r#"{"method":"conformal_p_value","energies":[2,1]}"#,
        r#"{"method":"surprisal","energies":[],"surprisals":[],"tail":{"shape":0,"scale":1}}"#,
        r#"{"method":"surprisal","energies":[1],"surprisals":[],"tail":{"shape":0,"scale":1}}"#,
        r#"{"method":"surprisal","energies":[1],"surprisals":[0],"tail":{"shape":-1,"scale":1}}"#,
        r#"{"method":"magic"}"#,
    ] {
        assert!(
            serde_json::from_str::<FittedCalibration>(text).is_err(),
            "{text}"
        );
    }
    let good =
        r#"{"method":"surprisal","energies":[1],"surprisals":[0],"tail":{"shape":0,"scale":1}}"#;
    let good: FittedCalibration = serde_json::from_str(good).unwrap();
    assert!((good.value(3.) - 2.).abs() < 1e-15);
}
