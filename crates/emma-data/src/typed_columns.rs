//! Columns of numbers and text side by side, to write.

use crate::number_text::{append_float, append_integer};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// 64-bit integers.
    Int64,
    /// 32-bit integers.
    Int32,
    /// 32-bit floats; NaN is no value.
    Float32,
    /// Text; an empty one is a value.
    Text,
}

/// A column to write: its name, what it holds, and whether a value may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnDescription {
    /// Its name, at the head of the table.
    pub name: String,
    /// What it holds.
    pub kind: ColumnKind,
    /// Whether values may be missing, which floats alone can be.
    pub optional: bool,
}

impl ColumnDescription {
    /// A column with a value in every row.
    pub fn required(name: impl Into<String>, kind: ColumnKind) -> Self {
        Self {
            name: name.into(),
            kind,
            optional: false,
        }
    }

    /// A column of floats of which some may be missing.
    pub fn optional_float(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind: ColumnKind::Float32,
            optional: true,
        }
    }
}

/// Values of a column, one a row.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnValues {
    /// 64-bit integers.
    Int64(Vec<i64>),
    /// 32-bit integers.
    Int32(Vec<i32>),
    /// 32-bit floats; NaN is no value.
    Float32(Vec<f32>),
    /// Text.
    Text(Vec<String>),
}

impl ColumnValues {
    /// No values of a kind.
    pub fn new(kind: ColumnKind) -> Self {
        match kind {
            ColumnKind::Int64 => Self::Int64(Vec::new()),
            ColumnKind::Int32 => Self::Int32(Vec::new()),
            ColumnKind::Float32 => Self::Float32(Vec::new()),
            ColumnKind::Text => Self::Text(Vec::new()),
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Int64(values) => values.len(),
            Self::Int32(values) => values.len(),
            Self::Float32(values) => values.len(),
            Self::Text(values) => values.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds the values of some rows of another column of the same kind; of another kind, none.
    pub fn append_rows(&mut self, other: &Self, rows: &[usize]) {
        match (self, other) {
            (Self::Int64(values), Self::Int64(others)) => {
                values.extend(rows.iter().map(|&row| others[row]));
            }
            (Self::Int32(values), Self::Int32(others)) => {
                values.extend(rows.iter().map(|&row| others[row]));
            }
            (Self::Float32(values), Self::Float32(others)) => {
                values.extend(rows.iter().map(|&row| others[row]));
            }
            (Self::Text(values), Self::Text(others)) => {
                values.extend(rows.iter().map(|&row| others[row].clone()));
            }
            _ => {}
        }
    }

    fn append_csv(&self, row: usize, text: &mut Vec<u8>) {
        match self {
            Self::Int64(values) => append_integer(text, values[row]),
            Self::Int32(values) => append_integer(text, values[row].into()),
            Self::Float32(values) if values[row].is_nan() => {}
            Self::Float32(values) => append_float(text, values[row]),
            Self::Text(values) => append_csv_field(text, values[row].as_bytes()),
        }
    }
}

/// Appends text as a field of comma-separated text: quoted where it needs it, all other bytes as they are.
pub fn append_csv_field(text: &mut Vec<u8>, field: &[u8]) {
    let is_plain = !field
        .iter()
        .any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r'));
    if is_plain && !field.is_empty() {
        text.extend_from_slice(field);
        return;
    }
    text.push(b'"');
    for &byte in field {
        if byte == b'"' {
            text.push(b'"');
        }
        text.push(byte);
    }
    text.push(b'"');
}

/// Appends the header of a comma-separated table.
pub fn append_csv_header(text: &mut Vec<u8>, columns: &[ColumnDescription]) {
    for (position, column) in columns.iter().enumerate() {
        if position > 0 {
            text.push(b',');
        }
        append_csv_field(text, column.name.as_bytes());
    }
    text.push(b'\n');
}

/// Appends the rows of some columns as comma-separated text, which lines end in LF.
///
/// Floats have the fewest digits that read back the same, without an exponent; a missing one is an empty field.
/// Text is quoted where it holds a comma, a quote or a line end.
///
/// # Shapes
/// - `columns`: all of as many rows as the shortest of them, further ones being left out
pub fn append_csv_rows(text: &mut Vec<u8>, columns: &[ColumnValues]) {
    let n_rows = columns.iter().map(ColumnValues::len).min().unwrap_or(0);
    for row in 0..n_rows {
        for (position, column) in columns.iter().enumerate() {
            if position > 0 {
                text.push(b',');
            }
            column.append_csv(row, text);
        }
        text.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_become_lines_of_fields() {
        let columns = [
            ColumnDescription::required("row", ColumnKind::Int64),
            ColumnDescription::required("label", ColumnKind::Int32),
            ColumnDescription::optional_float("a, b"),
            ColumnDescription::required("why", ColumnKind::Text),
        ];
        let values = [
            ColumnValues::Int64(vec![0, i64::MAX]),
            ColumnValues::Int32(vec![1, 0]),
            ColumnValues::Float32(vec![f32::NAN, 1e-7]),
            ColumnValues::Text(vec!["say \"so\"".into(), String::new()]),
        ];
        let mut text = Vec::new();
        append_csv_header(&mut text, &columns);
        append_csv_rows(&mut text, &values);
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "row,label,\"a, b\",why\n0,1,,\"say \"\"so\"\"\"\n9223372036854775807,0,0.0000001,\"\"\n"
        );
    }
}
