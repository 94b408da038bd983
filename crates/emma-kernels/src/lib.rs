//! Fused CPU kernels of energy-based multi-modal attention, over plain slices.
//!
//! What the crates above compute with candle operations, one after the other, is done here in one pass
//! over blocks of 32 rows, with the vectors of the processor at hand ([`InstructionSet`]).
//!
//! - [`potential`]: energy of denoising autoencoders, with gradients.
//! - [`gate`]: steps 2 to 4, from potential energies to attention, with gradients.
//! - [`StageOne`], [`StageTwo`]: whole training steps, optimizer included.
//! - [`Scorer`]: rows to probabilities.
//!
//! No kernel depends on candle; each has its reference in candle operations in the crate that uses it
//! (`emma-energy`, `emma-attention`, `emma-models`), and is tested against it there.
//!
//! # Invariants
//! - A row's results do not depend on the other rows, nor on how many there are.
//! - On one instruction set, the same inputs give the same bits.
//! - No input panics; slices of wrong lengths do, and are the caller's mistake.

#![deny(missing_docs)]
#![forbid(unsafe_code)]
// Vectors stay in registers only if everything between a loop and an instruction is inlined.
#![allow(clippy::inline_always)]

mod adam;
mod affine;
mod block;
mod columns;
pub mod gate;
pub mod level;
pub mod potential;
pub mod real;
mod scorer;
mod stage_one;
mod stage_two;
mod sums;

pub use level::InstructionSet;
pub use real::Real;
pub use scorer::Scorer;
pub use stage_one::{StageOne, StageOneConfig};
pub use stage_two::{GateConfig, Network, Rows, StageTwo, StageTwoConfig};
