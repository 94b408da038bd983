//! The table to score.

use std::io;
use std::path::Path;

use emma_data::{Chunk, LabelColumn, MissingValues, TableReader};
use emma_models::ModelMetadata;

use crate::failure::{CommandResult, Failure};

/// Most rows read at once.
const MOST_ROWS: usize = 4096;
/// Most values read at once, so that rows of very many columns take no more memory.
const MOST_VALUES: usize = 1 << 20;

/// Rows of the columns that a model names, chunk by chunk.
pub(crate) struct Input {
    reader: TableReader<'static>,
    max_rows: usize,
}

impl Input {
    /// Opens the table in a file, or on standard input if that is `-`.
    pub(crate) fn open(
        path: &Path,
        model: &ModelMetadata,
        label: LabelColumn,
        missing: MissingValues,
        keeps_faulty_rows: bool,
    ) -> CommandResult<Self> {
        let columns: Vec<&String> = model.modes.iter().flat_map(|mode| &mode.columns).collect();
        let mut reader = if path.as_os_str() == "-" {
            TableReader::new(io::stdin(), "-", &columns, label, missing)?
        } else {
            TableReader::open(path, &columns, label, missing).map_err(|error| match error {
                emma_data::Error::Open { file, source } => Failure::input(format!(
                    "{file}: expected a table, it cannot be opened: {source}"
                )),
                error => error.into(),
            })?
        };
        if keeps_faulty_rows {
            reader.keep_faulty_rows();
        }
        Ok(Self {
            reader,
            max_rows: (MOST_VALUES / columns.len().max(1)).clamp(1, MOST_ROWS),
        })
    }

    /// Whether the table has the label that was asked for.
    pub(crate) fn has_labels(&self) -> bool {
        self.reader.has_labels()
    }

    /// From now on reads a single row at a time, for who wants to see each as it comes.
    pub(crate) fn read_row_by_row(&mut self) {
        self.max_rows = 1;
    }

    /// The name that errors call the table by.
    pub(crate) fn name(&self) -> &str {
        self.reader.file()
    }

    /// Reads the next rows; false if none is left. After an error the chunk holds the rows before it.
    pub(crate) fn read(&mut self, chunk: &mut Chunk) -> CommandResult<bool> {
        Ok(self.reader.next_chunk(self.max_rows, chunk)?)
    }
}
