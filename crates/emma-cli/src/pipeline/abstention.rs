//! The labelled rows by which a model may abstain.

use emma_data::generator;
use emma_models::{Abstention, AbstentionRows, JudgedRows, Task, TrainedModel};
use rand::seq::SliceRandom;

use super::rows::{Modes, prediction_with_gaps, rows_as_in_training};
use super::run::Pipeline;
use crate::failure::CommandResult;
use crate::part::Part;
use crate::task_metrics::classes;

impl Pipeline<'_> {
    /// Scores and errors of a finished model on calibration rows, or on validation rows for lack of them; none for a model of
    /// numbers, which are neither right nor wrong.
    pub(super) fn abstention(&self, model: &TrainedModel) -> CommandResult<Option<Abstention>> {
        if matches!(self.rows.task, Task::Regression { .. }) {
            return Ok(None);
        }
        let validation = &self.rows.validation;
        let (part, rows) = match &self.rows.calibration {
            Some(calibration) => (calibration, AbstentionRows::Calibration),
            None => (validation, AbstentionRows::Validation),
        };
        // Noise that nothing else is chosen on.
        let clean = self.judged(part, &part.standardized, model)?;
        let corrupted = rows_as_in_training(part, self.config, "abstention noise")?;
        let corrupted = self.judged(part, &corrupted, model)?;
        let chosen_on = rows_as_in_training(validation, self.config, "abstention score noise")?;
        let chosen_on = self.judged(validation, &chosen_on, model)?;
        // A table may be sorted by its label; where thresholds may lie is seen from every fourth row.
        let mut order: Vec<usize> = (0..part.n_rows()).collect();
        order.shuffle(&mut generator(self.config.seed, "abstention order"));
        let abstention = Abstention::new(
            &clean.of_rows(&order),
            &corrupted.of_rows(&order),
            rows,
            &chosen_on,
            model.metadata().threshold,
        )?;
        Ok(Some(abstention))
    }

    fn judged(&self, part: &Part, rows: &Modes, model: &TrainedModel) -> CommandResult<JudgedRows> {
        let prediction = prediction_with_gaps(rows, model, self.device)?;
        Ok(JudgedRows {
            total_energy: prediction.explanation.map(|own| own.total_energy),
            answers: prediction.answers,
            classes: classes(&part.targets).collect(),
        })
    }
}
