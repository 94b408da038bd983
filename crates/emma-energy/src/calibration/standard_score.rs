//! Energies in standard deviations from their mean.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::{Calibration, check_scale, finite, positive, sorted};
use crate::error::Result;

/// Standard score `(e − mean) / std` of an energy among those of clean rows.
///
/// It makes modes of different scales comparable where both are near clean, but leaves the square growth
/// of energies far out.
///
/// # Units
/// Standard deviations of the clean rows' energies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StandardScore {
    /// Mean energy of the clean rows.
    #[serde(deserialize_with = "finite")]
    mean: f64,
    /// Population standard deviation of the clean rows' energies; positive.
    #[serde(deserialize_with = "positive")]
    std: f64,
}

impl StandardScore {
    /// Mean and population standard deviation of clean rows' energies.
    ///
    /// # Errors
    /// [`Error::NoRows`](crate::Error::NoRows),
    /// [`Error::NonFiniteEnergy`](crate::Error::NonFiniteEnergy), and
    /// [`Error::ConstantEnergies`](crate::Error::ConstantEnergies) if all energies are the same.
    pub fn fit(energies: &[f64]) -> Result<Self> {
        const PURPOSE: &str = "the standard score of energies";
        let energies = sorted(energies, PURPOSE)?;
        let n = energies.len() as f64;
        // Scaled first: the square of a large energy is beyond f64.
        let scale = check_scale(energies[energies.len() - 1] - energies[0], PURPOSE)?;
        let mean = energies.iter().map(|energy| energy / n).sum::<f64>();
        let variance = energies
            .iter()
            .map(|energy| ((energy - mean) / scale).powi(2))
            .sum::<f64>()
            / n;
        let std = check_scale(scale * variance.sqrt(), PURPOSE)?;
        Ok(Self { mean, std })
    }

    /// Mean energy of the clean rows.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Population standard deviation of the clean rows' energies.
    pub fn std(&self) -> f64 {
        self.std
    }
}

impl Calibration for StandardScore {
    fn value(&self, energy: f64) -> f64 {
        (energy - self.mean) / self.std
    }

    fn inverse(&self, value: f64) -> f64 {
        value * self.std + self.mean
    }

    /// Gradients go through.
    fn calibrate(&self, energies: &Tensor) -> Result<Tensor> {
        Ok(((energies - self.mean)? / self.std)?)
    }
}
