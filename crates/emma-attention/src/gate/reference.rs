//! Steps 2 to 4 in candle's operations: the readable definition, for every device and type.

use super::{Gate, Stages};
use crate::attention::attention_scores;
use crate::error::Result;
use crate::importance::log_importance;
use crate::modal_energy::modal_energies;
use crate::potential::{PotentialEnergies, corrected_potentials};
use crate::self_energy::self_energies;

impl Gate<'_> {
    /// All stages of a batch, one function after the other; holds `[rows, modes, modes]` numbers.
    pub(crate) fn forward_by_candle(&self, potentials: &PotentialEnergies) -> Result<Stages> {
        let corrected = corrected_potentials(potentials, self.minimum_potential)?;
        let self_energies = self_energies(&corrected, self.self_weight, self.self_bias)?;
        let shared = self.shared_energies(&self_energies, None)?;
        let modal_energies = modal_energies(&self_energies, &shared)?;
        let log_importance = log_importance(&modal_energies, self.coldness)?;
        let attention = attention_scores(&log_importance, self.gain, self.attention_bias)?;
        Ok(Stages {
            self_energies,
            modal_energies,
            log_importance,
            attention,
        })
    }
}
