//! The rows of a table as they are, cut into modes.

use std::io::Read;
use std::path::Path;

use ndarray::Array2;

use crate::error::Result;
use crate::feature_reader::LabelColumn;
use crate::samples::{ModeSamples, read_modes};
use crate::table_config::TableConfig;
use crate::table_reader::TableReader;

/// The rows of a table, cut into modes as a [`TableConfig`] says.
///
/// Unlike [`Samples`](crate::Samples), which models learn from, a table may be without labels and, if its
/// configuration says so, without some values: their cells are NaN.
///
/// # Memory
/// That of the numbers: 4 bytes a value and one a label. While it is read, up to three times as much.
///
/// ```
/// use emma_data::{MissingValues, ModeColumns, Table, TableConfig};
///
/// let modes = vec![ModeColumns::new("scale", ["weight"]), ModeColumns::new("camera", ["red"])];
/// let config = TableConfig::new(modes, None, MissingValues::AsNan)?;
/// let table = Table::read("red,name,weight\n0.5,a,\n0.25,b,3\n".as_bytes(), "stones.csv", &config)?;
/// assert_eq!(table.modes()[1].values[[1, 0]], 0.25);
/// assert!(table.modes()[0].values[[0, 0]].is_nan());
/// assert_eq!(table.labels(), None);
/// # Ok::<(), emma_data::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Table {
    pub(crate) modes: Vec<ModeSamples>,
    pub(crate) labels: Option<Vec<u8>>,
}

impl Table {
    /// Reads the table in a file, text or Parquet, whose label must be there if `config` names one.
    ///
    /// # Errors
    /// Those of [`TableReader::open`] and [`TableReader::read_all`], so at least one row is needed.
    pub fn open(path: impl AsRef<Path>, config: &TableConfig) -> Result<Self> {
        let (label, missing) = (label_of(config), config.missing());
        let reader = TableReader::open(path, &config.features(), label, missing)?;
        Self::read_rows(reader, config)
    }

    /// Reads the table that a source gives; `file` is its name in errors.
    ///
    /// # Errors
    /// Those of [`TableReader::new`] and [`TableReader::read_all`].
    pub fn read(
        source: impl Read + Send,
        file: impl Into<String>,
        config: &TableConfig,
    ) -> Result<Self> {
        let (label, missing) = (label_of(config), config.missing());
        let reader = TableReader::new(source, file, &config.features(), label, missing)?;
        Self::read_rows(reader, config)
    }

    fn read_rows(mut reader: TableReader<'_>, config: &TableConfig) -> Result<Self> {
        let (modes, labels) = read_modes(&mut reader, config.modes(), 0)?;
        let table = Self { modes, labels };
        if table.n_rows() == 0 {
            return Err(reader.no_rows());
        }
        Ok(table)
    }

    /// The modes, in order; NaN where a value is missing.
    pub fn modes(&self) -> &[ModeSamples] {
        &self.modes
    }

    /// The labels, 0 or 1, `[rows]`, if the configuration names a label.
    pub fn labels(&self) -> Option<&[u8]> {
        self.labels.as_deref()
    }

    /// Number of rows, at least 1.
    pub fn n_rows(&self) -> usize {
        self.modes.first().map_or(0, |mode| mode.values.nrows())
    }

    /// The values of one row, mode after mode, in place of what `row` holds; none beyond the last row.
    pub fn copy_row(&self, row_index: usize, row: &mut Vec<f32>) {
        row.clear();
        for mode in &self.modes {
            if row_index < mode.values.nrows() {
                row.extend(mode.values.row(row_index));
            }
        }
    }

    /// Which modes of which rows lack a value, `[rows, modes]`.
    pub fn incomplete(&self) -> Array2<bool> {
        self.modes_where(|n_missing, _| n_missing > 0)
    }

    /// Which modes of which rows lack every value, `[rows, modes]`.
    pub(crate) fn absent(&self) -> Array2<bool> {
        self.modes_where(|n_missing, n_columns| n_missing == n_columns)
    }

    /// Which modes of which rows have such a number of missing values out of all.
    fn modes_where(&self, holds: impl Fn(usize, usize) -> bool) -> Array2<bool> {
        let mut flags = Array2::from_elem((self.n_rows(), self.modes.len()), false);
        for (mode, mut flags) in self.modes.iter().zip(flags.columns_mut()) {
            for (flag, row) in flags.iter_mut().zip(mode.values.rows()) {
                let n_missing = row.iter().filter(|value| value.is_nan()).count();
                *flag = holds(n_missing, row.len());
            }
        }
        flags
    }
}

fn label_of(config: &TableConfig) -> LabelColumn {
    match config.label() {
        Some(label) => LabelColumn::Required(label.to_owned()),
        None => LabelColumn::None,
    }
}
