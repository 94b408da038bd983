//! Writing Parquet column by column.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::{
    Compression, Encoding, LogicalType, Repetition, Type as PhysicalType, ZstdLevel,
};
use parquet::data_type::{ByteArray, ByteArrayType, FloatType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{ColumnPath, Type, TypePtr};

use crate::parquet_writer::{NULL, PRESENT, failed};
use crate::typed_columns::{ColumnDescription, ColumnKind, ColumnValues};

/// Rows from which a group is written.
const ROWS_PER_GROUP: usize = 1 << 17;
/// Bytes of text from which a group is written.
const TEXT_PER_GROUP: usize = 16 << 20;

/// Writes a Parquet table of any columns, some rows at a time.
///
/// - Whole numbers are `INT64` or `INT32`, floats `FLOAT`, text `BYTE_ARRAY` (string). Optional floats that are NaN
///   are nulls. Pages are packed with zstd.
/// - Row groups have 131,072 rows or somewhat more, fewer if their text is longer than 16 MiB, so that the largest
///   number of groups that a file can have, 32,767, is enough for billions of rows.
///
/// # Memory
/// One group as it is, one column of it as it is packed, and 750 bytes for each column of each group written, which the
/// file's description says.
pub struct ParquetColumnWriter<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    columns: Vec<ColumnDescription>,
    group: Vec<ColumnValues>,
    n_rows: usize,
    n_text: usize,
}

impl<W: Write + Send> ParquetColumnWriter<W> {
    /// Begins a table with these columns.
    ///
    /// # Errors
    /// The writer's.
    pub fn new(writer: W, columns: &[ColumnDescription]) -> io::Result<Self> {
        let fields = columns
            .iter()
            .map(field)
            .collect::<parquet::errors::Result<Vec<_>>>()
            .map_err(failed)?;
        let schema = Type::group_type_builder("table")
            .with_fields(fields)
            .build()
            .map_err(failed)?;
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_dictionary_enabled(false)
            .set_statistics_enabled(EnabledStatistics::None);
        for column in columns {
            let path = ColumnPath::from(column.name.as_str());
            properties = match column.kind {
                ColumnKind::Int64 => {
                    properties.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED)
                }
                ColumnKind::Int32 | ColumnKind::Text => {
                    properties.set_column_encoding(path, Encoding::PLAIN)
                }
                ColumnKind::Float32 => {
                    properties.set_column_encoding(path, Encoding::BYTE_STREAM_SPLIT)
                }
            };
        }
        let writer =
            SerializedFileWriter::new(writer, Arc::new(schema), Arc::new(properties.build()));
        Ok(Self {
            writer: writer.map_err(failed)?,
            group: empty(columns),
            columns: columns.to_vec(),
            n_rows: 0,
            n_text: 0,
        })
    }

    /// Takes the next rows.
    ///
    /// # Shapes
    /// - `columns`: those of the table, in order, all of the same number of rows
    ///
    /// # Errors
    /// The writer's; of the kind `InvalidInput`, with nothing taken, for columns of another number, kind or length.
    pub fn write(&mut self, columns: Vec<ColumnValues>) -> io::Result<()> {
        let n_rows = columns.first().map_or(0, ColumnValues::len);
        let fits = columns.len() == self.group.len()
            && columns.iter().zip(&self.group).all(|(new, old)| {
                new.len() == n_rows && std::mem::discriminant(new) == std::mem::discriminant(old)
            });
        if !fits {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("expected {} columns of the table's kinds", self.group.len()),
            ));
        }
        for (group, new) in self.group.iter_mut().zip(columns) {
            match (group, new) {
                (ColumnValues::Int64(group), ColumnValues::Int64(new)) => group.extend(new),
                (ColumnValues::Int32(group), ColumnValues::Int32(new)) => group.extend(new),
                (ColumnValues::Float32(group), ColumnValues::Float32(new)) => group.extend(new),
                (ColumnValues::Text(group), ColumnValues::Text(new)) => {
                    self.n_text += new.iter().map(String::len).sum::<usize>();
                    group.extend(new);
                }
                _ => {}
            }
        }
        self.n_rows += n_rows;
        if self.n_rows >= ROWS_PER_GROUP || self.n_text >= TEXT_PER_GROUP {
            self.write_group()?;
        }
        Ok(())
    }

    /// Ends the table and gives the writer back, which is not flushed.
    ///
    /// # Errors
    /// The writer's.
    pub fn finish(mut self) -> io::Result<W> {
        if self.n_rows > 0 {
            self.write_group()?;
        }
        self.writer.into_inner().map_err(failed)
    }

    fn write_group(&mut self) -> io::Result<()> {
        let mut group = self.writer.next_row_group().map_err(failed)?;
        for (column, values) in self.columns.iter().zip(&self.group) {
            write_column(&mut group, column, values).map_err(failed)?;
        }
        group.close().map_err(failed)?;
        for values in &mut self.group {
            match values {
                ColumnValues::Int64(values) => values.clear(),
                ColumnValues::Int32(values) => values.clear(),
                ColumnValues::Float32(values) => values.clear(),
                ColumnValues::Text(values) => values.clear(),
            }
        }
        (self.n_rows, self.n_text) = (0, 0);
        Ok(())
    }
}

fn empty(columns: &[ColumnDescription]) -> Vec<ColumnValues> {
    let kinds = columns.iter().map(|column| column.kind);
    kinds.map(ColumnValues::new).collect()
}

fn field(column: &ColumnDescription) -> parquet::errors::Result<TypePtr> {
    let physical = match column.kind {
        ColumnKind::Int64 => PhysicalType::INT64,
        ColumnKind::Int32 => PhysicalType::INT32,
        ColumnKind::Float32 => PhysicalType::FLOAT,
        ColumnKind::Text => PhysicalType::BYTE_ARRAY,
    };
    let repetition = if column.optional {
        Repetition::OPTIONAL
    } else {
        Repetition::REQUIRED
    };
    let logical = (column.kind == ColumnKind::Text).then_some(LogicalType::String);
    let field = Type::primitive_type_builder(&column.name, physical)
        .with_repetition(repetition)
        .with_logical_type(logical)
        .build()?;
    Ok(Arc::new(field))
}

fn write_column<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    column: &ColumnDescription,
    values: &ColumnValues,
) -> parquet::errors::Result<()> {
    let lacks_column = || ParquetError::General("expected a column to write".to_owned());
    let mut writer = group.next_column()?.ok_or_else(lacks_column)?;
    match values {
        ColumnValues::Int64(values) => {
            writer
                .typed::<Int64Type>()
                .write_batch(values, None, None)?;
        }
        ColumnValues::Int32(values) => {
            writer
                .typed::<Int32Type>()
                .write_batch(values, None, None)?;
        }
        ColumnValues::Float32(values) if column.optional => {
            let levels: Vec<i16> = values
                .iter()
                .map(|value| if value.is_nan() { NULL } else { PRESENT })
                .collect();
            let there: Vec<f32> = values.iter().copied().filter(|v| !v.is_nan()).collect();
            let writer = writer.typed::<FloatType>();
            writer.write_batch(&there, Some(&levels), None)?;
        }
        ColumnValues::Float32(values) => {
            writer
                .typed::<FloatType>()
                .write_batch(values, None, None)?;
        }
        ColumnValues::Text(values) => {
            let bytes: Vec<ByteArray> =
                values.iter().map(|v| ByteArray::from(v.as_str())).collect();
            writer
                .typed::<ByteArrayType>()
                .write_batch(&bytes, None, None)?;
        }
    }
    writer.close()
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    fn row_number(row: usize) -> i64 {
        i64::try_from(row).unwrap()
    }

    #[test]
    fn columns_of_all_kinds_read_back_in_order_over_groups() {
        let columns = [
            ColumnDescription::required("row", ColumnKind::Int64),
            ColumnDescription::required("label", ColumnKind::Int32),
            ColumnDescription::required("probability", ColumnKind::Float32),
            ColumnDescription::optional_float("energy"),
            ColumnDescription::required("why", ColumnKind::Text),
        ];
        let mut writer = ParquetColumnWriter::new(Vec::new(), &columns).unwrap();
        let n_rows = 2 * ROWS_PER_GROUP + 5;
        let step = 50_000;
        for first in (0..n_rows).step_by(step) {
            let rows = first..(first + step).min(n_rows);
            let batch = vec![
                ColumnValues::Int64(rows.clone().map(row_number).collect()),
                ColumnValues::Int32(rows.clone().map(|row| i32::from(row % 2 == 0)).collect()),
                ColumnValues::Float32(rows.clone().map(|row| row as f32 / 7.).collect()),
                ColumnValues::Float32(
                    rows.clone()
                        .map(|row| {
                            if row % 3 == 0 {
                                f32::NAN
                            } else {
                                -(row as f32)
                            }
                        })
                        .collect(),
                ),
                ColumnValues::Text(rows.map(|row| format!("row {row}")).collect()),
            ];
            writer.write(batch).unwrap();
        }
        let error = writer
            .write(vec![ColumnValues::Int64(vec![1])])
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let bytes = bytes::Bytes::from(writer.finish().unwrap());
        let reader = SerializedFileReader::new(bytes).unwrap();
        assert_eq!(reader.num_row_groups(), 2);
        let mut found = 0;
        for (row, record) in reader.get_row_iter(None).unwrap().enumerate() {
            let fields: Vec<Field> = record
                .unwrap()
                .get_column_iter()
                .map(|(_, field)| field.clone())
                .collect();
            let energy = if row % 3 == 0 {
                Field::Null
            } else {
                Field::Float(-(row as f32))
            };
            let expected = [
                Field::Long(row_number(row)),
                Field::Int(i32::from(row % 2 == 0)),
                Field::Float(row as f32 / 7.),
                energy,
                Field::Str(format!("row {row}")),
            ];
            assert_eq!(fields, expected);
            found += 1;
        }
        assert_eq!(found, n_rows);
    }
}
