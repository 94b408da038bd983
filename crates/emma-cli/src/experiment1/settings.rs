//! All that the figures of experiment 1 depend on.

use emma_energy::{AutoencoderTraining, IntegrableEnergyFit, PotentialEnergyFit};
use serde::{Deserialize, Serialize};

use crate::experiment::estimators::{EstimatorKind, Setup};

/// Everything that can change a figure. Threads, devices and folders are not among it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Always `experiment1`: marks a folder as this experiment's.
    pub(crate) experiment: String,
    /// Another version of the program may compute other bits.
    pub(crate) version: String,
    pub(crate) seeds: Vec<u64>,
    /// Points drawn from a manifold to learn from.
    pub(crate) n_samples: usize,
    pub(crate) setup: Setup,
    pub(crate) estimators: Vec<EstimatorKind>,
    /// Half the side of the square that energies and fields are looked at on.
    pub(crate) half_width: f64,
}

impl Settings {
    /// The thesis's setup, but for the number of samples, which its text does not say: with 40,000, 25 epochs
    /// are 10,000 steps.
    pub(crate) fn new(seeds: Vec<u64>, n_samples: usize) -> Self {
        Self {
            experiment: "experiment1".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            seeds,
            n_samples,
            setup: Setup {
                autoencoder: PotentialEnergyFit {
                    n_hidden: 8,
                    training: AutoencoderTraining {
                        n_epochs: 25,
                        batch_size: 100,
                        learning_rate: 1e-3,
                        noise_std: 0.008,
                    },
                },
                // As many steps as on a mode of HTRU2, of which there are a third as many rows. The largest
                // noise is a third of the circle's radius: blurred by two thirds, the circle has no hole.
                integrable: IntegrableEnergyFit {
                    n_epochs: 12,
                    noise_stds: vec![0.04, 0.08, 0.4, 1.],
                    ..IntegrableEnergyFit::default()
                },
            },
            estimators: vec![
                EstimatorKind::PotentialEnergy,
                EstimatorKind::ReconstructionError,
                EstimatorKind::IntegrableEnergy,
            ],
            half_width: 4.,
        }
    }
}
