//! Denoising score matching at several noise levels.

use candle_core::{D, DType, Device, Tensor};
use candle_nn::Optimizer;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use super::{Activation, Architecture, IntegrableEnergy, IntegrableEnergyConfig};
use crate::adam::Adam;
use crate::error::{Error, Result, check_setting};
use crate::optimization::{mini_batches, shuffled_rows};
use crate::seeded_var_map::SeededVarMap;
use crate::training_rows::check_training_rows;
use crate::transfer::transfer;

/// How an [`IntegrableEnergy`] is made from clean rows.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use emma_energy::{EnergyEstimator, IntegrableEnergyFit};
/// use rand::SeedableRng;
///
/// # fn main() -> emma_energy::Result<()> {
/// // Clean rows on a circle. Its middle is far from all of them, but their mean.
/// let rows: Vec<Vec<f32>> = (0..400u16)
///     .map(|i| f32::from(i) * std::f32::consts::TAU / 400.)
///     .map(|angle| vec![angle.cos(), angle.sin()])
///     .collect();
/// let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(1);
/// let fit = IntegrableEnergyFit::default();
/// let estimator = fit.fit(&Tensor::new(rows, &Device::Cpu)?, rng)?;
/// let probes = Tensor::new(&[[0.6f32, 0.8], [0., 0.]], &Device::Cpu)?;
/// let energies = estimator.energy(&probes)?.to_vec1::<f32>()?;
/// assert!(energies[0] < energies[1]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IntegrableEnergyFit {
    /// The network's layers. Default two dense ones of 64 units.
    pub architecture: Architecture,
    /// What its units make of their input. Default tanh.
    pub activation: Activation,
    /// Passes over the rows. Default 40; at least 1.
    pub n_epochs: usize,
    /// Rows a step. Default 128; at least 1.
    pub batch_size: usize,
    /// Adam's first step size, which falls to zero in equal steps. Default 0.01; positive.
    pub learning_rate: f64,
    /// Standard deviations of the noise to be undone, in units of the rows; every row draws one of
    /// them in every epoch. Default 0.04, 0.08, 0.4 and 2; at least one, each positive.
    ///
    /// The smallest is the width to which the energy blurs the distribution of clean rows. The
    /// larger ones tell the network of rows farther out, where one small noise leaves valleys that
    /// no row has ever led into.
    pub noise_stds: Vec<f64>,
}

impl Default for IntegrableEnergyFit {
    fn default() -> Self {
        Self {
            architecture: Architecture::default(),
            activation: Activation::default(),
            n_epochs: 40,
            batch_size: 128,
            learning_rate: 1e-2,
            noise_stds: vec![0.04, 0.08, 0.4, 2.],
        }
    }
}

/// Denoising score matching at several noise levels:
/// `mean over rows of |r(x̃) − x|² / σ²`, with `x̃ = x + σ ε` and every row's own σ.
///
/// For one σ its minimum is `r(x̃) = x̃ + σ² ∂ log p_σ(x̃) / ∂x̃`, so `Φ = −σ² log p_σ` up to a
/// constant, with p_σ the distribution of clean rows blurred by the noise. Divided by σ², which
/// the squared error of an untrained energy grows with, every level has its say.
///
/// # Shapes
/// - `rows` (clean, x) and `corrupted_rows` (x̃): `[n, L]`
/// - `noise_stds` (σ): `[n]`, positive, in units of the rows
/// - returns a scalar
///
/// # Units
/// None.
///
/// # Errors
/// [`Error::FeatureCount`] for rows of another width.
///
/// # Source
/// Vincent, "A connection between score matching and denoising autoencoders" (2011); the levels
/// and their weights from Li, Chen and Sommer, "Learning energy-based models in high-dimensional
/// spaces with multi-scale denoising score matching" (2019).
pub fn score_matching_loss(
    energy: &IntegrableEnergy,
    rows: &Tensor,
    corrupted_rows: &Tensor,
    noise_stds: &Tensor,
) -> Result<Tensor> {
    let residual = (energy.reconstruct(corrupted_rows)? - rows)?;
    let errors = residual.sqr()?.sum(D::Minus1)?;
    Ok((errors / noise_stds.sqr()?)?.mean(0)?)
}

impl IntegrableEnergyFit {
    fn validate(&self) -> Result<()> {
        check_setting(self.n_epochs > 0, "n_epochs", "at least 1", self.n_epochs)?;
        check_setting(
            self.batch_size > 0,
            "batch_size",
            "at least 1",
            self.batch_size,
        )?;
        check_setting(
            self.learning_rate.is_finite() && self.learning_rate > 0.,
            "learning_rate",
            "positive and finite",
            self.learning_rate,
        )?;
        let positive = |std: &f64| std.is_finite() && *std > 0.;
        check_setting(
            !self.noise_stds.is_empty() && self.noise_stds.iter().all(positive),
            "noise_stds",
            "at least one, each positive and finite",
            format!("{:?}", self.noise_stds),
        )
    }

    /// Trains an energy on clean rows, in f32, by [`score_matching_loss`] with fresh noise in every
    /// epoch, and gives it in the rows' type.
    ///
    /// # Shapes
    /// - `rows`: `[n, L]`, clean and standardized
    ///
    /// # Errors
    /// [`Error::InvalidSetting`], [`Error::NoRows`], [`Error::NonFiniteRow`], and candle's.
    pub fn fit(&self, rows: &Tensor, rng: &mut impl Rng) -> Result<IntegrableEnergy> {
        self.validate()?;
        check_training_rows(rows)?;
        let (n_rows, n_features) = rows.dims2()?;
        if n_rows == 0 {
            return Err(Error::NoRows {
                purpose: "training an energy",
            });
        }
        let config = IntegrableEnergyConfig {
            n_features,
            architecture: self.architecture.clone(),
            activation: self.activation,
        };
        let variables = SeededVarMap::new(ChaCha8Rng::from_rng(rng));
        let vb = variables.var_builder(DType::F32, rows.device());
        let energy = IntegrableEnergy::new(&config, &vb)?;
        let clean = transfer(rows, DType::F32, rows.device())?;
        let mut optimizer = Adam::new(&variables, self.learning_rate)?;
        let n_steps = self.n_epochs * n_rows.div_ceil(self.batch_size);
        let mut step = 0usize;
        for _ in 0..self.n_epochs {
            let order = shuffled_rows(n_rows, rng, rows.device())?;
            let shuffled = clean.index_select(&order, 0)?;
            let (noise_stds, noise) = self.draw_noise(&shuffled, rng)?;
            let corrupted = (&shuffled + noise)?;
            for (start, length) in mini_batches(n_rows, self.batch_size) {
                let loss = score_matching_loss(
                    &energy,
                    &shuffled.narrow(0, start, length)?,
                    &corrupted.narrow(0, start, length)?,
                    &noise_stds.narrow(0, start, length)?,
                )?;
                let left = 1. - step as f64 / n_steps as f64;
                optimizer.set_learning_rate(self.learning_rate * left);
                optimizer.backward_step(&loss)?;
                step += 1;
            }
        }
        let vb = variables.constants(rows.dtype(), rows.device())?;
        IntegrableEnergy::new(&config, &vb)
    }

    /// A noise level for every row, `[n]`, and noise of that level, `[n, L]`.
    fn draw_noise(&self, rows: &Tensor, rng: &mut impl Rng) -> Result<(Tensor, Tensor)> {
        let (n_rows, n_features) = rows.dims2()?;
        let mut noise_stds = Vec::with_capacity(n_rows);
        let mut noise = Vec::with_capacity(n_rows * n_features);
        for _ in 0..n_rows {
            let std = self.noise_stds[rng.random_range(0..self.noise_stds.len())];
            noise_stds.push(std);
            let normal = StandardNormal.sample_iter(&mut *rng).take(n_features);
            noise.extend(normal.map(|normal: f64| std * normal));
        }
        let noise_stds = Tensor::from_vec(noise_stds, n_rows, &Device::Cpu)?;
        let noise = Tensor::from_vec(noise, rows.shape(), &Device::Cpu)?;
        Ok((
            transfer(&noise_stds, rows.dtype(), rows.device())?,
            transfer(&noise, rows.dtype(), rows.device())?,
        ))
    }
}
