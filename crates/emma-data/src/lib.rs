//! Multi-modal tables, from the file to what a model is trained on.

#![deny(missing_docs)]

mod corruption;
mod error;
mod feature_reader;
mod random;
mod record_reader;
mod samples;
mod split;
mod standardize;

pub use corruption::{Corruption, CorruptionRecord, NoiseStd, corrupt, noise_to_signal_decibels};
pub use error::{Error, Result};
pub use feature_reader::{Chunk, FeatureReader, LabelColumn};
pub use random::{Generator, generator};
pub use samples::{ModeColumns, ModeSamples, Samples};
pub use split::{Split, SplitFractions, stratified_split};
pub use standardize::Standardization;
