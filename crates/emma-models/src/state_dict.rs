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
    model.refuse_plus("an export")?;
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

#[cfg(test)]
mod tests {
    use emma_energy::tensor_file::TensorReader;
    use serde_json::Value;

    use super::*;
    use crate::checkpoint::{Kind, ModeColumns};
    use crate::trained::{DENOISING_AUTOENCODER, MLP};

    /// Modes `b` and `a`, in this order, of one feature each.
    fn checkpoint(kind: &str, energy: Option<&str>) -> Checkpoint {
        let mode = |name: &str| ModeColumns {
            name: name.into(),
            columns: vec![format!("column_{name}")],
        };
        let metadata = ModelMetadata {
            format_version: crate::checkpoint::FORMAT_VERSION,
            name: None,
            modes: vec![mode("b"), mode("a")],
            label: "label".into(),
            coldness: energy.map(|_| 0.5),
            energy: energy.map(Kind::new),
            network: Kind::new(kind),
            threshold: 0.25,
            task: crate::task::Task::default(),
            abstention: None,
            training: serde_json::Map::new(),
        };
        let mut tensors = BTreeMap::new();
        let mut add = |name: &str, shape: &[usize]| {
            let first = tensors.len() as f32;
            let n: usize = shape.iter().product();
            let values: Vec<f32> = (0..n).map(|i| 1. + first + i as f32 / 16.).collect();
            let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
            tensors.insert(name.to_owned(), tensor);
        };
        for (mode, n_hidden) in [("b", 2), ("a", 3)] {
            add(&format!("standardize.{mode}.mean"), &[1]);
            add(&format!("standardize.{mode}.std"), &[1]);
            if energy.is_some() {
                add(&format!("energy.{mode}.weight"), &[n_hidden, 1]);
                add(&format!("energy.{mode}.encoder_bias"), &[n_hidden]);
                add(&format!("energy.{mode}.decoder_bias"), &[1]);
            }
        }
        if energy.is_some() {
            for name in ["minimum_potential", "self_weight", "self_bias"] {
                add(&format!("attention.{name}"), &[2]);
            }
            add("attention.coupling_weight", &[2, 2]);
            add("attention.coupling_exponent", &[2, 2]);
            add("attention.gain", &[1]);
            add("attention.attention_bias", &[1]);
        }
        if kind == ALTERNATIVE_ATTENTION {
            add("alternative.weight", &[2, 2]);
            add("alternative.bias", &[2]);
        }
        for (layer, (n_inputs, width)) in [(2, 5), (5, 4), (4, 1)].into_iter().enumerate() {
            add(&format!("network.{layer}.weight"), &[width, n_inputs]);
            add(&format!("network.{layer}.bias"), &[width]);
        }
        Checkpoint::new(metadata, tensors).unwrap()
    }

    fn read(bytes: &[u8]) -> (Value, BTreeMap<String, Tensor>) {
        let mut reader = TensorReader::new(bytes, bytes.len() as u64, METADATA_KEY).unwrap();
        let structure = reader.take_metadata(METADATA_KEY).unwrap();
        (
            serde_json::from_str(&structure).unwrap(),
            reader.tensors().unwrap(),
        )
    }

    fn values(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn tensors_keep_their_numbers_under_the_names_of_parameters() {
        for (kind, energy) in [
            (MLP, Some(DENOISING_AUTOENCODER)),
            (MLP, None),
            (ALTERNATIVE_ATTENTION, None),
        ] {
            let checkpoint = checkpoint(kind, energy);
            let (_, tensors) = read(&to_bytes(&checkpoint).unwrap());
            // None is left out, and none is made up.
            assert_eq!(tensors.len(), checkpoint.tensors().len());
            for (name, tensor) in checkpoint.tensors() {
                let name = name.replace(".b.", ".0.").replace(".a.", ".1.");
                let name = name
                    .replace("network.2", "network.4")
                    .replace("network.1", "network.2");
                let found = &tensors[&name];
                assert_eq!(found.dims(), tensor.dims(), "{name}");
                let mut expected = values(tensor);
                if name.contains("coupling") {
                    (expected[0], expected[3]) = (0., 0.);
                }
                assert_eq!(values(found), expected, "{name}");
            }
        }
    }

    #[test]
    fn the_structure_is_beside_the_tensors() {
        let checkpoint = checkpoint(MLP, Some(DENOISING_AUTOENCODER));
        let (structure, _) = read(&to_bytes(&checkpoint).unwrap());
        assert_eq!(structure["format_version"], 1);
        assert_eq!(structure["hidden_units"], serde_json::json!([2, 3]));
        assert_eq!(structure["widths"], serde_json::json!([2, 5, 4, 1]));
        let model: ModelMetadata = serde_json::from_value(structure["model"].clone()).unwrap();
        assert_eq!(&model, checkpoint.metadata());
        let without = self::checkpoint(MLP, None);
        let (structure, _) = read(&to_bytes(&without).unwrap());
        assert_eq!(structure["hidden_units"], Value::Null);
    }

    #[test]
    fn the_same_model_gives_the_same_bytes() {
        let checkpoint = checkpoint(MLP, Some(DENOISING_AUTOENCODER));
        let bytes = to_bytes(&checkpoint).unwrap();
        assert_eq!(to_bytes(&checkpoint).unwrap(), bytes);
    }
}
