//! Rows side by side, rows with faults, and rows that lack modes.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod common;

use candle_core::{Device, Tensor};
use common::{MODELS, build, checkpoint, rows};
use emma_attention::ModeMask;
use emma_models::{Answers, Calibration, MissingModes, RowScores, TrainedModel};
use emma_testkit::devices;
use proptest::prelude::*;
use rand::Rng;

fn model(name: &str, device: &Device) -> TrainedModel {
    let stored = checkpoint(name, &build(name, 6, device));
    TrainedModel::from_checkpoint(&stored, device).unwrap()
}

/// The modes that a model has, of some rows, and the same rows side by side.
fn table(name: &str, n_rows: usize, seed: u64, device: &Device) -> (Vec<Tensor>, Vec<f32>) {
    let batch = rows(n_rows, seed, device);
    let modes = if name == "single_mode" {
        batch.modes()[1..].to_vec()
    } else {
        batch.modes().to_vec()
    };
    let joined = Tensor::cat(&modes, 1).unwrap();
    let flat = joined.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    (modes, flat)
}

/// All numbers of a row.
fn row_bits(scores: &RowScores, row: usize) -> Vec<u32> {
    let mut bits = vec![scores.outputs[row].to_bits()];
    if let Some(energies) = &scores.energies {
        let own = row * scores.n_modes..(row + 1) * scores.n_modes;
        bits.push(energies.total[row].to_bits());
        for values in [
            &energies.potential,
            &energies.energy,
            &energies.importance,
            &energies.attention,
        ] {
            bits.extend(values[own.clone()].iter().map(|value| value.to_bits()));
        }
    }
    bits
}

#[test]
fn rows_side_by_side_score_bitwise_as_modes_do() {
    let device = &Device::Cpu;
    for name in MODELS {
        let model = model(name, device);
        let (modes, flat) = table(name, 1500, 3, device);
        let prediction = model.predict(&modes).unwrap();
        for missing in [MissingModes::Refuse, MissingModes::LeaveOut] {
            let scores = model.score_rows(&flat, missing).unwrap();
            assert!(scores.faults.is_empty());
            assert_eq!(
                Answers::Binary(scores.outputs.clone()),
                prediction.answers,
                "{name}"
            );
            assert_eq!(scores.energies.is_some(), name == "emma");
            if let (Some(energies), Some(explanation)) = (&scores.energies, &prediction.explanation)
            {
                assert_eq!(energies.total, explanation.total_energy);
                assert_eq!(energies.potential, explanation.potential.concat());
                assert_eq!(energies.energy, explanation.energy.concat());
                assert_eq!(energies.importance, explanation.importance.concat());
                assert_eq!(energies.attention, explanation.attention.concat());
            }
        }
        assert!(model.score_rows(&flat[1..], MissingModes::Refuse).is_err());
    }
}

#[test]
fn a_row_at_fault_leaves_the_others_their_bits() {
    for device in devices() {
        for name in MODELS {
            let model = model(name, device);
            let (_, mut flat) = table(name, 40, 3, device);
            let whole = model.score_rows(&flat, MissingModes::Refuse).unwrap();
            let n_features = flat.len() / 40;
            flat[7 * n_features] = f32::NAN;
            flat[31 * n_features + 1] = f32::INFINITY;
            let scores = model.score_rows(&flat, MissingModes::Refuse).unwrap();
            let rows: Vec<usize> = scores.faults.iter().map(|fault| fault.row).collect();
            assert_eq!(rows, [7, 31], "{name}");
            assert!(
                scores.faults[1].message.ends_with("got inf"),
                "{}",
                scores.faults[1].message
            );
            for row in 0..40 {
                if rows.contains(&row) {
                    assert!(
                        row_bits(&scores, row)
                            .iter()
                            .all(|&bits| f32::from_bits(bits).is_nan())
                    );
                } else {
                    assert_eq!(
                        row_bits(&scores, row),
                        row_bits(&whole, row),
                        "{name}, row {row}"
                    );
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// On the CPU, the only device that promises bits.
    #[test]
    fn rows_score_the_same_whatever_is_missing_elsewhere(seed: u64) {
        let device = &Device::Cpu;
        let mut rng = emma_testkit::rng(seed);
        for name in MODELS {
            let model = model(name, device);
            let (modes, flat) = table(name, 30, seed, device);
            let whole = model.score_rows(&flat, MissingModes::Refuse).unwrap();
            let widths: Vec<usize> = modes.iter().map(|mode| mode.dims()[1]).collect();
            let n_features: usize = widths.iter().sum();
            let mut gaps = flat.clone();
            let mut present = Vec::new();
            for row in 0..30 {
                let kept = rng.random_range(0..widths.len());
                let mut start = 0;
                for (mode, &width) in widths.iter().enumerate() {
                    let there = mode == kept || rng.random_bool(0.7);
                    if !there {
                        // One value is enough.
                        gaps[row * n_features + start + rng.random_range(0..width)] = f32::NAN;
                    }
                    start += width;
                    present.push(there);
                }
            }
            let scores = model.score_rows(&gaps, MissingModes::LeaveOut).unwrap();
            prop_assert!(scores.faults.is_empty());
            let mask = ModeMask::new(present.clone(), widths.len()).unwrap();
            let prediction = model.predict_masked(&modes, &mask).unwrap();
            prop_assert_eq!(&prediction.answers, &Answers::Binary(scores.outputs.clone()));
            for (row, present) in mask.rows().enumerate() {
                let own = &gaps[row * n_features..][..n_features];
                let alone = model.score_rows(own, MissingModes::LeaveOut).unwrap();
                prop_assert_eq!(row_bits(&scores, row), row_bits(&alone, 0), "{} {}", name, row);
                if !present.contains(&false) {
                    prop_assert_eq!(row_bits(&scores, row), row_bits(&whole, row));
                    continue;
                }
                let Some(energies) = &scores.energies else { continue };
                let at = |values: &[f32], mode: usize| values[row * widths.len() + mode];
                let mut shares = 0.;
                for (mode, &there) in present.iter().enumerate() {
                    prop_assert_eq!(at(&energies.potential, mode).is_nan(), !there);
                    prop_assert_eq!(at(&energies.energy, mode).is_nan(), !there);
                    if there {
                        shares += f64::from(at(&energies.importance, mode));
                    } else {
                        prop_assert!(at(&energies.importance, mode).is_nan());
                        prop_assert_eq!(at(&energies.attention, mode).to_bits(), 0);
                    }
                }
                // Shares are rounded to f32.
                prop_assert!((shares - 1.).abs() < 2e-7, "{}", shares);
            }
        }
    }
}

#[test]
fn masks_and_rows_without_any_mode_are_refused_by_name() {
    let device = &Device::Cpu;
    let model = model("emma", device);
    let (modes, flat) = table("emma", 3, 1, device);
    let mask = ModeMask::new(vec![true; 4], 2).unwrap();
    let error = model.predict_masked(&modes, &mask).unwrap_err().to_string();
    assert!(error.contains("the mask"), "{error}");
    let n_features = flat.len() / 3;
    let mut gaps = flat;
    gaps[n_features..2 * n_features].fill(f32::NAN);
    let scores = model.score_rows(&gaps, MissingModes::LeaveOut).unwrap();
    assert_eq!(scores.faults.len(), 1);
    assert_eq!(scores.faults[0].row, 1);
    assert_eq!(
        scores.faults[0].message,
        "expected at least one mode, all are missing"
    );
    assert!(scores.outputs[1].is_nan());
}

#[test]
fn a_calibration_is_stored_beside_the_model_and_changes_no_score() {
    let device = &Device::Cpu;
    let stored = checkpoint("emma", &build("emma", 6, device));
    assert_eq!(Calibration::from_checkpoint(&stored).unwrap(), None);
    let model = TrainedModel::from_checkpoint(&stored, device).unwrap();
    let (modes, _) = table("emma", 5000, 3, device);
    let prediction = model.predict(&modes).unwrap();
    let potentials = prediction.explanation.unwrap().potential;
    let calibration = Calibration::new(&["a", "b"], &potentials).unwrap();
    let mut tensors = stored.tensors().clone();
    tensors.extend(calibration.tensors().unwrap());
    let calibrated = emma_models::Checkpoint::new(stored.metadata().clone(), tensors).unwrap();
    let bytes = calibrated.to_bytes().unwrap();
    let read = emma_models::Checkpoint::from_bytes(&bytes).unwrap();
    assert_eq!(
        Calibration::from_checkpoint(&read).unwrap(),
        Some(calibration)
    );
    let model = TrainedModel::from_checkpoint(&read, device).unwrap();
    let again = model.predict(&modes).unwrap();
    assert_eq!(again.answers, prediction.answers);
}
