//! Where scores go: CSV, plain or packed, or Parquet.

use std::io::{self, BufWriter, Write};
use std::path::Path;

#[cfg(feature = "parquet")]
use emma_data::ParquetColumnWriter;
use emma_data::{
    ColumnDescription, PackedWriter, Packing, TableFormat, append_csv_header, append_csv_rows,
};

use super::scorer::Rows;
use crate::failure::{CommandResult, Failure};
use crate::files::{AtomicFile, output_failure};

/// A file that appears when it is complete, or the standard output.
enum Target {
    File(AtomicFile),
    Standard(BufWriter<io::Stdout>),
}

impl Target {
    fn finish(self) -> CommandResult<()> {
        match self {
            Self::File(file) => Ok(file.finish()?),
            Self::Standard(mut output) => output.flush().map_err(output_failure),
        }
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Standard(output) => output.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            Self::Standard(output) => output.flush(),
        }
    }
}

/// The table of scores.
pub(crate) struct Output {
    sink: Sink,
}

enum Sink {
    Text {
        writer: Box<PackedWriter<Target>>,
        /// Rows of a slow input are to be seen when they are scored, some chunks after they came.
        eager: bool,
    },
    #[cfg(feature = "parquet")]
    Parquet(Box<ParquetColumnWriter<Target>>),
}

impl Output {
    /// Begins a table on the standard output, or in a file, in the format that its name asks for.
    pub(crate) fn create(
        path: Option<&Path>,
        columns: &[ColumnDescription],
    ) -> CommandResult<Self> {
        let format = path.map_or(TableFormat::Csv, TableFormat::of);
        let packing = path.map_or(Packing::None, Packing::of);
        if let Some(path) = path {
            let inner = path.file_stem().map(TableFormat::of);
            if packing != Packing::None && inner == Some(TableFormat::Parquet) {
                return Err(Failure::input(format!(
                    "{}: expected Parquet without a second suffix, since it is packed inside",
                    path.display()
                )));
            }
            if format == TableFormat::Parquet && cfg!(not(feature = "parquet")) {
                return Err(Failure::input(format!(
                    "{}: this build leaves Parquet out (feature `parquet`)",
                    path.display()
                )));
            }
        }
        let target = match path {
            Some(path) => Target::File(AtomicFile::create(path)?),
            None => Target::Standard(BufWriter::new(io::stdout())),
        };
        #[cfg(feature = "parquet")]
        if format == TableFormat::Parquet {
            let writer = ParquetColumnWriter::new(target, columns).map_err(output_failure)?;
            let sink = Sink::Parquet(Box::new(writer));
            return Ok(Self { sink });
        }
        let mut writer = PackedWriter::new(target, packing).map_err(output_failure)?;
        let mut text = Vec::new();
        append_csv_header(&mut text, columns);
        writer.write_all(&text).map_err(output_failure)?;
        let eager = path.is_none();
        let writer = Box::new(writer);
        let sink = Sink::Text { writer, eager };
        Ok(Self { sink })
    }

    /// Whether it takes text.
    pub(crate) fn is_text(&self) -> bool {
        matches!(self.sink, Sink::Text { .. })
    }

    /// Writes the next rows.
    pub(crate) fn write(&mut self, rows: Rows) -> CommandResult<()> {
        match (&mut self.sink, rows) {
            (Sink::Text { writer, eager }, rows) => {
                let text = match rows {
                    Rows::Text(text) => text,
                    Rows::Columns(columns) => {
                        let mut text = Vec::new();
                        append_csv_rows(&mut text, &columns);
                        text
                    }
                };
                writer.write_all(&text).map_err(output_failure)?;
                if *eager {
                    writer.flush().map_err(output_failure)?;
                }
                Ok(())
            }
            #[cfg(feature = "parquet")]
            (Sink::Parquet(writer), Rows::Columns(columns)) => {
                writer.write(columns).map_err(output_failure)
            }
            #[cfg(feature = "parquet")]
            (Sink::Parquet(_), Rows::Text(_)) => {
                Err(anyhow::anyhow!("expected columns for Parquet, got text").into())
            }
        }
    }

    /// Ends the rows that were written: those of a table whose reading failed have been seen on the standard output.
    pub(crate) fn flush(&mut self) -> CommandResult<()> {
        match &mut self.sink {
            Sink::Text { writer, .. } => writer.flush().map_err(output_failure),
            #[cfg(feature = "parquet")]
            Sink::Parquet(_) => Ok(()),
        }
    }

    /// Ends the table; a file gets its name.
    pub(crate) fn finish(self) -> CommandResult<()> {
        match self.sink {
            Sink::Text { writer, .. } => writer.finish().map_err(output_failure)?.finish(),
            #[cfg(feature = "parquet")]
            Sink::Parquet(writer) => writer.finish().map_err(output_failure)?.finish(),
        }
    }
}
