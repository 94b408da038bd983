//! Features times the attention of their mode, and back.

use crate::block::{Block, Lanes};
use crate::columns::at;
use crate::level::Level;
use crate::real::Real;

/// Multiplies each feature by its mode's attention.
///
/// # Shapes
/// - `mode_widths`: features of each mode
/// - `inputs` and `weighted`: `[features, blocks]`, `attention`: `[modes, blocks]`
#[inline(always)]
pub(crate) fn weigh<S: Level, R: Real, const V: usize>(
    simd: S,
    mode_widths: &[usize],
    inputs: &[Lanes<S, R, V>],
    attention: &[Lanes<S, R, V>],
    weighted: &mut [Lanes<S, R, V>],
    n_blocks: usize,
) {
    for (feature, mode) in features(mode_widths) {
        for block in 0..n_blocks {
            let index = feature * n_blocks + block;
            let attention = at::<S, R, V>(simd, attention, mode * n_blocks + block);
            weighted[index] = (at::<S, R, V>(simd, inputs, index) * attention).lanes;
        }
    }
}

/// Every feature with its mode.
///
/// An iterator, since vector instructions within a closure would be calls where it is not inlined.
#[inline(always)]
fn features(mode_widths: &[usize]) -> impl Iterator<Item = (usize, usize)> {
    let widths = mode_widths.iter().enumerate();
    let modes = widths.flat_map(|(mode, &width)| std::iter::repeat_n(mode, width));
    modes.enumerate()
}

/// Gradient of each mode's attention: that of the weighted features times the features.
#[inline(always)]
pub(crate) fn attention_gradient<S: Level, R: Real, const V: usize>(
    simd: S,
    mode_widths: &[usize],
    weighted_gradient: &[Lanes<S, R, V>],
    inputs: &[Lanes<S, R, V>],
    gradient: &mut [Lanes<S, R, V>],
    n_blocks: usize,
) {
    gradient.fill(Block::<S, R, V>::zero(simd).lanes);
    for (feature, mode) in features(mode_widths) {
        for block in 0..n_blocks {
            let index = feature * n_blocks + block;
            let sum = &mut gradient[mode * n_blocks + block];
            *sum = at::<S, R, V>(simd, weighted_gradient, index)
                .mul_add(
                    at::<S, R, V>(simd, inputs, index),
                    Block::<S, R, V>::new(simd, *sum),
                )
                .lanes;
        }
    }
}
