//! The mixture in each state of the noise, ready for the kernel.

use std::sync::Arc;

use emma_kernels::{NoiseState, NoisyMixture, Real};

use super::JointDensityConfig;
use super::noise_model::{NoiseLevel, NoiseModel};
use crate::covariance::precision_cholesky;
use crate::error::Result;
use crate::gaussian_mixture::{GaussianMixture, check_finite, numbers};

/// A row's own terms for each mode: the densities of one that says nothing and of one that is swapped.
pub(super) const TERMS_PER_MODE: usize = 2;

/// What all states have in common, in f64.
#[derive(Debug)]
pub(super) struct Components {
    pub(super) mode_widths: Vec<usize>,
    pub(super) noise: NoiseModel,
    pub(super) levels: Vec<(NoiseLevel, f64)>,
    pub(super) most_exact_states: usize,
    /// First component of each class, and the number of all.
    pub(super) classes: Vec<usize>,
    /// Logarithms of the classes' shares, which sum to one.
    pub(super) log_class_weights: Vec<f64>,
    /// Which mode a feature belongs to.
    pub(super) mode_of: Vec<usize>,
    /// What the levels of each mode do to each feature: `[M, levels, L_i]`.
    channels: Vec<Vec<Vec<Channel>>>,
    /// Of all classes, one after the other.
    gaussians: Vec<Component>,
}

/// How a feature is seen: `x = gain · z + shift + std · ε`.
#[derive(Debug, Clone, Copy)]
struct Channel {
    gain: f64,
    shift: f64,
    std: f64,
}

impl Channel {
    fn noise(std: f64) -> Self {
        Self {
            gain: 1.,
            shift: 0.,
            std,
        }
    }

    /// Whether what is seen is the clean feature itself.
    fn is_clean(self) -> bool {
        self.std == 0.
    }
}

#[derive(Debug)]
struct Component {
    /// Of the component within its class, times the class's.
    log_weight: f64,
    mean: Vec<f64>,
    /// `[L, L]`.
    covariance: Vec<f64>,
}

/// The level of every mode.
pub(super) type JointState = Vec<usize>;

/// States that are summed over, and the kernel's form of them.
#[derive(Debug)]
pub(super) struct Table<R> {
    pub(super) states: Vec<JointState>,
    pub(super) mixture: NoisyMixture<R>,
}

impl Components {
    pub(super) fn new(
        config: &JointDensityConfig,
        classes: &[GaussianMixture],
        log_class_weights: &[f64],
    ) -> Result<Self> {
        check_finite("log_class_weights", log_class_weights)?;
        let n_features = config.n_features();
        let log_class_weights = normalized(log_class_weights);
        let mut components = Vec::new();
        let mut starts = vec![0];
        for (mixture, log_class_weight) in classes.iter().zip(&log_class_weights) {
            let log_weights = normalized(&numbers(mixture.log_weights())?);
            let means = numbers(mixture.means())?;
            let covariances = numbers(&mixture.covariances()?)?;
            for ((log_weight, mean), covariance) in log_weights
                .iter()
                .zip(means.chunks_exact(n_features))
                .zip(covariances.chunks_exact(n_features * n_features))
            {
                components.push(Component {
                    log_weight: log_weight + log_class_weight,
                    mean: mean.to_vec(),
                    covariance: covariance.to_vec(),
                });
            }
            starts.push(components.len());
        }
        let modes = config.mode_widths.iter().enumerate();
        Ok(Self {
            mode_widths: config.mode_widths.clone(),
            levels: config.noise.levels(),
            noise: config.noise.clone(),
            most_exact_states: config.most_exact_states,
            classes: starts,
            log_class_weights,
            channels: channels(config),
            mode_of: modes
                .flat_map(|(mode, &width)| std::iter::repeat_n(mode, width))
                .collect(),
            gaussians: components,
        })
    }

    pub(super) fn n_features(&self) -> usize {
        self.mode_of.len()
    }

    /// Whether any feature of each mode is there.
    pub(super) fn present(&self, observed: &[bool]) -> Vec<bool> {
        let mut present = vec![false; self.mode_widths.len()];
        for (&mode, &observed) in self.mode_of.iter().zip(observed) {
            present[mode] |= observed;
        }
        present
    }

    /// The kernel's form of states, each made by `of_state`.
    pub(super) fn table<R: Real>(
        &self,
        states: Vec<JointState>,
        of_state: impl FnMut(&JointState) -> Arc<NoiseState<R>>,
    ) -> Table<R> {
        Table {
            mixture: NoisyMixture {
                n_features: self.n_features(),
                n_terms: TERMS_PER_MODE * self.mode_widths.len(),
                classes: self.classes.clone(),
                states: states.iter().map(of_state).collect(),
            },
            states,
        }
    }

    /// One joint state, in which a mode of which nothing is there has no level.
    pub(super) fn state<R: Real>(&self, observed: &[bool], state: &JointState) -> NoiseState<R> {
        let n_features = self.n_features();
        let mut found = NoiseState::<R>::default();
        let mut log_prior = 0.;
        for (mode, present) in self.present(observed).into_iter().enumerate() {
            if !present {
                continue;
            }
            let (level, log_probability) = self.levels[state[mode]];
            log_prior += log_probability;
            match level {
                NoiseLevel::Gaussian(_) => {}
                NoiseLevel::Uninformative => found.terms.push(TERMS_PER_MODE * mode),
                NoiseLevel::Swapped => found.terms.push(TERMS_PER_MODE * mode + 1),
            }
        }
        // How each column is seen.
        let mut channels = Vec::new();
        let mut start = 0;
        for (mode, &width) in self.mode_widths.iter().enumerate() {
            for (feature, place) in (start..start + width).zip(0..) {
                match self.levels[state[mode]].0 {
                    NoiseLevel::Gaussian(_) if observed[feature] => {
                        let channel = self.channels[mode][state[mode]][place];
                        found.columns.push(feature);
                        channels.push(channel);
                        if !channel.is_clean() {
                            found.targets.push(feature);
                        }
                    }
                    _ => found.targets.push(feature),
                }
            }
            start += width;
        }
        let columns = found.columns.clone();
        let n = columns.len();
        let normalization = n as f64 * std::f64::consts::TAU.ln() / 2.;
        for component in &self.gaussians {
            let covariance = |a: usize, b: usize| component.covariance[a * n_features + b];
            let mut noisy = Vec::with_capacity(n * n);
            for (i, (&a, of_a)) in columns.iter().zip(&channels).enumerate() {
                for (j, (&b, of_b)) in columns.iter().zip(&channels).enumerate() {
                    let own = if i == j { of_a.std * of_a.std } else { 0. };
                    noisy.push(of_a.gain * of_b.gain * covariance(a, b) + own);
                }
            }
            let factor = precision_cholesky(&noisy, n);
            let log_determinant: f64 = (0..n).map(|i| factor[i * n + i].ln()).sum();
            let log_constant = component.log_weight + log_prior + log_determinant - normalization;
            found.log_constants.push(R::of(log_constant));
            let seen = |(&column, channel): (&usize, &Channel)| {
                channel.gain * component.mean[column] + channel.shift
            };
            let means: Vec<f64> = columns.iter().zip(&channels).map(seen).collect();
            found.means.extend(means.iter().copied().map(R::of));
            for (i, row) in factor.chunks_exact(n.max(1)).enumerate() {
                found
                    .factors
                    .extend(row[..=i].iter().map(|&value| R::of(value)));
            }
            let precision = gram(&factor, n);
            for &target in &found.targets {
                // E[z] = μ + Cov(z, x) P d, with x = seen mean + d, P the inverse of x's covariance. An observed target's
                // own value is already there. Seen with gain 1, it moves by −σ² P d, which is without cancellation.
                let place = columns.iter().position(|&column| column == target);
                let offset = component.mean[target] - place.map_or(0., |i| means[i]);
                found.offsets.push(R::of(offset));
                for j in 0..n {
                    let from_all = || -> f64 {
                        let column = columns.iter().zip(&channels).enumerate();
                        column
                            .map(|(i, (&column, channel))| {
                                channel.gain * covariance(target, column) * precision[i * n + j]
                            })
                            .sum()
                    };
                    let gain = match place {
                        Some(i) if channels[i].gain.to_bits() == 1f64.to_bits() => {
                            -channels[i].std.powi(2) * precision[i * n + j]
                        }
                        Some(i) => from_all() - if i == j { 1. } else { 0. },
                        None => from_all(),
                    };
                    found.gains.push(R::of(gain));
                }
            }
        }
        found
    }
}

/// What every level of every mode does to its features; that of a level that says nothing is not looked at.
fn channels(config: &JointDensityConfig) -> Vec<Vec<Vec<Channel>>> {
    let levels = config.noise.levels();
    let modes = config.mode_widths.iter().enumerate();
    modes
        .map(|(mode, &width)| {
            let measured = config.feature_noise.get(mode).filter(|own| !own.is_empty());
            let levels = levels.iter().enumerate();
            levels
                .map(|(place, &(level, _))| match (level, measured) {
                    (NoiseLevel::Gaussian(std), Some(measured)) if std > 0. => {
                        // The first level is the clean one.
                        let noise = &measured[place - 1];
                        let gains = noise.gain.iter().zip(&noise.shift).zip(&noise.std);
                        gains
                            .map(|((&gain, &shift), &std)| Channel { gain, shift, std })
                            .collect()
                    }
                    (NoiseLevel::Gaussian(std), _) => vec![Channel::noise(std); width],
                    _ => vec![Channel::noise(0.); width],
                })
                .collect()
        })
        .collect()
}

/// `Pᵀ P`.
fn gram(factor: &[f64], n: usize) -> Vec<f64> {
    let mut product = vec![0.; n * n];
    for i in 0..n {
        for j in 0..n {
            product[i * n + j] = (i.max(j)..n)
                .map(|k| factor[k * n + i] * factor[k * n + j])
                .sum();
        }
    }
    product
}

/// Less the logarithm of the sum of exponentials.
fn normalized(log_weights: &[f64]) -> Vec<f64> {
    let total = log_sum_exp(log_weights);
    log_weights.iter().map(|value| value - total).collect()
}

pub(super) use crate::gaussian_mixture::log_sum_exp;
