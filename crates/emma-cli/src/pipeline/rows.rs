//! The user's rows: read, split, standardized, corrupted.

use std::collections::BTreeSet;
use std::path::Path;

use candle_core::{Device, Tensor};
use emma_attention::ModeMask;
use emma_data::{
    Categories, CorruptedModes, CorruptionRecord, Generator, ModeColumns, ModeCorruption,
    ModeDropout, Split, Standardization, Table, augment, generator, read_categories,
    stratified_split_of_classes,
};
use emma_models::{Answers, Batch, Loss, Prediction, Task, TrainedModel};
use ndarray::{Array2, Axis};
use rand::Rng;
use rand::seq::SliceRandom;

use super::config::{Config, MissingRows, ModelName, TaskName};
use crate::digest;
use crate::failure::{CommandResult, Failure};
use crate::labels::{self, TableWithTarget, plain_class};
use crate::part::{Part, tensor, tensors};

/// Values of a split column; the last need not occur.
pub(super) const PARTS: [&str; 4] = ["train", "validation", "test", "calibration"];

/// Modes, NaN where a value is missing.
pub(super) type Modes = Vec<Array2<f32>>;

/// A table, ready to be learned from.
pub(crate) struct Rows {
    pub(crate) task: Task,
    pub(crate) train: Part,
    pub(crate) validation: Part,
    pub(crate) test: Part,
    /// Rows that nothing is learned from, chosen on or measured on, if the configuration keeps some apart.
    pub(crate) calibration: Option<Part>,
    pub(crate) standardization: Vec<Standardization>,
    /// Rows of the table that were left out, for lack of a value.
    pub(crate) n_left_out: usize,
    /// Of the table's file.
    pub(crate) sha256: String,
}

/// What is to be predicted, row by row.
struct Targets {
    task: Task,
    values: Vec<f32>,
    /// For the split: classes, or one for all.
    classes: Vec<u32>,
}

impl Rows {
    /// Reads the table in a file.
    pub(crate) fn read(config: &Config, path: &Path, device: &Device) -> CommandResult<Self> {
        let file = path.display().to_string();
        let refuse = |message: String| Failure::input(format!("{file}: {message}"));
        let sha256 = digest::of_file(path)
            .map_err(|error| refuse(format!("expected a table, it cannot be read: {error}")))?;
        let layout = config.table(None)?;
        let features = layout.features();
        let (modes, is_incomplete, targets) = if config.task == TaskName::Regression {
            let (label, missing) = (&config.label, config.missing.values());
            let table = TableWithTarget::open(path, &config.modes, label, missing)?;
            let targets = Targets {
                // Mean and deviation come from the training rows.
                task: Task::Regression { mean: 0., std: 1. },
                classes: vec![0; table.target.len()],
                values: table.target,
            };
            (table.modes, table.is_incomplete, targets)
        } else {
            let table = Table::open(path, &layout)?;
            let targets = read_classes(config, path, &features)?;
            (
                labels::values(&table),
                labels::is_incomplete(&table),
                targets,
            )
        };
        let n_rows = is_incomplete.len();
        if targets.values.len() != n_rows {
            return Err(refuse(format!(
                "expected a label in each of {n_rows} rows, got {}",
                targets.values.len()
            )));
        }
        targets
            .task
            .validate()
            .map_err(|error| refuse(format!("column {:?}: {error}", config.label)))?;
        let kept: Vec<usize> = (0..n_rows).filter(|&row| !is_incomplete[row]).collect();
        let (split, calibration) = match &config.split.column {
            Some(column) => read_split(path, &features, column, &kept)?,
            None => draw_split(config, &targets, &kept).map_err(|f| f.context(file.clone()))?,
        };
        check_classes(&targets, &split, &file)?;
        let of = |rows: &[usize]| -> Vec<Array2<f32>> {
            modes
                .iter()
                .map(|mode| mode.select(Axis(0), rows))
                .collect()
        };
        let training_rows = of(&split.train);
        let standardization = config
            .modes
            .iter()
            .zip(&training_rows)
            .map(|(mode, values)| Standardization::fit(&mode.name, &mode.columns, values.view()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| Failure::from(error).context(file.clone()))?;
        let task = finish_task(targets.task, &targets.values, &split.train)
            .map_err(|f| f.context(file.clone()))?;
        let target = |row: usize| match task {
            Task::Regression { mean, std } => {
                ((f64::from(targets.values[row]) - mean) / std) as f32
            }
            _ => targets.values[row],
        };
        let part = |rows: &[usize]| {
            let own = rows.iter().map(|&row| target(row)).collect();
            let part = Part::new(of(rows), own, &standardization, device);
            part.map_err(|failure| with_data_row(failure, rows, &file))
        };
        Ok(Self {
            train: part(&split.train)?,
            validation: part(&split.validation)?,
            test: part(&split.test)?,
            calibration: match &calibration[..] {
                [] => None,
                rows => Some(part(rows)?),
            },
            n_left_out: n_rows - kept.len(),
            task,
            standardization,
            sha256,
        })
    }

    /// The loss that the task is learned by.
    pub(crate) fn loss(&self) -> Loss {
        match self.task {
            Task::Binary { .. } => Loss::BinaryCrossEntropy,
            Task::Multiclass { .. } => Loss::CrossEntropy,
            Task::Regression { .. } => Loss::SquaredError,
        }
    }
}

/// Says which row of the table cannot be standardized, not which of a part.
fn with_data_row(failure: Failure, rows: &[usize], file: &str) -> Failure {
    let Failure::BadInput(error) = failure else {
        return failure;
    };
    let row = match error.downcast_ref::<emma_data::Error>() {
        Some(emma_data::Error::StandardizedValue { row, .. }) => rows.get(*row),
        _ => None,
    };
    match row {
        Some(row) => Failure::BadInput(error.context(format!("{file}: data row {row}"))),
        None => Failure::BadInput(error.context(file.to_owned())),
    }
}

/// Corrupts standardized rows as in training: half of them clean, the rest with one mode each, by one of
/// the given kinds.
pub(crate) fn mixture(part: &Part, config: &Config, rng: &mut Generator) -> CommandResult<Batch> {
    let (record, corrupted) = corrupted_mixture(part, config, rng)?;
    let values = without_missing(corrupted);
    let batch = batch(tensors(&values, &part.device)?, part)?;
    Ok(batch.with_corruption_sign(tensor(&record.signs(), &part.device)?)?)
}

/// The rows of such a [`mixture`], missing modes still marked, and which were corrupted.
pub(crate) fn corrupted_mixture(
    part: &Part,
    config: &Config,
    rng: &mut Generator,
) -> CommandResult<(CorruptionRecord, CorruptedModes)> {
    let record = CorruptionRecord::mixture(part.n_rows(), part.standardized.len(), rng)?;
    let kinds = &config.training.corruption;
    // Drawn only where there is a choice.
    let choice: Vec<usize> = match kinds.len() {
        1 => vec![0; part.n_rows()],
        n => (0..part.n_rows()).map(|_| rng.random_range(0..n)).collect(),
    };
    let mut corrupted = CorruptedModes::of(&part.standardized)?;
    for (kind, corruption) in kinds.iter().enumerate() {
        let mut flags = record.flags().to_owned();
        for (mut row, &chosen) in flags.rows_mut().into_iter().zip(&choice) {
            if chosen != kind {
                row.fill(false);
            }
        }
        let own = CorruptionRecord::from_flags(flags);
        corrupted = corrupted.then(&own, corruption, rng)?;
    }
    Ok((record, corrupted))
}

/// Rows as a model is trained on: corrupted as in training, and for EMMA+ with as many modes lost. Noise and losses have
/// generators of their own.
pub(super) fn rows_as_in_training(
    part: &Part,
    config: &Config,
    stream: &str,
) -> CommandResult<Modes> {
    let mut rng = generator(config.seed, stream);
    let (_, corrupted) = corrupted_mixture(part, config, &mut rng)?;
    let modes = with_gaps(corrupted);
    if config.model != ModelName::EmmaPlus {
        return Ok(modes);
    }
    let dropout = ModeDropout::new(config.emma_plus.mode_dropout, true)?;
    let mut rng = generator(config.seed, &format!("{stream}, lost modes"));
    Ok(augment(&modes, &dropout, &mut rng)?.into_masked().0)
}

/// NaN where a mode is missing.
fn with_gaps(corrupted: CorruptedModes) -> Modes {
    let (mut values, missing) = corrupted.into_masked();
    for ((row, mode_index), &missing) in missing.indexed_iter() {
        if missing {
            values[mode_index].row_mut(row).fill(f32::NAN);
        }
    }
    values
}

/// What a model says of all rows of a part with one corruption; a missing mode is left out, as `emma score` does it.
pub(crate) fn corrupted_answers(
    part: &Part,
    modes: &[ModeColumns],
    corruption: &ModeCorruption,
    model: &TrainedModel,
    rng: &mut Generator,
) -> CommandResult<Answers> {
    let names: Vec<&str> = modes.iter().map(|mode| mode.name.as_str()).collect();
    let all = CorruptionRecord::all(part.n_rows(), modes.len())?;
    let corrupted = CorruptedModes::of(&part.standardized)?.then_each(
        &names,
        &all,
        std::slice::from_ref(corruption),
        rng,
    )?;
    Ok(prediction(corrupted, model, &part.device)?.answers)
}

/// What a model says of corrupted standard scores; a missing mode is left out, as `emma score` does it.
pub(crate) fn prediction(
    corrupted: CorruptedModes,
    model: &TrainedModel,
    device: &Device,
) -> CommandResult<Prediction> {
    let (values, missing) = corrupted.into_masked();
    let n_modes = values.len();
    let values = tensors(&values, device)?;
    if !missing.iter().any(|&missing| missing) {
        return Ok(model.predict_standardized(&values)?);
    }
    let present = missing.iter().map(|&missing| !missing).collect();
    let mask = ModeMask::new(present, n_modes)?;
    Ok(model.predict_standardized_masked(&values, &mask)?)
}

/// What a model says of standard scores; a mode that is NaN is missing.
pub(crate) fn prediction_with_gaps(
    modes: &[Array2<f32>],
    model: &TrainedModel,
    device: &Device,
) -> CommandResult<Prediction> {
    let n_rows = modes.first().map_or(0, Array2::nrows);
    let mut present = Vec::with_capacity(n_rows * modes.len());
    for row in 0..n_rows {
        present.extend(
            modes
                .iter()
                .map(|mode| !mode.row(row).iter().any(|value| value.is_nan())),
        );
    }
    let mask = ModeMask::new(present, modes.len())?;
    let modes = tensors(modes, device)?;
    Ok(model.predict_standardized_masked(&modes, &mask)?)
}

/// For training, a missing mode is 0, the mean of a standard score.
fn without_missing(corrupted: CorruptedModes) -> Vec<Array2<f32>> {
    let (mut values, missing) = corrupted.into_masked();
    for ((row, mode_index), &missing) in missing.indexed_iter() {
        if missing {
            values[mode_index].row_mut(row).fill(0.);
        }
    }
    values
}

fn batch(modes: Vec<Tensor>, part: &Part) -> CommandResult<Batch> {
    let targets = Tensor::from_slice(&part.targets, part.n_rows(), &part.device)?;
    Ok(Batch::new(modes, targets)?)
}

fn read_classes(config: &Config, path: &Path, features: &[&str]) -> CommandResult<Targets> {
    let found = read_categories(path, features, &[&config.label])?;
    let found = found.into_iter().next().map(Categories::sorted);
    let Some(Categories { levels, codes }) = found else {
        return Err(Failure::input("expected a label column".to_owned()));
    };
    let refuse = |expected: &str| {
        let shown: Vec<&str> = levels.iter().take(5).map(String::as_str).collect();
        let more = if levels.len() > 5 { ", ..." } else { "" };
        Failure::input(format!(
            "{}: expected {expected} in the label column {:?}, got {} ({}{more})",
            path.display(),
            config.label,
            levels.len(),
            shown.join(", ")
        ))
    };
    if config.task == TaskName::Multiclass {
        if levels.len() < 2 {
            return Err(refuse("at least 2 classes"));
        }
        return Ok(Targets {
            values: codes.iter().map(|&code| code as f32).collect(),
            classes: codes,
            task: Task::Multiclass { classes: levels },
        });
    }
    let [first, second] = &levels[..] else {
        return Err(refuse("2 classes"));
    };
    let is_plain = (plain_class(first), plain_class(second)) == (Some(0), Some(1));
    let positive = match &config.positive {
        None if is_plain => second,
        Some(positive) => levels
            .iter()
            .find(|level| *level == positive)
            .ok_or_else(|| refuse(&format!("positive = {positive:?} to be one of 2 classes")))?,
        None => {
            return Err(refuse(&format!(
                "0 and 1, or positive = \"{second}\" (or \"{first}\") in the configuration,"
            )));
        }
    };
    let flipped = positive == first;
    let negative = if flipped { second } else { first };
    let classes: Vec<u32> = codes
        .iter()
        .map(|&code| code ^ u32::from(flipped))
        .collect();
    let names = if is_plain && !flipped {
        Vec::new()
    } else {
        vec![negative.clone(), positive.clone()]
    };
    Ok(Targets {
        values: classes.iter().map(|&class| class as f32).collect(),
        classes,
        task: Task::Binary { classes: names },
    })
}

/// The parts of a split, and calibration rows if there are any.
type Parts = (Split, Vec<usize>);

fn draw_split(config: &Config, targets: &Targets, kept: &[usize]) -> CommandResult<Parts> {
    let n_classes = targets
        .classes
        .iter()
        .max()
        .map_or(0, |&largest| largest + 1);
    let calibration = match config.split.calibration {
        Some(share) => draw_calibration(share, config.seed, targets, n_classes, kept)?,
        None => Vec::new(),
    };
    // Both are ascending.
    let mut drawn = calibration.iter().peekable();
    let kept: Vec<usize> = kept
        .iter()
        .copied()
        .filter(|row| drawn.next_if_eq(&row).is_none())
        .collect();
    let classes: Vec<u32> = kept.iter().map(|&row| targets.classes[row]).collect();
    let fractions = config.split.fractions()?;
    let mut rng = generator(config.seed, "split");
    let split = stratified_split_of_classes(&classes, n_classes, &fractions, &mut rng);
    let split = split.map_err(|error| match error {
        emma_data::Error::ClassMissing {
            class,
            part,
            n_rows,
        } => {
            let place = match config.split.calibration {
                Some(share) => format!("what split.calibration = {share} leaves of the table"),
                None => "the whole table".to_owned(),
            };
            Failure::input(format!(
                "expected {} in the {part} part of the split, got {n_rows} of them in {place}",
                rows_of(&targets.task, class)
            ))
        }
        error => error.into(),
    })?;
    let of_table = |rows: Vec<usize>| rows.into_iter().map(|row| kept[row]).collect();
    let split = Split {
        train: of_table(split.train),
        validation: of_table(split.validation),
        test: of_table(split.test),
    };
    Ok((split, calibration))
}

/// A share of the rows of each class, ascending.
fn draw_calibration(
    share: f64,
    seed: u64,
    targets: &Targets,
    n_classes: u32,
    kept: &[usize],
) -> CommandResult<Vec<usize>> {
    let mut rng = generator(seed, "calibration rows");
    let mut drawn = Vec::new();
    for class in 0..n_classes {
        let is_own = |row: &usize| targets.classes[*row] == class;
        let mut own: Vec<usize> = kept.iter().copied().filter(is_own).collect();
        own.shuffle(&mut rng);
        #[expect(clippy::cast_sign_loss, reason = "a share of a count")]
        let n_drawn = (share * own.len() as f64).round() as usize;
        drawn.extend_from_slice(&own[..n_drawn]);
    }
    if drawn.is_empty() {
        return Err(Failure::input(format!(
            "split.calibration: expected a share of {} rows that is at least one row, got {share}",
            kept.len()
        )));
    }
    drawn.sort_unstable();
    Ok(drawn)
}

fn rows_of(task: &Task, class: u32) -> String {
    match (task.classes().get(class as usize), task) {
        (Some(name), _) => format!("rows of class {name:?}"),
        (None, Task::Regression { .. }) => "rows".to_owned(),
        (None, _) => format!("rows of class {class}"),
    }
}

fn read_split(
    path: &Path,
    features: &[&str],
    column: &str,
    kept: &[usize],
) -> CommandResult<Parts> {
    let found = read_categories(path, features, &[column])?;
    let Some(Categories { levels, codes }) = found.into_iter().next() else {
        return Err(Failure::input("expected a split column".to_owned()));
    };
    let refuse = |message: String| {
        Failure::input(format!("{}: column {column:?}: {message}", path.display()))
    };
    if let Some(other) = levels.iter().find(|level| !PARTS.contains(&level.as_str())) {
        return Err(refuse(format!(
            "expected train, validation, test or calibration in every row, got {other:?}"
        )));
    }
    let all_of = |part: &str| -> Vec<usize> {
        let code = levels.iter().position(|level| level == part);
        let is_in = |row: &usize| Some(codes[*row] as usize) == code;
        kept.iter().copied().filter(is_in).collect()
    };
    let rows_of = |part: &str| -> CommandResult<Vec<usize>> {
        let rows = all_of(part);
        if rows.is_empty() {
            return Err(refuse(format!(
                "expected at least one row of {part}, got none"
            )));
        }
        Ok(rows)
    };
    let split = Split {
        train: rows_of(PARTS[0])?,
        validation: rows_of(PARTS[1])?,
        test: rows_of(PARTS[2])?,
    };
    Ok((split, all_of(PARTS[3])))
}

/// Whether every class can be learned, and thresholds chosen and measured.
fn check_classes(targets: &Targets, split: &Split, file: &str) -> CommandResult<()> {
    let n_classes = match &targets.task {
        Task::Binary { .. } => 2,
        Task::Multiclass { classes } => classes.len() as u32,
        Task::Regression { .. } => return Ok(()),
    };
    let parts = [
        ("train", &split.train),
        ("validation", &split.validation),
        ("test", &split.test),
    ];
    // Several classes are measured over those that occur.
    let n_parts = if n_classes == 2 { 3 } else { 1 };
    for (part, rows) in &parts[..n_parts] {
        let there: BTreeSet<u32> = rows.iter().map(|&row| targets.classes[row]).collect();
        if let Some(class) = (0..n_classes).find(|class| !there.contains(class)) {
            return Err(Failure::input(format!(
                "{file}: expected {} in the {part} part of the split, got none",
                rows_of(&targets.task, class)
            )));
        }
    }
    Ok(())
}

/// Of a number to predict, the mean and deviation over training rows.
fn finish_task(task: Task, values: &[f32], training_rows: &[usize]) -> CommandResult<Task> {
    if !matches!(task, Task::Regression { .. }) {
        return Ok(task);
    }
    let n_rows = training_rows.len() as f64;
    let values = training_rows.iter().map(|&row| f64::from(values[row]));
    let mean = values.clone().sum::<f64>() / n_rows;
    let variance = values.map(|value| (value - mean).powi(2)).sum::<f64>() / n_rows;
    if variance > 0. && variance.is_finite() {
        return Ok(Task::Regression {
            mean,
            std: variance.sqrt(),
        });
    }
    Err(Failure::input(format!(
        "expected targets that vary, all {n_rows} training rows have {mean}"
    )))
}

/// What the kept rows are, for people.
pub(crate) fn describe_left_out(n_left_out: usize, missing: MissingRows) -> Option<String> {
    (missing == MissingRows::Drop && n_left_out > 0)
        .then(|| format!("left out {n_left_out} rows that lack a value"))
}
