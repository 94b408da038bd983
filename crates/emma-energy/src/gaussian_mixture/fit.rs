//! Fitting a mixture, and how many components it gets.

use candle_core::Tensor;
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::expectation_maximization::{Limits, Outcome, expectation_maximization};
use super::initialization::initial_components;
use super::{GaussianMixture, bayesian_information_criterion};
use crate::error::{Result, check_setting};
use crate::training_rows::TrainingRows;

/// How many components a mixture gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ComponentChoice {
    /// This many; at least 1.
    Fixed(usize),
    /// The number with the lowest Bayesian information criterion, the smaller one if two are equal:
    /// every number of the range is fitted.
    ///
    /// `BIC = −2 log likelihood + p log n` over the n training rows, where p counts the free
    /// parameters: `K − 1` weights, `K L` means and `K L (L + 1) / 2` covariances.
    ///
    /// # Source
    /// G. Schwarz, "Estimating the dimension of a model" (1978).
    LowestBic {
        /// Smallest number; at least 1.
        at_least: usize,
        /// Largest number; not below the smallest.
        at_most: usize,
    },
}

/// How a [`GaussianMixture`] is fitted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GaussianMixtureFit {
    /// Number of components. Default 10. Rows that are fewer, or fewer distinct ones, get as many
    /// components as there are distinct rows at most.
    pub components: ComponentChoice,
    /// Added to the variance of every feature in every component, in squared units of the rows.
    /// Default 1e-3, which suits standardized rows; from 1e-12 to 1e12. It bounds the density of a
    /// component that has shrunk to one row, or to a line.
    pub covariance_floor: f64,
    /// Starts, of which the one with the highest likelihood is kept. Default 3; at least 1.
    pub n_starts: usize,
    /// Most iterations a start. Default 200; at least 1.
    pub max_iterations: usize,
    /// Iterations end where the mean log-likelihood of a row changes by less than this, in nats.
    /// Default 1e-4; finite, not negative.
    pub tolerance: f64,
}

impl Default for GaussianMixtureFit {
    fn default() -> Self {
        Self {
            components: ComponentChoice::Fixed(10),
            covariance_floor: 1e-3,
            n_starts: 3,
            max_iterations: 200,
            tolerance: 1e-4,
        }
    }
}

/// Accepts a covariance floor if variances of f32 rows and their inverses have room beside it.
pub(crate) fn check_covariance_floor(covariance_floor: f64) -> Result<()> {
    check_setting(
        (1e-12..=1e12).contains(&covariance_floor),
        "covariance_floor",
        "from 1e-12 to 1e12",
        covariance_floor,
    )
}

impl GaussianMixtureFit {
    fn validate(&self) -> Result<()> {
        match self.components {
            ComponentChoice::Fixed(n) => check_setting(n > 0, "components", "at least 1", n)?,
            ComponentChoice::LowestBic { at_least, at_most } => check_setting(
                0 < at_least && at_least <= at_most,
                "components",
                "a range that starts at 1 or above and has a number in it",
                format_args!("{at_least} to {at_most}"),
            )?,
        }
        check_covariance_floor(self.covariance_floor)?;
        check_setting(self.n_starts > 0, "n_starts", "at least 1", self.n_starts)?;
        check_setting(
            self.max_iterations > 0,
            "max_iterations",
            "at least 1",
            self.max_iterations,
        )?;
        check_setting(
            self.tolerance.is_finite() && self.tolerance >= 0.,
            "tolerance",
            "finite and not negative",
            self.tolerance,
        )
    }

    /// Fits a mixture to rows by maximum likelihood, in f64, from several starts. Its parameters are
    /// then rounded to f32, which files hold.
    ///
    /// Any rows have a mixture, be they few, repeated, constant in a feature or linearly dependent:
    /// the floor keeps covariances from vanishing, and components that are left without rows are
    /// dropped.
    ///
    /// # Shapes
    /// - `rows`: `[n, L]`, n and L at least 1; the mixture has their type and device
    ///
    /// # Errors
    /// [`Error::InvalidSetting`](crate::Error::InvalidSetting),
    /// [`Error::NoRows`](crate::Error::NoRows),
    /// [`Error::NonFiniteRow`](crate::Error::NonFiniteRow),
    /// [`Error::FeatureCount`](crate::Error::FeatureCount) for rows that are no matrix, and candle's.
    pub fn fit(&self, rows: &Tensor, rng: &mut impl Rng) -> Result<GaussianMixture> {
        self.validate()?;
        let training = TrainingRows::read(rows, "fitting a Gaussian mixture")?;
        let best = match self.components {
            ComponentChoice::Fixed(n_components) => self.best_start(&training, n_components, rng),
            ComponentChoice::LowestBic { at_least, at_most } => {
                self.lowest_bic(&training, at_least, at_most, rng)
            }
        };
        GaussianMixture::from_components(&best.components, rows.dtype(), rows.device())
    }

    fn lowest_bic(
        &self,
        rows: &TrainingRows,
        at_least: usize,
        at_most: usize,
        rng: &mut impl Rng,
    ) -> Outcome {
        let criterion = |outcome: &Outcome| {
            bayesian_information_criterion(
                outcome.mean_log_likelihood(),
                rows.len(),
                outcome.components.len(),
                rows.n_features(),
            )
        };
        let mut best = self.best_start(rows, at_least, rng);
        // Beyond the number of rows there is nothing new to fit.
        for n_components in at_least + 1..=at_most.min(rows.len()) {
            let outcome = self.best_start(rows, n_components, rng);
            if criterion(&outcome) < criterion(&best) {
                best = outcome;
            }
        }
        best
    }

    fn best_start(&self, rows: &TrainingRows, n_components: usize, rng: &mut impl Rng) -> Outcome {
        let limits = Limits {
            covariance_floor: self.covariance_floor,
            max_iterations: self.max_iterations,
            tolerance: self.tolerance,
        };
        let mut fit = || {
            let start = initial_components(rows, n_components, self.covariance_floor, rng);
            expectation_maximization(rows, start, &limits)
        };
        let mut best = fit();
        for _ in 1..self.n_starts {
            let outcome = fit();
            if outcome.mean_log_likelihood() > best.mean_log_likelihood() {
                best = outcome;
            }
        }
        best
    }
}
