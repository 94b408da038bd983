//! The header of a safetensors file, read without trusting it.

use std::collections::HashMap;
use std::fmt;
use std::io::Read;

use safetensors::Dtype;
use safetensors::tensor::TensorInfo;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use crate::error::{Error, Result, excerpt};

/// Bytes of the number in front of the header that says how long the header is.
const LENGTH_BYTES: u64 = 8;
/// Longest header that is read at all.
const MOST_HEADER_BYTES: u64 = 100_000_000;
/// Commas that any header may have, and bytes of tensors that allow one more.
///
/// Every part of a header that takes memory of its own when parsed has a comma, and takes less than
/// 160 bytes; so parsing stays within the size of the file and 1 MiB more.
const FREE_COMMAS: u64 = 6144;
const TENSOR_BYTES_PER_COMMA: u64 = 160;

/// Longest name of a tensor.
const LONGEST_NAME: usize = 1000;

/// What a header says.
#[derive(Debug)]
pub(super) struct Header {
    /// Metadata by key.
    pub(super) metadata: HashMap<String, String>,
    /// Tensors in the order of their bytes, which lie without gaps.
    pub(super) tensors: Vec<StoredTensor>,
}

/// A tensor of type F32.
#[derive(Debug)]
pub(super) struct StoredTensor {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) n_elements: usize,
}

impl Header {
    /// Reads the header of a file of `length` bytes, leaving `source` where the tensors begin.
    ///
    /// Nothing is allocated that the file's length does not allow for.
    pub(super) fn read(source: &mut impl Read, length: u64) -> Result<Self> {
        let text = read_text(source, length)?;
        let tensor_bytes = length - LENGTH_BYTES - text.len() as u64;
        let commas = text.bytes().filter(|&byte| byte == b',').count() as u64;
        if commas > FREE_COMMAS + tensor_bytes / TENSOR_BYTES_PER_COMMA {
            return refuse(format!(
                "expected a header in proportion to {tensor_bytes} bytes of tensors, got one of {} \
                 bytes with {commas} commas",
                text.len()
            ));
        }
        let entries: Entries = serde_json::from_str(&text)
            .map_err(|error| Error::Checkpoint(format!("invalid header: {error}")))?;
        drop(text);
        Ok(Self {
            metadata: entries.metadata,
            tensors: checked(entries.tensors, tensor_bytes)?,
        })
    }
}

fn read_text(source: &mut impl Read, length: u64) -> Result<String> {
    if length <= LENGTH_BYTES {
        return refuse(format!(
            "expected more than {LENGTH_BYTES} bytes, got {length}"
        ));
    }
    let mut header_length = [0; LENGTH_BYTES as usize];
    read_exact(source, &mut header_length)?;
    let header_length = u64::from_le_bytes(header_length);
    let most = (length - LENGTH_BYTES).min(MOST_HEADER_BYTES);
    if !(2..=most).contains(&header_length) {
        return refuse(format!(
            "expected a header of 2 to {most} bytes, the file announces {header_length}"
        ));
    }
    // Before the memory for the rest is asked for: files of other kinds end here.
    let mut first = [0];
    read_exact(source, &mut first)?;
    if first != *b"{" {
        return refuse("expected a header that starts with {, it does not".into());
    }
    let mut text = vec![0; usize::try_from(header_length).unwrap_or(usize::MAX)];
    text[0] = first[0];
    read_exact(source, &mut text[1..])?;
    String::from_utf8(text).or_else(|_| refuse("expected a header in UTF-8, it is not".into()))
}

/// Orders the tensors by their bytes, and refuses shapes and places that lie.
fn checked(mut entries: Vec<(String, TensorInfo)>, tensor_bytes: u64) -> Result<Vec<StoredTensor>> {
    entries.sort_unstable_by(|(a, a_info), (b, b_info)| {
        (a_info.data_offsets, a).cmp(&(b_info.data_offsets, b))
    });
    let mut sizes = Vec::with_capacity(entries.len());
    for (name, info) in &entries {
        sizes.push(n_elements(name, info, tensor_bytes)?);
    }
    let mut expected_start = 0;
    let mut tensors = Vec::with_capacity(entries.len());
    for ((name, info), n_elements) in entries.into_iter().zip(sizes) {
        let (start, end) = info.data_offsets;
        if start != expected_start {
            return refuse(format!(
                "expected tensor {name} to start where the one before it ends, at byte \
                 {expected_start}, got {start}"
            ));
        }
        expected_start = end;
        tensors.push(StoredTensor {
            name,
            shape: info.shape,
            n_elements,
        });
    }
    if expected_start as u64 != tensor_bytes {
        return refuse(format!(
            "expected {expected_start} bytes of tensors after the header, got {tensor_bytes}"
        ));
    }
    Ok(tensors)
}

/// Numbers in a tensor, whose type, shape and place agree with each other and with the file.
fn n_elements(name: &str, info: &TensorInfo, tensor_bytes: u64) -> Result<usize> {
    let (start, end) = info.data_offsets;
    let shape = &info.shape;
    if name.chars().any(char::is_control) || name.len() > LONGEST_NAME {
        return refuse(format!(
            "expected tensor names of at most {LONGEST_NAME} bytes without control characters, got {}",
            excerpt(name)
        ));
    }
    if info.dtype != Dtype::F32 {
        return refuse(format!(
            "expected tensor {name} of type F32, got {:?}",
            info.dtype
        ));
    }
    if start > end || end as u64 > tensor_bytes {
        return refuse(format!(
            "expected tensor {name} within the {tensor_bytes} bytes after the header, got bytes \
             {start} to {end}"
        ));
    }
    let n_elements = shape
        .iter()
        .try_fold(1_usize, |product, &n| product.checked_mul(n));
    let n_bytes = n_elements.and_then(|n| n.checked_mul(size_of::<f32>()));
    match (n_elements, n_bytes) {
        (Some(n_elements), Some(n_bytes)) if n_bytes == end - start => Ok(n_elements),
        _ => refuse(format!(
            "expected tensor {name} to have the bytes of its shape {}, got {}",
            listing(shape),
            end - start
        )),
    }
}

/// A shape for a message, cut where it gets long.
fn listing(shape: &[usize]) -> String {
    const MOST: usize = 8;
    if shape.len() <= MOST {
        return format!("{shape:?}");
    }
    format!("{:?} and {} more", &shape[..MOST], shape.len() - MOST)
}

pub(super) fn read_exact(source: &mut impl Read, bytes: &mut [u8]) -> Result<()> {
    source.read_exact(bytes).map_err(|error| {
        // Files are read by their length: one that ends before was cut while it was read.
        Error::Checkpoint(format!("cannot be read: {error}"))
    })
}

fn refuse<T>(message: String) -> Result<T> {
    Err(Error::Checkpoint(message))
}

/// The header's JSON object as it stands.
///
/// The safetensors crate parses it by way of a copy of everything in a general form, which takes many
/// times the header's size.
struct Entries {
    metadata: HashMap<String, String>,
    tensors: Vec<(String, TensorInfo)>,
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Entries, A::Error> {
        let mut entries = Entries {
            metadata: HashMap::new(),
            tensors: Vec::new(),
        };
        while let Some(key) = map.next_key::<String>()? {
            if key == "__metadata__" {
                entries.metadata = map.next_value()?;
            } else {
                entries.tensors.push((key, map.next_value()?));
            }
        }
        Ok(entries)
    }
}
