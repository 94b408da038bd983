use candle_core::Tensor;
use candle_nn::Module;
use emma_attention::PotentialEnergies;

use crate::error::Result;
use crate::model::{ModelOutput, MultiModalModel, concatenate};
use crate::training::{StandardForm, StandardGate, perceptron};

/// All modes side by side into a network: the thesis's `base` when trained on clean rows, its
/// `without` when trained on corrupted ones.
#[derive(Debug, Clone)]
pub struct Concatenation<N> {
    /// Takes `[rows, all features]`, gives one logit a row.
    pub network: N,
}

impl<N: Module + 'static> MultiModalModel for Concatenation<N> {
    fn forward(&self, modes: &[Tensor], _: Option<&PotentialEnergies>) -> Result<ModelOutput> {
        ModelOutput::from_network(&self.network.forward(&concatenate(modes)?)?)
    }

    fn standard_form(&self) -> Option<StandardForm<'_>> {
        Some(StandardForm {
            single_mode: None,
            gate: StandardGate::Open,
            network: perceptron(&self.network)?,
        })
    }
}
