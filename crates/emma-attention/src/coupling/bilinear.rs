//! Shared energies without an exponential.

use candle_core::Tensor;

use crate::error::Result;
use crate::self_energy::SelfEnergies;
use crate::shared_energy::off_diagonal;

/// Shared energy of mode `j` on mode `i`, bilinear in the logarithms of the two self-energies.
///
/// `e_ij = w_ij · (1, log e_i) B (1, log e_j)ᵀ = w_ij (B_00 + B_01 log e_j + B_10 log e_i + B_11 log e_i log e_j)` for
/// `i ≠ j`; zero on the diagonal. It grows with the logarithm of an energy where the thesis's grows with a power of it.
///
/// # Shapes
/// - `weight` w: `[modes, modes]`, read as `[i, j]`; its diagonal is ignored
/// - `form` B: `[2, 2]`, shared by all pairs
/// - returns `[rows, modes, modes]`, read as `[row, i, j]`
///
/// # Units
/// Those of the weights.
///
/// # Errors
/// Candle's, if the number of modes differs. Positive self-energies are the caller's promise, as in
/// [`shared_energies`](crate::shared_energies); they have to be finite besides.
///
/// # Source
/// Ours, an answer to "explore different shared energies design" (thesis section 8.3).
pub fn bilinear_energies(
    self_energies: &SelfEnergies,
    weight: &Tensor,
    form: &Tensor,
) -> Result<Tensor> {
    let mask = off_diagonal(self_energies.n_modes(), weight.dtype(), weight.device())?;
    let weight = (weight * mask)?;
    let log_energy = self_energies.as_tensor().log()?;
    let (of_i, of_j) = (log_energy.unsqueeze(2)?, log_energy.unsqueeze(1)?);
    let entry = |i: usize, j: usize| form.narrow(0, i, 1)?.narrow(1, j, 1)?.reshape((1, 1, 1));
    // (B_00 + B_01 log e_j) + log e_i (B_10 + B_11 log e_j).
    let constant = of_j
        .broadcast_mul(&entry(0, 1)?)?
        .broadcast_add(&entry(0, 0)?)?;
    let slope = of_j
        .broadcast_mul(&entry(1, 1)?)?
        .broadcast_add(&entry(1, 0)?)?;
    let bilinear = of_i.broadcast_mul(&slope)?.broadcast_add(&constant)?;
    Ok(bilinear.broadcast_mul(&weight)?)
}

#[cfg(test)]
mod tests {
    use candle_core::DType;
    use emma_testkit::devices_with;
    use emma_testkit::tolerance::{assert_close, values};

    use super::*;

    #[test]
    fn a_small_case_worked_by_hand() -> Result<()> {
        for device in devices_with(DType::F64) {
            let energies = [1f64.exp(), 2f64.exp()];
            let energies = SelfEnergies::new(Tensor::new(&[energies], device)?)?;
            let weight = Tensor::new(&[[1e30, 2.], [-1., 1e30]], device)?;
            let form = Tensor::new(&[[1., 10.], [100., 1000.]], device)?;
            let shared = bilinear_energies(&energies, &weight, &form)?;
            // Logarithms 1 and 2: 2 (1 + 20 + 100 + 2000) and −(1 + 10 + 200 + 2000).
            let expected = [0., 4242., -2211., 0.];
            assert_close("shared", &values(&shared)?, &expected, 1e-14, 0.);
        }
        Ok(())
    }
}
