//! The two terms that stage two may add to the loss.

use candle_core::{D, DType, Tensor};
use serde::{Deserialize, Serialize};

use crate::emma::Emma;
use crate::error::{Error, Result};
use crate::importance::LogImportance;

/// What the capacity weight multiplies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CapacityPenalty {
    /// `g_a − b_a`, as in the finished thesis.
    #[default]
    GainMinusBias,
    /// `g_a` alone, as in eq. 5.12 of the draft.
    Gain,
}

/// Weights of the regularizers; all zero by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Regularizers {
    /// λ_c. Positive values shrink the capacity, negative ones enlarge it (the thesis's text has
    /// it the other way round). Finite; default 0.
    pub capacity_weight: f64,
    /// λ_e, at least 0: keeps modal energies low for clean modes and high for corrupted ones.
    /// Default 0.
    pub energy_weight: f64,
    /// What λ_c multiplies.
    pub capacity_penalty: CapacityPenalty,
}

impl Regularizers {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`].
    pub fn validate(&self) -> Result<()> {
        if !self.capacity_weight.is_finite() {
            return Err(Error::InvalidSetting {
                name: "capacity_weight",
                expected: "finite",
                found: self.capacity_weight,
            });
        }
        if !(0. ..=f64::MAX).contains(&self.energy_weight) {
            return Err(Error::InvalidSetting {
                name: "energy_weight",
                expected: "finite and at least 0",
                found: self.energy_weight,
            });
        }
        Ok(())
    }

    /// The sum of both terms, or nothing if both weights are zero.
    ///
    /// `λ_c (g_a − b_a) − λ_e Ω`
    ///
    /// # Shapes
    /// - `corruption_sign` ξ: `[rows, modes]`, −1 where the mode was corrupted, +1 elsewhere
    /// - returns a scalar
    ///
    /// # Errors
    /// [`Error::NotRowsByModes`] if a positive energy weight has no signs of the right shape.
    ///
    /// # Source
    /// Thesis eq. 5.12.
    pub fn penalty(
        &self,
        emma: &Emma,
        log_importance: &LogImportance,
        corruption_sign: Option<&Tensor>,
    ) -> Result<Option<Tensor>> {
        let mut terms = Vec::with_capacity(2);
        if self.capacity_weight != 0. {
            let penalty = match self.capacity_penalty {
                CapacityPenalty::GainMinusBias => (emma.gain() - emma.attention_bias())?,
                CapacityPenalty::Gain => emma.gain().clone(),
            };
            terms.push((penalty.sum_all()? * self.capacity_weight)?);
        }
        if self.energy_weight != 0. {
            let sign = corruption_sign.ok_or(Error::NotRowsByModes {
                what: "corruption signs (the energy regularizer needs them)",
                found: Vec::new(),
            })?;
            let omega = energy_regularizer(log_importance, sign)?;
            terms.push((omega * -self.energy_weight)?);
        }
        Ok(terms
            .into_iter()
            .map(Ok)
            .reduce(|sum, term| sum? + term?)
            .transpose()?)
    }
}

/// Energy regularizer Ω, to be maximized: clean modes important, corrupted ones not.
///
/// `Ω = mean over rows of Σ_k ξ_k log α_k`
///
/// # Shapes
/// - `corruption_sign` ξ: `[rows, modes]`, −1 where the mode was corrupted, +1 elsewhere
/// - returns a scalar
///
/// # Units
/// Dimensionless (nats).
///
/// # Errors
/// [`Error::NotRowsByModes`] if the signs have another shape than the importance.
///
/// # Source
/// Thesis eq. 5.12.
/// Deviation: the mean over the batch, so that its weight does not depend on the batch size.
pub fn energy_regularizer(
    log_importance: &LogImportance,
    corruption_sign: &Tensor,
) -> Result<Tensor> {
    let log_importance = log_importance.as_tensor();
    if corruption_sign.shape() != log_importance.shape() {
        return Err(Error::NotRowsByModes {
            what: "corruption signs",
            found: corruption_sign.dims().to_vec(),
        });
    }
    if corruption_sign.dims()[0] == 0 {
        return Ok(Tensor::zeros((), DType::F32, corruption_sign.device())?
            .to_dtype(log_importance.dtype())?);
    }
    Ok((log_importance * corruption_sign)?
        .sum(D::Minus1)?
        .mean(0)?)
}
