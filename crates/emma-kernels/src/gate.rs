//! Steps 2 to 4 of the thesis: from potential energies to attention, and back.

use crate::block::{Block, Lanes};
use crate::columns::{Columns, Extent, TILE, at};
use crate::level::{Level, Task};
use crate::real::Real;
use crate::sums::Sums;

/// What one mode of one row comes out with: self-energy, modal energy, logarithm of the importance,
/// attention.
pub const N_OUTPUTS: usize = 4;

/// Number of parameters of M modes.
///
/// In order: self-energy weights `[M]` and biases `[M]`, coupling weights `[M, M]` and exponents
/// `[M, M]` (row-major, the diagonals mean nothing), gain, attention bias.
pub const fn n_parameters(n_modes: usize) -> usize {
    2 * n_modes + 2 * n_modes * n_modes + 2
}

/// EMMA without its potentials: parameters and settings of the gate.
///
/// With potential Ψ_i, its minimum and e: self-energy `e_i = w_i (max(0, Ψ_i − min_i) + e) + b_i`, modal
/// energy `E_i = e_i + Σ_{j≠i} w_ij exp(γ_ij ln e_i + (1 − γ_ij) ln e_j)`, importance
/// `α = softmax(−ρ E)`, attention `β_i = max(0, tanh(g_a α_i − b_a))`.
/// Self-energies are to be positive and finite; a row with another gets NaN.
///
/// Time grows with the square of the number of modes, memory with the number itself.
///
/// # Source
/// Thesis eqs. 5.2 to 5.7.
#[derive(Debug, Clone, Copy)]
pub struct Gate<'a, R> {
    /// All parameters, in the order of [`n_parameters`].
    pub parameters: &'a [R],
    /// Lowest potential of each mode on clean rows, `[M]`.
    pub minimum_potential: &'a [R],
    /// Coldness ρ.
    pub coldness: R,
}

/// Modes whose couplings with as many others are computed together, so that all that is known of them, and
/// the parameters on both sides of the diagonal, stay in the caches.
const SQUARE: usize = 16;

/// Where each parameter of the gate begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) n_modes: usize,
    pub(crate) self_weight: usize,
    pub(crate) self_bias: usize,
    pub(crate) coupling_weight: usize,
    pub(crate) coupling_exponent: usize,
    pub(crate) gain: usize,
    pub(crate) attention_bias: usize,
}

impl Layout {
    pub(crate) const fn new(n_modes: usize) -> Self {
        let coupling_weight = 2 * n_modes;
        let coupling_exponent = coupling_weight + n_modes * n_modes;
        let gain = coupling_exponent + n_modes * n_modes;
        Self {
            n_modes,
            self_weight: 0,
            self_bias: n_modes,
            coupling_weight,
            coupling_exponent,
            gain,
            attention_bias: gain + 1,
        }
    }
}

/// Columns of everything the gate knows about some rows, each `[modes]`.
#[derive(Debug)]
pub(crate) struct GateColumns<R> {
    energy: Columns<R>,
    /// Binary.
    log_energy: Columns<R>,
    modal_energy: Columns<R>,
    pub(crate) log_importance: Columns<R>,
    importance: Columns<R>,
    pub(crate) attention: Columns<R>,
    energy_gradient: Columns<R>,
    modal_energy_gradient: Columns<R>,
    pub(crate) log_importance_gradient: Columns<R>,
    pub(crate) attention_gradient: Columns<R>,
}

impl<R: Real> GateColumns<R> {
    pub(crate) fn new(n_modes: usize, n_rows: usize) -> Self {
        let columns = || Columns::new(n_modes, n_rows);
        Self {
            energy: columns(),
            log_energy: columns(),
            modal_energy: columns(),
            log_importance: columns(),
            importance: columns(),
            attention: columns(),
            energy_gradient: columns(),
            modal_energy_gradient: columns(),
            log_importance_gradient: columns(),
            attention_gradient: columns(),
        }
    }

    /// Forward, from potentials to `attention`; log-importance only where it is wanted.
    #[inline(always)]
    pub(crate) fn forward<S: Level, const V: usize>(
        &mut self,
        simd: S,
        gate: &Gate<'_, R>,
        potential: &[Lanes<S, R, V>],
        extent: Extent,
        log_importance: bool,
    ) {
        let layout = Layout::new(gate.minimum_potential.len());
        self.self_energies::<S, V>(simd, gate, layout, potential, extent);
        self.modal_energies::<S, V>(simd, gate, layout, extent);
        self.attend::<S, V>(simd, gate, layout, extent, log_importance);
    }

    #[inline(always)]
    fn self_energies<S: Level, const V: usize>(
        &mut self,
        simd: S,
        gate: &Gate<'_, R>,
        layout: Layout,
        potential: &[Lanes<S, R, V>],
        Extent { n_blocks, stride }: Extent,
    ) {
        let energy = self.energy.blocks_mut::<S, V>();
        let log_energy = self.log_energy.blocks_mut::<S, V>();
        for mode in 0..layout.n_modes {
            let weight = Block::<S, R, V>::splat(simd, gate.parameters[layout.self_weight + mode]);
            let bias = Block::<S, R, V>::splat(simd, gate.parameters[layout.self_bias + mode]);
            let minimum = gate.minimum_potential[mode];
            for index in mode * stride..mode * stride + n_blocks {
                let corrected =
                    corrected::<S, R, V>(at::<S, R, V>(simd, potential, index), minimum);
                let value = corrected.mul_add(weight, bias);
                energy[index] = value.lanes;
                log_energy[index] = value.log_2().lanes;
            }
        }
    }

    #[inline(always)]
    fn modal_energies<S: Level, const V: usize>(
        &mut self,
        simd: S,
        gate: &Gate<'_, R>,
        layout: Layout,
        extent: Extent,
    ) {
        // Several modes at once: what is known of another mode is loaded once for all of them.
        const TOGETHER: usize = 4;
        let whole = layout.n_modes - layout.n_modes % TOGETHER;
        for first in (0..whole).step_by(TOGETHER) {
            self.modal_energies_of::<S, V, TOGETHER>(simd, gate, layout, extent, first);
        }
        for mode in whole..layout.n_modes {
            self.modal_energies_of::<S, V, 1>(simd, gate, layout, extent, mode);
        }
    }

    #[inline(always)]
    fn modal_energies_of<S: Level, const V: usize, const N: usize>(
        &mut self,
        simd: S,
        gate: &Gate<'_, R>,
        layout: Layout,
        Extent { n_blocks, stride }: Extent,
        first: usize,
    ) {
        let energy = self.energy.blocks::<S, V>();
        let log_energy = self.log_energy.blocks::<S, V>();
        let modal_energy = self.modal_energy.blocks_mut::<S, V>();
        let zero = Block::<S, R, V>::zero(simd);
        let n_modes = layout.n_modes;
        let rows = |start: usize| {
            let rows = &gate.parameters[start + first * n_modes..][..N * n_modes];
            rows.chunks_exact(n_modes)
        };
        let (weights, exponents) = (rows(layout.coupling_weight), rows(layout.coupling_exponent));
        for block in 0..n_blocks {
            let (mut logs, mut sums) = ([zero; N], [zero; N]);
            for k in 0..N {
                let index = (first + k) * stride + block;
                logs[k] = at::<S, R, V>(simd, log_energy, index);
                // Plus nothing, or no number of an infinite energy: what a diagonal of zeros comes to.
                sums[k] = logs[k].mul_add(zero, at::<S, R, V>(simd, energy, index));
            }
            for j in 0..n_modes {
                let log_j = at::<S, R, V>(simd, log_energy, j * stride + block);
                let parameters = weights.clone().zip(exponents.clone());
                for (k, (weights, exponents)) in parameters.enumerate() {
                    if j != first + k {
                        let blend = blend::<S, R, V>(log_j, logs[k] - log_j, exponents[j]);
                        let weight = Block::<S, R, V>::splat(simd, weights[j]);
                        sums[k] = blend.mul_add(weight, sums[k]);
                    }
                }
            }
            for (k, sum) in sums.iter().enumerate() {
                modal_energy[(first + k) * stride + block] = sum.lanes;
            }
        }
    }

    #[inline(always)]
    fn attend<S: Level, const V: usize>(
        &mut self,
        simd: S,
        gate: &Gate<'_, R>,
        layout: Layout,
        Extent { n_blocks, stride }: Extent,
        wants_log: bool,
    ) {
        let modal_energy = self.modal_energy.blocks::<S, V>();
        let log_importance = self.log_importance.blocks_mut::<S, V>();
        let importance = self.importance.blocks_mut::<S, V>();
        let attention = self.attention.blocks_mut::<S, V>();
        let indices = |block: usize| (0..layout.n_modes).map(move |mode| mode * stride + block);
        // Infinity times no difference would be no number.
        let finite = |value: R| Block::<S, R, V>::splat(simd, value.min(R::max_value()).neg());
        let coldness = finite(gate.coldness);
        let binary_coldness = finite(gate.coldness * R::of(std::f64::consts::LOG2_E));
        let gain = Block::<S, R, V>::splat(simd, gate.parameters[layout.gain]);
        let bias = Block::<S, R, V>::splat(simd, gate.parameters[layout.attention_bias]);
        for block in 0..n_blocks {
            let mut lowest = at::<S, R, V>(simd, modal_energy, block);
            for index in indices(block) {
                lowest = lowest.at_most(at::<S, R, V>(simd, modal_energy, index));
            }
            let mut partition = Block::<S, R, V>::zero(simd);
            for index in indices(block) {
                let above = at::<S, R, V>(simd, modal_energy, index) - lowest;
                let weight = (above * binary_coldness).exp_2_of_not_positive();
                partition = partition + weight;
                importance[index] = weight.lanes;
            }
            if wants_log {
                let log_partition = partition.ln();
                for index in indices(block) {
                    let above = at::<S, R, V>(simd, modal_energy, index) - lowest;
                    log_importance[index] = (above * coldness - log_partition).lanes;
                }
            }
            let share = Block::<S, R, V>::splat(simd, R::one()) / partition;
            for index in indices(block) {
                let alpha = Block::<S, R, V>::new(simd, importance[index]) * share;
                importance[index] = alpha.lanes;
                let argument = alpha * gain - bias;
                attention[index] = argument.rectified().tanh_of_not_negative().lanes;
            }
        }
    }

    /// Copies what `forward` left of a tile into `[4, rows, modes]`, from the row `first` on.
    #[inline(always)]
    pub(crate) fn scatter(
        &self,
        outputs: &mut [R],
        first: usize,
        n_rows: usize,
        n_tile_rows: usize,
    ) {
        let results = [
            &self.energy,
            &self.modal_energy,
            &self.log_importance,
            &self.attention,
        ];
        let parts = parts(first, n_rows, n_tile_rows);
        for (column, part) in results.into_iter().zip(parts) {
            column.scatter(outputs, part);
        }
    }

    /// Backward, from the gradients of log-importance and attention (and, if `of_energies`, of self- and
    /// modal energies) to those of the parameters; potentials' gradients go where self-energies' were.
    #[inline(always)]
    pub(crate) fn backward<S: Level, const V: usize>(
        &mut self,
        simd: S,
        gate: &Gate<'_, R>,
        potential: &[Lanes<S, R, V>],
        extent: Extent,
        of_energies: bool,
        sums: &mut Sums<'_, S, R>,
    ) {
        let layout = Layout::new(gate.minimum_potential.len());
        self.attend_backward::<S, V>(simd, gate, layout, extent, of_energies, sums);
        self.modal_energies_backward::<S, V>(simd, gate, layout, extent, sums);
        self.self_energies_backward::<S, V>(simd, gate, layout, potential, extent, sums);
    }

    /// Leaves the gradient of modal energies, and adds them to those of self-energies.
    #[inline(always)]
    fn attend_backward<S: Level, const V: usize>(
        &mut self,
        simd: S,
        gate: &Gate<'_, R>,
        layout: Layout,
        Extent { n_blocks, stride }: Extent,
        of_energies: bool,
        sums: &mut Sums<'_, S, R>,
    ) {
        let importance = self.importance.blocks::<S, V>();
        let attention = self.attention.blocks::<S, V>();
        let attention_gradient = self.attention_gradient.blocks::<S, V>();
        let log_importance_gradient = self.log_importance_gradient.blocks_mut::<S, V>();
        let energy_gradient = self.energy_gradient.blocks_mut::<S, V>();
        let modal_energy_gradient = self.modal_energy_gradient.blocks_mut::<S, V>();
        let indices = |block: usize| (0..layout.n_modes).map(move |mode| mode * stride + block);
        let coldness = Block::<S, R, V>::splat(simd, gate.coldness.min(R::max_value()).neg());
        let gain = Block::<S, R, V>::splat(simd, gate.parameters[layout.gain]);
        let bias = Block::<S, R, V>::splat(simd, gate.parameters[layout.attention_bias]);
        let (zero, one) = (
            Block::<S, R, V>::zero(simd),
            Block::<S, R, V>::splat(simd, R::one()),
        );
        let (mut of_gain, mut of_bias) = (zero, zero);
        for block in 0..n_blocks {
            let mut total = zero;
            for index in indices(block) {
                let beta = at::<S, R, V>(simd, attention, index);
                let alpha = at::<S, R, V>(simd, importance, index);
                let slope = (one - beta * beta) * at::<S, R, V>(simd, attention_gradient, index);
                // Not of β: it is 0 on both sides of the threshold's last digit, and may be no number.
                let argument = alpha * gain - bias;
                let of_argument = argument.select_less(zero, zero, slope);
                of_gain = of_argument.mul_add(alpha, of_gain);
                of_bias = of_bias - of_argument;
                let of_log = Block::<S, R, V>::new(simd, log_importance_gradient[index]);
                let of_log = (of_argument * gain).mul_add(alpha, of_log);
                total = total + of_log;
                log_importance_gradient[index] = of_log.lanes;
            }
            for index in indices(block) {
                let alpha = at::<S, R, V>(simd, importance, index);
                let of_log = Block::<S, R, V>::new(simd, log_importance_gradient[index]);
                let mut of_modal = (of_log - alpha * total) * coldness;
                if of_energies {
                    of_modal = of_modal + Block::<S, R, V>::new(simd, modal_energy_gradient[index]);
                    energy_gradient[index] =
                        (of_modal + Block::<S, R, V>::new(simd, energy_gradient[index])).lanes;
                } else {
                    energy_gradient[index] = of_modal.lanes;
                }
                modal_energy_gradient[index] = of_modal.lanes;
            }
        }
        sums.add(layout.gain, of_gain);
        sums.add(layout.attention_bias, of_bias);
    }

    /// Leaves the gradient of the natural logarithms of self-energies where that of log-importance was.
    #[inline(always)]
    fn modal_energies_backward<S: Level, const V: usize>(
        &mut self,
        simd: S,
        gate: &Gate<'_, R>,
        layout: Layout,
        Extent { n_blocks, stride }: Extent,
        sums: &mut Sums<'_, S, R>,
    ) {
        let zero = Block::<S, R, V>::zero(simd);
        let log_energy = self.log_energy.blocks::<S, V>();
        let modal_energy_gradient = self.modal_energy_gradient.blocks::<S, V>();
        let log_gradient = self.log_importance_gradient.blocks_mut::<S, V>();
        log_gradient.fill(zero.lanes);
        let n_modes = layout.n_modes;
        let pair = |i: usize, j: usize| {
            let index = i * n_modes + j;
            let weight = gate.parameters[layout.coupling_weight + index];
            let exponent = gate.parameters[layout.coupling_exponent + index];
            Pair {
                index,
                weight,
                exponent,
                product: weight * exponent,
            }
        };
        let ln_2 = R::of(std::f64::consts::LN_2);
        let squares = (0..n_modes).step_by(SQUARE).flat_map(|i| {
            let others = (i..n_modes).step_by(SQUARE);
            others.map(move |j| (i, j))
        });
        for (first_i, first_j) in squares {
            let end = |first: usize| (first + SQUARE).min(n_modes);
            for i in first_i..end(first_i) {
                for j in first_j.max(i + 1)..end(first_j) {
                    // Both pairs of two modes at once: they have the logarithms in common.
                    let (there, back) = (pair(i, j), pair(j, i));
                    let (mut of_weight, mut of_exponent) = ([zero; 2], [zero; 2]);
                    for block in 0..n_blocks {
                        let (at_i, at_j) = (i * stride + block, j * stride + block);
                        let log_i = at::<S, R, V>(simd, log_energy, at_i);
                        let log_j = at::<S, R, V>(simd, log_energy, at_j);
                        let difference = log_i - log_j;
                        let of_i = at::<S, R, V>(simd, modal_energy_gradient, at_i)
                            * blend::<S, R, V>(log_j, difference, there.exponent);
                        let of_j = at::<S, R, V>(simd, modal_energy_gradient, at_j)
                            * blend::<S, R, V>(log_i, difference.negated(), back.exponent);
                        of_weight[0] = of_weight[0] + of_i;
                        of_weight[1] = of_weight[1] + of_j;
                        of_exponent[0] = of_i.mul_add(difference, of_exponent[0]);
                        of_exponent[1] = of_j.mul_add(difference, of_exponent[1]);
                        let splat = |value: R| Block::<S, R, V>::splat(simd, value);
                        // Both exponents of a blend add up to 1, and what one of the logarithms gets the other
                        // one does not: where a blend is infinite, no number.
                        let total = at::<S, R, V>(simd, log_gradient, at_i);
                        let total = of_i.mul_add(splat(there.product), total);
                        let total = of_j.mul_add(splat(back.weight), total);
                        log_gradient[at_i] = of_j.mul_add(splat(back.product.neg()), total).lanes;
                        let total = at::<S, R, V>(simd, log_gradient, at_j);
                        let total = of_j.mul_add(splat(back.product), total);
                        let total = of_i.mul_add(splat(there.weight), total);
                        log_gradient[at_j] = of_i.mul_add(splat(there.product.neg()), total).lanes;
                    }
                    let to_natural = [there.weight * ln_2, (back.weight * ln_2).neg()];
                    for (k, pair) in [there, back].iter().enumerate() {
                        sums.add(layout.coupling_weight + pair.index, of_weight[k]);
                        sums.add(
                            layout.coupling_exponent + pair.index,
                            of_exponent[k] * to_natural[k],
                        );
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn self_energies_backward<S: Level, const V: usize>(
        &mut self,
        simd: S,
        gate: &Gate<'_, R>,
        layout: Layout,
        potential: &[Lanes<S, R, V>],
        Extent { n_blocks, stride }: Extent,
        sums: &mut Sums<'_, S, R>,
    ) {
        let zero = Block::<S, R, V>::zero(simd);
        let energy = self.energy.blocks::<S, V>();
        let log_gradient = self.log_importance_gradient.blocks::<S, V>();
        let energy_gradient = self.energy_gradient.blocks_mut::<S, V>();
        for mode in 0..layout.n_modes {
            let weight = gate.parameters[layout.self_weight + mode];
            let minimum = gate.minimum_potential[mode];
            let (mut of_weight, mut of_bias) = (zero, zero);
            for index in mode * stride..mode * stride + n_blocks {
                let of_log = at::<S, R, V>(simd, log_gradient, index);
                let of_energy = Block::<S, R, V>::new(simd, energy_gradient[index]);
                let of_energy = of_energy + of_log / at::<S, R, V>(simd, energy, index);
                let potential = at::<S, R, V>(simd, potential, index);
                of_weight = of_energy.mul_add(corrected::<S, R, V>(potential, minimum), of_weight);
                of_bias = of_bias + of_energy;
                let below = potential.select_less(
                    Block::<S, R, V>::splat(simd, minimum),
                    zero,
                    of_energy * weight,
                );
                energy_gradient[index] = below.lanes;
            }
            sums.add(layout.self_weight + mode, of_weight);
            sums.add(layout.self_bias + mode, of_bias);
        }
    }
}

/// A coupling of two modes, in one direction.
struct Pair<R> {
    index: usize,
    weight: R,
    exponent: R,
    /// Of both.
    product: R,
}

#[inline(always)]
fn corrected<S: Level, R: Real, const V: usize>(
    potential: Block<S, R, V>,
    minimum: R,
) -> Block<S, R, V> {
    (potential - minimum).rectified() + R::of(std::f64::consts::E)
}

/// `e_i^γ e_j^(1 − γ)`, from `log₂ e_j` and `log₂ e_i − log₂ e_j`.
#[inline(always)]
fn blend<S: Level, R: Real, const V: usize>(
    log_j: Block<S, R, V>,
    difference: Block<S, R, V>,
    exponent: R,
) -> Block<S, R, V> {
    let exponent = Block::<S, R, V>::splat(log_j.simd, exponent);
    difference.mul_add(exponent, log_j).exp_2()
}

impl<R: Real> Gate<'_, R> {
    /// Number of modes, at least 1.
    pub fn n_modes(&self) -> usize {
        self.minimum_potential.len()
    }

    /// Energies, importance and attention of every row.
    ///
    /// # Shapes
    /// - `potentials`: `[rows, modes]`, raw
    /// - `outputs`: `[4, rows, modes]`: self-energies, modal energies, log-importance, attention
    pub fn forward(&self, potentials: &[R], outputs: &mut [R]) {
        R::gate_forward(self, potentials, outputs);
    }

    pub(crate) fn run_forward(&self, potentials: &[R], outputs: &mut [R]) {
        R::dispatch(Forward {
            gate: self,
            potentials,
            outputs,
        });
    }

    /// Gradients of the potentials and of the parameters.
    ///
    /// # Shapes
    /// - `potentials`: `[rows, modes]`; `outputs` and `output_gradient`: `[4, rows, modes]`, the first as
    ///   [`forward`](Self::forward) left them
    /// - `potential_gradient`: `[rows, modes]`; `parameter_gradient`: as the parameters, added to
    pub fn backward(
        &self,
        potentials: &[R],
        outputs: &[R],
        output_gradient: &[R],
        potential_gradient: &mut [R],
        parameter_gradient: &mut [R],
    ) {
        R::gate_backward(
            self,
            potentials,
            outputs,
            output_gradient,
            potential_gradient,
            parameter_gradient,
        );
    }

    pub(crate) fn run_backward(
        &self,
        potentials: &[R],
        outputs: &[R],
        output_gradient: &[R],
        potential_gradient: &mut [R],
        parameter_gradient: &mut [R],
    ) {
        R::dispatch(Backward {
            gate: self,
            potentials,
            outputs,
            output_gradient,
            potential_gradient,
            parameter_gradient,
        });
    }
}

/// Where the rows of a tile stand in each of the four parts of `[4, rows, modes]` outputs.
fn parts(first: usize, n_rows: usize, n_tile_rows: usize) -> [std::ops::Range<usize>; N_OUTPUTS] {
    [0, 1, 2, 3].map(|part| {
        let first = part * n_rows + first;
        first..first + n_tile_rows
    })
}

struct Forward<'a, R> {
    gate: &'a Gate<'a, R>,
    potentials: &'a [R],
    outputs: &'a mut [R],
}

impl<R: Real> Task<R> for Forward<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Level, const V: usize>(self, simd: S) {
        let n_modes = self.gate.n_modes();
        let tile = TILE.min(self.potentials.len() / n_modes);
        let mut columns = GateColumns::new(n_modes, tile);
        let mut potential = Columns::new(n_modes, tile);
        let n_rows = self.potentials.len() / n_modes;
        for (number, potentials) in self.potentials.chunks(TILE * n_modes).enumerate() {
            let n_tile_rows = potentials.len() / n_modes;
            potential.transpose(potentials);
            let extent = potential.extent(n_tile_rows);
            let blocks = potential.blocks::<S, V>();
            columns.forward::<S, V>(simd, self.gate, blocks, extent, true);
            columns.scatter(self.outputs, number * TILE, n_rows, n_tile_rows);
        }
    }
}

struct Backward<'a, R> {
    gate: &'a Gate<'a, R>,
    potentials: &'a [R],
    outputs: &'a [R],
    output_gradient: &'a [R],
    potential_gradient: &'a mut [R],
    parameter_gradient: &'a mut [R],
}

impl<R: Real> Task<R> for Backward<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Level, const V: usize>(self, simd: S) {
        let n_modes = self.gate.n_modes();
        let tile = TILE.min(self.potentials.len() / n_modes);
        let mut columns = GateColumns::new(n_modes, tile);
        let mut potential = Columns::new(n_modes, tile);
        let mut sums = Sums::new(simd, self.parameter_gradient);
        let n_rows = self.potentials.len() / n_modes;
        let tiles = self
            .potentials
            .chunks(TILE * n_modes)
            .zip(self.potential_gradient.chunks_mut(TILE * n_modes));
        for (number, (potentials, potential_gradient)) in tiles.enumerate() {
            let n_tile_rows = potentials.len() / n_modes;
            let parts = parts(number * TILE, n_rows, n_tile_rows);
            let [energy, _, log_importance, attention] = parts.clone();
            potential.transpose(potentials);
            columns.energy.gather(0, n_modes, self.outputs, energy);
            let of_log = &mut columns.log_importance;
            of_log.gather(0, n_modes, self.outputs, log_importance);
            let of_attention = &mut columns.attention;
            of_attention.gather(0, n_modes, self.outputs, attention);
            // What fills the last block adds nothing: it has finite energies and no gradient.
            potential.fill_from(n_tile_rows, R::zero());
            columns.energy.fill_from(n_tile_rows, R::one());
            columns.log_importance.fill_from(n_tile_rows, R::zero());
            columns.attention.fill_from(n_tile_rows, R::zero());
            columns.derive::<S, V>(simd);
            let gradients = [
                &mut columns.energy_gradient,
                &mut columns.modal_energy_gradient,
                &mut columns.log_importance_gradient,
                &mut columns.attention_gradient,
            ];
            for (gradient, part) in gradients.into_iter().zip(parts) {
                gradient.gather(0, n_modes, self.output_gradient, part);
                gradient.fill_from(n_tile_rows, R::zero());
            }
            let extent = potential.extent(n_tile_rows);
            let potential = potential.blocks::<S, V>();
            columns.backward::<S, V>(simd, self.gate, potential, extent, true, &mut sums);
            let energy_gradient = &columns.energy_gradient;
            energy_gradient.scatter(potential_gradient, 0..n_tile_rows);
        }
        sums.finish();
    }
}

impl<R: Real> GateColumns<R> {
    /// Makes from the outputs what else [`forward`](Self::forward) leaves.
    #[inline(always)]
    fn derive<S: Level, const V: usize>(&mut self, simd: S) {
        let energy = self.energy.blocks::<S, V>();
        for (log, &energy) in self.log_energy.blocks_mut::<S, V>().iter_mut().zip(energy) {
            *log = Block::<S, R, V>::new(simd, energy).log_2().lanes;
        }
        let log_importance = self.log_importance.blocks::<S, V>();
        let importance = self.importance.blocks_mut::<S, V>();
        for (importance, &log) in importance.iter_mut().zip(log_importance) {
            *importance = Block::<S, R, V>::new(simd, log).exp_of_not_positive().lanes;
        }
    }
}
