//! Step 1 to 2: potential energies, and their correction to values of at least e.

use std::f64::consts::E;

use candle_core::Tensor;
use emma_energy::EnergyEstimator;

use crate::error::{Error, Result};
use crate::rectify::rectify;
use crate::stage::stage;

stage!(
    /// Potential energies Ψ of every row and mode, as the estimators give them: any real numbers.
    PotentialEnergies,
    "potential energies"
);

stage!(
    /// Corrected potentials Ψ′ (eq. 5.2): at least Euler's number.
    CorrectedPotentials,
    "corrected potentials"
);

impl PotentialEnergies {
    /// Asks one estimator a mode for the energies of that mode's rows.
    ///
    /// # Shapes
    /// - `modes`: one `[rows, features]` tensor for each estimator, in the same order
    ///
    /// # Errors
    /// [`Error::ModeCountMismatch`] if the counts differ, [`Error::RowCountMismatch`] if modes
    /// have different numbers of rows, [`Error::Energy`] if an estimator fails.
    pub fn estimate<E: EnergyEstimator>(estimators: &[E], modes: &[Tensor]) -> Result<Self> {
        if estimators.len() != modes.len() {
            return Err(Error::ModeCountMismatch {
                expected: estimators.len(),
                found: modes.len(),
                what: "the rows to score",
            });
        }
        let mut columns = Vec::with_capacity(modes.len());
        for (mode_index, (estimator, mode)) in estimators.iter().zip(modes).enumerate() {
            let n_rows = modes[0].dims().first().copied().unwrap_or(0);
            if mode.dims().first() != Some(&n_rows) {
                return Err(Error::RowCountMismatch {
                    expected: n_rows,
                    mode_index,
                    found: mode.dims().to_vec(),
                });
            }
            let energies = estimator
                .energy(mode)
                .map_err(|source| Error::Energy { mode_index, source })?;
            columns.push(energies);
        }
        Self::new(Tensor::stack(&columns, 1)?)
    }
}

/// Corrected potential: the shift that makes the lowest training potential Euler's number, and
/// the floor that keeps lower ones there.
///
/// `Ψ′_i = max(e, Ψ_i − Ψ_i^min + e)`
///
/// A potential that is not a number stays one: an unknown mode must not pass for a clean one.
///
/// Values of at least e make the logarithms of the shared energies safe.
///
/// # Shapes
/// - `minimum_potential`: `[modes]`, the lowest potential of each mode on clean training rows
/// - returns `[rows, modes]`
///
/// # Units
/// Those of the potentials.
///
/// # Errors
/// Candle's, if the number of modes differs.
///
/// # Source
/// Thesis eq. 5.2.
pub fn corrected_potentials(
    potentials: &PotentialEnergies,
    minimum_potential: &Tensor,
) -> Result<CorrectedPotentials> {
    let excess = potentials.as_tensor().broadcast_sub(minimum_potential)?;
    CorrectedPotentials::new((rectify(&excess)? + E)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};
    use emma_testkit::devices_with;

    #[test]
    fn potentials_below_the_minimum_stay_at_e() -> Result<()> {
        for device in devices_with(DType::F64) {
            let potentials =
                PotentialEnergies::new(Tensor::new(&[[-5f64, 1.], [-1., 3.]], device)?)?;
            let minimum = Tensor::new(&[-3f64, 1.], device)?;
            let corrected = corrected_potentials(&potentials, &minimum)?;
            assert_eq!(
                corrected.as_tensor().to_vec2::<f64>()?,
                [[E, E], [2. + E, 2. + E]]
            );
        }
        Ok(())
    }

    #[test]
    fn an_unknown_potential_does_not_pass_for_a_clean_one() -> Result<()> {
        for device in devices_with(DType::F64) {
            let potentials = PotentialEnergies::new(Tensor::new(&[[f64::NAN, 1.]], device)?)?;
            let minimum = Tensor::new(&[-3f64, 1.], device)?;
            let corrected = corrected_potentials(&potentials, &minimum)?;
            let values = corrected.as_tensor().to_vec2::<f64>()?;
            assert!(values[0][0].is_nan() && values[0][1] > 2.);
        }
        Ok(())
    }

    #[test]
    fn a_tensor_of_another_rank_is_refused() {
        let tensor = Tensor::zeros(3, DType::F32, &Device::Cpu).unwrap();
        assert_eq!(
            PotentialEnergies::new(tensor).unwrap_err().to_string(),
            "expected potential energies of shape [rows, modes], got [3]"
        );
    }
}
