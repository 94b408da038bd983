//! The model file: one safetensors file with one metadata key.

mod header;
mod metadata;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use candle_core::{DType, Device, Tensor};

pub use metadata::{Kind, ModeColumns, ModelMetadata};

use crate::error::{Error, Result};
use header::{HEAD_BYTES, Header, StoredTensor, header_length, read_exact};

/// The format version this crate writes, and the newest it reads.
pub const FORMAT_VERSION: u64 = 1;

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
    /// [`Error::Checkpoint`] if the metadata cannot be written, or the file would be one that
    /// [`from_bytes`](Self::from_bytes) refuses for having too large a header for its tensors.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let failed = |error: &dyn std::fmt::Display| Error::Checkpoint(error.to_string());
        let metadata = serde_json::to_string(&self.metadata).map_err(|error| failed(&error))?;
        let metadata = HashMap::from([(METADATA_KEY.to_owned(), metadata)]);
        let bytes = safetensors::serialize(&self.tensors, Some(metadata))
            .map_err(|error| failed(&error))?;
        // A file that nobody can read is better not written.
        Header::read(&mut bytes.as_slice(), bytes.len() as u64, METADATA_KEY)?;
        Ok(bytes)
    }

    /// Reads a file's bytes.
    ///
    /// # Errors
    /// [`Error::Checkpoint`], [`Error::FormatVersion`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::read(bytes, bytes.len() as u64)
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
        let load = || {
            let mut file = File::open(path).map_err(Error::Open)?;
            let about = file.metadata().map_err(Error::Open)?;
            if about.is_file() {
                return Self::read(BufReader::new(file), about.len());
            }
            Self::from_bytes(&read_pipe(&mut file)?)
        };
        load().map_err(|error| error.in_file(path))
    }

    fn read(mut source: impl Read, length: u64) -> Result<Self> {
        let header = Header::read(&mut source, length, METADATA_KEY)?;
        let metadata = header.metadata.as_deref().ok_or_else(|| {
            Error::Checkpoint(format!(
                "expected metadata key {METADATA_KEY}, it is missing"
            ))
        })?;
        let metadata = ModelMetadata::parse(metadata)?;
        let mut tensors = BTreeMap::new();
        for StoredTensor {
            name,
            shape,
            n_elements,
        } in header.tensors
        {
            let values = read_values(&mut source, n_elements)?;
            check_finite(&name, &values)?;
            let tensor = Tensor::from_vec(values, shape, &Device::Cpu)?;
            if tensors.insert(name.clone(), tensor).is_some() {
                return Err(Error::Checkpoint(format!("tensor {name} is there twice")));
            }
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

    pub(crate) fn any_shape(&self, name: &str) -> Result<&Tensor> {
        self.tensors.get(name).ok_or_else(|| Error::MissingTensor {
            name: name.to_owned(),
        })
    }
}

/// Reads a file whose length nobody knows, and which may have no end: first its head, then as much as
/// its header announces.
fn read_pipe(source: &mut impl Read) -> Result<Vec<u8>> {
    let mut head = [0; HEAD_BYTES];
    read_exact(source, &mut head)?;
    let mut bytes = head.to_vec();
    let mut read = |most: u64, bytes: &mut Vec<u8>| {
        let part = source.by_ref().take(most).read_to_end(bytes);
        part.map_err(Error::Open)
    };
    read(header_length(head, u64::MAX)? - 1, &mut bytes)?;
    // One byte more than announced shows that there is more.
    let rest = Header::announced_length(&bytes)? - bytes.len() as u64 + 1;
    read(rest, &mut bytes)?;
    Ok(bytes)
}

/// Reads little-endian numbers, piece by piece: the bytes and the numbers are never both in memory.
fn read_values(source: &mut impl Read, n_elements: usize) -> Result<Vec<f32>> {
    const ELEMENTS_PER_PIECE: usize = 4096;
    let mut values = Vec::with_capacity(n_elements);
    let mut piece = [0; ELEMENTS_PER_PIECE * size_of::<f32>()];
    while values.len() < n_elements {
        let length = ELEMENTS_PER_PIECE.min(n_elements - values.len()) * size_of::<f32>();
        let piece = &mut piece[..length];
        read_exact(source, piece)?;
        let numbers = piece.as_chunks::<4>().0.iter().copied();
        values.extend(numbers.map(f32::from_le_bytes));
    }
    Ok(values)
}

fn check_finite(name: &str, values: &[f32]) -> Result<()> {
    match values.iter().find(|value| !value.is_finite()) {
        None => Ok(()),
        Some(value) => Err(Error::Checkpoint(format!(
            "expected finite numbers in tensor {name}, got {value}"
        ))),
    }
}
