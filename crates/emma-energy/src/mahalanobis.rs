//! Distance of rows from their mean, in standard deviations of their own.

use std::collections::BTreeMap;

use candle_core::Tensor;
use candle_nn::VarBuilder;
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::error::{Result, check_setting};
use crate::estimator::{EnergyEstimator, FittedEstimator};
use crate::estimator_config::EstimatorConfig;
use crate::gaussian_mixture::{GaussianSum, check_covariance_floor, component_of, rounded};
use crate::training_rows::TrainingRows;

/// Sizes of a [`Mahalanobis`] distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MahalanobisConfig {
    /// Features per row, L; at least 1.
    pub n_features: usize,
}

/// How a [`Mahalanobis`] distance is fitted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MahalanobisFit {
    /// Added to the variance of every feature, in squared units of the rows. Default 1e-3, which
    /// suits standardized rows; from 1e-12 to 1e12.
    pub covariance_floor: f64,
}

impl Default for MahalanobisFit {
    fn default() -> Self {
        Self {
            covariance_floor: 1e-3,
        }
    }
}

impl MahalanobisFit {
    /// Mean and covariance of rows, computed in f64 and rounded to f32. One row is enough: the floor
    /// is then all its variance.
    ///
    /// `rng` is there because every fit has one; nothing is drawn.
    ///
    /// # Shapes
    /// - `rows`: `[n, L]`, n and L at least 1; the distance has their type and device
    ///
    /// # Errors
    /// [`Error::InvalidSetting`](crate::Error::InvalidSetting),
    /// [`Error::NoRows`](crate::Error::NoRows),
    /// [`Error::NonFiniteRow`](crate::Error::NonFiniteRow),
    /// [`Error::FeatureCount`](crate::Error::FeatureCount) for rows that are no matrix, and candle's.
    pub fn fit(&self, rows: &Tensor, _rng: &mut impl Rng) -> Result<Mahalanobis> {
        check_covariance_floor(self.covariance_floor)?;
        let training = TrainingRows::read(rows, "fitting a Mahalanobis distance")?;
        let all = vec![1.; training.len()];
        let component = component_of(&training, all.iter(), self.covariance_floor);
        let l = training.n_features();
        let (dtype, device) = (rows.dtype(), rows.device());
        Mahalanobis::from_parameters(
            &rounded(component.mean.clone(), &[l], dtype, device)?,
            &rounded(component.precision_cholesky(), &[l, l], dtype, device)?,
        )
    }
}

/// Half the squared Mahalanobis distance of a row from the mean of clean rows.
///
/// `E(x) = (x − μ)ᵀ Σ⁻¹ (x − μ) / 2 = |P (x − μ)|² / 2` with `Pᵀ P = Σ⁻¹`, P lower triangular. With
/// the half it is, but for a constant, the negative log-likelihood of one Gaussian: that of a
/// [`GaussianMixture`](crate::GaussianMixture) with one component, less its energy at the mean.
/// [`MahalanobisFit`] fits it.
///
/// # Parameters
/// Under the path of the `VarBuilder`: `mean` `[L]`, `precision_cholesky` `[L, L]` (P). They are
/// constants: no gradient reaches them.
///
/// # Units
/// Dimensionless: half the square of a distance in standard deviations. Zero at the mean; of rows
/// from a Gaussian the mean energy is L/2.
///
/// # Extremes
/// Those of [`GaussianMixture`](crate::GaussianMixture).
///
/// # Source
/// P. C. Mahalanobis, "On the generalised distance in statistics" (1936).
#[derive(Debug, Clone)]
pub struct Mahalanobis {
    mean: Tensor,
    precision_cholesky: Tensor,
    gaussians: GaussianSum,
}

impl Mahalanobis {
    /// Takes the parameters from `vb`.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`](crate::Error::InvalidSetting) for a size of zero, parameters that
    /// are not finite and a factor that is not lower triangular with a positive diagonal; candle's
    /// if a tensor is missing or has another shape.
    pub fn new(config: &MahalanobisConfig, vb: &VarBuilder) -> Result<Self> {
        let l = config.n_features;
        check_setting(l > 0, "n_features", "at least 1", l)?;
        Self::from_parameters(&vb.get(l, "mean")?, &vb.get((l, l), "precision_cholesky")?)
    }

    fn from_parameters(mean: &Tensor, precision_cholesky: &Tensor) -> Result<Self> {
        let (means, factors) = (mean.unsqueeze(0)?, precision_cholesky.unsqueeze(0)?);
        Ok(Self {
            mean: mean.detach(),
            precision_cholesky: precision_cholesky.detach(),
            // One term without a constant: the sum of one exponential and its logarithm leave it
            // as it is, to the bit.
            gaussians: GaussianSum::new(&means, &factors, |_| vec![0.])?,
        })
    }

    /// Its sizes.
    pub fn config(&self) -> MahalanobisConfig {
        MahalanobisConfig {
            n_features: self.gaussians.n_features(),
        }
    }

    /// Mean μ of the rows, `[L]`.
    pub fn mean(&self) -> &Tensor {
        &self.mean
    }

    /// Lower triangular factor P of the inverse covariance, `Pᵀ P = Σ⁻¹`, `[L, L]`.
    pub fn precision_cholesky(&self) -> &Tensor {
        &self.precision_cholesky
    }
}

impl EnergyEstimator for Mahalanobis {
    fn n_features(&self) -> usize {
        self.gaussians.n_features()
    }

    fn energy(&self, rows: &Tensor) -> Result<Tensor> {
        self.gaussians.energy(rows)
    }
}

impl FittedEstimator for Mahalanobis {
    fn config(&self) -> EstimatorConfig {
        EstimatorConfig::Mahalanobis(self.config())
    }

    fn tensors(&self) -> BTreeMap<String, Tensor> {
        BTreeMap::from([
            ("mean".to_owned(), self.mean.clone()),
            (
                "precision_cholesky".to_owned(),
                self.precision_cholesky.clone(),
            ),
        ])
    }
}
