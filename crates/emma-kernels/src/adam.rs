//! Plain Adam on all parameters at once, kept within their ranges.

use crate::block::Block;
use crate::columns::Columns;
use crate::level::Level;

/// Decay of the mean gradient.
const BETA_1: f64 = 0.9;
/// Decay of the mean squared gradient.
const BETA_2: f64 = 0.999;
/// Added to the root of the mean squared gradient.
const EPSILON: f32 = 1e-8;
/// Slopes and what is remembered of them count as 0 below these sizes: without a gradient they would decay into
/// numbers that do not have all their digits, each operation on which costs a hundred times as much. Beside
/// [`EPSILON`] none of them moves a parameter by more than 1e-10 of the learning rate.
const LEAST_SLOPE: f64 = 1e-18;
const LEAST_MEAN: f64 = 1e-30;
const LEAST_SQUARE: f64 = 1e-36;

/// What Adam remembers of the gradients, one number a parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Memory {
    /// Steps taken.
    pub n_steps: u64,
    /// Decayed mean gradient.
    pub mean: Vec<f32>,
    /// Decayed mean squared gradient.
    pub mean_square: Vec<f32>,
}

/// Parameters in one array, with what Adam remembers of their gradients.
///
/// # Source
/// Kingma and Ba (2014), algorithm 1; ranges as in the thesis, eqs. 5.3, 5.4 and 5.7.
#[derive(Debug)]
pub(crate) struct Adam {
    n_parameters: usize,
    learning_rate: f64,
    n_steps: u64,
    /// β₁ᵗ and β₂ᵗ after t steps.
    decayed: [f64; 2],
    parameters: Columns<f32>,
    gradient: Columns<f32>,
    mean: Columns<f32>,
    mean_square: Columns<f32>,
    lowest: Columns<f32>,
    highest: Columns<f32>,
}

impl Adam {
    pub(crate) fn new(parameters: &[f32], learning_rate: f64) -> Self {
        let column = || Columns::new(1, parameters.len());
        let mut adam = Self {
            n_parameters: parameters.len(),
            learning_rate,
            n_steps: 0,
            decayed: [1.; 2],
            parameters: column(),
            gradient: column(),
            mean: column(),
            mean_square: column(),
            lowest: column(),
            highest: column(),
        };
        adam.parameters.values_mut()[..parameters.len()].copy_from_slice(parameters);
        adam.lowest.values_mut().fill(f32::NEG_INFINITY);
        adam.highest.values_mut().fill(f32::INFINITY);
        adam
    }

    pub(crate) fn memory(&self) -> Memory {
        Memory {
            n_steps: self.n_steps,
            mean: self.mean.values()[..self.n_parameters].to_vec(),
            mean_square: self.mean_square.values()[..self.n_parameters].to_vec(),
        }
    }

    /// Goes on with what an earlier optimizer remembered.
    pub(crate) fn remember(&mut self, memory: &Memory) {
        self.n_steps = memory.n_steps;
        self.decayed = [1.; 2];
        // As the steps did it, to the same bits; after some hundred thousand nothing changes any more.
        for _ in 0..memory.n_steps {
            let before = self.decayed.map(f64::to_bits);
            self.decayed[0] *= BETA_1;
            self.decayed[1] *= BETA_2;
            if self.decayed.map(f64::to_bits) == before {
                break;
            }
        }
        self.mean.values_mut()[..self.n_parameters].copy_from_slice(&memory.mean);
        self.mean_square.values_mut()[..self.n_parameters].copy_from_slice(&memory.mean_square);
    }

    /// Keeps some parameters within a range after every step.
    pub(crate) fn keep_within(&mut self, parameters: std::ops::Range<usize>, low: f32, high: f32) {
        self.lowest.values_mut()[parameters.clone()].fill(low);
        self.highest.values_mut()[parameters].fill(high);
    }

    pub(crate) fn parameters(&self) -> &[f32] {
        &self.parameters.values()[..self.n_parameters]
    }

    pub(crate) fn parameters_mut(&mut self) -> &mut [f32] {
        &mut self.parameters.values_mut()[..self.n_parameters]
    }

    /// Parameters, and the gradient to add to.
    pub(crate) fn parameters_and_gradient(&mut self) -> (&[f32], &mut [f32]) {
        (
            &self.parameters.values()[..self.n_parameters],
            &mut self.gradient.values_mut()[..self.n_parameters],
        )
    }

    /// One step, after which the gradient is zero again.
    #[inline(always)]
    pub(crate) fn step<S: Level, const V: usize>(&mut self, simd: S) {
        self.n_steps += 1;
        self.decayed[0] *= BETA_1;
        self.decayed[1] *= BETA_2;
        let [mean_scale, square_scale] = self.decayed.map(|left| (1. / (1. - left)) as f32);
        let splat = |value: f64| Block::<S, f32, V>::splat(simd, value as f32);
        let (keep_mean, add_mean) = (splat(BETA_1), splat(1. - BETA_1));
        let (keep_square, add_square) = (splat(BETA_2), splat(1. - BETA_2));
        let learning_rate = splat(self.learning_rate);
        let [least_slope, least_mean, least_square] =
            [splat(LEAST_SLOPE), splat(LEAST_MEAN), splat(LEAST_SQUARE)];
        let parameters = self.parameters.blocks_mut::<S, V>().iter_mut();
        let gradients = self.gradient.blocks_mut::<S, V>().iter_mut();
        let means = self.mean.blocks_mut::<S, V>().iter_mut();
        let squares = self.mean_square.blocks_mut::<S, V>().iter_mut();
        let lowest = self.lowest.blocks::<S, V>();
        let highest = self.highest.blocks::<S, V>();
        let moments = means.zip(squares);
        let ranges = lowest.iter().zip(highest);
        for (((parameter, gradient), (mean, square)), (&low, &high)) in
            parameters.zip(gradients).zip(moments).zip(ranges)
        {
            let slope = unless_small(Block::new(simd, *gradient), least_slope);
            let next_mean = Block::<S, f32, V>::new(simd, *mean) * keep_mean + slope * add_mean;
            let next_mean = unless_small(next_mean, least_mean);
            let next_square =
                Block::<S, f32, V>::new(simd, *square) * keep_square + slope * slope * add_square;
            let next_square = unless_small(next_square, least_square);
            let root = (next_square * square_scale).sqrt() + EPSILON;
            let step = (next_mean * mean_scale) / root * learning_rate;
            let next = Block::<S, f32, V>::new(simd, *parameter) - step;
            *parameter = next
                .at_least(Block::<S, f32, V>::new(simd, low))
                .at_most(Block::<S, f32, V>::new(simd, high))
                .lanes;
            *mean = next_mean.lanes;
            *square = next_square.lanes;
            *gradient = Block::<S, f32, V>::zero(simd).lanes;
        }
    }

    /// The gradient of the first step, which Adam's first mean is a tenth of.
    #[cfg(test)]
    pub(crate) fn first_gradient(&self) -> Vec<f64> {
        let means = &self.mean.values()[..self.n_parameters];
        means
            .iter()
            .map(|&mean| f64::from(mean) / (1. - BETA_1))
            .collect()
    }
}

/// The value, 0 if it is smaller in size than the least.
#[inline(always)]
fn unless_small<S: Level, const V: usize>(
    value: Block<S, f32, V>,
    least: Block<S, f32, V>,
) -> Block<S, f32, V> {
    value
        .absolute()
        .select_less(least, Block::zero(value.simd), value)
}
