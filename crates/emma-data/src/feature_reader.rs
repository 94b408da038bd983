//! Streaming reader of the needed columns of a comma-separated table.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::ops::Range;

use ndarray::{Array2, ShapeError};

use crate::compression;
use crate::error::{Error, MOST_LISTED, Result};
use crate::missing_values::{MissingValues, is_missing};
use crate::place::Place;
use crate::record_reader::{MAX_ROW_BYTES, MAX_ROW_FIELDS, RecordError, RecordReader};
use crate::samples::first_repeated;

/// Text of a chunk's rows from which it ends early, if the text is kept.
const MAX_CHUNK_TEXT: usize = 4 << 20;

/// Whether a reader looks for a label, and under which name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelColumn {
    /// The label is not read, whether the file has one or not.
    None,
    /// The label is read if the file has it.
    Optional(String),
    /// The file must have the label.
    Required(String),
}

impl LabelColumn {
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::None => None,
            Self::Optional(name) | Self::Required(name) => Some(name),
        }
    }
}

/// A needed column: its name and its place in the file, from 0.
#[derive(Debug)]
pub(crate) struct Column {
    name: String,
    pub(crate) field: usize,
}

/// Reads the needed columns of a comma-separated table, chunk by chunk, in bounded memory.
///
/// # File rules
/// - Fields are separated by commas and may be quoted with `"`. Lines end with LF, CRLF or CR. A
///   UTF-8 byte order mark and blank lines are skipped.
/// - **Header.** The first line is a header if one of its first `D` fields is not a number, where `D`
///   is the number of needed features (`nan` and `inf` count as numbers here). Columns are then found
///   by name, whatever their order; names are compared exactly, without the white space around them.
/// - **No header.** The features are in order and the label, if there is one, is last: `D` or `D + 1`
///   columns; exactly `D + 1` if the label is required.
/// - Every row has as many fields as the first line. Only needed columns are parsed; others may hold
///   anything.
/// - Values are decimal numbers, rounded correctly to the nearest 32-bit float and finite in it.
///   Labels are numbers equal to 0 or 1.
///
/// # Memory
/// One buffer of 64 KiB and one row, which may hold at most 512 KiB of text in at most 65,536 fields.
/// The names of a header are not kept, needed ones apart.
///
/// # Units
/// Those of the file: nothing is scaled.
///
/// ```
/// use emma_data::{Chunk, FeatureReader, LabelColumn};
///
/// let table = "name,height,width\nfirst,1.5,2\nsecond,3,4e-1\n";
/// let mut reader = FeatureReader::new(
///     table.as_bytes(),
///     "table.csv",
///     &["width", "height"],
///     LabelColumn::None,
/// )?;
/// let mut chunk = Chunk::new();
/// while reader.next_chunk(1000, &mut chunk)? {
///     assert_eq!(chunk.values(), [2.0, 1.5, 0.4, 3.0]);
///     assert_eq!(chunk.lines(), [2, 3]);
/// }
/// # Ok::<(), emma_data::Error>(())
/// ```
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says another thing of the file or the reading"
)]
pub struct FeatureReader<R> {
    records: RecordReader<R>,
    file: String,
    features: Vec<Column>,
    label: Option<Column>,
    has_header: bool,
    /// Fields that every row must have.
    n_fields: usize,
    /// The current record is a row that was read to see whether it is a header.
    holds_row: bool,
    finished: bool,
    n_rows_read: u64,
    missing: MissingValues,
    /// Missing values so far, by feature.
    n_missing: Vec<u64>,
    keeps_faulty_rows: bool,
}

impl<R: Read> FeatureReader<R> {
    /// Opens a table: reads its first line and finds the columns.
    ///
    /// `file` is the name that errors call the file by; `features` are the needed columns in the
    /// order in which their values are wanted.
    ///
    /// # Errors
    /// - about the request: [`Error::NoFeatureColumns`], [`Error::RepeatedColumn`];
    /// - about the file: [`Error::EmptyFile`] (no line with anything on it), [`Error::MissingColumn`],
    ///   [`Error::DuplicateColumn`] (only needed columns must be unique),
    ///   [`Error::HeaderlessColumnCount`];
    /// - while reading: [`Error::Read`], [`Error::RowTooLong`], [`Error::UnclosedQuote`].
    ///
    /// A header without rows is no error here.
    pub fn new(
        source: R,
        file: impl Into<String>,
        features: &[impl AsRef<str>],
        label: LabelColumn,
    ) -> Result<Self> {
        Self::with_missing_values(source, file, features, label, MissingValues::Refuse)
    }

    /// The same with a choice of what becomes of missing values.
    ///
    /// With [`MissingValues::AsNan`], a field that says that there is no value does not make the first
    /// line a header, since it stands for a number.
    ///
    /// # Errors
    /// Those of [`FeatureReader::new`].
    pub fn with_missing_values(
        source: R,
        file: impl Into<String>,
        features: &[impl AsRef<str>],
        label: LabelColumn,
        missing: MissingValues,
    ) -> Result<Self> {
        let file = file.into();
        let names: Vec<String> = features
            .iter()
            .map(|name| name.as_ref().to_owned())
            .collect();
        check_request(&file, &names, &label)?;

        let mut records = RecordReader::new(source);
        if let Err(error) = records.skip_byte_order_mark() {
            return Err(record_error(&file, &records, error));
        }
        if !advance(&mut records, &file)? {
            return Err(Error::EmptyFile {
                file,
                expected: names,
            });
        }

        let evidence = (0..names.len().min(records.n_fields()))
            .find(|&field| !is_value(records.field(field), missing));
        let (features, label) = match evidence {
            Some(evidence) => {
                let needed = names.iter().map(String::as_str).chain(label.name());
                let header = Header::new(&file, &records, evidence, needed)?;
                let features = names
                    .iter()
                    .map(|name| header.require(name))
                    .collect::<Result<Vec<_>>>()?;
                let label = match &label {
                    LabelColumn::None => None,
                    LabelColumn::Optional(name) => header.find(name),
                    LabelColumn::Required(name) => Some(header.require(name)?),
                };
                (features, label)
            }
            None => headerless_columns(&file, &records, names, label)?,
        };
        Ok(Self {
            n_missing: vec![0; features.len()],
            missing,
            n_fields: records.n_fields(),
            records,
            file,
            features,
            label,
            has_header: evidence.is_some(),
            holds_row: evidence.is_none(),
            finished: false,
            n_rows_read: 0,
            keeps_faulty_rows: false,
        })
    }

    /// From now on rows that break a rule are not errors: they stand in the chunk with NaN as their values and 0 as
    /// their label, [`Chunk::faults`] says what is wrong with them, and [`Chunk::record`] has the text of all rows. What
    /// makes it impossible to tell where the next row begins stays an error: a failed read, an open quote, an endless row.
    ///
    /// Chunks end early when their text is longer than 4 MiB.
    pub fn keep_faulty_rows(&mut self) {
        self.keeps_faulty_rows = true;
        self.records.keep_raw();
    }

    /// The name that errors call the file by.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Whether the first line was a header.
    pub fn has_header(&self) -> bool {
        self.has_header
    }

    /// Whether chunks have labels: one was asked for and the file has it.
    pub fn has_labels(&self) -> bool {
        self.label.is_some()
    }

    /// Number of features: the columns of every chunk.
    pub fn n_columns(&self) -> usize {
        self.features.len()
    }

    /// How many values of each feature were missing in the rows read so far, in the order of the
    /// features; zeros if missing values are refused.
    pub fn n_missing(&self) -> &[u64] {
        &self.n_missing
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
    /// [`Error::EmptyChunk`] if `max_rows` is 0, which ends nothing; [`Error::RaggedRow`],
    /// [`Error::NotANumber`], [`Error::NonFiniteNumber`], [`Error::LabelText`], [`Error::Read`],
    /// [`Error::RowTooLong`] and [`Error::UnclosedQuote`], with the line where the row starts.
    pub fn next_chunk(&mut self, max_rows: usize, chunk: &mut Chunk) -> Result<bool> {
        chunk.clear(self.features.len(), self.label.is_some(), self.n_rows_read);
        if max_rows == 0 {
            return Err(Error::EmptyChunk {
                file: self.file.clone(),
            });
        }
        while chunk.n_rows() < max_rows && chunk.records.len() < MAX_CHUNK_TEXT && !self.finished {
            match self.next_row(chunk) {
                Ok(true) => self.n_rows_read += 1,
                Ok(false) => self.finished = true,
                Err(error) => {
                    self.finished = true;
                    return Err(error);
                }
            }
        }
        Ok(chunk.n_rows() > 0)
    }

    /// Reads all rows that are left. Memory grows with the table.
    ///
    /// # Errors
    /// [`Error::NoRows`] if there is none; otherwise those of [`FeatureReader::next_chunk`].
    pub fn read_all(mut self) -> Result<Chunk> {
        let mut chunk = Chunk::new();
        if self.next_chunk(usize::MAX, &mut chunk)? {
            Ok(chunk)
        } else {
            Err(self.no_rows())
        }
    }

    /// What is wrong with a table that has ended without a row.
    pub(crate) fn no_rows(self) -> Error {
        Error::NoRows {
            line: self.records.record_line(),
            file: self.file,
        }
    }

    /// Appends the next row to `chunk`; false at the end. A faulty row leaves `chunk` as it was.
    fn next_row(&mut self, chunk: &mut Chunk) -> Result<bool> {
        if !std::mem::take(&mut self.holds_row) && !advance(&mut self.records, &self.file)? {
            return Ok(false);
        }
        let n_values = chunk.values.len();
        let mut parsed = self.parse_row(&mut chunk.values);
        if self.keeps_faulty_rows {
            chunk.records.extend_from_slice(self.records.raw());
            chunk.record_ends.push(chunk.records.len());
            if let Err(error) = &parsed {
                chunk.values.truncate(n_values);
                chunk.push_fault(reason(error, &self.file));
                parsed = Ok(self.label.as_ref().map(|_| 0));
            }
        }
        match parsed {
            Ok(label) => {
                let is_faulty = chunk
                    .faults
                    .last()
                    .is_some_and(|fault| fault.row == chunk.n_rows);
                if self.missing == MissingValues::AsNan && !is_faulty {
                    count_missing(&mut self.n_missing, &chunk.values[n_values..]);
                }
                chunk.n_rows += 1;
                chunk.lines.push(self.records.record_line());
                if let (Some(label), Some(labels)) = (label, &mut chunk.labels) {
                    labels.push(label);
                }
                Ok(true)
            }
            Err(error) => {
                chunk.values.truncate(n_values);
                Err(error)
            }
        }
    }

    /// Appends the current record's values to `values` and returns its label.
    fn parse_row(&self, values: &mut Vec<f32>) -> Result<Option<u8>> {
        if self.records.n_fields() != self.n_fields {
            return Err(Error::RaggedRow {
                file: self.file.clone(),
                line: self.records.record_line(),
                expected: self.n_fields,
                found: self.records.n_fields(),
            });
        }
        for column in &self.features {
            let text = self.records.field(column.field);
            match parse::<f32>(text) {
                Some(value) if value.is_finite() => values.push(value),
                _ if self.missing == MissingValues::AsNan && is_missing(text) => {
                    values.push(f32::NAN);
                }
                number => return Err(self.value_error(column, text, number.is_some())),
            }
        }
        self.label
            .as_ref()
            .map(|column| self.parse_label(column))
            .transpose()
    }

    fn parse_label(&self, column: &Column) -> Result<u8> {
        let text = self.records.field(column.field);
        match text {
            b"0" => return Ok(0),
            b"1" => return Ok(1),
            _ => {}
        }
        // Programs that know only one kind of number write labels as 1.0 or 1.000000e+00.
        match parse::<f64>(text) {
            Some(0.0) => Ok(0),
            Some(1.0) => Ok(1),
            _ => Err(Error::LabelText {
                file: self.file.clone(),
                place: Place::Line(self.records.record_line()),
                column: column.name.clone(),
                column_number: column.field + 1,
                found: excerpt(text),
            }),
        }
    }

    fn value_error(&self, column: &Column, text: &[u8], is_number: bool) -> Error {
        let file = self.file.clone();
        let place = Place::Line(self.records.record_line());
        let name = column.name.clone();
        let column_number = column.field + 1;
        let found = excerpt(text);
        if is_number {
            Error::NonFiniteNumber {
                file,
                place,
                column: name,
                column_number,
                found,
            }
        } else {
            Error::NotANumber {
                file,
                place,
                column: name,
                column_number,
                found,
            }
        }
    }
}

/// Rows that were read together: values, labels and the lines they came from.
///
/// Made once and handed to [`FeatureReader::next_chunk`] again and again, so that its buffers are
/// allocated once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Chunk {
    n_columns: usize,
    first_row: u64,
    values: Vec<f32>,
    labels: Option<Vec<u8>>,
    n_rows: usize,
    lines: Vec<u64>,
    faults: Vec<RowFault>,
    /// The text of all rows, and where each ends; empty unless faulty rows are kept.
    records: Vec<u8>,
    record_ends: Vec<usize>,
}

/// A row that breaks a rule of the table, and was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFault {
    /// Row of the chunk, from 0.
    pub row: usize,
    /// What was expected and what was found, without file and line.
    pub reason: String,
}

impl Chunk {
    /// A chunk without rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Number of columns: the features of the reader.
    pub fn n_columns(&self) -> usize {
        self.n_columns
    }

    /// Data row of the table, from 0, that the chunk's first row is.
    pub fn first_row(&self) -> u64 {
        self.first_row
    }

    /// The values, `[rows, columns]`, row-major, in the order in which the columns were asked for.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The labels, 0 or 1, `[rows]`; none if the reader has no label column.
    pub fn labels(&self) -> Option<&[u8]> {
        self.labels.as_deref()
    }

    /// The line where each row starts in the file, from 1, `[rows]`; empty if the file has no lines.
    pub fn lines(&self) -> &[u64] {
        &self.lines
    }

    /// The rows that break a rule, in order; none unless the reader keeps such rows.
    pub fn faults(&self) -> &[RowFault] {
        &self.faults
    }

    /// The text of a row, from 0, as it stands in the file, without its line end; none if the file is no text, or the
    /// reader does not keep faulty rows.
    pub fn record(&self, row: usize) -> Option<&[u8]> {
        let end = *self.record_ends.get(row)?;
        let start = if row == 0 {
            0
        } else {
            self.record_ends[row - 1]
        };
        Some(&self.records[start..end])
    }

    /// Appends the values of a faulty row, which is the next.
    pub(crate) fn push_fault(&mut self, reason: String) {
        let row = self.n_rows;
        self.faults.push(RowFault { row, reason });
        let n_values = self.values.len() + self.n_columns;
        self.values.resize(n_values, f32::NAN);
    }

    /// Where a row of the chunk, from 0, stands in the file.
    pub fn place(&self, row: usize) -> Place {
        match self.lines.get(row) {
            Some(&line) => Place::Line(line),
            None => Place::Row(self.first_row + row as u64),
        }
    }

    /// Appends rows without lines, with NaN as their values; returns the place for those.
    #[cfg(feature = "parquet")]
    pub(crate) fn push_rows(&mut self, n_rows: usize) -> &mut [f32] {
        let n_values = self.values.len();
        self.values
            .resize(n_values + n_rows * self.n_columns, f32::NAN);
        self.n_rows += n_rows;
        &mut self.values[n_values..]
    }

    /// Forgets all rows after the first so many; those have no lines.
    #[cfg(feature = "parquet")]
    pub(crate) fn truncate(&mut self, n_rows: usize) {
        self.n_rows = n_rows;
        self.values.truncate(n_rows * self.n_columns);
        if let Some(labels) = &mut self.labels {
            labels.truncate(n_rows);
        }
    }

    /// Makes a row's values NaN, and says why.
    #[cfg(feature = "parquet")]
    pub(crate) fn set_fault(&mut self, row: usize, reason: String) {
        self.faults.push(RowFault { row, reason });
        self.values[row * self.n_columns..][..self.n_columns].fill(f32::NAN);
    }

    /// Appends a label, if the chunk has labels.
    #[cfg(feature = "parquet")]
    pub(crate) fn push_label(&mut self, label: u8) {
        if let Some(labels) = &mut self.labels {
            labels.push(label);
        }
    }

    /// The values of rows from one on.
    #[cfg(feature = "parquet")]
    pub(crate) fn values_from(&self, row: usize) -> &[f32] {
        &self.values[row * self.n_columns..]
    }

    /// A copy of some neighboring columns, such as those of one mode.
    ///
    /// # Shapes
    /// returns `[rows, columns.len()]`
    ///
    /// # Errors
    /// [`Error::ColumnRange`] if the chunk has no such columns.
    pub fn columns(&self, columns: Range<usize>) -> Result<Array2<f32>> {
        let mut values = Vec::new();
        self.copy_columns(columns.clone(), &mut values)?;
        Array2::from_shape_vec((self.n_rows(), columns.len()), values)
            .map_err(|_: ShapeError| self.range_error(&columns))
    }

    /// Replaces `target` by some neighboring columns, row-major, without allocating once `target`
    /// is large enough.
    ///
    /// # Shapes
    /// - `target`: `[rows, columns.len()]`
    ///
    /// # Errors
    /// [`Error::ColumnRange`] if the chunk has no such columns; `target` is then as it was.
    pub fn copy_columns(&self, columns: Range<usize>, target: &mut Vec<f32>) -> Result<()> {
        self.check_range(&columns)?;
        target.clear();
        self.append_columns(columns, target)
    }

    /// The same after what `target` holds.
    pub(crate) fn append_columns(
        &self,
        columns: Range<usize>,
        target: &mut Vec<f32>,
    ) -> Result<()> {
        self.check_range(&columns)?;
        if self.n_columns > 0 {
            for row in self.values.chunks_exact(self.n_columns) {
                target.extend_from_slice(&row[columns.clone()]);
            }
        }
        Ok(())
    }

    fn check_range(&self, columns: &Range<usize>) -> Result<()> {
        if columns.start > columns.end || columns.end > self.n_columns {
            return Err(self.range_error(columns));
        }
        Ok(())
    }

    fn range_error(&self, columns: &Range<usize>) -> Error {
        Error::ColumnRange {
            start: columns.start,
            end: columns.end,
            n_columns: self.n_columns,
        }
    }

    pub(crate) fn clear(&mut self, n_columns: usize, has_labels: bool, first_row: u64) {
        self.n_columns = n_columns;
        self.first_row = first_row;
        self.n_rows = 0;
        self.values.clear();
        self.lines.clear();
        self.faults.clear();
        self.records.clear();
        self.record_ends.clear();
        match &mut self.labels {
            Some(labels) if has_labels => labels.clear(),
            labels => *labels = has_labels.then(Vec::new),
        }
    }
}

/// A file's first line, searched once for all needed names.
///
/// Other names are not copied: a line of nothing but commas is a header too, and its names would take
/// many times its size.
pub(crate) struct Header<'a, R> {
    file: &'a str,
    records: &'a RecordReader<R>,
    evidence: usize,
    fields: HashMap<&'a str, usize>,
}

impl<'a, R: Read> Header<'a, R> {
    /// Finds the `needed` columns; one that is there twice is an error.
    pub(crate) fn new(
        file: &'a str,
        records: &'a RecordReader<R>,
        evidence: usize,
        needed: impl Iterator<Item = &'a str>,
    ) -> Result<Self> {
        let needed: HashSet<&str> = needed.collect();
        let mut fields = HashMap::with_capacity(needed.len());
        for field in 0..records.n_fields() {
            let found = std::str::from_utf8(records.field(field)).ok();
            let Some(&name) = found.and_then(|found| needed.get(found)) else {
                continue;
            };
            if let Some(first) = fields.insert(name, field) {
                return Err(Error::DuplicateColumn {
                    file: file.to_owned(),
                    line: records.record_line(),
                    column: name.to_owned(),
                    first: first + 1,
                    second: field + 1,
                });
            }
        }
        Ok(Self {
            file,
            records,
            evidence,
            fields,
        })
    }

    /// The column called `name`, one of those that were needed.
    fn find(&self, name: &str) -> Option<Column> {
        let field = *self.fields.get(name)?;
        Some(Column {
            name: name.to_owned(),
            field,
        })
    }

    pub(crate) fn require(&self, name: &str) -> Result<Column> {
        let excerpt = |field| excerpt(self.records.field(field));
        self.find(name).ok_or_else(|| Error::MissingColumn {
            file: self.file.to_owned(),
            line: self.records.record_line(),
            column: name.to_owned(),
            found: (0..self.records.n_fields().min(MOST_LISTED))
                .map(excerpt)
                .collect(),
            n_columns: self.records.n_fields(),
            evidence_number: self.evidence + 1,
            evidence: excerpt(self.evidence),
        })
    }
}

/// The columns of a file without a header: the features in order, then perhaps the label.
fn headerless_columns<R: Read>(
    file: &str,
    records: &RecordReader<R>,
    names: Vec<String>,
    label: LabelColumn,
) -> Result<(Vec<Column>, Option<Column>)> {
    let n_features = names.len();
    let label_is_there = records.n_fields() == n_features + 1;
    let label_required = matches!(label, LabelColumn::Required(_));
    if !label_is_there && (label_required || records.n_fields() != n_features) {
        return Err(Error::HeaderlessColumnCount {
            file: file.to_owned(),
            line: records.record_line(),
            features: names,
            label_required,
            found: records.n_fields(),
        });
    }
    let features = names
        .into_iter()
        .enumerate()
        .map(|(field, name)| Column { name, field })
        .collect();
    let label = match label {
        LabelColumn::Optional(name) | LabelColumn::Required(name) if label_is_there => {
            Some(Column {
                name,
                field: n_features,
            })
        }
        _ => None,
    };
    Ok((features, label))
}

/// Refuses a request that no file could answer.
pub(crate) fn check_request(file: &str, features: &[String], label: &LabelColumn) -> Result<()> {
    if features.is_empty() {
        return Err(Error::NoFeatureColumns {
            file: file.to_owned(),
        });
    }
    let label = label.name();
    let repeated =
        first_repeated(features).or(label.filter(|&name| features.iter().any(|f| f == name)));
    match repeated {
        Some(column) => Err(Error::RepeatedColumn {
            file: file.to_owned(),
            column: column.to_owned(),
        }),
        None => Ok(()),
    }
}

/// Goes to the next record that is not a line of white space; false at the end of the file.
pub(crate) fn advance<R: Read>(records: &mut RecordReader<R>, file: &str) -> Result<bool> {
    loop {
        match records.advance() {
            Ok(true) if records.is_blank() => {}
            Ok(more) => return Ok(more),
            Err(error) => return Err(record_error(file, records, error)),
        }
    }
}

pub(crate) fn record_error<R: Read>(
    file: &str,
    records: &RecordReader<R>,
    error: RecordError,
) -> Error {
    let file = file.to_owned();
    let line = records.record_line();
    match error {
        RecordError::Read(source) => compression::read_error(file, records.line(), source),
        RecordError::TooLong => Error::RowTooLong {
            file,
            line,
            max_bytes: MAX_ROW_BYTES,
            max_fields: MAX_ROW_FIELDS,
        },
        RecordError::UnclosedQuote => Error::UnclosedQuote { file, line },
    }
}

/// The number that a trimmed field holds, if it holds one; NaN and infinity are numbers.
pub(crate) fn parse<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Whether a trimmed field stands for a number, so that it speaks against a header.
pub(crate) fn is_value(text: &[u8], missing: MissingValues) -> bool {
    parse::<f64>(text).is_some() || (missing == MissingValues::AsNan && is_missing(text))
}

/// Adds a row's missing values to the counts, by feature.
pub(crate) fn count_missing(counts: &mut [u64], row: &[f32]) {
    for (count, value) in counts.iter_mut().zip(row) {
        *count += u64::from(value.is_nan());
    }
}

/// What an error says, without the file and the place in it.
pub(crate) fn reason(error: &Error, file: &str) -> String {
    let message = error.to_string();
    let place = message
        .strip_prefix(file)
        .and_then(|rest| rest.strip_prefix(": "));
    match place.and_then(|rest| rest.split_once(": ")) {
        Some((_, reason)) => reason.to_owned(),
        None => message,
    }
}

/// A field's text for a message, cut where it gets long.
pub(crate) fn excerpt(text: &[u8]) -> String {
    const MOST: usize = 60;
    let text = String::from_utf8_lossy(text);
    if text.chars().count() <= MOST {
        return text.into_owned();
    }
    text.chars().take(MOST).chain("...".chars()).collect()
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::io::{self, Read};

    use super::{Chunk, FeatureReader, LabelColumn};
    use crate::error::{Error, Result};
    use crate::record_reader::{MAX_ROW_BYTES, MAX_ROW_FIELDS};

    fn optional() -> LabelColumn {
        LabelColumn::Optional("label".to_owned())
    }

    fn required() -> LabelColumn {
        LabelColumn::Required("label".to_owned())
    }

    /// Reads the columns x and y.
    fn read(table: &[u8], label: LabelColumn) -> Result<Chunk> {
        FeatureReader::new(table, "t.csv", &["x", "y"], label)?.read_all()
    }

    fn error(table: &[u8], label: LabelColumn) -> String {
        read(table, label).unwrap_err().to_string()
    }

    #[test]
    fn a_headerless_table_has_its_features_in_order_and_the_label_last() {
        let chunk = read(b"1,2,0\n3,4,1\n", optional()).unwrap();
        assert_eq!(chunk.values(), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(chunk.labels(), Some(&[0, 1][..]));
        assert_eq!(chunk.lines(), [1, 2]);
        let chunk = read(b"1,2\n3,4\n", optional()).unwrap();
        assert_eq!(chunk.values(), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(chunk.labels(), None);
        // A label that nobody asks for may hold anything.
        let chunk = read(b"1,2,dog\n", LabelColumn::None).unwrap();
        assert_eq!(chunk.values(), [1.0, 2.0]);
        assert_eq!(chunk.labels(), None);
    }

    #[test]
    fn a_header_finds_columns_by_name() {
        let chunk = read(
            b"note, y ,label,\"x\"\nq,2,1,1\n\"a,\"\"b\"\"\",4,0.0, 3 \n",
            required(),
        )
        .unwrap();
        assert_eq!(chunk.values(), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(chunk.labels(), Some(&[1, 0][..]));
        assert_eq!(chunk.lines(), [2, 3]);
    }

    #[test]
    fn one_field_that_is_no_number_makes_a_header() {
        // Only the first two fields count: there are two features.
        let chunk = read(b"1,2,label\n", LabelColumn::None).unwrap();
        assert_eq!(chunk.values(), [1.0, 2.0]);
        let reader =
            FeatureReader::new(&b"7,y,x\n1,2,3\n"[..], "t.csv", &["x", "y"], optional()).unwrap();
        assert!(reader.has_header() && !reader.has_labels());
        assert_eq!((reader.file(), reader.n_columns()), ("t.csv", 2));
        assert_eq!(reader.read_all().unwrap().values(), [3.0, 2.0]);
        // Infinity and NaN are numbers, so this is a row, and a bad one.
        assert_eq!(
            error(b"1,nan\n", optional()),
            r#"t.csv: line 1: expected a finite 32-bit number in column "y" (column 2), found "nan""#
        );
    }

    #[test]
    fn line_ends_of_every_kind_count_lines_alike() {
        for end in ["\n", "\r\n", "\r"] {
            let table = ["\u{feff}x,y,t", "", "1,2,\"a", "b\"", "  ", "3,4,c", "", ""].join(end);
            let chunk = read(table.as_bytes(), optional()).unwrap();
            assert_eq!(chunk.values(), [1.0, 2.0, 3.0, 4.0], "{end:?}");
            assert_eq!(chunk.lines(), [3, 6], "{end:?}");
        }
    }

    #[test]
    fn the_last_line_needs_no_end() {
        for table in ["1,2\n3,4", "1,2\r3,4", "1,2\r\n3,4\r", "x,y\n1,2\n3,\"4\""] {
            let chunk = read(table.as_bytes(), optional()).unwrap();
            assert_eq!(chunk.values(), [1.0, 2.0, 3.0, 4.0], "{table:?}");
        }
    }

    #[test]
    fn chunks_use_their_buffers_again() {
        let mut reader = FeatureReader::new(
            &b"x,y,label\n1,2,0\n3,4,1\n5,6,0\n"[..],
            "t.csv",
            &["x", "y"],
            optional(),
        )
        .unwrap();
        let mut chunk = Chunk::new();
        assert!(reader.next_chunk(2, &mut chunk).unwrap());
        assert_eq!(
            (chunk.n_rows(), chunk.n_columns(), chunk.first_row()),
            (2, 2, 0)
        );
        let buffer = chunk.values().as_ptr();
        assert!(reader.next_chunk(2, &mut chunk).unwrap());
        assert_eq!((chunk.n_rows(), chunk.first_row()), (1, 2));
        assert_eq!(
            (chunk.values(), chunk.labels()),
            (&[5.0, 6.0][..], Some(&[0][..]))
        );
        assert_eq!(chunk.values().as_ptr(), buffer);
        assert!(!reader.next_chunk(2, &mut chunk).unwrap());
        assert_eq!(chunk.n_rows(), 0);
        assert_eq!(
            reader.next_chunk(0, &mut chunk).unwrap_err().to_string(),
            "t.csv: expected chunks of at least one row to be asked for, found 0"
        );
    }

    #[test]
    fn a_header_without_rows_gives_no_chunk() {
        let mut reader =
            FeatureReader::new(&b"x,y\n"[..], "t.csv", &["x", "y"], optional()).unwrap();
        assert!(!reader.next_chunk(10, &mut Chunk::new()).unwrap());
        assert_eq!(
            error(b"x,y\n", optional()),
            "t.csv: line 1: expected at least one row after the header, found none"
        );
    }

    #[test]
    fn an_error_leaves_the_rows_before_it_and_ends_the_table() {
        let mut reader = FeatureReader::new(
            &b"1,2\n3,4\n5,q\n7,8\n"[..],
            "t.csv",
            &["x", "y"],
            optional(),
        )
        .unwrap();
        let mut chunk = Chunk::new();
        assert!(reader.next_chunk(10, &mut chunk).is_err());
        assert_eq!(chunk.values(), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(chunk.lines(), [1, 2]);
        assert!(!reader.next_chunk(10, &mut chunk).unwrap());
    }

    #[test]
    fn columns_of_a_chunk_are_copied() {
        let chunk = read(b"1,2\n3,4\n", optional()).unwrap();
        assert_eq!(chunk.columns(1..2).unwrap(), ndarray::array![[2.0], [4.0]]);
        assert_eq!(chunk.columns(1..1).unwrap().dim(), (2, 0));
        let mut target = vec![9.0];
        chunk.copy_columns(0..2, &mut target).unwrap();
        assert_eq!(target, chunk.values());
        #[expect(clippy::reversed_empty_ranges, reason = "it is the case under test")]
        for range in [1..3, 2..1, 3..3] {
            assert_eq!(
                chunk.columns(range.clone()).unwrap_err().to_string(),
                format!(
                    "expected columns among the chunk's 2, found {} to {}",
                    range.start, range.end
                )
            );
        }
        assert!(Chunk::new().columns(0..0).unwrap().is_empty());
    }

    #[test]
    fn files_without_content_are_empty() {
        for table in ["", "\n\r\n\r", "\u{feff}", " \n\t\n"] {
            assert_eq!(
                error(table.as_bytes(), optional()),
                r#"t.csv: expected a table with the columns "x", "y", found an empty file"#
            );
        }
    }

    #[test]
    fn headers_that_lack_or_repeat_a_needed_column_are_refused() {
        assert_eq!(
            error(b"\nx,z,Y\n1,2,3\n", optional()),
            "t.csv: line 2: expected a column named \"y\", found the columns \"x\", \"z\", \"Y\" \
             (the line is a header because its field 1, \"x\", is not a number)"
        );
        assert_eq!(
            error(b"x,y\n1,2\n", required()),
            "t.csv: line 1: expected a column named \"label\", found the columns \"x\", \"y\" \
             (the line is a header because its field 1, \"x\", is not a number)"
        );
        assert_eq!(
            error(b"x,y,a,y\n", optional()),
            r#"t.csv: line 1: expected one column named "y", found columns 2 and 4"#
        );
        assert_eq!(
            error(b"x,y,label,label\n", optional()),
            r#"t.csv: line 1: expected one column named "label", found columns 3 and 4"#
        );
        // A column that nobody needs may come twice.
        assert!(read(b"x,y,a,a\n1,2,,\n", optional()).is_ok());
    }

    #[test]
    fn long_headers_are_shortened_in_errors() {
        let header: Vec<String> = (0..45).map(|column| format!("c{column}")).collect();
        let message = error(header.join(",").as_bytes(), optional());
        assert!(
            message.contains("\"c39\" and 5 more (the line"),
            "{message}"
        );
    }

    #[test]
    fn headerless_tables_of_other_widths_are_refused() {
        for (table, found) in [("1\n", 1), ("1,2,3,4\n", 4)] {
            assert_eq!(
                error(table.as_bytes(), optional()),
                format!(
                    "t.csv: line 1: without a header, expected 2 columns (\"x\", \"y\") or 3 with \
                     the label last, found {found} columns"
                )
            );
        }
        assert_eq!(
            error(b"1,2\n", required()),
            "t.csv: line 1: without a header, expected 3 columns (\"x\", \"y\", then the label), \
             found 2 columns"
        );
    }

    #[test]
    fn rows_of_another_width_are_refused() {
        for (row, found) in [("3", 1), ("3,4,5", 3)] {
            assert_eq!(
                error(format!("1,2\n\n{row}\n").as_bytes(), optional()),
                format!("t.csv: line 3: expected 2 fields, as in the first line, found {found}")
            );
        }
    }

    #[test]
    fn fields_that_are_no_numbers_are_refused() {
        for text in ["", "q", "1 2", "0x1", "1,5", "é", "1_000", "--1", "٣"] {
            assert_eq!(
                error(
                    format!("label,y,x\n0,1,1\n0,1,\"{text}\"\n").as_bytes(),
                    optional()
                ),
                format!(
                    "t.csv: line 3: expected a number in column \"x\" (column 3), found {text:?}"
                )
            );
        }
        assert_eq!(
            error(b"x,y\n\xff,1\n", optional()),
            "t.csv: line 2: expected a number in column \"x\" (column 1), found \"\u{fffd}\""
        );
        let long = "ab".repeat(1000);
        assert_eq!(
            error(format!("x,y\n{long},1\n").as_bytes(), optional()),
            format!(
                "t.csv: line 2: expected a number in column \"x\" (column 1), found \"{}...\"",
                "ab".repeat(30)
            )
        );
    }

    #[test]
    fn numbers_that_are_not_finite_in_32_bits_are_refused() {
        for text in ["nan", "NaN", "inf", "-Infinity", "3.5e38", "-1e39", "1e999"] {
            assert_eq!(
                error(format!("x,y\n1,{text}\n").as_bytes(), optional()),
                format!(
                    "t.csv: line 2: expected a finite 32-bit number in column \"y\" (column 2), \
                     found {text:?}"
                )
            );
        }
        // The largest float, and underflow to zero.
        let chunk = read(b"3.4028235e38,-1e-60\n", optional()).unwrap();
        assert_eq!(chunk.values(), [f32::MAX, -0.0]);
    }

    #[test]
    fn values_are_rounded_once() {
        // Just above the middle of two floats, and closer to it than 64 bits can tell: rounding to
        // 64 bits first would land on the middle and then go down to 1.
        let chunk = read(
            b"1.00000005960464477539062500000001,1.000000059604644775390625\n",
            optional(),
        )
        .unwrap();
        assert_eq!(chunk.values(), [1.000_000_1, 1.0]);
    }

    #[test]
    fn labels_are_zero_or_one_however_written() {
        let chunk = read(
            b"1,2,0\n1,2,1\n1,2,0.0\n1,2,1.0\n1,2,1.000e+00\n",
            required(),
        )
        .unwrap();
        assert_eq!(chunk.labels(), Some(&[0, 1, 0, 1, 1][..]));
        for text in ["2", "-1", "0.5", "", "nan", "true", "1.0000001"] {
            assert_eq!(
                error(format!("x,y,label\n1,2,{text}\n").as_bytes(), optional()),
                format!(
                    "t.csv: line 2: expected 0 or 1 in the label column \"label\" (column 3), \
                     found {text:?}"
                )
            );
        }
    }

    #[test]
    fn rows_beyond_the_memory_bound_are_refused() {
        let message = format!(
            "t.csv: line 2: expected a row of at most {MAX_ROW_BYTES} bytes in {MAX_ROW_FIELDS} \
             fields, found a longer one (is a quote left open?)"
        );
        for text in ["a", ",", "\"a\n"] {
            let endless = b"x,y\n"
                .chain(text.as_bytes())
                .chain(Repeat(text.as_bytes()[text.len() - 1]));
            let reader = FeatureReader::new(endless, "t.csv", &["x", "y"], optional()).unwrap();
            assert_eq!(
                reader.read_all().unwrap_err().to_string(),
                message,
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_quote_left_open_is_refused() {
        assert_eq!(
            error(b"x,y,t\n1,2,a\n3,4,\"b\n5,6,c\n", optional()),
            "t.csv: line 3: expected every quote of this row to be closed, found the end of the file"
        );
    }

    #[test]
    fn requests_that_no_file_could_answer_are_refused() {
        let error = |features: &[&str]| {
            FeatureReader::new(&b"1,2\n"[..], "t.csv", features, optional())
                .err()
                .unwrap()
                .to_string()
        };
        assert_eq!(
            error(&[]),
            "t.csv: expected at least one feature column to be asked for, found none"
        );
        assert_eq!(
            error(&["x", "y", "x"]),
            r#"t.csv: expected different column names to be asked for, found "x" twice"#
        );
        assert_eq!(
            error(&["x", "label"]),
            r#"t.csv: expected different column names to be asked for, found "label" twice"#
        );
    }

    #[test]
    fn a_source_that_fails_is_named_with_its_line() {
        let source = b"1,2\n3,4\n5".chain(Failing);
        let error = FeatureReader::new(source, "t.csv", &["x", "y"], optional())
            .unwrap()
            .read_all()
            .unwrap_err();
        assert_eq!(error.to_string(), "t.csv: line 3: cannot be read further");
        assert_eq!(error.source().unwrap().to_string(), "the disk is gone");
        assert!(matches!(error, Error::Read { line: 3, .. }));
    }

    #[test]
    fn a_source_may_give_single_bytes_and_be_interrupted() {
        let table = "\u{feff}x,y\r\n1,2\r\n\r\n3,4".as_bytes();
        let source = Dripping {
            table,
            interrupted: false,
        };
        let chunk = FeatureReader::new(source, "t.csv", &["x", "y"], optional())
            .unwrap()
            .read_all()
            .unwrap();
        assert_eq!(chunk.values(), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(chunk.lines(), [2, 4]);
    }

    /// One byte for ever.
    struct Repeat(u8);

    impl Read for Repeat {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            buffer.fill(self.0);
            Ok(buffer.len())
        }
    }

    struct Failing;

    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }

    /// One byte a read, and an interruption between any two.
    struct Dripping<'a> {
        table: &'a [u8],
        interrupted: bool,
    }

    impl Read for Dripping<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.interrupted = !self.interrupted;
            if self.interrupted {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let n_read = self.table.len().min(buffer.len()).min(1);
            buffer[..n_read].copy_from_slice(&self.table[..n_read]);
            self.table = &self.table[n_read..];
            Ok(n_read)
        }
    }
}
