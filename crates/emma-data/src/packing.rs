//! Packing what is written with gzip or zstd.

use std::io::{self, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

/// How a file that is written is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
}

impl Packing {
    /// What the name of a file asks for: gzip if it ends in `.gz`, zstd if in `.zst`, in capital letters or not.
    pub fn of(path: impl AsRef<Path>) -> Self {
        let suffix = path.as_ref().extension();
        let is = |name: &str| suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case(name));
        if is("gz") {
            Self::Gzip
        } else if is("zst") {
            Self::Zstd
        } else {
            Self::None
        }
    }
}

/// Packs what is written to it, and writes it on. The same bytes in give the same bytes out.
pub struct PackedWriter<W: Write> {
    encoder: Encoder<W>,
}

enum Encoder<W: Write> {
    None(W),
    Gzip(GzEncoder<W>),
    Zstd(zstd::stream::write::Encoder<'static, W>),
}

impl<W: Write> PackedWriter<W> {
    /// Begins a stream.
    ///
    /// # Errors
    /// If zstd has no memory.
    pub fn new(writer: W, packing: Packing) -> io::Result<Self> {
        let encoder = match packing {
            Packing::None => Encoder::None(writer),
            Packing::Gzip => Encoder::Gzip(GzEncoder::new(writer, Compression::default())),
            Packing::Zstd => {
                let mut encoder =
                    zstd::stream::write::Encoder::new(writer, zstd::DEFAULT_COMPRESSION_LEVEL)?;
                encoder.include_checksum(true)?;
                Encoder::Zstd(encoder)
            }
        };
        Ok(Self { encoder })
    }

    /// Ends the stream and gives the writer back, which is not flushed.
    ///
    /// # Errors
    /// The writer's.
    pub fn finish(self) -> io::Result<W> {
        match self.encoder {
            Encoder::None(writer) => Ok(writer),
            Encoder::Gzip(encoder) => encoder.finish(),
            Encoder::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for PackedWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.encoder {
            Encoder::None(writer) => writer.write(bytes),
            Encoder::Gzip(encoder) => encoder.write(bytes),
            Encoder::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.encoder {
            Encoder::None(writer) => writer.flush(),
            Encoder::Gzip(encoder) => encoder.flush(),
            Encoder::Zstd(encoder) => encoder.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Chunk, LabelColumn, MissingValues, TableReader};

    #[test]
    fn what_is_packed_is_read_again() {
        assert_eq!(Packing::of("a.csv.GZ"), Packing::Gzip);
        assert_eq!(Packing::of("a.gz/b.csv"), Packing::None);
        for name in ["a.csv", "a.csv.gz", "a.csv.zst"] {
            let mut writer = PackedWriter::new(Vec::new(), Packing::of(name)).unwrap();
            writer.write_all(b"x\n").unwrap();
            writer.flush().unwrap();
            writer.write_all(b"1.5\n2\n").unwrap();
            let bytes = writer.finish().unwrap();
            let missing = MissingValues::Refuse;
            let mut reader =
                TableReader::new(&bytes[..], name, &["x"], LabelColumn::None, missing).unwrap();
            let mut chunk = Chunk::new();
            assert!(reader.next_chunk(10, &mut chunk).unwrap());
            assert_eq!(chunk.values(), [1.5, 2.]);
        }
    }
}
