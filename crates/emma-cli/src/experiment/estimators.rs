//! The estimators that are compared.

use std::cell::OnceCell;

use candle_core::Tensor;
use emma_data::{Generator, generator};
use emma_energy::{
    DenoisingAutoencoder, FittedEstimator, GaussianMixtureFit, IntegrableEnergyFit, MahalanobisFit,
    MlpAutoencoderFit, NearestNeighborsFit, PotentialEnergy, PotentialEnergyFit,
    ReconstructionError,
};
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
    /// An autoencoder with a bottleneck, section 4.1.
    UndercompleteError,
    /// A deep network's energy whose gradient is its reconstruction field.
    IntegrableEnergy,
    /// Ten components.
    GaussianMixture,
    /// One component.
    Mahalanobis,
    /// The mean distance of five.
    NearestNeighbors,
}

impl EstimatorKind {
    pub(crate) const ALL: [Self; 7] = [
        Self::PotentialEnergy,
        Self::ReconstructionError,
        Self::UndercompleteError,
        Self::IntegrableEnergy,
        Self::GaussianMixture,
        Self::Mahalanobis,
        Self::NearestNeighbors,
    ];

    /// Name in files.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::PotentialEnergy => "potential_energy",
            Self::ReconstructionError => "reconstruction_error",
            Self::UndercompleteError => "undercomplete_error",
            Self::IntegrableEnergy => "integrable_energy",
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
            Self::UndercompleteError => "undercomplete",
            Self::IntegrableEnergy => "integrable",
            Self::GaussianMixture => "mixture",
            Self::Mahalanobis => "Mahalanobis",
            Self::NearestNeighbors => "neighbors",
        }
    }

    /// Name within a sentence.
    pub(crate) fn sentence_title(self) -> &'static str {
        match self {
            Self::PotentialEnergy => "potential energy",
            Self::ReconstructionError => "reconstruction error",
            Self::UndercompleteError => "error of an undercomplete autoencoder",
            Self::IntegrableEnergy => "deep integrable energy",
            Self::GaussianMixture => "Gaussian mixture",
            Self::Mahalanobis => "Mahalanobis distance",
            Self::NearestNeighbors => "distance to the nearest neighbors",
        }
    }

    /// AUC at noise 0.5 on `ip` and on `dm` of HTRU2 in an independent study, if it has the estimator.
    pub(crate) fn independent_study(self) -> Option<(f64, f64)> {
        match self {
            Self::PotentialEnergy => Some((0.83, 0.91)),
            Self::GaussianMixture => Some((0.97, 0.998)),
            Self::NearestNeighbors => Some((0.95, 0.995)),
            Self::ReconstructionError
            | Self::UndercompleteError
            | Self::IntegrableEnergy
            | Self::Mahalanobis => None,
        }
    }
}

/// What the experiments choose differently.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Setup {
    /// The thesis's autoencoder.
    pub(crate) autoencoder: PotentialEnergyFit,
    pub(crate) integrable: IntegrableEnergyFit,
}

/// Fits estimators to the same clean rows. Those that share the thesis's autoencoder share one that is
/// trained once.
pub(crate) struct Fits<'a> {
    pub(crate) rows: &'a Tensor,
    pub(crate) setup: &'a Setup,
    pub(crate) seed: u64,
    /// Which rows these are: each estimator has a random stream of its own.
    pub(crate) rows_name: &'a str,
    autoencoder: OnceCell<DenoisingAutoencoder>,
}

impl<'a> Fits<'a> {
    pub(crate) fn new(rows: &'a Tensor, setup: &'a Setup, seed: u64, rows_name: &'a str) -> Self {
        Self {
            rows,
            setup,
            seed,
            rows_name,
            autoencoder: OnceCell::new(),
        }
    }

    /// One estimator.
    pub(crate) fn fit(&self, kind: EstimatorKind) -> CommandResult<Box<dyn FittedEstimator>> {
        let (rows, rng) = (self.rows, &mut self.stream(kind.name()));
        Ok(match kind {
            EstimatorKind::PotentialEnergy => Box::new(PotentialEnergy(self.autoencoder()?)),
            EstimatorKind::ReconstructionError => {
                Box::new(ReconstructionError(self.autoencoder()?))
            }
            EstimatorKind::UndercompleteError => {
                Box::new(MlpAutoencoderFit::default().fit(rows, rng)?)
            }
            EstimatorKind::IntegrableEnergy => Box::new(self.setup.integrable.fit(rows, rng)?),
            EstimatorKind::GaussianMixture => {
                Box::new(GaussianMixtureFit::default().fit(rows, rng)?)
            }
            EstimatorKind::Mahalanobis => Box::new(MahalanobisFit::default().fit(rows, rng)?),
            EstimatorKind::NearestNeighbors => {
                Box::new(NearestNeighborsFit::default().fit(rows, rng)?)
            }
        })
    }

    /// The thesis's autoencoder, trained on first use.
    pub(crate) fn autoencoder(&self) -> CommandResult<DenoisingAutoencoder> {
        if let Some(trained) = self.autoencoder.get() {
            return Ok(trained.clone());
        }
        let fitted = self
            .setup
            .autoencoder
            .fit(self.rows, &mut self.stream("autoencoder"))?;
        Ok(self.autoencoder.get_or_init(|| fitted.0).clone())
    }

    fn stream(&self, purpose: &str) -> Generator {
        generator(self.seed, &format!("{} {purpose}", self.rows_name))
    }
}
