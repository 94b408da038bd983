#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

pub mod attention;
pub mod capacity;
pub mod constraints;
pub mod emma;
pub mod energy_threshold;
pub mod error;
pub mod importance;
pub mod modal_energy;
pub mod potential;
mod rectify;
pub mod regularizers;
pub mod self_energy;
pub mod shared_energy;
mod stage;

pub use attention::{AttentionScores, attention_scores};
pub use capacity::{capacity, rectified_capacity};
pub use constraints::{CouplingExponent, CouplingLimit};
pub use emma::{Emma, EmmaConfig, EmmaOutput};
pub use energy_threshold::{energy_threshold, masking_gap};
pub use error::{Error, Result};
pub use importance::{Coldness, LogImportance, log_importance, log_partition};
pub use modal_energy::{ModalEnergies, modal_energies};
pub use potential::{CorrectedPotentials, PotentialEnergies, corrected_potentials};
pub use regularizers::{CapacityPenalty, Regularizers, energy_regularizer};
pub use self_energy::{SelfEnergies, self_energies};
pub use shared_energy::shared_energies;
