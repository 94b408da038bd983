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

/// Sizes and training of the thesis's autoencoder, which its experiments choose differently.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct AutoencoderSetup {
    pub(crate) n_hidden: usize,
    pub(crate) training: AutoencoderTraining,
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
        setup: &AutoencoderSetup,
        rng: &mut Generator,
    ) -> CommandResult<Box<dyn FittedEstimator>> {
        Ok(match self {
            Self::PotentialEnergy => Box::new(PotentialEnergy(autoencoder(rows, setup, rng)?)),
            Self::ReconstructionError => {
                Box::new(ReconstructionError(autoencoder(rows, setup, rng)?))
            }
        })
    }
}

/// The thesis's autoencoder, fitted.
pub(crate) fn autoencoder(
    rows: &Tensor,
    setup: &AutoencoderSetup,
    rng: &mut Generator,
) -> CommandResult<DenoisingAutoencoder> {
    let variables = SeededVarMap::new(Generator::from_rng(rng));
    let config = AutoencoderConfig {
        n_features: rows.dim(1)?,
        n_hidden: setup.n_hidden,
    };
    let vb = variables.var_builder(DType::F32, rows.device());
    let autoencoder = DenoisingAutoencoder::new(&config, &vb)?;
    train_autoencoder(&autoencoder, &variables, rows, &setup.training, rng)?;
    Ok(autoencoder)
}
