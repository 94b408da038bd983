//! A table's fields as text, row by row, whatever the table is stored as.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use crate::compression::{self, Container};
use crate::error::{Error, Result};
use crate::feature_reader::{advance, record_error};
use crate::place::Place;
use crate::record_reader::RecordReader;

/// The fields of a table, comma-separated or Parquet, as text.
pub(crate) struct TextTable {
    file: String,
    rows: Rows,
}

enum Rows {
    Text(Box<RecordReader<Box<dyn Read + Send>>>),
    #[cfg(feature = "parquet")]
    Parquet(Box<parquet_rows::ParquetRows>),
}

impl TextTable {
    /// Opens the table in a file; a text stands at its first line afterwards.
    pub(crate) fn open(path: impl AsRef<Path>) -> Result<Self> {
        let name = path.as_ref().display().to_string();
        let cannot_open = |source| Error::Open {
            file: name.clone(),
            source,
        };
        let mut file = File::open(path).map_err(cannot_open)?;
        if file.metadata().is_ok_and(|about| about.is_file()) {
            let (container, _) = compression::peek(&mut file)
                .map_err(|error| compression::read_error(name.clone(), 1, error))?;
            file.rewind().map_err(cannot_open)?;
            if container == Container::Parquet {
                return Self::parquet(file, name);
            }
        }
        let text = compression::open_text(file, &name)?;
        let mut records = RecordReader::new(text);
        if let Err(error) = records.skip_byte_order_mark() {
            return Err(record_error(&name, &records, error));
        }
        if !advance(&mut records, &name)? {
            return Err(Error::EmptyFile {
                file: name,
                expected: Vec::new(),
            });
        }
        Ok(Self {
            file: name,
            rows: Rows::Text(Box::new(records)),
        })
    }

    #[cfg(feature = "parquet")]
    fn parquet(file: File, name: String) -> Result<Self> {
        let rows = parquet_rows::ParquetRows::new(file, &name)?;
        Ok(Self {
            rows: Rows::Parquet(Box::new(rows)),
            file: name,
        })
    }

    #[cfg(not(feature = "parquet"))]
    fn parquet(_: File, name: String) -> Result<Self> {
        Err(Error::ParquetLeftOut { file: name })
    }

    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// The records of a text, whose first line has been read; none of Parquet.
    pub(crate) fn records(&self) -> Option<&RecordReader<Box<dyn Read + Send>>> {
        match &self.rows {
            Rows::Text(records) => Some(records),
            #[cfg(feature = "parquet")]
            Rows::Parquet(_) => None,
        }
    }

    /// Names of the columns of Parquet; none of a text, whose first line may be one or not.
    pub(crate) fn parquet_names(&self) -> Option<&[String]> {
        match &self.rows {
            Rows::Text(_) => None,
            #[cfg(feature = "parquet")]
            Rows::Parquet(rows) => Some(rows.names()),
        }
    }

    /// From Parquet, reads only these columns, in the order of the file; to be called before the first row.
    pub(crate) fn keep(&mut self, columns: &[&str]) -> Result<()> {
        match &mut self.rows {
            Rows::Text(_) => Ok(()),
            #[cfg(feature = "parquet")]
            Rows::Parquet(rows) => rows.keep(&self.file, columns),
        }
    }

    /// Goes to the next row; false at the end.
    pub(crate) fn advance(&mut self) -> Result<bool> {
        match &mut self.rows {
            Rows::Text(records) => advance(records, &self.file),
            #[cfg(feature = "parquet")]
            Rows::Parquet(rows) => rows.advance(&self.file),
        }
    }

    /// Number of fields of this row.
    pub(crate) fn n_fields(&self) -> usize {
        match &self.rows {
            Rows::Text(records) => records.n_fields(),
            #[cfg(feature = "parquet")]
            Rows::Parquet(rows) => rows.n_fields(),
        }
    }

    /// A field of this row without the white space around it; nothing where no value is.
    pub(crate) fn field(&self, index: usize) -> &[u8] {
        match &self.rows {
            Rows::Text(records) => records.field(index),
            #[cfg(feature = "parquet")]
            Rows::Parquet(rows) => rows.field(index),
        }
    }

    /// Where this row stands.
    pub(crate) fn place(&self) -> Place {
        match &self.rows {
            Rows::Text(records) => Place::Line(records.record_line()),
            #[cfg(feature = "parquet")]
            Rows::Parquet(rows) => Place::Row(rows.row()),
        }
    }
}

#[cfg(feature = "parquet")]
mod parquet_rows {
    use std::fs::File;
    use std::sync::Arc;

    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;
    use parquet::record::reader::RowIter;
    use parquet::schema::types::Type;

    use crate::error::{Error, Result};
    use crate::parquet_reader::{BoundedFile, guarded, missing_column};

    /// Rows of a Parquet file as text.
    pub(super) struct ParquetRows {
        names: Vec<String>,
        /// None after a fault.
        rows: Option<RowIter<'static>>,
        /// To read only some columns: the schema, and the reader's metadata for messages.
        schema: Arc<Type>,
        descriptor: parquet::schema::types::SchemaDescPtr,
        fields: Vec<Vec<u8>>,
        n_rows_read: u64,
    }

    impl ParquetRows {
        pub(super) fn new(file: File, name: &str) -> Result<Self> {
            let file = BoundedFile::new(file).map_err(|source| Error::Open {
                file: name.to_owned(),
                source,
            })?;
            guarded(name, || {
                let reader = SerializedFileReader::new(file)?;
                let descriptor = reader.metadata().file_metadata().schema_descr_ptr();
                let schema = descriptor.root_schema_ptr();
                let fields = schema.get_fields().iter();
                Ok(Self {
                    names: fields.map(|field| field.name().to_owned()).collect(),
                    rows: Some(RowIter::from_file_into(Box::new(reader))),
                    schema,
                    descriptor,
                    fields: Vec::new(),
                    n_rows_read: 0,
                })
            })
        }

        pub(super) fn names(&self) -> &[String] {
            &self.names
        }

        pub(super) fn keep(&mut self, file: &str, columns: &[&str]) -> Result<()> {
            for column in columns {
                if !self.names.iter().any(|name| name == column) {
                    return Err(missing_column(file, &self.descriptor, column));
                }
            }
            let fields = self.schema.get_fields().iter();
            let kept: Vec<_> = fields
                .filter(|field| columns.contains(&field.name()))
                .cloned()
                .collect();
            self.names = kept.iter().map(|field| field.name().to_owned()).collect();
            let name = self.schema.name().to_owned();
            let rows = self.rows.take();
            self.rows = guarded(file, || {
                let projection = Type::group_type_builder(&name).with_fields(kept).build()?;
                rows.map(|rows| rows.project(Some(projection))).transpose()
            })?;
            Ok(())
        }

        pub(super) fn advance(&mut self, file: &str) -> Result<bool> {
            let rows = &mut self.rows;
            let next = || rows.iter_mut().flatten().next().transpose();
            let Some(row) = guarded(file, next)? else {
                return Ok(false);
            };
            self.n_rows_read += 1;
            self.fields.clear();
            for (_, field) in row.get_column_iter() {
                self.fields.push(text(field).into_bytes());
            }
            Ok(true)
        }

        pub(super) fn n_fields(&self) -> usize {
            self.fields.len()
        }

        pub(super) fn field(&self, index: usize) -> &[u8] {
            self.fields.get(index).map_or(&[], Vec::as_slice)
        }

        /// Data row, from 0.
        pub(super) fn row(&self) -> u64 {
            self.n_rows_read.saturating_sub(1)
        }
    }

    /// Names and numbers as a text file would have them; nothing for a null.
    fn text(field: &Field) -> String {
        match field {
            Field::Null => String::new(),
            Field::Str(text) => text.trim().to_owned(),
            Field::Bytes(bytes) => String::from_utf8_lossy(bytes.data()).trim().to_owned(),
            other => other.to_string(),
        }
    }
}
