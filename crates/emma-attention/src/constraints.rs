//! The ranges that parameters are put back into after every step.

use candle_core::{Tensor, Var};
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// Whether mode i's exponent towards j is tied to j's towards i.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CouplingExponent {
    /// γ_ij and γ_ji are learned apart.
    #[default]
    Free,
    /// γ_ij = γ_ji, as the thesis's text asks (section 5.3).
    Symmetric,
}

/// The largest size of a coupling weight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CouplingLimit {
    /// `|w_ij| ≤ 1/(M − 1)`, as in eq. 5.4: all other modes together weigh as much as the mode.
    #[default]
    SharedAmongModes,
    /// `|w_ij| ≤ 1`.
    One,
}

impl CouplingLimit {
    /// The bound for M modes (M at least 2).
    pub fn bound(self, n_modes: usize) -> f64 {
        match self {
            Self::SharedAmongModes => 1. / (n_modes.max(2) - 1) as f64,
            Self::One => 1.,
        }
    }
}

/// Puts a variable's values back into `[low, high]`; constants are left as they are.
pub(crate) fn project_into(parameter: &Tensor, low: f64, high: f64) -> Result<()> {
    if parameter.is_variable() {
        let var = Var::from_tensor(parameter)?;
        var.set(&var.as_detached_tensor().clamp(low, high)?)?;
    }
    Ok(())
}

/// Makes a square variable symmetric by averaging; constants are left as they are.
pub(crate) fn symmetrize(parameter: &Tensor) -> Result<()> {
    if parameter.is_variable() {
        let var = Var::from_tensor(parameter)?;
        var.set(&symmetric_part(&var.as_detached_tensor())?)?;
    }
    Ok(())
}

/// `(A + Aᵀ) / 2`, with gradients to both halves.
pub(crate) fn symmetric_part(matrix: &Tensor) -> Result<Tensor> {
    Ok(((matrix + matrix.t()?)? * 0.5)?)
}
