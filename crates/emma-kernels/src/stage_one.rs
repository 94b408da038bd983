//! Stage one: training a denoising autoencoder, one fused step a mini-batch.

use crate::adam::Adam;
use crate::affine::{affine, affine_input_gradient, affine_parameter_gradient, sum_of_products};
use crate::block::Block;
use crate::columns::{Columns, at};
use crate::level::{BLOCK, Level, Task};
use crate::real::Real;
use crate::sums::Sums;

/// What is trained, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct StageOneConfig {
    /// L.
    pub n_features: usize,
    /// U.
    pub n_hidden: usize,
    /// Rows a step, at least 1.
    pub batch_size: usize,
    /// Adam's step size.
    pub learning_rate: f64,
}

/// A tied denoising autoencoder in training.
///
/// The loss is the mean over a batch's rows of `|Wᵀ σ(W x̃ + b_f) + b_g − x|²`; the optimizer is plain
/// Adam.
///
/// # Source
/// Thesis eq. 4.1 and section 5.6, phase 1.
#[derive(Debug)]
pub struct StageOne {
    config: StageOneConfig,
    adam: Adam,
    clean: Columns<f32>,
    corrupted: Columns<f32>,
    hidden: Columns<f32>,
    hidden_gradient: Columns<f32>,
    residual: Columns<f32>,
    /// One for every row, zero for what fills the last block.
    row_weight: Columns<f32>,
    transposed: Vec<f32>,
}

impl StageOne {
    /// Starts from these parameters: W `[U, L]`, encoder bias `[U]`, decoder bias `[L]`.
    pub fn new(config: StageOneConfig, parameters: &[f32]) -> Self {
        let columns = |width| Columns::new(width, config.batch_size);
        Self {
            adam: Adam::new(parameters, config.learning_rate),
            clean: columns(config.n_features),
            corrupted: columns(config.n_features),
            hidden: columns(config.n_hidden),
            hidden_gradient: columns(config.n_hidden),
            residual: columns(config.n_features),
            row_weight: columns(1),
            transposed: vec![0.; config.n_features * config.n_hidden],
            config,
        }
    }

    /// Parameters as they are now.
    pub fn parameters(&self) -> &[f32] {
        self.adam.parameters()
    }

    #[cfg(test)]
    pub(crate) fn first_gradient(&self) -> Vec<f64> {
        self.adam.first_gradient()
    }

    /// One pass over rows that stand in the order of the epoch; returns the mean loss (no number if there
    /// are no rows).
    ///
    /// # Shapes
    /// - `clean` and `corrupted`: `[rows, L]`
    pub fn epoch(&mut self, clean: &[f32], corrupted: &[f32]) -> f64 {
        f32::dispatch(Epoch {
            model: self,
            clean,
            corrupted,
        })
    }

    /// One mini-batch that was gathered. Returns the sum of the rows' losses.
    #[inline(always)]
    fn step<S: Level, const V: usize>(&mut self, simd: S, n_rows: usize) -> f64 {
        let StageOneConfig {
            n_features,
            n_hidden,
            ..
        } = self.config;
        let n_blocks = self.clean.n_rows() / BLOCK;
        let n_weights = n_features * n_hidden;
        let (parameters, gradient) = self.adam.parameters_and_gradient();
        let (weight, biases) = parameters.split_at(n_weights);
        let (encoder_bias, decoder_bias) = biases.split_at(n_hidden);
        for (unit, row) in weight.chunks_exact(n_features).enumerate() {
            for (feature, &value) in row.iter().enumerate() {
                self.transposed[feature * n_hidden + unit] = value;
            }
        }
        let corrupted = self.corrupted.blocks::<S, V>();
        let hidden = self.hidden.blocks_mut::<S, V>();
        affine::<S, f32, V>(simd, corrupted, weight, encoder_bias, hidden, n_blocks);
        for lanes in hidden.iter_mut() {
            *lanes = Block::<S, f32, V>::new(simd, *lanes).sigmoid().lanes;
        }
        let residual = self.residual.blocks_mut::<S, V>();
        affine::<S, f32, V>(
            simd,
            hidden,
            &self.transposed,
            decoder_bias,
            residual,
            n_blocks,
        );
        let clean = self.clean.blocks::<S, V>();
        let mut total = Block::<S, f32, V>::zero(simd);
        let scale = 2. / n_rows as f32;
        self.row_weight.fill_from(0, 1.);
        self.row_weight.fill_from(n_rows, 0.);
        let row_weight = self.row_weight.blocks::<S, V>();
        let features = residual
            .chunks_exact_mut(n_blocks)
            .zip(clean.chunks_exact(n_blocks));
        for (residual, clean) in features {
            for block in 0..n_blocks {
                let difference = Block::<S, f32, V>::new(simd, residual[block])
                    - at::<S, f32, V>(simd, clean, block);
                let difference = difference * at::<S, f32, V>(simd, row_weight, block);
                total = difference.mul_add(difference, total);
                residual[block] = (difference * scale).lanes;
            }
        }
        // dh = W dr, then through the sigmoid.
        let hidden_gradient = self.hidden_gradient.blocks_mut::<S, V>();
        affine_input_gradient::<S, f32, V>(
            simd,
            residual,
            &self.transposed,
            n_hidden,
            hidden_gradient,
            n_blocks,
        );
        let one = Block::<S, f32, V>::splat(simd, 1.);
        for (index, gradient) in hidden_gradient.iter_mut().enumerate() {
            let value = at::<S, f32, V>(simd, hidden, index);
            *gradient = (Block::<S, f32, V>::new(simd, *gradient) * value * (one - value)).lanes;
        }
        let mut loss = [0f32];
        let mut sums = Sums::new(simd, gradient);
        affine_parameter_gradient::<S, f32, V>(
            simd,
            corrupted,
            hidden_gradient,
            n_blocks,
            0,
            &mut sums,
        );
        // The decoder's share of the tied weights, with the roles of the two sides exchanged.
        let mut run = sums.run(0);
        for values in hidden.chunks_exact(n_blocks) {
            for residual in residual.chunks_exact(n_blocks) {
                run.add(sum_of_products::<S, f32, V>(simd, values, residual));
            }
        }
        run.finish();
        let mut run = sums.run(n_weights + n_hidden);
        for residual in residual.chunks_exact(n_blocks) {
            let mut sum = Block::<S, f32, V>::zero(simd);
            for &residual in residual {
                sum = sum + Block::<S, f32, V>::new(simd, residual);
            }
            run.add(sum);
        }
        run.finish();
        sums.finish();
        let mut sums = Sums::new(simd, &mut loss);
        sums.add(0, total);
        sums.finish();
        self.adam.step::<S, V>(simd);
        f64::from(loss[0])
    }
}

struct Epoch<'a> {
    model: &'a mut StageOne,
    clean: &'a [f32],
    corrupted: &'a [f32],
}

impl Task<f32> for Epoch<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Level, const V: usize>(self, simd: S) -> f64 {
        let width = self.model.config.n_features;
        let rows_a_step = self.model.config.batch_size * width;
        let mut total = 0.;
        let batches = self.clean.chunks(rows_a_step);
        for (clean, corrupted) in batches.zip(self.corrupted.chunks(rows_a_step)) {
            let n_rows = clean.len() / width;
            self.model.clean.gather(0, width, clean, 0..n_rows);
            let columns = &mut self.model.corrupted;
            columns.gather(0, width, corrupted, 0..n_rows);
            total += self.model.step::<S, V>(simd, n_rows);
        }
        total / (self.clean.len() / width) as f64
    }
}
