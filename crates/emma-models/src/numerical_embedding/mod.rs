//! Features as several numbers each, so that a network can bend at their values.
//!
//! A perceptron on standardized features learns sharp changes along one feature slowly; trees have them for
//! nothing. A code of each feature, with a layer of its own, gives a network the same.
//!
//! Source: Y. Gorishniy, I. Rubachev and A. Babenko, "On embeddings for numerical features in tabular deep
//! learning" (2022), arXiv:2203.05556.

mod embedded;
mod periodic;
mod piecewise_linear;
mod quantile_bins;

pub use embedded::Embedded;
pub use periodic::{PeriodicConfig, PeriodicEmbedding};
pub use piecewise_linear::{PiecewiseLinearConfig, PiecewiseLinearEmbedding};
pub use quantile_bins::QuantileBins;

use candle_core::Tensor;
use candle_nn::{Init, VarBuilder};

use crate::error::{Error, Result};
use crate::grouped_affine::{Activation, Summation, grouped_affine};

/// A linear layer for each feature's code, then a ReLU.
#[derive(Debug, Clone)]
struct FeatureLayers {
    /// `[features, outputs, codes]`.
    weight: Tensor,
    /// `[features, outputs]`.
    bias: Tensor,
}

impl FeatureLayers {
    fn new(n_features: usize, n_codes: usize, n_outputs: usize, vb: &VarBuilder) -> Result<Self> {
        let bound = 1. / (n_codes as f64).sqrt();
        let init = Init::Uniform {
            lo: -bound,
            up: bound,
        };
        Ok(Self {
            weight: vb.get_with_hints((n_features, n_outputs, n_codes), "weight", init)?,
            bias: vb.get_with_hints((n_features, n_outputs), "bias", init)?,
        })
    }

    /// `[features, rows, codes]` to `[features, rows, outputs]`.
    fn forward(&self, codes: &Tensor) -> candle_core::Result<Tensor> {
        let (weight, bias) = (&self.weight, &self.bias);
        grouped_affine(codes, weight, bias, Activation::Relu, Summation::InOrder)
    }
}

/// Features one after another: `[features, rows, n]` to `[rows, features · n]`.
fn side_by_side(codes: &Tensor) -> candle_core::Result<Tensor> {
    codes.transpose(0, 1)?.contiguous()?.flatten_from(1)
}

/// `[rows, features]` to `[features, rows, 1]`.
fn by_feature(rows: &Tensor, n_features: usize) -> candle_core::Result<Tensor> {
    let (_, found) = rows.dims2()?;
    if found != n_features {
        candle_core::bail!("expected rows of {n_features} features to embed, got {found}")
    }
    rows.t()?.contiguous()?.unsqueeze(2)
}

fn at_least_one(name: &'static str, found: usize) -> Result<()> {
    if found == 0 {
        return Err(Error::InvalidSetting {
            name,
            expected: "at least 1",
            found: found.to_string(),
        });
    }
    Ok(())
}
