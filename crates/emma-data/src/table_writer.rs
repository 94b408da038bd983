//! Writing tables row by row: text, or Parquet.

use std::io::{self, Write};
use std::path::Path;

use crate::number_text::append_float;
#[cfg(feature = "parquet")]
use crate::parquet_writer::ParquetWriter;

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableFormat {
    /// Comma-separated text.
    Csv,
    /// Parquet (feature `parquet`, on by default).
    Parquet,
}

impl TableFormat {
    /// What the name of a file asks for: Parquet if it ends in `.parquet`, in capital letters or not, else text.
    pub fn of(path: impl AsRef<Path>) -> Self {
        let suffix = path.as_ref().extension();
        if suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case("parquet")) {
            Self::Parquet
        } else {
            Self::Csv
        }
    }
}

/// Writes a table of features and, last, labels, row by row, so that [`TableReader`](crate::TableReader) reads
/// the same bits.
///
/// - Text has a header and LF line ends. Numbers have the fewest digits that read back as the same 32-bit
///   float, without an exponent; a missing value is an empty field. Names are quoted where they need it.
/// - Parquet has a column of optional 32-bit floats for each feature, a missing value being null, and a required one of
///   32-bit integers for the label. Row groups have 8,192 rows, their pages packed with zstd.
///
/// # Memory
/// Text: one row. Parquet: 8,192 rows, 6 bytes a value, one column of them as it is packed, and what the file's
/// description says of each row group that was written, 750 bytes a column.
///
/// ```
/// use emma_data::{TableFormat, TableWriter};
///
/// let mut writer = TableWriter::new(Vec::new(), TableFormat::Csv, &["a", "b"], Some("label"))?;
/// writer.write_row(&[0.1, f32::NAN], Some(1))?;
/// assert_eq!(writer.finish()?, b"a,b,label\n0.1,,1\n");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct TableWriter<W: Write + Send> {
    sink: Sink<W>,
    n_features: usize,
    has_label: bool,
}

enum Sink<W: Write + Send> {
    Text {
        writer: W,
        line: Vec<u8>,
    },
    #[cfg(feature = "parquet")]
    Parquet(Box<ParquetWriter<W>>),
}

impl<W: Write + Send> TableWriter<W> {
    /// Begins a table with these columns.
    ///
    /// # Errors
    /// The writer's; of the kind `Unsupported` for Parquet in a build without it.
    pub fn new(
        writer: W,
        format: TableFormat,
        features: &[impl AsRef<str>],
        label: Option<&str>,
    ) -> io::Result<Self> {
        let sink = match format {
            TableFormat::Csv => text(writer, features, label)?,
            #[cfg(feature = "parquet")]
            TableFormat::Parquet => {
                Sink::Parquet(Box::new(ParquetWriter::new(writer, features, label)?))
            }
            #[cfg(not(feature = "parquet"))]
            TableFormat::Parquet => {
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    "this build leaves Parquet out (feature `parquet`)",
                ));
            }
        };
        Ok(Self {
            sink,
            n_features: features.len(),
            has_label: label.is_some(),
        })
    }

    /// Writes the next row; NaN is a missing value.
    ///
    /// # Shapes
    /// - `values`: `[features]`
    ///
    /// # Errors
    /// The writer's; of the kind `InvalidInput`, with nothing written, for another number of values, a label where
    /// there is no such column, and none where there is.
    pub fn write_row(&mut self, values: &[f32], label: Option<u8>) -> io::Result<()> {
        if values.len() != self.n_features || label.is_some() != self.has_label {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "expected {} values and {} label, found {} and {}",
                    self.n_features,
                    u8::from(self.has_label),
                    values.len(),
                    u8::from(label.is_some())
                ),
            ));
        }
        match &mut self.sink {
            Sink::Text { writer, line } => {
                line.clear();
                append_row(line, values, label)?;
                writer.write_all(line)
            }
            #[cfg(feature = "parquet")]
            Sink::Parquet(writer) => writer.write_row(values, label),
        }
    }

    /// Ends the table and gives the writer back, which is not flushed.
    ///
    /// # Errors
    /// The writer's.
    pub fn finish(self) -> io::Result<W> {
        match self.sink {
            Sink::Text { writer, .. } => Ok(writer),
            #[cfg(feature = "parquet")]
            Sink::Parquet(writer) => writer.finish(),
        }
    }
}

fn text<W: Write + Send>(
    mut writer: W,
    features: &[impl AsRef<str>],
    label: Option<&str>,
) -> io::Result<Sink<W>> {
    let names = features.iter().map(AsRef::as_ref).chain(label);
    let names: Vec<String> = names.map(quoted).collect();
    let mut line = names.join(",").into_bytes();
    line.push(b'\n');
    writer.write_all(&line)?;
    Ok(Sink::Text { writer, line })
}

fn append_row(line: &mut Vec<u8>, values: &[f32], label: Option<u8>) -> io::Result<()> {
    for (position, value) in values.iter().enumerate() {
        if position > 0 {
            line.push(b',');
        }
        if !value.is_nan() {
            append_number(line, *value)?;
        } else if values.len() == 1 && label.is_none() {
            // A line with nothing on it would be no row.
            line.extend_from_slice(b"\"\"");
        }
    }
    if let Some(label) = label {
        write!(line, ",{label}")?;
    }
    line.push(b'\n');
    Ok(())
}

fn append_number(line: &mut Vec<u8>, value: f32) -> io::Result<()> {
    if value.is_finite() {
        append_float(line, value);
        return Ok(());
    }
    write!(line, "{value}")
}

/// A name as a field of a header.
fn quoted(name: &str) -> String {
    if name.is_empty() || name.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", name.replace('"', "\"\""));
    }
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{TableFormat, TableWriter};
    use crate::{LabelColumn, MissingValues, TableReader};

    /// A table of any numbers, written and read again.
    fn written_and_read(
        format: TableFormat,
        names: &[&str],
        rows: &[Vec<f32>],
        labels: Option<&[u8]>,
    ) -> (Vec<u32>, Option<Vec<u8>>) {
        let label = labels.map(|_| "the label");
        let mut writer = TableWriter::new(Vec::new(), format, names, label).unwrap();
        for (row, values) in rows.iter().enumerate() {
            writer
                .write_row(values, labels.map(|labels| labels[row]))
                .unwrap();
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), writer.finish().unwrap()).unwrap();
        let label = label.map_or(LabelColumn::None, |name| {
            LabelColumn::Required(name.to_owned())
        });
        let reader = TableReader::open(file.path(), names, label, MissingValues::AsNan).unwrap();
        let chunk = reader.read_all().unwrap();
        let bits = chunk.values().iter().map(|value| value.to_bits()).collect();
        (bits, chunk.labels().map(<[u8]>::to_vec))
    }

    fn formats() -> Vec<TableFormat> {
        let mut formats = vec![TableFormat::Csv];
        if cfg!(feature = "parquet") {
            formats.push(TableFormat::Parquet);
        }
        formats
    }

    proptest! {
        #[test]
        fn a_reader_reads_the_same_bits(
            rows in proptest::collection::vec(
                proptest::collection::vec(
                    prop_oneof![
                        4 => proptest::num::f32::NORMAL | proptest::num::f32::SUBNORMAL
                            | proptest::num::f32::ZERO,
                        1 => Just(f32::NAN),
                    ],
                    3,
                ),
                1..20,
            ),
            labelled: bool,
        ) {
            let labels: Vec<u8> = (0..rows.len()).map(|row| u8::from(row % 3 == 0)).collect();
            let labels = labelled.then_some(labels);
            let bits: Vec<u32> = rows.concat().iter().map(|value| value.to_bits()).collect();
            for format in formats() {
                let read = written_and_read(format, &["a", "b, \"c\"", "d e"], &rows, labels.as_deref());
                prop_assert_eq!(&read.0, &bits);
                prop_assert_eq!(&read.1, &labels);
            }
        }
    }

    #[test]
    fn a_row_of_one_missing_value_is_a_row() {
        let rows = [vec![1.0], vec![f32::NAN], vec![2.0]];
        let expected = rows
            .concat()
            .iter()
            .map(|value| value.to_bits())
            .collect::<Vec<u32>>();
        for format in formats() {
            assert_eq!(written_and_read(format, &["x"], &rows, None).0, expected);
        }
    }

    #[test]
    fn rows_of_several_groups_stay_in_order() {
        let rows: Vec<Vec<f32>> = (0..20_000).map(|row| vec![row as f32, -1.0]).collect();
        let labels: Vec<u8> = (0..rows.len()).map(|row| u8::from(row % 7 == 0)).collect();
        for format in formats() {
            let (bits, read) = written_and_read(format, &["x", "y"], &rows, Some(&labels));
            assert!(
                bits.iter()
                    .step_by(2)
                    .enumerate()
                    .all(|(row, &bits)| bits == (row as f32).to_bits())
            );
            assert_eq!(read.as_deref(), Some(&*labels));
        }
    }

    #[test]
    fn rows_that_do_not_fit_the_header_are_refused() {
        let mut writer = TableWriter::new(Vec::new(), TableFormat::Csv, &["a", "b"], None).unwrap();
        for (values, label) in [(&[1.0][..], None), (&[1.0, 2.0], Some(1))] {
            let error = writer.write_row(values, label).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        }
        assert_eq!(writer.finish().unwrap(), b"a,b\n");
    }

    #[test]
    fn the_suffix_says_what_is_written() {
        assert_eq!(TableFormat::of("a/b.PARQUET"), TableFormat::Parquet);
        assert_eq!(TableFormat::of("a.parquet/b"), TableFormat::Csv);
    }
}
