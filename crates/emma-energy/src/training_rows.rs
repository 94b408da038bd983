//! Rows to fit, as numbers.

use candle_core::{DType, Device, Tensor};

use crate::error::{Error, Result};
use crate::transfer::transfer;

/// Refuses rows that nothing can be learned from because they are no numbers. Whether there are
/// any is for the training to check.
///
/// # Errors
/// [`Error::NonFiniteRow`].
pub(crate) fn check_training_rows(rows: &Tensor) -> Result<()> {
    if rows.rank() != 2 || rows.elem_count() == 0 {
        return Ok(());
    }
    TrainingRows::read(rows, "training").map(|_| ())
}

/// Rows of features in f64, row-major: at least one row of at least one feature, all finite and
/// within the range of f32, which parameters are stored in.
#[derive(Debug)]
pub(crate) struct TrainingRows {
    values: Vec<f64>,
    n_features: usize,
}

impl TrainingRows {
    /// Reads `[n, L]` from any device.
    ///
    /// # Errors
    /// [`Error::NoRows`], [`Error::NonFiniteRow`]; [`Error::FeatureCount`] for another rank or rows
    /// without features.
    pub(crate) fn read(rows: &Tensor, purpose: &'static str) -> Result<Self> {
        let (n_rows, n_features) = match *rows.dims() {
            [n_rows, n_features] if n_features > 0 => (n_rows, n_features),
            _ => {
                return Err(Error::FeatureCount {
                    expected: rows.dims().last().map_or(1, |&last| last.max(1)),
                    found: rows.dims().to_vec(),
                });
            }
        };
        if n_rows == 0 {
            return Err(Error::NoRows { purpose });
        }
        let values = transfer(&rows.detach(), DType::F64, &Device::Cpu)?
            .flatten_all()?
            .to_vec1::<f64>()?;
        let limit = f64::from(f32::MAX);
        if let Some(position) = values
            .iter()
            .position(|value| !(-limit..=limit).contains(value))
        {
            return Err(Error::NonFiniteRow {
                row: position / n_features,
                feature: position % n_features,
                value: values[position],
            });
        }
        Ok(Self { values, n_features })
    }

    #[cfg(test)]
    pub(crate) fn from_rows(rows: &[Vec<f64>]) -> Self {
        Self {
            values: rows.concat(),
            n_features: rows[0].len(),
        }
    }

    pub(crate) fn values(&self) -> &[f64] {
        &self.values
    }

    pub(crate) fn n_features(&self) -> usize {
        self.n_features
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len() / self.n_features
    }

    pub(crate) fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.n_features..][..self.n_features]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[f64]> {
        self.values.chunks_exact(self.n_features)
    }
}

/// `|a − b|²`, added in the order of the features.
pub(crate) fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(rows: &Tensor) -> String {
        TrainingRows::read(rows, "a test").unwrap_err().to_string()
    }

    #[test]
    fn rows_that_cannot_be_fitted_are_named() -> Result<()> {
        let device = &Device::Cpu;
        assert_eq!(
            refusal(&Tensor::zeros((0, 3), DType::F32, device)?),
            "expected at least one row for a test, got none"
        );
        assert_eq!(
            refusal(&Tensor::zeros((2, 0), DType::F32, device)?),
            "expected rows with 1 features, got a tensor of shape [2, 0]"
        );
        assert_eq!(
            refusal(&Tensor::zeros(3, DType::F32, device)?),
            "expected rows with 3 features, got a tensor of shape [3]"
        );
        for (value, text) in [(f64::NAN, "NaN"), (f64::INFINITY, "inf"), (-4e38, "-4")] {
            let message = refusal(&Tensor::new(&[[0., 1.], [2., value]], device)?);
            let expected = format!("expected finite 32-bit rows, got {text}");
            assert!(message.starts_with(&expected), "{message}");
            assert!(message.ends_with(" in row 1, feature 1"), "{message}");
        }
        Ok(())
    }

    #[test]
    fn rows_are_read_by_their_shape_from_every_device() -> Result<()> {
        for device in emma_testkit::devices() {
            let rows = Tensor::new(&[[1f32, 2.], [3., 4.], [5., 6.]], device)?.t()?;
            let rows = TrainingRows::read(&rows, "a test")?;
            assert_eq!(rows.values(), [1., 3., 5., 2., 4., 6.]);
            assert_eq!((rows.len(), rows.n_features()), (2, 3));
            assert_eq!(rows.row(1), [2., 4., 6.]);
        }
        Ok(())
    }
}
