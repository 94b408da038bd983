//! Stage one: a trained autoencoder a mode, whose potential is the mode's energy.

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use emma_attention::PotentialEnergies;
use emma_data::generator;
use emma_energy::{
    AutoencoderConfig, AutoencoderTraining, DenoisingAutoencoder, EnergyEstimator, PotentialEnergy,
    SeededVarMap, lowest_energy, train_autoencoder, transfer,
};
use emma_models::{Batch, Calibration};

use crate::failure::CommandResult;
use crate::networks::Tensors;

/// Stage one: a trained, frozen autoencoder a mode.
pub(crate) struct Energies {
    autoencoders: Vec<DenoisingAutoencoder>,
    /// Lowest potential of each mode on clean training rows, `[modes]`; on the CPU, the module
    /// takes its own copy.
    pub(crate) minimum_potential: Tensor,
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
    pub(crate) fn autoencoders(&self) -> &[DenoisingAutoencoder] {
        &self.autoencoders
    }

    /// Takes other lowest potentials, `[modes]`, of other estimators.
    pub(crate) fn set_minimum_potential(&mut self, lowest: &Tensor) -> CommandResult<()> {
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

    /// One estimator a mode.
    pub(crate) fn estimators(&self) -> Vec<Box<dyn EnergyEstimator>> {
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
    pub(crate) tensors: Tensors,
    /// Mean denoising loss of every epoch.
    pub(crate) losses: Vec<f64>,
}

impl TrainedAutoencoder {
    /// What was trained on these rows before, from tensors under the names of the model file.
    pub(crate) fn restore(
        mode: &str,
        rows: &Tensor,
        n_hidden: usize,
        tensors: &Tensors,
        losses: Vec<f64>,
    ) -> CommandResult<Self> {
        let prefix = format!("energy.{mode}.");
        let own = tensors.iter().filter(|(name, _)| name.starts_with(&prefix));
        let own: Tensors = own
            .map(|(name, tensor)| (name.clone(), tensor.clone()))
            .collect();
        let values = own.clone().into_iter().collect();
        let vb = VarBuilder::from_tensors(values, DType::F32, rows.device());
        let config = AutoencoderConfig {
            n_features: rows.dim(1)?,
            n_hidden,
        };
        let autoencoder = DenoisingAutoencoder::new(&config, &vb.pp("energy").pp(mode))?.frozen();
        let lowest = lowest_energy(&PotentialEnergy(autoencoder.clone()), rows)?;
        Ok(Self {
            autoencoder,
            lowest,
            tensors: own,
            losses,
        })
    }

    /// Trains on the clean, standardized training rows of one mode.
    pub(crate) fn train(
        mode: &str,
        rows: &Tensor,
        n_hidden: usize,
        training: &AutoencoderTraining,
        seed: u64,
    ) -> CommandResult<Self> {
        let stream = |purpose: &str| generator(seed, &format!("autoencoder {mode} {purpose}"));
        let variables = SeededVarMap::new(stream("first values"));
        let vb = variables.var_builder(DType::F32, rows.device());
        let config = AutoencoderConfig {
            n_features: rows.dim(1)?,
            n_hidden,
        };
        let autoencoder = DenoisingAutoencoder::new(&config, &vb.pp("energy").pp(mode))?;
        let losses = train_autoencoder(
            &autoencoder,
            &variables,
            rows,
            training,
            &mut stream("training"),
        )?;
        let autoencoder = autoencoder.frozen();
        let lowest = lowest_energy(&PotentialEnergy(autoencoder.clone()), rows)?;
        Ok(Self {
            autoencoder,
            lowest,
            tensors: variables.snapshot()?,
            losses,
        })
    }
}
