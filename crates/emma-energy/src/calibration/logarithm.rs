//! Energies on a logarithmic scale.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::{Calibration, check_scale, finite, positive, quantile, sorted};
use crate::error::Result;

/// Quantile of the clean rows' energies from which the excess is counted.
const ORIGIN: f64 = 0.05;

/// Logarithm of an energy's excess over nearly all of its least outlying clean rows:
/// `sign(x) · ln(1 + |x|)` with `x = (e − origin) / scale`, origin the 5 % quantile of the clean rows'
/// energies and scale their median's distance from it.
///
/// It undoes the square growth: ten times the deviation adds `2 ln 10`. A half-clean row is at `ln 2`.
///
/// # Units
/// None; natural logarithm.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Logarithm {
    #[serde(deserialize_with = "finite")]
    origin: f64,
    #[serde(deserialize_with = "positive")]
    scale: f64,
}

impl Logarithm {
    /// Origin and scale from clean rows' energies.
    ///
    /// # Errors
    /// [`Error::NoRows`](crate::Error::NoRows),
    /// [`Error::NonFiniteEnergy`](crate::Error::NonFiniteEnergy), and
    /// [`Error::ConstantEnergies`](crate::Error::ConstantEnergies) if the 5 % quantile is the median.
    pub fn fit(energies: &[f64]) -> Result<Self> {
        const PURPOSE: &str = "the logarithm of energies";
        let energies = sorted(energies, PURPOSE)?;
        let origin = quantile(&energies, ORIGIN);
        let scale = check_scale(quantile(&energies, 0.5) - origin, PURPOSE)?;
        Ok(Self { origin, scale })
    }

    /// Energy that becomes 0.
    pub fn origin(&self) -> f64 {
        self.origin
    }

    /// Excess that becomes `ln 2`.
    pub fn scale(&self) -> f64 {
        self.scale
    }
}

impl Calibration for Logarithm {
    fn value(&self, energy: f64) -> f64 {
        let excess = (energy - self.origin) / self.scale;
        excess.signum() * excess.abs().ln_1p()
    }

    fn inverse(&self, value: f64) -> f64 {
        self.origin + self.scale * value.signum() * value.abs().exp_m1()
    }

    /// Gradients go through.
    fn calibrate(&self, energies: &Tensor) -> Result<Tensor> {
        let excess = ((energies - self.origin)? / self.scale)?;
        Ok((excess.sign()? * (excess.abs()? + 1.)?.log()?)?)
    }
}
