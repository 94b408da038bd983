//! Softmax over modes, and back.

use crate::block::{Block, Lanes};
use crate::columns::at;
use crate::level::Level;
use crate::real::Real;

/// Softmax over the modes of every row, in place.
#[inline(always)]
pub(crate) fn softmax<S: Level, R: Real, const V: usize>(
    simd: S,
    values: &mut [Lanes<S, R, V>],
    n_blocks: usize,
) {
    for block in 0..n_blocks {
        let mut highest = at::<S, R, V>(simd, values, block);
        for index in (block..values.len()).step_by(n_blocks) {
            highest = highest.at_least(at::<S, R, V>(simd, values, index));
        }
        let mut sum = Block::<S, R, V>::zero(simd);
        for index in (block..values.len()).step_by(n_blocks) {
            let weight = (at::<S, R, V>(simd, values, index) - highest).exp_of_not_positive();
            sum = sum + weight;
            values[index] = weight.lanes;
        }
        let share = Block::<S, R, V>::splat(simd, R::one()) / sum;
        for index in (block..values.len()).step_by(n_blocks) {
            values[index] = (at::<S, R, V>(simd, values, index) * share).lanes;
        }
    }
}

/// Gradient of the softmax's arguments, in place of that of its values.
#[inline(always)]
pub(crate) fn softmax_backward<S: Level, R: Real, const V: usize>(
    simd: S,
    shares: &[Lanes<S, R, V>],
    gradient: &mut [Lanes<S, R, V>],
    n_blocks: usize,
) {
    for block in 0..n_blocks {
        let mut total = Block::<S, R, V>::zero(simd);
        for index in (block..shares.len()).step_by(n_blocks) {
            total = at::<S, R, V>(simd, shares, index)
                .mul_add(at::<S, R, V>(simd, gradient, index), total);
        }
        for index in (block..shares.len()).step_by(n_blocks) {
            let slope = at::<S, R, V>(simd, gradient, index) - total;
            gradient[index] = (at::<S, R, V>(simd, shares, index) * slope).lanes;
        }
    }
}
