//! EMMA+ in the place of energies, base and stage two.

use candle_core::{DType, Device, Tensor};
use emma_attention::ModeGateConfig;
use emma_data::generator;
use emma_energy::SeededVarMap;
use emma_models::{
    Answers, Batch, EmmaPlus, EmmaPlusConfig, EmmaPlusSettings, EncodedDensity, EncodedDensityFit,
    EnsembleMlp, EnsembleMlpConfig, TrainedModel, TrainingRows,
};
use ndarray::Array2;
use serde_json::Map;

use super::config::ModelName;
use super::outcome::{HistoryRow, Outcome};
use super::rows::{Modes, prediction_with_gaps, rows_as_in_training};
use super::run::{Learned, MOST_STARTS, Pipeline, Stage};
use super::state_file::State;
use crate::failure::CommandResult;
use crate::networks::{DynModel, Tensors};
use crate::part::{Part, tensors};

/// Rows with faults, as the density sees them, afresh in every epoch.
struct Lesson<'a> {
    pipeline: &'a Pipeline<'a>,
    density: &'a EncodedDensity,
}

impl Lesson<'_> {
    fn batch(&self, epoch: usize) -> CommandResult<Batch> {
        let rows = &self.pipeline.rows.train;
        let stream = format!("training noise {epoch}");
        let modes = rows_as_in_training(rows, self.pipeline.config, &stream)?;
        self.pipeline.prepared(self.density, &modes, rows)
    }
}

impl TrainingRows for Lesson<'_> {
    fn of_epoch(&mut self, epoch: usize) -> emma_models::Result<Batch> {
        self.batch(epoch)
            .map_err(|failure| emma_models::Error::Rows {
                epoch,
                source: failure.to_string().into(),
            })
    }
}

impl Pipeline<'_> {
    /// Trains EMMA+ from where the state is; nothing if the user stopped it. The density is quickly fitted and no part of
    /// the state: a resumed training fits the same one again.
    pub(super) fn run_plus(&self, state: &mut State) -> CommandResult<Option<Outcome>> {
        let density = self.density()?;
        let settings = self.plus_settings(&density);
        let draws = (0..self.config.training.validation_draws)
            .map(|draw| {
                let stream = format!("validation noise {draw}");
                rows_as_in_training(&self.rows.validation, self.config, &stream)
            })
            .collect::<CommandResult<Vec<Modes>>>()?;
        let mut validation: Option<Batch> = None;
        for modes in &draws {
            let batch = self.prepared(&density, modes, &self.rows.validation)?;
            validation = Some(match validation {
                Some(all) => all.followed_by(&batch)?,
                None => batch,
            });
        }
        let validation = validation.ok_or_else(|| anyhow::anyhow!("no draw of validation rows"))?;
        let name = ModelName::EmmaPlus.name();
        let build = |attempt: usize| -> CommandResult<Vec<(Box<DynModel>, SeededVarMap)>> {
            let stream = format!("{name} first values {attempt}");
            let variables = SeededVarMap::new(generator(self.config.seed, &stream));
            let vb = variables.var_builder(DType::F32, self.device);
            let network = EnsembleMlp::new(&settings.network, &vb.pp("network"))?;
            let model = EmmaPlus::new(&settings.plus, density.clone(), network, &vb.pp("gate"))?;
            let prepared: Box<DynModel> = Box::new(model.prepared().clone());
            Ok(vec![(prepared, variables)])
        };
        let stage = Stage {
            name,
            build: &build,
            most_starts: MOST_STARTS,
        };
        let lesson = Lesson {
            pipeline: self,
            density: &density,
        };
        let Some(fits) = self.train(&stage, lesson, &validation, state)? else {
            return Ok(None);
        };
        let mut history = Vec::new();
        let mut learned = Vec::with_capacity(fits.len());
        for (index, fit) in fits.into_iter().enumerate() {
            history.extend(HistoryRow::of(name, index, &fit.history));
            let [energy, network] = settings.kinds()?;
            let rows = format!(
                "{}; of all, a share of {} lacks a mode",
                self.corruption_in_words(),
                self.config.emma_plus.mode_dropout
            );
            let mut metadata = self.metadata_of(Map::new(), network, rows, fit.history.best_epoch);
            metadata.format_version = emma_models::checkpoint::NEWEST_FORMAT_VERSION;
            metadata.energy = Some(energy);
            let mut tensors: Tensors = fit.tensors;
            for (name, tensor) in density.tensors() {
                tensors.insert(format!("density.{name}"), tensor);
            }
            learned.push(Learned {
                metadata,
                tensors: self.with_standardization(tensors)?,
                chosen: Map::new(),
            });
        }
        let answers = |model: &TrainedModel| -> CommandResult<Answers> {
            let mut all = Vec::new();
            for modes in &draws {
                let prediction = prediction_with_gaps(modes, model, self.device)?;
                all.extend(prediction.answers.into_probabilities()?);
            }
            Ok(Answers::Binary(all))
        };
        self.conclude(learned, &answers, draws.len(), history)
            .map(Some)
    }

    /// Fitted to clean training rows.
    fn density(&self) -> CommandResult<EncodedDensity> {
        let labels: Vec<u32> = self
            .rows
            .train
            .labels()
            .into_iter()
            .map(u32::from)
            .collect();
        let modes = tensors(&self.rows.train.standardized, &Device::Cpu)?;
        let mut rng = generator(self.config.seed, "joint density");
        Ok(EncodedDensityFit::default().fit(&modes, &labels, 2, &mut rng)?)
    }

    fn plus_settings(&self, density: &EncodedDensity) -> EmmaPlusSettings {
        let settings = &self.config.emma_plus;
        let n_modes = self.config.modes.len();
        let plus = EmmaPlusConfig {
            energy_ceiling: Some(settings.energy_ceiling).filter(|value| value.is_finite()),
            gate: settings.gate.then(|| ModeGateConfig {
                n_modes,
                ..ModeGateConfig::default()
            }),
            ..EmmaPlusConfig::default()
        };
        let network = EnsembleMlpConfig {
            n_inputs: EmmaPlus::<EnsembleMlp>::n_inputs(density),
            hidden: self.config.network.hidden_or(&[64, 64]),
            n_members: settings.members,
            ..EnsembleMlpConfig::default()
        };
        EmmaPlusSettings::new(density, plus, network)
    }

    /// What the density says about rows, with what is to be predicted of them.
    fn prepared(
        &self,
        density: &EncodedDensity,
        modes: &[Array2<f32>],
        part: &Part,
    ) -> CommandResult<Batch> {
        let prepared = density.prepare(&tensors(modes, self.device)?)?;
        let targets = Tensor::from_slice(&part.targets, part.n_rows(), self.device)?;
        Ok(Batch::new(prepared, targets)?)
    }
}
