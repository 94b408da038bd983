//! Rows that cannot be scored, with the reason.

use std::io::Write as _;
use std::path::Path;

use emma_data::{Chunk, PackedWriter, Packing, RowFault, TableFormat, append_csv_field};

use crate::failure::{CommandResult, Failure};
use crate::files::{AtomicFile, output_failure};

/// The rejected rows' columns.
const HEADER: &[u8] = b"row,line,reason,record\n";

/// A row of a chunk that cannot be scored.
pub(crate) type Reject = RowFault;

/// Appends lines for rejected rows of a chunk, in order.
///
/// `line` and `record`, the text of the row as it stands in the file, are empty for a file that has no lines.
pub(crate) fn append(text: &mut Vec<u8>, chunk: &Chunk, rejected: &[Reject]) {
    for reject in rejected {
        text.extend_from_slice(
            (chunk.first_row() + reject.row as u64)
                .to_string()
                .as_bytes(),
        );
        text.push(b',');
        if let Some(line) = chunk.lines().get(reject.row) {
            text.extend_from_slice(line.to_string().as_bytes());
        }
        text.push(b',');
        append_csv_field(text, reject.reason.as_bytes());
        text.push(b',');
        if let Some(record) = chunk.record(reject.row) {
            append_csv_field(text, record);
        }
        text.push(b'\n');
    }
}

/// The file of rejected rows.
pub(crate) struct Rejects {
    writer: PackedWriter<AtomicFile>,
}

impl Rejects {
    /// Begins a file, packed as its name asks for.
    pub(crate) fn create(path: &Path) -> CommandResult<Self> {
        if TableFormat::of(path) == TableFormat::Parquet {
            return Err(Failure::input(format!(
                "--rejects {}: expected a CSV file, since it holds the rows' own text",
                path.display()
            )));
        }
        let file = AtomicFile::create(path)?;
        let mut writer = PackedWriter::new(file, Packing::of(path)).map_err(output_failure)?;
        writer.write_all(HEADER).map_err(output_failure)?;
        Ok(Self { writer })
    }

    pub(crate) fn write(&mut self, lines: &[u8]) -> CommandResult<()> {
        self.writer.write_all(lines).map_err(output_failure)
    }

    /// Gives the file its name.
    pub(crate) fn finish(self) -> CommandResult<()> {
        Ok(self.writer.finish().map_err(output_failure)?.finish()?)
    }
}
