//! The header of a safetensors file, read without trusting it.

use std::fmt;
use std::io::Read;

use safetensors::Dtype;
use serde::Deserialize;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::excerpt;
use crate::error::{Error, Result};

/// Bytes of the number in front of the header that says how long the header is.
const LENGTH_BYTES: u64 = 8;
/// That number and the first byte of the header.
pub(super) const HEAD_BYTES: usize = LENGTH_BYTES as usize + 1;
/// Longest header that is read at all.
const MOST_HEADER_BYTES: u64 = 100_000_000;
/// Bytes that any header may have, and as many more as there are bytes of tensors: its text is in
/// memory twice for a while.
const FREE_HEADER_BYTES: u64 = 256 << 10;
/// Tensors that any file may have, and bytes of tensors that allow one more: what a header says of a
/// tensor takes that much memory at most.
const FREE_TENSORS: u64 = 2048;
const BYTES_PER_TENSOR: u64 = 384;
/// The same for the items of the metadata, by the commas between them.
const FREE_ITEMS: u64 = 6800;
const BYTES_PER_ITEM: u64 = 96;
/// Most dimensions of a tensor.
const MOST_DIMENSIONS: usize = 8;

/// Longest name of a tensor.
const LONGEST_NAME: usize = 1000;

/// What a header says.
#[derive(Debug)]
pub(super) struct Header {
    /// The metadata under the key that was asked for, if it is there.
    pub(super) metadata: Option<String>,
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
    /// Whatever the header says, it costs no more memory than the file has bytes and 1 MiB.
    pub(super) fn read(source: &mut impl Read, length: u64, key: &str) -> Result<Self> {
        let text = read_text(source, length)?;
        let tensor_bytes = length - LENGTH_BYTES - text.len() as u64;
        check_proportion(
            "bytes of header",
            text.len() as u64,
            FREE_HEADER_BYTES + tensor_bytes,
            tensor_bytes,
        )?;
        // Counted before anything is kept.
        let census: Census = parse(&text, key)?;
        check_proportion(
            "tensors",
            census.n_tensors,
            FREE_TENSORS + tensor_bytes / BYTES_PER_TENSOR,
            tensor_bytes,
        )?;
        if let Some(metadata) = &census.metadata {
            // Here, not in the header, where a comma may be written as an escape.
            let commas = metadata.bytes().filter(|&byte| byte == b',').count();
            check_proportion(
                "commas in the metadata",
                commas as u64,
                FREE_ITEMS + tensor_bytes / BYTES_PER_ITEM,
                tensor_bytes,
            )?;
        }
        let entries: Entries = parse(&text, key)?;
        drop(text);
        Ok(Self {
            metadata: census.metadata,
            tensors: checked(entries.0, tensor_bytes)?,
        })
    }

    /// Bytes of a whole file that begins with these, if they hold its header.
    pub(super) fn announced_length(head: &[u8]) -> Result<u64> {
        let text = read_text(&mut &*head, head.len() as u64)?;
        let entries: Entries = parse(&text, "")?;
        let ends = entries.0.iter().map(|(_, info)| info.data_offsets.1);
        Ok(head.len() as u64 + ends.max().unwrap_or(0) as u64)
    }
}

fn check_proportion(what: &str, found: u64, most: u64, tensor_bytes: u64) -> Result<()> {
    if found <= most {
        return Ok(());
    }
    refuse(format!(
        "expected at most {most} {what} for {tensor_bytes} bytes of tensors, got {found}"
    ))
}

/// The length that the first bytes of a file announce for its header, if the file may be one of ours:
/// files of other kinds end here, before memory is asked for.
pub(super) fn header_length(head: [u8; HEAD_BYTES], most: u64) -> Result<u64> {
    let [length @ .., first] = head;
    let length = u64::from_le_bytes(length);
    let most = most.min(MOST_HEADER_BYTES);
    if !(2..=most).contains(&length) {
        return refuse(format!(
            "expected a header of 2 to {most} bytes, the file announces {length}"
        ));
    }
    if first != b'{' {
        return refuse("expected a header that starts with {, it does not".into());
    }
    Ok(length)
}

fn read_text(source: &mut impl Read, length: u64) -> Result<String> {
    if length <= LENGTH_BYTES {
        return refuse(format!(
            "expected more than {LENGTH_BYTES} bytes, got {length}"
        ));
    }
    let mut head = [0; HEAD_BYTES];
    read_exact(source, &mut head)?;
    let header_length = header_length(head, length - LENGTH_BYTES)?;
    let mut text = vec![0; usize::try_from(header_length).unwrap_or(usize::MAX)];
    text[0] = b'{';
    read_exact(source, &mut text[1..])?;
    String::from_utf8(text).or_else(|_| refuse("expected a header in UTF-8, it is not".into()))
}

/// Orders the tensors by their bytes, and refuses shapes and places that lie.
fn checked(mut entries: Vec<(String, Info)>, tensor_bytes: u64) -> Result<Vec<StoredTensor>> {
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
fn n_elements(name: &str, info: &Info, tensor_bytes: u64) -> Result<usize> {
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
            format_args!("{shape:?}"),
            end - start
        )),
    }
}

pub(super) fn read_exact(source: &mut impl Read, bytes: &mut [u8]) -> Result<()> {
    source.read_exact(bytes).map_err(|error| {
        // Files are read by their length: one that ends before was cut while it was read.
        Error::TensorFile(format!("cannot be read: {error}"))
    })
}

fn refuse<T>(message: String) -> Result<T> {
    Err(Error::TensorFile(message))
}

/// Parses a header for some purpose; `key` names the metadata that are wanted.
fn parse<'a, T: FromHeader<'a>>(text: &'a str, key: &'a str) -> Result<T> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let parsed = deserializer
        .deserialize_map(HeaderVisitor {
            key,
            value: T::default(),
        })
        .and_then(|value| deserializer.end().map(|()| value));
    parsed.map_err(|error| Error::TensorFile(format!("invalid header: {error}")))
}

/// What is made of a header's entries.
trait FromHeader<'a>: Default {
    fn take_metadata<A: MapAccess<'a>>(
        &mut self,
        key: &str,
        map: &mut A,
    ) -> std::result::Result<(), A::Error>;
    fn take_tensor<A: MapAccess<'a>>(
        &mut self,
        name: String,
        map: &mut A,
    ) -> std::result::Result<(), A::Error>;
}

struct HeaderVisitor<'a, T> {
    key: &'a str,
    value: T,
}

impl<'de, T: FromHeader<'de>> Visitor<'de> for HeaderVisitor<'de, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> std::result::Result<T, A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                self.value.take_metadata(self.key, &mut map)?;
            } else {
                self.value.take_tensor(name, &mut map)?;
            }
        }
        Ok(self.value)
    }
}

/// How many tensors there are, and the metadata.
///
/// The safetensors crate parses a header by way of a copy of everything in a general form, which takes
/// many times the header's size.
#[derive(Default)]
struct Census {
    metadata: Option<String>,
    n_tensors: u64,
}

impl<'a> FromHeader<'a> for Census {
    fn take_metadata<A: MapAccess<'a>>(
        &mut self,
        key: &str,
        map: &mut A,
    ) -> std::result::Result<(), A::Error> {
        self.metadata = map.next_value_seed(ValueOf { key })?;
        Ok(())
    }

    fn take_tensor<A: MapAccess<'a>>(
        &mut self,
        _: String,
        map: &mut A,
    ) -> std::result::Result<(), A::Error> {
        map.next_value::<IgnoredAny>()?;
        self.n_tensors += 1;
        Ok(())
    }
}

/// All tensors.
#[derive(Default)]
struct Entries(Vec<(String, Info)>);

impl<'a> FromHeader<'a> for Entries {
    fn take_metadata<A: MapAccess<'a>>(
        &mut self,
        _: &str,
        map: &mut A,
    ) -> std::result::Result<(), A::Error> {
        map.next_value::<IgnoredAny>().map(|_| ())
    }

    fn take_tensor<A: MapAccess<'a>>(
        &mut self,
        name: String,
        map: &mut A,
    ) -> std::result::Result<(), A::Error> {
        self.0.push((name, map.next_value()?));
        Ok(())
    }
}

/// A tensor's entry.
#[derive(Deserialize)]
struct Info {
    dtype: Dtype,
    #[serde(deserialize_with = "dimensions")]
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

/// A shape of a bounded number of dimensions.
fn dimensions<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Vec<usize>, D::Error> {
    struct Dimensions;
    impl<'de> Visitor<'de> for Dimensions {
        type Value = Vec<usize>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a shape of at most {MOST_DIMENSIONS} dimensions")
        }

        fn visit_seq<A: SeqAccess<'de>>(
            self,
            mut sequence: A,
        ) -> std::result::Result<Vec<usize>, A::Error> {
            let mut shape = Vec::new();
            while let Some(n) = sequence.next_element()? {
                if shape.len() == MOST_DIMENSIONS {
                    return Err(A::Error::invalid_length(MOST_DIMENSIONS + 1, &self));
                }
                shape.push(n);
            }
            Ok(shape)
        }
    }
    deserializer.deserialize_seq(Dimensions)
}

/// The text under one key of an object of texts; the others are passed over.
struct ValueOf<'a> {
    key: &'a str,
}

impl<'de> DeserializeSeed<'de> for ValueOf<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> std::result::Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ValueOf<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object of texts")
    }

    fn visit_map<A: MapAccess<'de>>(
        self,
        mut map: A,
    ) -> std::result::Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<String>()? {
            if key == self.key {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}
