use candle_core::{D, Tensor};
use candle_nn::{Init, Module, VarBuilder};
use emma_attention::PotentialEnergies;
use emma_energy::row_affine;

use crate::error::{Error, Result};
use crate::model::{ModelOutput, MultiModalModel, concatenate};
use crate::training::{StandardForm, StandardGate, perceptron};

/// Attention learned without energies: a linear layer over all features, a softmax over the
/// modes, each mode times its share, then a network.
///
/// `share = softmax(A x + a)`, `x` all features side by side
///
/// # Parameters
/// Under the path of the `VarBuilder`: `weight` A `[modes, all features]`, `bias` a `[modes]`;
/// fresh ones are uniform within `±1/sqrt(all features)`.
///
/// # Source
/// S. Shon, T.-H. Oh and J. Glass, "Noise-tolerant audio-visual online person verification using
/// an attention-based neural network fusion" (2018), arXiv:1811.10813; the thesis's `alternative`.
#[derive(Debug, Clone)]
pub struct AlternativeAttention<N> {
    weight: Tensor,
    bias: Tensor,
    network: N,
}

impl<N: Module> AlternativeAttention<N> {
    /// Takes the attention's parameters from `vb`, drawing them if it can.
    ///
    /// # Errors
    /// [`Error::ModeCount`] for fewer than two modes, [`Error::InvalidSetting`] for no features;
    /// candle's if a stored tensor does not fit.
    pub fn new(n_modes: usize, n_features: usize, network: N, vb: &VarBuilder) -> Result<Self> {
        if n_modes < 2 {
            return Err(Error::ModeCount {
                expected: 2,
                found: n_modes,
            });
        }
        if n_features == 0 {
            return Err(Error::InvalidSetting {
                name: "n_features",
                expected: "at least 1",
                found: n_features.to_string(),
            });
        }
        let bound = 1. / (n_features as f64).sqrt();
        let init = Init::Uniform {
            lo: -bound,
            up: bound,
        };
        Ok(Self {
            weight: vb.get_with_hints((n_modes, n_features), "weight", init)?,
            bias: vb.get_with_hints(n_modes, "bias", init)?,
            network,
        })
    }

    /// Share of every mode, `[rows, modes]`, each row summing to one.
    ///
    /// # Errors
    /// Candle's, if the features are not those it was built for.
    pub fn shares(&self, modes: &[Tensor]) -> Result<Tensor> {
        let scores = row_affine(&concatenate(modes)?, &self.weight, &self.bias)?;
        Ok(candle_nn::ops::softmax(&scores, D::Minus1)?)
    }
}

impl<N: Module + 'static> MultiModalModel for AlternativeAttention<N> {
    fn forward(&self, modes: &[Tensor], _: Option<&PotentialEnergies>) -> Result<ModelOutput> {
        let n_modes = self.bias.elem_count();
        if modes.len() != n_modes {
            return Err(Error::ModeCount {
                expected: n_modes,
                found: modes.len(),
            });
        }
        let shares = emma_attention::AttentionScores::new(self.shares(modes)?)?;
        let weighted = shares.weigh(modes)?;
        ModelOutput::from_network(&self.network.forward(&concatenate(&weighted)?)?)
    }

    fn standard_form(&self) -> Option<StandardForm<'_>> {
        Some(StandardForm {
            single_mode: None,
            gate: StandardGate::Softmax {
                weight: &self.weight,
                bias: &self.bias,
            },
            network: perceptron(&self.network)?,
        })
    }
}
