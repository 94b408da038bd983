//! Tables of the user's own: their layout by flags or file, reading, writing.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use emma_data::{MissingValues, Table, TableConfig, TableFormat, TableWriter};

use crate::args::LayoutArgs;
use crate::failure::{CommandResult, Failure};
use crate::files::{self, AtomicFile, output_failure};

/// The layout that the options describe or name.
pub(crate) fn config(args: &LayoutArgs) -> CommandResult<TableConfig> {
    Ok(match &args.table {
        Some(path) => TableConfig::open(path)?,
        None => TableConfig::new(
            args.mode.clone(),
            args.label.clone(),
            args.nan.unwrap_or(MissingValues::Refuse),
        )?,
    })
}

/// The whole table in a file, or in standard input if that is `-`.
pub(crate) fn read(path: &Path, config: &TableConfig) -> CommandResult<Table> {
    Ok(if path.as_os_str() == "-" {
        Table::read(io::stdin(), "-", config)?
    } else {
        Table::open(path, config)?
    })
}

/// Begins a table in the format that the name of its file asks for.
pub(crate) fn writer<W: Write + Send>(
    path: &Path,
    features: &[impl AsRef<str>],
    label: Option<&str>,
    file: W,
) -> CommandResult<TableWriter<W>> {
    TableWriter::new(file, TableFormat::of(path), features, label).map_err(|error| {
        if error.kind() == io::ErrorKind::Unsupported {
            return Failure::input(format!("{}: {error}", path.display()));
        }
        output_failure(error)
    })
}

/// Writes a whole table that `config` describes.
pub(crate) fn write<W: Write + Send>(
    table: &Table,
    config: &TableConfig,
    path: &Path,
    file: W,
) -> CommandResult<W> {
    let mut writer = writer(path, &config.features(), config.label(), file)?;
    let mut row = Vec::new();
    for row_index in 0..table.n_rows() {
        table.copy_row(row_index, &mut row);
        let label = table.labels().map(|labels| labels[row_index]);
        writer.write_row(&row, label).map_err(output_failure)?;
    }
    writer.finish().map_err(output_failure)
}

/// Where the layout of a table stands that a command writes.
pub(crate) fn layout_beside(table: &Path) -> PathBuf {
    files::beside(table, "table.toml")
}

/// Writes the layout of a table beside it: a file that is still to be finished.
pub(crate) fn write_layout(config: &TableConfig, table: &Path) -> CommandResult<AtomicFile> {
    let mut file = AtomicFile::create(&layout_beside(table))?;
    file.write_all(config.to_toml().as_bytes())
        .map_err(output_failure)?;
    Ok(file)
}
