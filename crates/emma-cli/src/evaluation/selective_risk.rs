//! Which rows a model that may abstain answers, and how many of them wrongly.

use emma_models::{AbstentionRows, DoubtScore, JudgedRows, Prediction, TrainedModel};
use serde::Serialize;

use super::rows::LabeledTable;
use crate::abstaining::Abstaining;
use crate::failure::CommandResult;
use crate::task_metrics::classes;
use crate::text::{number, thousands};

/// Coverage and risk of labelled rows at a limit.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SelectiveRisk {
    max_risk: f64,
    confidence: f64,
    score: DoubtScore,
    /// Which rows the threshold was chosen on.
    rows: AbstentionRows,
    threshold: f32,
    n_answered: usize,
    n_wrong: usize,
    /// Share of rows that are answered.
    coverage: f64,
    /// Share of wrong answers among them; null without any.
    risk: Option<f64>,
}

impl SelectiveRisk {
    /// Of what a model says of the rows of a table.
    pub(crate) fn of(
        abstaining: &Abstaining,
        model: &TrainedModel,
        prediction: &Prediction,
        table: &LabeledTable,
    ) -> CommandResult<Self> {
        let threshold = model.metadata().threshold;
        let explanation = prediction.explanation.as_ref();
        let judged = JudgedRows {
            total_energy: explanation.map(|own| own.total_energy.clone()),
            answers: prediction.answers.clone(),
            classes: classes(&table.targets).collect(),
        };
        let scores = judged.scores(abstaining.score, threshold)?;
        let errors = judged.errors(threshold)?;
        let rows = scores.iter().zip(errors);
        let answered = rows.filter(|(score, _)| abstaining.selective.answers(**score));
        let (n_answered, n_wrong) = answered.fold((0, 0), |(n, wrong), (_, is_error)| {
            (n + 1, wrong + usize::from(is_error))
        });
        let limit = abstaining.selective.limit();
        Ok(Self {
            max_risk: limit.risk,
            confidence: limit.confidence,
            score: abstaining.score,
            rows: abstaining.rows,
            threshold: abstaining.selective.threshold(),
            n_answered,
            n_wrong,
            coverage: n_answered as f64 / table.n_rows() as f64,
            risk: (n_answered > 0).then(|| n_wrong as f64 / n_answered as f64),
        })
    }

    /// A line for people.
    pub(crate) fn to_text(&self) -> String {
        format!(
            "answered up to {} {}: {} rows ({} %), {} of them wrong ({}); stated: at most {} %, with confidence {}\n",
            self.score.name(),
            number(f64::from(self.threshold)),
            thousands(self.n_answered),
            number(100. * self.coverage),
            thousands(self.n_wrong),
            self.risk.map_or_else(
                || "none".to_owned(),
                |risk| format!("{} %", number(100. * risk))
            ),
            number(100. * self.max_risk),
            self.confidence,
        )
    }
}
