//! What a model makes of a row before its network sees it, as columns for other learners.

use emma_data::{Chunk, ColumnDescription, ColumnKind, ColumnValues};
use emma_energy::JointPosterior;
use emma_models::{MissingModes, RowTransforms, TrainedModel};

use super::rejects::Reject;
use super::scorer::{Scored, Writing};
use crate::failure::{CommandResult, Failure};

/// The columns of a transform, in order: the one place that knows them.
pub(crate) struct TransformLayout {
    columns: Vec<ColumnDescription>,
    n_features: usize,
    n_modes: usize,
    has_label: bool,
}

impl TransformLayout {
    /// That of a model, with the label under its own name if the table has one.
    ///
    /// # Errors
    /// Bad input if the label goes by the name of another column.
    pub(crate) fn new(model: &TrainedModel, has_label: bool) -> CommandResult<Self> {
        let metadata = model.metadata();
        let modes: Vec<&str> = metadata.modes.iter().map(|mode| &*mode.name).collect();
        let features = metadata.modes.iter().flat_map(|mode| &mode.columns);
        let features: Vec<&str> = features.map(String::as_str).collect();
        let mut columns = vec![ColumnDescription::required("row", ColumnKind::Int64)];
        let floats = |columns: &mut Vec<ColumnDescription>, prefix: &str, names: &[&str]| {
            let named = names.iter().map(|name| format!("{prefix}_{name}"));
            columns.extend(named.map(ColumnDescription::optional_float));
        };
        floats(&mut columns, "gated", &features);
        if model.emma_plus().is_some() {
            floats(&mut columns, "repaired", &features);
            // Of all modes together: without a name behind it, which no mode can have.
            columns.push(ColumnDescription::optional_float("log_odds".to_owned()));
            if modes.len() > 1 {
                floats(&mut columns, "log_odds", &modes);
            }
        }
        floats(&mut columns, "attention", &modes);
        floats(&mut columns, "energy", &modes);
        if has_label {
            let label = &metadata.label;
            if columns.iter().any(|column| column.name == *label) {
                return Err(Failure::input(format!(
                    "expected a label with a name of its own, {label:?} is a column of the transform"
                )));
            }
            columns.push(ColumnDescription::required(label, ColumnKind::Int32));
        }
        Ok(Self {
            columns,
            n_features: features.len(),
            n_modes: modes.len(),
            has_label,
        })
    }

    /// The columns.
    pub(crate) fn columns(&self) -> &[ColumnDescription] {
        &self.columns
    }

    fn values(&self, chunk: &Chunk, made: &RowTransforms, kept: &[usize]) -> Vec<ColumnValues> {
        let number = |&row: &usize| (chunk.first_row() + row as u64).cast_signed();
        let mut columns = vec![ColumnValues::Int64(kept.iter().map(number).collect())];
        let mut add = |values: &[f32], width: usize| {
            for place in 0..width {
                let own = kept.iter().map(|&row| values[row * width + place]);
                columns.push(ColumnValues::Float32(own.collect()));
            }
        };
        add(&made.gated, self.n_features);
        if let Some(repaired) = &made.repaired {
            add(repaired, self.n_features);
        }
        if let Some(log_odds) = &made.log_odds {
            add(log_odds, JointPosterior::n_subsets(self.n_modes));
        }
        if let Some(energies) = &made.scores.energies {
            add(&energies.attention, self.n_modes);
            add(&energies.energy, self.n_modes);
        }
        if self.has_label {
            let labels = chunk.labels().unwrap_or_default();
            let own = kept.iter().map(|&row| labels[row].into());
            columns.push(ColumnValues::Int32(own.collect()));
        }
        columns
    }
}

/// Transforms chunks of rows, each for itself, on any thread.
pub(crate) struct Transformer<'a> {
    pub(crate) model: &'a TrainedModel,
    pub(crate) layout: &'a TransformLayout,
    pub(crate) missing: MissingModes,
    pub(crate) writing: Writing<'a>,
}

impl Transformer<'_> {
    pub(crate) fn transform(&self, chunk: &Chunk) -> CommandResult<Scored> {
        let made = self.model.transform_rows(chunk.values(), self.missing)?;
        let faults = made.scores.faults.iter().map(|fault| Reject {
            row: fault.row,
            reason: fault.message.clone(),
        });
        let values = |kept: &[usize]| Ok(self.layout.values(chunk, &made, kept));
        self.writing.written(chunk, faults, values)
    }
}
