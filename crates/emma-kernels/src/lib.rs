//! Fused CPU kernels of energy-based multi-modal attention, over plain slices.
//!
//! What `emma-energy`, `emma-attention` and `emma-models` compute with candle operations, one after the
//! other, is done here in one pass over blocks of 32 rows, with the vectors of the processor at hand
//! ([`InstructionSet`]). On the CPU those crates use it by themselves; candle's operations are their
//! reference, and their way on other devices.
//!
//! - [`potential`]: energy of denoising autoencoders, with gradients.
//! - [`gate`]: steps 2 to 4, from potential energies to attention, with gradients.
//! - [`StageOne`], [`StageTwo`]: whole training steps, optimizer included.
//! - [`NoisyMixture`]: which noise a row has under a mixture of Gaussians, which class, and what it was without.
//! - [`Affine`]: an affine layer whose result for a row has the same bits in any batch.
//! - [`Scorer`]: rows to probabilities, energies and attention.
//!
//! No kernel depends on candle. Values are tested here against the thesis's equations in plain f64, written
//! row by row, gradients against central differences of them, on every instruction set of the machine.
//!
//! # Invariants
//! - A row's energy, attention and score do not depend on the other rows, nor on how many there are.
//! - On one instruction set, the same inputs give the same bits.
//! - No input panics; slices of wrong lengths do, and are the caller's mistake.

#![deny(missing_docs)]
#![forbid(unsafe_code)]
// Vectors stay in registers only if everything between a loop and an instruction is inlined.
#![allow(clippy::inline_always)]
// One index reads several lists of columns.
#![allow(clippy::needless_range_loop)]

mod adam;
mod affine;
mod block;
mod columns;
pub mod gate;
mod level;
mod noisy_mixture;
pub mod potential;
mod real;
mod scorer;
mod softmax;
mod stage_one;
mod stage_two;
mod sums;
#[cfg(test)]
mod tests;
mod weigh;

pub use adam::Memory;
pub use affine::Affine;
pub use level::InstructionSet;
pub use noisy_mixture::{MixturePosterior, NoiseFamily, NoiseState, NoisyMixture, Whitening};
pub use real::Real;
pub use scorer::{Front, Scorer, Scores};
pub use stage_one::{StageOne, StageOneConfig};
pub use stage_two::{Batches, GateConfig, Network, Rows, StageTwo, StageTwoConfig};

/// The example of the crate's front page compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct FrontPage;
