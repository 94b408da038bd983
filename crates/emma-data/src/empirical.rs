//! Distributions of samples: quantiles, and how far two are apart.

use crate::error::{Error, Result};

/// The empirical distribution of a sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Empirical {
    sorted: Vec<f32>,
}

impl Empirical {
    /// The distribution of `values`; `name` is theirs in errors.
    ///
    /// # Errors
    /// [`Error::EmptySample`] for no value, [`Error::SampleValue`] for NaN or infinity.
    pub fn new(name: &str, values: impl IntoIterator<Item = f32>) -> Result<Self> {
        let mut sorted: Vec<f32> = values.into_iter().collect();
        if sorted.is_empty() {
            return Err(Error::EmptySample {
                name: name.to_owned(),
            });
        }
        if let Some((index, &found)) = sorted.iter().enumerate().find(|(_, x)| !x.is_finite()) {
            return Err(Error::SampleValue {
                name: name.to_owned(),
                index,
                found,
            });
        }
        sorted.sort_unstable_by(f32::total_cmp);
        Ok(Self { sorted })
    }

    /// Number of values, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// The quantile at `p`, interpolated linearly between order statistics.
    ///
    /// `x_⌊h⌋ + (h − ⌊h⌋) (x_⌊h⌋+1 − x_⌊h⌋)` with `h = (n − 1) p`, x sorted and counted from 0; `p`
    /// outside [0, 1] counts as the nearer end. The definition numbered 7 by Hyndman and Fan, "Sample
    /// Quantiles in Statistical Packages" (The American Statistician 50, 1996).
    ///
    /// # Units
    /// Those of the values.
    pub fn quantile(&self, p: f64) -> f64 {
        let last = self.sorted.len() - 1;
        let place = last as f64 * p.clamp(0., 1.);
        // A NaN becomes 0 here.
        #[expect(clippy::cast_sign_loss, reason = "at least 0")]
        let below = (place.floor() as usize).min(last);
        let above = (below + 1).min(last);
        let (low, high) = (f64::from(self.sorted[below]), f64::from(self.sorted[above]));
        low + (place - below as f64).max(0.) * (high - low)
    }

    /// Share of values that are at most `x`, in [0, 1].
    pub fn cumulative(&self, x: f32) -> f64 {
        let at_most = self.sorted.partition_point(|&value| value <= x);
        at_most as f64 / self.sorted.len() as f64
    }

    /// The Kolmogorov-Smirnov distance of two distributions: the largest difference of their cumulative
    /// shares.
    ///
    /// `D = max over x of |F(x) − G(x)|`
    ///
    /// # Units
    /// A share: 0 for equal distributions, 1 for samples that do not overlap.
    pub fn distance(&self, other: &Self) -> f64 {
        // The largest difference is at a value of either.
        let values = self.sorted.iter().chain(&other.sorted);
        values
            .map(|&x| (self.cumulative(x) - other.cumulative(x)).abs())
            .fold(0., f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f32]) -> Empirical {
        Empirical::new("x", values.iter().copied()).unwrap()
    }

    #[test]
    fn quantiles_are_interpolated() {
        let sample = of(&[4., 1., 3., 2.]);
        for (p, expected) in [
            (0., 1.),
            (0.5, 2.5),
            (1., 4.),
            (0.1, 1.3),
            (-1., 1.),
            (2., 4.),
        ] {
            assert!((sample.quantile(p) - expected).abs() < 1e-12, "{p}");
        }
        assert!((of(&[7.]).quantile(0.3) - 7.).abs() < 1e-12);
        assert!((sample.quantile(f64::NAN) - 1.).abs() < 1e-12);
    }

    #[test]
    fn distances_are_worked_by_hand() {
        let close = |a: &[f32], b: &[f32], expected: f64| {
            assert!((of(a).distance(&of(b)) - expected).abs() < 1e-12);
            assert!((of(b).distance(&of(a)) - expected).abs() < 1e-12);
        };
        close(&[1., 2., 3.], &[1., 2., 3.], 0.);
        close(&[1., 2.], &[3., 4.], 1.);
        // At 1: 1/2 and 0; at 2: 1/2 and 1/3; at 3: 1 and 2/3.
        close(&[1., 3.], &[2., 3., 4.], 0.5);
        // Ties count together.
        close(&[1., 1., 1., 2.], &[1., 2., 2., 2.], 0.5);
    }

    #[test]
    fn samples_that_have_no_distribution_are_refused() {
        assert_eq!(
            Empirical::new("dm_std", []).unwrap_err().to_string(),
            "dm_std: expected at least one value, found none"
        );
        assert_eq!(
            Empirical::new("dm_std", [1., f32::NAN])
                .unwrap_err()
                .to_string(),
            "dm_std: expected finite values, found NaN at 1"
        );
    }
}
