//! Means over seeds with their intervals.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// A mean with its Student-t 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MeanInterval {
    /// Arithmetic mean.
    pub mean: f64,
    /// Half-width of the 95 % interval, `t(0.975, n − 1) · s / sqrt(n)`; none for fewer than two
    /// values.
    pub ci95: Option<f64>,
}

impl MeanInterval {
    /// Mean and interval of independent values; none for no values.
    pub fn of(values: &[f64]) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let sum_of_squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let ci95 = StudentsT::new(0., 1., n - 1.)
            .ok()
            .map(|t| t.inverse_cdf(0.975) * (sum_of_squares / (n - 1.) / n).sqrt());
        Some(Self { mean, ci95 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_case_worked_by_hand() {
        // s = 1, t(0.975, 2) = 0.95 · sqrt(2 / (1 − 0.95²)) = 4.302652729749464.
        let interval = MeanInterval::of(&[1., 2., 3.]).unwrap();
        assert!((interval.mean - 2.).abs() < 1e-15);
        let expected = 4.302_652_729_749_464 / 3f64.sqrt();
        assert!((interval.ci95.unwrap() - expected).abs() < 1e-14);
    }

    #[test]
    fn one_value_has_no_interval_and_none_no_mean() {
        assert_eq!(MeanInterval::of(&[0.5]).unwrap().ci95, None);
        assert_eq!(MeanInterval::of(&[]), None);
    }
}
