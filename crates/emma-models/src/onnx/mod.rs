//! Models as ONNX files, for runtimes that know nothing of EMMA.
//!
//! The whole way of a row is in the graph: standardization, energies, attention, network, threshold. It is
//! made of standard operators alone, those of [`OPSET`], and computes in 64-bit floats from the model's 32-bit
//! parameters, as [`TrainedModel`] does: energies grow with the square of a deviation, and
//! what overflows or loses digits in 32 bits are the very rows that this crate is about.

mod equations;
mod graph;
mod protobuf;

use candle_core::Device;
use prost::Message;
use serde_json::json;

use crate::checkpoint::{Checkpoint, ModelMetadata};
use crate::error::{Error, Result};
use crate::trained::TrainedModel;
use equations::Equations;
use protobuf::{Entry, Model, OperatorSet};

/// Version of the standard operators that graphs are made of.
pub const OPSET: i64 = 17;

/// Version of the file format that came with [`OPSET`].
const IR_VERSION: i64 = 8;

/// The longest message that Protocol Buffers allow.
const MOST_BYTES: usize = i32::MAX as usize;

/// Key of the model's metadata, as in a model file.
const METADATA_KEY: &str = "emma";

/// Key of the list of inputs: the mode that each one is, and the mode's columns.
const INPUTS_KEY: &str = "emma_inputs";

/// Names of outputs; no input may have one of them.
const OUTPUTS: [&str; 8] = [
    "probability",
    "label",
    "prediction",
    "total_energy",
    "potential",
    "energy",
    "importance",
    "attention",
];

/// A model as the bytes of an ONNX file. Equal models give equal bytes.
///
/// # Shapes
/// - inputs: a float tensor `[rows, features]` for each mode, in the table's units, under the name that
///   [`input_names`] gives; any number of rows
/// - outputs: of a binary classifier `probability` `[rows]`, float, and `label` `[rows]`, int64; of one of several
///   classes `probability` `[rows, classes]` and `label`, the place of the likeliest; of a number `prediction`
///   `[rows]`, float; with EMMA also `total_energy` `[rows]` and
///   `potential`, `energy`, `importance`, `attention`, each `[rows, modes]`, float
///
/// The outputs are what [`TrainedModel::predict`] gives, energies beyond the largest 32-bit float included, which
/// are that float. A graph cannot refuse a row: one that `predict` refuses has NaN in every float output, and
/// the label −1.
///
/// # Metadata
/// `emma` is the model's metadata, as in a model file; `emma_inputs` a JSON array of `{"input", "mode", "columns"}`.
///
/// # Errors
/// Those of [`TrainedModel::from_checkpoint`]; [`Error::TooLarge`] for more than 2 GiB.
pub fn to_bytes(checkpoint: &Checkpoint) -> Result<Vec<u8>> {
    // Checks the layout, and that this version knows all of the model's kinds.
    let model = TrainedModel::from_checkpoint(checkpoint, &Device::Cpu)?;
    model.refuse_plus("an export")?;
    let metadata = checkpoint.metadata();
    let inputs = input_names(metadata);
    let graph = Equations::new(checkpoint, &model).graph(&inputs)?;
    let modes = metadata.modes.iter().zip(&inputs);
    let inputs: Vec<_> = modes
        .map(|(mode, input)| json!({"input": input, "mode": mode.name, "columns": mode.columns}))
        .collect();
    let emma =
        serde_json::to_string(metadata).map_err(|error| Error::Checkpoint(error.to_string()))?;
    let entry = |key: &str, value: String| Entry {
        key: key.to_owned(),
        value,
    };
    let model = Model {
        ir_version: IR_VERSION,
        producer_name: "emma".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        doc_string: "Multi-modal model by EMMA, https://docs.rs/emma-models".to_owned(),
        graph: Some(graph),
        opset_import: vec![OperatorSet {
            // The standard operators.
            domain: String::new(),
            version: OPSET,
        }],
        metadata_props: vec![
            entry(METADATA_KEY, emma),
            entry(INPUTS_KEY, serde_json::Value::from(inputs).to_string()),
        ],
    };
    check_length(model.encoded_len())?;
    Ok(model.encode_to_vec())
}

fn check_length(length: usize) -> Result<()> {
    if length <= MOST_BYTES {
        return Ok(());
    }
    Err(Error::TooLarge {
        what: "an ONNX file",
        most: MOST_BYTES,
        found: length,
    })
}

/// The input of each mode, in order: the mode's name, with `_input` behind it where an output or another mode
/// has that name.
pub fn input_names(metadata: &ModelMetadata) -> Vec<String> {
    let modes = &metadata.modes;
    let is_mode = |name: &str| modes.iter().any(|mode| mode.name == name);
    let mut names: Vec<String> = Vec::with_capacity(modes.len());
    for mode in modes {
        let mut name = mode.name.clone();
        if OUTPUTS.contains(&name.as_str()) {
            name.push_str("_input");
            while is_mode(&name) {
                name.push_str("_input");
            }
        }
        names.push(name);
    }
    names
}

#[cfg(test)]
mod tests;
