//! Step 4: attention, how much of each mode passes.

use candle_core::Tensor;

use crate::error::{Error, Result};
use crate::importance::LogImportance;
use crate::rectify::rectify;
use crate::stage::stage;
use crate::weighing::{columns, weigh_rows, weigh_rows_by_candle};

stage!(
    /// Attention scores β in [0, 1]: the factor each mode is multiplied by.
    AttentionScores,
    "attention scores"
);

/// Attention of every mode: a saturating function of its importance, closed below a threshold.
///
/// `β_i = max(0, tanh(g_a α_i − b_a))`
///
/// # Shapes
/// - `gain` g_a, `bias` b_a: `[1]`
/// - returns `[rows, modes]`
///
/// # Units
/// Dimensionless; 0 masks the mode, values near 1 let it pass whole.
///
/// # Errors
/// Only candle's own.
///
/// # Source
/// Thesis eq. 5.7.
/// Deviation: `max(0, ·)` as in figure 5.5 and the text; the equation alone turns negative where
/// `g_a α_i < b_a`.
pub fn attention_scores(
    log_importance: &LogImportance,
    gain: &Tensor,
    bias: &Tensor,
) -> Result<AttentionScores> {
    let argument = log_importance
        .importance()?
        .broadcast_mul(gain)?
        .broadcast_sub(bias)?;
    AttentionScores::new(rectify(&argument.tanh()?)?)
}

impl AttentionScores {
    /// Multiplies every mode by its attention.
    ///
    /// # Shapes
    /// - `modes`: one `[rows, …]` tensor a mode, of any rank and size
    /// - returns tensors of the same shapes
    ///
    /// # Errors
    /// [`Error::ModeCountMismatch`] and [`Error::RowCountMismatch`].
    ///
    /// # Source
    /// Thesis section 5.1.
    pub fn weigh(&self, modes: &[Tensor]) -> Result<Vec<Tensor>> {
        self.weigh_by(weigh_rows, modes)
    }

    /// [`weigh`](Self::weigh) in candle's operations alone.
    pub(crate) fn weigh_by_candle(&self, modes: &[Tensor]) -> Result<Vec<Tensor>> {
        self.weigh_by(weigh_rows_by_candle, modes)
    }

    fn weigh_by(
        &self,
        weigh_rows: impl Fn(&Tensor, &Tensor) -> candle_core::Result<Tensor>,
        modes: &[Tensor],
    ) -> Result<Vec<Tensor>> {
        if modes.len() != self.n_modes() {
            return Err(Error::ModeCountMismatch {
                expected: self.n_modes(),
                found: modes.len(),
                what: "the modes to weigh",
            });
        }
        modes
            .iter()
            .zip(columns(self.as_tensor())?)
            .enumerate()
            .map(|(mode_index, (mode, factor))| {
                if mode.dims().first() != Some(&self.n_rows()) {
                    return Err(Error::RowCountMismatch {
                        expected: self.n_rows(),
                        mode_index,
                        found: mode.dims().to_vec(),
                    });
                }
                Ok(weigh_rows(mode, &factor)?)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::DType;
    use emma_testkit::{devices, devices_with};

    #[test]
    fn modes_below_the_threshold_are_masked_exactly() -> Result<()> {
        for device in devices_with(DType::F64) {
            let importance = Tensor::new(&[[0.9f64, 0.1]], device)?;
            let log_importance = LogImportance::new(importance.log()?)?;
            let gain = Tensor::new(&[2f64], device)?;
            let bias = Tensor::new(&[0.3f64], device)?;
            let attention = attention_scores(&log_importance, &gain, &bias)?;
            let values = attention.as_tensor().to_vec2::<f64>()?;
            assert!((values[0][0] - 1.5f64.tanh()).abs() < 1e-12);
            assert_eq!(values[0][1].to_bits(), 0f64.to_bits());
        }
        Ok(())
    }

    #[test]
    fn modes_of_any_rank_are_weighed_row_by_row() -> Result<()> {
        for device in devices() {
            let attention = AttentionScores::new(Tensor::new(&[[0f32, 1.], [0.5, 0.]], device)?)?;
            let image = Tensor::ones((2, 2, 3), DType::F32, device)?;
            let scalar = Tensor::new(&[4f32, 4.], device)?;
            let weighted = attention.weigh(&[image, scalar])?;
            assert_eq!(weighted[0].sum((1, 2))?.to_vec1::<f32>()?, [0., 3.]);
            assert_eq!(weighted[1].to_vec1::<f32>()?, [4., 0.]);
        }
        Ok(())
    }

    #[test]
    fn a_missing_row_is_named_with_its_mode() -> Result<()> {
        for device in devices() {
            let attention = AttentionScores::new(Tensor::new(&[[0f32, 1.], [0.5, 0.]], device)?)?;
            let whole = Tensor::ones((2, 2), DType::F32, device)?;
            let short = Tensor::ones((1, 2), DType::F32, device)?;
            assert_eq!(
                attention.weigh(&[whole, short]).unwrap_err().to_string(),
                "expected 2 rows in mode 1, got a tensor of shape [1, 2]"
            );
        }
        Ok(())
    }
}
