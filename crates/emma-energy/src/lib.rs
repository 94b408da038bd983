#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

pub mod autoencoder;
pub mod calibration;
pub mod error;
pub mod estimator;
pub mod optimization;
pub mod potential_energy;
pub mod row_affine;
pub mod seeded_var_map;
pub mod softplus;
pub mod training;
pub mod transfer;

pub use autoencoder::{AutoencoderConfig, DenoisingAutoencoder};
pub use calibration::{Calibrated, Calibration, Raw};
pub use error::{Error, Result};
pub use estimator::{EnergyEstimator, lowest_energy};
pub use potential_energy::{PotentialEnergy, ReconstructionError, potential_energy};
pub use row_affine::row_affine;
pub use seeded_var_map::SeededVarMap;
pub use softplus::softplus;
pub use training::{AutoencoderTraining, denoising_loss, train_autoencoder};
pub use transfer::transfer;
