//! From rows to a model: energies, base, stage two, threshold.

use std::time::{Duration, Instant};

use anyhow::Context;
use candle_core::{Device, Tensor};
use emma_attention::Regularizers;
use emma_data::{ModeCorruption, generator};
use emma_energy::SeededVarMap;
use emma_models::checkpoint::Kind;
use emma_models::trained::{ALTERNATIVE_ATTENTION, DENOISING_AUTOENCODER, MLP};
use emma_models::{
    Answers, Batch, Checkpoint, ModeColumns, ModelMetadata, Task, ThresholdRule, TrainedModel,
    Trainee, TrainingHistory, TrainingRows, TrainingSession, constant_prediction_loss,
};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use serde_json::{Map, Value, json};

use super::config::{Config, ModelName};
use super::interruption::Interruption;
use super::outcome::{CandidateMetrics, HistoryRow, Metrics, Outcome, PartSizes};
use super::reporter::Reporter;
use super::rows::{Rows, corrupted_answers, mixture};
use super::state_file::{StageProgress, State, StateFile};
use crate::energies::{Energies, TrainedAutoencoder};
use crate::failure::CommandResult;
use crate::networks::{self, Candidate, DynModel, Front, Shape, Tensors, combinations};
use crate::part::Part;
use crate::task_metrics::{TaskMetrics, targets_of_table};

/// First values tried until a network learns anything: with few ReLU units all may start dead.
pub(super) const MOST_STARTS: usize = 5;

/// A network has learned something if its validation loss is below this share of the loss of the
/// best constant prediction.
const LEARNED: f64 = 0.99;

/// The smallest self-energy weight in training, as in the thesis.
const MINIMUM_SELF_WEIGHT: f64 = 1.;

/// All that a training works with.
pub(crate) struct Pipeline<'a> {
    pub(crate) config: &'a Config,
    pub(crate) rows: &'a Rows,
    pub(crate) device: &'a Device,
    pub(crate) reporter: &'a Reporter,
    pub(crate) interruption: &'a Interruption,
    pub(crate) state_file: &'a StateFile,
    /// Time between two states that are kept.
    pub(crate) save_every: Duration,
}

/// A model that is trained.
pub(super) struct Fit {
    pub(super) tensors: Tensors,
    pub(super) history: TrainingHistory,
}

/// A model that was trained, as its file will hold it, without a threshold yet.
pub(super) struct Learned {
    pub(super) metadata: ModelMetadata,
    pub(super) tensors: Tensors,
    /// Hyper-parameters that validation chooses.
    pub(super) chosen: Map<String, Value>,
}

/// Models with fresh first values, by the number of the attempt.
pub(super) type Build<'a> = dyn Fn(usize) -> CommandResult<Vec<(Box<DynModel>, SeededVarMap)>> + 'a;

/// Models that are trained side by side.
pub(super) struct Stage<'a> {
    pub(super) name: &'a str,
    pub(super) build: &'a Build<'a>,
    pub(super) most_starts: usize,
}

/// Rows to learn from.
#[derive(Clone, Copy)]
enum Lesson<'a> {
    Clean(&'a Batch),
    Corrupted(&'a Pipeline<'a>, &'a Energies),
}

impl TrainingRows for Lesson<'_> {
    fn of_epoch(&mut self, epoch: usize) -> emma_models::Result<Batch> {
        match self {
            Self::Clean(batch) => batch.of_epoch(epoch),
            Self::Corrupted(pipeline, energies) => {
                let mut rng = generator(pipeline.config.seed, &format!("training noise {epoch}"));
                let batch = mixture(&pipeline.rows.train, pipeline.config, &mut rng);
                batch
                    .and_then(|batch| pipeline.annotated(batch, energies))
                    .map_err(|failure| emma_models::Error::Rows {
                        epoch,
                        source: failure.to_string().into(),
                    })
            }
        }
    }
}

impl Pipeline<'_> {
    /// Epochs of a whole training.
    pub(crate) fn n_epochs(config: &Config) -> CommandResult<u64> {
        let stage_one = match config.model {
            ModelName::With => config.modes.len() * config.energy.epochs,
            _ => 0,
        };
        let models = match config.model {
            ModelName::Base | ModelName::EmmaPlus => 1,
            ModelName::With => 1 + candidates(config)?.len(),
            _ => 2,
        };
        Ok((stage_one + models * config.training.epochs) as u64)
    }

    /// Trains from where the state is; nothing if the user stopped it, who finds the state in its file.
    pub(crate) fn run(&self, mut state: State) -> CommandResult<Option<Outcome>> {
        if self.config.model == ModelName::EmmaPlus {
            return self.run_plus(&mut state);
        }
        let Some(mut energies) = self.energies(&mut state)? else {
            return Ok(None);
        };
        let clean = self.rows.train.batch()?;
        let clean_validation = self.rows.validation.batch()?;
        if self.config.model == ModelName::With {
            let modes = self.config.modes.iter();
            let modes: Vec<&str> = modes.map(|mode| mode.name.as_str()).collect();
            energies.calibrate(&modes, &clean_validation)?;
        }
        let name = ModelName::Base.name();
        let build = |attempt| self.build(name, &[Front::Open], &Tensors::new(), &energies, attempt);
        let base = Stage {
            name,
            build: &build,
            most_starts: MOST_STARTS,
        };
        let lesson = Lesson::Clean(&clean);
        let base_history = if let Some(history) = state.progress.base.clone() {
            self.reporter.skip(history.epochs.len() as u64);
            history
        } else {
            let Some(fits) = self.train(&base, lesson, &clean_validation, &mut state)? else {
                return Ok(None);
            };
            let fit = fits.into_iter().next().context("no model was trained")?;
            state.progress.base = Some(fit.history.clone());
            state.base = fit.tensors;
            self.save(&mut state, None)?;
            fit.history
        };
        let modes = state.progress.energies.iter();
        let of_mode = |(mode, losses): &(String, Vec<f64>)| HistoryRow::of_energy(mode, losses);
        let mut history: Vec<HistoryRow> = modes.flat_map(of_mode).collect();
        history.extend(HistoryRow::of(base.name, 0, &base_history));
        if self.config.model == ModelName::Base {
            let fit = Fit {
                tensors: state.base,
                history: base_history,
            };
            let fits = vec![(Front::Open, fit)];
            let learned = self.learned(fits, &energies)?;
            return self
                .conclude(learned, &answers_of(&clean_validation), 1, history)
                .map(Some);
        }
        let validation = self.corrupted_validation(&energies)?;
        let fronts = match self.config.model {
            ModelName::With => candidates(self.config)?
                .into_iter()
                .map(Front::Emma)
                .collect(),
            ModelName::Alternative => vec![Front::Softmax],
            ModelName::Base | ModelName::Without | ModelName::EmmaPlus => vec![Front::Open],
        };
        let first_values = state.base.clone();
        let name = self.config.model.name();
        let build = |attempt| self.build(name, &fronts, &first_values, &energies, attempt);
        let stage = Stage {
            name,
            build: &build,
            // Who starts from a network that has learned is not born dead.
            most_starts: 1,
        };
        let lesson = Lesson::Corrupted(self, &energies);
        let Some(fits) = self.train(&stage, lesson, &validation, &mut state)? else {
            return Ok(None);
        };
        for (index, fit) in fits.iter().enumerate() {
            history.extend(HistoryRow::of(stage.name, index, &fit.history));
        }
        let draws = self.config.training.validation_draws;
        let fits = fronts.iter().copied().zip(fits).collect();
        let learned = self.learned(fits, &energies)?;
        self.conclude(learned, &answers_of(&validation), draws, history)
            .map(Some)
    }

    /// The models of fits, as files will hold them.
    fn learned(&self, fits: Vec<(Front, Fit)>, energies: &Energies) -> CommandResult<Vec<Learned>> {
        let learned = |(front, fit): (Front, Fit)| {
            Ok(Learned {
                metadata: self.metadata(front, fit.history.best_epoch),
                tensors: self.tensors(fit.tensors, energies)?,
                chosen: hyperparameters(front),
            })
        };
        fits.into_iter().map(learned).collect()
    }

    /// Stage one, or none if the model has no energies.
    fn energies(&self, state: &mut State) -> CommandResult<Option<Energies>> {
        if self.config.model != ModelName::With {
            return Ok(Some(Energies::new(Vec::new())?));
        }
        let modes = self.rows.train.tensors()?;
        let training = self.config.energy.training();
        let mut trained = Vec::with_capacity(modes.len());
        let known = state.progress.energies.len();
        for (index, (mode, rows)) in self.config.modes.iter().zip(&modes).enumerate() {
            if index >= known {
                break;
            }
            let losses = state.progress.energies[index].1.clone();
            self.reporter.skip(losses.len() as u64);
            let n_hidden = self.config.energy.n_hidden(mode.columns.len());
            let tensors = &state.energies;
            trained.push(TrainedAutoencoder::restore(
                &mode.name, rows, n_hidden, tensors, losses,
            )?);
        }
        // As many at once as there are threads, so that what is done can be kept in between.
        let at_once = rayon::current_num_threads().max(1);
        while trained.len() < modes.len() {
            let next = trained.len()..modes.len().min(trained.len() + at_once);
            let train = |index: usize| {
                let mode = &self.config.modes[index];
                let n_hidden = self.config.energy.n_hidden(mode.columns.len());
                let seed = self.config.seed;
                TrainedAutoencoder::train(&mode.name, &modes[index], n_hidden, &training, seed)
            };
            let fresh: Vec<CommandResult<TrainedAutoencoder>> = if self.device.is_cpu() {
                next.clone().into_par_iter().map(train).collect()
            } else {
                next.clone().map(train).collect()
            };
            for (index, fresh) in next.zip(fresh) {
                let (mode, fresh) = (&self.config.modes[index].name, fresh?);
                self.reporter.energy(mode, &fresh.losses);
                state.energies.extend(fresh.tensors.clone());
                let done = (mode.clone(), fresh.losses.clone());
                state.progress.energies.push(done);
                trained.push(fresh);
            }
            self.save(state, None)?;
            if self.interruption.is_wanted() {
                return Ok(None);
            }
        }
        Ok(Some(Energies::new(trained)?))
    }

    /// Trains the models of a stage, the best of several starts if one is born dead; nothing if the user
    /// stopped it.
    pub(super) fn train(
        &self,
        stage: &Stage<'_>,
        mut lesson: impl TrainingRows,
        validation: &Batch,
        state: &mut State,
    ) -> CommandResult<Option<Vec<Fit>>> {
        let config = self.config.training.training(self.rows.loss());
        let taken_up = state.progress.stage.take();
        let mut taken_up = taken_up.filter(|taken_up| taken_up.name == stage.name);
        let mut attempt = taken_up.as_ref().map_or(1, |taken_up| taken_up.attempt);
        let mut best = taken_up.as_ref().and_then(|taken_up| {
            let history = taken_up.best.clone()?;
            let tensors = std::mem::take(&mut state.best);
            Some(Fit { tensors, history })
        });
        loop {
            let built = (stage.build)(attempt)?;
            let trainees: Vec<Trainee<'_, _>> = built
                .iter()
                .map(|(model, variables)| Trainee { model, variables })
                .collect();
            let stream = format!("{} training {attempt}", stage.name);
            let mut rng = generator(self.config.seed, &stream);
            let mut session = match taken_up.take() {
                Some(progress) => {
                    let position = progress.generator_position.parse();
                    rng.set_word_pos(position.context("the generator's position is no number")?);
                    for history in &progress.histories {
                        self.reporter.skip(history.epochs.len() as u64);
                    }
                    state.progress.stage = Some(progress);
                    let states = state.training_states();
                    TrainingSession::resume(&trainees, validation, &config, states)?
                }
                None => TrainingSession::new(&trainees, validation, &config)?,
            };
            let mut saved = Instant::now();
            while !session.is_over() {
                session.epoch(&mut lesson, &mut rng, |index, losses| {
                    self.reporter.epoch(stage.name, index, built.len(), losses);
                })?;
                let stop = self.interruption.is_wanted();
                if stop || saved.elapsed() >= self.save_every {
                    let states = session.states()?;
                    let progress = StageProgress {
                        name: stage.name.to_owned(),
                        attempt,
                        best: best.as_ref().map(|best| best.history.clone()),
                        histories: states.iter().map(|state| state.history.clone()).collect(),
                        n_steps: states.iter().map(|state| state.optimizer.n_steps).collect(),
                        generator_position: rng.get_word_pos().to_string(),
                    };
                    state.models = states
                        .iter()
                        .map(emma_models::TrainingState::tensors)
                        .collect();
                    state.best = best
                        .as_ref()
                        .map_or(Tensors::new(), |best| best.tensors.clone());
                    self.save(state, Some(progress))?;
                    saved = Instant::now();
                    if stop {
                        return Ok(None);
                    }
                }
            }
            let histories = session.finish()?;
            let mut fits = Vec::with_capacity(histories.len());
            for ((_, variables), history) in built.iter().zip(histories) {
                let tensors = variables.snapshot()?;
                fits.push(Fit { tensors, history });
            }
            state.progress.stage = None;
            if stage.most_starts == 1 {
                return Ok(Some(fits));
            }
            for fit in fits {
                let loss = fit.history.best_validation_loss();
                if best
                    .as_ref()
                    .is_none_or(|best| loss < best.history.best_validation_loss())
                {
                    best = Some(fit);
                }
            }
            let enough = LEARNED * constant_prediction_loss(validation.labels(), &config)?;
            let learned = |best: &Fit| best.history.best_validation_loss() < enough;
            if attempt == stage.most_starts || best.as_ref().is_some_and(learned) {
                return Ok(Some(best.into_iter().collect()));
            }
            attempt += 1;
            self.reporter.note(&format!(
                "{} has learned nothing: other first values, attempt {attempt} of {}",
                stage.name, stage.most_starts
            ));
        }
    }

    /// Keeps what is done.
    fn save(&self, state: &mut State, stage: Option<StageProgress>) -> CommandResult<()> {
        state.progress.stage = stage;
        if state.progress.stage.is_none() {
            state.models.clear();
            state.best.clear();
        }
        self.state_file.write(state)
    }

    fn build(
        &self,
        name: &str,
        fronts: &[Front],
        first_values: &Tensors,
        energies: &Energies,
        attempt: usize,
    ) -> CommandResult<Vec<(Box<DynModel>, SeededVarMap)>> {
        let config = self.config;
        let shape = Shape {
            mode_widths: config.modes.iter().map(|mode| mode.columns.len()).collect(),
            hidden: config.network.hidden(config.n_columns()),
            n_outputs: self.rows.task.n_outputs(),
            minimum_self_weight: MINIMUM_SELF_WEIGHT,
        };
        let stream = format!("{name} first values {attempt}");
        fronts
            .iter()
            .map(|&front| {
                let variables = SeededVarMap::new(generator(config.seed, &stream));
                for (name, value) in first_values {
                    variables.preset(name, &value.to_device(self.device)?)?;
                }
                let model = networks::build(front, &shape, energies, &variables, self.device)?;
                Ok((model, variables))
            })
            .collect()
    }

    /// Adds potential energies if the model has any.
    fn annotated(&self, batch: Batch, energies: &Energies) -> CommandResult<Batch> {
        match self.config.model {
            ModelName::With => energies.annotate(batch),
            _ => Ok(batch),
        }
    }

    /// All draws of the corrupted validation rows, one after the other.
    fn corrupted_validation(&self, energies: &Energies) -> CommandResult<Batch> {
        let draw = |draw: usize| {
            let stream = format!("validation noise {draw}");
            let mut rng = generator(self.config.seed, &stream);
            mixture(&self.rows.validation, self.config, &mut rng)
        };
        let later = 1..self.config.training.validation_draws;
        let all = later.map(draw).try_fold(draw(0)?, |all, next| {
            CommandResult::Ok(all.followed_by(&next?)?)
        })?;
        self.annotated(all, energies)
    }

    /// Chooses on validation rows, measures on test rows, and puts everything together.
    pub(super) fn conclude(
        &self,
        fits: Vec<Learned>,
        answers_of: &dyn Fn(&TrainedModel) -> CommandResult<Answers>,
        n_draws: usize,
        history: Vec<HistoryRow>,
    ) -> CommandResult<Outcome> {
        let targets = targets_of_table(&self.rows.task, &self.rows.validation.targets);
        let targets = targets.repeat(n_draws);
        let mut candidates = Vec::with_capacity(fits.len());
        let mut best: Option<(f64, ModelMetadata, Tensors, TaskMetrics)> = None;
        for learned in fits {
            let Learned {
                mut metadata,
                tensors,
                chosen,
            } = learned;
            let model = self.trained(&metadata, &tensors)?;
            let answers = answers_of(&model)?;
            if let (Task::Binary { .. }, Ok(probabilities)) =
                (&self.rows.task, answers.clone().into_probabilities())
            {
                let labels: Vec<u8> = self.rows.validation.labels().repeat(n_draws);
                let choose = |rule: ThresholdRule| rule.choose(&probabilities, &labels);
                // Combinations are compared where each does best, whatever the rule of the threshold.
                metadata.threshold = choose(ThresholdRule::MaxF1)?;
                let model = self.trained(&metadata, &tensors)?;
                let score = TaskMetrics::of(&model, &answers, &targets)?.score();
                metadata.threshold = choose(self.config.threshold)?;
                let model = self.trained(&metadata, &tensors)?;
                let metrics = TaskMetrics::of(&model, &answers, &targets)?;
                candidates.push(CandidateMetrics::new(chosen, score));
                keep_better(&mut best, score, metadata, tensors, metrics);
            } else {
                let metrics = TaskMetrics::of(&model, &answers, &targets)?;
                let score = metrics.score();
                candidates.push(CandidateMetrics::new(chosen, score));
                keep_better(&mut best, score, metadata, tensors, metrics);
            }
        }
        let (_, mut metadata, mut tensors, validation) = best.context("no model was trained")?;
        let model = self.trained(&metadata, &tensors)?;
        if let Some(abstention) = self.abstention(&model)? {
            tensors.extend(abstention.tensors()?);
            metadata.abstention = Some(abstention.note()?);
        }
        let checkpoint = Checkpoint::new(metadata.clone(), tensors)?;
        let model = TrainedModel::from_checkpoint(&checkpoint, self.device)?;
        let sizes = PartSizes {
            train: self.rows.train.n_rows(),
            validation: self.rows.validation.n_rows(),
            test: self.rows.test.n_rows(),
            calibration: self.rows.calibration.as_ref().map_or(0, Part::n_rows),
            left_out: self.rows.n_left_out,
        };
        let is_binary = matches!(self.rows.task, Task::Binary { .. });
        let metrics = Metrics {
            model: self.config.model.name().to_owned(),
            task: self.rows.task.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            data_sha256: self.rows.sha256.clone(),
            seed: self.config.seed,
            rows: sizes,
            candidates: if candidates.len() > 1 {
                candidates
            } else {
                Vec::new()
            },
            chosen: metadata.training.clone(),
            threshold_rule: is_binary.then_some(self.config.threshold),
            threshold: is_binary.then_some(metadata.threshold),
            validation,
            test: self.test(&model)?,
        };
        Ok(Outcome {
            checkpoint,
            metrics,
            history,
        })
    }

    /// Measures on clean test rows and on such with one mode corrupted or missing.
    fn test(&self, model: &TrainedModel) -> CommandResult<Vec<(String, TaskMetrics)>> {
        let test = &self.rows.test;
        let targets = targets_of_table(&self.rows.task, &test.targets);
        let clean = model.predict(&test.raw_tensors()?)?.answers;
        let mut all = vec![(
            "uncorrupted".to_owned(),
            TaskMetrics::of(model, &clean, &targets)?,
        )];
        let kinds = &self.config.training.corruption;
        let missing = emma_data::Corruption::Missing;
        let kinds = kinds
            .iter()
            .filter(|kind| **kind != missing)
            .chain([&missing]);
        for mode in &self.config.modes {
            for &kind in kinds.clone() {
                let corruption = ModeCorruption::new(mode.name.clone(), kind)?;
                let name = corruption.to_string();
                let mut rng = generator(self.config.seed, &format!("test {name}"));
                let modes = &self.config.modes;
                let answers = corrupted_answers(test, modes, &corruption, model, &mut rng)?;
                all.push((name, TaskMetrics::of(model, &answers, &targets)?));
            }
        }
        Ok(all)
    }

    fn trained(&self, metadata: &ModelMetadata, tensors: &Tensors) -> CommandResult<TrainedModel> {
        let checkpoint = Checkpoint::new(metadata.clone(), tensors.clone())?;
        Ok(TrainedModel::from_checkpoint(&checkpoint, self.device)?)
    }

    /// All tensors of the model's file.
    fn tensors(&self, trained: Tensors, energies: &Energies) -> CommandResult<Tensors> {
        let mut tensors = trained;
        if self.config.model == ModelName::With {
            tensors.extend(energies.tensors.clone());
        }
        self.with_standardization(tensors)
    }

    pub(super) fn with_standardization(&self, mut tensors: Tensors) -> CommandResult<Tensors> {
        for (mode, fitted) in self.config.modes.iter().zip(&self.rows.standardization) {
            for (part, values) in [("mean", fitted.mean()), ("std", fitted.std())] {
                let tensor = Tensor::new(values, &Device::Cpu)?;
                tensors.insert(format!("standardize.{}.{part}", mode.name), tensor);
            }
        }
        Ok(tensors)
    }

    fn metadata(&self, front: Front, best_epoch: usize) -> ModelMetadata {
        let config = self.config;
        let coldness = match front {
            Front::Emma(candidate) => Some(candidate.coldness.value()),
            _ => None,
        };
        let kind = match front {
            Front::Softmax => ALTERNATIVE_ATTENTION,
            _ => MLP,
        };
        let stage_one = config.energy.training();
        let rows = if config.model == ModelName::Base {
            "clean".to_owned()
        } else {
            self.corruption_in_words()
        };
        let network =
            Kind::new(kind).with("hidden", json!(config.network.hidden(config.n_columns())));
        let energy = coldness.map(|_| {
            Kind::new(DENOISING_AUTOENCODER)
                .with("noise_std", stage_one.noise_std)
                .with("epochs", stage_one.n_epochs)
        });
        ModelMetadata {
            coldness,
            energy,
            ..self.metadata_of(hyperparameters(front), network, rows, best_epoch)
        }
    }

    pub(super) fn corruption_in_words(&self) -> String {
        let kinds = self.config.training.corruption.iter();
        let kinds = kinds
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ");
        format!("half clean, the rest one mode with {kinds}")
    }

    /// The metadata of a model without energies.
    pub(super) fn metadata_of(
        &self,
        chosen: Map<String, Value>,
        network: Kind,
        rows: String,
        best_epoch: usize,
    ) -> ModelMetadata {
        let config = self.config;
        let mut training = chosen;
        training.insert("version".into(), env!("CARGO_PKG_VERSION").into());
        training.insert("data_sha256".into(), self.rows.sha256.clone().into());
        training.insert("seed".into(), config.seed.into());
        training.insert("epochs".into(), best_epoch.into());
        training.insert("rows".into(), rows.into());
        ModelMetadata {
            format_version: self.rows.task.format_version(),
            name: Some(config.model.name().to_owned()),
            modes: config
                .modes
                .iter()
                .map(|mode| ModeColumns {
                    name: mode.name.clone(),
                    columns: mode.columns.clone(),
                })
                .collect(),
            label: config.label.clone(),
            coldness: None,
            energy: None,
            network,
            threshold: 0.5,
            task: self.rows.task.clone(),
            abstention: None,
            training,
        }
    }
}

/// What a model says of rows.
fn answers_of(rows: &Batch) -> impl Fn(&TrainedModel) -> CommandResult<Answers> + '_ {
    |model| Ok(model.predict_standardized(rows.modes())?.answers)
}

fn candidates(config: &Config) -> CommandResult<Vec<Candidate>> {
    let attention = &config.attention;
    combinations(
        &attention.coldness,
        &attention.lambda_c,
        &attention.lambda_e,
        Regularizers::default(),
    )
}

/// The first of equals stays.
fn keep_better(
    best: &mut Option<(f64, ModelMetadata, Tensors, TaskMetrics)>,
    score: f64,
    metadata: ModelMetadata,
    tensors: Tensors,
    metrics: TaskMetrics,
) {
    if best.as_ref().is_none_or(|(highest, ..)| score > *highest) {
        *best = Some((score, metadata, tensors, metrics));
    }
}

/// What validation chooses.
fn hyperparameters(front: Front) -> Map<String, Value> {
    let mut chosen = Map::new();
    if let Front::Emma(candidate) = front {
        chosen.insert("coldness".into(), candidate.coldness.value().into());
        let regularizers = candidate.regularizers;
        chosen.insert("lambda_c".into(), regularizers.capacity_weight.into());
        chosen.insert("lambda_e".into(), regularizers.energy_weight.into());
    }
    chosen
}
