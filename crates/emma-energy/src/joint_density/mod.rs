//! A density of all modes together, seen through noise of unknown strength.

mod feature_noise;
mod fit;
mod inference;
mod noise_model;
mod posterior;
mod table;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, check_features, check_setting};
use crate::gaussian_mixture::{GaussianMixture, GaussianMixtureConfig, numbers, rounded};
use crate::transfer::transfer;

pub use feature_noise::FeatureNoise;
pub use fit::JointDensityFit;
pub use noise_model::NoiseModel;
pub use posterior::JointPosterior;

use inference::Inference;
use table::Components;

/// Sizes and settings of a [`JointDensity`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JointDensityConfig {
    /// Features of each mode, in order; at least one mode, each at least 1.
    pub mode_widths: Vec<usize>,
    /// Components of the mixture of each class; at least one class, each at least 1.
    pub n_components: Vec<usize>,
    /// What is believed of the modes' noise.
    #[serde(default)]
    pub noise: NoiseModel,
    /// How many joint states of the modes are summed over exactly. Default 64; with more, levels of noise
    /// are found one mode at a time (see [`JointDensity`]).
    #[serde(default = "most_exact_states")]
    pub most_exact_states: usize,
    /// What each level of noise, one of [`NoiseModel::noise_std`] after the other, does to the features of each
    /// mode. None for a mode whose features are its own values, and none at all where all modes are such; the
    /// default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub feature_noise: Vec<Vec<FeatureNoise>>,
}

fn most_exact_states() -> usize {
    64
}

impl JointDensityConfig {
    fn validate(&self) -> Result<()> {
        check_setting(
            !self.mode_widths.is_empty() && !self.mode_widths.contains(&0),
            "mode_widths",
            "at least one mode, each of at least one feature",
            format_args!("{:?}", self.mode_widths),
        )?;
        check_setting(
            !self.n_components.is_empty() && !self.n_components.contains(&0),
            "n_components",
            "at least one class, each of at least one component",
            format_args!("{:?}", self.n_components),
        )?;
        self.noise.validate()?;
        let n_modes = self.mode_widths.len();
        check_setting(
            self.feature_noise.is_empty() || self.feature_noise.len() == n_modes,
            "feature_noise",
            "none, or an entry for each mode",
            format_args!("{} for {n_modes} modes", self.feature_noise.len()),
        )?;
        let n_levels = self.noise.noise_std.len();
        for (levels, &width) in self.feature_noise.iter().zip(&self.mode_widths) {
            check_setting(
                levels.is_empty() || levels.len() == n_levels,
                "feature_noise",
                "none, or an entry for each level of noise",
                format_args!("{} for {n_levels} levels", levels.len()),
            )?;
            levels.iter().try_for_each(|level| level.validate(width))?;
        }
        Ok(())
    }

    /// Features of a row, L.
    pub fn n_features(&self) -> usize {
        self.mode_widths.iter().sum()
    }
}

/// Density of clean rows, all modes together, one mixture of Gaussians a class; with it, what a noisy row was,
/// how noisy each mode is, and which class the row speaks for.
///
/// A mode alone cannot tell a rare value from a wrong one. Together the modes can: a profile that fits no
/// dispersion curve is noisy even if both are ordinary. Each mode i has a state s_i of noise
/// ([`NoiseModel`]), independent of the others' before the row is seen. With clean features z,
///
/// `p(x, c, s) = P(c) Π_i P(s_i) Σ_k w_ck N(x_o; μ_ck, Σ_ck + D(s)) Π_i∉o p(x_i | s_i)`,
///
/// where o are the features that are there and whose mode says something, D(s) is diagonal with the variance of each
/// feature's noise, and a mode that says nothing has a density of its own. Missing features are integrated
/// out, which is exact. From it follow, by Bayes:
///
/// - the expectation of the clean row, `E[z | x]`: a clean mode stays as it is, a noisy one is drawn towards
///   what it and the others say, one that is missing or says nothing becomes what the others say;
/// - `log p(x_S | c)` of all modes S, and of each mode alone;
/// - the energy of a mode, `v_i = E[log(1 + 4σ_i) | x]`, in which σ_i is the standard deviation of its noise.
///
/// With few modes ([`JointDensityConfig::most_exact_states`]) the sum over s is exact. With more, states are
/// found one mode at a time, from all clean, each the likeliest given the others', until none changes; the sum
/// is then over this state and all that differ from it in one mode: `1 + Σ_i (S_i − 1)` of them instead of
/// `Π_i S_i`. Energies are then conditional on the others' states.
///
/// # Invariants
/// - What is said of a row does not depend on the other rows, to the last bit.
/// - No gradient reaches the rows or the parameters: the density is fitted, then constant.
///
/// # Units
/// Those of the rows; the noise model's defaults suit standardized ones. Values beyond ±1e9 count as ±1e9, and a mode that
/// says nothing has a density of at least e⁻¹⁰⁰⁰, so that it does not drown the others.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use emma_energy::JointDensityFit;
/// use rand::SeedableRng;
///
/// // Two sensors of the same thing, of which there are two kinds.
/// let thing = |i: usize| if i % 2 == 0 { -2. } else { 2. } + (i as f64 / 3.).sin();
/// let sensor = |shift: f64| {
///     let read = |i| thing(i) + 0.1 * (i as f64 * shift).cos();
///     Tensor::from_vec((0..400).map(read).collect(), (400, 1), &Device::Cpu)
/// };
/// let labels: Vec<u32> = (0..400).map(|i| i % 2).collect();
/// let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
/// let clean = [sensor(5.)?, sensor(7.)?];
/// let density = JointDensityFit::default().fit(&clean, &labels, 2, &mut rng)?;
///
/// // The second sensor of the second row is off, that of the third says nothing at all.
/// let first = Tensor::new(&[[1.5f64], [1.5], [1.5]], &Device::Cpu)?;
/// let second = Tensor::new(&[[1.5f64], [9.], [f64::NAN]], &Device::Cpu)?;
/// let posterior = density.posterior(&[first, second])?;
/// let repaired = posterior.expectation[1].flatten_all()?.to_vec1::<f64>()?;
/// assert!(repaired.iter().all(|value| (1. ..2.).contains(value)), "{repaired:?}");
/// let energies = posterior.energies.to_vec2::<f64>()?;
/// assert!(energies[0][1] < energies[1][1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Source
/// This implementation. Noise of unknown strength in a mixture: J. Bovy, D. W. Hogg and S. T. Roweis, "Extreme
/// deconvolution" (2011), arXiv:0905.2979, where it is known.
#[derive(Debug, Clone)]
pub struct JointDensity {
    config: JointDensityConfig,
    classes: Vec<GaussianMixture>,
    /// Logarithms of the classes' shares, as stored.
    log_class_weights: Tensor,
    components: Arc<Components>,
    in_f32: Arc<OnceLock<Inference<f32>>>,
    in_f64: Arc<OnceLock<Inference<f64>>>,
}

impl JointDensity {
    /// Takes the parameters from `vb`: under `class.{c}` those of a [`GaussianMixture`] over all features,
    /// and `log_class_weights` `[C]`.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`], and those of [`GaussianMixture::new`].
    pub fn new(config: &JointDensityConfig, vb: &VarBuilder) -> Result<Self> {
        config.validate()?;
        let classes = config.n_components.iter().enumerate();
        let classes = classes
            .map(|(class, &n_components)| {
                let sizes = GaussianMixtureConfig {
                    n_features: config.n_features(),
                    n_components,
                };
                GaussianMixture::new(&sizes, &vb.pp("class").pp(class))
            })
            .collect::<Result<Vec<_>>>()?;
        let log_class_weights = vb.get(config.n_components.len(), "log_class_weights")?;
        Self::from_classes(config.clone(), classes, &log_class_weights)
    }

    fn from_classes(
        config: JointDensityConfig,
        classes: Vec<GaussianMixture>,
        log_class_weights: &Tensor,
    ) -> Result<Self> {
        let components = Components::new(&config, &classes, &numbers(log_class_weights)?)?;
        Ok(Self {
            config,
            classes,
            log_class_weights: log_class_weights.detach(),
            components: Arc::new(components),
            in_f32: Arc::default(),
            in_f64: Arc::default(),
        })
    }

    /// Its sizes and settings.
    pub fn config(&self) -> &JointDensityConfig {
        &self.config
    }

    /// The mixtures, one a class.
    pub fn classes(&self) -> &[GaussianMixture] {
        &self.classes
    }

    /// The same density with another belief about noise, which no parameter depends on. Where the noise of features was
    /// measured, its levels must remain.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`].
    pub fn with_noise(&self, noise: NoiseModel) -> Result<Self> {
        check_setting(
            self.config.feature_noise.is_empty() || noise.noise_std == self.config.noise.noise_std,
            "noise_std",
            "that which the noise of features was measured at",
            format_args!("{:?}", noise.noise_std),
        )?;
        let config = JointDensityConfig {
            noise,
            ..self.config.clone()
        };
        config.validate()?;
        Self::from_classes(config, self.classes.clone(), &self.log_class_weights)
    }

    /// All parameters by name, as [`new`](Self::new) takes them.
    pub fn tensors(&self) -> BTreeMap<String, Tensor> {
        let mut tensors = BTreeMap::from([(
            "log_class_weights".to_owned(),
            self.log_class_weights.clone(),
        )]);
        for (class, mixture) in self.classes.iter().enumerate() {
            let of_class = crate::estimator::FittedEstimator::tensors(mixture);
            tensors.extend(
                of_class
                    .into_iter()
                    .map(|(name, tensor)| (format!("class.{class}.{name}"), tensor)),
            );
        }
        tensors
    }

    /// What the density says about rows, computed on the CPU in the rows' type, f32 or f64; without
    /// gradient.
    ///
    /// # Shapes
    /// - `modes`: one `[n, L_i]` a mode; NaN where a feature is missing
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for another number of modes, [`Error::FeatureCount`] for modes of another
    /// width; candle's if the modes' rows differ.
    pub fn posterior(&self, modes: &[Tensor]) -> Result<JointPosterior> {
        let widths = &self.config.mode_widths;
        check_setting(
            modes.len() == widths.len(),
            "modes",
            "as many as the density has",
            format_args!("{} instead of {}", modes.len(), widths.len()),
        )?;
        for (mode, &width) in modes.iter().zip(widths) {
            check_features(mode, width)?;
        }
        let rows = Tensor::cat(modes, 1)?;
        let (dtype, device) = (rows.dtype(), rows.device().clone());
        if dtype == DType::F64 {
            let rows = on_cpu(&rows, DType::F64)?.to_vec1::<f64>()?;
            let inference = self
                .in_f64
                .get_or_init(|| Inference::new(self.components.clone()));
            posterior::tensors(&inference.infer(&rows), &self.config, dtype, &device)
        } else {
            let rows = on_cpu(&rows, DType::F32)?.to_vec1::<f32>()?;
            let inference = self
                .in_f32
                .get_or_init(|| Inference::new(self.components.clone()));
            posterior::tensors(&inference.infer(&rows), &self.config, dtype, &device)
        }
    }
}

fn on_cpu(rows: &Tensor, dtype: DType) -> Result<Tensor> {
    Ok(transfer(&rows.detach(), dtype, &Device::Cpu)?.flatten_all()?)
}

/// Logarithms of the shares of classes, as files hold them.
fn log_class_weights(n_rows: &[usize], dtype: DType, device: &Device) -> Result<Tensor> {
    let total: usize = n_rows.iter().sum();
    if n_rows.contains(&0) {
        return Err(Error::NoRows {
            purpose: "a class of a joint density",
        });
    }
    let shares = n_rows.iter().map(|&n| (n as f64 / total as f64).ln());
    rounded(shares.collect(), &[n_rows.len()], dtype, device)
}
