//! How strong the noise is.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Standard deviation of the Gaussian noise that is added to standardized features.
///
/// At least 0, finite, at most the largest 32-bit float. 0 adds nothing.
///
/// # Units
/// Standard deviations of the clean feature: the features were standardized before, so a level of 1
/// is as much noise as signal.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct NoiseStd(f64);

impl NoiseStd {
    /// The checked level.
    ///
    /// # Errors
    /// [`Error::NoiseStd`] if it is negative, NaN, infinite or beyond 32 bits.
    pub fn new(level: f64) -> Result<Self> {
        if !(0.0..=f64::from(f32::MAX)).contains(&level) {
            return Err(Error::NoiseStd { found: level });
        }
        // Adding zero turns -0, which the range contains, into 0.
        Ok(Self(level + 0.0))
    }

    /// The level as a number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl fmt::Display for NoiseStd {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl TryFrom<f64> for NoiseStd {
    type Error = Error;

    fn try_from(level: f64) -> Result<Self> {
        Self::new(level)
    }
}

impl From<NoiseStd> for f64 {
    fn from(level: NoiseStd) -> Self {
        level.0
    }
}

/// Noise-to-signal ratio of a noise level on standardized features.
///
/// `20 log10 S`: noise of standard deviation `S` over a signal of standard deviation 1.
///
/// # Units
/// Decibels. 0 dB is as much noise as signal; no noise is minus infinity.
///
/// # Source
/// Thesis, section 6.2.
/// Deviation: the thesis writes the signal-to-noise ratio, `10 log10 (1 / S²)`, which is this with the
/// other sign.
///
/// ```
/// use emma_data::{NoiseStd, noise_to_signal_decibels};
///
/// let decibels = noise_to_signal_decibels(NoiseStd::new(0.5)?);
/// assert!((decibels - -6.02).abs() < 0.01);
/// # Ok::<(), emma_data::Error>(())
/// ```
pub fn noise_to_signal_decibels(level: NoiseStd) -> f64 {
    20.0 * level.0.log10()
}

#[cfg(test)]
mod tests {
    use super::{NoiseStd, noise_to_signal_decibels};

    #[test]
    fn levels_outside_the_range_are_refused() {
        for level in [-0.1, f64::NAN, f64::INFINITY, 1e39] {
            assert_eq!(
                NoiseStd::new(level).unwrap_err().to_string(),
                format!(
                    "expected a noise standard deviation between 0 and {}, found {level}",
                    f32::MAX
                )
            );
        }
        assert!(serde_json::from_str::<NoiseStd>("-1").is_err());
        assert_eq!(
            serde_json::from_str::<NoiseStd>("0.5").unwrap(),
            NoiseStd::new(0.5).unwrap()
        );
        assert_eq!(NoiseStd::new(-0.0).unwrap().to_string(), "0");
    }

    #[test]
    fn decibels_are_worked_by_hand() {
        let decibels = |level| noise_to_signal_decibels(NoiseStd::new(level).unwrap());
        assert!(decibels(1.0).abs() < 1e-12);
        assert!((decibels(10.0) - 20.0).abs() < 1e-12);
        assert!((decibels(0.5) + 6.020_599_913_279_624).abs() < 1e-12);
        assert!(decibels(0.0).is_infinite() && decibels(0.0) < 0.0);
    }
}
