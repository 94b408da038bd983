//! Stage two: training a perceptron behind a gate, one fused step a mini-batch.

use crate::adam::{Adam, Memory};
use crate::affine::{affine, affine_input_gradient, affine_parameter_gradient, rectified_affine};
use crate::block::{Block, Lanes};
use crate::columns::{Columns, at};
use crate::gate::{Gate, GateColumns, Layout, n_parameters};
use crate::level::{BLOCK, Level, Task};
use crate::real::Real;
use crate::softmax::{softmax, softmax_backward};
use crate::sums::Sums;
use crate::weigh::{attention_gradient, weigh};

/// What stands between the modes and the network.
#[derive(Debug, Clone, PartialEq)]
pub enum GateConfig {
    /// Nothing: the modes side by side.
    Open,
    /// A softmax over an affine map of all features: `M (D + 1)` parameters, weight `[M, D]` first.
    Softmax,
    /// EMMA, steps 2 to 4; parameters in the order of [`crate::gate::n_parameters`].
    Emma {
        /// Lowest potential of each mode on clean rows, `[M]`.
        minimum_potential: Vec<f32>,
        /// Coldness ρ.
        coldness: f64,
        /// λ_c of the capacity penalty `λ_c g_a`.
        capacity_weight: f64,
        /// Whether the capacity penalty is `λ_c (g_a − b_a)` instead.
        capacity_minus_bias: bool,
        /// λ_e of the energy regularizer.
        energy_weight: f64,
        /// Lower bound of w_i.
        minimum_self_weight: f64,
        /// Bound of `|w_ij|`.
        coupling_limit: f64,
        /// Whether γ_ij and γ_ji are one parameter: both begin at their mean.
        symmetric: bool,
    },
}

/// A perceptron's layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// All features, hidden layers in order, 1. ReLU between.
    pub widths: Vec<usize>,
}

impl Network {
    /// Number of parameters: weight and bias of each layer.
    pub fn n_parameters(&self) -> usize {
        self.widths
            .windows(2)
            .map(|width| (width[0] + 1) * width[1])
            .sum()
    }
}

/// What is trained, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct StageTwoConfig {
    /// Features of each mode.
    pub mode_widths: Vec<usize>,
    /// What weighs the modes.
    pub gate: GateConfig,
    /// What predicts from them.
    pub network: Network,
    /// Rows a step, at least 1.
    pub batch_size: usize,
    /// Adam's step size.
    pub learning_rate: f64,
    /// Weight of the positive class in the loss.
    pub positive_weight: f64,
}

/// Labelled rows, row-major. What a model does not need may be empty.
#[derive(Debug, Clone)]
pub struct Rows<'a> {
    /// Standardized features, `[rows, features]` a mode.
    pub modes: Vec<&'a [f32]>,
    /// Potential energies `[rows, modes]`; needed by EMMA alone.
    pub potentials: &'a [f32],
    /// Corruption signs `[rows, modes]`; needed by the energy regularizer alone.
    pub signs: &'a [f32],
    /// Labels, 0 or 1; not needed for logits.
    pub labels: &'a [f32],
}

/// Rows in the order of an epoch, in the columns that a step reads: made once, used by any number of
/// models.
#[derive(Debug)]
pub struct Batches {
    n_rows: usize,
    batch_size: usize,
    mode_widths: Vec<usize>,
    /// One batch after the other: features, potentials, signs, labels.
    columns: Columns<f32>,
}

impl Batches {
    /// Takes the rows in this order.
    ///
    /// # Shapes
    /// - `mode_widths`: features of each mode
    pub fn new(
        rows: &Rows<'_>,
        mode_widths: &[usize],
        batch_size: usize,
        order: impl ExactSizeIterator<Item = usize> + Clone,
    ) -> Self {
        let n_rows = order.len();
        let n_modes = mode_widths.len();
        let n_features: usize = mode_widths.iter().sum();
        let a_batch = n_features + 2 * n_modes + 1;
        let n_batches = n_rows.div_ceil(batch_size);
        let mut columns = Columns::new(a_batch * n_batches, batch_size);
        let mut rest = order;
        for batch in 0..n_batches {
            let now = rest.clone().take(batch_size);
            let mut first = batch * a_batch;
            for (&source, &width) in rows.modes.iter().zip(mode_widths) {
                columns.gather(first, width, source, now.clone());
                first += width;
            }
            for source in [rows.potentials, rows.signs] {
                if !source.is_empty() {
                    columns.gather(first, n_modes, source, now.clone());
                }
                first += n_modes;
            }
            if !rows.labels.is_empty() {
                columns.gather(first, 1, rows.labels, now);
            }
            rest.nth(batch_size - 1);
        }
        Self {
            n_rows,
            batch_size,
            mode_widths: mode_widths.to_vec(),
            columns,
        }
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Each batch and its number of rows.
    #[inline(always)]
    fn iter<S: Level, const V: usize>(&self) -> impl Iterator<Item = (Batch<'_, S, V>, usize)> {
        let n_blocks = self.columns.n_rows() / BLOCK;
        let n_modes = self.mode_widths.len();
        let n_features: usize = self.mode_widths.iter().sum();
        let a_batch = (n_features + 2 * n_modes + 1) * n_blocks;
        let batches = self.columns.blocks::<S, V>().chunks_exact(a_batch);
        batches.enumerate().map(move |(batch, blocks)| {
            let (inputs, rest) = blocks.split_at(n_features * n_blocks);
            let (potentials, rest) = rest.split_at(n_modes * n_blocks);
            let (signs, labels) = rest.split_at(n_modes * n_blocks);
            let left = self.n_rows - batch * self.batch_size;
            let batch = Batch {
                inputs,
                potentials,
                signs,
                labels,
            };
            (batch, left.min(self.batch_size))
        })
    }
}

/// Columns of one batch.
#[derive(Clone, Copy)]
struct Batch<'a, S: Level, const V: usize> {
    inputs: &'a [Lanes<S, f32, V>],
    potentials: &'a [Lanes<S, f32, V>],
    signs: &'a [Lanes<S, f32, V>],
    labels: &'a [Lanes<S, f32, V>],
}

/// A model in training: parameters, optimizer and scratch memory.
///
/// The loss is the mean over a batch's rows of the cross-entropy `(1 + (p − 1) y) softplus(z) − p y z`,
/// with the capacity penalty and the energy regularizer `−λ_e Σ_i ξ_i log α_i`; the optimizer is plain
/// Adam, after whose steps EMMA's parameters are put back into their ranges. ReLU has
/// slope 0 at 0, where candle's has 1; the gate's rectifier has 1, as candle's.
///
/// # Source
/// Thesis eqs. 5.3, 5.4, 5.7 and 5.12.
#[derive(Debug)]
pub struct StageTwo {
    config: StageTwoConfig,
    adam: Adam,
    n_gate_parameters: usize,
    layers: Vec<Layer>,
    gate: GateColumns<f32>,
    weighted: Columns<f32>,
    /// Outputs of each layer; the last one holds logits.
    outputs: Vec<Columns<f32>>,
    /// Gradients of the same.
    output_gradients: Vec<Columns<f32>>,
    input_gradient: Columns<f32>,
    /// One for every row, zero for what fills the last block.
    row_weight: Columns<f32>,
}

/// Where a layer's parameters begin.
#[derive(Debug, Clone, Copy)]
struct Layer {
    n_inputs: usize,
    n_outputs: usize,
    weight: usize,
    bias: usize,
}

impl StageTwo {
    /// Number of parameters: those of the gate, then those of the network.
    pub fn n_parameters(config: &StageTwoConfig) -> usize {
        n_gate_parameters(config) + config.network.n_parameters()
    }

    /// Starts from these parameters.
    ///
    /// # Shapes
    /// - `parameters`: [`n_parameters`](Self::n_parameters) numbers
    pub fn new(config: StageTwoConfig, parameters: &[f32]) -> Self {
        let n_modes = config.mode_widths.len();
        let n_features = config.mode_widths.iter().sum();
        let n_gate_parameters = n_gate_parameters(&config);
        let batch_size = config.batch_size;
        let mut start = n_gate_parameters;
        let layers: Vec<Layer> = config
            .network
            .widths
            .windows(2)
            .map(|width| {
                let weight = start;
                let bias = weight + width[0] * width[1];
                start = bias + width[1];
                Layer {
                    n_inputs: width[0],
                    n_outputs: width[1],
                    weight,
                    bias,
                }
            })
            .collect();
        let layer_columns = || -> Vec<_> {
            let widths = layers.iter().map(|layer| layer.n_outputs);
            widths
                .map(|width| Columns::new(width, batch_size))
                .collect()
        };
        let mut adam = Adam::new(parameters, config.learning_rate);
        if let GateConfig::Emma {
            minimum_self_weight,
            coupling_limit,
            ..
        } = config.gate
        {
            let layout = Layout::new(n_modes);
            let limit = coupling_limit as f32;
            let lowest = minimum_self_weight as f32;
            adam.keep_within(layout.self_weight..layout.self_bias, lowest, f32::MAX);
            adam.keep_within(layout.self_bias..layout.coupling_weight, 0., f32::MAX);
            adam.keep_within(
                layout.coupling_weight..layout.coupling_exponent,
                -limit,
                limit,
            );
            adam.keep_within(layout.coupling_exponent..layout.gain, 0., 1.);
            adam.keep_within(layout.gain..layout.attention_bias, 0., f32::MAX);
            adam.keep_within(layout.attention_bias..layout.attention_bias + 1, 0., 1.);
        }
        let mut model = Self {
            adam,
            n_gate_parameters,
            gate: GateColumns::new(n_modes, batch_size),
            weighted: Columns::new(n_features, batch_size),
            outputs: layer_columns(),
            output_gradients: layer_columns(),
            input_gradient: Columns::new(n_features, batch_size),
            row_weight: Columns::new(1, batch_size),
            layers,
            config,
        };
        model.tie_exponents();
        model
    }

    /// Parameters as they are now.
    pub fn parameters(&self) -> &[f32] {
        self.adam.parameters()
    }

    /// What the optimizer remembers, to go on later.
    pub fn memory(&self) -> Memory {
        self.adam.memory()
    }

    /// Goes on with what the optimizer of an earlier model with the same settings remembered.
    ///
    /// # Panics
    /// If it remembers another number of parameters.
    pub fn remember(&mut self, memory: &Memory) {
        self.adam.remember(memory);
    }

    #[cfg(test)]
    pub(crate) fn first_gradient(&self) -> Vec<f64> {
        self.adam.first_gradient()
    }

    /// One pass over the rows; returns the mean loss, penalties included (no number if there are no
    /// rows).
    ///
    /// # Panics
    /// If the batches were made with another batch size or other modes.
    pub fn epoch(&mut self, batches: &Batches) -> f64 {
        self.check(batches);
        f32::dispatch(Epoch {
            model: self,
            batches,
        })
    }

    /// Mean cross-entropy of all rows, without penalties (no number if there are no rows).
    ///
    /// # Panics
    /// As [`epoch`](Self::epoch).
    pub fn task_loss_of(&mut self, batches: &Batches) -> f64 {
        self.check(batches);
        f32::dispatch(TaskLoss {
            model: self,
            batches,
        })
    }

    fn check(&self, batches: &Batches) {
        assert_eq!(
            (batches.batch_size, &batches.mode_widths),
            (self.config.batch_size, &self.config.mode_widths),
            "batch size and features a mode of the batches (left) and of the model (right)"
        );
    }

    #[inline(always)]
    fn forward<S: Level, const V: usize>(
        &mut self,
        simd: S,
        batch: Batch<'_, S, V>,
        n_blocks: usize,
    ) {
        let parameters = self.adam.parameters();
        let gated = match &self.config.gate {
            GateConfig::Open => false,
            GateConfig::Softmax => {
                let n_modes = self.config.mode_widths.len();
                let (weight, bias) =
                    parameters[..self.n_gate_parameters].split_at(self.n_gate_parameters - n_modes);
                let inputs = batch.inputs;
                let shares = self.gate.attention.blocks_mut::<S, V>();
                affine::<S, f32, V>(simd, inputs, weight, bias, shares, n_blocks);
                softmax::<S, f32, V>(simd, shares, n_blocks);
                true
            }
            GateConfig::Emma {
                minimum_potential,
                coldness,
                energy_weight,
                ..
            } => {
                let gate = Gate {
                    parameters: &parameters[..self.n_gate_parameters],
                    minimum_potential,
                    coldness: *coldness as f32,
                };
                let extent = self.weighted.extent(self.config.batch_size);
                let regularized = *energy_weight != 0.;
                self.gate
                    .forward::<S, V>(simd, &gate, batch.potentials, extent, regularized);
                true
            }
        };
        if gated {
            weigh::<S, f32, V>(
                simd,
                &self.config.mode_widths,
                batch.inputs,
                self.gate.attention.blocks::<S, V>(),
                self.weighted.blocks_mut::<S, V>(),
                n_blocks,
            );
        }
        let mut inputs = if gated {
            self.weighted.blocks::<S, V>()
        } else {
            batch.inputs
        };
        let last = self.layers.len() - 1;
        for (k, (layer, outputs)) in self.layers.iter().zip(&mut self.outputs).enumerate() {
            let outputs = outputs.blocks_mut::<S, V>();
            let weight = &parameters[layer.weight..layer.bias];
            let bias = &parameters[layer.bias..][..layer.n_outputs];
            if k < last {
                rectified_affine::<S, f32, V>(simd, inputs, weight, bias, outputs, n_blocks);
            } else {
                affine::<S, f32, V>(simd, inputs, weight, bias, outputs, n_blocks);
            }
            inputs = outputs;
        }
    }

    /// One mini-batch: loss, gradient, step. Returns the sum of the rows' losses.
    #[inline(always)]
    fn step<S: Level, const V: usize>(
        &mut self,
        simd: S,
        batch: Batch<'_, S, V>,
        n_rows: usize,
        n_blocks: usize,
    ) -> f64 {
        self.forward::<S, V>(simd, batch, n_blocks);
        let task = self.loss::<S, V>(simd, batch, n_rows, n_blocks);
        let (parameters, gradient) = self.adam.parameters_and_gradient();
        let mut sums = Sums::new(simd, gradient);
        let gated = self.config.gate != GateConfig::Open;
        let first_inputs = if gated {
            self.weighted.blocks::<S, V>()
        } else {
            batch.inputs
        };
        for (k, layer) in self.layers.iter().enumerate().rev() {
            let (before, from) = self.output_gradients.split_at_mut(k);
            let output_gradient = from[0].blocks::<S, V>();
            let inputs = match k.checked_sub(1) {
                Some(previous) => self.outputs[previous].blocks::<S, V>(),
                None => first_inputs,
            };
            affine_parameter_gradient::<S, f32, V>(
                simd,
                inputs,
                output_gradient,
                n_blocks,
                layer.weight,
                &mut sums,
            );
            let input_gradient = match before.last_mut() {
                Some(columns) => columns,
                None if gated => &mut self.input_gradient,
                None => break,
            };
            let weight = &parameters[layer.weight..layer.bias];
            let input_gradient = input_gradient.blocks_mut::<S, V>();
            affine_input_gradient::<S, f32, V>(
                simd,
                output_gradient,
                weight,
                layer.n_inputs,
                input_gradient,
                n_blocks,
            );
            if k > 0 {
                let zero = Block::<S, f32, V>::zero(simd);
                for (gradient, &value) in input_gradient.iter_mut().zip(inputs) {
                    let value = Block::<S, f32, V>::new(simd, value);
                    *gradient = zero
                        .select_less(value, Block::<S, f32, V>::new(simd, *gradient), zero)
                        .lanes;
                }
            }
        }
        if gated {
            attention_gradient::<S, f32, V>(
                simd,
                &self.config.mode_widths,
                self.input_gradient.blocks::<S, V>(),
                batch.inputs,
                self.gate.attention_gradient.blocks_mut::<S, V>(),
                n_blocks,
            );
        }
        match &self.config.gate {
            GateConfig::Open => {}
            GateConfig::Softmax => {
                let shares = self.gate.attention.blocks::<S, V>();
                let gradient = self.gate.attention_gradient.blocks_mut::<S, V>();
                softmax_backward::<S, f32, V>(simd, shares, gradient, n_blocks);
                let inputs = batch.inputs;
                affine_parameter_gradient::<S, f32, V>(
                    simd, inputs, gradient, n_blocks, 0, &mut sums,
                );
            }
            GateConfig::Emma {
                minimum_potential,
                coldness,
                ..
            } => {
                let gate = Gate {
                    parameters: &parameters[..self.n_gate_parameters],
                    minimum_potential,
                    coldness: *coldness as f32,
                };
                let potentials = batch.potentials;
                let extent = self.weighted.extent(self.config.batch_size);
                self.gate
                    .backward::<S, V>(simd, &gate, potentials, extent, false, &mut sums);
            }
        }
        sums.finish();
        let penalty = self.capacity_penalty();
        self.tie_gradients();
        self.adam.step::<S, V>(simd);
        self.tie_exponents();
        task + penalty * n_rows as f64
    }

    /// Loss of the rows, with the energy regularizer; leaves the gradients of logits and of
    /// log-importance.
    #[inline(always)]
    fn loss<S: Level, const V: usize>(
        &mut self,
        simd: S,
        batch: Batch<'_, S, V>,
        n_rows: usize,
        n_blocks: usize,
    ) -> f64 {
        let task = self.task_loss::<S, V>(simd, batch, n_rows, n_blocks);
        let regularizer = self.energy_regularizer::<S, V>(simd, batch, n_rows, n_blocks);
        sum_of_lanes(simd, task + regularizer)
    }

    /// Each row's cross-entropy, in lanes still to be added up; leaves the gradient of the logits.
    #[inline(always)]
    fn task_loss<S: Level, const V: usize>(
        &mut self,
        simd: S,
        batch: Batch<'_, S, V>,
        n_rows: usize,
        n_blocks: usize,
    ) -> Block<S, f32, V> {
        self.row_weight.fill_from(0, 1.);
        self.row_weight.fill_from(n_rows, 0.);
        let last = self.layers.len() - 1;
        let logits = self.outputs[last].blocks::<S, V>();
        let gradient = self.output_gradients[last].blocks_mut::<S, V>();
        let labels = batch.labels;
        let row_weight = self.row_weight.blocks::<S, V>();
        let positive = self.config.positive_weight as f32;
        let one = Block::<S, f32, V>::splat(simd, 1.);
        let mut total = Block::<S, f32, V>::zero(simd);
        for block in 0..n_blocks {
            let logit = at::<S, f32, V>(simd, logits, block);
            let label = at::<S, f32, V>(simd, labels, block);
            let weight = at::<S, f32, V>(simd, row_weight, block);
            let class_weight = label.mul_add(Block::<S, f32, V>::splat(simd, positive - 1.), one);
            let target = label * positive;
            let (sigmoid, softplus) = logit.sigmoid_and_softplus();
            total = total + (class_weight * softplus - target * logit) * weight;
            let slope = (class_weight * sigmoid - target) * weight;
            gradient[block] = (slope * (1. / n_rows as f32)).lanes;
        }
        total
    }

    /// Each row's share of the energy regularizer, in lanes still to be added up; leaves the gradient
    /// of log-importance. After the loss, whose row weights it uses.
    #[inline(always)]
    fn energy_regularizer<S: Level, const V: usize>(
        &mut self,
        simd: S,
        batch: Batch<'_, S, V>,
        n_rows: usize,
        n_blocks: usize,
    ) -> Block<S, f32, V> {
        let mut total = Block::<S, f32, V>::zero(simd);
        let GateConfig::Emma { energy_weight, .. } = self.config.gate else {
            return total;
        };
        let of_log = self.gate.log_importance_gradient.blocks_mut::<S, V>();
        if energy_weight == 0. {
            of_log.fill(total.lanes);
            return total;
        }
        let row_weight = self.row_weight.blocks::<S, V>();
        let log_importance = self.gate.log_importance.blocks::<S, V>();
        let scale = -energy_weight as f32;
        let modes = of_log
            .chunks_exact_mut(n_blocks)
            .zip(batch.signs.chunks_exact(n_blocks))
            .zip(log_importance.chunks_exact(n_blocks));
        for ((gradient, signs), log_importance) in modes {
            for block in 0..n_blocks {
                let sign = at::<S, f32, V>(simd, signs, block);
                let weight = at::<S, f32, V>(simd, row_weight, block);
                let signed = sign * weight * scale;
                total = total + signed * at::<S, f32, V>(simd, log_importance, block);
                gradient[block] = (signed * (1. / n_rows as f32)).lanes;
            }
        }
        total
    }

    /// Value of the capacity penalty, whose gradient it adds.
    #[inline(always)]
    fn capacity_penalty(&mut self) -> f64 {
        let GateConfig::Emma {
            capacity_weight,
            capacity_minus_bias,
            ..
        } = self.config.gate
        else {
            return 0.;
        };
        let layout = Layout::new(self.config.mode_widths.len());
        let (parameters, gradient) = self.adam.parameters_and_gradient();
        gradient[layout.gain] += capacity_weight as f32;
        let mut value = parameters[layout.gain];
        if capacity_minus_bias {
            gradient[layout.attention_bias] -= capacity_weight as f32;
            value -= parameters[layout.attention_bias];
        }
        f64::from(value) * capacity_weight
    }

    /// Gives exponents that are one parameter the mean of their gradients.
    #[inline(always)]
    fn tie_gradients(&mut self) {
        if let GateConfig::Emma {
            symmetric: true, ..
        } = self.config.gate
        {
            let layout = Layout::new(self.config.mode_widths.len());
            let (_, gradient) = self.adam.parameters_and_gradient();
            symmetrize(
                &mut gradient[layout.coupling_exponent..layout.gain],
                layout.n_modes,
            );
        }
    }

    /// Gives exponents that are one parameter one value.
    #[inline(always)]
    fn tie_exponents(&mut self) {
        if let GateConfig::Emma {
            symmetric: true, ..
        } = self.config.gate
        {
            let layout = Layout::new(self.config.mode_widths.len());
            let parameters = self.adam.parameters_mut();
            symmetrize(
                &mut parameters[layout.coupling_exponent..layout.gain],
                layout.n_modes,
            );
        }
    }
}

fn n_gate_parameters(config: &StageTwoConfig) -> usize {
    let n_modes = config.mode_widths.len();
    match config.gate {
        GateConfig::Open => 0,
        GateConfig::Softmax => n_modes * (config.mode_widths.iter().sum::<usize>() + 1),
        GateConfig::Emma { .. } => n_parameters(n_modes),
    }
}

#[inline(always)]
fn sum_of_lanes<S: Level, const V: usize>(simd: S, lanes: Block<S, f32, V>) -> f64 {
    let mut sum = [0f32];
    let mut sums = Sums::new(simd, &mut sum);
    sums.add(0, lanes);
    sums.finish();
    f64::from(sum[0])
}

/// Mean of a square matrix and its transpose.
fn symmetrize(matrix: &mut [f32], n: usize) {
    for i in 0..n {
        for j in 0..i {
            let mean = (matrix[i * n + j] + matrix[j * n + i]) * 0.5;
            (matrix[i * n + j], matrix[j * n + i]) = (mean, mean);
        }
    }
}

struct Epoch<'a> {
    model: &'a mut StageTwo,
    batches: &'a Batches,
}

impl Task<f32> for Epoch<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Level, const V: usize>(self, simd: S) -> f64 {
        let mut total = 0.;
        let n_blocks = self.batches.columns.n_rows() / BLOCK;
        for (batch, n_rows) in self.batches.iter::<S, V>() {
            // A constant number of blocks does away with loops.
            total += if n_blocks == 1 {
                self.model.step::<S, V>(simd, batch, n_rows, 1)
            } else {
                self.model.step::<S, V>(simd, batch, n_rows, n_blocks)
            };
        }
        total / self.batches.n_rows as f64
    }
}

struct TaskLoss<'a> {
    model: &'a mut StageTwo,
    batches: &'a Batches,
}

impl Task<f32> for TaskLoss<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Level, const V: usize>(self, simd: S) -> f64 {
        let n_blocks = self.batches.columns.n_rows() / BLOCK;
        let mut total = 0.;
        for (batch, n_rows) in self.batches.iter::<S, V>() {
            self.model.forward::<S, V>(simd, batch, n_blocks);
            let loss = self.model.task_loss::<S, V>(simd, batch, n_rows, n_blocks);
            total += sum_of_lanes(simd, loss);
        }
        total / self.batches.n_rows as f64
    }
}
