//! Step 2a: self-energies, the learned relevance of a mode's outlyingness.

use candle_core::Tensor;

use crate::error::Result;
use crate::potential::CorrectedPotentials;
use crate::stage::stage;

stage!(
    /// Self-energies e_i; positive whenever the parameters are in their ranges.
    SelfEnergies,
    "self-energies"
);

/// Self-energy: an affine map of the corrected potential, learned with the task's loss.
///
/// `e_i = w_i Ψ′_i + b_i`
///
/// # Shapes
/// - `weight`, `bias`: `[modes]`
/// - returns `[rows, modes]`
///
/// # Units
/// Dimensionless; comparable between modes only after training.
///
/// # Errors
/// Candle's, if the number of modes differs.
///
/// # Source
/// Thesis eq. 5.3.
/// Deviation: training keeps `w_i` above a positive floor
/// ([`EmmaConfig::minimum_self_weight`](crate::EmmaConfig)); the thesis allows `w_i = b_i = 0`,
/// where the logarithm of the shared energy diverges.
pub fn self_energies(
    corrected: &CorrectedPotentials,
    weight: &Tensor,
    bias: &Tensor,
) -> Result<SelfEnergies> {
    let scaled = corrected.as_tensor().broadcast_mul(weight)?;
    SelfEnergies::new(scaled.broadcast_add(bias)?)
}
