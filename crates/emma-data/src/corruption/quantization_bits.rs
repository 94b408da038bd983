//! How coarse a quantized feature is.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Bits that a quantized feature is stored in: 1 to 16.
///
/// `b` bits are `2^b` cells of equal width over the standard scores from −4 to 4. A value becomes
/// the middle of its cell, a value beyond the range that of the outermost one: so the error is at
/// most half a step, `4 / 2^b`, within the range, and 0 is no level.
///
/// # Units
/// The range: standard deviations of the clean feature, which was standardized before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct QuantizationBits(u32);

impl QuantizationBits {
    /// The checked number of bits.
    ///
    /// # Errors
    /// [`Error::QuantizationBits`] if it is not from 1 to 16.
    pub fn new(bits: u32) -> Result<Self> {
        if !(1..=16).contains(&bits) {
            return Err(Error::QuantizationBits { found: bits });
        }
        Ok(Self(bits))
    }

    /// The number of bits.
    pub fn get(self) -> u32 {
        self.0
    }

    /// Width of a cell, in standard deviations: `8 / 2^b`.
    pub fn step(self) -> f64 {
        2.0 * LARGEST_SCORE / f64::from(1_u32 << self.0)
    }

    /// The middle of the value's cell; not a number stays it.
    pub(super) fn quantize(self, value: f32) -> f32 {
        // The step is a power of two: nothing here is rounded.
        let step = self.step();
        let n_cells_a_side = f64::from(1_u32 << (self.0 - 1));
        let cell = (f64::from(value) / step).floor();
        let cell = cell.clamp(-n_cells_a_side, n_cells_a_side - 1.0);
        ((cell + 0.5) * step) as f32
    }
}

/// Standard scores that are told apart, on both sides of 0.
const LARGEST_SCORE: f64 = 4.0;

impl fmt::Display for QuantizationBits {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl TryFrom<u32> for QuantizationBits {
    type Error = Error;

    fn try_from(bits: u32) -> Result<Self> {
        Self::new(bits)
    }
}

impl From<QuantizationBits> for u32 {
    fn from(bits: QuantizationBits) -> Self {
        bits.0
    }
}

#[cfg(test)]
mod tests {
    use super::QuantizationBits;

    #[test]
    fn bits_outside_the_range_are_refused() {
        for bits in [0, 17, u32::MAX] {
            assert_eq!(
                QuantizationBits::new(bits).unwrap_err().to_string(),
                format!("expected 1 to 16 bits to quantize to, found {bits}")
            );
        }
        assert!(serde_json::from_str::<QuantizationBits>("0").is_err());
        assert_eq!(
            serde_json::from_str::<QuantizationBits>("16")
                .unwrap()
                .get(),
            16
        );
    }

    #[test]
    fn two_bits_are_four_values() {
        let bits = QuantizationBits::new(2).unwrap();
        let values = [-1e30, -4.0, -2.0, -0.1, 0.0, 1.9, 2.0, 4.0, 1e30];
        let quantized = values.map(|value| bits.quantize(value).to_string());
        assert_eq!(quantized, ["-3", "-3", "-1", "-1", "1", "1", "3", "3", "3"]);
        assert!(bits.quantize(f32::NAN).is_nan());
    }
}
