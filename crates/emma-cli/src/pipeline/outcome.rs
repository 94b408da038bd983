//! What a training leaves: a model, measures, and the losses of every epoch.

use std::fmt::Write as _;

use emma_models::{Checkpoint, Task, ThresholdRule, TrainingHistory};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::task_metrics::TaskMetrics;
use crate::text::{align, thousands};

/// Everything that is written.
pub(crate) struct Outcome {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) metrics: Metrics,
    pub(crate) history: Vec<HistoryRow>,
}

/// `metrics.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Metrics {
    pub(crate) model: String,
    pub(crate) task: Task,
    pub(crate) version: String,
    pub(crate) data_sha256: String,
    pub(crate) seed: u64,
    pub(crate) rows: PartSizes,
    /// Combinations of hyper-parameters that validation chose from, if there was a choice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) candidates: Vec<CandidateMetrics>,
    /// What was chosen, and how the model was trained.
    pub(crate) chosen: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) threshold_rule: Option<ThresholdRule>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) threshold: Option<f64>,
    /// On the rows that everything was chosen on, so better than the truth.
    pub(crate) validation: TaskMetrics,
    /// On the test rows, by condition.
    #[serde(with = "in_order")]
    pub(crate) test: Vec<(String, TaskMetrics)>,
}

/// Rows of the table by what they were used for.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct PartSizes {
    pub(crate) train: usize,
    pub(crate) validation: usize,
    pub(crate) test: usize,
    /// Kept apart, if any are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) calibration: usize,
    pub(crate) left_out: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks for it")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// One combination, with the measure that it was compared by.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CandidateMetrics {
    #[serde(flatten)]
    hyperparameters: Map<String, Value>,
    validation_score: f64,
}

impl CandidateMetrics {
    pub(crate) fn new(hyperparameters: Map<String, Value>, validation_score: f64) -> Self {
        Self {
            hyperparameters,
            validation_score,
        }
    }
}

/// A line of `history.csv`.
pub(crate) struct HistoryRow {
    stage: String,
    model: usize,
    epoch: usize,
    training: f64,
    validation: Option<f64>,
}

impl HistoryRow {
    pub(crate) fn of(stage: &str, model: usize, history: &TrainingHistory) -> Vec<Self> {
        let row = |losses: &emma_models::EpochLosses| Self {
            stage: stage.to_owned(),
            model,
            epoch: losses.epoch,
            training: losses.training,
            validation: Some(losses.validation),
        };
        history.epochs.iter().map(row).collect()
    }

    pub(crate) fn of_energy(mode: &str, losses: &[f64]) -> Vec<Self> {
        let row = |(epoch, &training): (usize, &f64)| Self {
            stage: format!("energy_{mode}"),
            model: 0,
            epoch,
            training,
            validation: None,
        };
        (1..).zip(losses).map(row).collect()
    }
}

/// The whole of `history.csv`.
pub(crate) fn history_csv(rows: &[HistoryRow]) -> String {
    let mut text = String::from("stage,model,epoch,training_loss,validation_loss\n");
    for row in rows {
        let validation = row
            .validation
            .map_or(String::new(), |loss| loss.to_string());
        let _ = writeln!(
            text,
            "{},{},{},{},{validation}",
            row.stage, row.model, row.epoch, row.training
        );
    }
    text
}

impl Metrics {
    /// For people.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        let rows = &self.rows;
        let calibration = match rows.calibration {
            0 => String::new(),
            n_rows => format!(", {} calibration", thousands(n_rows)),
        };
        let _ = writeln!(
            text,
            "{} ({}): {} training rows, {} validation, {} test{calibration}",
            self.model,
            self.task.kind(),
            thousands(rows.train),
            thousands(rows.validation),
            thousands(rows.test)
        );
        if let (Some(threshold), Some(rule)) = (self.threshold, self.threshold_rule) {
            let _ = writeln!(
                text,
                "Threshold {threshold:.4} by {rule} on validation rows"
            );
        }
        if let Task::Binary { classes } = &self.task
            && let [negative, positive] = &classes[..]
        {
            let _ = writeln!(text, "Positive is {positive:?}, negative {negative:?}");
        }
        text.push_str("\nTest rows:\n");
        let names: Vec<&str> = self
            .test
            .first()
            .map(|(_, metrics)| metrics.shown().iter().map(|(name, _)| *name).collect())
            .unwrap_or_default();
        let mut table = vec![vec!["condition".to_owned()]];
        table[0].extend(names.iter().map(|name| (*name).to_owned()));
        for (condition, metrics) in &self.test {
            let mut row = vec![condition.clone()];
            row.extend(
                metrics
                    .shown()
                    .iter()
                    .map(|(_, value)| format!("{value:.3}")),
            );
            table.push(row);
        }
        align(&mut text, &table);
        text
    }
}

/// Conditions as an object, in their order.
mod in_order {
    use serde::de::{Deserializer, MapAccess, Visitor};
    use serde::ser::Serializer;

    use crate::task_metrics::TaskMetrics;

    pub(super) fn serialize<S: Serializer>(
        conditions: &[(String, TaskMetrics)],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(conditions.iter().map(|(name, metrics)| (name, metrics)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<(String, TaskMetrics)>, D::Error> {
        struct Conditions;
        impl<'de> Visitor<'de> for Conditions {
            type Value = Vec<(String, TaskMetrics)>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "measures by condition")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut conditions = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    conditions.push(entry);
                }
                Ok(conditions)
            }
        }
        deserializer.deserialize_map(Conditions)
    }
}
