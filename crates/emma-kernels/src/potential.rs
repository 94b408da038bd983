//! Potential energy of a denoising autoencoder, and back.

use crate::affine::affine;
use crate::block::Block;
use crate::columns::{Columns, TILE, at};
use crate::level::{BLOCK, Level, Task};
use crate::real::Real;
use crate::sums::Sums;

/// Factors `1 + e^(−|h|)`, at most 2 each, that are multiplied before a logarithm is taken.
const FACTORS: usize = 64;

/// A tied autoencoder's parameters, row-major.
#[derive(Debug, Clone, Copy)]
pub struct Autoencoder<'a, R> {
    /// W, `[hidden units, features]`.
    pub weight: &'a [R],
    /// b_f, `[hidden units]`.
    pub encoder_bias: &'a [R],
    /// b_g, `[features]`.
    pub decoder_bias: &'a [R],
}

/// Columns for the rows of one mode.
#[derive(Debug)]
pub(crate) struct PotentialColumns<R> {
    pub(crate) rows: Columns<R>,
    hidden: Columns<R>,
}

impl<R: Real> PotentialColumns<R> {
    pub(crate) fn new(autoencoder: &Autoencoder<'_, R>, n_rows: usize) -> Self {
        Self {
            rows: Columns::new(autoencoder.n_features(), n_rows),
            hidden: Columns::new(autoencoder.n_hidden(), n_rows),
        }
    }

    /// Energies of the rows, into one column.
    #[inline(always)]
    pub(crate) fn energies<S: Level, const V: usize>(
        &mut self,
        simd: S,
        autoencoder: &Autoencoder<'_, R>,
        n_blocks: usize,
        energies: &mut [R],
    ) {
        let stride = self.rows.n_rows() / BLOCK;
        let rows = self.rows.blocks::<S, V>();
        let hidden = self.hidden.blocks_mut::<S, V>();
        affine::<S, R, V>(
            simd,
            rows,
            autoencoder.weight,
            autoencoder.encoder_bias,
            hidden,
            stride,
        );
        let energies = crate::columns::blocks_mut::<S, R, V>(energies);
        let zero = Block::<S, R, V>::zero(simd);
        let one = Block::<S, R, V>::splat(simd, R::one());
        let half = Block::<S, R, V>::splat(simd, R::of(0.5));
        for (block, energy) in energies.iter_mut().enumerate().take(n_blocks) {
            let mut quadratic = zero;
            for (feature, &center) in autoencoder.decoder_bias.iter().enumerate() {
                let deviation = at::<S, R, V>(simd, rows, feature * stride + block) - center;
                quadratic = deviation.mul_add(deviation, quadratic);
            }
            // Σ softplus(h) = Σ max(0, h) + ln Π (1 + e^(−|h|)).
            let (mut linear, mut product, mut logarithms) = (zero, one, zero);
            for unit in 0..autoencoder.n_hidden() {
                if unit > 0 && unit % FACTORS == 0 {
                    logarithms = logarithms + product.ln_of_normal();
                    product = one;
                }
                let value = at::<S, R, V>(simd, hidden, unit * stride + block);
                let magnitude = value.absolute();
                let tail = magnitude.negated().exp_of_not_positive();
                product = product.mul_add(tail, product);
                // Half and half, which is exact; of minus infinity no number, as of none.
                linear = linear + magnitude.mul_add(half, value * half);
            }
            // What is no number in a hidden unit is none in its linear part.
            let softplus = linear + (logarithms + product.ln_of_normal());
            *energy = (quadratic * R::of(0.5) - softplus).lanes;
        }
    }
}

impl<R: Real> Autoencoder<'_, R> {
    /// L.
    pub fn n_features(&self) -> usize {
        self.decoder_bias.len()
    }

    /// U.
    pub fn n_hidden(&self) -> usize {
        self.encoder_bias.len()
    }

    /// Potential energies `|x − b_g|²/2 − Σ softplus(W x + b_f)`.
    ///
    /// # Shapes
    /// - `rows`: `[n, L]`, `energies`: `[n]`
    ///
    /// # Source
    /// Thesis eq. 4.7.
    pub fn energies(&self, rows: &[R], energies: &mut [R]) {
        R::energies(self, rows, energies);
    }

    pub(crate) fn run_energies(&self, rows: &[R], energies: &mut [R]) {
        R::dispatch(Energies {
            autoencoder: self,
            rows,
            results: energies,
        });
    }

    /// Gradients of the rows, `(x − b_g − Wᵀ σ(W x + b_f)) dΨ`, and of the parameters.
    ///
    /// # Shapes
    /// - `rows` and `row_gradient`: `[n, L]`, `energy_gradient`: `[n]`
    /// - `parameter_gradient`: weight, encoder bias, decoder bias one after the other, added to
    pub fn backward(
        &self,
        rows: &[R],
        energy_gradient: &[R],
        row_gradient: &mut [R],
        parameter_gradient: &mut [R],
    ) {
        R::energies_backward(
            self,
            rows,
            energy_gradient,
            row_gradient,
            parameter_gradient,
        );
    }

    pub(crate) fn run_backward(
        &self,
        rows: &[R],
        energy_gradient: &[R],
        row_gradient: &mut [R],
        parameter_gradient: &mut [R],
    ) {
        R::dispatch(Gradients {
            autoencoder: self,
            rows,
            energy_gradient,
            row_gradient,
            parameter_gradient,
        });
    }
}

struct Energies<'a, R> {
    autoencoder: &'a Autoencoder<'a, R>,
    rows: &'a [R],
    results: &'a mut [R],
}

impl<R: Real> Task<R> for Energies<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Level, const V: usize>(self, simd: S) {
        let n_features = self.autoencoder.n_features();
        let tile = TILE.min(self.results.len());
        let mut columns = PotentialColumns::new(self.autoencoder, tile);
        let mut column = Columns::new(1, tile);
        let tiles = self.rows.chunks(TILE * n_features);
        for (rows, energies) in tiles.zip(self.results.chunks_mut(TILE)) {
            let n_rows = energies.len();
            columns.rows.gather(0, n_features, rows, 0..n_rows);
            let n_blocks = n_rows.div_ceil(BLOCK);
            columns.energies::<S, V>(simd, self.autoencoder, n_blocks, column.values_mut());
            energies.copy_from_slice(&column.values()[..n_rows]);
        }
    }
}

struct Gradients<'a, R> {
    autoencoder: &'a Autoencoder<'a, R>,
    rows: &'a [R],
    energy_gradient: &'a [R],
    row_gradient: &'a mut [R],
    parameter_gradient: &'a mut [R],
}

impl<R: Real> Task<R> for Gradients<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Level, const V: usize>(self, simd: S) {
        let autoencoder = self.autoencoder;
        let (n_features, n_hidden) = (autoencoder.n_features(), autoencoder.n_hidden());
        let (of_bias, of_center) = (n_hidden * n_features, n_hidden * (n_features + 1));
        let tile = TILE.min(self.energy_gradient.len());
        let mut columns = PotentialColumns::new(autoencoder, tile);
        let mut gradient = Columns::new(1, tile);
        let mut sums = Sums::new(simd, self.parameter_gradient);
        let stride = columns.rows.n_rows() / BLOCK;
        let tiles = self
            .rows
            .chunks(TILE * n_features)
            .zip(self.energy_gradient.chunks(TILE))
            .zip(self.row_gradient.chunks_mut(TILE * n_features));
        for ((rows, energy_gradient), row_gradient) in tiles {
            let n_rows = energy_gradient.len();
            let n_blocks = n_rows.div_ceil(BLOCK);
            columns.rows.gather(0, n_features, rows, 0..n_rows);
            // Rows that fill the last block add nothing: no gradient, and nothing infinite times it.
            columns.rows.fill_from(n_rows, R::zero());
            gradient.values_mut()[n_rows..].fill(R::zero());
            gradient.values_mut()[..n_rows].copy_from_slice(energy_gradient);
            affine::<S, R, V>(
                simd,
                columns.rows.blocks::<S, V>(),
                autoencoder.weight,
                autoencoder.encoder_bias,
                columns.hidden.blocks_mut::<S, V>(),
                stride,
            );
            columns.hidden.fill_from(n_rows, R::zero());
            let gradient = gradient.blocks::<S, V>();
            let hidden = columns.hidden.blocks_mut::<S, V>();
            for unit in 0..n_hidden {
                let mut of_unit = Block::<S, R, V>::zero(simd);
                let values = &mut hidden[unit * stride..][..n_blocks];
                for (value, &gradient) in values.iter_mut().zip(gradient) {
                    let slope = Block::<S, R, V>::new(simd, *value).sigmoid()
                        * Block::<S, R, V>::new(simd, gradient);
                    *value = slope.lanes;
                    of_unit = of_unit - slope;
                }
                sums.add(of_bias + unit, of_unit);
                for feature in 0..n_features {
                    let mut of_weight = Block::<S, R, V>::zero(simd);
                    let rows = columns.rows.blocks::<S, V>();
                    for (block, &slope) in values.iter().enumerate() {
                        let row = at::<S, R, V>(simd, rows, feature * stride + block);
                        of_weight = of_weight - Block::<S, R, V>::new(simd, slope) * row;
                    }
                    sums.add(unit * n_features + feature, of_weight);
                }
            }
            let hidden = columns.hidden.blocks::<S, V>();
            let rows = columns.rows.blocks_mut::<S, V>();
            for (feature, &center) in autoencoder.decoder_bias.iter().enumerate() {
                let mut of_feature = Block::<S, R, V>::zero(simd);
                for (block, &gradient) in gradient.iter().enumerate().take(n_blocks) {
                    let gradient = Block::<S, R, V>::new(simd, gradient);
                    let row = &mut rows[feature * stride + block];
                    let deviation = (Block::<S, R, V>::new(simd, *row) - center) * gradient;
                    of_feature = of_feature - deviation;
                    let mut slope = deviation;
                    for unit in 0..n_hidden {
                        let weight = autoencoder.weight[unit * n_features + feature];
                        slope = slope - at::<S, R, V>(simd, hidden, unit * stride + block) * weight;
                    }
                    *row = slope.lanes;
                }
                sums.add(of_center + feature, of_feature);
            }
            columns.rows.scatter(row_gradient, 0..n_rows);
        }
        sums.finish();
    }
}
