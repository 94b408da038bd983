//! What one seed found.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Energies of some rows in a few numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) mean: f64,
    /// Quantiles at 10, 50 and 90 %.
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

impl Spread {
    /// Of at least one energy.
    pub(crate) fn of(energies: &[f64]) -> Self {
        let mut sorted = energies.to_vec();
        sorted.sort_by(f64::total_cmp);
        // Tenths, so that the rank is whole-number arithmetic.
        let at = |tenths: usize| sorted[(sorted.len() - 1) * tenths / 10];
        let n = energies.len() as f64;
        Self {
            mean: energies.iter().map(|energy| energy / n).sum(),
            low: at(1),
            median: at(5),
            high: at(9),
        }
    }
}

/// One estimator on one mode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct EstimatorOutcome {
    /// Area under the ROC curve of telling clean test rows from the same rows corrupted, by corruption.
    pub(crate) auc: BTreeMap<String, f64>,
    /// Energies of the test rows at each noise level of the settings.
    pub(crate) noise: Vec<Spread>,
    /// The same of the fit to positive rows alone: telling positive test rows from the negative.
    pub(crate) out_of_distribution_auc: f64,
    /// Share of clean test rows with less energy than a missing mode, which is all zeros.
    pub(crate) below_missing: f64,
    /// Energies of test rows for histograms, every one or so many that there are not too many: clean,
    /// at the summary's noise, and for the fit to positive rows the positive and the negative ones.
    pub(crate) examples: Examples,
    /// Seconds of the fit to all clean training rows.
    pub(crate) seconds: f64,
}

/// Energies by what the rows are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Examples {
    pub(crate) clean: Vec<f32>,
    pub(crate) noisy: Vec<f32>,
    pub(crate) positive: Vec<f32>,
    pub(crate) negative: Vec<f32>,
}

/// All of one seed: by mode, by estimator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SeedOutcome {
    pub(crate) seed: u64,
    pub(crate) modes: BTreeMap<String, BTreeMap<String, EstimatorOutcome>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_worked_by_hand() {
        let energies: Vec<f64> = (0..=10).rev().map(f64::from).collect();
        let spread = Spread::of(&energies);
        let found = [spread.mean, spread.low, spread.median, spread.high];
        for (found, expected) in found.into_iter().zip([5., 1., 5., 9.]) {
            assert!((found - expected).abs() < 1e-12, "{spread:?}");
        }
    }
}
