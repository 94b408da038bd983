//! Potential energy of a denoising autoencoder.

use std::collections::BTreeMap;

use candle_core::Tensor;

use crate::autoencoder::DenoisingAutoencoder;
use crate::error::Result;
use crate::estimator::{EnergyEstimator, FittedEstimator};
use crate::estimator_config::EstimatorConfig;

mod fused;
mod reference;

pub use reference::potential_energy_by_candle;

/// Potential energy of every row under an autoencoder.
///
/// `Ψ(x) = −Σ_k softplus(W x + b_f)_k + |x − b_g|² / 2`
///
/// It estimates the negative log-likelihood of a row up to scale and an unknown constant, so it
/// may be negative. Its gradient is `x − r(x)`, the way back from the reconstruction to the row.
///
/// On the CPU, in f32 and f64, one fused operation computes it and its gradients (by
/// [`emma_kernels::potential`]); elsewhere, and where types are mixed, candle's operations do
/// ([`potential_energy_by_candle`]). Both agree to rounding, on infinities and NaN as well.
///
/// # Shapes
/// - `rows`: `[n, L]`
/// - returns `[n]`; a row's value never depends on the other rows, bit for bit
///
/// # Units
/// Squared units of the rows; comparable between rows of one mode, not between modes.
///
/// # Errors
/// [`Error::FeatureCount`](crate::Error::FeatureCount) for rows of another width; candle's, if types
/// or devices differ.
///
/// # Source
/// Thesis eq. 4.7, without the constant.
/// Deviation: the thesis's own program takes one norm over the whole batch; this is per row.
pub fn potential_energy(autoencoder: &DenoisingAutoencoder, rows: &Tensor) -> Result<Tensor> {
    autoencoder.check_rows(rows)?;
    if fused::fits(autoencoder, rows) {
        return Ok(fused::potential_energy(autoencoder, rows)?);
    }
    potential_energy_by_candle(autoencoder, rows)
}

/// The [potential energy](potential_energy()) as an [`EnergyEstimator`]: the thesis's choice.
#[derive(Debug, Clone)]
pub struct PotentialEnergy(pub DenoisingAutoencoder);

impl EnergyEstimator for PotentialEnergy {
    fn n_features(&self) -> usize {
        self.0.n_features()
    }

    fn energy(&self, rows: &Tensor) -> Result<Tensor> {
        potential_energy(&self.0, rows)
    }
}

/// The [squared reconstruction error](DenoisingAutoencoder::reconstruction_error) as an
/// [`EnergyEstimator`].
#[derive(Debug, Clone)]
pub struct ReconstructionError(pub DenoisingAutoencoder);

impl EnergyEstimator for ReconstructionError {
    fn n_features(&self) -> usize {
        self.0.n_features()
    }

    fn energy(&self, rows: &Tensor) -> Result<Tensor> {
        self.0.reconstruction_error(rows)
    }
}

impl FittedEstimator for PotentialEnergy {
    fn config(&self) -> EstimatorConfig {
        EstimatorConfig::PotentialEnergy(self.0.config())
    }

    fn tensors(&self) -> BTreeMap<String, Tensor> {
        self.0.tensors()
    }
}

impl FittedEstimator for ReconstructionError {
    fn config(&self) -> EstimatorConfig {
        EstimatorConfig::ReconstructionError(self.0.config())
    }

    fn tensors(&self) -> BTreeMap<String, Tensor> {
        self.0.tensors()
    }
}
