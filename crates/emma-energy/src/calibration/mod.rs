//! The step between an estimator's energies and those that attention sees.

mod empirical;
mod generalized_pareto;
mod logarithm;
mod method;
mod standard_score;
mod surprisal;

use candle_core::{DType, Device, Tensor};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

pub use empirical::{ConformalPValue, EmpiricalQuantile};
pub use generalized_pareto::GeneralizedPareto;
pub use logarithm::Logarithm;
pub use method::{CalibrationMethod, FittedCalibration};
pub use standard_score::StandardScore;
pub use surprisal::{Surprisal, SurprisalFit};

use crate::error::{Error, Result};
use crate::estimator::EnergyEstimator;
use crate::transfer::transfer;

/// A map of energies that keeps their order, fitted on the energies of clean rows.
///
/// Raw energies grow with the square of a deviation and differ in scale between modes, which holds
/// attention back. A calibration puts them on a common scale without making the less outlying of two
/// rows the more outlying one.
///
/// An implementation promises that a value depends on its energy alone and never falls when the energy
/// rises, and that NaN stays NaN.
pub trait Calibration: Send + Sync {
    /// The calibrated value of one energy.
    fn value(&self, energy: f64) -> f64;

    /// The energy of a calibrated value: where [`value`](Self::value) is flat, the lowest such energy;
    /// for values that it does not reach, the energy of the nearest one that it does.
    ///
    /// It turns a limit on the common scale ("one false alarm in a hundred rows") into a limit of this
    /// estimator's energy.
    fn inverse(&self, value: f64) -> f64;

    /// Calibrated values of a tensor of energies, in its type and on its device.
    ///
    /// Values are computed on the CPU in f64. Unless an implementation says otherwise, they are constants
    /// to the gradient.
    ///
    /// # Shapes
    /// - `energies`: `[n]`
    /// - returns `[n]`
    ///
    /// # Errors
    /// Candle's.
    fn calibrate(&self, energies: &Tensor) -> Result<Tensor> {
        let values: Vec<f64> = transfer(energies, DType::F64, &Device::Cpu)?
            .to_vec1::<f64>()?
            .into_iter()
            .map(|energy| self.value(energy))
            .collect();
        let values = Tensor::from_vec(values, energies.dims1()?, &Device::Cpu)?;
        Ok(transfer(&values, energies.dtype(), energies.device())?)
    }
}

/// No calibration: energies as the estimator gives them, as in the thesis.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Raw;

impl Calibration for Raw {
    fn value(&self, energy: f64) -> f64 {
        energy
    }

    fn inverse(&self, value: f64) -> f64 {
        value
    }

    /// Gradients go through.
    fn calibrate(&self, energies: &Tensor) -> Result<Tensor> {
        Ok(energies.clone())
    }
}

/// An estimator followed by a calibration; an estimator itself.
#[derive(Debug, Clone)]
pub struct Calibrated<E, C> {
    /// Gives the raw energies.
    pub estimator: E,
    /// Maps them to the common scale.
    pub calibration: C,
}

impl<E: EnergyEstimator, C: Calibration> EnergyEstimator for Calibrated<E, C> {
    fn n_features(&self) -> usize {
        self.estimator.n_features()
    }

    fn energy(&self, rows: &Tensor) -> Result<Tensor> {
        self.calibration.calibrate(&self.estimator.energy(rows)?)
    }
}

/// Finite energies in ascending order, at least one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<f64>")]
struct SortedEnergies(Vec<f64>);

impl TryFrom<Vec<f64>> for SortedEnergies {
    type Error = String;

    fn try_from(energies: Vec<f64>) -> std::result::Result<Self, String> {
        let finite = energies.iter().all(|energy| energy.is_finite());
        if finite && !energies.is_empty() && energies.is_sorted() {
            return Ok(Self(energies));
        }
        Err("expected finite energies in ascending order, at least one".into())
    }
}

/// Reads a scale that energies can be divided by.
fn positive<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<f64, D::Error> {
    let scale = f64::deserialize(deserializer)?;
    check_scale(scale, "a calibration")
        .map_err(|_| D::Error::custom(format!("expected a positive scale, got {scale}")))
}

/// Reads any number of which arithmetic does not make NaN.
fn finite<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    if value.is_finite() {
        return Ok(value);
    }
    Err(D::Error::custom(format!(
        "expected a finite number, got {value}"
    )))
}

/// Energies of clean rows in ascending order, of which there is at least one and all are finite.
fn sorted(energies: &[f64], purpose: &'static str) -> Result<Vec<f64>> {
    if energies.is_empty() {
        return Err(Error::NoRows { purpose });
    }
    if let Some(row) = energies.iter().position(|energy| !energy.is_finite()) {
        return Err(Error::NonFiniteEnergy {
            row,
            value: energies[row],
        });
    }
    let mut sorted = energies.to_vec();
    sorted.sort_by(f64::total_cmp);
    Ok(sorted)
}

/// Accepts a scale that energies can be divided by.
fn check_scale(scale: f64, purpose: &'static str) -> Result<f64> {
    if scale.is_normal() && scale > 0. {
        return Ok(scale);
    }
    Err(Error::ConstantEnergies { purpose })
}

/// Value of the quantile `level` in `[0, 1]` of ascending numbers, linear between neighbors.
#[expect(clippy::cast_sign_loss, reason = "levels are not negative")]
fn quantile(sorted: &[f64], level: f64) -> f64 {
    let position = level * (sorted.len() - 1) as f64;
    let below = sorted[position.floor() as usize];
    let above = sorted[position.ceil() as usize];
    below + position.fract() * (above - below)
}
