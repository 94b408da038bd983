//! How surprising an energy is: minus the logarithm of its p-value, with a fitted tail.

use serde::{Deserialize, Serialize};

use super::generalized_pareto::GeneralizedPareto;
use super::{Calibration, sorted};
use crate::error::{Error, Result, check_setting};

/// How a [`Surprisal`] is fitted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SurprisalFit {
    /// Share of the clean rows that the tail is fitted to. Default 0.1; above 0, below 1.
    pub tail_fraction: f64,
}

impl Default for SurprisalFit {
    fn default() -> Self {
        Self { tail_fraction: 0.1 }
    }
}

/// Points kept of the empirical part. Between two of them at most a thousandth of the rows lies.
const MOST_KNOTS: usize = 1000;

/// Surprisal `−ln p` of an energy, p its conformal p-value among clean rows up to a high threshold, and
/// a generalized Pareto tail's beyond.
///
/// It compares any two modes everywhere: where there are clean rows by how many of them are more
/// outlying, and beyond all of them by how fast they became rare. Continuous; linear between clean rows;
/// 0 below all of them; finite for every energy.
///
/// # Units
/// Nats: `ln 100 = 4.6` for what happens to one clean row in a hundred.
///
/// # Source
/// p-values as in [`ConformalPValue`](super::ConformalPValue); the tail by Pickands, "Statistical
/// inference using extreme order statistics" (1975), fitted as
/// [`GeneralizedPareto::fit`](super::GeneralizedPareto::fit) says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Surprisal {
    /// Energies, strictly ascending; the last is where the tail begins.
    energies: Vec<f64>,
    /// Their surprisals, strictly ascending, the first 0.
    surprisals: Vec<f64>,
    tail: GeneralizedPareto,
}

/// A [`Surprisal`] as it is stored, before it is checked.
#[derive(Deserialize)]
struct Stored {
    energies: Vec<f64>,
    surprisals: Vec<f64>,
    tail: GeneralizedPareto,
}

impl TryFrom<Stored> for Surprisal {
    type Error = String;

    fn try_from(stored: Stored) -> std::result::Result<Self, String> {
        let Stored {
            energies,
            surprisals,
            tail,
        } = stored;
        let ascending = |values: &[f64]| {
            values.iter().all(|value| value.is_finite()) && values.windows(2).all(|w| w[0] < w[1])
        };
        let fit = !energies.is_empty() && energies.len() == surprisals.len();
        if fit && ascending(&energies) && ascending(&surprisals) {
            return Ok(Self {
                energies,
                surprisals,
                tail,
            });
        }
        Err("expected as many surprisals as energies, at least one, both strictly ascending".into())
    }
}

impl SurprisalFit {
    /// Fits the empirical part and the tail to clean rows' energies, which should not be rows that the
    /// estimator was fitted to.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`](crate::Error::InvalidSetting),
    /// [`Error::NoRows`](crate::Error::NoRows),
    /// [`Error::NonFiniteEnergy`](crate::Error::NonFiniteEnergy), and
    /// [`Error::ConstantEnergies`](crate::Error::ConstantEnergies) if no clean row lies beyond the
    /// threshold, as when all energies are the same.
    #[expect(clippy::cast_sign_loss, reason = "a share of a count is not negative")]
    pub fn fit(&self, energies: &[f64]) -> Result<Surprisal> {
        check_setting(
            self.tail_fraction > 0. && self.tail_fraction < 1.,
            "tail_fraction",
            "above 0 and below 1",
            self.tail_fraction,
        )?;
        let clean = sorted(energies, "the surprisal of energies")?;
        let n = clean.len();
        let n_tail = (self.tail_fraction * n as f64).ceil() as usize;
        let threshold = clean[(n - n_tail).saturating_sub(1)];
        let excesses: Vec<f64> = clean
            .iter()
            .filter(|&&energy| energy > threshold)
            .map(|energy| energy - threshold)
            .collect();
        if excesses.is_empty() {
            return Err(Error::ConstantEnergies {
                purpose: "the surprisal of energies",
            });
        }
        let tail = GeneralizedPareto::fit(&excesses)?;

        let mut knots: Vec<(f64, f64)> = Vec::new();
        let n_bulk = n - excesses.len();
        let stride = n_bulk.div_ceil(MOST_KNOTS);
        for rank in 0..n_bulk {
            let last = rank + 1 == n_bulk;
            if rank % stride != 0 && !last {
                continue;
            }
            // Of equal energies, the p-value counts all.
            let energy = clean[rank];
            let below = clean.partition_point(|&other| other < energy);
            let surprisal = ((n + 1) as f64 / (n + 1 - below) as f64).ln();
            if knots.last().is_none_or(|knot| knot.0 < energy) {
                knots.push((energy, surprisal));
            }
        }
        let (energies, surprisals) = knots.into_iter().unzip();
        Ok(Surprisal {
            energies,
            surprisals,
            tail,
        })
    }
}

impl Surprisal {
    /// Energy where the tail begins, and its surprisal.
    pub fn threshold(&self) -> (f64, f64) {
        let last = self.energies.len() - 1;
        (self.energies[last], self.surprisals[last])
    }

    /// The tail, of what an energy exceeds the threshold by.
    pub fn tail(&self) -> &GeneralizedPareto {
        &self.tail
    }
}

impl Calibration for Surprisal {
    fn value(&self, energy: f64) -> f64 {
        let (threshold, surprisal) = self.threshold();
        if energy > threshold {
            return surprisal + self.tail.surprisal(energy - threshold);
        }
        interpolate(&self.energies, &self.surprisals, energy)
    }

    fn inverse(&self, value: f64) -> f64 {
        let (threshold, surprisal) = self.threshold();
        if value > surprisal {
            return threshold + self.tail.excess(value - surprisal);
        }
        interpolate(&self.surprisals, &self.energies, value)
    }
}

/// Piecewise linear through `(x, y)`, both ascending, constant outside; NaN stays NaN.
fn interpolate(xs: &[f64], ys: &[f64], x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    match xs.partition_point(|&knot| knot <= x) {
        0 => ys[0],
        above if above == xs.len() => ys[above - 1],
        above => {
            let share = (x - xs[above - 1]) / (xs[above] - xs[above - 1]);
            ys[above - 1] + share * (ys[above] - ys[above - 1])
        }
    }
}
