//! The model file: one safetensors file with one metadata key.

mod metadata;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use candle_core::Tensor;
use emma_energy::tensor_file::{self, TensorReader};

pub use metadata::{Kind, ModeColumns, ModelMetadata};

use crate::error::{Error, Result};

/// The format version that this crate writes for classifiers of two classes.
pub const FORMAT_VERSION: u64 = 1;

/// The newest format version, in which models of other [tasks](crate::Task) are written: a reader of the first would
/// take what they give for a logit.
pub const NEWEST_FORMAT_VERSION: u64 = 2;

/// The only metadata key of a model file.
const METADATA_KEY: &str = "emma";

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
                let tensor = tensor_file::stored(&name, &tensor)?;
                Ok((name, tensor))
            })
            .collect::<Result<_>>()?;
        Ok(Self { metadata, tensors })
    }

    /// The file's bytes.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if the metadata cannot be written, or the file would be one that
    /// [`from_bytes`](Self::from_bytes) refuses for having too large a header for its tensors.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let metadata = serde_json::to_string(&self.metadata)
            .map_err(|error| Error::Checkpoint(error.to_string()))?;
        Ok(tensor_file::to_bytes(
            &self.tensors,
            METADATA_KEY,
            metadata,
        )?)
    }

    /// Reads a file's bytes.
    ///
    /// # Errors
    /// [`Error::Checkpoint`], [`Error::FormatVersion`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::read(TensorReader::new(bytes, bytes.len() as u64, METADATA_KEY)?)
    }

    /// Reads a model file.
    ///
    /// A file that cannot be one is refused after a glance at its head, whatever its size. Until it is
    /// known to be whole and well-formed, no more memory is used than the file's own size and 1 MiB.
    ///
    /// # Errors
    /// [`Error::InFile`] around [`Error::Open`], [`Error::Checkpoint`] or [`Error::FormatVersion`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let load = || Self::read(TensorReader::open(path, METADATA_KEY)?);
        load().map_err(|error| error.in_file(path))
    }

    fn read<R: Read>(mut reader: TensorReader<R>) -> Result<Self> {
        let metadata = ModelMetadata::parse(&reader.take_metadata(METADATA_KEY)?)?;
        let tensors = reader.tensors()?;
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

    pub(crate) fn any_shape(&self, name: &str) -> Result<&Tensor> {
        self.tensors.get(name).ok_or_else(|| Error::MissingTensor {
            name: name.to_owned(),
        })
    }
}
