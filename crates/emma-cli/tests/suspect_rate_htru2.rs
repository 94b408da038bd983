//! The rate of false alarms on HTRU2 itself, for who has it.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

use std::path::Path;

use emma_data::{ModeSamples, SplitFractions, generator, htru2, stratified_split};
use emma_models::{Calibration, ConformalGate, FalseAlarms};

/// Squared standard scores of a mode's features, added: an energy that needs no training but means and deviations.
fn energies(mode: &ModeSamples, train: &[usize]) -> Vec<f32> {
    let n = train.len() as f64;
    let mut energies = vec![0.; mode.values.nrows()];
    for column in mode.values.columns() {
        let values = || train.iter().map(|&row| f64::from(column[row]));
        let mean = values().sum::<f64>() / n;
        let variance = values().map(|value| (value - mean).powi(2)).sum::<f64>() / n;
        for (energy, &value) in energies.iter_mut().zip(column) {
            *energy += ((f64::from(value) - mean).powi(2) / variance) as f32;
        }
    }
    energies
}

#[test]
fn on_htru2_false_alarms_are_within_one_point_of_the_rate() {
    let path = std::env::var_os("EMMA_DATA_DIR")
        .map(|folder| Path::new(&folder).join("htru2/HTRU_2.csv"))
        .filter(|path| path.is_file());
    let Some(path) = path else {
        eprintln!("SKIPPED: EMMA_DATA_DIR names no folder with htru2/HTRU_2.csv");
        return;
    };
    let samples = htru2::read_htru2(path).unwrap().samples;
    for rate in [0.01, 0.05, 0.1] {
        let mut mean = [0.; 2];
        for seed in 0..20 {
            let mut rng = generator(seed, "split");
            let fractions = SplitFractions::default();
            let split = stratified_split(samples.labels(), &fractions, &mut rng).unwrap();
            let modes = samples.modes().iter();
            let modes: Vec<Vec<f32>> = modes.map(|mode| energies(mode, &split.train)).collect();
            let of = |rows: &[usize]| -> Vec<Vec<f32>> {
                let of_row = |&row: &usize| modes.iter().map(|mode| mode[row]).collect();
                rows.iter().map(of_row).collect()
            };
            let calibration = Calibration::new(&["ip", "dm"], &of(&split.validation)).unwrap();
            let gate = ConformalGate::new(calibration, FalseAlarms::EachMode(rate)).unwrap();
            for row in of(&split.test) {
                for (mean, suspect) in mean.iter_mut().zip(gate.suspects(&row).unwrap()) {
                    *mean += f64::from(u8::from(suspect)) / (20 * split.test.len()) as f64;
                }
            }
        }
        for found in mean {
            assert!((found - rate).abs() < 0.01, "{rate}: {mean:?}");
            assert!(found > 0.);
        }
    }
}
