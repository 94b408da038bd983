//! How alike two tables with HTRU2's columns are.

mod discriminator;
mod text;

use candle_core::Device;
use emma_data::{Empirical, Samples};
use serde::Serialize;

use crate::failure::{CommandResult, Failure};

/// Quantiles that are compared.
const QUANTILES: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];

/// Fewer rows than this have quantiles in name only.
const FEWEST_ROWS: usize = 30;

/// One of the two tables.
#[derive(Debug, Serialize)]
pub(crate) struct Table {
    /// `htru2`, `simulated`, or a path.
    pub(crate) source: String,
    pub(crate) rows: usize,
    pub(crate) sha256: String,
}

/// All that is compared; printed as it is by `--json`.
#[derive(Debug, Serialize)]
pub(crate) struct Comparison {
    tables: [Table; 2],
    /// Class 0, then class 1.
    classes: Vec<Class>,
    /// Area under the ROC curve of a network told to tell rows of one table from rows of the other: 0.5
    /// where it cannot.
    roc_auc: f64,
}

#[derive(Debug, Serialize)]
struct Class {
    label: u8,
    rows: [usize; 2],
    features: Vec<Feature>,
}

#[derive(Debug, Serialize)]
struct Feature {
    name: String,
    /// Kolmogorov-Smirnov distance.
    ks: f64,
    /// At each of the quantiles, the value of the first table and of the second.
    quantiles: Vec<Quantile>,
}

#[derive(Debug, Serialize)]
struct Quantile {
    p: f64,
    values: [f64; 2],
}

impl Comparison {
    /// Compares; `seed` is that of the network.
    pub(crate) fn of(
        tables: [Table; 2],
        samples: [&Samples; 2],
        seed: u64,
        device: &Device,
    ) -> CommandResult<Self> {
        for table in &tables {
            if table.rows < FEWEST_ROWS {
                return Err(Failure::input(format!(
                    "{}: expected at least {FEWEST_ROWS} rows to compare, got {}",
                    table.source, table.rows
                )));
            }
        }
        let classes = [0, 1]
            .into_iter()
            .map(|label| Class::of(label, &tables, samples))
            .collect::<CommandResult<_>>()?;
        Ok(Self {
            tables,
            classes,
            roc_auc: discriminator::roc_auc(samples, seed, device)?,
        })
    }
}

impl Class {
    fn of(label: u8, tables: &[Table; 2], samples: [&Samples; 2]) -> CommandResult<Self> {
        let rows = samples.map(|samples| rows_of(samples, label));
        let mut features = Vec::new();
        for (mode_index, mode) in samples[0].modes().iter().enumerate() {
            for (column, name) in mode.columns.iter().enumerate() {
                let of = |table: usize| {
                    let values = &samples[table].modes()[mode_index].values;
                    let name = format!("{}: {name} in class {label}", tables[table].source);
                    Empirical::new(&name, rows[table].iter().map(|&row| values[[row, column]]))
                };
                let (first, second) = (of(0)?, of(1)?);
                features.push(Feature {
                    name: name.clone(),
                    ks: first.distance(&second),
                    quantiles: QUANTILES
                        .into_iter()
                        .map(|p| Quantile {
                            p,
                            values: [first.quantile(p), second.quantile(p)],
                        })
                        .collect(),
                });
            }
        }
        Ok(Self {
            label,
            rows: rows.map(|rows| rows.len()),
            features,
        })
    }
}

fn rows_of(samples: &Samples, label: u8) -> Vec<usize> {
    let labels = samples.labels().iter().enumerate();
    labels
        .filter_map(|(row, &found)| (found == label).then_some(row))
        .collect()
}
