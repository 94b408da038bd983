//! Writing Parquet, a group of rows at a time.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::{Compression, Encoding, Repetition, Type as PhysicalType, ZstdLevel};
use parquet::data_type::{FloatType, Int32Type};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, Type, TypePtr};

/// Rows that stand together.
const ROWS_PER_GROUP: usize = 8192;

/// Levels of an optional value that is there, and of one that is not.
pub(crate) const PRESENT: i16 = 1;
pub(crate) const NULL: i16 = 0;

/// A Parquet file of 32-bit floats and a label.
pub(crate) struct ParquetWriter<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    /// The rows of the current group: values and their levels by column, labels.
    values: Vec<Vec<f32>>,
    levels: Vec<Vec<i16>>,
    labels: Vec<i32>,
    n_rows: usize,
    has_label: bool,
}

impl<W: Write + Send> ParquetWriter<W> {
    pub(crate) fn new(
        writer: W,
        features: &[impl AsRef<str>],
        label: Option<&str>,
    ) -> io::Result<Self> {
        let mut fields = features
            .iter()
            .map(|name| column(name.as_ref(), PhysicalType::FLOAT, Repetition::OPTIONAL))
            .collect::<io::Result<Vec<_>>>()?;
        // Hardly a feature's value is there twice, and nobody looks any up.
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_dictionary_enabled(false)
            .set_encoding(Encoding::BYTE_STREAM_SPLIT)
            .set_statistics_enabled(EnabledStatistics::None);
        if let Some(label) = label {
            properties = properties.set_column_encoding(ColumnPath::from(label), Encoding::PLAIN);
            fields.push(column(label, PhysicalType::INT32, Repetition::REQUIRED)?);
        }
        let schema = Type::group_type_builder("table")
            .with_fields(fields)
            .build()
            .map_err(failed)?;
        let writer =
            SerializedFileWriter::new(writer, Arc::new(schema), Arc::new(properties.build()));
        Ok(Self {
            writer: writer.map_err(failed)?,
            values: vec![Vec::new(); features.len()],
            levels: vec![Vec::new(); features.len()],
            labels: Vec::new(),
            n_rows: 0,
            has_label: label.is_some(),
        })
    }

    /// Takes a row whose length was checked.
    pub(crate) fn write_row(&mut self, values: &[f32], label: Option<u8>) -> io::Result<()> {
        for (index, &value) in values.iter().enumerate() {
            if value.is_nan() {
                self.levels[index].push(NULL);
            } else {
                self.values[index].push(value);
                self.levels[index].push(PRESENT);
            }
        }
        self.labels.extend(label.map(i32::from));
        self.n_rows += 1;
        if self.n_rows == ROWS_PER_GROUP {
            self.write_group()?;
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> io::Result<W> {
        if self.n_rows > 0 {
            self.write_group()?;
        }
        self.writer.into_inner().map_err(failed)
    }

    fn write_group(&mut self) -> io::Result<()> {
        self.try_write_group().map_err(failed)?;
        self.n_rows = 0;
        self.labels.clear();
        self.values.iter_mut().for_each(Vec::clear);
        self.levels.iter_mut().for_each(Vec::clear);
        Ok(())
    }

    fn try_write_group(&mut self) -> parquet::errors::Result<()> {
        let lacks_column = || ParquetError::General("expected a column to write".to_owned());
        let mut group = self.writer.next_row_group()?;
        for (values, levels) in self.values.iter().zip(&self.levels) {
            let mut column = group.next_column()?.ok_or_else(lacks_column)?;
            let writer = column.typed::<FloatType>();
            writer.write_batch(values, Some(levels), None)?;
            column.close()?;
        }
        if self.has_label {
            let mut column = group.next_column()?.ok_or_else(lacks_column)?;
            let writer = column.typed::<Int32Type>();
            writer.write_batch(&self.labels, None, None)?;
            column.close()?;
        }
        group.close()?;
        Ok(())
    }
}

fn column(name: &str, physical: PhysicalType, repetition: Repetition) -> io::Result<TypePtr> {
    let column = Type::primitive_type_builder(name, physical)
        .with_repetition(repetition)
        .build();
    column.map(Arc::new).map_err(failed)
}

/// What the disk said, if it was the disk.
pub(crate) fn failed(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(source) => io::Error::other(source),
        },
        error => io::Error::other(error),
    }
}
