//! What coupled modes promise: who takes over for whom, by the closed form and by simulation.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use emma_data::{CoupledRow, Coupling, CouplingConfig, CouplingStructure};
use proptest::prelude::*;
use rand::Rng;
use rand_distr::StandardNormal;

const A: [bool; 3] = [true, false, false];
const B: [bool; 3] = [false, true, false];
const C: [bool; 3] = [false, false, true];
const AB: [bool; 3] = [true, true, false];
const AC: [bool; 3] = [true, false, true];
const BC: [bool; 3] = [false, true, true];
const ABC: [bool; 3] = [true; 3];
const SUBSETS: [[bool; 3]; 7] = [A, B, C, AB, AC, BC, ABC];

const STRUCTURES: [CouplingStructure; 3] = [
    CouplingStructure::Chain,
    CouplingStructure::Nested,
    CouplingStructure::Common,
];

fn coupling(config: CouplingConfig) -> Coupling {
    Coupling::new(&config, 7).unwrap()
}

fn log_odds(coupling: &Coupling, row: &CoupledRow, present: [bool; 3]) -> f64 {
    let modes = std::array::from_fn(|mode| present[mode].then_some(&row.values[mode][..]));
    coupling.log_odds(modes).unwrap()
}

/// Share of rows that the sign of the log-odds classifies rightly.
fn measured(coupling: &Coupling, present: [bool; 3]) -> f64 {
    let n_right = coupling
        .iter()
        .filter(|row| (log_odds(coupling, row, present) > 0.0) == (row.label == 1))
        .count();
    n_right as f64 / coupling.config().n_rows as f64
}

/// Five standard errors of an accuracy from `n_rows` rows.
fn tolerance(accuracy: f64, n_rows: usize) -> f64 {
    5.0 * (accuracy * (1.0 - accuracy) / n_rows as f64).sqrt()
}

#[test]
fn b_takes_over_for_a_and_c_for_b_but_not_the_other_way_round() {
    // Φ(1) with one part, Φ(√2) with two, by tables.
    let (one, two) = (0.841_344_746_068_543, 0.921_350_396_474_857);
    let only_shared = |structure| {
        coupling(CouplingConfig {
            structure,
            complementarity: [0.0; 3],
            n_rows: 20_000,
            ..CouplingConfig::default()
        })
    };
    let chain = only_shared(CouplingStructure::Chain);
    let nested = only_shared(CouplingStructure::Nested);
    for (coupling, expected) in [
        // A missing: B alone reaches what A and B reach. B missing: A does not replace it, C beside A does.
        (
            &chain,
            [
                (B, two),
                (AB, two),
                (A, one),
                (AC, two),
                (ABC, two),
                (C, one),
            ],
        ),
        // C holds all that B holds, and B all that A holds.
        (
            &nested,
            [
                (B, two),
                (AB, two),
                (A, one),
                (C, two),
                (BC, two),
                (AC, two),
            ],
        ),
    ] {
        for (present, accuracy) in expected {
            let closed = coupling.accuracy(present).unwrap();
            assert!((closed - accuracy).abs() < 1e-12, "{present:?}: {closed}");
            let found = measured(coupling, present);
            assert!(
                (found - accuracy).abs() < tolerance(accuracy, 20_000),
                "{present:?}: {found}"
            );
        }
    }
    // C has more than B: its own part, which nobody takes over.
    let default = coupling(CouplingConfig::default());
    assert!(default.accuracy(ABC) > default.accuracy(AB));
}

#[test]
fn the_best_accuracy_is_reached_for_every_structure_and_subset() {
    for structure in STRUCTURES {
        let coupling = coupling(CouplingConfig {
            n_rows: 20_000,
            positive_fraction: 0.3,
            structure,
            shared_strength: 0.8,
            redundancy: 0.4,
            complementarity: [0.5, 0.0, 0.3],
            ..CouplingConfig::default()
        });
        for present in SUBSETS {
            let expected = coupling.accuracy(present).unwrap();
            let found = measured(&coupling, present);
            assert!(
                (found - expected).abs() < tolerance(expected, 20_000),
                "{structure:?} {present:?}: {found} is not {expected}"
            );
        }
    }
}

#[test]
fn independent_views_help_and_copies_do_not() {
    let with = |redundancy| {
        coupling(CouplingConfig {
            structure: CouplingStructure::Common,
            redundancy,
            complementarity: [0.0; 3],
            ..CouplingConfig::default()
        })
    };
    // d′ = 2 √(1 / (ρ + (1 − ρ) / n)).
    assert!((with(1.0).sensitivity(ABC) - 2.0).abs() < 1e-12);
    assert!((with(0.0).sensitivity(ABC) - 2.0 * 3_f64.sqrt()).abs() < 1e-12);
    assert!((with(0.5).sensitivity(AB) - 2.0 * (4_f64 / 3.0).sqrt()).abs() < 1e-12);
    assert!(with(0.5).sensitivity([false; 3]).abs() < 1e-300);
    let row = with(1.0).row(0).unwrap();
    assert_eq!(row.values[0][0].to_bits(), row.values[2][0].to_bits());
}

#[test]
fn log_odds_are_calibrated_with_and_without_conflict() {
    for (redundancy, conflict) in [
        (0.5, [0.0; 3]),
        (0.5, [0.2, 0.0, 0.4]),
        (1.0, [0.1, 0.3, 0.2]),
    ] {
        let coupling = coupling(CouplingConfig {
            n_rows: 30_000,
            positive_fraction: 0.4,
            structure: CouplingStructure::Nested,
            shared_strength: 0.7,
            redundancy,
            conflict,
            complementarity: [0.4, 0.3, 0.0],
        });
        for present in [A, AB, ABC] {
            // In each band of predicted probability as many are of class 1 as predicted.
            let mut bands = [(0.0, 0.0, 0.0); 10];
            for row in coupling.iter() {
                let probability = (1.0 + (-log_odds(&coupling, &row, present)).exp()).recip();
                let band = (0..10)
                    .rposition(|band| probability * 10.0 >= f64::from(band))
                    .unwrap();
                let (expected, variance, found) = &mut bands[band];
                *expected += probability;
                *variance += probability * (1.0 - probability);
                *found += f64::from(row.label);
            }
            for (expected, variance, found) in bands {
                assert!(
                    (found - expected).abs() <= 5.0 * variance.sqrt() + 1e-9,
                    "{conflict:?} {present:?}: {found} is not {expected}"
                );
            }
        }
    }
}

#[test]
fn with_noise_log_odds_lie_between_those_with_the_mode_and_without_it() {
    for (structure, redundancy) in [
        (CouplingStructure::Chain, 1.0),
        (CouplingStructure::Nested, 0.4),
        (CouplingStructure::Common, 0.0),
    ] {
        let coupling = coupling(CouplingConfig {
            n_rows: 20_000,
            positive_fraction: 0.4,
            structure,
            redundancy,
            complementarity: [0.3, 0.0, 0.5],
            ..CouplingConfig::default()
        });
        let noisy = |row: &CoupledRow, noise: [f64; 3]| {
            let [a, b, c] = &row.values;
            let odds = coupling.noisy_log_odds([a, b, c], noise);
            odds.unwrap().expect("no conflict")
        };
        for row in coupling.iter().take(50) {
            for (noise, present) in [
                ([0.0; 3], ABC),
                ([0.0, 0.0, f64::INFINITY], AB),
                ([0.0, f64::INFINITY, f64::INFINITY], A),
                ([f64::INFINITY; 3], [false; 3]),
            ] {
                let (found, expected) = (noisy(&row, noise), log_odds(&coupling, &row, present));
                // Copies of one value are weighted 10^12 each.
                assert!((found - expected).abs() < 1e-9, "{found} {expected}");
            }
        }
        // With noise of 2 on A and B they are calibrated: as many of class 1 as predicted.
        let (mut expected, mut variance, mut found) = (0.0, 0.0, 0.0);
        let mut rng = emma_data::generator(3, "noise");
        for mut row in coupling.iter() {
            for value in row.values.iter_mut().take(2).flatten() {
                *value += 2.0 * rng.sample::<f32, _>(StandardNormal);
            }
            let odds = noisy(&row, [2.0, 2.0, 0.0]);
            let probability = (1.0 + (-odds).exp()).recip();
            // Sure decisions alone, which too large a weight would get wrong.
            if odds.abs() > 2.0 {
                let right = f64::from(u8::from((odds > 0.0) == (row.label == 1)));
                let sure = probability.max(1.0 - probability);
                expected += sure;
                variance += sure * (1.0 - sure);
                found += right;
            }
        }
        assert!(
            (found - expected).abs() < 5.0 * f64::sqrt(variance),
            "{structure:?}: {found} {expected}"
        );
    }
    let conflicting = coupling(CouplingConfig {
        conflict: [0.1, 0.0, 0.0],
        ..CouplingConfig::default()
    });
    let odds = |noise: [f64; 3], columns: usize| {
        let values = vec![0.0; columns];
        conflicting.noisy_log_odds([&values; 3].map(Vec::as_slice), noise)
    };
    assert_eq!(odds([0.0; 3], 3).unwrap(), None);
    assert_eq!(
        odds([0.0, -1.0, 0.0], 3).unwrap_err().to_string(),
        "coupled modes: expected noise_stds[1] 0 or more, found -1"
    );
    assert_eq!(
        odds([0.0; 3], 2).unwrap_err().to_string(),
        "coupled mode \"a\": expected 3 values, found 2"
    );
}

#[test]
fn a_mode_in_conflict_votes_for_the_wrong_class_as_often_as_it_is_told() {
    let config = CouplingConfig {
        n_rows: 20_000,
        complementarity: [0.0; 3],
        conflict: [0.25, 0.0, 0.0],
        ..CouplingConfig::default()
    };
    let conflicting = coupling(config);
    let (samples, conflicts) = conflicting.samples().unwrap();
    let n_conflicts = conflicts
        .flags()
        .column(0)
        .iter()
        .filter(|&&flag| flag)
        .count();
    assert!((n_conflicts as f64 / 20_000.0 - 0.25).abs() < tolerance(0.25, 20_000));
    assert!(!conflicts.flags().column(1).iter().any(|&flag| flag));
    assert_eq!(conflicting.accuracy(A), None);
    // Right where it sees rightly and is not in conflict, or neither: 0.75 Φ(1) + 0.25 (1 − Φ(1)).
    let expected = 0.75 * 0.841_344_746 + 0.25 * 0.158_655_254;
    assert!((measured(&conflicting, A) - expected).abs() < tolerance(expected, 20_000));
    // B does not care, and with both the optimum listens to B: A is a copy of a part of it.
    let two = conflicting.accuracy(B).unwrap();
    assert!((measured(&conflicting, AB) - two).abs() < tolerance(two, 20_000));
    // Nothing else has changed.
    let (agreeing, _) = coupling(CouplingConfig {
        conflict: [0.0; 3],
        ..config
    })
    .samples()
    .unwrap();
    assert_eq!(samples.labels(), agreeing.labels());
    assert_eq!(samples.modes()[1], agreeing.modes()[1]);
    for (row, flags) in conflicts.flags().outer_iter().enumerate() {
        let sign = if flags[0] { -1.0 } else { 1.0 };
        let (found, expected) = (&samples.modes()[0].values, &agreeing.modes()[0].values);
        assert_eq!(found.row(row), expected.row(row).map(|value| sign * value));
    }
}

#[test]
fn rows_repeat_in_any_order_and_columns_are_named() {
    let first: Vec<CoupledRow> = coupling(CouplingConfig::default())
        .iter()
        .take(50)
        .collect();
    let again = coupling(CouplingConfig {
        n_rows: 50,
        ..CouplingConfig::default()
    });
    for index in (0..50).rev() {
        assert_eq!(again.row(index).as_ref(), Some(&first[index]));
    }
    assert!(again.row(50).is_none());
    let other = Coupling::new(&CouplingConfig::default(), 8).unwrap();
    assert_ne!(other.row(0).unwrap().values, first[0].values);
    let (samples, _) = again.samples().unwrap();
    assert_eq!(samples.modes()[1].columns, ["b_ab", "b_bc", "b_own"]);
    assert_eq!(
        samples.modes()[2].values.row(3).to_vec(),
        first[3].values[2]
    );
}

#[test]
fn what_makes_no_sense_is_refused() {
    let refused = |change: fn(&mut CouplingConfig)| {
        let mut config = CouplingConfig::default();
        change(&mut config);
        Coupling::new(&config, 0).unwrap_err().to_string()
    };
    for fraction in [0.0, 1.0] {
        let config = CouplingConfig {
            positive_fraction: fraction,
            ..CouplingConfig::default()
        };
        assert!(Coupling::new(&config, 0).is_err());
    }
    assert_eq!(
        refused(|config| config.positive_fraction = f64::NAN),
        "coupled modes: expected positive_fraction above 0 and below 1, found NaN"
    );
    assert_eq!(
        refused(|config| config.redundancy = 1.5),
        "coupled modes: expected redundancy from 0 to 1, found 1.5"
    );
    assert_eq!(
        refused(|config| config.complementarity[2] = -1.0),
        "coupled modes: expected complementarity[2] from 0 to 100, found -1"
    );
    assert_eq!(
        refused(|config| config.conflict[1] = f64::INFINITY),
        "coupled modes: expected conflict[1] from 0 to 1, found inf"
    );
    let most = coupling(CouplingConfig {
        n_rows: usize::MAX,
        ..CouplingConfig::default()
    });
    assert_eq!(
        most.samples().unwrap_err().to_string(),
        format!("memory cannot hold {} rows of coupled modes", usize::MAX)
    );
    assert_eq!(
        most.log_odds([None, Some(&[1.0]), None])
            .unwrap_err()
            .to_string(),
        "coupled mode \"b\": expected 3 values, found 1"
    );
}

#[test]
fn a_configuration_reads_back_and_unknown_keys_are_refused() {
    let config = CouplingConfig::default();
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(
        serde_json::from_str::<CouplingConfig>(&text).unwrap(),
        config
    );
    let nested: CouplingConfig = serde_json::from_str(r#"{"structure": "nested"}"#).unwrap();
    assert_eq!(nested.structure, CouplingStructure::Nested);
    let error = serde_json::from_str::<CouplingConfig>(r#"{"rows": 3}"#).unwrap_err();
    assert!(error.to_string().contains("unknown field"), "{error}");
}

proptest! {
    #[test]
    fn more_modes_never_tell_less(
        which in 0..3_usize,
        redundancy in 0.0..=1.0_f64,
        shared_strength in 0.0..3.0_f64,
        complementarity in prop::array::uniform3(0.0..2.0_f64),
        positive_fraction in 0.01..0.99_f64,
    ) {
        let coupling = coupling(CouplingConfig {
            structure: STRUCTURES[which],
            redundancy,
            shared_strength,
            complementarity,
            positive_fraction,
            ..CouplingConfig::default()
        });
        let accuracy = |present| coupling.accuracy(present).unwrap();
        for present in SUBSETS {
            for mode in 0..3 {
                let mut fewer = present;
                fewer[mode] = false;
                prop_assert!(accuracy(fewer) <= accuracy(present) + 1e-14);
            }
        }
    }

    #[test]
    fn log_odds_are_finite_for_any_values(
        redundancy in 0.0..=1.0_f64,
        conflict in prop::array::uniform3(0.0..=1.0_f64),
        value in prop::num::f32::NORMAL,
        index in 0..100_usize,
    ) {
        let coupling = coupling(CouplingConfig { redundancy, conflict, ..CouplingConfig::default() });
        let mut row = coupling.row(index).unwrap();
        row.values[1][0] = value;
        for present in SUBSETS {
            let found = log_odds(&coupling, &row, present);
            prop_assert!(found.is_finite(), "{found}");
        }
    }
}
