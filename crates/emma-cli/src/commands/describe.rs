//! `emma data describe`: what a table holds.

use std::fmt::Write as _;

use emma_data::{Empirical, Table, TableConfig};
use serde::Serialize;

use crate::args::DescribeArgs;
use crate::failure::CommandResult;
use crate::text::{align, number, thousands};
use crate::{files, tables};

/// Quantiles that are shown, the ends among them.
const QUANTILES: [f64; 7] = [0., 0.05, 0.25, 0.5, 0.75, 0.95, 1.];

/// All that is said; printed as it is by `--json`.
#[derive(Debug, Serialize)]
struct Description {
    data: String,
    rows: usize,
    /// None if no label is read.
    label: Option<Label>,
    modes: Vec<Mode>,
}

#[derive(Debug, Serialize)]
struct Label {
    column: String,
    /// Rows of class 0 and of class 1.
    rows: [usize; 2],
}

#[derive(Debug, Serialize)]
struct Mode {
    name: String,
    /// Rows in which a value of the mode is missing.
    incomplete_rows: usize,
    columns: Vec<Column>,
}

#[derive(Debug, Serialize)]
struct Column {
    name: String,
    missing: usize,
    /// Of the values that are there; empty if there is none.
    quantiles: Vec<Quantile>,
}

#[derive(Debug, Serialize)]
struct Quantile {
    p: f64,
    value: f64,
}

pub(crate) fn run(args: &DescribeArgs) -> CommandResult<()> {
    let config = tables::config(&args.layout)?;
    let table = tables::read(&args.layout.data, &config)?;
    let description = Description::of(args.layout.data.display().to_string(), &config, &table)?;
    if args.json {
        return files::print_json(&description);
    }
    files::print(&description.text())
}

impl Description {
    fn of(data: String, config: &TableConfig, table: &Table) -> CommandResult<Self> {
        let label = config.label().zip(table.labels()).map(|(column, labels)| {
            let n_positive = labels.iter().map(|&label| usize::from(label)).sum();
            Label {
                column: column.to_owned(),
                rows: [labels.len() - n_positive, n_positive],
            }
        });
        let incomplete = table.incomplete();
        let modes = table.modes().iter().zip(incomplete.columns());
        let modes = modes
            .map(|(mode, incomplete)| {
                let columns = mode.columns.iter().zip(mode.values.columns());
                Ok(Mode {
                    name: mode.name.clone(),
                    incomplete_rows: incomplete.iter().filter(|&&incomplete| incomplete).count(),
                    columns: columns
                        .map(|(name, values)| Column::of(name, values.iter().copied()))
                        .collect::<CommandResult<_>>()?,
                })
            })
            .collect::<CommandResult<_>>()?;
        Ok(Self {
            data,
            rows: table.n_rows(),
            label,
            modes,
        })
    }

    fn text(&self) -> String {
        let mut text = format!("{}: {} rows", self.data, thousands(self.rows));
        if let Some(Label { column, rows }) = &self.label {
            let [negative, positive] = rows.map(thousands);
            let _ = write!(
                text,
                "; {column}: {negative} of class 0, {positive} of class 1"
            );
        }
        text.push('\n');
        for mode in &self.modes {
            let _ = writeln!(
                text,
                "\nMode {}; columns: {}; rows with missing values: {}\n",
                mode.name,
                thousands(mode.columns.len()),
                thousands(mode.incomplete_rows)
            );
            let mut header = vec![
                "column".to_owned(),
                "missing".to_owned(),
                "lowest".to_owned(),
            ];
            let inner = &QUANTILES[1..QUANTILES.len() - 1];
            header.extend(inner.iter().map(|p| format!("{} %", 100. * p)));
            header.push("highest".to_owned());
            let mut rows = vec![header];
            for column in &mode.columns {
                let mut row = vec![column.name.clone(), thousands(column.missing)];
                row.extend(
                    column
                        .quantiles
                        .iter()
                        .map(|quantile| number(quantile.value)),
                );
                rows.push(row);
            }
            align(&mut text, &rows);
        }
        text
    }
}

impl Column {
    fn of(name: &str, values: impl Iterator<Item = f32> + Clone) -> CommandResult<Self> {
        let missing = values.clone().filter(|value| value.is_nan()).count();
        let mut present = values.filter(|value| !value.is_nan()).peekable();
        let quantiles = if present.peek().is_none() {
            Vec::new()
        } else {
            let distribution = Empirical::new(name, present)?;
            let quantile = |p| Quantile {
                p,
                value: distribution.quantile(p),
            };
            QUANTILES.map(quantile).into()
        };
        Ok(Self {
            name: name.to_owned(),
            missing,
            quantiles,
        })
    }
}
