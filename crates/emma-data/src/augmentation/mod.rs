//! Rows of standardized modes, changed at random for training, afresh in every epoch.

mod augmented_modes;
mod corrupted_share;
mod epoch_augmentation;
mod in_order;
mod mode_dropout;
mod mode_mixture;
mod noise_range;
mod recipes;
mod unchanged;

use std::fmt::Debug;

use ndarray::{ArrayBase, Data, Ix2};
use rand::RngCore;

pub use self::augmented_modes::AugmentedModes;
pub use self::corrupted_share::CorruptedShare;
pub use self::epoch_augmentation::EpochAugmentation;
pub use self::in_order::InOrder;
pub use self::mode_dropout::ModeDropout;
pub use self::mode_mixture::ModeMixture;
pub use self::noise_range::NoiseRange;
pub use self::recipes::{BroadShares, broad, narrow};
pub use self::unchanged::Unchanged;
use crate::error::{Error, Result};

/// A random change of rows of standardized modes: rows in, as many rows out.
///
/// Augmentations compose: [`InOrder`] does one after another, [`ModeMixture`] gives each row to one of
/// several, [`NoiseRange`], [`ModeDropout`] and [`CorruptedShare`] are what they are made of, and
/// [`narrow()`] and [`broad()`] are two mixtures by name. [`EpochAugmentation`] draws them afresh in every
/// epoch.
///
/// What sets this apart from [`CorruptedModes`](crate::CorruptedModes) is that a row's kind and strength of
/// corruption are drawn for that row; there, they are one for all.
///
/// # Contract
/// An implementation changes the rows that it is given and no others, only through
/// [`AugmentedModes::touch`] and [`AugmentedModes::take_away`], which record what they change, and draws
/// from `rng` alone.
///
/// ```
/// use emma_data::{Augmentation, ModeDropout, ModeMixture, NoiseRange, augment, generator};
/// use ndarray::Array2;
///
/// let noise = NoiseRange::new(0.0, 1.0, 0.2)?;
/// let missing = ModeDropout::new(1.0, true)?;
/// // The rest, a quarter of the rows, stays clean.
/// let mixture = ModeMixture::new(vec![(0.6, noise.boxed()), (0.15, missing.boxed())])?;
/// let modes = [Array2::zeros((1000, 4)), Array2::zeros((1000, 3))];
/// let augmented = augment(&modes, &mixture, &mut generator(7, "training rows"))?;
/// assert_eq!(augmented.record().n_rows(), 1000);
/// # Ok::<(), emma_data::Error>(())
/// ```
pub trait Augmentation: Debug + Send + Sync {
    /// Changes the rows of `modes` whose numbers stand in `rows`.
    ///
    /// # Errors
    /// The implementation's own; rows may be half done then.
    fn augment(
        &self,
        modes: &mut AugmentedModes,
        rows: &[usize],
        rng: &mut dyn RngCore,
    ) -> Result<()>;

    /// The same on the heap, to be put into others.
    fn boxed(self) -> Box<dyn Augmentation>
    where
        Self: Sized + 'static,
    {
        Box::new(self)
    }
}

impl<T: Augmentation + ?Sized> Augmentation for Box<T> {
    fn augment(
        &self,
        modes: &mut AugmentedModes,
        rows: &[usize],
        rng: &mut dyn RngCore,
    ) -> Result<()> {
        (**self).augment(modes, rows, rng)
    }
}

/// Augmented copies of all rows.
///
/// # Shapes
/// - `modes[m]`: `[rows, features of m]`, standardized, arrays or views; a mode whose features are all NaN
///   in a row is missing there
///
/// # Errors
/// [`Error::UnequalRows`] if the modes have different numbers of rows; [`Error::RecordTooLarge`] if memory
/// cannot hold the record; the augmentation's own.
pub fn augment<S: Data<Elem = f32>>(
    modes: &[ArrayBase<S, Ix2>],
    augmentation: &(impl Augmentation + ?Sized),
    rng: &mut dyn RngCore,
) -> Result<AugmentedModes> {
    let mut augmented = AugmentedModes::of(modes)?;
    let rows: Vec<usize> = (0..augmented.n_rows()).collect();
    augmentation.augment(&mut augmented, &rows, rng)?;
    Ok(augmented)
}

/// A probability that is one.
fn probability(name: &'static str, found: f64) -> Result<f64> {
    if (0.0..=1.0).contains(&found) {
        return Ok(found);
    }
    Err(Error::Probability { name, found })
}
