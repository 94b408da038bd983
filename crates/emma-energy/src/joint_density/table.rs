//! The mixture in each state of the noise, ready for the kernel.

use std::ops::Range;
use std::sync::Arc;

use emma_kernels::{NoiseFamily, NoiseState, NoisyMixture, Real, Whitening};

use super::JointDensityConfig;
use super::noise_model::{NoiseLevel, NoiseModel};
use crate::covariance::{eigen, precision_cholesky};
use crate::error::Result;
use crate::gaussian_mixture::{GaussianMixture, check_finite, numbers};

/// A row's own terms for each mode: the densities of one that says nothing and of one that is swapped.
pub(super) const TERMS_PER_MODE: usize = 2;

/// Least variance of a combination of a mode's features given the other modes, as a share of what it would be if
/// nothing was correlated: less is rounding.
const LEAST_VARIANCE: f64 = 1e-12;

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
#[derive(Debug, Clone, Copy, PartialEq)]
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

impl Component {
    fn covariance(&self, a: usize, b: usize) -> f64 {
        self.covariance[a * self.mean.len() + b]
    }
}

/// The level of every mode.
pub(super) type JointState = Vec<usize>;

/// States that are summed over, and the kernel's form of them.
#[derive(Debug)]
pub(super) struct Table<R> {
    /// In the order in which the kernel has them.
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

    /// Whether states that differ in the level of a mode only have a whitening in common: whether all noise
    /// does to its features is to add as much variance to each.
    pub(super) fn is_scaled(&self, mode: usize) -> bool {
        self.channels[mode].iter().all(|channels| {
            let plain = Channel::noise(channels[0].std);
            channels.iter().all(|channel| *channel == plain)
        })
    }

    /// The mixture in a state, or, of a mode that [`is_scaled`](Self::is_scaled), in those that have its levels,
    /// one after the other. A mode of which nothing is there has no level.
    pub(super) fn views<R: Real>(
        &self,
        observed: &[bool],
        state: &JointState,
        scaled: Option<usize>,
    ) -> Vec<View<R>> {
        let seen = self.seen(observed, state, scaled);
        let components = self.gaussians.iter();
        let whitened: Vec<Whitened> = components.map(|own| seen.whiten(own)).collect();
        let whitening = Arc::new(Whitening {
            columns: seen.columns.clone(),
            n_scaled: seen.n_scaled,
            means: rounded(whitened.iter().flat_map(|own| own.means.iter().copied())),
            factors: rounded(whitened.iter().flat_map(Whitened::packed)),
        });
        let view = |state: JointState| View {
            whitening: whitening.clone(),
            state: Arc::new(self.noise_state(observed, &state, scaled, &seen, &whitened)),
        };
        match scaled {
            None => vec![view(state.clone())],
            Some(mode) => levels_of(state, mode, self.levels.len())
                .map(view)
                .collect(),
        }
    }

    /// What components look at in a state, or in all states that differ from it in the level of a mode.
    fn seen(&self, observed: &[bool], state: &JointState, scaled: Option<usize>) -> Seen {
        let mut seen = Seen {
            columns: Vec::new(),
            channels: Vec::new(),
            n_scaled: 0,
        };
        let mut own = Vec::new();
        let mut start = 0;
        for (mode, &width) in self.mode_widths.iter().enumerate() {
            for (feature, place) in (start..start + width).zip(0..) {
                if !observed[feature] {
                    continue;
                }
                if scaled == Some(mode) {
                    own.push(feature);
                } else if let NoiseLevel::Gaussian(_) = self.levels[state[mode]].0 {
                    seen.columns.push(feature);
                    seen.channels.push(self.channels[mode][state[mode]][place]);
                }
            }
            start += width;
        }
        seen.n_scaled = own.len();
        seen.columns.extend(own);
        let n_columns = seen.columns.len();
        seen.channels.resize(n_columns, Channel::noise(0.));
        seen
    }

    fn noise_state<R: Real>(
        &self,
        observed: &[bool],
        state: &JointState,
        scaled: Option<usize>,
        seen: &Seen,
        whitened: &[Whitened],
    ) -> NoiseState<R> {
        let mut terms = Vec::new();
        let mut log_prior = 0.;
        for (mode, present) in self.present(observed).into_iter().enumerate() {
            if !present {
                continue;
            }
            let (level, log_probability) = self.levels[state[mode]];
            log_prior += log_probability;
            match level {
                NoiseLevel::Gaussian(_) => {}
                NoiseLevel::Uninformative => terms.push(TERMS_PER_MODE * mode),
                NoiseLevel::Swapped => terms.push(TERMS_PER_MODE * mode + 1),
            }
        }
        let n = seen.columns.len();
        let mut channels = seen.channels.clone();
        // Of the mode whose level it is, if it says anything.
        let own = scaled.map(|mode| {
            (
                self.levels[state[mode]].0,
                &self.channels[mode][state[mode]],
            )
        });
        let variance = match own {
            None => Some(0.),
            Some((NoiseLevel::Gaussian(_), own)) => {
                let std = own[0].std;
                channels[n - seen.n_scaled..].fill(Channel::noise(std));
                Some(std * std)
            }
            Some(_) => {
                channels.truncate(n - seen.n_scaled);
                None
            }
        };
        let kept = &seen.columns[..channels.len()];
        let is_clean = |feature: usize| {
            let place = kept.iter().position(|&column| column == feature);
            place.is_some_and(|place| channels[place].is_clean())
        };
        let mut found = NoiseState {
            terms,
            n_kept: kept.len(),
            targets: (0..self.n_features())
                .filter(|&feature| !is_clean(feature))
                .collect(),
            ..NoiseState::default()
        };
        let normalization = kept.len() as f64 * std::f64::consts::TAU.ln() / 2.;
        for (component, whitened) in self.gaussians.iter().zip(whitened) {
            let precisions: Vec<f64> = whitened
                .variances
                .iter()
                .map(|own| variance.map_or(0., |added| 1. / (own + added)))
                .collect();
            let log_scales: f64 = match variance {
                Some(_) => precisions.iter().map(|value| value.ln() / 2.).sum(),
                None => 0.,
            };
            let log_constant =
                component.log_weight + log_prior + whitened.log_determinant + log_scales
                    - normalization;
            found.log_constants.push(R::of(log_constant));
            found
                .precisions
                .extend(precisions.iter().copied().map(R::of));
            let precision = whitened.precision(&precisions);
            for &target in &found.targets {
                // E[z] = μ + Cov(z, x) P d, with x = seen mean + d, P the inverse of x's covariance. An observed target's
                // own value is already there. Seen with gain 1, it moves by −σ² P d, which is without cancellation.
                let place = kept.iter().position(|&column| column == target);
                let offset = component.mean[target] - place.map_or(0., |i| whitened.means[i]);
                found.offsets.push(R::of(offset));
                for j in 0..kept.len() {
                    let from_all = || -> f64 {
                        let column = kept.iter().zip(&channels).enumerate();
                        column
                            .map(|(i, (&column, channel))| {
                                let covariance = component.covariance(target, column);
                                channel.gain * covariance * precision[i * n + j]
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

/// A state of the noise, ready for the kernel.
#[derive(Debug, Clone)]
pub(super) struct View<R> {
    pub(super) whitening: Arc<Whitening<R>>,
    pub(super) state: Arc<NoiseState<R>>,
}

impl<R> View<R> {
    /// Numbers of the state alone.
    pub(super) fn n_numbers(&self) -> usize {
        let state = &self.state;
        state.log_constants.len() + state.precisions.len() + state.gains.len() + state.offsets.len()
    }
}

/// States one after the other, with the whitening that neighbors share.
pub(super) fn families<R>(views: impl IntoIterator<Item = View<R>>) -> Vec<NoiseFamily<R>> {
    let mut families: Vec<NoiseFamily<R>> = Vec::new();
    for View { whitening, state } in views {
        match families.last_mut() {
            Some(last) if Arc::ptr_eq(&last.whitening, &whitening) => last.states.push(state),
            _ => families.push(NoiseFamily {
                whitening,
                states: vec![state],
            }),
        }
    }
    families
}

/// A state with every level of one mode.
pub(super) fn levels_of(
    state: &JointState,
    mode: usize,
    n_levels: usize,
) -> impl Iterator<Item = JointState> + use<> {
    let state = state.clone();
    (0..n_levels).map(move |level| {
        let mut state = state.clone();
        state[mode] = level;
        state
    })
}

/// Features that components look at, those of a mode that is at any level last.
#[derive(Debug)]
struct Seen {
    columns: Vec<usize>,
    /// Of each column; of a mode that is at any level, those of a clean one.
    channels: Vec<Channel>,
    /// Columns of a mode that is at any level.
    n_scaled: usize,
}

/// A component of which independent combinations of features are looked at.
#[derive(Debug)]
struct Whitened {
    n_scaled: usize,
    means: Vec<f64>,
    /// `F`: the lower triangle of the first rows, the last `n_scaled` of them whole; `[n, n]`.
    factor: Vec<f64>,
    /// Of the last outputs, without noise.
    variances: Vec<f64>,
    /// Logarithm of the determinant of the first rows' triangle.
    log_determinant: f64,
}

impl Seen {
    fn whiten(&self, component: &Component) -> Whitened {
        let Self {
            columns,
            channels,
            n_scaled,
        } = self;
        let n_scaled = *n_scaled;
        let n = columns.len();
        let n_fixed = n - n_scaled;
        let seen = |i: usize, j: usize| {
            let own = if i == j { channels[i].std.powi(2) } else { 0. };
            let gains = channels[i].gain * channels[j].gain;
            gains * component.covariance(columns[i], columns[j]) + own
        };
        let matrix = |rows: Range<usize>, columns: Range<usize>| -> Vec<f64> {
            let all = rows.flat_map(|i| columns.clone().map(move |j| (i, j)));
            all.map(|(i, j)| seen(i, j)).collect()
        };
        let fixed = precision_cholesky(&matrix(0..n_fixed, 0..n_fixed), n_fixed);
        let log_determinant = (0..n_fixed).map(|i| fixed[i * n_fixed + i].ln()).sum();
        let mut factor = vec![0.; n * n];
        for i in 0..n_fixed {
            factor[i * n..][..n_fixed].copy_from_slice(&fixed[i * n_fixed..][..n_fixed]);
        }
        // What the first features say of the last: W = P Σ_fixed,scaled; the rest has covariance Σ − Wᵀ W.
        let shared = matrix(0..n_fixed, n_fixed..n);
        let said = |i: usize, a: usize| -> f64 {
            let row = &fixed[i * n_fixed..][..=i];
            let column = shared[a..].iter().step_by(n_scaled.max(1));
            row.iter().zip(column).map(|(x, y)| x * y).sum()
        };
        let said: Vec<f64> = (0..n_fixed)
            .flat_map(|i| (0..n_scaled).map(move |a| (i, a)))
            .map(|(i, a)| said(i, a))
            .collect();
        let mut rest = matrix(n_fixed..n, n_fixed..n);
        let of_features: Vec<f64> = rest.iter().step_by(n_scaled + 1).copied().collect();
        for a in 0..n_scaled {
            for b in 0..n_scaled {
                let explained =
                    (0..n_fixed).map(|i| said[i * n_scaled + a] * said[i * n_scaled + b]);
                rest[a * n_scaled + b] -= explained.sum::<f64>();
            }
        }
        let (variances, vectors) = eigen(&rest, n_scaled);
        for (output, vector) in vectors.chunks_exact(n_scaled.max(1)).enumerate() {
            let row = &mut factor[(n_fixed + output) * n..][..n];
            row[n_fixed..].copy_from_slice(vector);
            for i in 0..n_fixed {
                let along: f64 = (0..n_scaled)
                    .map(|a| vector[a] * said[i * n_scaled + a])
                    .sum();
                for j in 0..=i {
                    row[j] -= along * fixed[i * n_fixed + j];
                }
            }
        }
        let vectors = vectors.chunks_exact(n_scaled.max(1));
        let variances = variances.into_iter().zip(vectors).map(|(own, vector)| {
            let shares = vector.iter().zip(&of_features);
            let before: f64 = shares
                .map(|(share, variance)| share * share * variance)
                .sum();
            own.max(LEAST_VARIANCE * before)
        });
        let variances = variances.collect();
        let mean = |(&column, channel): (&usize, &Channel)| {
            channel.gain * component.mean[column] + channel.shift
        };
        Whitened {
            n_scaled,
            means: columns.iter().zip(channels).map(mean).collect(),
            factor,
            variances,
            log_determinant,
        }
    }
}

impl Whitened {
    /// The factor as the kernel takes it.
    fn packed(&self) -> impl Iterator<Item = f64> {
        let n = self.means.len();
        let rows = self.factor.chunks_exact(n.max(1)).enumerate();
        rows.flat_map(move |(i, row)| {
            let n_inputs = if i + self.n_scaled < n { i + 1 } else { n };
            row[..n_inputs].iter().copied()
        })
    }

    /// `Fᵀ diag(1, precisions) F`.
    fn precision(&self, precisions: &[f64]) -> Vec<f64> {
        let n = self.means.len();
        let weight = |k: usize| match (k + self.n_scaled).checked_sub(n) {
            Some(place) => precisions[place],
            None => 1.,
        };
        let factor = &self.factor;
        let mut product = vec![0.; n * n];
        for i in 0..n {
            for j in 0..n {
                product[i * n + j] = (0..n)
                    .map(|k| weight(k) * factor[k * n + i] * factor[k * n + j])
                    .sum();
            }
        }
        product
    }
}

fn rounded<R: Real>(values: impl Iterator<Item = f64>) -> Vec<R> {
    values.map(R::of).collect()
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

/// Less the logarithm of the sum of exponentials.
fn normalized(log_weights: &[f64]) -> Vec<f64> {
    let total = log_sum_exp(log_weights);
    log_weights.iter().map(|value| value - total).collect()
}

pub(super) use crate::gaussian_mixture::log_sum_exp;
