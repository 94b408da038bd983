//! The kinds of estimators, with the sizes that their parameters have.

use candle_core::{DType, Device};
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

use crate::autoencoder::{AutoencoderConfig, DenoisingAutoencoder};
use crate::error::Result;
use crate::estimator::FittedEstimator;
use crate::gaussian_mixture::{GaussianMixture, GaussianMixtureConfig};
use crate::integrable_energy::{IntegrableEnergy, IntegrableEnergyConfig};
use crate::mahalanobis::{Mahalanobis, MahalanobisConfig};
use crate::mlp_autoencoder::{MlpAutoencoder, MlpAutoencoderConfig, MlpReconstructionError};
use crate::nearest_neighbors::{NearestNeighbors, NearestNeighborsConfig};
use crate::potential_energy::{PotentialEnergy, ReconstructionError};
use crate::transfer::transfer;

/// Kind and sizes of a fitted estimator.
///
/// As JSON it is one object, whose key `kind` holds the kind in snake case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EstimatorConfig {
    /// [`PotentialEnergy`], the thesis's choice.
    PotentialEnergy(AutoencoderConfig),
    /// [`ReconstructionError`] of the same autoencoder.
    ReconstructionError(AutoencoderConfig),
    /// [`GaussianMixture`], a density.
    GaussianMixture(GaussianMixtureConfig),
    /// [`Mahalanobis`], the distance from the mean.
    Mahalanobis(MahalanobisConfig),
    /// [`NearestNeighbors`], the distance from the nearest clean rows.
    NearestNeighbors(NearestNeighborsConfig),
    /// [`MlpReconstructionError`], of an autoencoder with a bottleneck or several hidden layers.
    MlpReconstructionError(MlpAutoencoderConfig),
    /// [`IntegrableEnergy`], of a deep network.
    IntegrableEnergy(IntegrableEnergyConfig),
}

impl EstimatorConfig {
    /// The estimator of this kind with the parameters in `vb`, in its type and on its device.
    ///
    /// # Errors
    /// Candle's if a tensor is missing or has another shape; the kind's own if its sizes or
    /// parameters make no estimator.
    pub fn load(&self, vb: &VarBuilder) -> Result<Box<dyn FittedEstimator>> {
        Ok(match self {
            Self::PotentialEnergy(config) => {
                Box::new(PotentialEnergy(DenoisingAutoencoder::new(config, vb)?))
            }
            Self::ReconstructionError(config) => {
                Box::new(ReconstructionError(DenoisingAutoencoder::new(config, vb)?))
            }
            Self::GaussianMixture(config) => Box::new(GaussianMixture::new(config, vb)?),
            Self::Mahalanobis(config) => Box::new(Mahalanobis::new(config, vb)?),
            Self::NearestNeighbors(config) => Box::new(NearestNeighbors::new(config, vb)?),
            Self::MlpReconstructionError(config) => {
                Box::new(MlpReconstructionError(MlpAutoencoder::new(config, vb)?))
            }
            Self::IntegrableEnergy(config) => Box::new(IntegrableEnergy::new(config, vb)?),
        })
    }
}

/// The same estimator in another type, on another device: what [`load_estimator`](crate::load_estimator)
/// makes of it, without the file.
///
/// # Errors
/// Those of [`EstimatorConfig::load`].
pub fn in_type(
    estimator: &dyn FittedEstimator,
    dtype: DType,
    device: &Device,
) -> Result<Box<dyn FittedEstimator>> {
    let tensors = estimator
        .tensors()
        .into_iter()
        .map(|(name, tensor)| Ok((name, transfer(&tensor, dtype, device)?)))
        .collect::<Result<_>>()?;
    let vb = VarBuilder::from_tensors(tensors, dtype, device);
    estimator.config().load(&vb)
}
