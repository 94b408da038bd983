use std::sync::{Mutex, PoisonError};

use candle_core::{D, DType, Device, Tensor};
use candle_nn::{Module, VarBuilder};
use emma_attention::PotentialEnergies;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::mode_networks::{ModeNetworks, check_binary, check_mode_count, features_of_modes};
use crate::batch::Batch;
use crate::error::Result;
use crate::model::{ModelOutput, MultiModalModel};
use crate::network::{Mlp, MlpConfig};
use crate::training::{TrainingConfig, binary_cross_entropy};

/// Widths of an [`EmbraceNet`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmbraceNetConfig {
    /// Features of each mode, in order. Default 4 and 4 (HTRU2); at least one mode, each at least 1.
    pub n_features: Vec<usize>,
    /// Widths of the hidden layers of each docking network. Default none, as in the paper; each at least 1.
    pub docking_hidden: Vec<usize>,
    /// Components c of the embedding. Default 16; at least 1.
    pub n_embedding: usize,
    /// Widths of the hidden layers of the terminal network. Default 8; each at least 1.
    pub terminal_hidden: Vec<usize>,
}

impl Default for EmbraceNetConfig {
    fn default() -> Self {
        Self {
            n_features: vec![4, 4],
            docking_hidden: Vec::new(),
            n_embedding: 16,
            terminal_hidden: vec![8],
        }
    }
}

/// EmbraceNet: every component of a common embedding comes from one mode, drawn anew for each row and
/// component while the model learns.
///
/// Docking: `d_m = relu(D_m(x_m))`, c components a mode. Embracement: `e_i = d_(k_i),i` with the mode
/// `k_i ~ p`; `p_m = a_m / Σ_j a_j` and a_m = 1 if the mode is there in this row, else 0. The logit is
/// `T(e)`, D_m and T perceptrons. [`training_loss`](MultiModalModel::training_loss) is the binary
/// cross-entropy of drawn embeddings; [`forward`](MultiModalModel::forward) takes the expectation
/// `e_i = Σ_m p_m d_m,i`.
///
/// A mode whose features are all NaN in a row is not there. Other NaN count as zero, the mean of
/// standardized features. The embedding of a row without any mode is zero.
///
/// # Parameters
/// Under the path of the `VarBuilder`: `docking.{mode}.{k}.weight`, `docking.{mode}.{k}.bias` and
/// `terminal.{k}.weight`, `terminal.{k}.bias`, as an [`Mlp`]'s.
///
/// # Source
/// J.-H. Choi and J.-S. Lee, "EmbraceNet: A robust deep learning architecture for multimodal
/// classification", Information Fusion 51 (2019), 259–270, arXiv:1904.09078.
/// Deviation: the expectation replaces the draw at evaluation, so that a row has one score.
/// Deviation: p is uniform over the modes that are there; the paper also allows other probabilities
/// and switches whole modes off while learning.
#[derive(Debug)]
pub struct EmbraceNet {
    n_features: Vec<usize>,
    n_embedding: usize,
    docking: ModeNetworks,
    terminal: Mlp,
    generator: Mutex<ChaCha8Rng>,
}

impl EmbraceNet {
    /// Takes the parameters from `vb`, drawing them if it can; `seed` is for the choice of modes.
    ///
    /// A model built anew, as for a training session that goes on, draws from the start of its seed.
    ///
    /// # Errors
    /// [`Error::ModeCount`](crate::Error::ModeCount) for no mode,
    /// [`Error::InvalidSetting`](crate::Error::InvalidSetting) for a width of zero; candle's if a stored
    /// tensor does not fit.
    pub fn new(config: &EmbraceNetConfig, seed: u64, vb: &VarBuilder) -> Result<Self> {
        check_mode_count(&config.n_features)?;
        let terminal = MlpConfig {
            n_inputs: config.n_embedding,
            hidden: config.terminal_hidden.clone(),
            n_outputs: 1,
        };
        Ok(Self {
            n_features: config.n_features.clone(),
            n_embedding: config.n_embedding,
            docking: ModeNetworks::new(
                &config.n_features,
                &config.docking_hidden,
                config.n_embedding,
                &vb.pp("docking"),
            )?,
            terminal: Mlp::new(&terminal, &vb.pp("terminal"))?,
            generator: Mutex::new(ChaCha8Rng::seed_from_u64(seed)),
        })
    }

    /// Probability that a component comes from a mode, `[rows, modes]`: each row sums to one, or to zero
    /// if none of its modes is there.
    ///
    /// # Errors
    /// [`Error::ModeCount`](crate::Error::ModeCount) or [`Error::Shape`](crate::Error::Shape) for other modes.
    pub fn selection_probabilities(&self, modes: &[Tensor]) -> Result<Tensor> {
        let modes = features_of_modes(modes, &self.n_features)?;
        let available = modes
            .iter()
            .map(|mode| is_number(mode)?.max_keepdim(1)?.to_dtype(mode.dtype()))
            .collect::<candle_core::Result<Vec<_>>>()?;
        let available = Tensor::cat(&available, 1)?;
        let count = available.sum_keepdim(D::Minus1)?.maximum(1f64)?;
        Ok(available.broadcast_div(&count)?)
    }

    /// What each mode would give to the embedding, `[rows, c]` a mode.
    ///
    /// # Errors
    /// As [`selection_probabilities`](Self::selection_probabilities).
    pub fn docked(&self, modes: &[Tensor]) -> Result<Vec<Tensor>> {
        let modes = features_of_modes(modes, &self.n_features)?;
        let filled = modes
            .iter()
            .map(|mode| is_number(mode)?.where_cond(mode, &mode.zeros_like()?))
            .collect::<candle_core::Result<Vec<_>>>()?;
        let docked = self.docking.each(&filled)?;
        Ok(docked
            .iter()
            .map(Tensor::relu)
            .collect::<candle_core::Result<_>>()?)
    }

    /// Embedding to expect, `[rows, c]`.
    ///
    /// # Errors
    /// As [`selection_probabilities`](Self::selection_probabilities).
    pub fn expected_embedding(&self, modes: &[Tensor]) -> Result<Tensor> {
        let probabilities = self.selection_probabilities(modes)?;
        let docked = self.docked(modes)?;
        let shares = (0..docked.len())
            .map(|mode_index| probabilities.narrow(1, mode_index, 1))
            .collect::<candle_core::Result<Vec<_>>>()?;
        weighted_sum(&shares, &docked)
    }

    /// Embedding with a mode drawn for every row and component, `[rows, c]`: another one at every call.
    ///
    /// # Errors
    /// As [`selection_probabilities`](Self::selection_probabilities).
    pub fn drawn_embedding(&self, modes: &[Tensor]) -> Result<Tensor> {
        let probabilities = self.selection_probabilities(modes)?;
        let docked = self.docked(modes)?;
        let shares = self.draw(&probabilities)?;
        weighted_sum(&shares, &docked)
    }

    /// For every mode, `[rows, c]`: one where the component comes from it, else zero.
    fn draw(&self, probabilities: &Tensor) -> Result<Vec<Tensor>> {
        let (n_rows, n_embedding) = (probabilities.dim(0)?, self.n_embedding);
        let rows = probabilities
            .to_device(&Device::Cpu)?
            .to_dtype(DType::F64)?
            .to_vec2::<f64>()?;
        let mut chosen = vec![vec![0f32; n_rows * n_embedding]; self.n_features.len()];
        let mut generator = self
            .generator
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for (row, probabilities) in rows.iter().enumerate() {
            let present: Vec<usize> = (0..probabilities.len())
                .filter(|&mode_index| probabilities[mode_index] > 0.)
                .collect();
            if present.is_empty() {
                continue;
            }
            for component in 0..n_embedding {
                // The probabilities are equal where they are not zero.
                let mode_index = present[generator.random_range(0..present.len())];
                chosen[mode_index][row * n_embedding + component] = 1.;
            }
        }
        drop(generator);
        let tensors = chosen.into_iter().map(|chosen| {
            Tensor::from_vec(chosen, (n_rows, n_embedding), probabilities.device())?
                .to_dtype(probabilities.dtype())
        });
        Ok(tensors.collect::<candle_core::Result<_>>()?)
    }
}

impl MultiModalModel for EmbraceNet {
    fn forward(&self, modes: &[Tensor], _: Option<&PotentialEnergies>) -> Result<ModelOutput> {
        let embedding = self.expected_embedding(modes)?;
        ModelOutput::from_network(&self.terminal.forward(&embedding)?)
    }

    fn training_loss(&self, batch: &Batch, config: &TrainingConfig) -> Result<Option<Tensor>> {
        check_binary(config)?;
        let embedding = self.drawn_embedding(batch.modes())?;
        let logits = self.terminal.forward(&embedding)?.squeeze(1)?;
        let loss = binary_cross_entropy(&logits, batch.labels(), config.positive_weight)?;
        Ok(Some(loss))
    }
}

/// One where there is a number, zero where there is NaN.
fn is_number(values: &Tensor) -> candle_core::Result<Tensor> {
    values.eq(values)
}

/// `Σ_m share_m · value_m`, each share of one column or as many as the value.
fn weighted_sum(shares: &[Tensor], values: &[Tensor]) -> Result<Tensor> {
    let terms = shares
        .iter()
        .zip(values)
        .map(|(share, value)| value.broadcast_mul(share))
        .collect::<candle_core::Result<Vec<_>>>()?;
    Ok(Tensor::stack(&terms, 0)?.sum(0)?)
}
