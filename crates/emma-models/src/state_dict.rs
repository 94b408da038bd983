//! Models as `PyTorch`'s `load_state_dict` takes them.
//!
//! One safetensors file whose tensors are named as the parameters and buffers of the module in `docs/emma_torch.py`, so
//! that nobody has to map names: modes by their number instead of their name, the network as an
//! `nn.Sequential` with its ReLUs in between, and the couplings of a mode with itself, which mean nothing, as zeros.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use emma_energy::tensor_file;
use serde::Serialize;

use crate::checkpoint::{Checkpoint, ModelMetadata};
use crate::error::{Error, Result};
use crate::trained::{ALTERNATIVE_ATTENTION, TrainedModel};

/// The version of this layout.
pub const FORMAT_VERSION: u64 = 1;

/// The only metadata key of the file.
const METADATA_KEY: &str = "emma_torch";

/// What the file says beside its tensors, in this order.
#[derive(Serialize)]
struct Structure<'a> {
    format_version: u64,
    /// Hidden units of each mode's autoencoder; none without EMMA.
    hidden_units: Option<Vec<usize>>,
    /// Widths of the network: all features, hidden layers, outputs.
    widths: &'a [usize],
    /// The model file's metadata.
    model: &'a ModelMetadata,
}

/// A model as the bytes of such a file. Equal models give equal bytes.
///
/// # Tensors
/// `{i}` is the number of a mode, `{k}` that of a layer, both from 0; shapes as in a model file.
///
/// | tensor | model file |
/// | --- | --- |
/// | `standardize.{i}.mean`, `.std` | `standardize.{mode}.mean`, `.std` |
/// | `energy.{i}.weight`, `.encoder_bias`, `.decoder_bias` | `energy.{mode}.…` |
/// | `attention.minimum_potential`, `.self_weight`, `.self_bias`, `.coupling_weight`, `.coupling_exponent`, `.gain`, `.attention_bias` | the same, diagonals zero |
/// | `alternative.weight`, `.bias` | the same |
/// | `network.{2k}.weight`, `.bias` | `network.{k}.weight`, `.bias` |
///
/// # Errors
/// Those of [`TrainedModel::from_checkpoint`]; [`Error::Checkpoint`] if the header were too large for the tensors.
pub fn to_bytes(checkpoint: &Checkpoint) -> Result<Vec<u8>> {
    // Checks the layout, and that this version knows all of the model's kinds.
    let model = TrainedModel::from_checkpoint(checkpoint, &Device::Cpu)?;
    let metadata = checkpoint.metadata();
    let mut tensors = BTreeMap::new();
    let mut hidden_units = Vec::with_capacity(metadata.modes.len());
    for (index, mode) in metadata.modes.iter().enumerate() {
        let mut renamed = |part: &str, names: &[&str]| -> Result<()> {
            for name in names {
                let stored = checkpoint.any_shape(&format!("{part}.{}.{name}", mode.name))?;
                tensors.insert(format!("{part}.{index}.{name}"), stored.clone());
            }
            Ok(())
        };
        renamed("standardize", &["mean", "std"])?;
        if model.has_emma() {
            renamed("energy", &["weight", "encoder_bias", "decoder_bias"])?;
            let bias = format!("energy.{}.encoder_bias", mode.name);
            hidden_units.push(checkpoint.any_shape(&bias)?.elem_count());
        }
    }
    let mut kept = |names: &[&str]| -> Result<()> {
        for &name in names {
            tensors.insert(name.to_owned(), checkpoint.any_shape(name)?.clone());
        }
        Ok(())
    };
    if model.has_emma() {
        kept(&[
            "attention.minimum_potential",
            "attention.self_weight",
            "attention.self_bias",
            "attention.gain",
            "attention.attention_bias",
        ])?;
        for name in ["attention.coupling_weight", "attention.coupling_exponent"] {
            let stored = checkpoint.any_shape(name)?;
            tensors.insert(name.to_owned(), without_diagonal(stored)?);
        }
    } else if metadata.network.kind == ALTERNATIVE_ATTENTION {
        kept(&["alternative.weight", "alternative.bias"])?;
    }
    for layer in 0..model.network_widths().len() - 1 {
        for part in ["weight", "bias"] {
            let stored = checkpoint.any_shape(&format!("network.{layer}.{part}"))?;
            tensors.insert(format!("network.{}.{part}", 2 * layer), stored.clone());
        }
    }
    let structure = Structure {
        format_version: FORMAT_VERSION,
        hidden_units: model.has_emma().then_some(hidden_units),
        widths: model.network_widths(),
        model: metadata,
    };
    let structure =
        serde_json::to_string(&structure).map_err(|error| Error::Checkpoint(error.to_string()))?;
    Ok(tensor_file::to_bytes(&tensors, METADATA_KEY, structure)?)
}

/// A square matrix with zeros on its diagonal, whatever was there.
fn without_diagonal(matrix: &Tensor) -> Result<Tensor> {
    let mut rows = matrix.to_vec2::<f32>()?;
    for (index, row) in rows.iter_mut().enumerate() {
        row[index] = 0.;
    }
    Ok(Tensor::new(rows, &Device::Cpu)?)
}
