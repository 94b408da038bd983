//! Levels between nothing and everything.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A level between 0 and 1: how probable it is that a feature is touched, or how much of a way is
/// gone.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct UnitLevel(f64);

impl UnitLevel {
    /// The checked level.
    ///
    /// # Errors
    /// [`Error::UnitLevel`] if it is outside `[0, 1]` or NaN.
    pub fn new(level: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&level) {
            return Err(Error::UnitLevel { found: level });
        }
        // Adding zero turns -0, which the range contains, into 0.
        Ok(Self(level + 0.0))
    }

    /// The level as a number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl fmt::Display for UnitLevel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl TryFrom<f64> for UnitLevel {
    type Error = Error;

    fn try_from(level: f64) -> Result<Self> {
        Self::new(level)
    }
}

impl From<UnitLevel> for f64 {
    fn from(level: UnitLevel) -> Self {
        level.0
    }
}

#[cfg(test)]
mod tests {
    use super::UnitLevel;

    #[test]
    fn levels_outside_the_range_are_refused() {
        for level in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert_eq!(
                UnitLevel::new(level).unwrap_err().to_string(),
                format!("expected a level between 0 and 1, found {level}")
            );
        }
        assert!(serde_json::from_str::<UnitLevel>("2").is_err());
        assert_eq!(UnitLevel::new(-0.0).unwrap().to_string(), "0");
    }
}
