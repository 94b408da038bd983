//! The six models: how each is built, on which rows it learns, and what its file says.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use emma_attention::{Emma, EmmaConfig, PotentialEnergies};
use emma_data::{Samples, generator};
use emma_energy::{
    AutoencoderConfig, DenoisingAutoencoder, EnergyEstimator, PotentialEnergy, SeededVarMap,
    lowest_energy, train_autoencoder, transfer,
};
use emma_models::checkpoint::{FORMAT_VERSION, Kind};
use emma_models::trained::{ALTERNATIVE_ATTENTION, DENOISING_AUTOENCODER, MLP};
use emma_models::{
    AlternativeAttention, Batch, Calibration, Concatenation, Coupled, Mlp, MlpConfig, ModeColumns,
    ModelMetadata, MultiModalModel, SingleMode,
};
use serde_json::{Map, Value, json};

use super::grid::Candidate;
use super::settings::Settings;
use crate::failure::CommandResult;

/// Named tensors.
pub(crate) type Tensors = BTreeMap<String, Tensor>;

/// Any of the models, to be trained on any thread.
pub(crate) type DynModel = dyn MultiModalModel + Send + Sync;

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

    /// Builds the model on `variables`, which live on `device`.
    fn build(
        self,
        settings: &Settings,
        samples: &Samples,
        energies: &Energies,
        variables: &SeededVarMap,
        device: &Device,
    ) -> CommandResult<Box<DynModel>> {
        let vb = variables.var_builder(DType::F32, device);
        let config = MlpConfig {
            n_inputs: match self {
                Self::SingleMode(mode) => samples.modes()[mode].columns.len(),
                _ => n_features(samples),
            },
            hidden: match self {
                Self::SingleMode(_) => settings.single_mode_hidden.clone(),
                _ => settings.network_hidden.clone(),
            },
            n_outputs: 1,
        };
        let network = Mlp::new(&config, &vb.pp("network"))?;
        Ok(match self {
            Self::SingleMode(mode_index) => Box::new(SingleMode {
                mode_index,
                network,
            }),
            Self::Base | Self::Without => Box::new(Concatenation { network }),
            Self::Alternative => Box::new(AlternativeAttention::new(
                samples.n_modes(),
                n_features(samples),
                network,
                &vb.pp("alternative"),
            )?),
            Self::With(candidate) => {
                let config = EmmaConfig {
                    n_modes: samples.n_modes(),
                    coldness: candidate.coldness,
                    minimum_self_weight: settings.minimum_self_weight,
                    ..EmmaConfig::default()
                };
                let emma = Emma::new(&config, &energies.minimum_potential, &vb.pp("attention"))?;
                Box::new(Coupled::new(
                    energies.estimators(),
                    emma,
                    candidate.regularizers,
                    network,
                )?)
            }
        })
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
        let model = self.build(settings, samples, energies, &variables, device)?;
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
            training,
        }
    }
}

fn n_features(samples: &Samples) -> usize {
    samples.modes().iter().map(|mode| mode.columns.len()).sum()
}

/// Stage one: a trained, frozen autoencoder a mode.
pub(crate) struct Energies {
    autoencoders: Vec<DenoisingAutoencoder>,
    /// Lowest potential of each mode on clean training rows, `[modes]`; on the CPU, the module
    /// takes its own copy.
    minimum_potential: Tensor,
    /// All of it under the names of the model file.
    pub(crate) tensors: Tensors,
}

impl Energies {
    /// Collects the modes' trained autoencoders.
    pub(crate) fn new(modes: Vec<TrainedAutoencoder>) -> CommandResult<Self> {
        let mut tensors = Tensors::new();
        let mut autoencoders = Vec::with_capacity(modes.len());
        let mut lowest = Vec::with_capacity(modes.len());
        for mode in modes {
            tensors.extend(mode.tensors);
            lowest.push(mode.lowest as f32);
            autoencoders.push(mode.autoencoder);
        }
        let minimum_potential = Tensor::new(lowest, &Device::Cpu)?;
        tensors.insert(
            "attention.minimum_potential".into(),
            minimum_potential.clone(),
        );
        Ok(Self {
            autoencoders,
            minimum_potential,
            tensors,
        })
    }

    /// The modes' autoencoders.
    pub(super) fn autoencoders(&self) -> &[DenoisingAutoencoder] {
        &self.autoencoders
    }

    /// Takes other lowest potentials, `[modes]`, of other estimators.
    pub(super) fn set_minimum_potential(&mut self, lowest: &Tensor) -> CommandResult<()> {
        self.minimum_potential = lowest.to_device(&Device::Cpu)?;
        Ok(())
    }

    /// Adds the distribution of their potential energies on clean, standardized rows that they were not trained on.
    pub(crate) fn calibrate(&mut self, modes: &[&str], clean: &Batch) -> CommandResult<()> {
        let potentials = PotentialEnergies::estimate(&self.estimators(), clean.modes())?;
        let potentials = transfer(potentials.as_tensor(), DType::F32, &Device::Cpu)?;
        let calibration = Calibration::new(modes, &potentials.to_vec2()?)?;
        self.tensors.extend(calibration.tensors()?);
        Ok(())
    }

    /// Adds their potential energies to standardized rows, to compute once.
    pub(crate) fn annotate(&self, batch: Batch) -> CommandResult<Batch> {
        let potentials = PotentialEnergies::estimate(&self.estimators(), batch.modes())?;
        Ok(batch.with_potentials(potentials)?)
    }

    fn estimators(&self) -> Vec<Box<dyn EnergyEstimator>> {
        self.autoencoders
            .iter()
            .map(|autoencoder| {
                Box::new(PotentialEnergy(autoencoder.clone())) as Box<dyn EnergyEstimator>
            })
            .collect()
    }
}

/// One mode's share of [`Energies`].
pub(crate) struct TrainedAutoencoder {
    autoencoder: DenoisingAutoencoder,
    lowest: f64,
    tensors: Tensors,
}

impl TrainedAutoencoder {
    /// Trains on the clean, standardized training rows of one mode.
    pub(crate) fn train(
        settings: &Settings,
        mode: &str,
        rows: &Tensor,
        seed: u64,
    ) -> CommandResult<Self> {
        let stream = |purpose: &str| generator(seed, &format!("autoencoder {mode} {purpose}"));
        let variables = SeededVarMap::new(stream("first values"));
        let vb = variables.var_builder(DType::F32, rows.device());
        let config = AutoencoderConfig {
            n_features: rows.dim(1)?,
            n_hidden: settings.autoencoder_hidden,
        };
        let autoencoder = DenoisingAutoencoder::new(&config, &vb.pp("energy").pp(mode))?;
        train_autoencoder(
            &autoencoder,
            &variables,
            rows,
            &settings.autoencoder_training,
            &mut stream("training"),
        )?;
        let autoencoder = autoencoder.frozen();
        let lowest = lowest_energy(&PotentialEnergy(autoencoder.clone()), rows)?;
        Ok(Self {
            autoencoder,
            lowest,
            tensors: variables.snapshot()?,
        })
    }
}
