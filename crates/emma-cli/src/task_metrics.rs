//! Measures of a model's answers, whatever its task.

use emma_models::{
    Answers, ClassificationMetrics, MulticlassMetrics, RegressionMetrics, Task, TrainedModel,
};
use serde::{Deserialize, Serialize};

use crate::failure::CommandResult;

/// Measures of one set of rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum TaskMetrics {
    Binary(ClassificationMetrics),
    Multiclass(MulticlassMetrics),
    Regression(RegressionMetrics),
}

impl TaskMetrics {
    /// Of a model's answers, whose targets are labels, places among the classes, or numbers in the target's
    /// unit.
    pub(crate) fn of(
        model: &TrainedModel,
        answers: &Answers,
        targets: &[f32],
    ) -> CommandResult<Self> {
        Ok(match answers {
            Answers::Binary(probabilities) => {
                let threshold = model.metadata().threshold;
                let labels = classes(targets)
                    .map(|class| class as u8)
                    .collect::<Vec<_>>();
                Self::Binary(ClassificationMetrics::of(
                    probabilities,
                    &labels,
                    threshold,
                )?)
            }
            Answers::Multiclass(probabilities) => {
                let labels = classes(targets).collect::<Vec<_>>();
                Self::Multiclass(MulticlassMetrics::of(probabilities, &labels)?)
            }
            Answers::Regression(values) => {
                Self::Regression(RegressionMetrics::of(values, targets)?)
            }
        })
    }

    /// The measure that curves are drawn of, by name.
    pub(crate) fn main(&self) -> (&'static str, f64) {
        match self {
            Self::Binary(metrics) => ("f1", metrics.f1),
            Self::Multiclass(metrics) => ("macro_f1", metrics.macro_f1),
            Self::Regression(metrics) => ("rmse", metrics.rmse),
        }
    }

    /// What models are chosen by: larger is better.
    pub(crate) fn score(&self) -> f64 {
        match self {
            Self::Regression(metrics) => -metrics.rmse,
            _ => self.main().1,
        }
    }

    /// The measures that a table shows, by name.
    pub(crate) fn shown(&self) -> Vec<(&'static str, f64)> {
        match self {
            Self::Binary(metrics) => vec![
                ("f1", metrics.f1),
                ("precision", metrics.precision),
                ("recall", metrics.recall),
                ("roc_auc", metrics.roc_auc),
                ("pr_auc", metrics.pr_auc),
                ("brier", metrics.brier),
            ],
            Self::Multiclass(metrics) => vec![
                ("macro_f1", metrics.macro_f1),
                ("accuracy", metrics.accuracy),
                ("log_loss", metrics.log_loss),
            ],
            Self::Regression(metrics) => vec![
                ("rmse", metrics.rmse),
                ("mae", metrics.mae),
                // Of equal targets, as of a resample of a few rows, nothing can be explained.
                ("r_squared", metrics.r_squared.unwrap_or(f64::NEG_INFINITY)),
            ],
        }
    }
}

/// Targets of a task with classes, as places among them.
#[expect(clippy::cast_sign_loss, reason = "places among the classes")]
pub(crate) fn classes(targets: &[f32]) -> impl Iterator<Item = usize> {
    targets.iter().map(|&target| target as usize)
}

/// Targets in the units of the table, from those that a model learns from.
pub(crate) fn targets_of_table(task: &Task, targets: &[f32]) -> Vec<f32> {
    match task {
        Task::Regression { mean, std } => targets
            .iter()
            .map(|&target| (f64::from(target) * std + mean) as f32)
            .collect(),
        _ => targets.to_vec(),
    }
}
