//! A model's first layer: standard scores.

use candle_core::Tensor;
use candle_nn::Module;

use crate::error::{Error, Result};

/// Standardization of one mode, fitted on training rows elsewhere.
///
/// `z = (x − mean) / std`, feature by feature
///
/// # Shapes
/// - `[rows, L]` to `[rows, L]`
///
/// # Units
/// In: those of the table. Out: standard deviations of the training rows.
#[derive(Debug, Clone)]
pub struct Standardize {
    mean: Tensor,
    std: Tensor,
}

impl Standardize {
    /// Takes mean and standard deviation of every feature.
    ///
    /// # Shapes
    /// - `mean`, `std`: `[L]`
    ///
    /// # Errors
    /// [`Error::Shape`] if they differ in length.
    pub fn new(mean: Tensor, std: Tensor) -> Result<Self> {
        if mean.rank() != 1 || mean.dims() != std.dims() {
            return Err(Error::Shape {
                what: "standard deviations".into(),
                expected: format!("{:?}", mean.dims()),
                found: std.dims().to_vec(),
            });
        }
        Ok(Self { mean, std })
    }

    /// Mean of every feature, `[L]`.
    pub fn mean(&self) -> &Tensor {
        &self.mean
    }

    /// Standard deviation of every feature, `[L]`.
    pub fn std(&self) -> &Tensor {
        &self.std
    }
}

impl Module for Standardize {
    fn forward(&self, rows: &Tensor) -> candle_core::Result<Tensor> {
        rows.broadcast_sub(&self.mean)?.broadcast_div(&self.std)
    }
}
