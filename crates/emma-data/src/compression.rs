//! What a file's first bytes say of it, and unpacking of gzip and zstd.

use std::error::Error as StdError;
use std::fmt;
use std::io::{self, BufReader, Cursor, ErrorKind, Read};

use flate2::read::MultiGzDecoder;

use crate::error::Error;

/// Bytes that tell what a file is.
const N_FIRST: usize = 5;

/// Largest window of a zstd stream, as a power of two: 128 MiB, what the `zstd` program unpacks unasked.
const ZSTD_WINDOW_LOG: u32 = 27;

/// How a table is packed, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Container {
    Text,
    Gzip,
    Zstd,
    Parquet,
}

impl Container {
    fn of(first: &[u8]) -> Self {
        match first {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // A frame, or a frame to be skipped, with which some programs begin.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            // A column of text may be called PAR1; Parquet goes on with a byte that is no text.
            [b'P', b'A', b'R', b'1'] => Self::Parquet,
            [b'P', b'A', b'R', b'1', next, ..] if !is_text(*next) => Self::Parquet,
            _ => Self::Text,
        }
    }

    /// Name of the compression, if it is one.
    pub(crate) fn compression(self) -> Option<&'static str> {
        match self {
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
            Self::Text | Self::Parquet => None,
        }
    }
}

fn is_text(byte: u8) -> bool {
    byte.is_ascii_graphic() || byte.is_ascii_whitespace() || !byte.is_ascii()
}

/// A source that was looked into, with all its bytes still to come.
pub(crate) type Peeked<R> = io::Chain<Cursor<Vec<u8>>, R>;

/// Looks at the first bytes of `source`.
pub(crate) fn peek<R: Read>(mut source: R) -> io::Result<(Container, Peeked<R>)> {
    let mut first = Vec::with_capacity(N_FIRST);
    source
        .by_ref()
        .take(N_FIRST as u64)
        .read_to_end(&mut first)?;
    Ok((Container::of(&first), Cursor::new(first).chain(source)))
}

/// Text from a source that may be packed with gzip or zstd, and what it was packed with.
///
/// Parts that were packed one by one and concatenated are read as one.
pub(crate) fn unpack<'a>(
    container: Container,
    source: impl Read + Send + 'a,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    let source = Tagged(source);
    Ok(match container {
        Container::Text | Container::Parquet => Box::new(source),
        Container::Gzip => Box::new(Unpacking {
            decoder: MultiGzDecoder::new(BufReader::new(source)),
            compression: "gzip",
        }),
        Container::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::new(source)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            Box::new(Unpacking {
                decoder,
                compression: "zstd",
            })
        }
    })
}

/// The text that a source gives, unpacked if it is packed; `file` is its name in errors.
pub(crate) fn open_text<'a>(
    source: impl Read + Send + 'a,
    file: &str,
) -> Result<Box<dyn Read + Send + 'a>, Error> {
    let opened = peek(source).and_then(|(container, source)| {
        let text = unpack(container, source)?;
        if container == Container::Text || container == Container::Parquet {
            return Ok((Container::Text, container, text));
        }
        // What was packed is not unpacked again, but said to be.
        let (inner, text) = peek(text)?;
        let text: Box<dyn Read + Send + 'a> = Box::new(text);
        Ok((container, inner, text))
    });
    let (outer, inner, text) = match opened {
        Ok(opened) => opened,
        Err(error) => return Err(read_error(file.to_owned(), 1, error)),
    };
    let file = file.to_owned();
    if inner == Container::Parquet {
        return Err(Error::ParquetStream { file });
    }
    match (outer.compression(), inner.compression()) {
        (Some(outer), Some(inner)) => Err(Error::CompressedTwice { file, outer, inner }),
        _ => Ok(text),
    }
}

/// What a failed read means: that the source failed, or that what it gave is damaged.
pub(crate) fn read_error(file: String, line: u64, error: io::Error) -> Error {
    match error.downcast::<Damage>() {
        Ok(Damage {
            compression,
            source,
        }) => Error::DamagedStream {
            file,
            compression,
            line,
            source,
        },
        Err(source) => Error::Read {
            file,
            line,
            source: untagged(source),
        },
    }
}

/// Marks errors of the source itself, so that they are told from those of a decoder.
struct Tagged<R>(R);

impl<R: Read> Read for Tagged<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| {
            // Who retries must still see it.
            if error.kind() == ErrorKind::Interrupted {
                return error;
            }
            io::Error::new(error.kind(), SourceFailed(error))
        })
    }
}

fn untagged(error: io::Error) -> io::Error {
    match error.downcast::<SourceFailed>() {
        Ok(SourceFailed(error)) | Err(error) => error,
    }
}

/// A decoder whose own errors are marked as damage of what it reads.
struct Unpacking<D> {
    decoder: D,
    compression: &'static str,
}

impl<D: Read> Read for Unpacking<D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.decoder.read(buffer).map_err(|error| {
            let of_source = error
                .get_ref()
                .is_some_and(<dyn StdError + Send + Sync>::is::<SourceFailed>);
            if of_source || error.kind() == ErrorKind::Interrupted {
                return error;
            }
            io::Error::new(
                ErrorKind::InvalidData,
                Damage {
                    compression: self.compression,
                    source: error,
                },
            )
        })
    }
}

#[derive(Debug)]
struct SourceFailed(io::Error);

impl fmt::Display for SourceFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for SourceFailed {}

#[derive(Debug)]
struct Damage {
    compression: &'static str,
    source: io::Error,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "damaged {}: {}", self.compression, self.source)
    }
}

impl StdError for Damage {}

#[cfg(test)]
mod tests {
    use super::Container;

    #[test]
    fn a_column_may_be_called_like_parquet() {
        assert_eq!(Container::of(b"PAR1,x"), Container::Text);
        assert_eq!(Container::of(b"PAR1\n"), Container::Text);
        assert_eq!(Container::of(b"PAR1\x15"), Container::Parquet);
        assert_eq!(Container::of(b"PAR1"), Container::Parquet);
        assert_eq!(Container::of(b"PAR"), Container::Text);
    }
}
