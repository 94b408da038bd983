//! The estimators that are compared.

use candle_core::{DType, Tensor};
use emma_data::Generator;
use emma_energy::{
    AutoencoderConfig, AutoencoderTraining, DenoisingAutoencoder, FittedEstimator, PotentialEnergy,
    ReconstructionError, SeededVarMap, train_autoencoder,
};
use rand::SeedableRng;
use serde::{Deserialize, Serialize};

use crate::failure::CommandResult;

/// One estimator with its setup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EstimatorKind {
    /// The thesis's.
    PotentialEnergy,
    /// The same autoencoder's other estimator.
    ReconstructionError,
}

impl EstimatorKind {
    pub(crate) const ALL: [Self; 2] = [Self::PotentialEnergy, Self::ReconstructionError];

    /// Name in files.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::PotentialEnergy => "potential_energy",
            Self::ReconstructionError => "reconstruction_error",
        }
    }

    /// Name in tables and figures.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::PotentialEnergy => "potential",
            Self::ReconstructionError => "reconstruction",
        }
    }

    /// AUC at noise 0.5 on `ip` and on `dm` of HTRU2 in an independent study, if it has the estimator.
    pub(crate) fn independent_study(self) -> Option<(f64, f64)> {
        match self {
            Self::PotentialEnergy => Some((0.83, 0.91)),
            Self::ReconstructionError => None,
        }
    }

    /// Fits it to clean standardized rows.
    pub(crate) fn fit(
        self,
        rows: &Tensor,
        rng: &mut Generator,
    ) -> CommandResult<Box<dyn FittedEstimator>> {
        Ok(match self {
            Self::PotentialEnergy => Box::new(PotentialEnergy(autoencoder(rows, rng)?)),
            Self::ReconstructionError => Box::new(ReconstructionError(autoencoder(rows, rng)?)),
        })
    }
}

/// The thesis's autoencoder, section 6.3.
fn autoencoder(rows: &Tensor, rng: &mut Generator) -> CommandResult<DenoisingAutoencoder> {
    let variables = SeededVarMap::new(Generator::from_rng(rng));
    let config = AutoencoderConfig {
        n_features: rows.dim(1)?,
        ..AutoencoderConfig::default()
    };
    let vb = variables.var_builder(DType::F32, rows.device());
    let autoencoder = DenoisingAutoencoder::new(&config, &vb)?;
    let training = AutoencoderTraining::default();
    train_autoencoder(&autoencoder, &variables, rows, &training, rng)?;
    Ok(autoencoder)
}
