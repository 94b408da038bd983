//! Affine layers with parameters of their own.

use std::collections::BTreeMap;

use candle_core::{Result, Tensor};
use candle_nn::{Init, VarBuilder};

use crate::row_affine::row_affine;

/// A network sees a reading no farther out than this, in units of the rows (standard deviations,
/// if they are standardized): far beyond all data, and so near that no product in f32 overflows,
/// where infinity less infinity would make an energy no number.
pub(crate) const FARTHEST_SEEN: f64 = 1e6;

/// `y = W x + b`, with `weight` `[outputs, inputs]` and `bias` `[outputs]`.
#[derive(Debug, Clone)]
pub(crate) struct Affine {
    weight: Tensor,
    bias: Tensor,
}

impl Affine {
    /// Takes the parameters from `vb`; fresh ones are uniform within `±1/sqrt(inputs)`.
    pub(crate) fn new(inputs: usize, outputs: usize, vb: &VarBuilder) -> Result<Self> {
        let init = first_values(inputs);
        Ok(Self {
            weight: vb.get_with_hints((outputs, inputs), "weight", init)?,
            bias: vb.get_with_hints(outputs, "bias", init)?,
        })
    }

    pub(crate) fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// `[n, inputs]` to `[n, outputs]`.
    pub(crate) fn forward(&self, rows: &Tensor) -> Result<Tensor> {
        row_affine(rows, &self.weight, &self.bias)
    }

    /// Adds the parameters under `{path}.weight` and `{path}.bias`.
    pub(crate) fn insert_tensors(&self, path: &str, tensors: &mut BTreeMap<String, Tensor>) {
        tensors.insert(format!("{path}.weight"), self.weight.clone());
        tensors.insert(format!("{path}.bias"), self.bias.clone());
    }
}

/// Uniform within `±1/sqrt(inputs)`.
pub(crate) fn first_values(inputs: usize) -> Init {
    let bound = 1. / (inputs as f64).sqrt();
    Init::Uniform {
        lo: -bound,
        up: bound,
    }
}

/// [`row_affine`] without a bias.
pub(crate) fn row_linear(rows: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let zeros = Tensor::zeros(weight.dim(0)?, weight.dtype(), weight.device())?;
    row_affine(rows, weight, &zeros)
}
