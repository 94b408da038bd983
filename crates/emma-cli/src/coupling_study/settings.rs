//! All that the figures of the study depend on.

use emma_data::CouplingConfig;
use emma_energy::AutoencoderTraining;
use emma_models::TrainingConfig;
use serde::{Deserialize, Serialize};

use super::model_kind::ModelKind;

/// Everything that can change a figure. Threads, devices and folders are not among it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Always `coupling-study`: marks a folder as this study's.
    pub(crate) experiment: String,
    /// Another version of the program may compute other bits.
    pub(crate) version: String,
    pub(crate) seeds: Vec<u64>,
    /// The data, `n_rows` of it for each seed: half to train on, a quarter to choose by, a quarter to test on.
    pub(crate) data: CouplingConfig,
    /// Standard deviation of the noise on a broken mode, in the data's own unit, the standard deviation of a column
    /// given the class.
    pub(crate) noise_std: f64,
    /// Hidden units of each mode's autoencoder, and how it is trained.
    pub(crate) n_hidden: usize,
    pub(crate) autoencoder: AutoencoderTraining,
    /// Coldnesses of which each model takes the one of the lowest validation loss.
    pub(crate) coldness: Vec<f64>,
    /// Widths of the hidden layers of each network, by name.
    pub(crate) networks: Vec<(String, Vec<usize>)>,
    pub(crate) training: TrainingConfig,
    pub(crate) models: Vec<ModelKind>,
}

impl Settings {
    /// Epochs and batches are sized so that all of it takes minutes.
    pub(crate) fn new(seeds: Vec<u64>, n_rows: usize, quick: bool) -> Self {
        let n_epochs = if quick { 6 } else { 20 };
        Self {
            experiment: "coupling-study".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            seeds,
            data: CouplingConfig {
                n_rows,
                ..CouplingConfig::default()
            },
            noise_std: 4.,
            n_hidden: 8,
            autoencoder: AutoencoderTraining {
                noise_std: 0.1,
                ..AutoencoderTraining::default()
            },
            coldness: vec![0.3, 1., 3.],
            networks: vec![
                ("linear".into(), vec![]),
                ("16 hidden units".into(), vec![16]),
            ],
            training: TrainingConfig {
                n_epochs,
                batch_size: 64,
                learning_rate: 3e-3,
                ..TrainingConfig::default()
            },
            models: ModelKind::ALL.into(),
        }
    }
}
