//! Step 2c: modal energies and the total energy.

use candle_core::{D, Tensor};

use crate::error::Result;
use crate::self_energy::SelfEnergies;
use crate::stage::stage;

stage!(
    /// Modal energies E_i: how little a mode is to be relied on, given all modes.
    ModalEnergies,
    "modal energies"
);

/// Modal energy: a mode's self-energy and all that the other modes share with it.
///
/// `E_i = e_i + Σ_{j≠i} e_ij`
///
/// # Shapes
/// - `shared_energies`: `[rows, modes, modes]`, zero on the diagonal
/// - returns `[rows, modes]`
///
/// # Units
/// Those of the self-energies; may be negative, since couplings may be.
///
/// # Errors
/// Candle's, if the shapes do not fit together.
///
/// # Source
/// Thesis eqs. 5.1 and 5.5.
pub fn modal_energies(
    self_energies: &SelfEnergies,
    shared_energies: &Tensor,
) -> Result<ModalEnergies> {
    ModalEnergies::new((self_energies.as_tensor() + shared_energies.sum(D::Minus1)?)?)
}

impl ModalEnergies {
    /// Total energy of every row, `E_total = Σ_i E_i`: how far to distrust the prediction.
    ///
    /// # Shapes
    /// - returns `[rows]`
    ///
    /// # Errors
    /// Only candle's own.
    ///
    /// # Source
    /// Thesis section 5.3.
    pub fn total(&self) -> Result<Tensor> {
        Ok(self.as_tensor().sum(D::Minus1)?)
    }
}
