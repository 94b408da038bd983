//! Prediction networks.

use candle_core::Tensor;
use candle_nn::{Init, Module, VarBuilder};
use emma_energy::row_affine;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Widths of an [`Mlp`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MlpConfig {
    /// Input features. Default 8 (HTRU2); at least 1.
    pub n_inputs: usize,
    /// Widths of the hidden layers, in order. Default 8 and 4; each at least 1.
    pub hidden: Vec<usize>,
    /// Outputs. Default 1 (one logit); at least 1.
    pub n_outputs: usize,
}

impl Default for MlpConfig {
    fn default() -> Self {
        Self {
            n_inputs: 8,
            hidden: vec![8, 4],
            n_outputs: 1,
        }
    }
}

/// Multi-layer perceptron with ReLU between its layers.
///
/// A row's output never depends on the other rows of its batch (see [`row_affine()`]).
///
/// # Parameters
/// Under the path of the `VarBuilder`: `{k}.weight` `[out, in]` and `{k}.bias` `[out]` for layer
/// k = 0, 1, …; fresh ones are uniform within `±1/sqrt(in)`.
///
/// # Shapes
/// - `[rows, n_inputs]` to `[rows, n_outputs]`
#[derive(Debug, Clone)]
pub struct Mlp {
    layers: Vec<(Tensor, Tensor)>,
}

impl Mlp {
    /// Takes the parameters from `vb`, drawing them if it can.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for a width of zero; candle's if a stored tensor does not fit.
    pub fn new(config: &MlpConfig, vb: &VarBuilder) -> Result<Self> {
        let mut widths = vec![config.n_inputs];
        widths.extend(&config.hidden);
        widths.push(config.n_outputs);
        if widths.contains(&0) {
            return Err(Error::InvalidSetting {
                name: "network width",
                expected: "at least 1",
                found: format!("{widths:?}"),
            });
        }
        let layers = widths
            .windows(2)
            .enumerate()
            .map(|(k, width)| {
                let vb = vb.pp(k);
                let bound = 1. / (width[0] as f64).sqrt();
                let init = Init::Uniform {
                    lo: -bound,
                    up: bound,
                };
                let weight = vb.get_with_hints((width[1], width[0]), "weight", init)?;
                let bias = vb.get_with_hints(width[1], "bias", init)?;
                Ok((weight, bias))
            })
            .collect::<Result<_>>()?;
        Ok(Self { layers })
    }

    /// Number of inputs, widths of the hidden layers in order, number of outputs.
    pub fn widths(&self) -> Vec<usize> {
        let inputs = self.layers.first().map(|(weight, _)| weight.dims()[1]);
        let outputs = self.layers.iter().map(|(weight, _)| weight.dims()[0]);
        inputs.into_iter().chain(outputs).collect()
    }

    /// Weight `[out, in]` and bias `[out]` of each layer.
    pub(crate) fn layers(&self) -> &[(Tensor, Tensor)] {
        &self.layers
    }
}

impl Module for Mlp {
    fn forward(&self, rows: &Tensor) -> candle_core::Result<Tensor> {
        let mut hidden = rows.clone();
        for (k, (weight, bias)) in self.layers.iter().enumerate() {
            if k > 0 {
                hidden = hidden.relu()?;
            }
            hidden = row_affine(&hidden, weight, bias)?;
        }
        Ok(hidden)
    }
}
