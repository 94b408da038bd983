//! Named f32 tensors and one text of metadata in a safetensors file, read without trusting it.

mod header;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::path::Path;

use candle_core::{DType, Device, Tensor};

use crate::error::{Error, Result};
use header::{HEAD_BYTES, Header, StoredTensor, header_length, read_exact};

/// A safetensors file whose header was read and found good, and whose tensors are still to be read.
///
/// A file that cannot be one is refused after a glance at its head, whatever its size. Until it is
/// known to be whole and well-formed, no more memory is used than the file's own size and 1 MiB.
/// Every model file of the workspace is read by this.
pub struct TensorReader<R> {
    source: R,
    metadata: Option<String>,
    tensors: Vec<StoredTensor>,
}

impl<R: Read> TensorReader<R> {
    /// Reads the header of a file of `length` bytes; `key` names the metadata that are wanted.
    ///
    /// # Errors
    /// [`Error::TensorFile`] if it is not the header of a file of f32 tensors without gaps.
    pub fn new(mut source: R, length: u64, key: &str) -> Result<Self> {
        let Header { metadata, tensors } = Header::read(&mut source, length, key)?;
        Ok(Self {
            source,
            metadata,
            tensors,
        })
    }

    /// Takes the metadata under the key, if they are there.
    ///
    /// # Errors
    /// [`Error::TensorFile`] if there are none.
    pub fn take_metadata(&mut self, key: &str) -> Result<String> {
        self.metadata
            .take()
            .ok_or_else(|| Error::TensorFile(format!("expected metadata key {key}, it is missing")))
    }

    /// Reads the tensors, onto the CPU.
    ///
    /// # Errors
    /// [`Error::TensorFile`] for numbers that are not finite and names that are there twice.
    pub fn tensors(mut self) -> Result<BTreeMap<String, Tensor>> {
        let mut tensors = BTreeMap::new();
        for StoredTensor {
            name,
            shape,
            n_elements,
        } in self.tensors
        {
            let values = read_values(&mut self.source, n_elements)?;
            check_finite(&name, &values)?;
            let tensor = Tensor::from_vec(values, shape, &Device::Cpu)?;
            if tensors.insert(name.clone(), tensor).is_some() {
                return Err(Error::TensorFile(format!("tensor {name} is there twice")));
            }
        }
        Ok(tensors)
    }
}

impl TensorReader<Box<dyn Read>> {
    /// Opens a file, or a pipe, which is read to its end first.
    ///
    /// # Errors
    /// [`Error::Open`], [`Error::TensorFile`].
    pub fn open(path: &Path, key: &str) -> Result<Self> {
        let mut file = File::open(path).map_err(Error::Open)?;
        let about = file.metadata().map_err(Error::Open)?;
        if about.is_file() {
            return Self::new(Box::new(BufReader::new(file)), about.len(), key);
        }
        let bytes = read_pipe(&mut file)?;
        let length = bytes.len() as u64;
        Self::new(Box::new(Cursor::new(bytes)), length, key)
    }
}

/// A tensor as files hold it: contiguous f32 on the CPU, out of training's reach.
///
/// # Errors
/// [`Error::TensorFile`] if a value is not finite.
pub fn stored(name: &str, tensor: &Tensor) -> Result<Tensor> {
    let tensor = tensor
        .detach()
        .to_device(&Device::Cpu)?
        .to_dtype(DType::F32)?
        .contiguous()?;
    check_finite(name, &tensor.flatten_all()?.to_vec1()?)?;
    Ok(tensor)
}

/// The bytes of a file of [`stored`] tensors. Equal tensors and metadata give equal bytes.
///
/// # Errors
/// [`Error::TensorFile`] if it would be a file that [`TensorReader`] refuses, such as one with too
/// large a header for its tensors.
pub fn to_bytes(
    tensors: &BTreeMap<String, Tensor>,
    key: &str,
    metadata: String,
) -> Result<Vec<u8>> {
    let metadata = HashMap::from([(key.to_owned(), metadata)]);
    let bytes = safetensors::serialize(tensors, Some(metadata))
        .map_err(|error| Error::TensorFile(error.to_string()))?;
    // A file that nobody can read is better not written.
    Header::read(&mut bytes.as_slice(), bytes.len() as u64, key)?;
    Ok(bytes)
}

/// Text from a file for a message: quoted, escaped, cut where it gets long.
pub fn excerpt(text: &str) -> String {
    const MOST: usize = 60;
    if text.chars().count() <= MOST {
        return format!("{text:?}");
    }
    let start: String = text.chars().take(MOST).collect();
    format!("{start:?}...")
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
        Some(value) => Err(Error::TensorFile(format!(
            "expected finite numbers in tensor {name}, got {value}"
        ))),
    }
}
