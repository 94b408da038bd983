//! Step 3: importance, a Gibbs distribution over the modes.

use candle_core::{D, DType, Tensor};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::modal_energy::ModalEnergies;
use crate::stage::stage;

/// Coldness ρ, the inverse temperature of the Gibbs distribution: finite, at least 0.
///
/// At 0 all modes are equally important; the larger it is, the more the mode of lowest energy
/// takes all.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Coldness(f64);

impl Coldness {
    /// Checks the range.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for a negative, infinite or NaN value.
    pub fn new(value: f64) -> Result<Self> {
        if (0. ..=f64::MAX).contains(&value) {
            return Ok(Self(value));
        }
        Err(Error::InvalidSetting {
            name: "coldness",
            expected: "finite and at least 0",
            found: value,
        })
    }

    /// The number.
    pub fn value(self) -> f64 {
        self.0
    }
}

impl Default for Coldness {
    /// 0.1.
    fn default() -> Self {
        Self(0.1)
    }
}

impl TryFrom<f64> for Coldness {
    type Error = Error;

    fn try_from(value: f64) -> Result<Self> {
        Self::new(value)
    }
}

impl From<Coldness> for f64 {
    fn from(coldness: Coldness) -> Self {
        coldness.0
    }
}

stage!(
    /// Logarithms of the importance scores α; every row's exponentials sum to one.
    LogImportance,
    "log-importance"
);

/// Importance of every mode, as its logarithm.
///
/// `log α_i = −ρ E_i − log Σ_k exp(−ρ E_k)`
///
/// # Shapes
/// - returns `[rows, modes]`
///
/// # Units
/// Dimensionless.
///
/// # Errors
/// Only candle's own.
///
/// # Source
/// Thesis eq. 5.6.
/// Deviation: kept as a logarithm, which neither overflows nor loses the modes that are all but
/// ignored.
pub fn log_importance(energies: &ModalEnergies, coldness: Coldness) -> Result<LogImportance> {
    let exponents = Exponents::new(energies, coldness)?;
    LogImportance::new(exponents.shifted.broadcast_sub(&exponents.log_sum)?)
}

/// Logarithm of the partition function, `log Z = log Σ_k exp(−ρ E_k)`.
///
/// # Shapes
/// - returns `[rows, 1]`
///
/// # Units
/// Dimensionless.
///
/// # Errors
/// Only candle's own.
///
/// # Source
/// Thesis eq. 5.6.
pub fn log_partition(energies: &ModalEnergies, coldness: Coldness) -> Result<Tensor> {
    let exponents = Exponents::new(energies, coldness)?;
    Ok((exponents.log_sum + exponents.shift)?)
}

/// Exponents −ρ E_i less their largest, so that no exponential overflows.
struct Exponents {
    /// −ρ E_i less the shift, `[rows, modes]`.
    shifted: Tensor,
    /// The largest exponent, `[rows, 1]`.
    shift: Tensor,
    /// Logarithm of the sum of the shifted exponentials, `[rows, 1]`.
    log_sum: Tensor,
}

impl Exponents {
    /// −ρ (E_i − min E), whose largest is 0 and whose others may be −∞. Energies are subtracted before they
    /// are scaled: products may overflow together, and infinity less infinity is no number.
    fn new(energies: &ModalEnergies, coldness: Coldness) -> Result<Self> {
        let energies_tensor = energies.as_tensor();
        // Infinity times no difference would be no number.
        let coldness = match energies_tensor.dtype() {
            DType::F64 => coldness.value(),
            _ => coldness.value().min(f64::from(f32::MAX)),
        };
        // No result depends on the shift, so none needs its gradient. (candle refuses the minimum of an
        // empty tensor.)
        let lowest = if energies.n_rows() == 0 {
            energies_tensor.detach().sum_keepdim(D::Minus1)?
        } else {
            energies_tensor.detach().min_keepdim(D::Minus1)?
        };
        let shifted = (energies_tensor.broadcast_sub(&lowest)? * -coldness)?;
        let log_sum = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
        Ok(Self {
            shifted,
            shift: (lowest * -coldness)?,
            log_sum,
        })
    }
}

impl LogImportance {
    /// Importance scores α, `[rows, modes]`, each row summing to one.
    ///
    /// # Errors
    /// Only candle's own.
    pub fn importance(&self) -> Result<Tensor> {
        Ok(self.as_tensor().exp()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use emma_testkit::devices;

    #[test]
    fn the_largest_coldness_gives_all_to_the_lowest_energy() -> Result<()> {
        for device in devices() {
            let energies = Tensor::new(&[[30f32, 20., 50.], [3., 3., 4.]], device)?;
            let energies = ModalEnergies::new(energies)?;
            for coldness in [1001., 1e30, f64::MAX] {
                let importance = log_importance(&energies, Coldness::new(coldness)?)?;
                let importance = importance.importance()?.to_vec2::<f32>()?;
                assert_eq!(importance, [[0., 1., 0.], [0.5, 0.5, 0.]], "{coldness}");
            }
        }
        Ok(())
    }

    #[test]
    fn importance_sums_to_one_at_any_coldness_and_energy() -> Result<()> {
        for device in devices() {
            let energies = Tensor::new(&[[1e6f32, 1e6 + 1., -1e6], [3., 3., 3.]], device)?;
            let energies = ModalEnergies::new(energies)?;
            for coldness in [0., 1e-4, 0.1, 1., 1e4, 1e30] {
                let importance =
                    log_importance(&energies, Coldness::new(coldness)?)?.importance()?;
                for sum in importance.sum(1)?.to_vec1::<f32>()? {
                    assert!((sum - 1.).abs() < 1e-6, "{coldness}: {sum}");
                }
            }
        }
        Ok(())
    }

    #[test]
    fn coldness_must_be_finite_and_not_negative() {
        for value in [-1e-9, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(Coldness::new(value).is_err(), "{value}");
        }
        assert_eq!(
            Coldness::new(-1.).unwrap_err().to_string(),
            "coldness must be finite and at least 0, got -1"
        );
    }
}
