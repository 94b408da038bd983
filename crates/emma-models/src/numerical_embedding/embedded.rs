//! A network behind an embedding.

use candle_core::Tensor;
use candle_nn::Module;
use emma_attention::PotentialEnergies;

use crate::batch::Batch;
use crate::ensemble_mlp::EnsembleMlp;
use crate::error::Result;
use crate::model::{ModelOutput, MultiModalModel, concatenate};
use crate::training::TrainingConfig;

/// A network that sees features through an embedding.
///
/// # Shapes
/// - `[rows, features]` to what the network gives; the network's inputs are the embedding's outputs
#[derive(Debug, Clone)]
pub struct Embedded<E, N> {
    /// What comes first.
    pub embedding: E,
    /// What sees the embedded features.
    pub network: N,
}

impl<E: Module, N: Module> Module for Embedded<E, N> {
    fn forward(&self, rows: &Tensor) -> candle_core::Result<Tensor> {
        self.network.forward(&self.embedding.forward(rows)?)
    }
}

/// An ensemble's members learn by themselves behind one embedding, which learns from all of them.
impl<E: Module> MultiModalModel for Embedded<E, EnsembleMlp> {
    fn forward(&self, modes: &[Tensor], _: Option<&PotentialEnergies>) -> Result<ModelOutput> {
        ModelOutput::from_network(&Module::forward(self, &concatenate(modes)?)?)
    }

    fn training_loss(&self, batch: &Batch, config: &TrainingConfig) -> Result<Option<Tensor>> {
        let rows = self.embedding.forward(&concatenate(batch.modes())?)?;
        let loss = self.network.mean_member_loss(&rows, batch.labels(), config);
        loss.map(Some)
    }
}
