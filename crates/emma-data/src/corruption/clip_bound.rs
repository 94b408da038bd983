//! Where a sensor saturates.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Size that clipped features do not exceed.
///
/// At least 0, finite, at most the largest 32-bit float.
///
/// # Units
/// Standard deviations of the clean feature, which was standardized before.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct ClipBound(f64);

impl ClipBound {
    /// The checked bound.
    ///
    /// # Errors
    /// [`Error::ClipBound`] if it is negative, NaN, infinite or beyond 32 bits.
    pub fn new(bound: f64) -> Result<Self> {
        if !(0.0..=f64::from(f32::MAX)).contains(&bound) {
            return Err(Error::ClipBound { found: bound });
        }
        // Adding zero turns -0, which the range contains, into 0.
        Ok(Self(bound + 0.0))
    }

    /// The bound as a number.
    pub fn get(self) -> f64 {
        self.0
    }

    /// The number nearest to `value` between the bounds.
    pub(super) fn clip(self, value: f32) -> f32 {
        // Never below 0, so the bounds are in order.
        let bound = self.0 as f32;
        value.clamp(-bound, bound)
    }
}

impl fmt::Display for ClipBound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl TryFrom<f64> for ClipBound {
    type Error = Error;

    fn try_from(bound: f64) -> Result<Self> {
        Self::new(bound)
    }
}

impl From<ClipBound> for f64 {
    fn from(bound: ClipBound) -> Self {
        bound.0
    }
}

#[cfg(test)]
mod tests {
    use super::ClipBound;

    #[test]
    fn bounds_outside_the_range_are_refused() {
        for bound in [-0.1, f64::NAN, f64::INFINITY, 1e39] {
            assert_eq!(
                ClipBound::new(bound).unwrap_err().to_string(),
                format!(
                    "expected a bound to clip at between 0 and {}, found {bound}",
                    f32::MAX
                )
            );
        }
        assert!(serde_json::from_str::<ClipBound>("-1").is_err());
        assert_eq!(ClipBound::new(-0.0).unwrap().to_string(), "0");
    }

    #[test]
    fn values_beyond_the_bound_become_the_bound() {
        let bound = ClipBound::new(1.5).unwrap();
        let clipped = [-9.0, -1.5, 0.25, 1.5, 9.0].map(|value| bound.clip(value).to_string());
        assert_eq!(clipped, ["-1.5", "-1.5", "0.25", "1.5", "1.5"]);
    }
}
