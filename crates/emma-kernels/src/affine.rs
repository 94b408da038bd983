//! Affine layers, on columns and of rows.

use crate::block::{Block, Lanes};
use crate::columns::{Columns, at};
use crate::level::{Level, Task};
use crate::real::Real;
use crate::sums::Sums;

/// Outputs computed side by side, so that every input loaded is used as often.
const TILE: usize = 4;

/// An affine map, and what follows it: `y = W x + b` or `y = max(0, W x + b)`, in which NaN stays NaN.
///
/// Products are added to the bias in the order of the inputs, fused with the sum where the instruction set does
/// that: on one instruction set a row has the same bits in any batch.
#[derive(Debug, Clone, Copy)]
pub struct Affine<'a, R> {
    /// W, `[outputs, inputs]`, row by row.
    pub weight: &'a [R],
    /// b, `[outputs]`.
    pub bias: &'a [R],
    /// Whether what is negative becomes 0.
    pub rectified: bool,
}

impl<R: Real> Affine<'_, R> {
    /// Inputs of every row.
    fn n_inputs(&self) -> usize {
        self.weight.len().checked_div(self.bias.len()).unwrap_or(0)
    }

    /// The outputs of every row.
    ///
    /// # Shapes
    /// - `rows`: `[n, inputs]`
    /// - `outputs`: `[n, outputs]`
    ///
    /// # Panics
    /// If slices do not fit each other.
    pub fn outputs(&self, rows: &[R], outputs: &mut [R]) {
        let (n_inputs, n_outputs) = (self.n_inputs(), self.bias.len());
        assert_eq!(self.weight.len(), n_inputs * n_outputs, "weights");
        if n_outputs == 0 {
            assert!(outputs.is_empty(), "outputs of no map");
            return;
        }
        let n_rows = outputs.len() / n_outputs;
        assert_eq!(outputs.len(), n_rows * n_outputs, "outputs");
        assert_eq!(rows.len(), n_rows * n_inputs, "inputs");
        if n_inputs > 0 {
            R::affine(self, rows, outputs);
            return;
        }
        for row in outputs.chunks_exact_mut(n_outputs) {
            for (output, &bias) in row.iter_mut().zip(self.bias) {
                let is_cut = self.rectified && bias < R::zero();
                *output = if is_cut { R::zero() } else { bias };
            }
        }
    }

    pub(crate) fn run_outputs(&self, rows: &[R], outputs: &mut [R]) {
        R::dispatch(MapRows {
            affine: self,
            rows,
            outputs,
        });
    }
}

struct MapRows<'a, R> {
    affine: &'a Affine<'a, R>,
    rows: &'a [R],
    outputs: &'a mut [R],
}

impl<R: Real> Task<R> for MapRows<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Level, const V: usize>(self, simd: S) {
        /// Rows at a time: few, so that their columns stay in the nearest cache.
        const ROWS: usize = 64;
        let Affine {
            weight,
            bias,
            rectified,
        } = *self.affine;
        let (n_inputs, n_outputs) = (self.affine.n_inputs(), bias.len());
        let n_rows = ROWS.min(self.outputs.len() / n_outputs);
        let mut inputs = Columns::new(n_inputs, n_rows);
        let mut outputs = Columns::new(n_outputs, n_rows);
        let rows = self.rows.chunks(ROWS * n_inputs);
        for (rows, target) in rows.zip(self.outputs.chunks_mut(ROWS * n_outputs)) {
            inputs.transpose(rows);
            let n_blocks = inputs.extent(n_rows).n_blocks;
            let (from, to) = (inputs.blocks::<S, V>(), outputs.blocks_mut::<S, V>());
            if rectified {
                rectified_affine::<S, R, V>(simd, from, weight, bias, to, n_blocks);
            } else {
                affine::<S, R, V>(simd, from, weight, bias, to, n_blocks);
            }
            outputs.scatter(target, 0..target.len() / n_outputs);
        }
    }
}

/// `y = W x + b` of every row.
///
/// # Shapes
/// - `inputs`: `[inputs, blocks]`, `weight`: `[outputs, inputs]`, `bias`: `[outputs]`
/// - `outputs`: `[outputs, blocks]`
#[inline(always)]
pub(crate) fn affine<S: Level, R: Real, const V: usize>(
    simd: S,
    inputs: &[Lanes<S, R, V>],
    weight: &[R],
    bias: &[R],
    outputs: &mut [Lanes<S, R, V>],
    n_blocks: usize,
) {
    layer::<S, R, V, false>(simd, inputs, weight, bias, outputs, n_blocks);
}

/// `y = max(0, W x + b)` of every row, shapes as of [`affine`].
#[inline(always)]
pub(crate) fn rectified_affine<S: Level, R: Real, const V: usize>(
    simd: S,
    inputs: &[Lanes<S, R, V>],
    weight: &[R],
    bias: &[R],
    outputs: &mut [Lanes<S, R, V>],
    n_blocks: usize,
) {
    layer::<S, R, V, true>(simd, inputs, weight, bias, outputs, n_blocks);
}

#[inline(always)]
fn layer<S: Level, R: Real, const V: usize, const RECTIFIED: bool>(
    simd: S,
    inputs: &[Lanes<S, R, V>],
    weight: &[R],
    bias: &[R],
    outputs: &mut [Lanes<S, R, V>],
    n_blocks: usize,
) {
    let n_inputs = weight.len() / bias.len();
    let whole = bias.len() - bias.len() % TILE;
    for block in 0..n_blocks {
        let values = inputs[..n_inputs * n_blocks].chunks_exact(n_blocks);
        let values = values.map(|column| Block::<S, R, V>::new(simd, column[block]));
        for first in (0..whole).step_by(TILE) {
            // Sums by name: those of an array would be stored after every product.
            let [mut a, mut b, mut c, mut d] =
                [0, 1, 2, 3].map(|k| Block::<S, R, V>::splat(simd, bias[first + k]));
            let [of_a, of_b, of_c, of_d] =
                [0, 1, 2, 3].map(|k| &weight[(first + k) * n_inputs..][..n_inputs]);
            let weights = of_a.iter().zip(of_b).zip(of_c).zip(of_d);
            for (value, (((&to_a, &to_b), &to_c), &to_d)) in values.clone().zip(weights) {
                a = value.mul_add(Block::splat(simd, to_a), a);
                b = value.mul_add(Block::splat(simd, to_b), b);
                c = value.mul_add(Block::splat(simd, to_c), c);
                d = value.mul_add(Block::splat(simd, to_d), d);
            }
            for (k, sum) in [a, b, c, d].into_iter().enumerate() {
                let value = if RECTIFIED { sum.rectified() } else { sum };
                outputs[(first + k) * n_blocks + block] = value.lanes;
            }
        }
        for output in whole..bias.len() {
            let mut sum = Block::<S, R, V>::splat(simd, bias[output]);
            for (input, &weight) in weight[output * n_inputs..][..n_inputs].iter().enumerate() {
                let value = at::<S, R, V>(simd, inputs, input * n_blocks + block);
                sum = value.mul_add(Block::<S, R, V>::splat(simd, weight), sum);
            }
            let value = if RECTIFIED { sum.rectified() } else { sum };
            outputs[output * n_blocks + block] = value.lanes;
        }
    }
}

/// Gradient of the inputs, `Wᵀ dy`.
#[inline(always)]
pub(crate) fn affine_input_gradient<S: Level, R: Real, const V: usize>(
    simd: S,
    output_gradient: &[Lanes<S, R, V>],
    weight: &[R],
    n_inputs: usize,
    input_gradient: &mut [Lanes<S, R, V>],
    n_blocks: usize,
) {
    let whole = n_inputs - n_inputs % TILE;
    for block in 0..n_blocks {
        for first in (0..whole).step_by(TILE) {
            let [mut a, mut b, mut c, mut d] = [Block::<S, R, V>::zero(simd); TILE];
            let gradients = output_gradient.chunks_exact(n_blocks);
            for (row, column) in weight.chunks_exact(n_inputs).zip(gradients) {
                let value = Block::<S, R, V>::new(simd, column[block]);
                let row = &row[first..first + TILE];
                a = value.mul_add(Block::splat(simd, row[0]), a);
                b = value.mul_add(Block::splat(simd, row[1]), b);
                c = value.mul_add(Block::splat(simd, row[2]), c);
                d = value.mul_add(Block::splat(simd, row[3]), d);
            }
            for (k, sum) in [a, b, c, d].into_iter().enumerate() {
                input_gradient[(first + k) * n_blocks + block] = sum.lanes;
            }
        }
        for input in whole..n_inputs {
            let mut sum = Block::<S, R, V>::zero(simd);
            for (output, row) in weight.chunks_exact(n_inputs).enumerate() {
                let value = at::<S, R, V>(simd, output_gradient, output * n_blocks + block);
                sum = value.mul_add(Block::<S, R, V>::splat(simd, row[input]), sum);
            }
            input_gradient[input * n_blocks + block] = sum.lanes;
        }
    }
}

/// Adds the gradients of weight `Σ dy xᵀ` and bias `Σ dy` to the elements that begin at `first`, the
/// biases after the weights.
#[inline(always)]
pub(crate) fn affine_parameter_gradient<S: Level, R: Real, const V: usize>(
    simd: S,
    inputs: &[Lanes<S, R, V>],
    output_gradient: &[Lanes<S, R, V>],
    n_blocks: usize,
    first: usize,
    sums: &mut Sums<'_, S, R>,
) {
    let mut run = sums.run(first);
    for gradient in output_gradient.chunks_exact(n_blocks) {
        for values in inputs.chunks_exact(n_blocks) {
            run.add(sum_of_products::<S, R, V>(simd, gradient, values));
        }
    }
    for gradient in output_gradient.chunks_exact(n_blocks) {
        let mut total = Block::<S, R, V>::zero(simd);
        for &lanes in gradient {
            total = total + Block::<S, R, V>::new(simd, lanes);
        }
        run.add(total);
    }
    run.finish();
}

/// Products of two columns, added up over the blocks.
#[inline(always)]
pub(crate) fn sum_of_products<S: Level, R: Real, const V: usize>(
    simd: S,
    a: &[Lanes<S, R, V>],
    b: &[Lanes<S, R, V>],
) -> Block<S, R, V> {
    let mut total = Block::<S, R, V>::zero(simd);
    for (&a, &b) in a.iter().zip(b) {
        total = Block::<S, R, V>::new(simd, a).mul_add(Block::<S, R, V>::new(simd, b), total);
    }
    total
}
