//! Potential energy of a denoising autoencoder, and back.

use crate::affine::affine;
use crate::block::{Block, Lanes};
use crate::columns::{Columns, Extent, TILE, at};
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

/// What energies are computed with: encoders halved, which is exact, so that `max(0, h)` is the sum of
/// `h/2` and `|h/2|`.
#[derive(Debug)]
pub(crate) struct HalvedEncoder<R> {
    /// `W/2`, `[hidden units, features]`.
    weight: Vec<R>,
    /// `b_f/2`.
    bias: Vec<R>,
}

impl<R: Real> HalvedEncoder<R> {
    pub(crate) fn new(autoencoder: &Autoencoder<'_, R>) -> Self {
        let halved = |values: &[R]| values.iter().map(|&value| value * R::of(0.5)).collect();
        Self {
            weight: halved(autoencoder.weight),
            bias: halved(autoencoder.encoder_bias),
        }
    }

    /// Energies of rows that stand in columns.
    ///
    /// # Shapes
    /// - `decoder_bias`: `[features]`, `rows`: `[features, blocks]`, `energies`: `[blocks]`
    #[inline(always)]
    pub(crate) fn energies<S: Level, const V: usize>(
        &self,
        simd: S,
        decoder_bias: &[R],
        rows: &[Lanes<S, R, V>],
        energies: &mut [Lanes<S, R, V>],
        extent: Extent,
    ) {
        if V == 8 {
            // Twice as many vectors as fit the registers.
            let extent = Extent {
                n_blocks: 2 * extent.n_blocks,
                stride: 2 * extent.stride,
            };
            let rows = rows.as_flattened().as_chunks().0;
            let energies = energies.as_flattened_mut().as_chunks_mut().0;
            self.of_blocks::<S, 4>(simd, decoder_bias, rows, energies, extent);
        } else {
            self.of_blocks::<S, V>(simd, decoder_bias, rows, energies, extent);
        }
    }

    #[inline(always)]
    fn of_blocks<S: Level, const V: usize>(
        &self,
        simd: S,
        decoder_bias: &[R],
        rows: &[Lanes<S, R, V>],
        energies: &mut [Lanes<S, R, V>],
        Extent { n_blocks, stride }: Extent,
    ) {
        let n_features = decoder_bias.len();
        let zero = Block::<S, R, V>::zero(simd);
        let one = Block::<S, R, V>::splat(simd, R::one());
        let minus_two = R::of(-2. * std::f64::consts::LOG2_E);
        for (block, energy) in energies.iter_mut().enumerate().take(n_blocks) {
            let mut quadratic = zero;
            for (feature, &center) in decoder_bias.iter().enumerate() {
                let deviation = at::<S, R, V>(simd, rows, feature * stride + block) - center;
                quadratic = deviation.mul_add(deviation, quadratic);
            }
            // Σ softplus(h) = Σ max(0, h) + ln Π (1 + e^(−|h|)).
            let (mut linear, mut product, mut logarithms) = (zero, one, zero);
            let units = self.weight.chunks_exact(n_features).zip(&self.bias);
            for (unit, (weight, &bias)) in units.enumerate() {
                if unit > 0 && unit % FACTORS == 0 {
                    logarithms = logarithms + product.ln_of_normal();
                    product = one;
                }
                let mut half = Block::<S, R, V>::splat(simd, bias);
                for (feature, &weight) in weight.iter().enumerate() {
                    let value = at::<S, R, V>(simd, rows, feature * stride + block);
                    half = value.mul_add(Block::<S, R, V>::splat(simd, weight), half);
                }
                let magnitude = half.absolute();
                let tail = (magnitude * minus_two).exp_2_beside_one();
                product = product.mul_add(tail, product);
                // Of minus infinity no number, as of none.
                linear = linear + (half + magnitude);
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
        let encoder = HalvedEncoder::new(self.autoencoder);
        let mut columns = Columns::new(n_features, tile);
        let mut results = Columns::new(1, tile);
        let tiles = self.rows.chunks(TILE * n_features);
        for (rows, energies) in tiles.zip(self.results.chunks_mut(TILE)) {
            let n_rows = energies.len();
            columns.transpose(rows);
            encoder.energies::<S, V>(
                simd,
                self.autoencoder.decoder_bias,
                columns.blocks::<S, V>(),
                results.blocks_mut::<S, V>(),
                columns.extent(n_rows),
            );
            energies.copy_from_slice(&results.values()[..n_rows]);
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
        let mut columns = Columns::new(n_features, tile);
        let mut hidden = Columns::new(n_hidden, tile);
        let mut gradient = Columns::new(1, tile);
        let mut sums = Sums::new(simd, self.parameter_gradient);
        let stride = columns.n_rows() / BLOCK;
        let tiles = self
            .rows
            .chunks(TILE * n_features)
            .zip(self.energy_gradient.chunks(TILE))
            .zip(self.row_gradient.chunks_mut(TILE * n_features));
        for ((rows, energy_gradient), row_gradient) in tiles {
            let n_rows = energy_gradient.len();
            let n_blocks = n_rows.div_ceil(BLOCK);
            columns.transpose(rows);
            // Rows that fill the last block add nothing: no gradient, and nothing infinite times it.
            columns.fill_from(n_rows, R::zero());
            gradient.values_mut()[n_rows..].fill(R::zero());
            gradient.values_mut()[..n_rows].copy_from_slice(energy_gradient);
            affine::<S, R, V>(
                simd,
                columns.blocks::<S, V>(),
                autoencoder.weight,
                autoencoder.encoder_bias,
                hidden.blocks_mut::<S, V>(),
                stride,
            );
            hidden.fill_from(n_rows, R::zero());
            let gradient = gradient.blocks::<S, V>();
            let slopes = hidden.blocks_mut::<S, V>();
            for unit in 0..n_hidden {
                let mut of_unit = Block::<S, R, V>::zero(simd);
                let values = &mut slopes[unit * stride..][..n_blocks];
                for (value, &gradient) in values.iter_mut().zip(gradient) {
                    let slope = Block::<S, R, V>::new(simd, *value).sigmoid()
                        * Block::<S, R, V>::new(simd, gradient);
                    *value = slope.lanes;
                    of_unit = of_unit - slope;
                }
                sums.add(of_bias + unit, of_unit);
                for feature in 0..n_features {
                    let mut of_weight = Block::<S, R, V>::zero(simd);
                    let rows = columns.blocks::<S, V>();
                    for (block, &slope) in values.iter().enumerate() {
                        let row = at::<S, R, V>(simd, rows, feature * stride + block);
                        of_weight = of_weight - Block::<S, R, V>::new(simd, slope) * row;
                    }
                    sums.add(unit * n_features + feature, of_weight);
                }
            }
            let slopes = hidden.blocks::<S, V>();
            let rows = columns.blocks_mut::<S, V>();
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
                        slope = slope - at::<S, R, V>(simd, slopes, unit * stride + block) * weight;
                    }
                    *row = slope.lanes;
                }
                sums.add(of_center + feature, of_feature);
            }
            columns.scatter(row_gradient, 0..n_rows);
        }
        sums.finish();
    }
}
