//! From tensors of a file to a model's parts.

use std::collections::HashMap;

use candle_core::{Device, Tensor};
use candle_nn::VarBuilder;
use emma_attention::{Coldness, Emma, EmmaConfig, Regularizers};
use emma_energy::{
    AutoencoderConfig, DenoisingAutoencoder, EnergyEstimator, PotentialEnergy, transfer,
};

use super::{ALTERNATIVE_ATTENTION, scoring_type};
use crate::baselines::AlternativeAttention;
use crate::checkpoint::{Checkpoint, ModeColumns, ModelMetadata};
use crate::coupled::Coupled;
use crate::error::{Error, Result};
use crate::network::{Mlp, MlpConfig};
use crate::standardize::Standardize;

/// Reads a checkpoint for a device.
pub(super) struct Loader<'a> {
    pub(super) checkpoint: &'a Checkpoint,
    pub(super) device: &'a Device,
}

impl Loader<'_> {
    /// Checks the standardization's tensors.
    pub(super) fn check_standardization(&self, metadata: &ModelMetadata) -> Result<()> {
        let expect = |name: String, shape: &[usize]| self.checkpoint.tensor(&name, shape);
        for mode in &metadata.modes {
            let name = format!("standardize.{}.std", mode.name);
            let std = expect(name.clone(), &[mode.columns.len()])?;
            let smallest = std.min(0)?.to_scalar::<f32>()?;
            if smallest <= 0. {
                return Err(Error::Checkpoint(format!(
                    "expected positive numbers in tensor {name}, got {smallest}"
                )));
            }
            expect(
                format!("standardize.{}.mean", mode.name),
                &[mode.columns.len()],
            )?;
        }
        Ok(())
    }

    /// Checks that all other tensors are there in their shapes, before any is converted: a file that lacks
    /// one costs no memory. Returns the widths of the network's layers.
    pub(super) fn check_layout(&self, metadata: &ModelMetadata) -> Result<Vec<usize>> {
        let expect = |name: String, shape: &[usize]| self.checkpoint.tensor(&name, shape);
        let (n_modes, n_features) = (metadata.modes.len(), metadata.n_features());
        let widths = self.network_widths(n_features)?;
        for (layer, width) in widths.iter().skip(1).enumerate() {
            expect(format!("network.{layer}.bias"), &[*width])?;
        }
        let n_outputs = widths.last().copied().unwrap_or(0);
        let expected = metadata.task.n_outputs();
        if n_outputs != expected {
            let s = if expected == 1 { "" } else { "s" };
            return Err(Error::Checkpoint(format!(
                "expected a last layer with {expected} output{s}, got {n_outputs}"
            )));
        }
        if metadata.network.kind == ALTERNATIVE_ATTENTION {
            expect("alternative.weight".into(), &[n_modes, n_features])?;
            expect("alternative.bias".into(), &[n_modes])?;
        }
        if metadata.energy.is_some() {
            for mode in &metadata.modes {
                let prefix = format!("energy.{}", mode.name);
                let n_hidden = self.n_hidden(mode)?;
                expect(format!("{prefix}.encoder_bias"), &[n_hidden])?;
                expect(format!("{prefix}.decoder_bias"), &[mode.columns.len()])?;
            }
            for name in ["self_weight", "self_bias", "minimum_potential"] {
                expect(format!("attention.{name}"), &[n_modes])?;
            }
            for name in ["coupling_weight", "coupling_exponent"] {
                expect(format!("attention.{name}"), &[n_modes, n_modes])?;
            }
            for name in ["gain", "attention_bias"] {
                expect(format!("attention.{name}"), &[1])?;
            }
        }
        Ok(widths)
    }

    /// Widths of the network's layers, inputs first, read off the stored tensors.
    fn network_widths(&self, n_inputs: usize) -> Result<Vec<usize>> {
        let mut widths = vec![n_inputs];
        loop {
            let layer = widths.len() - 1;
            let name = format!("network.{layer}.weight");
            if layer > 0 && !self.checkpoint.tensors().contains_key(&name) {
                return Ok(widths);
            }
            widths.push(self.checkpoint.n_rows_of(&name, widths[layer])?);
        }
    }

    /// Hidden units of a mode's autoencoder.
    fn n_hidden(&self, mode: &ModeColumns) -> Result<usize> {
        let name = format!("energy.{}.weight", mode.name);
        self.checkpoint.n_rows_of(&name, mode.columns.len())
    }

    /// A stored tensor on the model's device, in the type it scores in.
    fn tensor(&self, name: &str) -> Result<Tensor> {
        let tensor = self.checkpoint.any_shape(name)?;
        Ok(transfer(tensor, scoring_type(self.device), self.device)?)
    }

    pub(super) fn standardize(&self, mode: &str) -> Result<Standardize> {
        Standardize::new(
            self.tensor(&format!("standardize.{mode}.mean"))?,
            self.tensor(&format!("standardize.{mode}.std"))?,
        )
    }

    pub(super) fn mlp(&self, widths: &[usize]) -> Result<Mlp> {
        let config = MlpConfig {
            n_inputs: widths[0],
            hidden: widths[1..widths.len() - 1].to_vec(),
            n_outputs: widths[widths.len() - 1],
        };
        Mlp::new(&config, &self.var_builder().pp("network"))
    }

    pub(super) fn alternative(
        &self,
        metadata: &ModelMetadata,
        network: Mlp,
    ) -> Result<AlternativeAttention<Mlp>> {
        let (n_modes, n_features) = (metadata.modes.len(), metadata.n_features());
        let vb = self.var_builder().pp("alternative");
        AlternativeAttention::new(n_modes, n_features, network, &vb)
    }

    pub(super) fn emma(&self, metadata: &ModelMetadata, network: Mlp) -> Result<Coupled<Mlp>> {
        let n_modes = metadata.modes.len();
        let vb = self.var_builder();
        let mut estimators: Vec<Box<dyn EnergyEstimator>> = Vec::with_capacity(n_modes);
        for mode in &metadata.modes {
            let config = AutoencoderConfig {
                n_features: mode.columns.len(),
                n_hidden: self.n_hidden(mode)?,
            };
            let vb = vb.pp("energy").pp(&mode.name);
            let autoencoder = DenoisingAutoencoder::new(&config, &vb)?;
            estimators.push(Box::new(PotentialEnergy(autoencoder)));
        }
        let minimum = self.tensor("attention.minimum_potential")?;
        let config = EmmaConfig {
            n_modes,
            coldness: Coldness::new(metadata.coldness.unwrap_or_default())?,
            ..EmmaConfig::default()
        };
        let emma = Emma::new(&config, &minimum, &vb.pp("attention"))?;
        Coupled::new(estimators, emma, Regularizers::default(), network)
    }

    pub(super) fn var_builder(&self) -> VarBuilder<'static> {
        let tensors: HashMap<String, Tensor> = self
            .checkpoint
            .tensors()
            .iter()
            .map(|(name, tensor)| (name.clone(), tensor.clone()))
            .collect();
        VarBuilder::from_tensors(tensors, scoring_type(self.device), self.device)
    }
}
