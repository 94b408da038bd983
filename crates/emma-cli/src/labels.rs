//! What is to be predicted, as tables have it.

use std::path::Path;

use emma_data::{MissingValues, ModeColumns, Table, TableConfig};
use ndarray::Array2;

use crate::failure::CommandResult;

/// The class that a label of a plain binary task stands for: 0 or 1, however it is written, or a boolean.
pub(crate) fn plain_class(label: &str) -> Option<u32> {
    match label {
        "false" => Some(0),
        "true" => Some(1),
        // Programs that know only one kind of number write labels as 1.0.
        _ => {
            let number: f64 = label.parse().ok()?;
            (0..2).find(|&class| (f64::from(class) - number).abs() < f64::EPSILON)
        }
    }
}

/// Modes and a number to predict, read together, so that a table without a header has the target last.
pub(crate) struct TableWithTarget {
    /// `[rows, columns]`, one a mode.
    pub(crate) modes: Vec<Array2<f32>>,
    /// One a row; NaN where it is missing.
    pub(crate) target: Vec<f32>,
    /// Whether a row lacks a value, the target included.
    pub(crate) is_incomplete: Vec<bool>,
}

impl TableWithTarget {
    pub(crate) fn open(
        path: &Path,
        modes: &[ModeColumns],
        target: &str,
        missing: MissingValues,
    ) -> CommandResult<Self> {
        // A mode of its own, under a name that no other has.
        let mut name = "target".to_owned();
        while modes.iter().any(|mode| mode.name == name) {
            name.push('_');
        }
        let mut modes = modes.to_vec();
        modes.push(ModeColumns::new(name, [target]));
        let table = Table::open(path, &TableConfig::new(modes, None, missing)?)?;
        let is_incomplete = is_incomplete(&table);
        let mut modes = values(&table);
        let target = modes.pop().map(|target| target.iter().copied().collect());
        Ok(Self {
            modes,
            target: target.unwrap_or_default(),
            is_incomplete,
        })
    }
}

/// The modes' values, `[rows, columns]` each.
pub(crate) fn values(table: &Table) -> Vec<Array2<f32>> {
    let modes = table.modes().iter();
    modes.map(|mode| mode.values.clone()).collect()
}

/// Whether each row lacks a value.
pub(crate) fn is_incomplete(table: &Table) -> Vec<bool> {
    let incomplete = table.incomplete();
    let rows = incomplete.rows().into_iter();
    rows.map(|row| row.iter().any(|&flag| flag)).collect()
}
