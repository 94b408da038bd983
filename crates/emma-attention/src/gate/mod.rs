//! Steps 2 to 4 in one go: from potential energies to attention.

use candle_core::Tensor;

use crate::attention::AttentionScores;
use crate::coupling::OtherCoupling;
use crate::error::Result;
use crate::importance::{Coldness, LogImportance};
use crate::modal_energy::ModalEnergies;
use crate::potential::PotentialEnergies;
use crate::self_energy::SelfEnergies;
use crate::shared_energy::shared_energies;

mod fused;
mod masked;
mod reference;

/// All that steps 2 to 4 need beside the potentials.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gate<'a> {
    /// `[modes]`; a constant.
    pub(crate) minimum_potential: &'a Tensor,
    /// w_i, `[modes]`.
    pub(crate) self_weight: &'a Tensor,
    /// b_i, `[modes]`.
    pub(crate) self_bias: &'a Tensor,
    /// w_ij, `[modes, modes]`.
    pub(crate) coupling_weight: &'a Tensor,
    /// γ_ij as they are applied, `[modes, modes]`.
    pub(crate) coupling_exponent: &'a Tensor,
    /// What takes the place of w_ij and γ_ij, if the coupling is not the thesis's.
    pub(crate) other_coupling: Option<&'a OtherCoupling>,
    /// g_a, `[1]`.
    pub(crate) gain: &'a Tensor,
    /// b_a, `[1]`.
    pub(crate) attention_bias: &'a Tensor,
    /// ρ.
    pub(crate) coldness: Coldness,
}

/// What steps 2 to 4 come to, each `[rows, modes]`.
#[derive(Debug)]
pub(crate) struct Stages {
    pub(crate) self_energies: SelfEnergies,
    pub(crate) modal_energies: ModalEnergies,
    pub(crate) log_importance: LogImportance,
    pub(crate) attention: AttentionScores,
}

impl Gate<'_> {
    /// All stages of a batch, by one fused operation where there is one, else by candle's.
    pub(crate) fn forward(&self, potentials: &PotentialEnergies) -> Result<Stages> {
        if self.fits(potentials) {
            return self.forward_fused(potentials);
        }
        self.forward_by_candle(potentials)
    }

    /// Shared energies, `[rows, modes, modes]`; `present`, `[rows, modes]`, if modes are missing.
    fn shared_energies(
        &self,
        self_energies: &SelfEnergies,
        present: Option<&Tensor>,
    ) -> Result<Tensor> {
        match self.other_coupling {
            None => shared_energies(self_energies, self.coupling_weight, self.coupling_exponent),
            Some(coupling) => coupling.shared_energies(self_energies, present),
        }
    }

    /// The parameters that training moves.
    fn parameters(&self) -> [&Tensor; 6] {
        [
            self.self_weight,
            self.self_bias,
            self.coupling_weight,
            self.coupling_exponent,
            self.gain,
            self.attention_bias,
        ]
    }
}
