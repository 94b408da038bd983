//! Where a row of a table stands.

use std::fmt;

/// Where a row of a table stands: what a person looks up to find it.
///
/// Printed as `line 3` or `row 2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// In text: the line where the row starts, from 1.
    Line(u64),
    /// In a file without lines, such as Parquet: the data row, from 0.
    Row(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Row(row) => write!(f, "row {row}"),
        }
    }
}
