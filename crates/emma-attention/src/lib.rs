//! Energy-based multi-modal attention: given how outlying each mode of a row is, how much of each mode
//! to let pass.
//!
//! The tour follows a batch of rows through [`Emma::forward`], a stage at a time. Every stage is a type
//! of its own over a tensor of shape `[rows, modes]`, and a function that can be used alone:
//!
//! 1. [`PotentialEnergies`]: what the estimators say, one a mode; any real numbers.
//! 2. [`CorrectedPotentials`]: shifted so that clean rows lie near e, and never below ([`corrected_potentials`],
//!    eq. 5.2).
//! 3. [`SelfEnergies`]: scaled by what the task finds relevant ([`self_energies`], eq. 5.3).
//! 4. [`ModalEnergies`]: with what the other modes add to a mode's energy or take off it, the learned
//!    coupling ([`shared_energies`], [`modal_energies`], eqs. 5.4 and 5.5). Their sum over modes, the total
//!    energy, says how far to trust the row. [`CouplingForm`] has other forms to compare the thesis's with.
//! 5. [`LogImportance`]: the Gibbs distribution of the modes at a [`Coldness`] ([`log_importance`],
//!    eq. 5.6).
//! 6. [`AttentionScores`]: the factors in [0, 1] that the modes are multiplied by ([`attention_scores`],
//!    eq. 5.7).
//!
//! On the CPU, in f32 and f64, [`Emma::forward`] computes stages 2 to 6 in one fused operation; the functions
//! are its definition ([`Emma::forward_by_candle`]) and what other devices run.
//!
//! Beside the way of the data: [`Regularizers`] are terms for the training loss (eq. 5.12),
//! [`Emma::project`] puts parameters back into their ranges after a step, and [`capacity()`],
//! [`energy_threshold()`] and [`masking_gap`] describe what was learned (eqs. 5.8 to 5.11).
//!
//! ```
#![doc = include_str!("../examples/mask_a_mode.rs")]
//! ```
//!
//! # Invariants
//! - Any number of modes from two up, of any rank and size; nothing here knows networks or labels.
//! - A row's attention depends on that row alone.
//! - A potential that is not a number stays one: an unknown mode never passes for a clean one.
//! - A mode that is not there ([`Emma::forward_masked`]) has no part in anything.
//! - Masked means exactly 0, and energies beyond all bounds mean masked, not NaN.
//!
//! Source: A. Werenne, "Energy-based Multi-Modal Attention" (University of Liège, 2019), chapter 5.
//! Where its draft is wrong, a function's documentation says so under "Deviation".

#![deny(missing_docs)]

pub mod attention;
pub mod capacity;
pub mod constraints;
mod contiguous;
pub mod coupling;
pub mod emma;
pub mod energy_threshold;
pub mod error;
mod gate;
pub mod importance;
pub mod modal_energy;
pub mod mode_gate;
pub mod mode_mask;
pub mod potential;
mod rectify;
pub mod regularizers;
pub mod self_energy;
pub mod shared_energy;
mod stage;
mod weighing;

pub use attention::{AttentionScores, attention_scores};
pub use capacity::{capacity, rectified_capacity};
pub use constraints::{CouplingExponent, CouplingLimit};
pub use coupling::{CouplingForm, SelfAttention, bilinear_energies, self_attention_energies};
pub use emma::{Emma, EmmaConfig, EmmaOutput};
pub use energy_threshold::{energy_threshold, masking_gap};
pub use error::{Error, Result};
pub use importance::{Coldness, LogImportance, log_importance, log_partition};
pub use modal_energy::{ModalEnergies, modal_energies};
pub use mode_gate::{ColdnessAnnealing, GainScale, ModeGate, ModeGateConfig};
pub use mode_mask::ModeMask;
pub use potential::{CorrectedPotentials, PotentialEnergies, corrected_potentials};
pub use regularizers::{CapacityPenalty, Regularizers, energy_regularizer};
pub use self_energy::{SelfEnergies, self_energies};
pub use shared_energy::shared_energies;

#[cfg(test)]
mod tests {
    #[test]
    fn the_front_page_shows_the_example() {
        let front_page = include_str!("../README.md");
        assert!(front_page.contains(include_str!("../examples/mask_a_mode.rs").trim_end()));
    }
}
