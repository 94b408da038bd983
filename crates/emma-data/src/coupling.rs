//! Three modes A, B and C whose coupling is dialled in, and the optimal decision about them.

use std::f64::consts::SQRT_2;

use ndarray::Array2;
use rand::Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use crate::corruption::CorruptionRecord;
use crate::error::{Error, Result};
use crate::random::{Generator, generator};
use crate::samples::{ModeColumns, ModeSamples, Samples};

/// Number of modes.
const N_MODES: usize = 3;

/// Names of the modes.
const MODES: [&str; N_MODES] = ["a", "b", "c"];

/// Copies of one part that differ by a variance below this are equal: 32 bits tell no less apart.
const LEAST_VARIANCE: f64 = 1e-12;

/// Which mode carries which part of the information about the class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CouplingStructure {
    /// Each mode holds a part of its neighbor's: one part is in A and B, another in B and C. What A has, B
    /// takes over, but A has but half of what B has; what is left of B when A is there too, C takes
    /// over, and nobody else.
    Chain,
    /// Each mode holds all that the one before it holds, and more: one part is in all three, another
    /// in B and C. B takes over for A and C for B, and never the other way round.
    Nested,
    /// One part is in all three: any takes over for any.
    Common,
}

impl CouplingStructure {
    /// Names of the shared parts, and which modes carry them.
    fn shared_parts(self) -> &'static [(&'static str, [bool; N_MODES])] {
        match self {
            Self::Chain => &[("ab", [true, true, false]), ("bc", [false, true, true])],
            Self::Nested => &[("abc", [true, true, true]), ("bc", [false, true, true])],
            Self::Common => &[("abc", [true, true, true])],
        }
    }
}

/// How three modes are coupled.
///
/// # Source
/// This implementation, after the example by which the thesis justifies asymmetric coupling (section
/// 5.3): if A is missing, it is optimal that B takes over, but if B is missing, that C does.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CouplingConfig {
    /// Number of rows. Default 10,000.
    pub n_rows: usize,
    /// Probability of class 1. Default 0.5; above 0 and below 1.
    pub positive_fraction: f64,
    /// Who shares what. Default a chain.
    pub structure: CouplingStructure,
    /// Strength of each shared part: half the distance of the class means, in standard deviations. Default
    /// 1; from 0 to 100.
    pub shared_strength: f64,
    /// Correlation, given the class, of what two modes see of one part. At 1 they see the same, and a second mode adds
    /// nothing; at 0 each sees it with noise of its own, and two see it better than one. Default 1; from 0 to 1.
    pub redundancy: f64,
    /// Strength of a further part that A, B and C each have for themselves. Default 0, 0 and 0.5; from 0 to 100.
    pub complementarity: [f64; N_MODES],
    /// Probability that A, B and C each vote for the wrong class in a row, whatever the others do. Default 0; from 0 to
    /// 1.
    pub conflict: [f64; N_MODES],
}

impl Default for CouplingConfig {
    fn default() -> Self {
        Self {
            n_rows: 10_000,
            positive_fraction: 0.5,
            structure: CouplingStructure::Chain,
            shared_strength: 1.0,
            redundancy: 1.0,
            complementarity: [0.0, 0.0, 0.5],
            conflict: [0.0; N_MODES],
        }
    }
}

impl CouplingConfig {
    fn check(&self) -> Result<()> {
        let check = |name: String, found: f64, is_valid: bool, expected| {
            if is_valid {
                Ok(())
            } else {
                Err(Error::CouplingSetting {
                    name,
                    expected,
                    found,
                })
            }
        };
        let fraction = self.positive_fraction;
        check(
            "positive_fraction".to_owned(),
            fraction,
            fraction > 0.0 && fraction < 1.0,
            "above 0 and below 1",
        )?;
        let strength = |name: String, found: f64| {
            check(name, found, (0.0..=100.0).contains(&found), "from 0 to 100")
        };
        let probability = |name: String, found: f64| {
            check(name, found, (0.0..=1.0).contains(&found), "from 0 to 1")
        };
        strength("shared_strength".to_owned(), self.shared_strength)?;
        probability("redundancy".to_owned(), self.redundancy)?;
        for (mode, &found) in self.complementarity.iter().enumerate() {
            strength(format!("complementarity[{mode}]"), found)?;
        }
        for (mode, &found) in self.conflict.iter().enumerate() {
            probability(format!("conflict[{mode}]"), found)?;
        }
        Ok(())
    }

    /// Number of columns of each mode.
    fn n_columns(&self) -> usize {
        self.structure.shared_parts().len() + 1
    }

    /// Variance of the mean of `n` modes' views of one part.
    fn variance_of_mean(&self, n: f64) -> f64 {
        self.redundancy + (1.0 - self.redundancy) / n
    }
}

/// One row of coupled modes.
#[derive(Debug, Clone, PartialEq)]
pub struct CoupledRow {
    /// The class, 0 or 1.
    pub label: u8,
    /// Values of A, B and C.
    pub values: [Vec<f32>; N_MODES],
    /// Which modes vote for the wrong class. Hidden from a classifier.
    pub conflicts: [bool; N_MODES],
}

/// Samples of three coupled modes, each row made when it is asked for, and the optimum.
///
/// The class is `s = ±1`. Each mode has a column for each shared part of the
/// [`CouplingStructure`], and one for its own part. Column `k` of mode `m` is
///
/// - `s μ_k + √ρ ε_k + √(1 − ρ) η_mk` if the mode carries part `k`,
/// - `η_mk` if it does not,
/// - `s ν_m + η_m` for its own part,
///
/// with `μ` the shared strength, `ν` the complementarity, `ρ` the redundancy, and all `ε` and `η` standard
/// normal. So every column has variance 1 given the class, and no column's scale tells what it is good for.
/// A mode in conflict has all its values times −1.
///
/// A row depends on nothing but the seed, its index and the configuration, and all draws are made whatever the
/// dials: two configurations under one seed differ by their dials alone.
///
/// ```
/// use emma_data::{Coupling, CouplingConfig};
///
/// let coupling = Coupling::new(&CouplingConfig::default(), 7)?;
/// let optimum = |present| coupling.accuracy(present).expect("no mode is in conflict");
/// // B has all that A has; A has not all that B has.
/// assert_eq!(optimum([false, true, false]), optimum([true, true, false]));
/// assert!(optimum([true, false, false]) < optimum([true, true, false]));
/// # Ok::<(), emma_data::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Coupling {
    config: CouplingConfig,
    rng: Generator,
}

impl Coupling {
    /// The samples of `config` under `seed`.
    ///
    /// # Errors
    /// [`Error::CouplingSetting`], naming the first setting outside its range.
    pub fn new(config: &CouplingConfig, seed: u64) -> Result<Self> {
        config.check()?;
        Ok(Self {
            config: *config,
            rng: generator(seed, "coupling rows"),
        })
    }

    /// The configuration.
    pub fn config(&self) -> &CouplingConfig {
        &self.config
    }

    /// The row at `index`, or nothing beyond the last.
    pub fn row(&self, index: usize) -> Option<CoupledRow> {
        if index >= self.config.n_rows {
            return None;
        }
        let config = &self.config;
        let mut rng = self.rng.clone();
        rng.set_stream(index as u64);
        let label = rng.random::<f64>() < config.positive_fraction;
        let sign = if label { 1.0 } else { -1.0 };
        let conflicts = config
            .conflict
            .map(|probability| rng.random::<f64>() < probability);
        let mut normal = || -> f64 { rng.sample(StandardNormal) };
        let (common, private) = (config.redundancy.sqrt(), (1.0 - config.redundancy).sqrt());
        let mut values: [Vec<f32>; N_MODES] = Default::default();
        let mut push = |mode: usize, value: f64| {
            let vote = if conflicts[mode] { -value } else { value };
            values[mode].push(vote as f32);
        };
        for (_, carriers) in config.structure.shared_parts() {
            let shared = sign * config.shared_strength + common * normal();
            for (mode, &carries) in carriers.iter().enumerate() {
                let noise = normal();
                push(
                    mode,
                    if carries {
                        shared + private * noise
                    } else {
                        noise
                    },
                );
            }
        }
        for (mode, strength) in config.complementarity.into_iter().enumerate() {
            push(mode, sign * strength + normal());
        }
        Some(CoupledRow {
            label: u8::from(label),
            values,
            conflicts,
        })
    }

    /// All rows in order, each made when it is reached.
    pub fn iter(&self) -> impl Iterator<Item = CoupledRow> {
        (0..self.config.n_rows).filter_map(|index| self.row(index))
    }

    /// The modes `a`, `b` and `c` and their columns.
    ///
    /// A column is named after its mode and part: `a_ab`, `a_bc`, `a_own`.
    pub fn modes(&self) -> [ModeColumns; N_MODES] {
        MODES.map(|mode| {
            let parts = self.config.structure.shared_parts().iter();
            let parts = parts.map(|&(part, _)| part).chain(["own"]);
            ModeColumns::new(mode, parts.map(|part| format!("{mode}_{part}")))
        })
    }

    /// All rows as samples of the [`modes`](Self::modes), and which modes are in conflict.
    ///
    /// # Errors
    /// [`Error::CouplingTooLarge`] if memory cannot hold them.
    pub fn samples(&self) -> Result<(Samples, CorruptionRecord)> {
        let (n_rows, n_columns) = (self.config.n_rows, self.config.n_columns());
        let too_large = || Error::CouplingTooLarge { n_rows };
        let n_values = n_rows.checked_mul(n_columns).ok_or_else(too_large)?;
        let mut values: [Vec<f32>; N_MODES] = Default::default();
        let (mut labels, mut conflicts) = (Vec::new(), Vec::new());
        for values in &mut values {
            values
                .try_reserve_exact(n_values)
                .map_err(|_| too_large())?;
        }
        labels.try_reserve_exact(n_rows).map_err(|_| too_large())?;
        // No more than the values of three modes.
        conflicts
            .try_reserve_exact(N_MODES * n_rows)
            .map_err(|_| too_large())?;
        for row in self.iter() {
            labels.push(row.label);
            conflicts.extend(row.conflicts);
            for (all, values) in values.iter_mut().zip(row.values) {
                all.extend(values);
            }
        }
        let modes = self
            .modes()
            .into_iter()
            .zip(values)
            .map(|(mode, values)| {
                Ok(ModeSamples {
                    name: mode.name,
                    columns: mode.columns,
                    values: Array2::from_shape_vec((n_rows, n_columns), values)
                        .map_err(|_| too_large())?,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let conflicts =
            Array2::from_shape_vec((n_rows, N_MODES), conflicts).map_err(|_| too_large())?;
        Ok((
            Samples::new(modes, labels)?,
            CorruptionRecord::from_flags(conflicts),
        ))
    }

    /// Logarithm of the odds of class 1 given the values of the modes that are there: no decision is
    /// better than its sign.
    ///
    /// Without conflict `ln(π / (1 − π)) + Σ_k 2 μ_k x̄_k / v_k`, over shared and own parts: `x̄_k` the mean of
    /// what the `n_k` present modes that carry part `k` see of it, `v_k = ρ + (1 − ρ) / n_k` its variance, and `π` the
    /// fraction of class 1. With conflict the sum over all `f ∈ {1, −1}` for the present modes of the
    /// likelihoods of `f · x`, each times the probability of that conflict.
    ///
    /// # Shapes
    /// Each mode `[columns]`, as [`CoupledRow::values`]; none for a mode that is missing.
    ///
    /// # Errors
    /// [`Error::CouplingColumns`] for a mode with other columns.
    pub fn log_odds(&self, modes: [Option<&[f32]>; N_MODES]) -> Result<f64> {
        let config = &self.config;
        for (mode, values) in MODES.into_iter().zip(modes) {
            let found = values.map_or(config.n_columns(), <[f32]>::len);
            if found != config.n_columns() {
                return Err(Error::CouplingColumns {
                    mode,
                    expected: config.n_columns(),
                    found,
                });
            }
        }
        let mut cases = Vec::new();
        for flips in 0..1_u32 << N_MODES {
            let flipped: [bool; N_MODES] = std::array::from_fn(|mode| flips >> mode & 1 == 1);
            // A mode that is not there is counted once, as it is.
            if (0..N_MODES).any(|mode| flipped[mode] && modes[mode].is_none()) {
                continue;
            }
            let probability: f64 = (0..N_MODES)
                .filter(|&mode| modes[mode].is_some())
                .map(|mode| {
                    if flipped[mode] {
                        config.conflict[mode]
                    } else {
                        1.0 - config.conflict[mode]
                    }
                })
                .product();
            if probability > 0.0 {
                let (symmetric, slope) = self.log_likelihood(modes, flipped);
                cases.push((probability.ln() + symmetric, slope));
            }
        }
        let prior = (config.positive_fraction / (1.0 - config.positive_fraction)).ln();
        // One case alone is the linear form; its large terms would cancel less well below.
        if let [(_, slope)] = cases[..] {
            return Ok(prior + 2.0 * slope);
        }
        let log_sum = |sign: f64| {
            let terms = cases
                .iter()
                .map(|(symmetric, slope)| symmetric + sign * slope);
            let most = terms.clone().fold(f64::NEG_INFINITY, f64::max);
            most + terms.map(|term| (term - most).exp()).sum::<f64>().ln()
        };
        Ok(prior + log_sum(1.0) - log_sum(-1.0))
    }

    /// Logarithm of the odds of class 1 where noise of known size was added to every value of a mode: no decision is
    /// better than its sign. None where a mode may be in conflict.
    ///
    /// `ln(π / (1 − π)) + Σ_k 2 μ_k x̄_k / v_k` over shared and own parts. With `d_m = 1 − ρ + τ_m²` for the modes that carry part
    /// k, `x̄_k = Σ_m (x_mk / d_m) / Σ_m (1 / d_m)` and `v_k = ρ + 1 / Σ_m (1 / d_m)`; for an own part `v = 1 + τ_m²`. Without
    /// noise it is [`log_odds`](Self::log_odds), and with ever more noise what that is without the mode.
    ///
    /// # Shapes
    /// - `modes`: each `[columns]`, as [`CoupledRow::values`]
    /// - `noise_stds` τ: of A, B and C, 0 or more; may be infinite
    ///
    /// # Errors
    /// [`Error::CouplingColumns`] for a mode with other columns; [`Error::CouplingSetting`] for noise that is negative or
    /// NaN.
    pub fn noisy_log_odds(
        &self,
        modes: [&[f32]; N_MODES],
        noise_stds: [f64; N_MODES],
    ) -> Result<Option<f64>> {
        let config = &self.config;
        for ((mode, values), (index, noise)) in MODES
            .into_iter()
            .zip(modes)
            .zip(noise_stds.iter().enumerate())
        {
            if values.len() != config.n_columns() {
                return Err(Error::CouplingColumns {
                    mode,
                    expected: config.n_columns(),
                    found: values.len(),
                });
            }
            if !(0.0..=f64::INFINITY).contains(noise) {
                return Err(Error::CouplingSetting {
                    name: format!("noise_stds[{index}]"),
                    expected: "0 or more",
                    found: *noise,
                });
            }
        }
        if config.conflict.iter().any(|&rate| rate > 0.0) {
            return Ok(None);
        }
        let value = |mode: usize, column: usize| modes[mode].get(column).copied().map(f64::from);
        let mut slope = 0.0;
        let parts = config.structure.shared_parts();
        for (column, (_, carriers)) in parts.iter().enumerate() {
            let (mut precision, mut sum) = (0.0, 0.0);
            for mode in (0..N_MODES).filter(|&mode| carriers[mode]) {
                let private = (1.0 - config.redundancy).max(LEAST_VARIANCE);
                let own = (private + noise_stds[mode].powi(2)).recip();
                precision += own;
                // A mode of endless noise says nothing, whatever it holds.
                if own > 0.0 {
                    sum += own * value(mode, column).unwrap_or_default();
                }
            }
            if precision > 0.0 {
                let variance = config.redundancy + precision.recip();
                slope += config.shared_strength * sum / precision / variance;
            }
        }
        for (mode, strength) in config.complementarity.into_iter().enumerate() {
            let precision = (1.0 + noise_stds[mode].powi(2)).recip();
            if precision > 0.0 {
                slope += strength * precision * value(mode, parts.len()).unwrap_or_default();
            }
        }
        let prior = (config.positive_fraction / (1.0 - config.positive_fraction)).ln();
        Ok(Some(prior + 2.0 * slope))
    }

    /// `(c, d)` of the log-likelihood `c + s d + constant` of the class `s`, once conflicts are undone.
    fn log_likelihood(
        &self,
        modes: [Option<&[f32]>; N_MODES],
        flipped: [bool; N_MODES],
    ) -> (f64, f64) {
        let config = &self.config;
        let value = |mode: usize, column: usize| {
            let value = f64::from(*modes[mode]?.get(column)?);
            Some(if flipped[mode] { -value } else { value })
        };
        let (mut symmetric, mut slope) = (0.0, 0.0);
        let parts = config.structure.shared_parts();
        for (column, (_, carriers)) in parts.iter().enumerate() {
            let seen = || {
                (0..N_MODES)
                    .filter(|&mode| carriers[mode])
                    .filter_map(|mode| value(mode, column))
            };
            let n = seen().count() as f64;
            if n > 0.0 {
                let mean = seen().sum::<f64>() / n;
                let within: f64 = seen().map(|value| (value - mean).powi(2)).sum();
                let variance = config.variance_of_mean(n);
                let private = (1.0 - config.redundancy).max(LEAST_VARIANCE);
                symmetric -= 0.5 * (mean * mean / variance + within / private);
                slope += config.shared_strength * mean / variance;
            }
        }
        for (mode, strength) in config.complementarity.into_iter().enumerate() {
            if let Some(value) = value(mode, parts.len()) {
                // Its square is the same with and without a conflict.
                slope += strength * value;
            }
        }
        (symmetric, slope)
    }

    /// Sensitivity index of the best decision from the modes that are there: the distance of the class
    /// means in standard deviations of [`log_odds`](Self::log_odds), where no mode is in conflict.
    ///
    /// `d′ = 2 √(Σ_k μ_k² / v_k)`, with the symbols of [`log_odds`](Self::log_odds); 0 if nothing is there.
    pub fn sensitivity(&self, present: [bool; N_MODES]) -> f64 {
        let config = &self.config;
        let mut sum = 0.0;
        for (_, carriers) in config.structure.shared_parts() {
            let n = (0..N_MODES)
                .filter(|&mode| carriers[mode] && present[mode])
                .count();
            if n > 0 {
                sum += config.shared_strength.powi(2) / config.variance_of_mean(n as f64);
            }
        }
        for (strength, present) in config.complementarity.into_iter().zip(present) {
            if present {
                sum += strength * strength;
            }
        }
        2.0 * sum.sqrt()
    }

    /// Accuracy of the best decision from the modes that are there; nothing where one of them may be in
    /// conflict, as then it has no closed form.
    ///
    /// `π Φ(d′/2 + λ/d′) + (1 − π) Φ(d′/2 − λ/d′)`, `λ = ln(π / (1 − π))`, `Φ` the normal
    /// distribution function; without any information the share of the larger class.
    pub fn accuracy(&self, present: [bool; N_MODES]) -> Option<f64> {
        let config = &self.config;
        let mut rates = config.conflict.into_iter().zip(present);
        if rates.any(|(rate, present)| present && rate > 0.0) {
            return None;
        }
        let fraction = config.positive_fraction;
        let sensitivity = self.sensitivity(present);
        if sensitivity <= 0.0 {
            return Some(fraction.max(1.0 - fraction));
        }
        let shift = (fraction / (1.0 - fraction)).ln() / sensitivity;
        let half = 0.5 * sensitivity;
        Some(fraction * normal_cdf(half + shift) + (1.0 - fraction) * normal_cdf(half - shift))
    }
}

/// The normal distribution function.
fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x / SQRT_2)
}
