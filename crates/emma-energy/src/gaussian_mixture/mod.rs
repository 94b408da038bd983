//! Negative log-likelihood of rows under a mixture of Gaussians.

mod expectation_maximization;
mod fit;
mod fused;
mod gaussian_sum;
mod initialization;

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use crate::covariance::{times_own_transpose, triangular_inverse};
use crate::error::{Error, Result, check_features, check_setting};
use crate::estimator::{EnergyEstimator, FittedEstimator};
use crate::estimator_config::EstimatorConfig;
use crate::transfer::transfer;

pub(crate) use expectation_maximization::component_of;
pub(crate) use fit::check_covariance_floor;
pub use fit::{ComponentChoice, GaussianMixtureFit};
pub(crate) use gaussian_sum::{GaussianSum, check_finite, numbers};

use expectation_maximization::{Component, log_constants};
use fused::Kernel;
pub(crate) use fused::log_sum_exp;

/// Sizes of a [`GaussianMixture`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GaussianMixtureConfig {
    /// Features per row, L; at least 1.
    pub n_features: usize,
    /// Components, K; at least 1.
    pub n_components: usize,
}

/// Mixture of Gaussians with full covariances; the energy of a row is its negative log-likelihood.
///
/// `E(x) = −log Σ_k w_k N(x; μ_k, Σ_k)`, with weights w_k that sum to one. With `P_kᵀ P_k = Σ_k⁻¹`,
/// P_k lower triangular,
/// `log N(x; μ_k, Σ_k) = log det P_k − |P_k (x − μ_k)|²/2 − L log(2π)/2`.
///
/// [`GaussianMixtureFit`] fits it. Unlike the thesis's potential it is a density: it integrates to
/// one, and two mixtures of the same rows are on the same scale.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use emma_energy::{ComponentChoice, EnergyEstimator, GaussianMixtureFit};
/// use rand::SeedableRng;
///
/// // Two groups of rows.
/// let rows: Vec<f32> = (0..100u8).map(|i| f32::from(i % 2) * 9. + f32::from(i) / 99.).collect();
/// let rows = Tensor::from_vec(rows, (100, 1), &Device::Cpu)?;
/// let fit = GaussianMixtureFit {
///     components: ComponentChoice::LowestBic { at_least: 1, at_most: 4 },
///     ..Default::default()
/// };
/// let mixture = fit.fit(&rows, &mut rand_chacha::ChaCha8Rng::seed_from_u64(1))?;
/// let probes = Tensor::new(&[[0.5f32], [5.]], &Device::Cpu)?;
/// let energies = mixture.energy(&probes)?.to_vec1::<f32>()?;
/// assert!(energies[0] < energies[1], "a row between the groups is the more outlying");
/// # Ok::<(), emma_energy::Error>(())
/// ```
///
/// # Parameters
/// Under the path of the `VarBuilder`: `log_weights` `[K]`, `means` `[K, L]`, `precision_cholesky`
/// `[K, L, L]` (P, read `[component, output, input]`). They are constants: no gradient reaches
/// them. Weights are divided by their sum, so that rounded ones sum to one again.
///
/// # Units
/// Energies are in nats. A density has the inverse units of the rows, each to the L-th power, so
/// energies of modes of different widths differ by more than outlyingness.
///
/// # Extremes
/// Of a row with finite features the energy is never NaN; it is infinite if its square is beyond the
/// type, from about 1e19 standard deviations on in f32. Such a row's gradient is zero on the CPU.
#[derive(Debug, Clone)]
pub struct GaussianMixture {
    log_weights: Tensor,
    gaussians: GaussianSum,
}

impl GaussianMixture {
    /// Takes the parameters from `vb`.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for a size of zero, parameters that are not finite and factors that
    /// are not lower triangular with a positive diagonal; candle's if a tensor is missing or has
    /// another shape.
    pub fn new(config: &GaussianMixtureConfig, vb: &VarBuilder) -> Result<Self> {
        let GaussianMixtureConfig {
            n_features: l,
            n_components: k,
        } = *config;
        check_setting(l > 0, "n_features", "at least 1", l)?;
        check_setting(k > 0, "n_components", "at least 1", k)?;
        Self::from_parameters(
            &vb.get(k, "log_weights")?,
            &vb.get((k, l), "means")?,
            &vb.get((k, l, l), "precision_cholesky")?,
        )
    }

    fn from_parameters(
        log_weights: &Tensor,
        means: &Tensor,
        precision_cholesky: &Tensor,
    ) -> Result<Self> {
        let log_weight_values = numbers(log_weights)?;
        check_finite("log_weights", &log_weight_values)?;
        let gaussians = GaussianSum::new(means, precision_cholesky, |factors| {
            log_constants(&normalized(&log_weight_values), factors)
        })?;
        Ok(Self {
            log_weights: log_weights.detach(),
            gaussians,
        })
    }

    fn from_components(components: &[Component], dtype: DType, device: &Device) -> Result<Self> {
        let (k, l) = (components.len(), components[0].mean.len());
        let tensor = |values, shape: &[usize]| rounded(values, shape, dtype, device);
        let collect = |part: fn(&Component) -> Vec<f64>| components.iter().flat_map(part).collect();
        Self::from_parameters(
            &tensor(collect(|c| vec![c.weight.ln()]), &[k])?,
            &tensor(collect(|c| c.mean.clone()), &[k, l])?,
            &tensor(collect(Component::precision_cholesky), &[k, l, l])?,
        )
    }

    /// Its sizes.
    pub fn config(&self) -> GaussianMixtureConfig {
        GaussianMixtureConfig {
            n_features: self.gaussians.n_features(),
            n_components: self.n_components(),
        }
    }

    /// Components, K.
    pub fn n_components(&self) -> usize {
        self.log_weights.elem_count()
    }

    /// Logarithms of the weights `[K]`, as stored: their exponentials sum to one up to rounding.
    pub fn log_weights(&self) -> &Tensor {
        &self.log_weights
    }

    /// Means of the components, `[K, L]`.
    pub fn means(&self) -> &Tensor {
        self.gaussians.means()
    }

    /// Lower triangular factors P_k of the inverse covariances, `P_kᵀ P_k = Σ_k⁻¹`, `[K, L, L]`.
    pub fn precision_cholesky(&self) -> &Tensor {
        self.gaussians.precision_cholesky()
    }

    /// Covariances of the components, the floor included.
    ///
    /// # Shapes
    /// - returns `[K, L, L]`, f64 on the CPU
    ///
    /// # Errors
    /// Only candle's own.
    pub fn covariances(&self) -> Result<Tensor> {
        let (k, l) = self.means().dims2()?;
        let covariances: Vec<f64> = numbers(self.precision_cholesky())?
            .chunks_exact(l * l)
            .flat_map(|factor| times_own_transpose(&triangular_inverse(factor, l), l))
            .collect();
        Ok(Tensor::from_vec(covariances, (k, l, l), &Device::Cpu)?)
    }

    /// Responsibilities of the components for rows: the probability that a row came from each,
    /// `r_k = w_k N(x; μ_k, Σ_k) / Σ_j w_j N(x; μ_j, Σ_j)`.
    ///
    /// Computed in f64 on the CPU, so that rows far out have responsibilities too; without gradient.
    ///
    /// # Shapes
    /// - `rows`: `[n, L]`
    /// - returns `[n, K]`, of the rows' type and device; a row sums to one
    ///
    /// # Errors
    /// [`Error::FeatureCount`] for rows of another width.
    pub fn responsibilities(&self, rows: &Tensor) -> Result<Tensor> {
        check_features(rows, self.n_features())?;
        let n_rows = rows.dim(0)?;
        let mut responsibilities = Vec::with_capacity(n_rows * self.n_components());
        self.kernel()?.for_each_row(&numbers(rows)?, |_, terms| {
            let log_likelihood = log_sum_exp(terms);
            responsibilities.extend(terms.iter().map(|term| (term - log_likelihood).exp()));
        });
        let shape = (n_rows, self.n_components());
        let tensor = Tensor::from_vec(responsibilities, shape, &Device::Cpu)?;
        Ok(transfer(&tensor, rows.dtype(), rows.device())?)
    }

    /// Bayesian information criterion of the mixture for rows, as in
    /// [`ComponentChoice::LowestBic`]: the lower, the better. Computed in f64 on the CPU.
    ///
    /// # Shapes
    /// - `rows`: `[n, L]`, n at least 1
    ///
    /// # Errors
    /// [`Error::FeatureCount`] for rows of another width, [`Error::NoRows`] for no rows.
    pub fn bic(&self, rows: &Tensor) -> Result<f64> {
        check_features(rows, self.n_features())?;
        let n_rows = rows.dim(0)?;
        if n_rows == 0 {
            return Err(Error::NoRows {
                purpose: "the Bayesian information criterion",
            });
        }
        let energies = self.kernel()?.energies(&numbers(rows)?);
        let mean_log_likelihood = -energies.iter().sum::<f64>() / n_rows as f64;
        Ok(bayesian_information_criterion(
            mean_log_likelihood,
            n_rows,
            self.n_components(),
            self.n_features(),
        ))
    }

    /// Draws rows from the mixture.
    ///
    /// # Shapes
    /// - returns `[n_rows, L]`, of the mixture's type and device
    ///
    /// # Errors
    /// Only candle's own.
    pub fn sample(&self, n_rows: usize, rng: &mut impl Rng) -> Result<Tensor> {
        let l = self.n_features();
        let weights: Vec<f64> = normalized(&numbers(&self.log_weights)?)
            .iter()
            .map(|log_weight| log_weight.exp())
            .collect();
        let means = numbers(self.means())?;
        let roots: Vec<Vec<f64>> = numbers(self.precision_cholesky())?
            .chunks_exact(l * l)
            .map(|factor| triangular_inverse(factor, l))
            .collect();
        let mut rows = Vec::with_capacity(n_rows * l);
        for _ in 0..n_rows {
            let mut left = rng.random::<f64>();
            let drawn = weights.iter().position(|weight| {
                left -= weight;
                left < 0.
            });
            let component = drawn.unwrap_or(weights.len() - 1);
            let deviates: Vec<f64> = StandardNormal.sample_iter(&mut *rng).take(l).collect();
            let root = roots[component].chunks_exact(l);
            rows.extend(means[component * l..].iter().zip(root).map(|(mean, root)| {
                let products = root.iter().zip(&deviates);
                mean + products.map(|(root, deviate)| root * deviate).sum::<f64>()
            }));
        }
        let rows = Tensor::from_vec(rows, (n_rows, l), &Device::Cpu)?;
        let means = self.means();
        Ok(transfer(&rows, means.dtype(), means.device())?)
    }

    /// The terms of the mixture in f64, whatever its type and device.
    fn kernel(&self) -> Result<Kernel<f64>> {
        let factors = numbers(self.precision_cholesky())?;
        let log_weights = normalized(&numbers(&self.log_weights)?);
        let log_constants = log_constants(&log_weights, &factors);
        Ok(Kernel::new(
            &numbers(self.means())?,
            &factors,
            &log_constants,
        ))
    }
}

/// Parameters as a tensor, rounded to f32, which files hold, whatever its type.
pub(crate) fn rounded(
    values: Vec<f64>,
    shape: &[usize],
    dtype: DType,
    device: &Device,
) -> Result<Tensor> {
    let tensor = Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(DType::F32)?;
    Ok(transfer(&tensor, dtype, device)?)
}

/// Log-weights less the logarithm of their sum.
fn normalized(log_weights: &[f64]) -> Vec<f64> {
    let total = log_sum_exp(log_weights);
    log_weights.iter().map(|value| value - total).collect()
}

/// See [`ComponentChoice::LowestBic`].
fn bayesian_information_criterion(
    mean_log_likelihood: f64,
    n_rows: usize,
    n_components: usize,
    n_features: usize,
) -> f64 {
    let (n, k, l) = (n_rows as f64, n_components as f64, n_features as f64);
    let n_parameters = k - 1. + k * l + k * l * (l + 1.) / 2.;
    -2. * n * mean_log_likelihood + n_parameters * n.ln()
}

impl EnergyEstimator for GaussianMixture {
    fn n_features(&self) -> usize {
        self.gaussians.n_features()
    }

    fn energy(&self, rows: &Tensor) -> Result<Tensor> {
        self.gaussians.energy(rows)
    }
}

impl FittedEstimator for GaussianMixture {
    fn config(&self) -> EstimatorConfig {
        EstimatorConfig::GaussianMixture(self.config())
    }

    fn tensors(&self) -> BTreeMap<String, Tensor> {
        BTreeMap::from([
            ("log_weights".to_owned(), self.log_weights.clone()),
            ("means".to_owned(), self.means().clone()),
            (
                "precision_cholesky".to_owned(),
                self.precision_cholesky().clone(),
            ),
        ])
    }
}
