//! How outlying is a row? Energies of rows, low where rows are common and high everywhere else.
//!
//! Most of the crate knows one mode at a time: the readings of one sensor, one view of a thing. What to do
//! about modes that lie is `emma-attention`'s business, which needs no more of this crate than numbers.
//!
//! The tour:
//!
//! 1. [`DenoisingAutoencoder`] has one hidden layer and tied weights; [`train_autoencoder`] teaches it
//!    to undo small noise on clean rows (eq. 4.1). What it then moves a row by, `r(x) − x`, points to
//!    where rows are more common. [`potential_energy()`] is the scalar whose gradient that field is
//!    (eq. 4.7): computed per row, safe at any magnitude. [`PotentialEnergyFit`] does it in one call.
//! 2. [`EnergyEstimator`] is what the rest of EMMA sees of it, and [`FittedEstimator`] what a file needs
//!    ([`save_estimator`], [`load_estimator`]). Other estimators stand in for [`PotentialEnergy`]:
//!    [`GaussianMixture`], [`NearestNeighbors`] and [`Mahalanobis`], which need no training;
//!    [`IntegrableEnergy`], which carries the potential over to deep and convolutional networks;
//!    reconstruction errors ([`ReconstructionError`], [`MlpReconstructionError`]).
//! 3. A [`Calibration`] puts energies on a common scale, so that those of different modes compare:
//!    [`Surprisal`] and [`ConformalPValue`] say how often a clean row has as much.
//!    [`lowest_energy`] is the shift of section 5.3 that makes the thesis's raw energies positive.
//! 4. A [`JointDensity`] knows all modes together: how noisy each is, and what the row was without noise.
//! 5. [`SeededVarMap`] holds the parameters that are trained: candle's variables, but with first values
//!    that a seed repeats. [`tensor_file`] reads files without trusting them.
//!
//! ```
#![doc = include_str!("../examples/find_outliers.rs")]
//! ```
//!
//! # Invariants
//! - A row's energy depends on that row alone. On the CPU, in f32 and f64, it has the same bits in
//!   every batch: [`row_affine()`] and the fused potential always add in the same order.
//! - The same seed gives the same parameters, bit for bit, on the CPU.
//! - Units of the potential are those of the rows, squared; standardize first.
//!
//! Equations are those of A. Werenne, "Energy-based Multi-Modal Attention" (University of Liège,
//! 2019); the potential is due to H. Kamyshanska and R. Memisevic, "The potential energy of an
//! autoencoder" (2014).

#![deny(missing_docs)]

pub mod adam;
mod affine;
pub mod autoencoder;
pub mod calibration;
mod contiguous;
mod covariance;
pub mod error;
pub mod estimator;
pub mod estimator_config;
pub mod estimator_file;
pub mod gaussian_mixture;
pub mod integrable_energy;
pub mod joint_density;
pub mod mahalanobis;
pub mod mlp_autoencoder;
pub mod mode_encoder;
pub mod nearest_neighbors;
pub mod optimization;
pub mod packed_variables;
pub mod potential_energy;
pub mod potential_energy_fit;
pub mod row_affine;
pub mod seeded_var_map;
pub mod softplus;
pub mod tensor_file;
pub mod training;
mod training_rows;
pub mod transfer;

pub use adam::{Adam, AdamState};
pub use autoencoder::{AutoencoderConfig, DenoisingAutoencoder};
pub use calibration::{
    Calibrated, Calibration, CalibrationMethod, ConformalPValue, EmpiricalQuantile,
    FittedCalibration, GeneralizedPareto, Logarithm, Raw, StandardScore, Surprisal, SurprisalFit,
};
pub use error::{Error, Result};
pub use estimator::{EnergyEstimator, FittedEstimator, energies, lowest_energy};
pub use estimator_config::{EstimatorConfig, in_type};
pub use estimator_file::{estimator_to_bytes, load_estimator, save_estimator};
pub use gaussian_mixture::{
    ComponentChoice, GaussianMixture, GaussianMixtureConfig, GaussianMixtureFit,
};
pub use integrable_energy::{
    Activation, Architecture, IntegrableEnergy, IntegrableEnergyConfig, IntegrableEnergyFit,
    score_matching_loss,
};
pub use joint_density::{
    FeatureNoise, JointDensity, JointDensityConfig, JointDensityFit, JointPosterior, NoiseModel,
};
pub use mahalanobis::{Mahalanobis, MahalanobisConfig, MahalanobisFit};
pub use mlp_autoencoder::{
    MlpAutoencoder, MlpAutoencoderConfig, MlpAutoencoderFit, MlpReconstructionError,
};
pub use mode_encoder::{ModeEncoder, ModeEncoderFit};
pub use nearest_neighbors::{NearestNeighbors, NearestNeighborsConfig, NearestNeighborsFit};
pub use packed_variables::PackedVariables;
pub use potential_energy::{
    PotentialEnergy, ReconstructionError, potential_energy, potential_energy_by_candle,
};
pub use potential_energy_fit::PotentialEnergyFit;
pub use row_affine::row_affine;
pub use seeded_var_map::SeededVarMap;
pub use softplus::softplus;
pub use training::{
    AutoencoderTraining, denoising_loss, train_autoencoder, train_autoencoder_by_candle,
};
pub use transfer::transfer;

#[cfg(test)]
mod tests {
    #[test]
    fn the_front_page_shows_the_example() {
        let front_page = include_str!("../README.md");
        assert!(front_page.contains(include_str!("../examples/find_outliers.rs").trim_end()));
    }
}
