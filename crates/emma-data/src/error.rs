//! What can be wrong with a table, a split or a corruption, said with its place.

use std::io;
use std::time::Duration;

use crate::corruption::Corruption;
use crate::place::Place;

/// Result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;

/// Everything this crate refuses, with what was expected, what came and where.
///
/// Lines and columns of files count from 1, as editors count them. Rows count data rows from 0, as
/// `emma score` writes them. A message names the file as the caller named it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be opened.
    #[error("{file}: cannot be opened")]
    Open {
        /// File, as the caller named it.
        file: String,
        /// Answer of the operating system.
        source: io::Error,
    },
    /// The file was opened but stopped answering.
    #[error("{file}: line {line}: cannot be read further")]
    Read {
        /// File, as the caller named it.
        file: String,
        /// Line that was being read, from 1.
        line: u64,
        /// Answer of the operating system.
        source: io::Error,
    },
    /// The file was opened but could not be read through, as a whole and not by lines.
    #[error("{file}: cannot be read")]
    ReadWhole {
        /// File, as the caller named it.
        file: String,
        /// Answer of the operating system.
        source: io::Error,
    },
    /// What a compressed file holds is compressed once more.
    #[error("{file}: expected a table that is compressed once, found {inner} inside {outer}")]
    CompressedTwice {
        /// File, as the caller named it.
        file: String,
        /// `gzip` or `zstd`.
        outer: &'static str,
        /// `gzip` or `zstd`.
        inner: &'static str,
    },
    /// A compressed file is cut, or its bytes are not what was written.
    #[error(
        "{file}: expected an intact {compression} stream, found a damaged one near line {line}"
    )]
    DamagedStream {
        /// File, as the caller named it.
        file: String,
        /// `gzip` or `zstd`.
        compression: &'static str,
        /// Line of the unpacked text that was being read, from 1.
        line: u64,
        /// What the decoder says.
        source: io::Error,
    },
    /// A Parquet table came from where nobody can jump to its end, where its description is.
    #[error(
        "{file}: expected a Parquet table to be a file of its own, not piped or compressed once more, \
         since it is read from its end"
    )]
    ParquetStream {
        /// File, as the caller named it.
        file: String,
    },
    /// A Parquet table came to a build without Parquet.
    #[error(
        "{file}: expected text, found Parquet, which this build leaves out (feature `parquet`)"
    )]
    ParquetLeftOut {
        /// File, as the caller named it.
        file: String,
    },
    /// A Parquet table is damaged, or written in a way that is not supported.
    #[error("{file}: cannot be read as Parquet")]
    Parquet {
        /// File, as the caller named it.
        file: String,
        /// What the decoder says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A Parquet table lacks a needed column.
    #[error(
        "{file}: expected a column named {column:?}, found the columns {}",
        listing_of(found, *n_columns)
    )]
    ParquetMissingColumn {
        /// File, as the caller named it.
        file: String,
        /// The name that was looked for.
        column: String,
        /// The names that the file has, the first 40 of them.
        found: Vec<String>,
        /// How many columns the file has.
        n_columns: usize,
    },
    /// A Parquet table has a needed column twice.
    #[error("{file}: expected one column named {column:?}, found columns {first} and {second}")]
    ParquetDuplicateColumn {
        /// File, as the caller named it.
        file: String,
        /// The repeated name.
        column: String,
        /// Number of the first such column, from 1.
        first: usize,
        /// Number of the second such column, from 1.
        second: usize,
    },
    /// A needed column of a Parquet table holds something else than numbers.
    #[error(
        "{file}: expected {expected} in column {column:?} (column {column_number}), found {found}"
    )]
    ParquetColumnType {
        /// File, as the caller named it.
        file: String,
        /// Name of the column.
        column: String,
        /// Number of the column in the file, from 1.
        column_number: usize,
        /// The types that it may have, in words.
        expected: &'static str,
        /// The type that it has.
        found: String,
    },
    /// A Parquet table has no row, where rows were needed.
    #[error("{file}: expected at least one row, found none")]
    ParquetNoRows {
        /// File, as the caller named it.
        file: String,
    },
    /// A mode's columns are not written as `NAME=COLUMN,COLUMN,...`.
    #[error("expected a mode written as NAME=COLUMN,COLUMN,..., found {found:?}")]
    ModeText {
        /// The text that came.
        found: String,
    },
    /// A text names no way with missing values.
    #[error("expected what to do with missing values, refuse or as_nan, found {found:?}")]
    MissingValuesText {
        /// The text that came.
        found: String,
    },
    /// A column is in two modes.
    #[error("expected every column in one mode, found {column:?} in {first:?} and {second:?}")]
    ColumnInTwoModes {
        /// Name of the column.
        column: String,
        /// The first mode with it.
        first: String,
        /// The second mode with it.
        second: String,
    },
    /// The label is one of the features.
    #[error("expected the label {column:?} in no mode, found it in {mode:?}")]
    LabelInMode {
        /// Name of the label.
        column: String,
        /// The mode with it.
        mode: String,
    },
    /// A table's configuration is no TOML, or a value in it has the wrong type.
    #[error("{file}: expected a table's configuration in TOML: {message}")]
    ConfigSyntax {
        /// File, as the caller named it.
        file: String,
        /// What the parser says, in one line.
        message: String,
    },
    /// A table's configuration has a key that means nothing.
    #[error(
        "{file}: expected the keys label, missing and modes, found {key:?} (nearest: {nearest})"
    )]
    ConfigKey {
        /// File, as the caller named it.
        file: String,
        /// The key that came.
        key: String,
        /// The key that is most like it.
        nearest: &'static str,
    },
    /// A table's configuration is wrong in what it says.
    #[error("{file}: cannot be taken as a table's configuration")]
    Config {
        /// File, as the caller named it.
        file: String,
        /// What is wrong with it.
        source: Box<Error>,
    },
    /// The names of a table that is to be written would be taken for its first row.
    #[error(
        "expected a column to be written whose name is no number, found {}",
        listing(found)
    )]
    NumericHeader {
        /// Names of the columns.
        found: Vec<String>,
    },
    /// The file's bytes are not the data set that was asked for.
    #[error("{file}: expected a file with SHA-256 {}, found {found}", expected.join(" or "))]
    WrongDigest {
        /// File, as the caller named it.
        file: String,
        /// Digests that are accepted, in hexadecimal.
        expected: Vec<String>,
        /// Digest of the bytes that came, in hexadecimal.
        found: String,
    },
    /// An address is none.
    #[error("expected an address such as https://example.org/htru2.zip, found {url:?}")]
    Address {
        /// What came in its place.
        url: String,
    },
    /// A server answered with something else than the file.
    #[error("{url}: expected HTTP status 200, found {found}")]
    HttpStatus {
        /// Address that was asked.
        url: String,
        /// Status of the answer.
        found: u16,
    },
    /// A server, or the way to it, is silent.
    #[error("{url}: expected {what} within {} s, found none", wait.as_secs_f64())]
    NoAnswer {
        /// Address that was asked.
        url: String,
        /// How long was waited.
        wait: Duration,
        /// What was waited for.
        what: &'static str,
    },
    /// A connection ended before the whole file had come.
    #[error("{url}: expected {}, found the connection closed after {found} bytes",
        match expected {
            Some(expected) => format!("{expected} bytes"),
            None => "the whole file".to_owned(),
        }
    )]
    DownloadCut {
        /// Address that was asked.
        url: String,
        /// Size of the file, if the server said it.
        expected: Option<u64>,
        /// Bytes that came.
        found: usize,
    },
    /// No connection, or one that failed in some other way.
    #[error("{url}: cannot be downloaded")]
    Connection {
        /// Address that was asked.
        url: String,
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A download, or what it unpacks to, is far larger than the data set.
    #[error("{url}: expected at most {most} bytes, found more")]
    DownloadTooLarge {
        /// Address that was asked.
        url: String,
        /// Most bytes that were accepted.
        most: usize,
    },
    /// A download is no archive that holds the file.
    #[error("{url}: expected a zip archive with {member} in it, found something else")]
    NotAnArchive {
        /// Address that was asked.
        url: String,
        /// The file that was wanted.
        member: String,
        /// What is wrong with the archive, if it is broken and does not merely lack the file.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The file has no line that holds anything.
    #[error(
        "{file}: expected a table with the columns {}, found an empty file",
        listing(expected)
    )]
    EmptyFile {
        /// File, as the caller named it.
        file: String,
        /// Columns that were asked for.
        expected: Vec<String>,
    },
    /// The file has a header and nothing under it, where rows were needed.
    #[error("{file}: line {line}: expected at least one row after the header, found none")]
    NoRows {
        /// File, as the caller named it.
        file: String,
        /// Last line of the file, from 1.
        line: u64,
    },
    /// The header lacks a needed column.
    #[error(
        "{file}: line {line}: expected a column named {column:?}, found the columns {} \
         (the line is a header because its field {evidence_number}, {evidence:?}, is not a number)",
        listing_of(found, *n_columns)
    )]
    MissingColumn {
        /// File, as the caller named it.
        file: String,
        /// Line of the header, from 1.
        line: u64,
        /// The name that was looked for.
        column: String,
        /// The names that the file has, the first 40 of them.
        found: Vec<String>,
        /// How many columns the file has.
        n_columns: usize,
        /// The first field that makes the line a header, from 1.
        evidence_number: usize,
        /// That field's text.
        evidence: String,
    },
    /// The header holds a needed column twice.
    #[error(
        "{file}: line {line}: expected one column named {column:?}, found columns {first} and {second}"
    )]
    DuplicateColumn {
        /// File, as the caller named it.
        file: String,
        /// Line of the header, from 1.
        line: u64,
        /// The repeated name.
        column: String,
        /// Number of the first such column, from 1.
        first: usize,
        /// Number of the second such column, from 1.
        second: usize,
    },
    /// A file without a header has the wrong number of columns.
    #[error(
        "{file}: line {line}: without a header, expected {}, found {found} columns",
        expected_columns(features, *label_required)
    )]
    HeaderlessColumnCount {
        /// File, as the caller named it.
        file: String,
        /// The first line with something on it, from 1.
        line: u64,
        /// The features that were asked for, in order.
        features: Vec<String>,
        /// Whether the label must follow them.
        label_required: bool,
        /// Columns that the line has.
        found: usize,
    },
    /// A row is shorter or longer than the first line.
    #[error("{file}: line {line}: expected {expected} fields, as in the first line, found {found}")]
    RaggedRow {
        /// File, as the caller named it.
        file: String,
        /// Line where the row starts, from 1.
        line: u64,
        /// Fields of the first line.
        expected: usize,
        /// Fields of this row.
        found: usize,
    },
    /// A needed field is empty or text.
    #[error(
        "{file}: {place}: expected a number in column {column:?} (column {column_number}), \
         found {found:?}"
    )]
    NotANumber {
        /// File, as the caller named it.
        file: String,
        /// Where the row stands.
        place: Place,
        /// Name of the column.
        column: String,
        /// Number of the column in the file, from 1.
        column_number: usize,
        /// Text of the field, shortened if long.
        found: String,
    },
    /// A needed field is NaN, infinite or too large for 32 bits.
    #[error(
        "{file}: {place}: expected a finite 32-bit number in column {column:?} \
         (column {column_number}), found {found:?}"
    )]
    NonFiniteNumber {
        /// File, as the caller named it.
        file: String,
        /// Where the row stands.
        place: Place,
        /// Name of the column.
        column: String,
        /// Number of the column in the file, from 1.
        column_number: usize,
        /// Text of the field, shortened if long.
        found: String,
    },
    /// A label field is something else than 0 or 1.
    #[error(
        "{file}: {place}: expected 0 or 1 in the label column {column:?} \
         (column {column_number}), found {found:?}"
    )]
    LabelText {
        /// File, as the caller named it.
        file: String,
        /// Where the row stands.
        place: Place,
        /// Name of the column.
        column: String,
        /// Number of the column in the file, from 1.
        column_number: usize,
        /// Text of the field, shortened if long.
        found: String,
    },
    /// A column of names has none in a row.
    #[error("{file}: {place}: expected a value in column {column:?}, found none")]
    EmptyCategory {
        /// File, as the caller named it.
        file: String,
        /// Where the row stands.
        place: Place,
        /// Name of the column.
        column: String,
    },
    /// A name is no text.
    #[error("{file}: {place}: expected UTF-8 in column {column:?}, found {found:?}")]
    CategoryText {
        /// File, as the caller named it.
        file: String,
        /// Where the row stands.
        place: Place,
        /// Name of the column.
        column: String,
        /// What the field holds, as far as it is text.
        found: String,
    },
    /// A column of names has too many different ones to be one.
    #[error(
        "{file}: {place}: expected at most {most} different values in column {column:?}, found one more \
         (is it a number to predict?)"
    )]
    TooManyCategories {
        /// File, as the caller named it.
        file: String,
        /// Where the first row beyond stands.
        place: Place,
        /// Name of the column.
        column: String,
        /// Most different values.
        most: usize,
    },
    /// A row is larger than the reader's memory bound.
    #[error(
        "{file}: line {line}: expected a row of at most {max_bytes} bytes in {max_fields} fields, \
         found a longer one (is a quote left open?)"
    )]
    RowTooLong {
        /// File, as the caller named it.
        file: String,
        /// Line where the row starts, from 1.
        line: u64,
        /// Most bytes of text in one row.
        max_bytes: usize,
        /// Most fields in one row.
        max_fields: usize,
    },
    /// The file ends inside a quoted field.
    #[error(
        "{file}: line {line}: expected every quote of this row to be closed, found the end of the file"
    )]
    UnclosedQuote {
        /// File, as the caller named it.
        file: String,
        /// Line where the row starts, from 1.
        line: u64,
    },
    /// A reader was asked for no feature at all.
    #[error("{file}: expected at least one feature column to be asked for, found none")]
    NoFeatureColumns {
        /// File, as the caller named it.
        file: String,
    },
    /// A reader was asked for one column twice.
    #[error("{file}: expected different column names to be asked for, found {column:?} twice")]
    RepeatedColumn {
        /// File, as the caller named it.
        file: String,
        /// The repeated name.
        column: String,
    },
    /// A chunk of no rows was asked for, which would never reach the end of a file.
    #[error("{file}: expected chunks of at least one row to be asked for, found 0")]
    EmptyChunk {
        /// File, as the caller named it.
        file: String,
    },
    /// Columns outside of a chunk were asked for.
    #[error("expected columns among the chunk's {n_columns}, found {start} to {end}")]
    ColumnRange {
        /// First column, from 0.
        start: usize,
        /// One past the last column, from 0.
        end: usize,
        /// Columns of the chunk.
        n_columns: usize,
    },

    /// Samples or a corruption were built over no mode.
    #[error("expected at least one mode, found none")]
    NoModes,
    /// A mode's name cannot become part of a tensor's name.
    #[error("expected a mode name of lowercase letters, digits and underscores, found {mode:?}")]
    ModeName {
        /// The name that came.
        mode: String,
    },
    /// Two modes have one name.
    #[error("expected different mode names, found {mode:?} twice")]
    DuplicateMode {
        /// The repeated name.
        mode: String,
    },
    /// A mode has no column.
    #[error("mode {mode:?}: expected at least one column, found none")]
    NoModeColumns {
        /// Name of the mode.
        mode: String,
    },
    /// Two columns of a mode have one name.
    #[error("mode {mode:?}: expected different column names, found {column:?} twice")]
    DuplicateModeColumn {
        /// Name of the mode.
        mode: String,
        /// The repeated name.
        column: String,
    },
    /// A mode's values and its column names disagree.
    #[error("mode {mode:?}: expected values in {expected} columns, one per name, found {found}")]
    ModeColumnCount {
        /// Name of the mode.
        mode: String,
        /// Number of names.
        expected: usize,
        /// Columns of the values.
        found: usize,
    },
    /// A mode has another number of rows than there are labels.
    #[error("mode {mode:?}: expected {expected} rows, one per label, found {found}")]
    ModeRowCount {
        /// Name of the mode.
        mode: String,
        /// Number of labels.
        expected: usize,
        /// Rows of the values.
        found: usize,
    },
    /// A value in memory is NaN or infinite.
    #[error(
        "mode {mode:?}: row {row}: expected a finite number in column {column:?}, found {found}"
    )]
    NonFiniteValue {
        /// Name of the mode.
        mode: String,
        /// Row, from 0.
        row: usize,
        /// Name of the column.
        column: String,
        /// The value.
        found: f32,
    },
    /// A label in memory is something else than 0 or 1.
    #[error("row {row}: expected the label 0 or 1, found {found}")]
    LabelValue {
        /// Row, from 0.
        row: usize,
        /// The label that came.
        found: u8,
    },
    /// A row was asked for that does not exist.
    #[error("expected rows below {n_rows}, found {row}")]
    RowOutOfRange {
        /// The row asked for, from 0.
        row: usize,
        /// Number of rows.
        n_rows: usize,
    },

    /// The three fractions of a split do not share out all rows.
    #[error(
        "expected three fractions above 0 that sum to 1, found train {train}, \
         validation {validation}, test {test}"
    )]
    SplitFractions {
        /// Fraction of training rows.
        train: f64,
        /// Fraction of validation rows.
        validation: f64,
        /// Fraction of test rows.
        test: f64,
    },
    /// A class is too rare to be in every part of a split.
    #[error(
        "expected rows of class {class} in the {part} part of the split, found none \
         (the table has {n_rows} rows of that class)"
    )]
    ClassMissing {
        /// The class, from 0.
        class: u32,
        /// The part without it: `train`, `validation` or `test`.
        part: &'static str,
        /// Rows of the class in the whole table.
        n_rows: usize,
    },

    /// A row is of a class that does not exist.
    #[error("row {row}: expected a class below {n_classes}, found {found}")]
    ClassRange {
        /// Row, from 0.
        row: usize,
        /// Number of classes.
        n_classes: u32,
        /// The row's class.
        found: u32,
    },
    /// A sample has no value, so no distribution.
    #[error("{name}: expected at least one value, found none")]
    EmptySample {
        /// What was sampled.
        name: String,
    },
    /// A sample holds NaN or infinity.
    #[error("{name}: expected finite values, found {found} at {index}")]
    SampleValue {
        /// What was sampled.
        name: String,
        /// Which value of the sample, from 0.
        index: usize,
        /// The value.
        found: f32,
    },
    /// A standardization was to be fitted to no row.
    #[error("mode {mode:?}: expected at least one row to fit the standardization to, found none")]
    NoRowsToFit {
        /// Name of the mode.
        mode: String,
    },
    /// A column does not vary, so it has no scale.
    #[error("mode {mode:?}: expected column {column:?} to vary, found {value} in every row")]
    ConstantColumn {
        /// Name of the mode.
        mode: String,
        /// Name of the column.
        column: String,
        /// The value of its first row.
        value: f32,
    },
    /// Means and standard deviations are not pairs.
    #[error("expected as many means as standard deviations, found {n_means} and {n_stds}")]
    StandardizationLengths {
        /// Number of means.
        n_means: usize,
        /// Number of standard deviations.
        n_stds: usize,
    },
    /// A mean or standard deviation is outside its range.
    #[error(
        "column {column}: expected a finite mean and a finite standard deviation above 0, \
         found {mean} and {std}"
    )]
    StandardizationRange {
        /// Column, from 0.
        column: usize,
        /// Its mean.
        mean: f32,
        /// Its standard deviation.
        std: f32,
    },
    /// Values have other columns than the standardization.
    #[error("expected values in {expected} columns, as the standardization, found {found}")]
    StandardizationColumns {
        /// Columns of the standardization.
        expected: usize,
        /// Columns of the values.
        found: usize,
    },
    /// A standardized value does not fit 32 bits.
    #[error(
        "row {row}, column {column}: expected a finite standardized value, found {found} from {value}"
    )]
    StandardizedValue {
        /// Row, from 0.
        row: usize,
        /// Column, from 0.
        column: usize,
        /// The value before.
        value: f32,
        /// The value after.
        found: f32,
    },

    /// A noise level is negative, NaN, infinite or too large for 32 bits.
    #[error(
        "expected a noise standard deviation between 0 and {}, found {found}",
        f32::MAX
    )]
    NoiseStd {
        /// The level that came.
        found: f64,
    },
    /// A corruption's text names no known kind, or its level is not a number.
    #[error(
        "expected a corruption written as {}, found {found:?} (nearest: {nearest})",
        corruption_forms()
    )]
    CorruptionText {
        /// The text that came.
        found: String,
        /// The form whose kind is most like it.
        nearest: &'static str,
    },
    /// What stands behind a kind of corruption is no number.
    #[error("expected {expected} after {kind}:, such as {example}, found {found:?}")]
    CorruptionLevelText {
        /// The kind.
        kind: &'static str,
        /// What kind of number, in words.
        expected: &'static str,
        /// A corruption of this kind.
        example: &'static str,
        /// The text that came.
        found: String,
    },
    /// A text names no mode and corruption.
    #[error(
        "expected a corruption of a mode written as MODE:KIND or MODE:KIND:LEVEL, such as \
         ip:noise:0.5, found {found:?}"
    )]
    ModeCorruptionText {
        /// The text that came.
        found: String,
    },
    /// A level is not what its kind of corruption takes.
    #[error("{kind}: {reason}")]
    CorruptionLevelRange {
        /// The kind.
        kind: &'static str,
        /// What is wrong with the level.
        reason: Box<Error>,
    },
    /// What is to be done to a mode cannot be read.
    #[error("mode {mode:?}: {reason}")]
    ModeCorruption {
        /// The mode.
        mode: String,
        /// What is wrong with the corruption.
        reason: Box<Error>,
    },
    /// A mode could not be corrupted.
    #[error("{corruption} cannot be done")]
    CorruptionFailed {
        /// The corruption, with its mode.
        corruption: String,
        /// What is in its way.
        source: Box<Error>,
    },
    /// A mode of a name that a table does not have was to be corrupted.
    #[error(
        "expected a mode among {}, found {mode:?} (nearest: {nearest:?})",
        listing(modes)
    )]
    UnknownMode {
        /// The name that came.
        mode: String,
        /// The mode whose name is most like it.
        nearest: String,
        /// The names of the table's modes.
        modes: Vec<String>,
    },
    /// A kind of corruption that takes no level was given one.
    #[error("expected {kind} without a level, found {found:?}")]
    UnexpectedCorruptionLevel {
        /// The kind.
        kind: &'static str,
        /// The text that came.
        found: String,
    },
    /// A shift or a factor is no finite 32-bit number.
    #[error("expected a level between -{most} and {most}, found {found}", most = f32::MAX)]
    CorruptionLevel {
        /// The number that came.
        found: f64,
    },
    /// A probability or a share is none.
    #[error("expected a level between 0 and 1, found {found}")]
    UnitLevel {
        /// The number that came.
        found: f64,
    },
    /// A bound to clip at is negative, NaN, infinite or too large for 32 bits.
    #[error(
        "expected a bound to clip at between 0 and {}, found {found}",
        f32::MAX
    )]
    ClipBound {
        /// The number that came.
        found: f64,
    },
    /// A number of bits to quantize to is out of its range.
    #[error("expected 1 to 16 bits to quantize to, found {found}")]
    QuantizationBits {
        /// The number that came.
        found: u32,
    },
    /// Modes that are to be corrupted have different numbers of rows.
    #[error("mode {mode_index}: expected {expected} rows, as in mode 0, found {found}")]
    UnequalRows {
        /// Mode with other rows, from 0.
        mode_index: usize,
        /// Rows of mode 0.
        expected: usize,
        /// Rows that came.
        found: usize,
    },
    /// Rows that are to be corrupted have another number of labels.
    #[error("expected {expected} labels, one per row to corrupt, found {found}")]
    CorruptionLabels {
        /// Number of rows.
        expected: usize,
        /// Number of labels.
        found: usize,
    },
    /// A corruption that follows the classes was asked for without them.
    #[error("expected labels, which {corruption} needs, found none")]
    LabelsNeeded {
        /// The corruption.
        corruption: Corruption,
    },
    /// A class that a corruption needs the mean of has no row.
    #[error(
        "mode {mode_index}: expected a row of class {class} to take the mean over, which row {row} \
         is moved towards, found none"
    )]
    NoRowsOfClass {
        /// Mode, from 0.
        mode_index: usize,
        /// Row that was to be corrupted, from 0.
        row: usize,
        /// The class without rows: 0 or 1.
        class: u8,
    },
    /// One row alone was to swap its values.
    #[error(
        "mode {mode_index}: expected at least two corrupted rows that have the mode, to swap it among \
         them, found row {row} alone"
    )]
    NothingToSwap {
        /// Mode, from 0.
        mode_index: usize,
        /// The row, from 0.
        row: usize,
    },
    /// A mode is missing where every value was asked for.
    #[error("mode {mode_index}: row {row}: expected the mode to be there, found it missing")]
    MissingMode {
        /// The first such mode of the row, from 0.
        mode_index: usize,
        /// The first such row, from 0.
        row: usize,
    },
    /// A mode was asked for that does not exist.
    #[error("expected a mode index below {n_modes}, found {mode_index}")]
    ModeIndex {
        /// The index that came, from 0.
        mode_index: usize,
        /// Number of modes.
        n_modes: usize,
    },
    /// A corruption record would not fit into memory.
    #[error("expected a record that fits into memory, found {n_rows} rows by {n_modes} modes")]
    RecordTooLarge {
        /// Number of rows.
        n_rows: usize,
        /// Number of modes.
        n_modes: usize,
    },
    /// A corruption record was made for another number of modes.
    #[error("expected {expected} modes, as in the corruption record, found {found}")]
    RecordModes {
        /// Modes of the record.
        expected: usize,
        /// Modes that came.
        found: usize,
    },
    /// A corruption record was made for another number of rows.
    #[error(
        "mode {mode_index}: expected {expected} rows, as in the corruption record, found {found}"
    )]
    RecordRows {
        /// Mode with other rows, from 0.
        mode_index: usize,
        /// Rows of the record.
        expected: usize,
        /// Rows that came.
        found: usize,
    },
    /// The first line of a table of corrupted modes is another one.
    #[error("{file}: line {line}: expected the header row,mode,corruption, found {found:?}")]
    TruthHeader {
        /// File, as the caller named it.
        file: String,
        /// Line, from 1.
        line: u64,
        /// The start of the line that came.
        found: String,
    },
    /// A line of a table of corrupted modes has more or fewer fields.
    #[error("{file}: line {line}: expected a row, a mode and a corruption, found {found} fields")]
    TruthFields {
        /// File, as the caller named it.
        file: String,
        /// Line, from 1.
        line: u64,
        /// Number of fields.
        found: usize,
    },
    /// A corrupted row does not exist.
    #[error("{file}: line {line}: expected a row below {n_rows}, found {found:?}")]
    TruthRow {
        /// File, as the caller named it.
        file: String,
        /// Line, from 1.
        line: u64,
        /// Number of rows.
        n_rows: usize,
        /// The text that came.
        found: String,
    },
    /// A corrupted mode does not exist.
    #[error(
        "{file}: line {line}: expected one of the modes {}, found {found:?}",
        listing(modes)
    )]
    TruthMode {
        /// File, as the caller named it.
        file: String,
        /// Line, from 1.
        line: u64,
        /// Names of the modes.
        modes: Vec<String>,
        /// The text that came.
        found: String,
    },
    /// What was done to a corrupted mode cannot be read.
    #[error("{file}: line {line}: {reason}")]
    TruthCorruption {
        /// File, as the caller named it.
        file: String,
        /// Line, from 1.
        line: u64,
        /// Why the corruption was refused.
        reason: Box<Error>,
    },
    /// A corrupted value does not fit 32 bits.
    #[error(
        "mode {mode_index}: row {row}, column {column}: expected a finite corrupted value, \
         found {found} from {value}"
    )]
    CorruptedValue {
        /// Mode, from 0.
        mode_index: usize,
        /// Row, from 0.
        row: usize,
        /// Column of the mode, from 0.
        column: usize,
        /// The value before.
        value: f32,
        /// The value after.
        found: f32,
    },
    /// A probability of an augmentation is none.
    #[error("expected {name} between 0 and 1, found {found}")]
    Probability {
        /// Which probability or share.
        name: &'static str,
        /// The number that came.
        found: f64,
    },
    /// The probabilities of an augmentation's branches are more than certainty.
    #[error("expected probabilities of branches that add up to at most 1, found {found}")]
    ProbabilitySum {
        /// The sum that came.
        found: f64,
    },
    /// Noise is to be drawn between levels that are no range.
    #[error(
        "expected noise from 0 or more up to at most {}, found {low} to {high}",
        f32::MAX
    )]
    NoiseRange {
        /// The lower level that came.
        low: f64,
        /// The higher level that came.
        high: f64,
    },
    /// A text names no manifold.
    #[error("expected a manifold, wave or circle, found {found:?}")]
    ManifoldName {
        /// The text that came.
        found: String,
    },
    /// Samples of a manifold do not fit the memory.
    #[error("memory cannot hold {n_samples} samples of a manifold")]
    ManifoldTooLarge {
        /// Number of samples.
        n_samples: usize,
    },
    /// Noise takes a sample of a manifold out of its numbers.
    #[error("expected samples of a manifold that fit 32 bits, found {found}")]
    ManifoldNoise {
        /// The coordinate that came.
        found: f32,
    },
    /// A setting of the simulated survey is out of its range.
    #[error("simulated survey: expected {name} {expected}, found {found}")]
    SurveySetting {
        /// Path of the setting, such as `pulsar.period_s.median`.
        name: String,
        /// The range, in words.
        expected: &'static str,
        /// The value that came.
        found: f64,
    },
    /// A setting of the coupled modes is out of its range.
    #[error("coupled modes: expected {name} {expected}, found {found}")]
    CouplingSetting {
        /// Name of the setting, such as `conflict[0]`.
        name: String,
        /// The range, in words.
        expected: &'static str,
        /// The value that came.
        found: f64,
    },
    /// A row of a coupled mode has other columns.
    #[error("coupled mode {mode:?}: expected {expected} values, found {found}")]
    CouplingColumns {
        /// Name of the mode.
        mode: &'static str,
        /// Columns of the mode.
        expected: usize,
        /// Values that came.
        found: usize,
    },
    /// Samples of coupled modes do not fit the memory.
    #[error("memory cannot hold {n_rows} rows of coupled modes")]
    CouplingTooLarge {
        /// Number of rows.
        n_rows: usize,
    },
    /// A simulated survey has more candidates than memory can hold the classes of.
    #[error("memory cannot hold a simulated survey of {n_candidates} candidates")]
    SurveyTooLarge {
        /// Number of candidates.
        n_candidates: usize,
    },
}

impl Error {
    /// Whether the network or a server failed, which is nobody's input.
    pub fn is_network_failure(&self) -> bool {
        matches!(
            self,
            Self::HttpStatus { .. }
                | Self::NoAnswer { .. }
                | Self::DownloadCut { .. }
                | Self::Connection { .. }
        )
    }
}

/// Names that a message lists: where a person stops reading.
pub(crate) const MOST_LISTED: usize = 40;

/// Names for a message: quoted, separated by commas, cut where a person stops reading.
fn listing(names: &[String]) -> String {
    listing_of(names, names.len())
}

/// The same where only the first names are at hand, out of `count`.
fn listing_of(names: &[String], count: usize) -> String {
    let listed = names.iter().take(MOST_LISTED);
    let text = listed
        .clone()
        .map(|name| format!("{name:?}"))
        .collect::<Vec<_>>()
        .join(", ");
    match count.saturating_sub(listed.len()) {
        0 => text,
        n_more => format!("{text} and {n_more} more"),
    }
}

/// How the kinds of corruption are written: `noise:S, … or drift:S`.
fn corruption_forms() -> String {
    let forms = Corruption::KINDS.map(|kind| kind.form);
    match forms.split_last() {
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// The layouts that a file without a header may have, with their numbers of columns.
fn expected_columns(features: &[String], label_required: bool) -> String {
    let count = features.len();
    let names = listing(features);
    if label_required {
        format!("{} columns ({names}, then the label)", count + 1)
    } else {
        format!(
            "{count} columns ({names}) or {} with the label last",
            count + 1
        )
    }
}
