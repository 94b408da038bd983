//! Step 2b: shared energies, the learned coupling between modes.

use candle_core::{DType, Device, Tensor};

use crate::error::Result;
use crate::self_energy::SelfEnergies;

/// Shared energy of mode `j` on mode `i`: a weighted geometric blend of the two self-energies.
///
/// `e_ij = w_ij · e_i^γ_ij · e_j^(1 − γ_ij)` for `i ≠ j`; zero on the diagonal.
///
/// # Shapes
/// - `weight` w, `exponent` γ: `[modes, modes]`, read as `[i, j]`; their diagonals are ignored
/// - returns `[rows, modes, modes]`, read as `[row, i, j]`
///
/// # Units
/// Those of the self-energies.
///
/// # Errors
/// Candle's, if the number of modes differs. Positive self-energies are the caller's promise and
/// are not checked, since reading values back would stall a GPU; a row that breaks it gets NaN.
///
/// # Source
/// Thesis eq. 5.4.
/// Deviation: powers are taken in log space, `exp(log e_j + γ_ij (log e_i − log e_j))`.
pub fn shared_energies(
    self_energies: &SelfEnergies,
    weight: &Tensor,
    exponent: &Tensor,
) -> Result<Tensor> {
    let n_modes = self_energies.n_modes();
    let mask = off_diagonal(n_modes, weight.dtype(), weight.device())?;
    // Masking the parameters, not the product: a wild diagonal exponent would give 0 · inf.
    let weight = (weight * &mask)?;
    let exponent = (exponent * &mask)?;
    let log_energy = self_energies.as_tensor().log()?;
    let of_i = log_energy.unsqueeze(2)?;
    let of_j = log_energy.unsqueeze(1)?;
    let ratio = of_i.broadcast_sub(&of_j)?;
    let blend = ratio
        .broadcast_mul(&exponent)?
        .broadcast_add(&of_j)?
        .exp()?;
    Ok(blend.broadcast_mul(&weight)?)
}

/// Ones everywhere but on the diagonal, `[n, n]`.
pub(crate) fn off_diagonal(n: usize, dtype: DType, device: &Device) -> Result<Tensor> {
    let diagonal = Tensor::eye(n, dtype, device)?;
    Ok((diagonal.ones_like()? - diagonal)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use emma_testkit::{devices, devices_with};

    #[test]
    fn exponents_one_and_zero_pick_either_mode() -> Result<()> {
        for device in devices_with(DType::F64) {
            let energies = SelfEnergies::new(Tensor::new(&[[3f64, 5.]], device)?)?;
            let weight = Tensor::new(&[[0f64, 2.], [-1., 0.]], device)?;
            let exponent = Tensor::new(&[[0.5f64, 1.], [1., 0.5]], device)?;
            let shared = shared_energies(&energies, &weight, &exponent)?.to_vec3::<f64>()?;
            // e_01 = 2 · e_0 and e_10 = −1 · e_1.
            assert!((shared[0][0][1] - 6.).abs() < 1e-12 && (shared[0][1][0] + 5.).abs() < 1e-12);
            let exponent = Tensor::zeros((2, 2), DType::F64, device)?;
            let shared = shared_energies(&energies, &weight, &exponent)?.to_vec3::<f64>()?;
            assert!((shared[0][0][1] - 10.).abs() < 1e-12 && (shared[0][1][0] + 3.).abs() < 1e-12);
        }
        Ok(())
    }

    #[test]
    fn the_diagonal_is_ignored_however_wild() -> Result<()> {
        for device in devices() {
            let energies = SelfEnergies::new(Tensor::new(&[[3f32, 5.]], device)?)?;
            let weight = Tensor::new(&[[1e30f32, 1.], [1., -1e30]], device)?;
            let exponent = Tensor::new(&[[1e30f32, 0.5], [0.5, -1e30]], device)?;
            let shared = shared_energies(&energies, &weight, &exponent)?.to_vec3::<f32>()?;
            assert_eq!((shared[0][0][0], shared[0][1][1]), (0., 0.));
            assert!((shared[0][0][1] - 15f32.sqrt()).abs() < 1e-6);
        }
        Ok(())
    }
}
