//! One seed: train, select and threshold on training and validation rows, score test rows once.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use candle_core::{Device, Tensor};
use emma_attention::rectified_capacity;
use emma_data::{Samples, generator};
use emma_energy::SeededVarMap;
use emma_models::{
    Batch, Checkpoint, ClassificationMetrics, ConfusionMatrix, TrainedModel, Trainee,
    TrainingConfig, TrainingHistory, TrainingRows, constant_prediction_loss, train, train_together,
    train_without_validation,
};
use rayon::iter::{IntoParallelIterator, IntoParallelRefIterator, ParallelIterator};

use super::conditions::{Condition, UNCORRUPTED, short_names};
use super::data::SeedData;
use super::grid::COLDNESS_SWEEP;
use super::models::{ModelKind, Start};
use super::outcome::{
    ByRule, CandidateOutcome, ModelOutcome, RuleOutcome, SeedOutcome, SweepOutcome,
};
use super::settings::Settings;
use super::unscored::{Training, Unscored};
use crate::digest;
use crate::energies::{Energies, TrainedAutoencoder};
use crate::failure::CommandResult;
use crate::files;
use crate::networks::{DynModel, Tensors};
use crate::progress::Progress;

/// File of a finished seed, written after everything else in its folder.
pub(crate) const OUTCOME_FILE: &str = "outcome.json";
const SPLIT_FILE: &str = "split.json";

/// First values tried until a model learns anything.
const MOST_STARTS: usize = 5;

/// A model has learned something if its validation loss is below this share of the loss of the
/// best constant prediction.
const LEARNED: f64 = 0.99;

/// A model that is trained by itself, kept in files of its own and taken up again: the smallest piece of
/// work that machines share out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Unit {
    pub(crate) kind: ModelKind,
    /// The model's name; for `with`, whose candidates are units, with the candidate's number.
    pub(crate) name: String,
    /// Whether it may become one of the models that are compared; if not, it is there for the coldness
    /// sweep alone.
    pub(crate) may_be_chosen: bool,
}

/// The units of a seed, in the order in which they are shared out.
pub(crate) fn units(settings: &Settings, samples: &Samples) -> CommandResult<Vec<Unit>> {
    let single_modes = (0..samples.n_modes()).map(ModelKind::SingleMode);
    let alone = single_modes.chain([ModelKind::Base, ModelKind::Without, ModelKind::Alternative]);
    let alone = alone.map(|kind| Unit {
        kind,
        name: kind.name(samples),
        may_be_chosen: true,
    });
    let candidates = settings.candidates()?.into_iter().enumerate();
    let candidates = candidates.map(|(number, candidate)| {
        let kind = ModelKind::With(candidate);
        Unit {
            kind,
            name: format!("{}-{number:03}", kind.name(samples)),
            may_be_chosen: true,
        }
    });
    let sweep = settings.rest_of_sweep()?.into_iter().map(|candidate| Unit {
        kind: ModelKind::With(candidate),
        name: format!("coldness-{}", candidate.coldness.value()),
        may_be_chosen: false,
    });
    Ok(alone.chain(candidates).chain(sweep).collect())
}

/// Runs one seed, or reads what an earlier run found.
pub(crate) fn run(
    settings: &Settings,
    samples: &Samples,
    seed: u64,
    folder: &Path,
    device: &Device,
    progress: &Progress,
) -> CommandResult<SeedOutcome> {
    let units = units(settings, samples)?;
    if let Some(outcome) = finished(settings, folder, seed, &units, samples) {
        progress.advance(steps(settings, samples, &units));
        // A run that was killed just before it did so.
        Unscored::of_seed(folder).remove();
        return Ok(outcome);
    }
    let unscored = Unscored::of_seed(folder);
    unscored.prepare()?;
    files::remove_unfinished(folder);
    let seed_run = SeedRun::new(settings, samples, seed, device, progress)?;
    seed_run.train_missing(&units, &unscored)?;
    let outcome = seed_run.finish(&units, &unscored, folder)?;
    unscored.remove();
    Ok(outcome)
}

/// Trains some units of a seed and scores nothing: those who have the others do.
pub(crate) fn run_share(
    settings: &Settings,
    samples: &Samples,
    seed: u64,
    units: &[Unit],
    folder: &Path,
    device: &Device,
    progress: &Progress,
) -> CommandResult<()> {
    let unscored = Unscored::of_seed(folder);
    unscored.prepare()?;
    let seed_run = SeedRun::new(settings, samples, seed, device, progress)?;
    seed_run.train_missing(units, &unscored)
}

/// Progress steps (epochs) of units of one seed.
pub(crate) fn steps(settings: &Settings, samples: &Samples, units: &[Unit]) -> u64 {
    let first = Foundation::of(units);
    let stage_one = samples.n_modes() * settings.autoencoder_training.n_epochs;
    let has_base = units.iter().any(|unit| unit.kind == ModelKind::Base);
    let models = units.len() + usize::from(first.base && !has_base);
    (usize::from(first.energies) * stage_one + models * settings.training.n_epochs) as u64
}

/// What must be trained before some units can be.
struct Foundation {
    /// `base`, itself or as first values.
    base: bool,
    /// Autoencoders.
    energies: bool,
}

impl Foundation {
    fn of(units: &[Unit]) -> Self {
        let needs_base =
            |kind: ModelKind| kind == ModelKind::Base || kind.learns_from_corrupted_rows();
        Self {
            base: units.iter().any(|unit| needs_base(unit.kind)),
            energies: units
                .iter()
                .any(|unit| matches!(unit.kind, ModelKind::With(_))),
        }
    }
}

/// What an earlier run found, if it found all of it and its files are still there.
fn finished(
    settings: &Settings,
    folder: &Path,
    seed: u64,
    units: &[Unit],
    samples: &Samples,
) -> Option<SeedOutcome> {
    let text = std::fs::read_to_string(folder.join(OUTCOME_FILE)).ok()?;
    let outcome: SeedOutcome = serde_json::from_str(&text).ok()?;
    let conditions = Condition::all(&settings.data.modes).ok()?;
    let complete = units
        .iter()
        .map(|unit| unit.kind.name(samples))
        .all(|name| {
            let scored = |model: &ModelOutcome| {
                let mut conditions = conditions.iter();
                conditions.all(|condition| model.test.contains_key(&condition.name))
            };
            outcome.models.get(&name).is_some_and(scored)
                && folder.join(model_file(&name)).is_file()
        });
    // Earlier versions had no sweep of the coldness.
    let swept = outcome.models.values().any(|model| {
        let values = model.coldness_sweep.iter().map(|point| point.coldness);
        values.eq(COLDNESS_SWEEP)
    });
    (complete && swept && outcome.seed == seed && folder.join(SPLIT_FILE).is_file())
        .then_some(outcome)
}

/// The file of a model in a seed's folder.
pub(crate) fn model_file(name: &str) -> String {
    format!("{name}.safetensors")
}

/// What all models of a seed share.
struct SeedRun<'a> {
    settings: &'a Settings,
    samples: &'a Samples,
    seed: u64,
    device: &'a Device,
    progress: &'a Progress,
    data: SeedData,
}

/// A model that is trained and has no thresholds yet.
struct Fit {
    /// The start that did best.
    attempt: usize,
    starts: usize,
    variables: SeededVarMap,
    history: TrainingHistory,
    /// When its training began.
    start: Instant,
    /// Models that share the time.
    sharers: usize,
}

/// A model that has its thresholds.
struct Trained {
    checkpoint: Checkpoint,
    variables: Tensors,
    training: Training,
}

/// A model that is to be scored.
struct Chosen {
    kind: ModelKind,
    name: String,
    checkpoint: Checkpoint,
    model: TrainedModel,
    training: Training,
    grid: Vec<CandidateOutcome>,
    coldness_sweep: Vec<SweepOutcome>,
}

/// Rows to learn from.
#[derive(Clone, Copy)]
enum Lesson<'a> {
    Clean(&'a Batch),
    /// Corrupted ones, with their potential energies if the model is EMMA.
    Corrupted(&'a SeedRun<'a>, Option<&'a Energies>),
}

impl TrainingRows for Lesson<'_> {
    fn of_epoch(&mut self, epoch: usize) -> emma_models::Result<Batch> {
        match self {
            Self::Clean(batch) => batch.of_epoch(epoch),
            Self::Corrupted(seed_run, energies) => {
                let draw = if seed_run.settings.noise_each_epoch {
                    epoch
                } else {
                    1
                };
                let batch = seed_run.data.corrupted_train(draw);
                batch
                    .and_then(|batch| match energies {
                        Some(energies) => energies.annotate(batch),
                        None => Ok(batch),
                    })
                    .map_err(|failure| emma_models::Error::Rows {
                        epoch,
                        source: failure.to_string().into(),
                    })
            }
        }
    }
}

/// A lesson with the validation rows added, for retraining.
struct WithValidation<'a> {
    lesson: Lesson<'a>,
    validation: &'a Batch,
}

impl TrainingRows for WithValidation<'_> {
    fn of_epoch(&mut self, epoch: usize) -> emma_models::Result<Batch> {
        self.lesson.of_epoch(epoch)?.followed_by(self.validation)
    }
}

impl<'a> SeedRun<'a> {
    fn new(
        settings: &'a Settings,
        samples: &'a Samples,
        seed: u64,
        device: &'a Device,
        progress: &'a Progress,
    ) -> CommandResult<Self> {
        Ok(Self {
            settings,
            samples,
            seed,
            device,
            progress,
            data: SeedData::new(samples, seed, settings, device)?,
        })
    }

    /// Trains the units that are not yet there, in parallel where none waits for another.
    fn train_missing(&self, units: &[Unit], unscored: &Unscored) -> CommandResult<()> {
        let missing: Vec<Unit> = units
            .iter()
            .filter(|unit| !(unscored.has(&unit.name) && knows_capacity(unit, unscored)))
            .cloned()
            .collect();
        let all_steps = steps(self.settings, self.samples, units);
        let missing_steps = steps(self.settings, self.samples, &missing);
        self.progress.advance(all_steps - missing_steps);
        if missing.is_empty() {
            return Ok(());
        }
        let clean = self.data.train.batch()?;
        let clean_validation = self.data.validation.batch()?;
        let no_energies = Energies::new(Vec::new())?;
        let learn_clean = |kind| {
            let lesson = Lesson::Clean(&clean);
            let no_values = Tensors::new();
            self.train(kind, &no_energies, lesson, &clean_validation, &no_values)
        };
        let keep = |unit: &Unit, trained: &Trained| {
            unscored.keep(&unit.name, &trained.checkpoint, &trained.training)
        };
        let foundation = Foundation::of(&missing);
        let of_kind = |wanted: fn(ModelKind) -> bool| -> Vec<&Unit> {
            missing.iter().filter(|unit| wanted(unit.kind)).collect()
        };
        let single_modes = of_kind(|kind| matches!(kind, ModelKind::SingleMode(_)));
        let learn_base = || -> CommandResult<Tensors> {
            if !foundation.base {
                return Ok(Tensors::new());
            }
            let base = learn_clean(ModelKind::Base)?;
            let mut unit = missing.iter().filter(|unit| unit.kind == ModelKind::Base);
            unit.try_for_each(|unit| keep(unit, &base))?;
            Ok(base.variables)
        };
        let (autoencoders, (base, others)) = rayon::join(
            || {
                let n_modes = usize::from(foundation.energies) * self.samples.n_modes();
                (0..n_modes)
                    .into_par_iter()
                    .map(|mode| self.train_autoencoder(mode, &clean.modes()[mode]))
                    .collect::<CommandResult<Vec<_>>>()
            },
            || {
                rayon::join(learn_base, || {
                    single_modes
                        .par_iter()
                        .try_for_each(|unit| keep(unit, &learn_clean(unit.kind)?))
                })
            },
        );
        others?;
        let (mut energies, base) = (Energies::new(autoencoders?)?, base?);
        if foundation.energies {
            let modes = self.samples.modes().iter();
            let names: Vec<&str> = modes.map(|mode| mode.name.as_str()).collect();
            energies.calibrate(&names, &clean_validation)?;
        }

        let corrupted = of_kind(ModelKind::learns_from_corrupted_rows);
        if corrupted.is_empty() {
            return Ok(());
        }
        let mut validation = self.corrupted_validation()?;
        if foundation.energies {
            validation = energies.annotate(validation)?;
        }
        let (candidates, others): (Vec<&Unit>, Vec<&Unit>) = corrupted
            .into_iter()
            .partition(|unit| matches!(unit.kind, ModelKind::With(_)));
        let (candidates, others) = rayon::join(
            || self.train_candidates(&candidates, &energies, &validation, &base, unscored),
            || {
                others.par_iter().try_for_each(|unit| {
                    let lesson = Lesson::Corrupted(self, None);
                    let trained = self.train(unit.kind, &energies, lesson, &validation, &base)?;
                    keep(unit, &trained)
                })
            },
        );
        candidates.and(others)
    }

    /// All draws of the corrupted validation rows, one after the other.
    fn corrupted_validation(&self) -> CommandResult<Batch> {
        let part = &self.data.validation;
        let mut draws = self.data.corrupted_validation.iter();
        let first = draws.next().context("no draw of validation noise")?;
        draws.try_fold(part.corrupted_batch(first)?, |all, draw| {
            CommandResult::Ok(all.followed_by(&part.corrupted_batch(draw)?)?)
        })
    }

    fn train_autoencoder(&self, mode: usize, rows: &Tensor) -> CommandResult<TrainedAutoencoder> {
        let name = &self.samples.modes()[mode].name;
        let n_hidden = self.settings.autoencoder_hidden;
        let training = &self.settings.autoencoder_training;
        let trained = TrainedAutoencoder::train(name, rows, n_hidden, training, self.seed)?;
        self.progress
            .advance(self.settings.autoencoder_training.n_epochs as u64);
        Ok(trained)
    }

    /// Trains one model from the given first values and chooses its thresholds.
    fn train(
        &self,
        kind: ModelKind,
        energies: &Energies,
        lesson: Lesson<'_>,
        validation: &Batch,
        first_values: &Tensors,
    ) -> CommandResult<Trained> {
        let start = Instant::now();
        let mut rng = kind.training_generator(self.samples, self.seed);
        // Who starts from a model that has learned is not born dead.
        let most_starts = if first_values.is_empty() {
            MOST_STARTS
        } else {
            1
        };
        let mut best: Option<(usize, SeededVarMap, TrainingHistory)> = None;
        let mut starts = 0;
        while starts < most_starts && !self.has_learned(best.as_ref(), validation)? {
            starts += 1;
            let (model, variables) = self.build(kind, energies, first_values, starts)?;
            let history = train(
                &model,
                &variables,
                lesson,
                validation,
                &self.settings.training,
                &mut rng,
                |_| self.progress.advance(u64::from(starts == 1)),
            )?;
            let better = best.as_ref().is_none_or(|(.., best)| {
                history.best_validation_loss() < best.best_validation_loss()
            });
            if better {
                best = Some((starts, variables, history));
            }
        }
        let (attempt, variables, history) = best.context("no model was trained")?;
        let fit = Fit {
            attempt,
            starts,
            variables,
            history,
            start,
            sharers: 1,
        };
        self.conclude(kind, energies, lesson, validation, first_values, fit)
    }

    /// Trains candidates for `with` side by side, and keeps them.
    ///
    /// They share their random streams, so that only the hyper-parameters differ, and hence the rows of
    /// every epoch.
    fn train_candidates(
        &self,
        units: &[&Unit],
        energies: &Energies,
        validation: &Batch,
        base: &Tensors,
        unscored: &Unscored,
    ) -> CommandResult<()> {
        let Some(kind) = units.first().map(|unit| unit.kind) else {
            return Ok(());
        };
        let start = Instant::now();
        let lesson = Lesson::Corrupted(self, Some(energies));
        let built = units
            .iter()
            .map(|unit| self.build(unit.kind, energies, base, 1))
            .collect::<CommandResult<Vec<_>>>()?;
        let trainees: Vec<Trainee<'_, _>> = built
            .iter()
            .map(|(model, variables)| Trainee { model, variables })
            .collect();
        let histories = train_together(
            &trainees,
            lesson,
            validation,
            &self.settings.training,
            &mut kind.training_generator(self.samples, self.seed),
            |_, _| self.progress.advance(1),
        )?;
        let fits = built.into_iter().zip(histories);
        let fits: Vec<(&&Unit, Fit)> = units
            .iter()
            .zip(fits)
            .map(|(unit, ((_, variables), history))| {
                let fit = Fit {
                    attempt: 1,
                    starts: 1,
                    variables,
                    history,
                    start,
                    sharers: units.len(),
                };
                (unit, fit)
            })
            .collect();
        fits.into_par_iter().try_for_each(|(unit, fit)| {
            let trained = self.conclude(unit.kind, energies, lesson, validation, base, fit)?;
            unscored.keep(&unit.name, &trained.checkpoint, &trained.training)
        })
    }

    fn build(
        &self,
        kind: ModelKind,
        energies: &Energies,
        first_values: &Tensors,
        attempt: usize,
    ) -> CommandResult<(Box<DynModel>, SeededVarMap)> {
        let start = Start {
            seed: self.seed,
            attempt,
            first_values,
        };
        kind.begin(self.settings, self.samples, energies, &start, self.device)
    }

    /// Chooses thresholds for a model, and trains it again on more rows if that is asked for.
    fn conclude(
        &self,
        kind: ModelKind,
        energies: &Energies,
        lesson: Lesson<'_>,
        validation: &Batch,
        first_values: &Tensors,
        fit: Fit,
    ) -> CommandResult<Trained> {
        let history = fit.history;
        let stage_two_values = fit.variables.snapshot()?;
        let mut tensors = stage_two_values.clone();
        let mut metadata =
            kind.metadata(self.settings, self.samples, self.seed, history.best_epoch);

        let stage_two = self.checkpoint(kind, &metadata, energies, &tensors)?;
        let stage_two = TrainedModel::from_checkpoint(&stage_two, self.device)?;
        let probabilities = predict_standardized(kind, &stage_two, validation.modes())?;
        // The labels of one draw after those of the other.
        let labels = self.data.validation.labels();
        let labels = &labels.repeat(probabilities.len() / labels.len());
        let thresholds = ByRule::of(|rule| rule.choose(&probabilities, labels))?;
        let rule = self.settings.threshold_rule;
        let threshold = *thresholds
            .get(rule)
            .context("a rule that is not compared")?;
        let validation_f1 = ConfusionMatrix::at_threshold(&probabilities, labels, threshold)?.f1();

        if self.settings.retrain {
            // The threshold stays: no row is left to choose another one on.
            // One draw of them: the others are the same rows again.
            let validation = &validation.narrow(0, self.data.validation.n_rows())?;
            let all_rows = WithValidation { lesson, validation };
            let config = TrainingConfig {
                n_epochs: history.best_epoch,
                ..self.settings.training
            };
            let (model, variables) = self.build(kind, energies, first_values, fit.attempt)?;
            let stream = format!("{} retraining", kind.name(self.samples));
            let mut rng = generator(self.seed, &stream);
            train_without_validation(&model, &variables, all_rows, &config, &mut rng)?;
            tensors = variables.snapshot()?;
        }
        metadata.threshold = threshold;
        Ok(Trained {
            checkpoint: self.checkpoint(kind, &metadata, energies, &tensors)?,
            // Not the retrained ones: those have seen the validation rows, on which the models that
            // start from here are still to be chosen.
            variables: stage_two_values,
            training: Training {
                validation_f1,
                thresholds,
                rectified_capacity: capacity_of(&stage_two)?,
                starts: fit.starts,
                history,
                seconds: fit.start.elapsed().as_secs_f64() / fit.sharers as f64,
            },
        })
    }

    /// Whether training found anything: a network of a few ReLU units may start with all of them
    /// dead, and then predicts the same for every row.
    fn has_learned(
        &self,
        best: Option<&(usize, SeededVarMap, TrainingHistory)>,
        validation: &Batch,
    ) -> CommandResult<bool> {
        let Some((.., history)) = best else {
            return Ok(false);
        };
        let constant = constant_prediction_loss(validation.labels(), &self.settings.training)?;
        Ok(history.best_validation_loss() < LEARNED * constant)
    }

    /// The model as its file will have it.
    fn checkpoint(
        &self,
        kind: ModelKind,
        metadata: &emma_models::ModelMetadata,
        energies: &Energies,
        variables: &Tensors,
    ) -> CommandResult<Checkpoint> {
        let mut tensors = variables.clone();
        if matches!(kind, ModelKind::With(_)) {
            tensors.extend(energies.tensors.clone());
        }
        for (mode, fitted) in self.samples.modes().iter().zip(&self.data.standardization) {
            if metadata.modes.iter().any(|kept| kept.name == mode.name) {
                for (part, values) in [("mean", fitted.mean()), ("std", fitted.std())] {
                    let tensor = Tensor::new(values, &Device::Cpu)?;
                    tensors.insert(format!("standardize.{}.{part}", mode.name), tensor);
                }
            }
        }
        Ok(Checkpoint::new(metadata.clone(), tensors)?)
    }

    /// Chooses among the candidates, scores what is chosen on the test rows, and writes the seed's
    /// files.
    fn finish(
        &self,
        units: &[Unit],
        unscored: &Unscored,
        folder: &Path,
    ) -> CommandResult<SeedOutcome> {
        let chosen = self.choose(units, unscored)?;
        let split = serde_json::to_vec(&self.data.split).context("cannot write the split")?;
        files::write(&folder.join(SPLIT_FILE), &split)?;
        for model in &chosen {
            let path = folder.join(model_file(&model.name));
            files::write(&path, &model.checkpoint.to_bytes()?)?;
        }
        let outcome = SeedOutcome {
            seed: self.seed,
            split_sha256: digest::of_bytes(&split),
            models: self.score(chosen)?,
        };
        files::write_json(&folder.join(OUTCOME_FILE), &outcome)?;
        Ok(outcome)
    }

    /// Every model as its file has it, so that what is scored is what is saved; of the candidates for
    /// `with` the one of the highest validation F1, the first of equals.
    fn choose(&self, units: &[Unit], unscored: &Unscored) -> CommandResult<Vec<Chosen>> {
        let mut best: Vec<(&Unit, Training)> = Vec::new();
        let mut grid = Vec::new();
        let mut coldness_sweep = Vec::new();
        let mut grid_seconds = 0.;
        for unit in units {
            let lost = || format!("lost {} of seed {}", unit.name, self.seed);
            let training = unscored.training(&unit.name).with_context(lost)?;
            if let (ModelKind::With(candidate), Some(rectified_capacity)) =
                (unit.kind, training.rectified_capacity)
                && candidate.is_plain()
            {
                coldness_sweep.push(SweepOutcome {
                    coldness: candidate.coldness.value(),
                    validation_f1: training.validation_f1,
                    rectified_capacity,
                });
            }
            if !unit.may_be_chosen {
                continue;
            }
            if matches!(unit.kind, ModelKind::With(_)) {
                grid.push(CandidateOutcome {
                    hyperparameters: unit.kind.hyperparameters(),
                    validation_f1: training.validation_f1,
                });
                grid_seconds += training.seconds;
                if let Some((rival, earlier)) = best.last_mut()
                    && matches!(rival.kind, ModelKind::With(_))
                {
                    if training.validation_f1 > earlier.validation_f1 {
                        (*rival, *earlier) = (unit, training);
                    }
                    continue;
                }
            }
            best.push((unit, training));
        }
        coldness_sweep.sort_by(|a, b| a.coldness.total_cmp(&b.coldness));
        let chosen = |(unit, mut training): (&Unit, Training)| {
            let checkpoint = unscored.checkpoint(&unit.name)?;
            let (mut model_grid, mut model_sweep) = (Vec::new(), Vec::new());
            if matches!(unit.kind, ModelKind::With(_)) {
                // All the time it took to find it.
                training.seconds = grid_seconds;
                model_grid.clone_from(&grid);
                model_sweep.clone_from(&coldness_sweep);
            }
            Ok(Chosen {
                kind: unit.kind,
                name: unit.kind.name(self.samples),
                model: TrainedModel::from_checkpoint(&checkpoint, self.device)?,
                checkpoint,
                training,
                grid: model_grid,
                coldness_sweep: model_sweep,
            })
        };
        best.into_iter().map(chosen).collect()
    }

    /// Scores test rows in every condition: clean ones as `emma score` would, the others after
    /// standardization.
    fn score(&self, chosen: Vec<Chosen>) -> CommandResult<BTreeMap<String, ModelOutcome>> {
        let labels = &self.data.test.labels();
        let mut models: BTreeMap<String, ModelOutcome> = BTreeMap::new();
        let mut scorers = Vec::with_capacity(chosen.len());
        for model in chosen {
            let outcome = ModelOutcome {
                test: BTreeMap::new(),
                validation_f1: model.training.validation_f1,
                threshold: model.checkpoint.metadata().threshold,
                threshold_rules: model.training.thresholds.map(|threshold| RuleOutcome {
                    threshold,
                    f1: BTreeMap::new(),
                }),
                hyperparameters: model.kind.hyperparameters(),
                grid: model.grid,
                coldness_sweep: model.coldness_sweep,
                starts: model.training.starts,
                history: model.training.history,
                training_seconds: model.training.seconds,
            };
            models.insert(model.name.clone(), outcome);
            scorers.push((model.name, model.kind, model.model));
        }
        let modes = &self.settings.data.modes;
        let short_names = short_names(modes, self.settings.noise_std)?;
        for condition in Condition::all(modes)? {
            let is_clean = condition.name == UNCORRUPTED;
            let rows = if is_clean {
                self.data.test.raw_tensors()?
            } else {
                self.data.corrupted_test(&condition, self.settings)?
            };
            let short = short_names
                .iter()
                .filter(|(_, long)| *long == condition.name);
            let names: Vec<&String> = std::iter::once(&condition.name)
                .chain(short.map(|(short, _)| short))
                .collect();
            for (name, kind, model) in &scorers {
                let probabilities = if is_clean {
                    model.probabilities(own_modes(*kind, &rows))?
                } else {
                    predict_standardized(*kind, model, &rows)?
                };
                let outcome = models.get_mut(name).context("a model without outcome")?;
                let metrics = ClassificationMetrics::of(&probabilities, labels, outcome.threshold)?;
                for &name in &names {
                    outcome.test.insert(name.clone(), metrics);
                }
                let rules = &mut outcome.threshold_rules;
                for rule in [&mut rules.max_f1, &mut rules.roc_corner] {
                    let counts =
                        ConfusionMatrix::at_threshold(&probabilities, labels, rule.threshold)?;
                    rule.f1.insert(condition.name.clone(), counts.f1());
                }
            }
        }
        Ok(models)
    }
}

/// Whether what the sweep needs was kept: earlier versions did not.
fn knows_capacity(unit: &Unit, unscored: &Unscored) -> bool {
    let capacity = || unscored.training(&unit.name)?.rectified_capacity;
    !matches!(unit.kind, ModelKind::With(_)) || capacity().is_some()
}

/// Of the attention function that EMMA applies.
fn capacity_of(model: &TrainedModel) -> CommandResult<Option<f64>> {
    let Some(coupled) = model.emma() else {
        return Ok(None);
    };
    let [gain, bias] = [coupled.emma.gain(), coupled.emma.attention_bias()]
        .map(|parameter| emma_energy::transfer::scalar(&parameter.squeeze(0)?));
    Ok(Some(rectified_capacity(gain?, bias?)))
}

fn predict_standardized(
    kind: ModelKind,
    model: &TrainedModel,
    modes: &[Tensor],
) -> CommandResult<Vec<f32>> {
    Ok(model.probabilities_standardized(own_modes(kind, modes))?)
}

/// The modes that a model's file knows.
fn own_modes(kind: ModelKind, modes: &[Tensor]) -> &[Tensor] {
    match kind {
        ModelKind::SingleMode(mode) => &modes[mode..=mode],
        _ => modes,
    }
}
