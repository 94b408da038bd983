//! The estimators that are compared.

use candle_core::{DType, Tensor};
use emma_data::Generator;
use emma_energy::{
    AutoencoderConfig, AutoencoderTraining, DenoisingAutoencoder, FittedEstimator,
    GaussianMixtureFit, MahalanobisFit, NearestNeighborsFit, PotentialEnergy, ReconstructionError,
    SeededVarMap, train_autoencoder,
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
    /// Ten components.
    GaussianMixture,
    /// One component.
    Mahalanobis,
    /// The mean distance of five.
    NearestNeighbors,
}

/// Sizes and training of the thesis's autoencoder, which its experiments choose differently.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct AutoencoderSetup {
    pub(crate) n_hidden: usize,
    pub(crate) training: AutoencoderTraining,
}

impl EstimatorKind {
    pub(crate) const ALL: [Self; 5] = [
        Self::PotentialEnergy,
        Self::ReconstructionError,
        Self::GaussianMixture,
        Self::Mahalanobis,
        Self::NearestNeighbors,
    ];

    /// Name in files.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::PotentialEnergy => "potential_energy",
            Self::ReconstructionError => "reconstruction_error",
            Self::GaussianMixture => "gaussian_mixture",
            Self::Mahalanobis => "mahalanobis",
            Self::NearestNeighbors => "nearest_neighbors",
        }
    }

    /// Name in tables and figures.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::PotentialEnergy => "potential",
            Self::ReconstructionError => "reconstruction",
            Self::GaussianMixture => "mixture",
            Self::Mahalanobis => "Mahalanobis",
            Self::NearestNeighbors => "neighbors",
        }
    }

    /// AUC at noise 0.5 on `ip` and on `dm` of HTRU2 in an independent study, if it has the estimator.
    pub(crate) fn independent_study(self) -> Option<(f64, f64)> {
        match self {
            Self::PotentialEnergy => Some((0.83, 0.91)),
            Self::GaussianMixture => Some((0.97, 0.998)),
            Self::NearestNeighbors => Some((0.95, 0.995)),
            Self::ReconstructionError | Self::Mahalanobis => None,
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
            Self::GaussianMixture => Box::new(GaussianMixtureFit::default().fit(rows, rng)?),
            Self::Mahalanobis => Box::new(MahalanobisFit::default().fit(rows, rng)?),
            Self::NearestNeighbors => Box::new(NearestNeighborsFit::default().fit(rows, rng)?),
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
