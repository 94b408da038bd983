//! What is written of a row.

use emma_data::{ColumnDescription, ColumnKind, ColumnValues};
use emma_models::{ConformalGate, RowScores, Task, TrainedModel, decided_class};

use super::sentence::Sentences;
use crate::abstaining::Abstaining;
use crate::failure::CommandResult;

/// The columns of a prediction, in order: the one place that knows them.
pub(crate) struct Layout {
    /// Names of the modes whose energies are explained; none if they are not.
    explained: Vec<String>,
    /// What says which modes are suspect, if that is wanted, and the names of all modes.
    gate: Option<ConformalGate>,
    modes: Vec<String>,
    has_energies: bool,
    /// Of EMMA+, which has neither potentials nor importance.
    is_plus: bool,
    threshold: f64,
    task: Task,
    /// What says which rows are answered, if that is wanted.
    abstaining: Option<Abstaining>,
    sentences: Option<Sentences>,
}

impl Layout {
    /// Place of the column that rows are ranked by: the probability, or the number predicted.
    pub(crate) const PROBABILITY: usize = 1;

    /// That of a model, with the energies of every mode, its p-value, whether the row is answered and a sentence if they are
    /// wanted.
    pub(crate) fn new(
        model: &TrainedModel,
        explain: bool,
        gate: Option<ConformalGate>,
        abstaining: Option<Abstaining>,
        sentences: Option<Sentences>,
    ) -> Self {
        let explain = explain && model.has_energies();
        let modes = model.metadata().modes.iter();
        let modes: Vec<String> = modes.map(|mode| mode.name.clone()).collect();
        Self {
            explained: modes.iter().filter(|_| explain).cloned().collect(),
            gate,
            modes,
            has_energies: model.has_energies(),
            is_plus: model.emma_plus().is_some(),
            threshold: model.metadata().threshold,
            task: model.metadata().task.clone(),
            abstaining,
            sentences,
        }
    }

    /// The columns.
    pub(crate) fn columns(&self) -> Vec<ColumnDescription> {
        let required = |name: &str, kind| ColumnDescription::required(name, kind);
        let mut columns = vec![required("row", ColumnKind::Int64)];
        match &self.task {
            Task::Binary { classes } | Task::Multiclass { classes } => {
                columns.push(required("probability", ColumnKind::Float32));
                columns.push(required("label", ColumnKind::Int32));
                if !classes.is_empty() {
                    columns.push(required("class", ColumnKind::Text));
                }
            }
            Task::Regression { .. } => columns.push(required("prediction", ColumnKind::Float32)),
        }
        if self.has_energies {
            columns.push(required("total_energy", ColumnKind::Float32));
        }
        if let Task::Multiclass { classes } = &self.task {
            for class in classes {
                let name = format!("probability_{class}");
                columns.push(required(&name, ColumnKind::Float32));
            }
        }
        for mode in &self.explained {
            let parts: &[&str] = if self.is_plus {
                &["energy"]
            } else {
                &["potential", "energy", "importance"]
            };
            for part in parts {
                let name = format!("{part}_{mode}");
                columns.push(ColumnDescription::optional_float(name));
            }
            columns.push(required(&format!("attention_{mode}"), ColumnKind::Float32));
        }
        for mode in self.modes.iter().filter(|_| self.gate.is_some()) {
            columns.push(ColumnDescription::optional_float(format!("p_value_{mode}")));
            columns.push(required(&format!("suspect_{mode}"), ColumnKind::Int32));
        }
        if self.abstaining.is_some() {
            columns.push(required("answered", ColumnKind::Int32));
        }
        if self.sentences.is_some() {
            columns.push(required("why", ColumnKind::Text));
        }
        columns
    }

    /// The values of some rows of a chunk that begins with row `first_row` of the table.
    ///
    /// # Errors
    /// A model's whose calibration has other modes.
    pub(crate) fn values(
        &self,
        first_row: u64,
        scores: &RowScores,
        kept: &[usize],
    ) -> CommandResult<Vec<ColumnValues>> {
        let floats = |values: &[f32]| -> ColumnValues {
            ColumnValues::Float32(kept.iter().map(|&row| values[row]).collect())
        };
        let number = |&row: &usize| (first_row + row as u64).cast_signed();
        let mut columns = vec![ColumnValues::Int64(kept.iter().map(number).collect())];
        let n_classes = scores.n_outputs;
        let of_row = |row: usize| &scores.outputs[row * n_classes..][..n_classes];
        match &self.task {
            Task::Regression { .. } => columns.push(floats(&scores.outputs)),
            Task::Binary { classes } | Task::Multiclass { classes } => {
                // Rows that are kept have numbers alone.
                let label =
                    |row: usize| decided_class(of_row(row), self.threshold).unwrap_or_default();
                let labels: Vec<usize> = kept.iter().map(|&row| label(row)).collect();
                let of_label = |(&row, &label): (&usize, &usize)| match of_row(row) {
                    [probability] => *probability,
                    probabilities => probabilities[label],
                };
                let probabilities = kept.iter().zip(&labels).map(of_label);
                columns.push(ColumnValues::Float32(probabilities.collect()));
                let numbers = labels
                    .iter()
                    .map(|&label| i32::try_from(label).unwrap_or(i32::MAX));
                columns.push(ColumnValues::Int32(numbers.collect()));
                if !classes.is_empty() {
                    let names = labels.iter().map(|&label| classes[label].clone());
                    columns.push(ColumnValues::Text(names.collect()));
                }
            }
        }
        let n_modes = scores.n_modes;
        if let Some(energies) = &scores.energies {
            columns.push(floats(&energies.total));
        }
        if let Task::Multiclass { classes } = &self.task {
            for class in 0..classes.len() {
                let own = kept.iter().map(|&row| of_row(row)[class]);
                columns.push(ColumnValues::Float32(own.collect()));
            }
        }
        if let Some(energies) = &scores.energies {
            for mode in 0..self.explained.len() {
                let all = [
                    &energies.potential,
                    &energies.energy,
                    &energies.importance,
                    &energies.attention,
                ];
                let plus = [&energies.energy, &energies.attention];
                let parts = if self.is_plus { &plus[..] } else { &all[..] };
                for values in parts {
                    let own = kept.iter().map(|&row| values[row * n_modes + mode]);
                    columns.push(ColumnValues::Float32(own.collect()));
                }
            }
            if let Some(gate) = &self.gate {
                columns.extend(suspicion(gate, &energies.potential, n_modes, kept)?);
            }
        }
        if let Some(abstaining) = &self.abstaining {
            let total = scores.energies.as_ref().map(|energies| &energies.total[..]);
            let doubts = abstaining
                .score
                .of(&scores.outputs, n_classes, self.threshold, total)?;
            let answers = |&row: &usize| i32::from(abstaining.selective.answers(doubts[row]));
            columns.push(ColumnValues::Int32(kept.iter().map(answers).collect()));
        }
        if let (Some(energies), Some(sentences)) = (&scores.energies, &self.sentences) {
            let of_row = |&row: &usize| {
                let own = row * n_modes..(row + 1) * n_modes;
                sentences.of(&energies.potential[own.clone()], &energies.attention[own])
            };
            columns.push(ColumnValues::Text(kept.iter().map(of_row).collect()));
        }
        Ok(columns)
    }
}

/// For each mode the p-values of some rows, and whether it is suspect in them.
fn suspicion(
    gate: &ConformalGate,
    potentials: &[f32],
    n_modes: usize,
    kept: &[usize],
) -> CommandResult<Vec<ColumnValues>> {
    let mut p_values = vec![Vec::with_capacity(kept.len()); n_modes];
    let mut suspects = vec![Vec::with_capacity(kept.len()); n_modes];
    for &row in kept {
        let own = &potentials[row * n_modes..][..n_modes];
        for (values, p) in p_values.iter_mut().zip(gate.p_values(own)?) {
            values.push(p as f32);
        }
        for (values, is_suspect) in suspects.iter_mut().zip(gate.suspects(own)?) {
            values.push(i32::from(is_suspect));
        }
    }
    let of_modes = p_values.into_iter().zip(suspects);
    Ok(of_modes
        .flat_map(|(p_values, suspects)| {
            [
                ColumnValues::Float32(p_values),
                ColumnValues::Int32(suspects),
            ]
        })
        .collect())
}
