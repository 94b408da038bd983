//! Test support for the EMMA workspace; a development dependency only.
#![deny(missing_docs)]

pub mod candidates;
pub mod damage;
pub mod devices;
pub mod fixtures;
pub mod golden;
pub mod gradcheck;
pub mod tolerance;

pub use devices::{devices, devices_with, has_type};

/// The generator tests draw from.
pub type TestRng = rand_chacha::ChaCha8Rng;

/// A generator with a seed.
pub fn rng(seed: u64) -> TestRng {
    rand::SeedableRng::seed_from_u64(seed)
}
