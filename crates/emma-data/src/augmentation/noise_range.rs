//! Noise of many strengths.

use rand::seq::IndexedRandom;
use rand::{Rng, RngCore};
use rand_distr::StandardNormal;

use super::{Augmentation, AugmentedModes, probability};
use crate::error::{Error, Result};

/// Gaussian noise on one mode of each row, or on all of them, as strong as is drawn for the row.
///
/// `x + σ · ε` for every feature that is there, in 32 bits: ε standard normal, σ uniform in `(low, high]`
/// and the same for the whole row. `low` equal to `high` is that very σ.
///
/// The noisy mode is one of those that the row has, each equally likely; with the probability `share_all` it
/// is all of them.
///
/// # Units
/// σ: standard deviations of the clean features, which were standardized before.
///
/// # Order of draws
/// Row by row: σ, whether all modes, which mode if not, then ε feature by feature. The first two are drawn
/// whatever the settings are, so that they move no other draw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NoiseRange {
    low: f64,
    high: f64,
    share_all: f64,
}

impl NoiseRange {
    /// Noise between two levels, on all modes with the probability `share_all`.
    ///
    /// # Errors
    /// [`Error::NoiseRange`] if not 0 ≤ low ≤ high ≤ the largest 32-bit float, or NaN;
    /// [`Error::Probability`] for a share outside `[0, 1]` or NaN.
    pub fn new(low: f64, high: f64, share_all: f64) -> Result<Self> {
        let most = f64::from(f32::MAX);
        if !((0.0..=most).contains(&low) && (low..=most).contains(&high)) {
            return Err(Error::NoiseRange { low, high });
        }
        Ok(Self {
            low,
            high,
            share_all: probability("the share of rows with noise on all modes", share_all)?,
        })
    }
}

impl Augmentation for NoiseRange {
    fn augment(
        &self,
        modes: &mut AugmentedModes,
        rows: &[usize],
        rng: &mut dyn RngCore,
    ) -> Result<()> {
        for &row in rows {
            // 1 is never drawn, so that `low` is not, and `high` is.
            let std = (self.high - rng.random::<f64>() * (self.high - self.low)) as f32;
            let all = rng.random::<f64>() < self.share_all;
            let mut noisy = modes.present(row);
            if !all {
                noisy = noisy.choose(rng).copied().into_iter().collect();
            }
            for mode_index in noisy {
                add_noise(modes, [row, mode_index], std, rng)?;
            }
        }
        Ok(())
    }
}

fn add_noise(
    modes: &mut AugmentedModes,
    [row, mode_index]: [usize; 2],
    std: f32,
    rng: &mut dyn RngCore,
) -> Result<()> {
    let values = modes.touch(row, mode_index).into_iter().flatten();
    for (column, cell) in values.enumerate() {
        let value = *cell;
        // A single feature may be missing.
        if value.is_nan() {
            continue;
        }
        let found = value + std * rng.sample::<f32, _>(StandardNormal);
        if !found.is_finite() {
            return Err(Error::CorruptedValue {
                mode_index,
                row,
                column,
                value,
                found,
            });
        }
        *cell = found;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::NoiseRange;
    use crate::{augment, generator};

    #[test]
    fn ranges_that_are_none_are_refused() {
        for (low, high) in [
            (-0.1, 1.0),
            (1.0, 0.5),
            (f64::NAN, 1.0),
            (0.0, f64::NAN),
            (0.0, f64::INFINITY),
        ] {
            assert_eq!(
                NoiseRange::new(low, high, 0.0).unwrap_err().to_string(),
                format!(
                    "expected noise from 0 or more up to at most {}, found {low} to {high}",
                    f32::MAX
                )
            );
        }
        assert_eq!(
            NoiseRange::new(0.0, 1.0, -1.0).unwrap_err().to_string(),
            "expected the share of rows with noise on all modes between 0 and 1, found -1"
        );
    }

    /// With 4,000 features a row, its noise's standard deviation is known to one part in 90; the bounds are
    /// six of these wide.
    #[test]
    fn every_row_has_a_level_of_its_own_within_the_range() {
        const N_FEATURES: usize = 4000;
        let noise = NoiseRange::new(0.5, 2.0, 0.0).unwrap();
        let modes = [Array2::zeros((200, N_FEATURES))];
        let augmented = augment(&modes, &noise, &mut generator(1, "levels")).unwrap();
        let levels: Vec<f64> = augmented.modes()[0]
            .outer_iter()
            .map(|row| {
                let squares: f64 = row.iter().map(|&value| f64::from(value).powi(2)).sum();
                (squares / N_FEATURES as f64).sqrt()
            })
            .collect();
        let bound = 1.0 + 6.0 / (2.0 * N_FEATURES as f64).sqrt();
        for level in &levels {
            assert!((0.5 / bound..=2.0 * bound).contains(level), "{level}");
        }
        // Uniform levels have the mean 1.25 and the standard deviation 0.433, and 200 of them six of 0.0306.
        let mean = levels.iter().sum::<f64>() / 200.0;
        assert!((mean - 1.25).abs() < 0.184, "{mean}");
        let variance = levels
            .iter()
            .map(|level| (level - mean).powi(2))
            .sum::<f64>()
            / 199.0;
        assert!((0.3..0.55).contains(&variance.sqrt()), "{variance}");
    }

    #[test]
    fn noise_beyond_32_bits_is_an_error() {
        let most = f64::from(f32::MAX);
        let noise = NoiseRange::new(most, most, 0.0).unwrap();
        let modes = [Array2::from_elem((100, 2), f32::MAX)];
        let error = augment(&modes, &noise, &mut generator(1, "levels")).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("expected a finite corrupted value"), "{text}");
    }

    #[test]
    fn missing_features_stay_missing() {
        let modes = [array![[f32::NAN, f32::NAN]], array![[f32::NAN, 1.0]]];
        let noise = NoiseRange::new(1.0, 1.0, 0.0).unwrap();
        let augmented = augment(&modes, &noise, &mut generator(1, "levels")).unwrap();
        assert!(augmented.modes()[0].iter().all(|value| value.is_nan()));
        assert!(augmented.modes()[1][[0, 0]].is_nan());
        assert!((augmented.modes()[1][[0, 1]] - 1.0).abs() > 0.0);
        assert_eq!(augmented.record().flags(), array![[false, true]]);
    }
}
