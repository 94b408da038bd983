//! Streaming reader of the needed columns of a Parquet file.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use half::f16;
use parquet::basic::{ConvertedType, LogicalType};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{
    BoolType, DataType, DoubleType, FixedLenByteArray, FixedLenByteArrayType, FloatType, Int32Type,
    Int64Type,
};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, FileReader, Length, SerializedFileReader};
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor};

use crate::error::{Error, MOST_LISTED, Result};
use crate::feature_reader::{Chunk, LabelColumn, check_request, count_missing, reason};
use crate::missing_values::MissingValues;
use crate::place::Place;

/// Rows that are decoded at once.
const ROWS_PER_BATCH: usize = 4096;

/// A file whose parts are taken only where it has them, so that a damaged length costs no memory.
pub(crate) struct BoundedFile {
    file: File,
    length: u64,
}

impl BoundedFile {
    pub(crate) fn new(file: File) -> std::io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self { file, length })
    }
}

impl Length for BoundedFile {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for BoundedFile {
    type T = BufReader<File>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        self.file.get_read(start)
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let end = start.checked_add(length as u64);
        if end.is_none_or(|end| end > self.length) {
            return Err(ParquetError::EOF(format!(
                "expected {length} bytes at {start}, found the end of the file at {}",
                self.length
            )));
        }
        let mut bytes = vec![0; length];
        let mut file = &self.file;
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

/// What the numbers of a column are, as they are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Boolean,
    Int32,
    UInt32,
    Int64,
    UInt64,
    Float16,
    Float32,
    Float64,
}

impl Kind {
    /// The kind of a column of plain numbers; none for everything else.
    fn of(column: &ColumnDescriptor) -> Option<Self> {
        use parquet::basic::Type;
        if is_nested(column) {
            return None;
        }
        let physical = column.physical_type();
        match (column.logical_type_ref(), column.converted_type()) {
            (Some(LogicalType::Float16), _) => {
                (physical == Type::FIXED_LEN_BYTE_ARRAY).then_some(Self::Float16)
            }
            (Some(LogicalType::Integer(integer)), _) => Self::integer(physical, integer.is_signed),
            (
                None,
                ConvertedType::INT_8
                | ConvertedType::INT_16
                | ConvertedType::INT_32
                | ConvertedType::INT_64,
            ) => Self::integer(physical, true),
            (
                None,
                ConvertedType::UINT_8
                | ConvertedType::UINT_16
                | ConvertedType::UINT_32
                | ConvertedType::UINT_64,
            ) => Self::integer(physical, false),
            (None, ConvertedType::NONE) => match physical {
                Type::BOOLEAN => Some(Self::Boolean),
                Type::INT32 | Type::INT64 => Self::integer(physical, true),
                Type::FLOAT => Some(Self::Float32),
                Type::DOUBLE => Some(Self::Float64),
                _ => None,
            },
            _ => None,
        }
    }

    fn integer(physical: parquet::basic::Type, is_signed: bool) -> Option<Self> {
        match (physical, is_signed) {
            (parquet::basic::Type::INT32, true) => Some(Self::Int32),
            (parquet::basic::Type::INT32, false) => Some(Self::UInt32),
            (parquet::basic::Type::INT64, true) => Some(Self::Int64),
            (parquet::basic::Type::INT64, false) => Some(Self::UInt64),
            _ => None,
        }
    }
}

/// Whether a row holds something else than one value or null of this column.
fn is_nested(column: &ColumnDescriptor) -> bool {
    column.max_rep_level() > 0 || column.path().parts().len() > 1
}

/// A column's type for a message.
fn type_name(column: &ColumnDescriptor) -> String {
    let physical = column.physical_type();
    match (column.logical_type_ref(), column.converted_type()) {
        (Some(LogicalType::Decimal(decimal)), _) => format!(
            "{physical} (decimal of {} digits, {} of them behind the point)",
            decimal.precision, decimal.scale
        ),
        (Some(logical), _) => {
            // The type's name, without what it is made of.
            let name = format!("{logical:?}");
            let name = name.split(|c: char| !c.is_alphanumeric()).next();
            format!("{physical} ({})", name.unwrap_or_default().to_lowercase())
        }
        (None, ConvertedType::NONE) => physical.to_string(),
        (None, converted) => format!("{physical} ({converted})"),
    }
}

/// A needed column: its name, its place among the file's leaves, from 0, and what it holds.
#[derive(Debug)]
struct Column {
    name: String,
    leaf: usize,
    kind: Kind,
}

/// The values of one column that were decoded together, nulls left out.
struct Batch<T: DataType> {
    reader: ColumnReaderImpl<T>,
    values: Vec<T::T>,
}

impl<T: DataType> Batch<T> {
    fn new(reader: ColumnReaderImpl<T>) -> Self {
        Self {
            reader,
            values: Vec::new(),
        }
    }

    /// Replaces the batch by the next `n_rows` rows; returns how many there were.
    fn fill(&mut self, n_rows: usize, levels: &mut Vec<i16>) -> parquet::errors::Result<usize> {
        self.values.clear();
        let (n_rows, _, _) =
            self.reader
                .read_records(n_rows, Some(levels), None, &mut self.values)?;
        Ok(n_rows)
    }
}

enum Values {
    Boolean(Batch<BoolType>),
    Int32(Batch<Int32Type>),
    Int64(Batch<Int64Type>),
    Float16(Batch<FixedLenByteArrayType>),
    Float32(Batch<FloatType>),
    Float64(Batch<DoubleType>),
}

/// One column chunk of the current row group.
struct OpenColumn {
    values: Values,
    kind: Kind,
    may_be_null: bool,
    /// Of the batch's rows: 1 if there is a value. Empty if there is one in every row.
    levels: Vec<i16>,
    next_row: usize,
    next_value: usize,
}

/// A number as it is stored.
#[derive(Debug, Clone, Copy)]
enum Number {
    Signed(i64),
    Unsigned(u64),
    Single(f32),
    Double(f64),
}

impl Number {
    /// The nearest 32-bit float.
    fn single(self) -> f32 {
        match self {
            Self::Signed(value) => value as f32,
            Self::Unsigned(value) => value as f32,
            Self::Single(value) => value,
            Self::Double(value) => value as f32,
        }
    }

    /// The class that it stands for.
    fn label(self) -> Option<u8> {
        match self {
            Self::Single(value) => Self::Double(f64::from(value)).label(),
            Self::Signed(0) | Self::Unsigned(0) | Self::Double(0.0) => Some(0),
            Self::Signed(1) | Self::Unsigned(1) | Self::Double(1.0) => Some(1),
            Self::Signed(_) | Self::Unsigned(_) | Self::Double(_) => None,
        }
    }

    fn text(self) -> String {
        match self {
            Self::Signed(value) => value.to_string(),
            Self::Unsigned(value) => value.to_string(),
            Self::Single(value) => value.to_string(),
            Self::Double(value) => value.to_string(),
        }
    }
}

impl OpenColumn {
    fn new(reader: ColumnReader, kind: Kind, may_be_null: bool) -> Option<Self> {
        let values = match (reader, kind) {
            (ColumnReader::BoolColumnReader(reader), Kind::Boolean) => {
                Values::Boolean(Batch::new(reader))
            }
            (ColumnReader::Int32ColumnReader(reader), Kind::Int32 | Kind::UInt32) => {
                Values::Int32(Batch::new(reader))
            }
            (ColumnReader::Int64ColumnReader(reader), Kind::Int64 | Kind::UInt64) => {
                Values::Int64(Batch::new(reader))
            }
            (ColumnReader::FixedLenByteArrayColumnReader(reader), Kind::Float16) => {
                Values::Float16(Batch::new(reader))
            }
            (ColumnReader::FloatColumnReader(reader), Kind::Float32) => {
                Values::Float32(Batch::new(reader))
            }
            (ColumnReader::DoubleColumnReader(reader), Kind::Float64) => {
                Values::Float64(Batch::new(reader))
            }
            _ => return None,
        };
        Some(Self {
            values,
            kind,
            may_be_null,
            levels: Vec::new(),
            next_row: 0,
            next_value: 0,
        })
    }

    fn fill(&mut self, n_rows: usize) -> parquet::errors::Result<usize> {
        self.levels.clear();
        self.next_row = 0;
        self.next_value = 0;
        let levels = &mut self.levels;
        match &mut self.values {
            Values::Boolean(batch) => batch.fill(n_rows, levels),
            Values::Int32(batch) => batch.fill(n_rows, levels),
            Values::Int64(batch) => batch.fill(n_rows, levels),
            Values::Float16(batch) => batch.fill(n_rows, levels),
            Values::Float32(batch) => batch.fill(n_rows, levels),
            Values::Float64(batch) => batch.fill(n_rows, levels),
        }
    }

    /// Copies the batch's numbers to their places, row by row, and names those that are none: infinite ones, and, if
    /// missing values are refused, nulls and NaN.
    fn copy_to<'a>(
        &mut self,
        places: impl Iterator<Item = &'a mut f32>,
        missing: MissingValues,
        mut fault: impl FnMut(usize, Option<Number>),
    ) {
        let refuses = |value: f32| {
            !(value.is_finite() || (value.is_nan() && missing == MissingValues::AsNan))
        };
        // Most files: nothing to convert, nothing missing.
        if let (Values::Float32(batch), false) = (&self.values, self.may_be_null) {
            for (row, (place, &value)) in places.zip(&batch.values).enumerate() {
                *place = value;
                if refuses(value) {
                    fault(row, Some(Number::Single(value)));
                }
            }
            return;
        }
        for (row, place) in places.enumerate() {
            let number = self.next();
            *place = number.map_or(f32::NAN, Number::single);
            if refuses(*place) {
                fault(row, number);
            }
        }
    }

    /// The next row's number; none for a null.
    fn next(&mut self) -> Option<Number> {
        let row = self.next_row;
        self.next_row += 1;
        if self.may_be_null && self.levels.get(row) != Some(&1) {
            return None;
        }
        let index = self.next_value;
        self.next_value += 1;
        let signed = self.kind != Kind::UInt32 && self.kind != Kind::UInt64;
        match &self.values {
            Values::Boolean(batch) => batch
                .values
                .get(index)
                .map(|&value| Number::Unsigned(value.into())),
            Values::Int32(batch) => batch.values.get(index).map(|&value| {
                if signed {
                    Number::Signed(value.into())
                } else {
                    Number::Unsigned(value.cast_unsigned().into())
                }
            }),
            Values::Int64(batch) => batch.values.get(index).map(|&value| {
                if signed {
                    Number::Signed(value)
                } else {
                    Number::Unsigned(value.cast_unsigned())
                }
            }),
            Values::Float16(batch) => batch.values.get(index).and_then(half_float),
            Values::Float32(batch) => batch.values.get(index).copied().map(Number::Single),
            Values::Float64(batch) => batch.values.get(index).copied().map(Number::Double),
        }
    }
}

fn half_float(bytes: &FixedLenByteArray) -> Option<Number> {
    let bytes = bytes.data().try_into().ok()?;
    Some(Number::Single(f16::from_le_bytes(bytes).to_f32()))
}

/// Reads the needed columns of a Parquet file, chunk by chunk.
pub(crate) struct ParquetReader {
    reader: SerializedFileReader<BoundedFile>,
    file: String,
    features: Vec<Column>,
    label: Option<Column>,
    missing: MissingValues,
    next_group: usize,
    /// Columns of the current row group: the features, then the label if there is one.
    open: Vec<OpenColumn>,
    /// Rows of the current row group that are not decoded yet.
    n_rows_left: usize,
    n_rows_read: u64,
    n_missing: Vec<u64>,
    finished: bool,
    keeps_faulty_rows: bool,
}

impl ParquetReader {
    pub(crate) fn new(
        file: File,
        name: String,
        features: &[impl AsRef<str>],
        label: &LabelColumn,
        missing: MissingValues,
    ) -> Result<Self> {
        let names: Vec<String> = features
            .iter()
            .map(|name| name.as_ref().to_owned())
            .collect();
        check_request(&name, &names, label)?;
        let file = match BoundedFile::new(file) {
            Ok(file) => file,
            Err(source) => return Err(Error::Open { file: name, source }),
        };
        let reader = guarded(&name, || SerializedFileReader::new(file))?;
        let schema = reader.metadata().file_metadata().schema_descr_ptr();
        let features = names
            .iter()
            .map(|column| {
                require(&name, &schema, column, FEATURE).and_then(|found| match found.kind {
                    Kind::Boolean => {
                        Err(wrong_type(&name, &schema, &found.name, found.leaf, FEATURE))
                    }
                    _ => Ok(found),
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let label = match label {
            LabelColumn::None => None,
            LabelColumn::Optional(column) => find(&name, &schema, column, LABEL)?,
            LabelColumn::Required(column) => Some(require(&name, &schema, column, LABEL)?),
        };
        Ok(Self {
            n_missing: vec![0; features.len()],
            reader,
            file: name,
            features,
            label,
            missing,
            next_group: 0,
            open: Vec::new(),
            n_rows_left: 0,
            n_rows_read: 0,
            finished: false,
            keeps_faulty_rows: false,
        })
    }

    pub(crate) fn keep_faulty_rows(&mut self) {
        self.keeps_faulty_rows = true;
    }

    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    pub(crate) fn has_labels(&self) -> bool {
        self.label.is_some()
    }

    pub(crate) fn n_missing(&self) -> &[u64] {
        &self.n_missing
    }

    pub(crate) fn next_chunk(&mut self, max_rows: usize, chunk: &mut Chunk) -> Result<bool> {
        chunk.clear(self.features.len(), self.label.is_some(), self.n_rows_read);
        if max_rows == 0 {
            return Err(Error::EmptyChunk {
                file: self.file.clone(),
            });
        }
        while chunk.n_rows() < max_rows && !self.finished {
            let appended = self.append_batch(max_rows - chunk.n_rows(), chunk);
            self.finished = !matches!(appended, Ok(true));
            appended?;
        }
        Ok(chunk.n_rows() > 0)
    }

    /// Appends at most `max_rows` rows; false at the end of the file.
    fn append_batch(&mut self, max_rows: usize, chunk: &mut Chunk) -> Result<bool> {
        while self.n_rows_left == 0 {
            if self.next_group == self.reader.num_row_groups() {
                return Ok(false);
            }
            self.open_group()?;
        }
        let n_rows = max_rows.min(ROWS_PER_BATCH).min(self.n_rows_left);
        let open = &mut self.open;
        guarded(&self.file, || {
            for column in open {
                let found = column.fill(n_rows)?;
                if found != n_rows {
                    return Err(ParquetError::EOF(format!(
                        "expected {n_rows} rows in every column, found {found}"
                    )));
                }
            }
            Ok(())
        })?;
        self.n_rows_left -= n_rows;
        let first = chunk.n_rows();
        let place = chunk.push_rows(n_rows);
        let n_columns = self.features.len();
        let (features, label) = self.open.split_at_mut(n_columns);
        // Faults by row, and within a row by column: all of them are few.
        let mut faults: Vec<(usize, usize, Option<Number>)> = Vec::new();
        for (index, values) in features.iter_mut().enumerate() {
            let own = place.iter_mut().skip(index).step_by(n_columns);
            values.copy_to(own, self.missing, |row, number| {
                faults.push((row, index, number));
            });
        }
        if let Some(values) = label.first_mut() {
            for row in 0..n_rows {
                let number = values.next();
                let label = number.and_then(Number::label);
                if label.is_none() {
                    faults.push((row, n_columns, number));
                }
                chunk.push_label(label.unwrap_or(0));
            }
        }
        faults.sort_by_key(|&(row, column, _)| (row, column));
        faults.dedup_by_key(|&mut (row, ..)| row);
        if !self.keeps_faulty_rows
            && let Some(&(row, column, number)) = faults.first()
        {
            chunk.truncate(first + row);
            self.count_missing(chunk.values_from(first));
            let error = self.fault(row, column, number);
            self.n_rows_read += row as u64;
            return Err(error);
        }
        // Before faulty rows become NaN.
        if self.missing == MissingValues::AsNan {
            let n_columns = n_columns.max(1);
            for (row, values) in chunk.values_from(first).chunks_exact(n_columns).enumerate() {
                if faults.binary_search_by_key(&row, |&(row, ..)| row).is_err() {
                    count_missing(&mut self.n_missing, values);
                }
            }
        }
        for (row, column, number) in faults {
            let error = self.fault(row, column, number);
            chunk.set_fault(first + row, reason(&error, &self.file));
        }
        self.n_rows_read += n_rows as u64;
        Ok(true)
    }

    fn count_missing(&mut self, values: &[f32]) {
        if self.missing == MissingValues::AsNan {
            for row in values.chunks_exact(self.features.len().max(1)) {
                count_missing(&mut self.n_missing, row);
            }
        }
    }

    fn open_group(&mut self) -> Result<()> {
        let group_index = self.next_group;
        self.next_group += 1;
        let (reader, features, label) = (&self.reader, &self.features, &self.label);
        (self.open, self.n_rows_left) = guarded(&self.file, || {
            let group = reader.get_row_group(group_index)?;
            let n_rows = usize::try_from(group.metadata().num_rows())
                .map_err(|error| ParquetError::General(format!("number of rows: {error}")))?;
            let open = features
                .iter()
                .chain(label)
                .map(|column| {
                    let may_be_null = group
                        .metadata()
                        .schema_descr()
                        .column(column.leaf)
                        .max_def_level()
                        > 0;
                    let reader = group.get_column_reader(column.leaf)?;
                    OpenColumn::new(reader, column.kind, may_be_null).ok_or_else(|| {
                        ParquetError::General(format!("column {:?} changes its type", column.name))
                    })
                })
                .collect::<parquet::errors::Result<_>>()?;
            Ok((open, n_rows))
        })?;
        Ok(())
    }

    /// What is wrong with a row after those that were read: `column` is a feature's, or one more for the label.
    fn fault(&self, row: usize, column: usize, number: Option<Number>) -> Error {
        let file = self.file.clone();
        let place = Place::Row(self.n_rows_read + row as u64);
        let found = number.map_or_else(|| NULL.to_owned(), Number::text);
        let is_label = column == self.features.len();
        let column = self.features.iter().chain(&self.label).nth(column);
        let (column, column_number) = column.map_or_else(Default::default, |column| {
            (column.name.clone(), column.leaf + 1)
        });
        match number {
            _ if is_label => Error::LabelText {
                file,
                place,
                column,
                column_number,
                found,
            },
            Some(_) => Error::NonFiniteNumber {
                file,
                place,
                column,
                column_number,
                found,
            },
            None => Error::NotANumber {
                file,
                place,
                column,
                column_number,
                found,
            },
        }
    }
}

const NULL: &str = "null";
const FEATURE: &str = "integers or floats";
const LABEL: &str = "integers, floats or booleans";

/// The top-level column called `name`; none if there is none.
fn find(
    file: &str,
    schema: &SchemaDescriptor,
    name: &str,
    expected: &'static str,
) -> Result<Option<Column>> {
    let mut leaves =
        (0..schema.num_columns()).filter(|&leaf| schema.get_column_root(leaf).name() == name);
    let Some(leaf) = leaves.next() else {
        return Ok(None);
    };
    let Some(kind) = Kind::of(&schema.column(leaf)) else {
        return Err(wrong_type(file, schema, name, leaf, expected));
    };
    if let Some(second) = leaves.next() {
        return Err(Error::ParquetDuplicateColumn {
            file: file.to_owned(),
            column: name.to_owned(),
            first: leaf + 1,
            second: second + 1,
        });
    }
    Ok(Some(Column {
        name: name.to_owned(),
        leaf,
        kind,
    }))
}

fn require(
    file: &str,
    schema: &SchemaDescriptor,
    name: &str,
    expected: &'static str,
) -> Result<Column> {
    find(file, schema, name, expected)?.ok_or_else(|| missing_column(file, schema, name))
}

pub(crate) fn missing_column(file: &str, schema: &SchemaDescriptor, name: &str) -> Error {
    let fields = schema.root_schema().get_fields();
    Error::ParquetMissingColumn {
        file: file.to_owned(),
        column: name.to_owned(),
        found: fields
            .iter()
            .take(MOST_LISTED)
            .map(|field| field.name().to_owned())
            .collect(),
        n_columns: fields.len(),
    }
}

fn wrong_type(
    file: &str,
    schema: &SchemaDescriptor,
    name: &str,
    leaf: usize,
    expected: &'static str,
) -> Error {
    let column = schema.column(leaf);
    let found = if is_nested(&column) {
        "lists or groups".to_owned()
    } else {
        type_name(&column)
    };
    Error::ParquetColumnType {
        file: file.to_owned(),
        column: name.to_owned(),
        column_number: leaf + 1,
        expected,
        found,
    }
}

/// Runs the decoder; what it refuses, and what makes it panic, is an error of the file.
pub(crate) fn guarded<T>(
    file: &str,
    work: impl FnOnce() -> parquet::errors::Result<T>,
) -> Result<T> {
    // Nothing that a panic leaves half done is used again: the table counts as ended.
    let source = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => return Ok(done),
        Ok(Err(error)) => error.into(),
        Err(_) => "the decoder panicked, so the file is damaged".into(),
    };
    Err(Error::Parquet {
        file: file.to_owned(),
        source,
    })
}
