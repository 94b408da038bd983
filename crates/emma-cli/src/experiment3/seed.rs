//! One seed: train, select and threshold on training and validation rows, score test rows once.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use candle_core::{Device, Tensor};
use emma_attention::Coldness;
use emma_data::{Samples, generator};
use emma_energy::SeededVarMap;
use emma_models::{
    Batch, Checkpoint, ClassificationMetrics, ConfusionMatrix, TrainedModel, TrainingConfig,
    TrainingHistory, TrainingRows, constant_prediction_loss, train, train_without_validation,
};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::data::{SeedData, UNCORRUPTED};
use super::models::{Energies, ModelKind, Tensors, TrainedAutoencoder};
use super::outcome::{ModelOutcome, SeedOutcome};
use super::settings::Settings;
use crate::failure::CommandResult;
use crate::files;
use crate::progress::Progress;

/// File of a finished seed, written after everything else in its folder.
const OUTCOME_FILE: &str = "outcome.json";
const SPLIT_FILE: &str = "split.json";

/// First values tried until a model learns anything.
const MOST_STARTS: usize = 5;

/// A model has learned something if its validation loss is below this share of the loss of the
/// best constant prediction.
const LEARNED: f64 = 0.99;

/// Runs one seed, or reads what an earlier run found.
pub(crate) fn run(
    settings: &Settings,
    samples: &Samples,
    seed: u64,
    folder: &Path,
    device: &Device,
    progress: &Progress,
) -> CommandResult<SeedOutcome> {
    let steps = steps(settings, samples);
    if let Some(outcome) = finished(folder, seed, samples) {
        progress.advance(steps);
        return Ok(outcome);
    }
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    files::remove_unfinished(folder);
    let seed_run = SeedRun::new(settings, samples, seed, device, progress)?;
    files::write(
        &folder.join(SPLIT_FILE),
        &serde_json::to_vec(&seed_run.data.split).context("cannot write the split")?,
    )?;
    let mut models = BTreeMap::new();
    for trained in seed_run.train_all()? {
        let name = trained.kind.name(samples);
        let path = folder.join(model_file(&name));
        files::write(&path, &trained.checkpoint.to_bytes()?)?;
        models.insert(name, seed_run.evaluate(trained)?);
    }
    let outcome = SeedOutcome { seed, models };
    files::write_json(&folder.join(OUTCOME_FILE), &outcome)?;
    Ok(outcome)
}

/// Progress steps (epochs) of one seed.
pub(crate) fn steps(settings: &Settings, samples: &Samples) -> u64 {
    let stage_one = samples.n_modes() * settings.autoencoder_training.n_epochs;
    // Single modes, base, without, alternative, and `with` at every coldness.
    let models = samples.n_modes() + 3 + settings.coldness.len();
    (stage_one + models * settings.training.n_epochs) as u64
}

/// What an earlier run found, if it found all of it and its files are still there.
fn finished(folder: &Path, seed: u64, samples: &Samples) -> Option<SeedOutcome> {
    let text = std::fs::read_to_string(folder.join(OUTCOME_FILE)).ok()?;
    let outcome: SeedOutcome = serde_json::from_str(&text).ok()?;
    let single_modes = (0..samples.n_modes()).map(ModelKind::SingleMode);
    let complete = single_modes
        .chain([
            ModelKind::Base,
            ModelKind::Without,
            ModelKind::Alternative,
            ModelKind::With(Coldness::default()),
        ])
        .map(|kind| kind.name(samples))
        .all(|name| outcome.models.contains_key(&name) && folder.join(model_file(&name)).is_file());
    (complete && outcome.seed == seed && folder.join(SPLIT_FILE).is_file()).then_some(outcome)
}

fn model_file(name: &str) -> String {
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

/// A model that has its threshold.
struct Trained {
    kind: ModelKind,
    checkpoint: Checkpoint,
    model: TrainedModel,
    variables: Tensors,
    history: TrainingHistory,
    starts: usize,
    validation_f1: f64,
    seconds: f64,
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

    /// All models, in parallel where none waits for another.
    ///
    /// The candidates for `with` share its random streams, so that only the coldness differs.
    fn train_all(&self) -> CommandResult<Vec<Trained>> {
        let clean = self.data.train.batch()?;
        let clean_validation = self.data.validation.batch()?;
        let n_modes = self.samples.n_modes();
        let no_energies = Energies::new(Vec::new())?;
        let learn_clean = |kind| {
            let lesson = Lesson::Clean(&clean);
            self.train(
                kind,
                &no_energies,
                lesson,
                &clean_validation,
                &Tensors::new(),
            )
        };
        let (autoencoders, first) = rayon::join(
            || {
                (0..n_modes)
                    .into_par_iter()
                    .map(|mode| self.train_autoencoder(mode, &clean.modes()[mode]))
                    .collect::<CommandResult<Vec<_>>>()
            },
            || {
                rayon::join(
                    || learn_clean(ModelKind::Base),
                    || {
                        (0..n_modes)
                            .into_par_iter()
                            .map(|mode| learn_clean(ModelKind::SingleMode(mode)))
                            .collect::<CommandResult<Vec<_>>>()
                    },
                )
            },
        );
        let energies = Energies::new(autoencoders?)?;
        let (base, single_modes) = (first.0?, first.1?);

        let validation = self.corrupted_validation(&energies)?;
        let learn_corrupted = |kind| {
            let has_emma = matches!(kind, ModelKind::With(_));
            let lesson = Lesson::Corrupted(self, has_emma.then_some(&energies));
            self.train(kind, &energies, lesson, &validation, &base.variables)
        };
        let (baselines, with) = rayon::join(
            || {
                rayon::join(
                    || learn_corrupted(ModelKind::Without),
                    || learn_corrupted(ModelKind::Alternative),
                )
            },
            || {
                self.settings
                    .coldness
                    .clone()
                    .into_par_iter()
                    .map(|coldness| learn_corrupted(ModelKind::With(Coldness::new(coldness)?)))
                    .collect::<CommandResult<Vec<_>>>()
            },
        );
        let mut models = single_modes;
        models.extend([base, baselines.0?, baselines.1?]);
        models.extend(best_by_validation(with?));
        Ok(models)
    }

    /// All draws of the corrupted validation rows, one after the other.
    fn corrupted_validation(&self, energies: &Energies) -> CommandResult<Batch> {
        let part = &self.data.validation;
        let mut draws = self.data.corrupted_validation.iter();
        let first = draws.next().context("no draw of validation noise")?;
        let all = draws.try_fold(part.corrupted_batch(first)?, |all, draw| {
            CommandResult::Ok(all.followed_by(&part.corrupted_batch(draw)?)?)
        })?;
        energies.annotate(all)
    }

    fn train_autoencoder(&self, mode: usize, rows: &Tensor) -> CommandResult<TrainedAutoencoder> {
        let name = &self.samples.modes()[mode].name;
        let trained = TrainedAutoencoder::train(self.settings, name, rows, self.seed)?;
        self.progress
            .advance(self.settings.autoencoder_training.n_epochs as u64);
        Ok(trained)
    }

    /// Trains one model from the given first values and chooses its threshold.
    fn train(
        &self,
        kind: ModelKind,
        energies: &Energies,
        lesson: Lesson<'_>,
        validation: &Batch,
        first_values: &Tensors,
    ) -> CommandResult<Trained> {
        let start = Instant::now();
        let name = kind.name(self.samples);
        let fresh = |attempt: usize| -> CommandResult<_> {
            let stream = format!("{name} first values {attempt}");
            let variables = SeededVarMap::new(generator(self.seed, &stream));
            for (name, value) in first_values {
                variables.preset(name, value)?;
            }
            let model = kind.build(
                self.settings,
                self.samples,
                energies,
                &variables,
                self.device,
            )?;
            Ok((model, variables))
        };
        let config = self.settings.training;
        let mut rng = generator(self.seed, &format!("{name} training"));
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
            let (model, variables) = fresh(starts)?;
            let history = train(
                &model,
                &variables,
                lesson,
                validation,
                &config,
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
        let stage_two_values = variables.snapshot()?;
        let mut tensors = stage_two_values.clone();
        let mut metadata =
            kind.metadata(self.settings, self.samples, self.seed, history.best_epoch);

        let stage_two = self.checkpoint(kind, &metadata, energies, &tensors)?;
        let probabilities = predict_standardized(kind, &stage_two.1, validation.modes())?;
        // The labels of one draw after those of the other.
        let labels = &self.data.validation.labels;
        let labels = &labels.repeat(probabilities.len() / labels.len());
        let threshold = self
            .settings
            .threshold_rule
            .choose(&probabilities, labels)?;
        let validation_f1 = ConfusionMatrix::at_threshold(&probabilities, labels, threshold)?.f1();

        if self.settings.retrain {
            // The threshold stays: no row is left to choose another one on.
            // One draw of them: the others are the same rows again.
            let validation = &validation.narrow(0, self.data.validation.labels.len())?;
            let all_rows = WithValidation { lesson, validation };
            let config = TrainingConfig {
                n_epochs: history.best_epoch,
                ..config
            };
            let (model, variables) = fresh(attempt)?;
            let mut rng = generator(self.seed, &format!("{name} retraining"));
            train_without_validation(&model, &variables, all_rows, &config, &mut rng)?;
            tensors = variables.snapshot()?;
        }
        metadata.threshold = threshold;
        let (checkpoint, model) = self.checkpoint(kind, &metadata, energies, &tensors)?;
        Ok(Trained {
            kind,
            checkpoint,
            model,
            // Not the retrained ones: those have seen the validation rows, on which the models that
            // start from here are still to be chosen.
            variables: stage_two_values,
            history,
            starts,
            validation_f1,
            seconds: start.elapsed().as_secs_f64(),
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
        let weight = self.settings.training.positive_weight;
        let constant = constant_prediction_loss(validation.labels(), weight)?;
        Ok(history.best_validation_loss() < LEARNED * constant)
    }

    /// The model as its file will have it, so that what is scored is what is saved.
    fn checkpoint(
        &self,
        kind: ModelKind,
        metadata: &emma_models::ModelMetadata,
        energies: &Energies,
        variables: &Tensors,
    ) -> CommandResult<(Checkpoint, TrainedModel)> {
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
        let checkpoint = Checkpoint::new(metadata.clone(), tensors)?;
        let model = TrainedModel::from_checkpoint(&checkpoint, self.device)?;
        Ok((checkpoint, model))
    }

    /// Scores test rows: clean ones as `emma score` would, noisy ones after standardization.
    fn evaluate(&self, trained: Trained) -> CommandResult<ModelOutcome> {
        let threshold = trained.checkpoint.metadata().threshold;
        let labels = &self.data.test.labels;
        let measure =
            |probabilities: &[f32]| ClassificationMetrics::of(probabilities, labels, threshold);
        let raw = self.data.test.raw_tensors()?;
        let clean = trained.model.predict(own_modes(trained.kind, &raw))?;
        let mut test = BTreeMap::from([(UNCORRUPTED.to_owned(), measure(&clean.probabilities)?)]);
        for (mode, corrupted) in self.samples.modes().iter().zip(&self.data.corrupted_test) {
            let probabilities =
                predict_standardized(trained.kind, &trained.model, &corrupted.tensors()?)?;
            test.insert(mode.name.clone(), measure(&probabilities)?);
        }
        Ok(ModelOutcome {
            test,
            validation_f1: trained.validation_f1,
            threshold,
            hyperparameters: trained.kind.hyperparameters(self.settings),
            starts: trained.starts,
            history: trained.history,
            training_seconds: trained.seconds,
        })
    }
}

fn predict_standardized(
    kind: ModelKind,
    model: &TrainedModel,
    modes: &[Tensor],
) -> CommandResult<Vec<f32>> {
    Ok(model
        .predict_standardized(own_modes(kind, modes))?
        .probabilities)
}

/// The modes that a model's file knows.
fn own_modes(kind: ModelKind, modes: &[Tensor]) -> &[Tensor] {
    match kind {
        ModelKind::SingleMode(mode) => &modes[mode..=mode],
        _ => modes,
    }
}

/// The candidate of the highest validation F1 (the first of equals), with all the time it took to
/// find it.
fn best_by_validation(candidates: Vec<Trained>) -> Option<Trained> {
    let seconds = candidates.iter().map(|candidate| candidate.seconds).sum();
    let best = candidates.into_iter().reduce(|best, candidate| {
        if candidate.validation_f1 > best.validation_f1 {
            candidate
        } else {
            best
        }
    });
    best.map(|best| Trained { seconds, ..best })
}
