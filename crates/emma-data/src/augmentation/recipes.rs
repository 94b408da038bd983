//! Mixtures by name.

use super::{Augmentation, InOrder, ModeDropout, ModeMixture, NoiseRange, probability};
use crate::error::{Error, Result};

/// The thesis's mixture with modes that go missing: half of the rows without noise, the others with noise of
/// one level on one mode, each equally likely; then, with a probability, a row loses one of its modes, noisy
/// or not.
///
/// A row with a single mode never loses it. `(1 − dropout_probability) / 2` of the rows are as they came.
///
/// # Units
/// `noise_std`: standard deviations of the clean features.
///
/// # Errors
/// [`Error::NoModes`] for no mode; [`Error::NoiseRange`] and [`Error::Probability`] for what is no level and
/// no probability.
///
/// # Source
/// Thesis, section 6.4 ("50-25-25").
/// Deviation: rows are drawn independently, so that shares are as chance has it
/// ([`CorruptionRecord::mixture`](crate::CorruptionRecord::mixture) deals them out); the dropout is this
/// implementation's.
pub fn narrow(n_modes: usize, noise_std: f64, dropout_probability: f64) -> Result<InOrder> {
    some_modes(n_modes)?;
    let noise = NoiseRange::new(noise_std, noise_std, 0.0)?;
    let mixture = ModeMixture::new(vec![(0.5, noise.boxed())])?;
    let dropout = ModeDropout::new(dropout_probability, true)?;
    Ok(InOrder(vec![mixture.boxed(), dropout.boxed()]))
}

/// How [`broad()`] shares out the rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BroadShares {
    /// Rows as they came. Default 0.25; 0 to 1.
    pub clean: f64,
    /// Rows that lose one mode, if another is left. Default 0.15; 0 to 1, and at most what `clean` leaves of 1.
    pub missing: f64,
    /// Of the rest, which are noisy: those with noise on all modes. Default 0.2; 0 to 1.
    pub all_modes: f64,
}

impl Default for BroadShares {
    fn default() -> Self {
        Self {
            clean: 0.25,
            missing: 0.15,
            all_modes: 0.2,
        }
    }
}

/// Many faults of many strengths: some rows clean, some without one of their modes, all others noisy, each as
/// strongly as is drawn for it, uniformly in `(0, highest]`, on one mode or on all.
///
/// # Units
/// `highest`: standard deviations of the clean features.
///
/// # Errors
/// [`Error::NoModes`] for no mode; [`Error::NoiseRange`], [`Error::Probability`] and
/// [`Error::ProbabilitySum`] for what is no level, no share, and more than all.
///
/// # Source
/// This implementation: a network that has seen one level of noise knows that level.
pub fn broad(n_modes: usize, highest: f64, shares: &BroadShares) -> Result<ModeMixture> {
    some_modes(n_modes)?;
    let clean = probability("the share of clean rows", shares.clean)?;
    let missing = probability("the share of rows with a missing mode", shares.missing)?;
    let noise = NoiseRange::new(0.0, highest, shares.all_modes)?;
    let dropout = ModeDropout::new(1.0, true)?;
    if clean + missing > 1.0 {
        return Err(Error::ProbabilitySum {
            found: clean + missing,
        });
    }
    ModeMixture::new(vec![
        (missing, dropout.boxed()),
        (1.0 - clean - missing, noise.boxed()),
    ])
}

fn some_modes(n_modes: usize) -> Result<()> {
    if n_modes == 0 {
        return Err(Error::NoModes);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{BroadShares, broad, narrow};

    #[test]
    fn recipes_refuse_what_is_no_share() {
        let of = |clean, missing, all_modes| {
            let shares = BroadShares {
                clean,
                missing,
                all_modes,
            };
            broad(2, 1.0, &shares).unwrap_err().to_string()
        };
        assert!(of(f64::NAN, 0.1, 0.1).contains("share of clean rows"));
        assert!(of(0.1, -0.1, 0.1).contains("share of rows with a missing mode"));
        assert!(of(0.1, 0.1, 1.1).contains("noise on all modes"));
        assert!(of(0.75, 0.5, 0.1).contains("at most 1, found 1.25"));
        for n_modes in [0, 1] {
            assert_eq!(
                broad(n_modes, 1.0, &BroadShares::default()).is_ok(),
                n_modes > 0
            );
            assert_eq!(narrow(n_modes, 1.0, 0.5).is_ok(), n_modes > 0);
        }
        for noise_std in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(narrow(2, noise_std, 0.5).is_err());
            assert!(broad(2, noise_std, &BroadShares::default()).is_err());
        }
        assert!(narrow(2, 1.0, f64::NAN).is_err());
    }
}
