//! Multi-modal tables, from the file to what a model is trained on.

#![deny(missing_docs)]

mod error;
mod random;

pub use error::{Error, Result};
pub use random::{Generator, generator};
