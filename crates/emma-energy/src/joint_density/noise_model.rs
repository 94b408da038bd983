//! How noisy a mode may be.

use serde::{Deserialize, Serialize};

use crate::error::{Result, check_setting};

/// What is believed of a mode's noise before a row is seen.
///
/// A mode is in one of several states: clean; with Gaussian noise of one of the standard deviations on each
/// of its features; saying nothing, its values having nothing to do with what they measure; or, if that has a
/// probability, swapped for that of another row. The last two are alike in what they leave of the mode,
/// nothing; they differ in which values they expect: any at all, or a mode's usual ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NoiseModel {
    /// Probability that a mode is clean, above 0 and below 1. Default 0.6. The rest, less
    /// [`swap_probability`](Self::swap_probability), is shared equally by the noise levels and by a mode
    /// that says nothing.
    pub clean_probability: f64,
    /// Standard deviations of the noise, in units of the rows, ascending. Default 0.2, 0.4, 0.8, 1.6, 3.2;
    /// each positive.
    pub noise_std: Vec<f64>,
    /// Standard deviation of the values of a mode that says nothing, around 0, in units of the rows. Default
    /// 30; above every noise level.
    pub uninformative_std: f64,
    /// Probability that a mode is another row's, from 0 to below 1 − `clean_probability`. Default 0: it is
    /// an assumption about how sensors fail.
    pub swap_probability: f64,
}

impl Default for NoiseModel {
    fn default() -> Self {
        Self {
            clean_probability: 0.6,
            noise_std: vec![0.2, 0.4, 0.8, 1.6, 3.2],
            uninformative_std: 30.,
            swap_probability: 0.,
        }
    }
}

/// A state of a mode.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum NoiseLevel {
    /// Noise of this standard deviation; 0 is clean.
    Gaussian(f64),
    /// The values say nothing.
    Uninformative,
    /// The values are another row's.
    Swapped,
}

impl NoiseModel {
    /// Accepts settings that are within their ranges.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`](crate::Error::InvalidSetting).
    pub fn validate(&self) -> Result<()> {
        let probability = self.clean_probability;
        check_setting(
            probability > 0. && probability < 1.,
            "clean_probability",
            "above 0 and below 1",
            probability,
        )?;
        let swap = self.swap_probability;
        check_setting(
            swap >= 0. && swap < 1. - probability,
            "swap_probability",
            "at least 0 and below 1 less clean_probability",
            swap,
        )?;
        let mut before = 0.;
        for &level in &self.noise_std {
            check_setting(
                level > before && level <= 1e6,
                "noise_std",
                "positive, ascending and at most 1e6",
                format_args!("{:?}", self.noise_std),
            )?;
            before = level;
        }
        let widest = self.uninformative_std;
        check_setting(
            widest > before && widest <= 1e6,
            "uninformative_std",
            "above every noise level and at most 1e6",
            widest,
        )
    }

    /// The states of a mode, the clean one first, with the logarithms of their probabilities.
    pub(super) fn levels(&self) -> Vec<(NoiseLevel, f64)> {
        let n_equal = self.noise_std.len() + 1;
        let left = 1. - self.clean_probability - self.swap_probability;
        let share = (left / n_equal as f64).ln();
        let mut levels = vec![(NoiseLevel::Gaussian(0.), self.clean_probability.ln())];
        let noisy = self.noise_std.iter();
        levels.extend(noisy.map(|&std| (NoiseLevel::Gaussian(std), share)));
        levels.push((NoiseLevel::Uninformative, share));
        if self.swap_probability > 0. {
            levels.push((NoiseLevel::Swapped, self.swap_probability.ln()));
        }
        levels
    }

    /// `log(1 + 4σ)` of a state; one without information counts as σ = `uninformative_std`.
    pub(super) fn energy(&self, level: NoiseLevel) -> f64 {
        let std = match level {
            NoiseLevel::Gaussian(std) => std,
            NoiseLevel::Uninformative | NoiseLevel::Swapped => self.uninformative_std,
        };
        (4. * std).ln_1p()
    }

    /// Largest energy: that of a mode that says nothing, and of one that is missing.
    pub fn highest_energy(&self) -> f64 {
        self.energy(NoiseLevel::Uninformative)
    }
}
