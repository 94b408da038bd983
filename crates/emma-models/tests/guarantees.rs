//! What the conformal gate and selective prediction promise, counted over many simulated draws.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

use emma_models::{Calibration, ConformalGate, FalseAlarms, RiskLimit, SelectivePrediction};
use emma_testkit::TestRng;
use proptest::prelude::*;
use rand::Rng;
use rand_distr::StandardNormal;

/// Potentials of two modes that know of each other: squares of normals, heavy to one side.
fn potentials(n_rows: usize, rng: &mut TestRng) -> Vec<Vec<f32>> {
    (0..n_rows)
        .map(|_| {
            let mut normal = || rng.sample::<f32, _>(StandardNormal);
            let (common, own) = (normal(), normal());
            let [a, b] = [common, 0.6 * common + 0.8 * own];
            vec![a * a, 3. * b * b - 1.]
        })
        .collect()
}

fn gate(n_clean: usize, control: FalseAlarms, rng: &mut TestRng) -> ConformalGate {
    let calibration = Calibration::new(&["a", "b"], &potentials(n_clean, rng)).unwrap();
    ConformalGate::new(calibration, control).unwrap()
}

/// Shares of ordinary rows whose modes, or any of them, are called suspect.
fn false_alarms(gate: &ConformalGate, rows: &[Vec<f32>]) -> ([f64; 2], f64) {
    let (mut each, mut any) = ([0.; 2], 0.);
    for row in rows {
        let suspects = gate.suspects(row).unwrap();
        for (count, &suspect) in each.iter_mut().zip(&suspects) {
            *count += f64::from(u8::from(suspect));
        }
        any += f64::from(u8::from(suspects.contains(&true)));
    }
    let n = rows.len() as f64;
    (each.map(|count| count / n), any / n)
}

#[test]
fn over_twenty_seeds_false_alarms_are_within_one_point_of_the_rate() {
    for rate in [0.01, 0.05, 0.2] {
        let mut mean = [0.; 2];
        for seed in 0..20 {
            let mut rng = emma_testkit::rng(seed);
            let gate = gate(2000, FalseAlarms::EachMode(rate), &mut rng);
            let (each, _) = false_alarms(&gate, &potentials(2000, &mut rng));
            for mode in 0..2 {
                mean[mode] += each[mode] / 20.;
                // A single calibration's own rate scatters: four standard deviations of both draws.
                let tolerance = 4. * (2. * rate * (1. - rate) / 2000.).sqrt();
                assert!((each[mode] - rate).abs() < tolerance, "{seed}: {each:?}");
            }
        }
        for found in mean {
            assert!((found - rate).abs() < 0.01, "{rate}: {mean:?}");
        }
    }
}

#[test]
fn modes_together_alarm_no_more_often_than_stated() {
    for control in [FalseAlarms::Bonferroni(0.1), FalseAlarms::Holm(0.1)] {
        let mut mean = 0.;
        for seed in 0..20 {
            let mut rng = emma_testkit::rng(100 + seed);
            let gate = gate(2000, control.clone(), &mut rng);
            mean += false_alarms(&gate, &potentials(2000, &mut rng)).1 / 20.;
        }
        // Each alone at half the rate would give .05 if they were copies, .0975 if they were independent.
        assert!(mean > 0.05 && mean < 0.11, "{control:?}: {mean}");
    }
    // Each mode at the whole rate does not keep it.
    let mut rng = emma_testkit::rng(100);
    let gate = gate(2000, FalseAlarms::EachMode(0.1), &mut rng);
    assert!(false_alarms(&gate, &potentials(2000, &mut rng)).1 > 0.12);
}

#[test]
fn p_values_of_ordinary_rows_are_no_smaller_than_uniform_ones() {
    // A fresh calibration for every row, with ties (whole numbers) and without: P(p ≤ a) ≤ a, counted.
    let mut counts = Vec::new();
    for round in [false, true] {
        let (n_draws, n_clean) = (4000, 19);
        let mut rng = emma_testkit::rng(7);
        let mut at_most = [0usize; 20];
        for _ in 0..n_draws {
            let mut rows = potentials(n_clean + 1, &mut rng);
            if round {
                rows.iter_mut()
                    .flatten()
                    .for_each(|value| *value = (*value / 4.).round());
            }
            let row = rows.pop().unwrap();
            let calibration = Calibration::new(&["a", "b"], &rows).unwrap();
            let gate = ConformalGate::new(calibration, FalseAlarms::EachMode(0.05)).unwrap();
            let p = gate.p_values(&row).unwrap()[1];
            for (k, count) in (1..=20u32).zip(&mut at_most) {
                *count += usize::from(p <= f64::from(k) / 20.);
            }
        }
        for (k, count) in (1..=20u32).zip(at_most) {
            let (level, found) = (f64::from(k) / 20., count as f64 / f64::from(n_draws));
            let tolerance = 4. * (level * (1. - level) / f64::from(n_draws)).sqrt();
            assert!(found <= level + tolerance, "{round} {level}: {found}");
            if !round {
                // Without ties they are exactly uniform on k/20.
                assert!(found >= level - tolerance, "{level}: {found}");
            }
        }
        counts.push(at_most.iter().sum::<usize>());
    }
    // Ties make them larger, by much: both tests would find p-values that are too small.
    assert!(counts[1] * 10 < counts[0] * 9, "{counts:?}");
}

proptest! {
    #[test]
    fn a_higher_energy_is_never_more_ordinary(
        clean in prop::collection::vec(-3f32..3., 2..200),
        a in prop::num::f32::ANY.prop_filter("a number", |a| !a.is_nan()),
        b in -4f32..4.,
        rate in 0.34f64..0.99,
    ) {
        let rows: Vec<Vec<f32>> = clean.iter().map(|&energy| vec![energy]).collect();
        let calibration = Calibration::new(&["a"], &rows).unwrap();
        let gate = ConformalGate::new(calibration, FalseAlarms::EachMode(rate)).unwrap();
        let (low, high) = (a.min(b), a.max(b));
        let p = |energy: f32| gate.p_values(&[energy]).unwrap()[0];
        prop_assert!(p(high) <= p(low));
        prop_assert!(p(high) > 0. && p(low) <= 1.);
        prop_assert!(gate.suspects(&[high]).unwrap() >= gate.suspects(&[low]).unwrap());
    }
}

const LIMIT: RiskLimit = RiskLimit {
    risk: 0.05,
    confidence: 0.9,
};

/// How many of 200 calibrations of 1,000 rows choose a threshold whose risk is beyond the limit, how many choose none,
/// and the mean threshold of those that choose. The score is uniform; `error` is the probability of an error at a
/// score, `risk` that up to a score.
fn violations(error: fn(f64) -> f64, risk: fn(f64) -> f64) -> (usize, usize, f64) {
    let mut rng = emma_testkit::rng(11);
    let (mut n_violations, mut n_none, mut sum) = (0, 0, 0.);
    for _ in 0..200 {
        let scores: Vec<f32> = (0..1000).map(|_| rng.random()).collect();
        let errors: Vec<bool> = scores
            .iter()
            .map(|&score| rng.random::<f64>() < error(f64::from(score)))
            .collect();
        match SelectivePrediction::calibrate(&scores, &errors, LIMIT).unwrap() {
            None => n_none += 1,
            Some(selective) => {
                assert!(selective.risk_bound() <= LIMIT.risk + 1e-12);
                assert!(selective.risk() <= selective.risk_bound());
                let threshold = f64::from(selective.threshold());
                n_violations += usize::from(risk(threshold) > LIMIT.risk);
                sum += threshold;
            }
        }
    }
    (n_violations, n_none, sum / (200 - n_none) as f64)
}

#[test]
fn the_risk_limit_holds_in_nine_of_ten_calibrations() {
    // Up to t the risk is t² / 10: the limit is reached at t = .707.
    let (n_violations, n_none, mean) = violations(|score| 0.3 * score * score, |t| t * t / 10.);
    assert!(n_violations <= 20, "{n_violations}");
    // It is not kept by answering next to nothing.
    assert!(n_none <= 10 && mean > 0.4, "{n_none} {mean}");
}

#[test]
fn where_no_threshold_keeps_the_limit_hardly_any_is_chosen() {
    // Just beyond the limit everywhere: whatever is chosen is wrong, and every start may err.
    let (n_violations, n_none, _) = violations(|_| 0.0501, |_| 0.0501);
    assert!(n_violations <= 20, "{n_violations}");
    assert_eq!(n_none, 200 - n_violations);
}
