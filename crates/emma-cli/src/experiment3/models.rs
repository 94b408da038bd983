//! The six models: how each is built, on which rows it learns, and what its file says.

use candle_core::Device;
use emma_data::{Samples, generator};
use emma_energy::SeededVarMap;
use emma_models::checkpoint::{FORMAT_VERSION, Kind};
use emma_models::trained::{ALTERNATIVE_ATTENTION, DENOISING_AUTOENCODER, MLP};
use emma_models::{ModeColumns, ModelMetadata, Task};
use serde_json::{Map, Value, json};

use super::settings::Settings;
use crate::energies::Energies;
use crate::failure::CommandResult;
use crate::networks::{self, Candidate, DynModel, Front, Shape, Tensors};

/// What a model begins with.
pub(crate) struct Start<'a> {
    pub(crate) seed: u64,
    /// From 1: a network that is born dead begins again.
    pub(crate) attempt: usize,
    /// By name; what is not among them is drawn.
    pub(crate) first_values: &'a Tensors,
}

/// One of the models that are compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum ModelKind {
    /// One mode alone, by its index; learns from clean rows.
    SingleMode(usize),
    /// All modes, learns from clean rows.
    Base,
    /// Starts from `base`, learns from corrupted rows: data augmentation.
    Without,
    /// Starts from `base`, a softmax over modes without energies in front, corrupted rows.
    Alternative,
    /// Starts from `base`, EMMA in front, corrupted rows.
    With(Candidate),
}

impl ModelKind {
    /// The name in files and tables.
    pub(crate) fn name(self, samples: &Samples) -> String {
        match self {
            Self::SingleMode(mode) => format!("{}_only", samples.modes()[mode].name),
            Self::Base => "base".into(),
            Self::Without => "without".into(),
            Self::Alternative => "alternative".into(),
            Self::With(_) => "with".into(),
        }
    }

    /// Whether it learns, stops and chooses its threshold on corrupted rows.
    pub(crate) fn learns_from_corrupted_rows(self) -> bool {
        !matches!(self, Self::SingleMode(_) | Self::Base)
    }

    /// What validation chose for it.
    pub(crate) fn hyperparameters(self) -> Map<String, Value> {
        let mut chosen = Map::new();
        if let Self::With(candidate) = self {
            chosen.insert("coldness".into(), candidate.coldness.value().into());
            let regularizers = candidate.regularizers;
            chosen.insert("lambda_c".into(), regularizers.capacity_weight.into());
            chosen.insert("lambda_e".into(), regularizers.energy_weight.into());
        }
        chosen
    }

    /// What stands before the network, and the network's widths.
    fn design(self, settings: &Settings, samples: &Samples) -> (Front, Shape) {
        let shape = |hidden: &[usize]| Shape {
            mode_widths: samples
                .modes()
                .iter()
                .map(|mode| mode.columns.len())
                .collect(),
            hidden: hidden.to_vec(),
            n_outputs: 1,
            minimum_self_weight: settings.minimum_self_weight,
        };
        match self {
            Self::SingleMode(mode) => {
                (Front::SingleMode(mode), shape(&settings.single_mode_hidden))
            }
            Self::Base | Self::Without => (Front::Open, shape(&settings.network_hidden)),
            Self::Alternative => (Front::Softmax, shape(&settings.network_hidden)),
            Self::With(candidate) => (Front::Emma(candidate), shape(&settings.network_hidden)),
        }
    }

    /// A model before training: given first values, and for the rest those that the seed draws at this
    /// attempt.
    pub(crate) fn begin(
        self,
        settings: &Settings,
        samples: &Samples,
        energies: &Energies,
        start: &Start<'_>,
        device: &Device,
    ) -> CommandResult<(Box<DynModel>, SeededVarMap)> {
        let stream = format!("{} first values {}", self.name(samples), start.attempt);
        let variables = SeededVarMap::new(generator(start.seed, &stream));
        for (name, value) in start.first_values {
            variables.preset(name, value)?;
        }
        let (front, shape) = self.design(settings, samples);
        let model = networks::build(front, &shape, energies, &variables, device)?;
        Ok((model, variables))
    }

    /// The order of rows, and whatever else its training draws.
    pub(crate) fn training_generator(self, samples: &Samples, seed: u64) -> emma_data::Generator {
        generator(seed, &format!("{} training", self.name(samples)))
    }

    /// What the model's file says beside its tensors; the threshold is chosen later.
    pub(crate) fn metadata(
        self,
        settings: &Settings,
        samples: &Samples,
        seed: u64,
        best_epoch: usize,
    ) -> ModelMetadata {
        let kept = |mode: usize| !matches!(self, Self::SingleMode(only) if only != mode);
        let coldness = match self {
            Self::With(candidate) => Some(candidate.coldness.value()),
            _ => None,
        };
        let autoencoder = &settings.autoencoder_training;
        let (kind, hidden) = match self {
            Self::SingleMode(_) => (MLP, &settings.single_mode_hidden),
            Self::Alternative => (ALTERNATIVE_ATTENTION, &settings.network_hidden),
            _ => (MLP, &settings.network_hidden),
        };
        let mut training = self.hyperparameters();
        training.insert("experiment".into(), "experiment3".into());
        training.insert("version".into(), settings.version.clone().into());
        training.insert("data_sha256".into(), settings.data.sha256.clone().into());
        training.insert("seed".into(), seed.into());
        training.insert("epochs".into(), best_epoch.into());
        training.insert(
            "rows".into(),
            if self.learns_from_corrupted_rows() {
                format!(
                    "half clean, the rest one mode with noise {}",
                    settings.noise_std
                )
            } else {
                "clean".into()
            }
            .into(),
        );
        ModelMetadata {
            format_version: FORMAT_VERSION,
            name: Some(self.name(samples)),
            modes: samples
                .modes()
                .iter()
                .enumerate()
                .filter(|(mode, _)| kept(*mode))
                .map(|(_, mode)| ModeColumns {
                    name: mode.name.clone(),
                    columns: mode.columns.clone(),
                })
                .collect(),
            label: emma_data::htru2::LABEL_COLUMN.into(),
            coldness,
            energy: coldness.map(|_| {
                Kind::new(DENOISING_AUTOENCODER)
                    .with("n_hidden", settings.autoencoder_hidden)
                    .with("noise_std", autoencoder.noise_std)
                    .with("epochs", autoencoder.n_epochs)
            }),
            network: Kind::new(kind).with("hidden", json!(hidden)),
            threshold: 0.5,
            task: Task::default(),
            abstention: None,
            training,
        }
    }
}
