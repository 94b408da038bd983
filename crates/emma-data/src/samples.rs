//! Labelled rows, split into modes.

use std::io::Read;
use std::path::Path;

use ndarray::{Array2, Axis, ShapeError};

use crate::error::{Error, Result};
use crate::feature_reader::{Chunk, LabelColumn};
use crate::missing_values::MissingValues;
use crate::table_reader::TableReader;

/// Rows parsed at a time.
const ROWS_PER_CHUNK: usize = 1024;

/// Which columns of a table make up one mode, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModeColumns {
    /// Name of the mode: lowercase letters, digits and underscores.
    pub name: String,
    /// Names of its columns, at least one.
    pub columns: Vec<String>,
}

impl ModeColumns {
    /// The mode `name` made of `columns`.
    pub fn new<S: Into<String>>(
        name: impl Into<String>,
        columns: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            name: name.into(),
            columns: columns.into_iter().map(Into::into).collect(),
        }
    }
}

/// One mode's values for every row.
#[derive(Debug, Clone, PartialEq)]
pub struct ModeSamples {
    /// Name of the mode: lowercase letters, digits and underscores.
    pub name: String,
    /// Names of its columns.
    pub columns: Vec<String>,
    /// Values, `[rows, columns]`, in the units of the table.
    pub values: Array2<f32>,
}

/// Labelled rows of every mode: what a model is trained and evaluated on.
///
/// Made only by [`Samples::new`] and [`Samples::read`], so whoever holds one knows that all modes have
/// the same rows, that every value is finite and that every label is 0 or 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    modes: Vec<ModeSamples>,
    labels: Vec<u8>,
}

impl Samples {
    /// Samples from modes and labels already in memory.
    ///
    /// # Shapes
    /// - `modes[m].values`: `[rows, columns of m]`
    /// - `labels`: `[rows]`
    ///
    /// # Errors
    /// [`Error::NoModes`], [`Error::ModeName`], [`Error::DuplicateMode`], [`Error::NoModeColumns`],
    /// [`Error::DuplicateModeColumn`], [`Error::ModeColumnCount`], [`Error::ModeRowCount`],
    /// [`Error::NonFiniteValue`] and [`Error::LabelValue`], each naming the first thing of its kind.
    /// No row at all is fine.
    pub fn new(modes: Vec<ModeSamples>, labels: Vec<u8>) -> Result<Self> {
        check_names(&modes.iter().map(|mode| (&*mode.name, &*mode.columns)))?;
        for mode in &modes {
            if mode.values.ncols() != mode.columns.len() {
                return Err(Error::ModeColumnCount {
                    mode: mode.name.clone(),
                    expected: mode.columns.len(),
                    found: mode.values.ncols(),
                });
            }
            if mode.values.nrows() != labels.len() {
                return Err(Error::ModeRowCount {
                    mode: mode.name.clone(),
                    expected: labels.len(),
                    found: mode.values.nrows(),
                });
            }
            for (row, values) in mode.values.outer_iter().enumerate() {
                for (column, &found) in mode.columns.iter().zip(values) {
                    if !found.is_finite() {
                        return Err(Error::NonFiniteValue {
                            mode: mode.name.clone(),
                            row,
                            column: column.clone(),
                            found,
                        });
                    }
                }
            }
        }
        check_labels(&labels)?;
        Ok(Self { modes, labels })
    }

    /// Reads a whole labelled table; `file` is its name in errors.
    ///
    /// The table is text, plain or packed with gzip or zstd, and follows the rules of [`FeatureReader`](crate::FeatureReader), with the columns of all modes, in order, as
    /// needed columns and `label` required. Memory grows with the table.
    ///
    /// # Errors
    /// Those of [`TableReader::new`] and [`TableReader::read_all`], so at least one row is needed;
    /// and those of [`Samples::new`] about names.
    pub fn read<R: Read + Send>(
        source: R,
        file: impl Into<String>,
        modes: &[ModeColumns],
        label: &str,
    ) -> Result<Self> {
        let features = feature_names(modes)?;
        let label = LabelColumn::Required(label.to_owned());
        let reader = TableReader::new(source, file, &features, label, MissingValues::Refuse)?;
        Self::read_rows(reader, modes, 0)
    }

    /// Reads a labelled table in a file: as [`Samples::read`], and Parquet too.
    ///
    /// # Errors
    /// Those of [`TableReader::open`] and [`Samples::read`].
    pub fn open(path: impl AsRef<Path>, modes: &[ModeColumns], label: &str) -> Result<Self> {
        let features = feature_names(modes)?;
        let label = LabelColumn::Required(label.to_owned());
        let reader = TableReader::open(path, &features, label, MissingValues::Refuse)?;
        Self::read_rows(reader, modes, 0)
    }

    /// Reads the rest of a table, opened for the [`feature_names`] of `modes` and a required label, that
    /// has `n_rows` rows, as [`count_rows`] found.
    pub(crate) fn read_rows(
        mut reader: TableReader<'_>,
        modes: &[ModeColumns],
        n_rows: usize,
    ) -> Result<Self> {
        let (modes, labels) = read_modes(&mut reader, modes, n_rows)?;
        if modes.first().is_none_or(|mode| mode.values.is_empty()) {
            return Err(reader.no_rows());
        }
        Self::new(modes, labels.unwrap_or_default())
    }

    /// The modes, in order.
    pub fn modes(&self) -> &[ModeSamples] {
        &self.modes
    }

    /// The mode named `name`, if there is one.
    pub fn mode(&self, name: &str) -> Option<&ModeSamples> {
        self.modes.iter().find(|mode| mode.name == name)
    }

    /// The labels, 0 or 1, `[rows]`.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.labels.len()
    }

    /// Number of modes, at least 1.
    pub fn n_modes(&self) -> usize {
        self.modes.len()
    }

    /// The given rows, in the given order; a row may come more than once.
    ///
    /// # Errors
    /// [`Error::RowOutOfRange`] for the first row that does not exist.
    pub fn select(&self, rows: &[usize]) -> Result<Self> {
        let n_rows = self.n_rows();
        if let Some(&row) = rows.iter().find(|&&row| row >= n_rows) {
            return Err(Error::RowOutOfRange { row, n_rows });
        }
        let modes = self
            .modes
            .iter()
            .map(|mode| ModeSamples {
                name: mode.name.clone(),
                columns: mode.columns.clone(),
                values: mode.values.select(Axis(0), rows),
            })
            .collect();
        let labels = rows.iter().map(|&row| self.labels[row]).collect();
        Ok(Self { modes, labels })
    }
}

/// The rest of a table, opened for the [`feature_names`] of `modes`, cut into modes, and its labels if it
/// has them; memory is set aside for `n_rows` rows.
pub(crate) fn read_modes(
    reader: &mut TableReader<'_>,
    modes: &[ModeColumns],
    n_rows: usize,
) -> Result<(Vec<ModeSamples>, Option<Vec<u8>>)> {
    let mut values: Vec<Vec<f32>> = modes
        .iter()
        .map(|mode| Vec::with_capacity(n_rows * mode.columns.len()))
        .collect();
    let mut labels = Vec::with_capacity(n_rows);
    let mut n_rows = 0;
    let mut chunk = Chunk::new();
    while reader.next_chunk(ROWS_PER_CHUNK, &mut chunk)? {
        n_rows += chunk.n_rows();
        labels.extend_from_slice(chunk.labels().unwrap_or_default());
        let mut first_column = 0;
        for (mode, values) in modes.iter().zip(&mut values) {
            let columns = first_column..first_column + mode.columns.len();
            first_column = columns.end;
            chunk.append_columns(columns, values)?;
        }
    }
    let mode_samples = modes
        .iter()
        .zip(values)
        .map(|(mode, values)| {
            let found = values.len();
            let values = Array2::from_shape_vec((n_rows, mode.columns.len()), values).map_err(
                |_: ShapeError| Error::ModeRowCount {
                    mode: mode.name.clone(),
                    expected: n_rows,
                    found: found / mode.columns.len(),
                },
            )?;
            Ok(ModeSamples {
                name: mode.name.clone(),
                columns: mode.columns.clone(),
                values,
            })
        })
        .collect::<Result<_>>()?;
    Ok((mode_samples, reader.has_labels().then_some(labels)))
}

/// Reads a table through without keeping it: how many rows it has, or what is wrong with it.
///
/// Whoever counts first needs no more memory for a bad table than one chunk, and none too much for a
/// good one.
pub(crate) fn count_rows(mut reader: TableReader<'_>) -> Result<usize> {
    let mut n_rows = 0;
    let mut chunk = Chunk::new();
    while reader.next_chunk(ROWS_PER_CHUNK, &mut chunk)? {
        n_rows += chunk.n_rows();
    }
    Ok(n_rows)
}

/// The columns of all modes, in order, as a reader is asked for them.
pub(crate) fn feature_names(modes: &[ModeColumns]) -> Result<Vec<&str>> {
    check_names(&modes.iter().map(|mode| (&*mode.name, &*mode.columns)))?;
    Ok(modes
        .iter()
        .flat_map(|mode| mode.columns.iter().map(String::as_str))
        .collect())
}

/// Refuses labels other than 0 and 1, so that code behind it may index by class.
pub(crate) fn check_labels(labels: &[u8]) -> Result<()> {
    match labels.iter().position(|&label| label > 1) {
        Some(row) => Err(Error::LabelValue {
            row,
            found: labels[row],
        }),
        None => Ok(()),
    }
}

/// Refuses names that a model file could not hold or tell apart.
fn check_names<'a>(
    modes: &(impl ExactSizeIterator<Item = (&'a str, &'a [String])> + Clone),
) -> Result<()> {
    if modes.len() == 0 {
        return Err(Error::NoModes);
    }
    for (mode_index, (mode, columns)) in modes.clone().enumerate() {
        check_mode_name(mode)?;
        if modes
            .clone()
            .take(mode_index)
            .any(|(other, _)| other == mode)
        {
            return Err(Error::DuplicateMode {
                mode: mode.to_owned(),
            });
        }
        if columns.is_empty() {
            return Err(Error::NoModeColumns {
                mode: mode.to_owned(),
            });
        }
        if let Some(column) = first_repeated(columns) {
            return Err(Error::DuplicateModeColumn {
                mode: mode.to_owned(),
                column: column.to_owned(),
            });
        }
    }
    Ok(())
}

/// Whether a mode may be called that: lowercase letters, digits and underscores.
pub(crate) fn is_mode_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    !name.is_empty() && name.bytes().all(allowed)
}

/// Refuses a name that could not become part of a tensor's name.
pub(crate) fn check_mode_name(mode: &str) -> Result<()> {
    if is_mode_name(mode) {
        return Ok(());
    }
    Err(Error::ModeName {
        mode: mode.to_owned(),
    })
}

/// The first name that was seen before, if any.
pub(crate) fn first_repeated(names: &[String]) -> Option<&str> {
    let mut seen = std::collections::HashSet::new();
    names
        .iter()
        .map(String::as_str)
        .find(|&name| !seen.insert(name))
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::{ModeColumns, ModeSamples, Samples};

    fn mode(name: &str, columns: &[&str], values: Array2<f32>) -> ModeSamples {
        ModeSamples {
            name: name.to_owned(),
            columns: columns.iter().map(|&column| column.to_owned()).collect(),
            values,
        }
    }

    fn samples() -> Samples {
        Samples::new(
            vec![
                mode("a", &["x"], array![[1.0], [2.0], [3.0]]),
                mode("b", &["y", "z"], array![[4.0, 5.0], [6.0, 7.0], [8.0, 9.0]]),
            ],
            vec![0, 1, 0],
        )
        .unwrap()
    }

    #[test]
    fn selection_keeps_order_and_repeats() {
        let selected = samples().select(&[2, 0, 2]).unwrap();
        assert_eq!(selected.labels(), [0, 0, 0]);
        assert_eq!(
            selected.mode("b").unwrap().values,
            array![[8.0, 9.0], [4.0, 5.0], [8.0, 9.0]]
        );
        assert_eq!((selected.n_rows(), selected.n_modes()), (3, 2));
        assert_eq!(samples().select(&[]).unwrap().n_rows(), 0);
        assert_eq!(
            samples().select(&[0, 3]).unwrap_err().to_string(),
            "expected rows below 3, found 3"
        );
    }

    #[test]
    fn a_table_is_cut_into_modes() {
        let modes = [
            ModeColumns::new("a", ["x"]),
            ModeColumns::new("b", ["y", "z"]),
        ];
        let table = "label,z,y,x\n0,5,4,1\n1,7,6,2\n0,9,8,3\n";
        let read = Samples::read(table.as_bytes(), "t.csv", &modes, "label").unwrap();
        assert_eq!(read, samples());
        let table = "1,4,5,0\n2,6,7,1\n3,8,9,0\n";
        let read = Samples::read(table.as_bytes(), "t.csv", &modes, "label").unwrap();
        assert_eq!(read, samples());
    }

    #[test]
    fn a_table_without_rows_is_refused() {
        let modes = [ModeColumns::new("a", ["x"])];
        let error = |table: &str| {
            Samples::read(table.as_bytes(), "t.csv", &modes, "label")
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            error("\nx,label\n\n"),
            "t.csv: line 2: expected at least one row after the header, found none"
        );
        assert_eq!(
            error("\n"),
            r#"t.csv: expected a table with the columns "x", found an empty file"#
        );
    }

    #[test]
    fn names_that_a_model_file_could_not_hold_are_refused() {
        let error = |modes: Vec<ModeSamples>| {
            let error = Samples::new(modes.clone(), vec![0])
                .unwrap_err()
                .to_string();
            let columns: Vec<ModeColumns> = modes
                .into_iter()
                .map(|mode| ModeColumns::new(mode.name, mode.columns))
                .collect();
            let read_error =
                Samples::read(&b"1,2,0\n"[..], "t.csv", &columns, "label").unwrap_err();
            assert_eq!(read_error.to_string(), error);
            error
        };
        assert_eq!(error(vec![]), "expected at least one mode, found none");
        for name in ["", "Ip", "a.b", "é", "a b"] {
            assert_eq!(
                error(vec![mode(name, &["x"], array![[1.0]])]),
                format!(
                    "expected a mode name of lowercase letters, digits and underscores, found {name:?}"
                )
            );
        }
        let twice = vec![
            mode("a", &["x"], array![[1.0]]),
            mode("a", &["y"], array![[1.0]]),
        ];
        assert_eq!(
            error(twice),
            r#"expected different mode names, found "a" twice"#
        );
        assert_eq!(
            error(vec![mode("a", &[], Array2::zeros((1, 0)))]),
            r#"mode "a": expected at least one column, found none"#
        );
        assert_eq!(
            error(vec![mode("a", &["x", "x"], array![[1.0, 2.0]])]),
            r#"mode "a": expected different column names, found "x" twice"#
        );
    }

    #[test]
    fn values_that_do_not_belong_together_are_refused() {
        let error = |values, labels| {
            Samples::new(vec![mode("a", &["x"], values)], labels)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            error(array![[1.0, 2.0]], vec![0]),
            r#"mode "a": expected values in 1 columns, one per name, found 2"#
        );
        assert_eq!(
            error(array![[1.0]], vec![0, 1]),
            r#"mode "a": expected 2 rows, one per label, found 1"#
        );
        assert_eq!(
            error(array![[1.0], [f32::INFINITY]], vec![0, 1]),
            r#"mode "a": row 1: expected a finite number in column "x", found inf"#
        );
        assert_eq!(
            error(array![[1.0], [2.0]], vec![0, 3]),
            "row 1: expected the label 0 or 1, found 3"
        );
    }
}
