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
    for_each_feature(mode_widths, |feature, mode| {
        for block in 0..n_blocks {
            let index = feature * n_blocks + block;
            let attention = at::<S, R, V>(simd, attention, mode * n_blocks + block);
            weighted[index] = (at::<S, R, V>(simd, inputs, index) * attention).lanes;
        }
    });
}

#[inline(always)]
fn for_each_feature(mode_widths: &[usize], mut visit: impl FnMut(usize, usize)) {
    let mut first = 0;
    for (mode, &width) in mode_widths.iter().enumerate() {
        for feature in first..first + width {
            visit(feature, mode);
        }
        first += width;
    }
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
    for_each_feature(mode_widths, |feature, mode| {
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
    });
}
