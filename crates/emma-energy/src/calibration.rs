//! The seam between an estimator's energies and those that attention sees.

use candle_core::Tensor;

use crate::error::Result;
use crate::estimator::EnergyEstimator;

/// A strictly increasing map of energies, fitted on clean rows.
///
/// Raw energies grow with the square of a deviation and differ in scale between modes, which holds
/// attention back. A calibration puts them on a common scale without changing which of two rows
/// is the more outlying.
pub trait Calibration: Send + Sync {
    /// Calibrated energies.
    ///
    /// # Shapes
    /// - `energies`: `[n]`
    /// - returns `[n]`; each element depends on the same element alone
    ///
    /// # Errors
    /// If the computation fails.
    fn calibrate(&self, energies: &Tensor) -> Result<Tensor>;
}

/// No calibration: energies as the estimator gives them, as in the thesis.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Raw;

impl Calibration for Raw {
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
