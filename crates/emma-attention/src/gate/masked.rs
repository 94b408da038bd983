//! Steps 2 to 4 where modes are missing.

use candle_core::{D, DType, Tensor};

use super::{Gate, Stages};
use crate::attention::attention_scores;
use crate::error::Result;
use crate::importance::{LogImportance, log_importance};
use crate::modal_energy::{ModalEnergies, modal_energies};
use crate::potential::{PotentialEnergies, corrected_potentials};
use crate::self_energy::{SelfEnergies, self_energies};

impl Gate<'_> {
    /// All stages of a batch of at least one row, in which only some modes are `present`, `[rows, modes]`; see
    /// [`Emma::forward_masked`](crate::Emma::forward_masked).
    pub(crate) fn forward_masked(
        &self,
        potentials: &PotentialEnergies,
        present: &Tensor,
    ) -> Result<Stages> {
        // Whatever an absent mode holds must not matter, not even NaN: it is replaced before anything is
        // computed, and what is computed of the replacement is dropped by choice, not by a product with 0.
        let minimum = self.minimum_potential.broadcast_as(present.dims())?;
        let potentials = present.where_cond(potentials.as_tensor(), &minimum)?;
        let corrected =
            corrected_potentials(&PotentialEnergies::new(potentials)?, self.minimum_potential)?;
        let energies = self_energies(&corrected, self.self_weight, self.self_bias)?;
        let shared = self.shared_energies(&energies, Some(present))?;
        let of_j = present.unsqueeze(1)?.broadcast_as(shared.dims())?;
        let shared = of_j
            .contiguous()?
            .where_cond(&shared, &shared.zeros_like()?)?;
        let modal = modal_energies(&energies, &shared)?;
        let zeros = modal.as_tensor().zeros_like()?;
        let log_importance = masked_log_importance(&modal, present, self)?;
        let attention = attention_scores(&log_importance, self.gain, self.attention_bias)?;
        let attention = present.where_cond(attention.as_tensor(), &zeros)?;
        Ok(Stages {
            self_energies: SelfEnergies::new(present.where_cond(energies.as_tensor(), &zeros)?)?,
            modal_energies: ModalEnergies::new(present.where_cond(modal.as_tensor(), &zeros)?)?,
            log_importance,
            attention: crate::attention::AttentionScores::new(attention)?,
        })
    }
}

/// `log α_i = −ρ E_i − log Σ_{k present} exp(−ρ E_k)` for modes that are there, −∞ for the others.
///
/// An absent mode first takes the highest energy of those that are there, so that it neither sets the shift of the
/// exponents nor overflows, and is then taken out of the sum.
fn masked_log_importance(
    energies: &ModalEnergies,
    present: &Tensor,
    gate: &Gate<'_>,
) -> Result<LogImportance> {
    let tensor = energies.as_tensor();
    let nowhere = Tensor::full(f64::NEG_INFINITY, tensor.dims(), tensor.device())?
        .to_dtype(tensor.dtype())?;
    let highest = present
        .where_cond(tensor, &nowhere)?
        .max_keepdim(D::Minus1)?;
    let highest = highest.broadcast_as(tensor.dims())?.contiguous()?;
    let filled = ModalEnergies::new(present.where_cond(tensor, &highest)?)?;
    // Shares among all modes, of which those that are there keep theirs, renormalized. Where all are there the sum is
    // left alone, so that a mask of all modes changes no bit.
    let all = log_importance(&filled, gate.coldness)?;
    let of_present = present.where_cond(all.as_tensor(), &nowhere)?;
    let log_sum = of_present.exp()?.sum_keepdim(D::Minus1)?.log()?;
    let n_present = present.to_dtype(DType::F32)?.sum_keepdim(D::Minus1)?;
    let whole = n_present.eq(energies.n_modes() as f64)?;
    let log_sum = whole.where_cond(&log_sum.zeros_like()?, &log_sum)?;
    let renormalized = of_present.broadcast_sub(&log_sum)?;
    LogImportance::new(present.where_cond(&renormalized, &nowhere)?)
}
