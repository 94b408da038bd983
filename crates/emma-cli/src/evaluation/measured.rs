//! Measures of one condition, with how much they depend on the rows.

use std::collections::BTreeMap;

use emma_data::Generator;
use emma_models::statistics::{Bootstrap, BootstrapInterval, Resampling};
use emma_models::{Answers, TrainedModel};
use serde::Serialize;

use super::rows::LabeledTable;
use crate::failure::CommandResult;
use crate::task_metrics::TaskMetrics;

/// Measures of rows in one condition.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Measured {
    pub(crate) metrics: TaskMetrics,
    /// Of the measures that a table shows, by name; empty without resamples.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) intervals: BTreeMap<String, BootstrapInterval>,
}

impl Measured {
    /// Measures answers; `n_resamples` is 0 if no intervals are wanted.
    pub(crate) fn of(
        model: &TrainedModel,
        answers: &Answers,
        table: &LabeledTable,
        n_resamples: usize,
        rng: &mut Generator,
    ) -> CommandResult<Self> {
        let metrics = TaskMetrics::of(model, answers, &table.targets)?;
        let mut intervals = BTreeMap::new();
        if n_resamples > 0 {
            let bootstrap = Bootstrap {
                n_resamples,
                ..Bootstrap::default()
            };
            let labels = table.labels();
            let resampling = match &labels {
                Some(labels) => Resampling::Stratified(labels),
                None => Resampling::Rows(table.n_rows()),
            };
            let mut failure = None;
            let statistics = |rows: &[usize]| {
                let targets: Vec<f32> = rows.iter().map(|&row| table.targets[row]).collect();
                let drawn = TaskMetrics::of(model, &answers.of_rows(rows), &targets);
                match drawn {
                    Ok(drawn) => Ok(drawn.shown().into_iter().map(|(_, value)| value).collect()),
                    Err(error) => {
                        let message = error.to_string();
                        failure = Some(error);
                        Err(emma_models::Error::Row { row: 0, message })
                    }
                }
            };
            let found = bootstrap.intervals(resampling, statistics, rng);
            if let Some(failure) = failure {
                return Err(failure);
            }
            let names = metrics.shown().into_iter().map(|(name, _)| name.to_owned());
            intervals = names.zip(found?).collect();
        }
        Ok(Self { metrics, intervals })
    }
}
