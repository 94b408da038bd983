//! What cannot be reported.

use thiserror::Error;

use crate::failure::Failure;
use crate::figures::FigureError;

/// A report that is described wrongly: a fault of the program, not of the data.
#[derive(Debug, Error)]
pub(crate) enum ReportError {
    #[error("expected {expected} cells in row {row} of the table {table:?}, got {got}")]
    Cells {
        table: String,
        row: usize,
        expected: usize,
        got: usize,
    },
    #[error(transparent)]
    Figure(#[from] FigureError),
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        Self::Failed(error.into())
    }
}
