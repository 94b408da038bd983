//! Shuffled mini-batches, for both training stages.

use candle_core::{Device, Result, Tensor};
use rand::Rng;
use rand::seq::SliceRandom;

/// All row numbers `0..n_rows` in random order, as an index tensor: one epoch's order.
///
/// # Shapes
/// - returns `[n_rows]`, `u32`
///
/// # Errors
/// If there are more rows than `u32` counts, or candle fails.
pub fn shuffled_rows(n_rows: usize, rng: &mut impl Rng, device: &Device) -> Result<Tensor> {
    let n_rows = u32::try_from(n_rows).map_err(candle_core::Error::wrap)?;
    let mut order: Vec<u32> = (0..n_rows).collect();
    order.shuffle(rng);
    Tensor::from_vec(order, n_rows as usize, device)
}

/// Start and length of each mini-batch of an epoch; the last one may be shorter.
pub fn mini_batches(n_rows: usize, batch_size: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..n_rows)
        .step_by(batch_size.max(1))
        .map(move |start| (start, batch_size.max(1).min(n_rows - start)))
}
