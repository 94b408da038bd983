//! Rows to probabilities, in one pass.

use crate::affine::{affine, rectified_affine};
use crate::block::Block;
use crate::columns::Columns;
use crate::gate::{Gate, GateColumns};
use crate::level::{Level, Task};
use crate::potential::{Autoencoder, HalvedEncoder};
use crate::real::Real;
use crate::softmax::softmax;
use crate::stage_two::Network;
use crate::weigh::weigh;

/// Rows at a time: all that is known of them stays in the first-level cache.
const TILE: usize = 64;

/// What stands before the network of a [`Scorer`].
#[derive(Debug, Clone)]
pub enum Front<'a, R> {
    /// Nothing: the modes side by side.
    Open,
    /// A softmax over an affine map of all features: weight `[M, D]`, bias `[M]`.
    Softmax {
        /// Both, one after the other.
        parameters: &'a [R],
    },
    /// EMMA.
    Emma {
        /// Step 1: one autoencoder a mode.
        autoencoders: Vec<Autoencoder<'a, R>>,
        /// Steps 2 to 4.
        gate: Gate<'a, R>,
    },
}

/// A trained model, from standardized rows to probabilities.
#[derive(Debug, Clone)]
pub struct Scorer<'a, R> {
    /// Features of each mode.
    pub mode_widths: Vec<usize>,
    /// What weighs the modes.
    pub front: Front<'a, R>,
    /// The network's widths.
    pub network: Network,
    /// The network's parameters: weight `[out, in]` and bias of each layer.
    pub network_parameters: &'a [R],
}

/// What a [`Scorer`] says about rows.
#[derive(Debug)]
pub struct Scores<'a, R> {
    /// Probability of label 1, `[n]`.
    pub probabilities: &'a mut [R],
    /// Potential energies `[n, modes]` of EMMA; empty if they are not wanted.
    pub potentials: &'a mut [R],
    /// Self-energies, modal energies, log-importance and attention of EMMA, `[4, n, modes]`; empty if they
    /// are not wanted.
    pub gate: &'a mut [R],
}

impl<R: Real> Scorer<'_, R> {
    /// Probability of label 1 of every row.
    ///
    /// # Shapes
    /// - `rows`: `[n, all features]`, the modes side by side, standardized
    /// - `probabilities`: `[n]`
    pub fn probabilities(&self, rows: &[R], probabilities: &mut [R]) {
        let scores = Scores {
            probabilities,
            potentials: &mut [],
            gate: &mut [],
        };
        self.scores(rows, scores);
    }

    /// Probability of label 1 of every row, and what EMMA saw on the way.
    ///
    /// # Shapes
    /// - `rows`: `[n, all features]`, the modes side by side, standardized
    pub fn scores(&self, rows: &[R], scores: Scores<'_, R>) {
        R::scores(self, rows, scores);
    }

    pub(crate) fn run_scores(&self, rows: &[R], scores: Scores<'_, R>) {
        R::dispatch(Score {
            scorer: self,
            rows,
            scores,
        });
    }
}

struct Score<'a, R> {
    scorer: &'a Scorer<'a, R>,
    rows: &'a [R],
    scores: Scores<'a, R>,
}

/// Room for a tile of rows.
struct Tile<R> {
    raw: Columns<R>,
    encoders: Vec<HalvedEncoder<R>>,
    potential: Columns<R>,
    gate: GateColumns<R>,
    /// Inputs of the network where they are not the raw ones, then outputs of its layers.
    layers: Vec<Columns<R>>,
}

impl<R: Real> Tile<R> {
    fn new(scorer: &Scorer<'_, R>, n_rows: usize) -> Self {
        let widths = &scorer.network.widths;
        let n_modes = scorer.mode_widths.len();
        let encoders = match &scorer.front {
            Front::Emma { autoencoders, .. } => {
                autoencoders.iter().map(HalvedEncoder::new).collect()
            }
            _ => Vec::new(),
        };
        Self {
            raw: Columns::new(widths[0], n_rows),
            encoders,
            potential: Columns::new(n_modes, n_rows),
            gate: GateColumns::new(n_modes, n_rows),
            layers: widths
                .iter()
                .map(|&width| Columns::new(width, n_rows))
                .collect(),
        }
    }

    /// Weighs the features that stand in `raw`, into the network's inputs.
    #[inline(always)]
    fn weigh<S: Level, const V: usize>(
        &mut self,
        simd: S,
        scorer: &Scorer<'_, R>,
        n_rows: usize,
        log_importance: bool,
    ) {
        let extent = self.raw.extent(n_rows);
        let inputs = self.raw.blocks::<S, V>();
        match &scorer.front {
            Front::Open => return,
            Front::Softmax { parameters } => {
                let n_modes = scorer.mode_widths.len();
                let (weight, bias) = parameters.split_at(parameters.len() - n_modes);
                let shares = self.gate.attention.blocks_mut::<S, V>();
                affine::<S, R, V>(simd, inputs, weight, bias, shares, extent.stride);
                softmax::<S, R, V>(simd, shares, extent.stride);
            }
            Front::Emma { autoencoders, gate } => {
                let mut left = inputs;
                let potentials = self.potential.blocks_mut::<S, V>();
                let modes = self.encoders.iter().zip(autoencoders);
                for ((encoder, autoencoder), potential) in
                    modes.zip(potentials.chunks_exact_mut(extent.stride))
                {
                    let (rows, others) = left.split_at(autoencoder.n_features() * extent.stride);
                    left = others;
                    let center = autoencoder.decoder_bias;
                    encoder.energies::<S, V>(simd, center, rows, potential, extent);
                }
                let potential = self.potential.blocks::<S, V>();
                self.gate
                    .forward::<S, V>(simd, gate, potential, extent, log_importance);
            }
        }
        weigh::<S, R, V>(
            simd,
            &scorer.mode_widths,
            inputs,
            self.gate.attention.blocks::<S, V>(),
            self.layers[0].blocks_mut::<S, V>(),
            extent.stride,
        );
    }

    /// From the network's inputs to probabilities, in the last layer.
    #[inline(always)]
    fn predict<S: Level, const V: usize>(&mut self, simd: S, scorer: &Scorer<'_, R>) {
        let stride = self.raw.extent(0).stride;
        let mut parameters = scorer.network_parameters;
        let last = self.layers.len() - 1;
        for k in 1..self.layers.len() {
            let (before, from) = self.layers.split_at_mut(k);
            let widths = (scorer.network.widths[k - 1], scorer.network.widths[k]);
            let (weight, rest) = parameters.split_at(widths.0 * widths.1);
            let (bias, rest) = rest.split_at(widths.1);
            parameters = rest;
            let outputs = from[0].blocks_mut::<S, V>();
            let inputs = match &scorer.front {
                Front::Open if k == 1 => self.raw.blocks::<S, V>(),
                _ => before[k - 1].blocks::<S, V>(),
            };
            if k < last {
                rectified_affine::<S, R, V>(simd, inputs, weight, bias, outputs, stride);
            } else {
                affine::<S, R, V>(simd, inputs, weight, bias, outputs, stride);
                for lanes in outputs {
                    *lanes = Block::<S, R, V>::new(simd, *lanes).sigmoid().lanes;
                }
            }
        }
    }
}

impl<R: Real> Task<R> for Score<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Level, const V: usize>(self, simd: S) {
        let scorer = self.scorer;
        let n_features = scorer.network.widths[0];
        let n_modes = scorer.mode_widths.len();
        let mut tile = Tile::new(scorer, TILE.min(self.scores.probabilities.len()));
        let rows = self.rows.chunks(TILE * n_features);
        let n_all_rows = self.scores.probabilities.len();
        let probabilities = self.scores.probabilities.chunks_mut(TILE);
        for (number, (rows, probabilities)) in rows.zip(probabilities).enumerate() {
            let n_rows = probabilities.len();
            tile.raw.transpose(rows);
            tile.weigh::<S, V>(simd, scorer, n_rows, !self.scores.gate.is_empty());
            tile.predict::<S, V>(simd, scorer);
            if let Some(outputs) = tile.layers.last() {
                probabilities.copy_from_slice(&outputs.values()[..n_rows]);
            }
            let first = number * TILE;
            if !self.scores.potentials.is_empty() {
                let potentials = &mut self.scores.potentials[first * n_modes..];
                tile.potential.scatter(potentials, 0..n_rows);
            }
            if !self.scores.gate.is_empty() {
                tile.gate
                    .scatter(self.scores.gate, first, n_all_rows, n_rows);
            }
        }
    }
}
