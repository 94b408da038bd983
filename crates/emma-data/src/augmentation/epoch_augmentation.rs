//! Augmentation that begins anew in every epoch.

use ndarray::{ArrayBase, Data, Ix2};

use super::{Augmentation, AugmentedModes, augment};
use crate::error::Result;
use crate::random::generator;

/// An augmentation with a random stream for each epoch.
///
/// The rows of an epoch depend on seed, stream and epoch, and not on the epochs before: a training that
/// stopped goes on with the rows that it would have had.
#[derive(Debug)]
pub struct EpochAugmentation {
    augmentation: Box<dyn Augmentation>,
    seed: u64,
    stream: String,
}

impl EpochAugmentation {
    /// Draws the epoch number `n` from the [`generator`] of `"{stream} {n}"` under `seed`.
    pub fn new(augmentation: Box<dyn Augmentation>, seed: u64, stream: impl Into<String>) -> Self {
        Self {
            augmentation,
            seed,
            stream: stream.into(),
        }
    }

    /// Augmented copies of the rows for one epoch.
    ///
    /// # Shapes
    /// - `modes[m]`: `[rows, features of m]`, standardized, arrays or views
    ///
    /// # Errors
    /// Those of [`augment()`].
    pub fn of_epoch<S: Data<Elem = f32>>(
        &self,
        modes: &[ArrayBase<S, Ix2>],
        epoch: usize,
    ) -> Result<AugmentedModes> {
        let stream = format!("{} {epoch}", self.stream);
        augment(
            modes,
            &self.augmentation,
            &mut generator(self.seed, &stream),
        )
    }
}
