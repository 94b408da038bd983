//! The kinds of estimators, with the sizes that their parameters have.

use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

use crate::autoencoder::{AutoencoderConfig, DenoisingAutoencoder};
use crate::error::Result;
use crate::estimator::FittedEstimator;
use crate::integrable_energy::{IntegrableEnergy, IntegrableEnergyConfig};
use crate::mlp_autoencoder::{MlpAutoencoder, MlpAutoencoderConfig, MlpReconstructionError};
use crate::potential_energy::{PotentialEnergy, ReconstructionError};

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
            Self::MlpReconstructionError(config) => {
                Box::new(MlpReconstructionError(MlpAutoencoder::new(config, vb)?))
            }
            Self::IntegrableEnergy(config) => Box::new(IntegrableEnergy::new(config, vb)?),
        })
    }
}
