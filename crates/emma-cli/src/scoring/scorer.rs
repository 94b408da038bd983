//! From a chunk of rows to what is written of it.

use emma_data::{Chunk, ColumnValues, append_csv_rows};
use emma_models::{MissingModes, TrainedModel};

use super::layout::Layout;
use super::rejects::{self, Reject};
use crate::failure::{CommandResult, Failure};

/// What is written of a chunk of rows.
pub(crate) struct Scored {
    pub(crate) rows: Rows,
    /// Rows among them.
    pub(crate) n_kept: u64,
    /// Lines of rejected rows.
    pub(crate) rejected: Vec<u8>,
    pub(crate) n_rejected: u64,
    /// Why nothing comes after these rows.
    pub(crate) failure: Option<Failure>,
}

/// Rows on their way to the output.
pub(crate) enum Rows {
    /// Lines of comma-separated text.
    Text(Vec<u8>),
    Columns(Vec<ColumnValues>),
}

/// How what is made of a chunk is written.
pub(crate) struct Writing<'a> {
    /// Whether rows that cannot be scored are put aside; if not, the first ends it all.
    pub(crate) rejects: bool,
    /// Whether the rows become text.
    pub(crate) text: bool,
    /// The table's name.
    pub(crate) file: &'a str,
}

/// Scores chunks of rows, each for itself, on any thread.
pub(crate) struct Scorer<'a> {
    pub(crate) model: &'a TrainedModel,
    pub(crate) layout: &'a Layout,
    pub(crate) missing: MissingModes,
    pub(crate) writing: Writing<'a>,
}

impl Scorer<'_> {
    pub(crate) fn score(&self, chunk: &Chunk) -> CommandResult<Scored> {
        let scores = self.model.score_rows(chunk.values(), self.missing)?;
        let faults = scores.faults.iter().map(|fault| Reject {
            row: fault.row,
            reason: fault.message.clone(),
        });
        let values = |kept: &[usize]| self.layout.values(chunk.first_row(), &scores, kept);
        self.writing.written(chunk, faults, values)
    }
}

impl Writing<'_> {
    /// What is written of a chunk: the values of the rows that have no fault.
    pub(super) fn written(
        &self,
        chunk: &Chunk,
        found: impl Iterator<Item = Reject>,
        values: impl Fn(&[usize]) -> CommandResult<Vec<ColumnValues>>,
    ) -> CommandResult<Scored> {
        // What breaks the table's rules has no features either: the reader's reason is the better one.
        let mut faults: Vec<Reject> = chunk.faults().to_vec();
        faults.extend(found);
        faults.sort_by_key(|fault| fault.row);
        faults.dedup_by_key(|fault| fault.row);

        let mut failure = None;
        let mut n_rows = chunk.n_rows();
        if let (Some(first), false) = (faults.first(), self.rejects) {
            let place = chunk.place(first.row);
            failure = Some(Failure::input(format!(
                "{}: {place}: {}",
                self.file, first.reason
            )));
            n_rows = first.row;
            faults.clear();
        }
        let mut next_fault = faults.iter().map(|fault| fault.row).peekable();
        let kept: Vec<usize> = (0..n_rows)
            .filter(|row| next_fault.next_if_eq(row).is_none())
            .collect();
        let columns = values(&kept)?;
        let mut rejected = Vec::new();
        rejects::append(&mut rejected, chunk, &faults);
        let rows = if self.text {
            let mut text = Vec::with_capacity(kept.len() * columns.len() * 12);
            append_csv_rows(&mut text, &columns);
            Rows::Text(text)
        } else {
            Rows::Columns(columns)
        };
        Ok(Scored {
            rows,
            n_kept: kept.len() as u64,
            rejected,
            n_rejected: faults.len() as u64,
            failure,
        })
    }
}
