use candle_core::Tensor;
use candle_nn::Module;
use emma_attention::PotentialEnergies;

use crate::error::{Error, Result};
use crate::model::{ModelOutput, MultiModalModel, concatenate};
use crate::training::{StandardForm, StandardGate, perceptron};

/// One mode into a network, the others ignored.
#[derive(Debug, Clone)]
pub struct SingleMode<N> {
    /// Which mode.
    pub mode_index: usize,
    /// Takes `[rows, features of that mode]`, gives one logit a row.
    pub network: N,
}

impl<N: Module + 'static> MultiModalModel for SingleMode<N> {
    fn forward(&self, modes: &[Tensor], _: Option<&PotentialEnergies>) -> Result<ModelOutput> {
        let mode = modes.get(self.mode_index).ok_or(Error::ModeCount {
            expected: self.mode_index + 1,
            found: modes.len(),
        })?;
        let rows = concatenate(std::slice::from_ref(mode))?;
        ModelOutput::from_network(&self.network.forward(&rows)?)
    }

    fn standard_form(&self) -> Option<StandardForm<'_>> {
        Some(StandardForm {
            single_mode: Some(self.mode_index),
            gate: StandardGate::Open,
            network: perceptron(&self.network)?,
        })
    }
}
