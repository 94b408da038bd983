//! The model file: one safetensors file with one metadata key.

use std::collections::{BTreeMap, HashMap, HashSet};

use candle_core::{DType, Device, Tensor};
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// The format version this crate writes, and the newest it reads.
pub const FORMAT_VERSION: u64 = 1;

/// The only metadata key of a model file.
const METADATA_KEY: &str = "emma";

/// A mode: its name and the table columns it is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeColumns {
    /// Name, of lower-case letters, digits and underscores.
    pub name: String,
    /// Columns, in the order of the features.
    pub columns: Vec<String>,
}

/// A part of a model by kind, with whatever else its writer noted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kind {
    /// What it is; readers refuse kinds they do not know.
    pub kind: String,
    /// Notes for people; readers do not need them.
    #[serde(flatten)]
    pub notes: Map<String, Value>,
}

impl Kind {
    /// A kind without notes.
    pub fn new(kind: &str) -> Self {
        Self {
            kind: kind.into(),
            notes: Map::new(),
        }
    }

    /// Adds a note.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.notes.insert(key.into(), value.into());
        self
    }
}

/// Everything about a model that is not a tensor.
///
/// Unknown keys are ignored when reading; keys are written in this order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelMetadata {
    /// Version of the file format.
    pub format_version: u64,
    /// What the model is called, such as `with` or `base`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Modes, in order.
    pub modes: Vec<ModeColumns>,
    /// Name of the label column.
    pub label: String,
    /// Coldness ρ; none for models without EMMA.
    #[serde(deserialize_with = "Option::deserialize")] // Null, but not absent.
    pub coldness: Option<f64>,
    /// Energy estimator; none for models without EMMA.
    #[serde(deserialize_with = "Option::deserialize")] // Null, but not absent.
    pub energy: Option<Kind>,
    /// Prediction network.
    pub network: Kind,
    /// Probability from which a row counts as positive.
    pub threshold: f64,
    /// How the model was trained, for people.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub training: Map<String, Value>,
}

impl ModelMetadata {
    fn validate(&self) -> Result<()> {
        let refuse = |message: String| Err(Error::Checkpoint(message));
        if self.modes.is_empty() {
            return refuse("expected at least one mode, got none".into());
        }
        let mut names = HashSet::new();
        let mut columns = HashSet::new();
        for mode in &self.modes {
            let valid = !mode.name.is_empty()
                && mode
                    .name
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
            if !valid {
                return refuse(format!(
                    "expected mode names of a-z, 0-9 and _, got {:?}",
                    mode.name
                ));
            }
            if !names.insert(&mode.name) {
                return refuse(format!("mode {} is there twice", mode.name));
            }
            if mode.columns.is_empty() {
                return refuse(format!("mode {} has no columns", mode.name));
            }
            for column in &mode.columns {
                if !columns.insert(column) {
                    return refuse(format!(
                        "column {column:?} is there twice (mode {})",
                        mode.name
                    ));
                }
            }
        }
        if !self.threshold.is_finite() {
            return refuse(format!(
                "expected a finite threshold, got {}",
                self.threshold
            ));
        }
        if self.energy.is_some() && self.modes.len() < 2 {
            return refuse("expected at least 2 modes for EMMA, got 1".into());
        }
        match (&self.energy, self.coldness) {
            (Some(_), None) => refuse("expected a coldness beside the energy, got null".into()),
            (Some(_), Some(coldness)) if !(0. ..=f64::MAX).contains(&coldness) => refuse(format!(
                "expected a finite coldness of at least 0, got {coldness}"
            )),
            _ => Ok(()),
        }
    }

    /// Features of all modes together.
    pub fn n_features(&self) -> usize {
        self.modes.iter().map(|mode| mode.columns.len()).sum()
    }
}

/// A model as it is stored: metadata and named f32 tensors.
///
/// Equal checkpoints have equal bytes: nothing of the time, place or machine goes into them.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    metadata: ModelMetadata,
    tensors: BTreeMap<String, Tensor>,
}

impl Checkpoint {
    /// Puts a checkpoint together; tensors become contiguous f32 on the CPU.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if the metadata contradict themselves or a value is not finite.
    pub fn new(metadata: ModelMetadata, tensors: BTreeMap<String, Tensor>) -> Result<Self> {
        metadata.validate()?;
        let tensors = tensors
            .into_iter()
            .map(|(name, tensor)| {
                let tensor = tensor
                    .detach()
                    .to_device(&Device::Cpu)?
                    .to_dtype(DType::F32)?
                    .contiguous()?;
                check_finite(&name, &tensor.flatten_all()?.to_vec1()?)?;
                Ok((name, tensor))
            })
            .collect::<Result<_>>()?;
        Ok(Self { metadata, tensors })
    }

    /// The file's bytes.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if the metadata cannot be written.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let failed = |error: &dyn std::fmt::Display| Error::Checkpoint(error.to_string());
        let metadata = serde_json::to_string(&self.metadata).map_err(|error| failed(&error))?;
        let metadata = HashMap::from([(METADATA_KEY.to_owned(), metadata)]);
        safetensors::serialize(&self.tensors, Some(metadata)).map_err(|error| failed(&error))
    }

    /// Reads a file's bytes.
    ///
    /// # Errors
    /// [`Error::Checkpoint`], [`Error::FormatVersion`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let broken = |error: &dyn std::fmt::Display| Error::Checkpoint(error.to_string());
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| broken(&error))?;
        let metadata = header
            .metadata()
            .as_ref()
            .and_then(|map| map.get(METADATA_KEY))
            .ok_or_else(|| {
                Error::Checkpoint(format!(
                    "expected metadata key {METADATA_KEY}, it is missing"
                ))
            })?;
        let metadata: Value = serde_json::from_str(metadata).map_err(|error| broken(&error))?;
        match metadata.get("format_version").and_then(Value::as_u64) {
            Some(FORMAT_VERSION) => {}
            Some(found) => {
                return Err(Error::FormatVersion {
                    found,
                    supported: FORMAT_VERSION,
                });
            }
            None => {
                return Err(Error::Checkpoint(
                    "expected a whole number format_version in the metadata".into(),
                ));
            }
        }
        let metadata: ModelMetadata =
            serde_json::from_value(metadata).map_err(|error| broken(&error))?;
        metadata.validate()?;
        let stored = SafeTensors::deserialize(bytes).map_err(|error| broken(&error))?;
        let mut tensors = BTreeMap::new();
        for (name, view) in stored.tensors() {
            if view.dtype() != Dtype::F32 {
                return Err(Error::Checkpoint(format!(
                    "expected tensor {name} of type F32, got {:?}",
                    view.dtype()
                )));
            }
            let values: Vec<f32> = view
                .data()
                .chunks_exact(4)
                .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
                .collect();
            check_finite(&name, &values)?;
            let tensor = Tensor::from_vec(values, view.shape(), &Device::Cpu)?;
            tensors.insert(name, tensor);
        }
        Ok(Self { metadata, tensors })
    }

    /// Everything that is not a tensor.
    pub fn metadata(&self) -> &ModelMetadata {
        &self.metadata
    }

    /// A tensor, checked for its shape.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::Shape`].
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<&Tensor> {
        let tensor = self.any_shape(name)?;
        if tensor.dims() == shape {
            return Ok(tensor);
        }
        Err(Error::Shape {
            what: format!("tensor {name}"),
            expected: format!("{shape:?}"),
            found: tensor.dims().to_vec(),
        })
    }

    /// The rows of a matrix with a known number of columns, such as a layer's outputs.
    pub(crate) fn n_rows_of(&self, name: &str, n_columns: usize) -> Result<usize> {
        let tensor = self.any_shape(name)?;
        match tensor.dims() {
            &[rows, columns] if columns == n_columns && rows > 0 => Ok(rows),
            dims => Err(Error::Shape {
                what: format!("tensor {name}"),
                expected: format!("[at least 1, {n_columns}]"),
                found: dims.to_vec(),
            }),
        }
    }

    /// All tensors by name.
    pub fn tensors(&self) -> &BTreeMap<String, Tensor> {
        &self.tensors
    }

    fn any_shape(&self, name: &str) -> Result<&Tensor> {
        self.tensors.get(name).ok_or_else(|| Error::MissingTensor {
            name: name.to_owned(),
        })
    }
}

fn check_finite(name: &str, values: &[f32]) -> Result<()> {
    match values.iter().find(|value| !value.is_finite()) {
        None => Ok(()),
        Some(value) => Err(Error::Checkpoint(format!(
            "expected finite numbers in tensor {name}, got {value}"
        ))),
    }
}
