//! Measures of predicted numbers.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Every measure of predicted numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RegressionMetrics {
    /// Root of the mean squared error, in the target's unit.
    pub rmse: f64,
    /// Mean absolute error, in the target's unit.
    pub mae: f64,
    /// `1 − Σ (y − ŷ)² / Σ (y − ȳ)²`; none if all targets are equal.
    pub r_squared: Option<f64>,
}

impl RegressionMetrics {
    /// Measures predictions.
    ///
    /// # Shapes
    /// - `predictions` ŷ, `targets` y: one a row
    ///
    /// # Errors
    /// [`Error::LabelCount`] if there is not one target a prediction, [`Error::NoRows`] without any,
    /// [`Error::Row`] for a number that is not finite.
    pub fn of(predictions: &[f32], targets: &[f32]) -> Result<Self> {
        if predictions.len() != targets.len() {
            return Err(Error::LabelCount {
                predictions: predictions.len(),
                labels: targets.len(),
            });
        }
        if targets.is_empty() {
            return Err(Error::NoRows {
                what: "predictions",
            });
        }
        let n_rows = targets.len() as f64;
        let mean = targets.iter().map(|&target| f64::from(target)).sum::<f64>() / n_rows;
        let (mut squares, mut absolutes, mut variation) = (0., 0., 0.);
        for (row, (&prediction, &target)) in predictions.iter().zip(targets).enumerate() {
            if !(prediction.is_finite() && target.is_finite()) {
                return Err(Error::Row {
                    row,
                    message: format!("expected finite numbers, got {prediction} for {target}"),
                });
            }
            let error = f64::from(prediction) - f64::from(target);
            squares += error * error;
            absolutes += error.abs();
            variation += (f64::from(target) - mean).powi(2);
        }
        Ok(Self {
            rmse: (squares / n_rows).sqrt(),
            mae: absolutes / n_rows,
            r_squared: (variation > 0.).then(|| 1. - squares / variation),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_are_those_computed_by_hand() -> Result<()> {
        let metrics = RegressionMetrics::of(&[1., 2., 5.], &[1., 3., 3.])?;
        assert!((metrics.rmse - (5f64 / 3.).sqrt()).abs() < 1e-12);
        assert!((metrics.mae - 1.).abs() < 1e-12);
        // Targets vary by 16/9 + 4/9 + 4/9 = 8/3.
        let r_squared = metrics.r_squared.unwrap_or(f64::NAN);
        assert!((r_squared - (1. - 5. / (8. / 3.))).abs() < 1e-12);
        assert_eq!(RegressionMetrics::of(&[1., 2.], &[3., 3.])?.r_squared, None);
        Ok(())
    }

    #[test]
    fn what_cannot_be_measured_is_named() {
        let message = |predictions: &[f32], targets: &[f32]| {
            let error = RegressionMetrics::of(predictions, targets);
            error.unwrap_err().to_string()
        };
        assert!(message(&[], &[]).starts_with("expected at least one row"));
        assert!(message(&[1.], &[1., 2.]).contains("as many labels"));
        assert_eq!(
            message(&[1., f32::NAN], &[1., 2.]),
            "row 1: expected finite numbers, got NaN for 2"
        );
    }
}
