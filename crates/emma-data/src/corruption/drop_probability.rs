//! How often a feature is dropped.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Probability that a feature of a corrupted mode is dropped.
///
/// From 0 (never) to 1 (always).
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct DropProbability(f64);

impl DropProbability {
    /// The checked probability.
    ///
    /// # Errors
    /// [`Error::DropProbability`] if it is outside `[0, 1]` or NaN.
    pub fn new(probability: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&probability) {
            return Err(Error::DropProbability { found: probability });
        }
        // Adding zero turns -0, which the range contains, into 0.
        Ok(Self(probability + 0.0))
    }

    /// The probability as a number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl fmt::Display for DropProbability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl TryFrom<f64> for DropProbability {
    type Error = Error;

    fn try_from(probability: f64) -> Result<Self> {
        Self::new(probability)
    }
}

impl From<DropProbability> for f64 {
    fn from(probability: DropProbability) -> Self {
        probability.0
    }
}

#[cfg(test)]
mod tests {
    use super::DropProbability;

    #[test]
    fn probabilities_outside_the_range_are_refused() {
        for probability in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert_eq!(
                DropProbability::new(probability).unwrap_err().to_string(),
                format!("expected a probability of dropping between 0 and 1, found {probability}")
            );
        }
        assert!(serde_json::from_str::<DropProbability>("2").is_err());
        assert_eq!(DropProbability::new(-0.0).unwrap().to_string(), "0");
    }
}
