//! How far features are shifted or stretched.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A number that features are shifted by or multiplied with, of either sign.
///
/// Finite, at most the largest 32-bit float in size.
///
/// # Units
/// Of a shift: standard deviations of the clean feature, which was standardized before. Of a factor:
/// none.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct CorruptionLevel(f64);

impl CorruptionLevel {
    /// The checked level.
    ///
    /// # Errors
    /// [`Error::CorruptionLevel`] if it is NaN, infinite or beyond 32 bits.
    pub fn new(level: f64) -> Result<Self> {
        let most = f64::from(f32::MAX);
        if !(-most..=most).contains(&level) {
            return Err(Error::CorruptionLevel { found: level });
        }
        // Adding zero turns -0 into 0.
        Ok(Self(level + 0.0))
    }

    /// The level as a number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl fmt::Display for CorruptionLevel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl TryFrom<f64> for CorruptionLevel {
    type Error = Error;

    fn try_from(level: f64) -> Result<Self> {
        Self::new(level)
    }
}

impl From<CorruptionLevel> for f64 {
    fn from(level: CorruptionLevel) -> Self {
        level.0
    }
}

#[cfg(test)]
mod tests {
    use super::CorruptionLevel;

    #[test]
    fn levels_outside_the_range_are_refused() {
        for level in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e39, -1e39] {
            assert_eq!(
                CorruptionLevel::new(level).unwrap_err().to_string(),
                format!(
                    "expected a level between -{0} and {0}, found {level}",
                    f32::MAX
                )
            );
        }
        assert_eq!(
            serde_json::from_str::<CorruptionLevel>("-2").unwrap(),
            CorruptionLevel::new(-2.0).unwrap()
        );
        assert_eq!(CorruptionLevel::new(-0.0).unwrap().to_string(), "0");
    }
}
