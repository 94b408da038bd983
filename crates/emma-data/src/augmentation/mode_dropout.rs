//! Modes that go missing.

use rand::{Rng, RngCore};

use super::{Augmentation, AugmentedModes, probability};
use crate::error::Result;

/// With some probability a row loses one of the modes that it has, each equally likely: all its features
/// become NaN.
///
/// # Order of draws
/// Row by row: whether, then which of the modes that are there.
///
/// # Source
/// N. Neverova, C. Wolf, G. Taylor and F. Nebout (2016), "ModDrop", IEEE Transactions on Pattern Analysis
/// and Machine Intelligence 38, 1692.
/// Deviation: there, each mode is dropped independently and is zero then; here, at most one is, and its
/// absence stays visible.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ModeDropout {
    probability: f64,
    keep_one: bool,
}

impl ModeDropout {
    /// A row loses a mode with this probability; with `keep_one`, only if another is left.
    ///
    /// # Errors
    /// [`Error::Probability`](crate::Error::Probability) if it is outside `[0, 1]` or NaN.
    pub fn new(probability: f64, keep_one: bool) -> Result<Self> {
        Ok(Self {
            probability: self::probability("the probability of mode dropout", probability)?,
            keep_one,
        })
    }
}

impl Augmentation for ModeDropout {
    fn augment(
        &self,
        modes: &mut AugmentedModes,
        rows: &[usize],
        rng: &mut dyn RngCore,
    ) -> Result<()> {
        for &row in rows {
            if rng.random::<f64>() >= self.probability {
                continue;
            }
            let present = modes.present(row);
            if present.len() > usize::from(self.keep_one) {
                modes.take_away(row, present[rng.random_range(0..present.len())]);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::ModeDropout;
    use crate::{Augmentation, InOrder, augment, generator};

    #[test]
    fn the_last_mode_stays_if_it_is_asked_to() {
        let twice = |keep_one| {
            let dropout = ModeDropout::new(1.0, keep_one).unwrap();
            let dropouts = InOrder(vec![dropout.boxed(), dropout.boxed(), dropout.boxed()]);
            let modes = [Array2::ones((50, 2)), Array2::ones((50, 1))];
            let augmented = augment(&modes, &dropouts, &mut generator(1, "modes")).unwrap();
            let n_missing: Vec<usize> = augmented
                .missing()
                .outer_iter()
                .map(|row| row.iter().filter(|&&missing| missing).count())
                .collect();
            n_missing
        };
        assert_eq!(twice(true), vec![1; 50]);
        assert_eq!(twice(false), vec![2; 50]);
    }

    #[test]
    fn all_features_of_the_lost_mode_are_nan() {
        let dropout = ModeDropout::new(1.0, false).unwrap();
        let augmented = augment(
            &[array![[1.0_f32, 2.0]]],
            &dropout,
            &mut generator(1, "modes"),
        );
        let augmented = augmented.unwrap();
        assert!(augmented.modes()[0].iter().all(|value| value.is_nan()));
        assert_eq!(augmented.record().flags(), array![[true]]);
    }

    #[test]
    fn probabilities_outside_the_range_are_refused() {
        for probability in [-0.5, 1.5, f64::NAN] {
            assert_eq!(
                ModeDropout::new(probability, true).unwrap_err().to_string(),
                format!(
                    "expected the probability of mode dropout between 0 and 1, found {probability}"
                )
            );
        }
    }
}
