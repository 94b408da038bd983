//! Rows as they came.

use rand::RngCore;

use super::{Augmentation, AugmentedModes};
use crate::error::Result;

/// Nothing is done: a branch of clean rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unchanged;

impl Augmentation for Unchanged {
    fn augment(&self, _: &mut AugmentedModes, _: &[usize], _: &mut dyn RngCore) -> Result<()> {
        Ok(())
    }
}
