//! Shared energies by a small self-attention layer over the energies.

use candle_core::{D, Tensor};
use candle_nn::{Init, VarBuilder};

use crate::error::Result;
use crate::self_energy::SelfEnergies;
use crate::shared_energy::off_diagonal;

/// Width D of queries and keys.
pub const HEAD_WIDTH: usize = 4;

/// Parameters of a self-attention layer over M energies, whose heads are D wide.
#[derive(Debug, Clone)]
pub struct SelfAttention {
    /// By how much queries change with a log-energy, `[D]`.
    pub query_slope: Tensor,
    /// Query of each mode at log-energy 0, `[modes, D]`.
    pub query_offset: Tensor,
    /// By how much keys change with a log-energy, `[D]`.
    pub key_slope: Tensor,
    /// Key of each mode at log-energy 0, `[modes, D]`.
    pub key_offset: Tensor,
    /// By how much values change with a log-energy, `[1]`.
    pub value_slope: Tensor,
    /// Value of each mode at log-energy 0, `[modes]`.
    pub value_offset: Tensor,
}

impl SelfAttention {
    /// Takes the parameters from `vb`, drawing them if it can: queries and keys uniform within `1/√D`, values within
    /// 1/2.
    pub(crate) fn new(n_modes: usize, vb: &VarBuilder) -> Result<Self> {
        let width = HEAD_WIDTH;
        let uniform = |bound: f64| Init::Uniform {
            lo: -bound,
            up: bound,
        };
        let narrow = uniform(1. / (width as f64).sqrt());
        Ok(Self {
            query_slope: vb.get_with_hints(width, "query_slope", narrow)?,
            query_offset: vb.get_with_hints((n_modes, width), "query_offset", narrow)?,
            key_slope: vb.get_with_hints(width, "key_slope", narrow)?,
            key_offset: vb.get_with_hints((n_modes, width), "key_offset", narrow)?,
            value_slope: vb.get_with_hints(1, "value_slope", uniform(0.5))?,
            value_offset: vb.get_with_hints(n_modes, "value_offset", uniform(0.5))?,
        })
    }

    /// [`self_attention_energies`], in which modes that are not `present`, `[rows, modes]`, are attended to by none.
    pub(crate) fn energies(
        &self,
        self_energies: &SelfEnergies,
        present: Option<&Tensor>,
    ) -> Result<Tensor> {
        let log_energy = self_energies.as_tensor().log()?;
        let affine = |slope: &Tensor, offset: &Tensor| -> Result<Tensor> {
            let scaled = log_energy.unsqueeze(2)?.broadcast_mul(slope)?;
            Ok(scaled.broadcast_add(offset)?)
        };
        let query = affine(&self.query_slope, &self.query_offset)?;
        let key = affine(&self.key_slope, &self.key_offset)?;
        // No product of matrices: a row's bits would depend on how many rows there are.
        let products = query.unsqueeze(2)?.broadcast_mul(&key.unsqueeze(1)?)?;
        let width = query.dim(D::Minus1)? as f64;
        let mut scores = (products.sum(D::Minus1)? / width.sqrt())?;
        if let Some(present) = present {
            let nowhere = Tensor::full(f64::NEG_INFINITY, scores.dims(), scores.device())?;
            let of_j = present.unsqueeze(1)?.broadcast_as(scores.dims())?;
            let nowhere = nowhere.to_dtype(scores.dtype())?;
            scores = of_j.contiguous()?.where_cond(&scores, &nowhere)?;
        }
        let attention = candle_nn::ops::softmax(&scores, D::Minus1)?;
        let value = log_energy
            .broadcast_mul(&self.value_slope)?
            .broadcast_add(&self.value_offset)?;
        let mask = off_diagonal(value.dim(1)?, value.dtype(), value.device())?;
        let shared = attention.broadcast_mul(&value.unsqueeze(1)?)?;
        Ok(shared.broadcast_mul(&mask)?)
    }
}

/// Shared energy of mode `j` on mode `i` by scaled dot-product attention of modes to modes.
///
/// With queries `q_i = a log e_i + A_i`, keys `k_j = b log e_j + B_j` and values `v_j = c log e_j + C_j`:
///
/// `e_ij = v_j exp(q_i · k_j / √D) / Σ_k exp(q_i · k_k / √D)` for `i ≠ j`; zero on the diagonal. The sum is over all
/// modes, i among them: what a mode gives to itself it takes from no other. So a modal energy is
/// `E_i = e_i + Σ_{j≠i} e_ij`, as always.
///
/// # Shapes
/// - parameters: those of [`SelfAttention`]
/// - returns `[rows, modes, modes]`, read as `[row, i, j]`; holds `[rows, modes, modes, D]` numbers on the way
///
/// # Units
/// Those of the values.
///
/// # Errors
/// Candle's, if the number of modes differs. Positive, finite self-energies are the caller's promise.
///
/// # Source
/// A. Vaswani et al., "Attention is all you need" (2017), eq. 1, over energies; ours, an answer to "explore different
/// shared energies design" (thesis section 8.3).
pub fn self_attention_energies(
    self_energies: &SelfEnergies,
    parameters: &SelfAttention,
) -> Result<Tensor> {
    parameters.energies(self_energies, None)
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
            let energies = SelfEnergies::new(Tensor::new(&[[1f64.exp(), 2f64.exp()]], device)?)?;
            let layer = SelfAttention {
                query_slope: Tensor::new(&[1., 0.], device)?,
                query_offset: Tensor::new(&[[0., 1.], [0., -1.]], device)?,
                key_slope: Tensor::new(&[0.5, 0.], device)?,
                key_offset: Tensor::new(&[[0., 1.], [0., 2.]], device)?,
                value_slope: Tensor::new(&[3.], device)?,
                value_offset: Tensor::new(&[0.25, -1.], device)?,
            };
            let shared = self_attention_energies(&energies, &layer)?;
            // q = (1, 1), (2, −1); k = (.5, 1), (1, 2); v = 3.25, 5.
            let share = |own: f64, other: f64| {
                let [own, other] = [own, other].map(|score| (score / 2f64.sqrt()).exp());
                other / (own + other)
            };
            let expected = [0., 5. * share(1.5, 3.), 3.25 * share(0., 0.), 0.];
            assert_close("shared", &values(&shared)?, &expected, 1e-14, 0.);
        }
        Ok(())
    }
}
