//! Labelled rows of a table as a model takes them.

use std::path::Path;

use candle_core::{Device, Tensor};
use emma_data::{
    Categories, CorruptedModes, CorruptionRecord, Generator, MissingValues, ModeColumns,
    ModeCorruption, Standardization, Table, TableConfig, read_categories,
};
use emma_models::{Checkpoint, Prediction, Task, TrainedModel};
use ndarray::Array2;

use crate::args::RowsArg;
use crate::failure::{CommandResult, Failure};
use crate::labels::{self, TableWithTarget, plain_class};
use crate::part::tensors;
use crate::pipeline::rows::prediction;

/// Rows with what is to be predicted of them.
pub(crate) struct LabeledTable {
    modes: Vec<ModeColumns>,
    /// Standard scores, one `[rows, features]` array a mode.
    standardized: Vec<Array2<f32>>,
    raw: Vec<Array2<f32>>,
    /// Labels, places among the classes, or numbers in the target's unit.
    pub(crate) targets: Vec<f32>,
    is_binary: bool,
}

impl LabeledTable {
    /// Reads the table in a file, whose columns a model names.
    pub(crate) fn open(path: &Path, checkpoint: &Checkpoint) -> CommandResult<Self> {
        let metadata = checkpoint.metadata();
        let modes: Vec<ModeColumns> = metadata
            .modes
            .iter()
            .map(|mode| ModeColumns::new(mode.name.clone(), mode.columns.clone()))
            .collect();
        let (raw, targets) = if matches!(metadata.task, Task::Regression { .. }) {
            let missing = MissingValues::Refuse;
            let table = TableWithTarget::open(path, &modes, &metadata.label, missing)?;
            (table.modes, table.target)
        } else {
            let config = TableConfig::new(modes.clone(), None, MissingValues::Refuse)?;
            let table = Table::open(path, &config)?;
            let features = config.features();
            let targets = read_classes(path, &metadata.label, &metadata.task, &features)?;
            (labels::values(&table), targets)
        };
        let n_rows = raw.first().map_or(0, Array2::nrows);
        if targets.len() != n_rows {
            return Err(Failure::input(format!(
                "{}: expected a label in each of {n_rows} rows, got {}",
                path.display(),
                targets.len()
            )));
        }
        let is_binary = matches!(metadata.task, Task::Binary { .. });
        let n_positives = targets.iter().filter(|&&target| target > 0.5).count();
        if is_binary && (n_positives == 0 || n_positives == targets.len()) {
            return Err(Failure::input(format!(
                "{}: expected rows of both classes, got {n_positives} of {} positive",
                path.display(),
                targets.len()
            )));
        }
        let standardized = modes
            .iter()
            .zip(&raw)
            .map(|(mode, values)| {
                let part = |part: &str| -> CommandResult<Vec<f32>> {
                    let name = format!("standardize.{}.{part}", mode.name);
                    let tensor = checkpoint.tensor(&name, &[mode.columns.len()])?;
                    Ok(tensor.to_vec1()?)
                };
                let fitted = Standardization::new(part("mean")?, part("std")?)?;
                Ok(fitted.apply(values.view())?)
            })
            .collect::<CommandResult<_>>()
            .map_err(|failure: Failure| failure.context(path.display().to_string()))?;
        Ok(Self {
            modes,
            standardized,
            raw,
            targets,
            is_binary,
        })
    }

    pub(crate) fn n_rows(&self) -> usize {
        self.targets.len()
    }

    /// Labels of a binary task, for resamples that keep both classes.
    #[expect(clippy::cast_sign_loss, reason = "0 or 1")]
    pub(crate) fn labels(&self) -> Option<Vec<u8>> {
        let labels = self.targets.iter().map(|&target| target as u8);
        self.is_binary.then(|| labels.collect())
    }

    /// What the model says of the rows, after some corruptions in their order.
    pub(crate) fn prediction(
        &self,
        model: &TrainedModel,
        corruptions: &[ModeCorruption],
        rows: RowsArg,
        rng: &mut Generator,
    ) -> CommandResult<Prediction> {
        if corruptions.is_empty() {
            let raw: Vec<Tensor> = tensors(&self.raw, &Device::Cpu)?;
            return Ok(model.predict(&raw)?);
        }
        let names: Vec<&str> = self.modes.iter().map(|mode| mode.name.as_str()).collect();
        let (n_rows, n_modes) = (self.n_rows(), self.modes.len());
        let record = match rows {
            RowsArg::All => CorruptionRecord::all(n_rows, n_modes)?,
            RowsArg::Mixture => CorruptionRecord::mixture(n_rows, n_modes, rng)?,
            RowsArg::Constrained => CorruptionRecord::constrained_mixture(n_rows, n_modes, rng)?,
        };
        let mut corrupted = CorruptedModes::of(&self.standardized)?;
        if let Some(labels) = self.labels() {
            corrupted = corrupted.with_labels(&labels)?;
        }
        let corrupted = corrupted.then_each(&names, &record, corruptions, rng)?;
        prediction(corrupted, model, &Device::Cpu)
    }
}

fn read_classes(
    path: &Path,
    label: &str,
    task: &Task,
    features: &[&str],
) -> CommandResult<Vec<f32>> {
    let found = read_categories(path, features, &[label])?;
    let Some(Categories { levels, codes }) = found.into_iter().next() else {
        return Err(Failure::input("expected a label column".to_owned()));
    };
    let classes = task.classes();
    let place = |level: &String| -> Option<f32> {
        if classes.is_empty() {
            return plain_class(level).map(|class| class as f32);
        }
        let place = classes.iter().position(|class| class == level)?;
        Some(place as f32)
    };
    let places = levels
        .iter()
        .map(|level| {
            place(level).ok_or_else(|| {
                let expected = if classes.is_empty() {
                    "0 or 1".to_owned()
                } else {
                    format!("one of the model's classes ({})", classes.join(", "))
                };
                Failure::input(format!(
                    "{}: expected {expected} in the label column {label:?}, got {level:?}",
                    path.display()
                ))
            })
        })
        .collect::<CommandResult<Vec<f32>>>()?;
    Ok(codes.iter().map(|&code| places[code as usize]).collect())
}
