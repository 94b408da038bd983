//! Generalized Pareto distribution: what lies beyond a high threshold.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::{check_scale, finite, positive};
use crate::error::{Error, Result};

/// Generalized Pareto distribution of excesses over a threshold.
///
/// `P(X > x) = (1 + ξ x / σ)^(−1/ξ)` for `x ≥ 0`, and `exp(−x / σ)` for `ξ = 0`. Only shapes `ξ ≥ 0` are
/// fitted: a negative shape has an end, beyond which every energy would be impossible and none more so
/// than another.
///
/// # Source
/// Pickands, "Statistical inference using extreme order statistics" (1975).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GeneralizedPareto {
    #[serde(deserialize_with = "not_negative")]
    shape: f64,
    #[serde(deserialize_with = "positive")]
    scale: f64,
}

fn not_negative<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<f64, D::Error> {
    let shape = finite(deserializer)?;
    if shape >= 0. {
        return Ok(shape);
    }
    Err(D::Error::custom(format!(
        "expected a shape of at least 0, got {shape}"
    )))
}

/// Fewer excesses tell nothing of a shape.
const FEWEST_FOR_A_SHAPE: usize = 10;

impl GeneralizedPareto {
    /// Fits excesses by the quasi-Bayesian estimator of Zhang and Stephens, or where that finds an end to
    /// the distribution or has fewer than ten excesses, by the exponential distribution of their mean.
    ///
    /// # Errors
    /// [`Error::NoRows`] for none, [`Error::ConstantEnergies`] if all are zero.
    ///
    /// # Source
    /// Zhang and Stephens, "A new and efficient estimation method for the generalized Pareto
    /// distribution" (2009).
    pub fn fit(excesses: &[f64]) -> Result<Self> {
        const PURPOSE: &str = "the tail of energies";
        if excesses.is_empty() {
            return Err(Error::NoRows { purpose: PURPOSE });
        }
        let n = excesses.len() as f64;
        let mean = check_scale(excesses.iter().map(|excess| excess / n).sum(), PURPOSE)?;
        let exponential = Self {
            shape: 0.,
            scale: mean,
        };
        if excesses.len() < FEWEST_FOR_A_SHAPE {
            return Ok(exponential);
        }
        // In units of the mean, so that no power over- or underflows.
        let mut scaled: Vec<f64> = excesses.iter().map(|excess| excess / mean).collect();
        scaled.sort_by(f64::total_cmp);
        let Some(theta) = posterior_mean(&scaled) else {
            return Ok(exponential);
        };
        let shape = mean_log(&scaled, theta);
        let scale = -shape / theta * mean;
        if shape > 0. && scale.is_normal() && scale > 0. && shape.is_finite() {
            return Ok(Self { shape, scale });
        }
        Ok(exponential)
    }

    /// Shape ξ, at least 0: the larger, the heavier the tail.
    pub fn shape(&self) -> f64 {
        self.shape
    }

    /// Scale σ, in units of the excesses.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// `−ln P(X > x)` of an excess `x ≥ 0`: finite and increasing for all of them.
    pub fn surprisal(&self, excess: f64) -> f64 {
        let ratio = excess / self.scale;
        if self.shape > 0. {
            (self.shape * ratio).ln_1p() / self.shape
        } else {
            ratio
        }
    }

    /// The excess of a [`surprisal`](Self::surprisal).
    pub fn excess(&self, surprisal: f64) -> f64 {
        let ratio = if self.shape > 0. {
            (self.shape * surprisal).exp_m1() / self.shape
        } else {
            surprisal
        };
        ratio * self.scale
    }
}

/// `ξ(θ)`, the mean of `ln(1 − θ x)`.
fn mean_log(excesses: &[f64], theta: f64) -> f64 {
    let sum: f64 = excesses.iter().map(|x| (-theta * x).ln_1p()).sum();
    sum / excesses.len() as f64
}

/// Posterior mean of `θ = −ξ/σ` over the grid of the paper; none if the sample gives no grid.
#[expect(clippy::cast_sign_loss, reason = "numbers of points are positive")]
fn posterior_mean(sorted: &[f64]) -> Option<f64> {
    let n = sorted.len();
    let quartile = sorted[((n as f64 / 4. + 0.5).floor() as usize).max(1) - 1];
    let largest = sorted[n - 1];
    if !(quartile > 0. && largest > 0.) {
        return None;
    }
    let n_points = 20 + (n as f64).sqrt().floor() as usize;
    let points: Vec<(f64, f64)> = (1..=n_points)
        .map(|j| {
            let step = 1. - (n_points as f64 / (j as f64 - 0.5)).sqrt();
            let theta = 1. / largest + step / (3. * quartile);
            // The paper's k is minus ξ.
            let k = -mean_log(sorted, theta);
            (theta, n as f64 * ((theta / k).ln() + k - 1.))
        })
        .filter(|(_, likelihood)| likelihood.is_finite())
        .collect();
    let most = points.iter().map(|point| point.1).reduce(f64::max)?;
    let weight = |likelihood: f64| (likelihood - most).exp();
    let total: f64 = points.iter().map(|point| weight(point.1)).sum();
    let mean = points
        .iter()
        .map(|(theta, likelihood)| theta * weight(*likelihood));
    Some(mean.sum::<f64>() / total)
}
