//! Streaming reader of a table, however it is packed.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use crate::compression::{self, Container};
use crate::error::{Error, Result};
use crate::feature_reader::{Chunk, FeatureReader, LabelColumn};
use crate::missing_values::MissingValues;
#[cfg(feature = "parquet")]
use crate::parquet_reader::ParquetReader;

/// Reads the needed columns of a table, chunk by chunk: comma-separated text, plain or packed with gzip or
/// zstd, or Parquet.
///
/// What a file is, its first bytes say; its name does not matter. The rules for text are those of
/// [`FeatureReader`].
///
/// # Parquet (feature `parquet`, on by default)
/// - Columns are found by name among the top-level ones, in any order; names are compared exactly.
/// - A feature may hold integers of any width, signed or not, or floats of 16, 32 or 64 bits; a label
///   may hold booleans too. Values are rounded once to the nearest 32-bit float.
/// - Pages may be packed with Snappy, gzip or zstd.
/// - It is read from its end, so it must be a file: a pipe and a second compression are refused.
///
/// # Memory
/// - Text: as [`FeatureReader`].
/// - gzip: about 100 KiB more. zstd: the window that the stream was packed with more, at most 128 MiB.
/// - Parquet: the file's description, and for each needed column one page and one dictionary as they
///   are unpacked, whatever the size of the row groups.
///
/// # Damage
/// A cut or damaged file is an error that names it. The checksum of a compressed stream comes behind
/// its rows, so these have been given out by the time it is found wrong: whoever keeps anything keeps
/// it once the reader has come to its end. A Parquet file that makes its decoder panic is an error too,
/// although the panic's message appears on standard error, as every panic's does.
///
/// ```
/// use emma_data::{Chunk, LabelColumn, MissingValues, TableReader};
///
/// let table = "height,width\n1.5,2\n3,\n";
/// let mut reader = TableReader::new(
///     table.as_bytes(),
///     "table.csv",
///     &["width", "height"],
///     LabelColumn::None,
///     MissingValues::AsNan,
/// )?;
/// let mut chunk = Chunk::new();
/// assert!(reader.next_chunk(1000, &mut chunk)?);
/// assert_eq!(chunk.values()[..2], [2.0, 1.5]);
/// assert!(chunk.values()[2].is_nan());
/// assert_eq!(reader.n_missing(), [1, 0]);
/// # Ok::<(), emma_data::Error>(())
/// ```
pub struct TableReader<'a> {
    rows: Rows<'a>,
}

enum Rows<'a> {
    Text(Box<FeatureReader<Box<dyn Read + Send + 'a>>>),
    #[cfg(feature = "parquet")]
    Parquet(Box<ParquetReader>),
}

impl TableReader<'static> {
    /// Opens the table in a file, which errors call by its path.
    ///
    /// `features` are the needed columns in the order in which their values are wanted.
    ///
    /// # Errors
    /// [`Error::Open`]; those of [`TableReader::new`]; about Parquet [`Error::Parquet`],
    /// [`Error::ParquetMissingColumn`], [`Error::ParquetDuplicateColumn`],
    /// [`Error::ParquetColumnType`], [`Error::ParquetLeftOut`].
    pub fn open(
        path: impl AsRef<Path>,
        features: &[impl AsRef<str>],
        label: LabelColumn,
        missing: MissingValues,
    ) -> Result<Self> {
        let name = path.as_ref().display().to_string();
        match File::open(path) {
            Ok(file) => Self::of_file(file, name, features, label, missing),
            Err(source) => Err(Error::Open { file: name, source }),
        }
    }

    /// The same for an open file that stands at its beginning.
    pub(crate) fn of_file(
        mut file: File,
        name: String,
        features: &[impl AsRef<str>],
        label: LabelColumn,
        missing: MissingValues,
    ) -> Result<Self> {
        if !file.metadata().is_ok_and(|about| about.is_file()) {
            return Self::new(file, name, features, label, missing);
        }
        let container = match compression::peek(&mut file) {
            Ok((container, _)) => container,
            Err(error) => return Err(compression::read_error(name, 1, error)),
        };
        if let Err(source) = file.rewind() {
            return Err(Error::Open { file: name, source });
        }
        if container == Container::Parquet {
            return Self::parquet(file, name, features, &label, missing);
        }
        Self::new(file, name, features, label, missing)
    }

    #[cfg(feature = "parquet")]
    fn parquet(
        file: File,
        name: String,
        features: &[impl AsRef<str>],
        label: &LabelColumn,
        missing: MissingValues,
    ) -> Result<Self> {
        let reader = ParquetReader::new(file, name, features, label, missing)?;
        Ok(Self {
            rows: Rows::Parquet(Box::new(reader)),
        })
    }

    #[cfg(not(feature = "parquet"))]
    fn parquet(
        _: File,
        name: String,
        _: &[impl AsRef<str>],
        _: &LabelColumn,
        _: MissingValues,
    ) -> Result<Self> {
        Err(Error::ParquetLeftOut { file: name })
    }
}

impl<'a> TableReader<'a> {
    /// Opens the table that a source gives; `file` is the name that errors call it by.
    ///
    /// # Errors
    /// Those of [`FeatureReader::new`]; [`Error::DamagedStream`]; [`Error::CompressedTwice`];
    /// [`Error::ParquetStream`], since Parquet is read by [`TableReader::open`] alone.
    pub fn new(
        source: impl Read + Send + 'a,
        file: impl Into<String>,
        features: &[impl AsRef<str>],
        label: LabelColumn,
        missing: MissingValues,
    ) -> Result<Self> {
        let file = file.into();
        let text = compression::open_text(source, &file)?;
        let reader = FeatureReader::with_missing_values(text, file, features, label, missing)?;
        Ok(Self {
            rows: Rows::Text(Box::new(reader)),
        })
    }

    /// The name that errors call the file by.
    pub fn file(&self) -> &str {
        match &self.rows {
            Rows::Text(reader) => reader.file(),
            #[cfg(feature = "parquet")]
            Rows::Parquet(reader) => reader.file(),
        }
    }

    /// From now on rows that break a rule are not errors, as [`FeatureReader::keep_faulty_rows`] says; in Parquet these are
    /// rows with a number that is not finite, a null, or a label that is none.
    pub fn keep_faulty_rows(&mut self) {
        match &mut self.rows {
            Rows::Text(reader) => reader.keep_faulty_rows(),
            #[cfg(feature = "parquet")]
            Rows::Parquet(reader) => reader.keep_faulty_rows(),
        }
    }

    /// Whether chunks have labels: one was asked for and the file has it.
    pub fn has_labels(&self) -> bool {
        match &self.rows {
            Rows::Text(reader) => reader.has_labels(),
            #[cfg(feature = "parquet")]
            Rows::Parquet(reader) => reader.has_labels(),
        }
    }

    /// Number of features: the columns of every chunk.
    pub fn n_columns(&self) -> usize {
        self.n_missing().len()
    }

    /// How many values of each feature were missing in the rows read so far, in the order of the
    /// features; zeros if missing values are refused.
    pub fn n_missing(&self) -> &[u64] {
        match &self.rows {
            Rows::Text(reader) => reader.n_missing(),
            #[cfg(feature = "parquet")]
            Rows::Parquet(reader) => reader.n_missing(),
        }
    }

    /// Reads up to `max_rows` rows into `chunk`, whose buffers are used again; false if none is left.
    ///
    /// After an error, `chunk` holds the rows before the faulty one and the table counts as ended:
    /// further calls give false.
    ///
    /// # Shapes
    /// `chunk.values()`: `[rows, features]`, row-major, `1 <= rows <= max_rows`.
    ///
    /// # Errors
    /// Those of [`FeatureReader::next_chunk`], [`Error::DamagedStream`], [`Error::Parquet`].
    pub fn next_chunk(&mut self, max_rows: usize, chunk: &mut Chunk) -> Result<bool> {
        match &mut self.rows {
            Rows::Text(reader) => reader.next_chunk(max_rows, chunk),
            #[cfg(feature = "parquet")]
            Rows::Parquet(reader) => reader.next_chunk(max_rows, chunk),
        }
    }

    /// Reads all rows that are left. Memory grows with the table.
    ///
    /// # Errors
    /// [`Error::NoRows`] or [`Error::ParquetNoRows`] if there is none; otherwise those of
    /// [`TableReader::next_chunk`].
    pub fn read_all(mut self) -> Result<Chunk> {
        let mut chunk = Chunk::new();
        if self.next_chunk(usize::MAX, &mut chunk)? {
            Ok(chunk)
        } else {
            Err(self.no_rows())
        }
    }

    /// Whether the file is not read from its beginning to its end.
    pub(crate) fn jumps(&self) -> bool {
        match self.rows {
            Rows::Text(_) => false,
            #[cfg(feature = "parquet")]
            Rows::Parquet(_) => true,
        }
    }

    /// What is wrong with a table that has ended without a row.
    pub(crate) fn no_rows(self) -> Error {
        match self.rows {
            Rows::Text(reader) => reader.no_rows(),
            #[cfg(feature = "parquet")]
            Rows::Parquet(reader) => Error::ParquetNoRows {
                file: reader.file().to_owned(),
            },
        }
    }
}
