//! Where an energy stands among those of clean rows.

use serde::{Deserialize, Serialize};

use super::{Calibration, SortedEnergies, quantile, sorted};
use crate::error::Result;

/// Share of clean rows that are less outlying: the empirical distribution function, linear between the
/// clean rows' energies, 0 at the lowest of them and 1 at the highest.
///
/// It compares any two modes, but knows no difference between rows beyond all clean ones.
///
/// # Units
/// A share, from 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EmpiricalQuantile {
    energies: SortedEnergies,
}

impl EmpiricalQuantile {
    /// Keeps the energies of clean rows.
    ///
    /// # Errors
    /// [`Error::NoRows`](crate::Error::NoRows),
    /// [`Error::NonFiniteEnergy`](crate::Error::NonFiniteEnergy).
    pub fn fit(energies: &[f64]) -> Result<Self> {
        let energies = sorted(energies, "the quantile of energies")?;
        Ok(Self {
            energies: SortedEnergies(energies),
        })
    }
}

impl Calibration for EmpiricalQuantile {
    fn value(&self, energy: f64) -> f64 {
        if energy.is_nan() {
            return energy;
        }
        let n = self.energies.0.len();
        let at_most = self.energies.0.partition_point(|&clean| clean <= energy);
        if at_most == 0 {
            return 0.;
        }
        if at_most == n {
            return 1.;
        }
        let (below, above) = (self.energies.0[at_most - 1], self.energies.0[at_most]);
        ((at_most - 1) as f64 + (energy - below) / (above - below)) / (n - 1) as f64
    }

    fn inverse(&self, value: f64) -> f64 {
        if value.is_nan() {
            return value;
        }
        quantile(&self.energies.0, value.clamp(0., 1.))
    }
}

/// Conformal p-value of an energy, as a calibration its distance from 1.
///
/// `p = (1 + number of clean rows of at least this energy) / (n + 1)`
///
/// If a row is drawn as the n clean ones were, the chance of `p ≤ a` is at most a, whatever the
/// estimator and whatever n, in the mean over draws of the clean rows. These must not be rows that the
/// estimator was fitted to. A p-value is small for outlying rows, so that the calibrated value, which
/// must not fall, is `1 − p`.
///
/// # Units
/// A probability: [`p_value`](Self::p_value) from `1 / (n + 1)` to 1.
///
/// # Source
/// Vovk, Gammerman and Shafer, "Algorithmic learning in a random world" (2005); Bates et al., "Testing
/// for outliers with conformal p-values" (2023).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConformalPValue {
    energies: SortedEnergies,
}

impl ConformalPValue {
    /// Keeps the energies of clean rows, which the estimator has not been fitted to.
    ///
    /// # Errors
    /// [`Error::NoRows`](crate::Error::NoRows),
    /// [`Error::NonFiniteEnergy`](crate::Error::NonFiniteEnergy).
    pub fn fit(energies: &[f64]) -> Result<Self> {
        let energies = sorted(energies, "the p-value of energies")?;
        Ok(Self {
            energies: SortedEnergies(energies),
        })
    }

    /// The p-value of an energy: small for outlying rows. NaN for NaN.
    pub fn p_value(&self, energy: f64) -> f64 {
        if energy.is_nan() {
            return energy;
        }
        let n = self.energies.0.len();
        let below = self.energies.0.partition_point(|&clean| clean < energy);
        (1 + n - below) as f64 / (n + 1) as f64
    }
}

impl Calibration for ConformalPValue {
    fn value(&self, energy: f64) -> f64 {
        1. - self.p_value(energy)
    }

    /// The least energy of a p-value of `1 − value` or less: of those that are reached, the clean row's
    /// next above.
    #[expect(clippy::cast_sign_loss, reason = "negative numbers become 0 before")]
    fn inverse(&self, value: f64) -> f64 {
        if value.is_nan() {
            return value;
        }
        let n = self.energies.0.len();
        // Rows that must lie strictly below, forgiving the rounding of `1 − p`.
        let below = (value * (n + 1) as f64 - 1e-9).ceil().max(0.) as usize;
        match below.min(n) {
            0 => f64::NEG_INFINITY,
            below => self.energies.0[below - 1].next_up(),
        }
    }
}
