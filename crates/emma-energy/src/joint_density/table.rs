//! The mixture in each state of the noise, ready for the kernel.

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
    /// Of all classes, one after the other.
    gaussians: Vec<Component>,
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

    pub(super) fn table<R: Real>(&self, observed: &[bool], states: Vec<JointState>) -> Table<R> {
        let kernel_states = states.iter().map(|state| self.state(observed, state));
        Table {
            mixture: NoisyMixture {
                n_features: self.n_features(),
                n_terms: TERMS_PER_MODE * self.mode_widths.len(),
                classes: self.classes.clone(),
                states: kernel_states.collect(),
            },
            states,
        }
    }

    /// One joint state, in which a mode of which nothing is there has no level.
    fn state<R: Real>(&self, observed: &[bool], state: &JointState) -> NoiseState<R> {
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
        // Variance of each column's noise.
        let mut noise = Vec::new();
        for (feature, &observed) in observed.iter().enumerate() {
            let (level, _) = self.levels[state[self.mode_of[feature]]];
            match level {
                NoiseLevel::Gaussian(std) if observed => {
                    found.columns.push(feature);
                    noise.push(std * std);
                    if std > 0. {
                        found.targets.push(feature);
                    }
                }
                _ => found.targets.push(feature),
            }
        }
        let columns = found.columns.clone();
        let n = columns.len();
        let normalization = n as f64 * std::f64::consts::TAU.ln() / 2.;
        for component in &self.gaussians {
            let covariance = |a: usize, b: usize| component.covariance[a * n_features + b];
            let mut noisy: Vec<f64> = columns
                .iter()
                .flat_map(|&a| columns.iter().map(move |&b| covariance(a, b)))
                .collect();
            for (i, variance) in noise.iter().enumerate() {
                noisy[i * n + i] += variance;
            }
            let factor = precision_cholesky(&noisy, n);
            let log_determinant: f64 = (0..n).map(|i| factor[i * n + i].ln()).sum();
            let log_constant = component.log_weight + log_prior + log_determinant - normalization;
            found.log_constants.push(R::of(log_constant));
            let means = columns.iter().map(|&column| R::of(component.mean[column]));
            found.means.extend(means);
            for (i, row) in factor.chunks_exact(n.max(1)).enumerate() {
                found
                    .factors
                    .extend(row[..=i].iter().map(|&value| R::of(value)));
            }
            let precision = gram(&factor, n);
            for &target in &found.targets {
                // An observed target moves by −σ² Σ⁻¹ d; one that is not, to μ + Σ_target Σ⁻¹ d.
                let place = columns.iter().position(|&column| column == target);
                let offset = if place.is_some() {
                    0.
                } else {
                    component.mean[target]
                };
                found.offsets.push(R::of(offset));
                for j in 0..n {
                    let gain = match place {
                        Some(i) => -noise[i] * precision[i * n + j],
                        None => (0..n)
                            .map(|i| covariance(target, columns[i]) * precision[i * n + j])
                            .sum(),
                    };
                    found.gains.push(R::of(gain));
                }
            }
        }
        found
    }
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
