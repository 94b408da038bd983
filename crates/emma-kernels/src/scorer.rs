//! Rows to probabilities, in one pass.

use crate::affine::affine;
use crate::block::Block;
use crate::columns::{Columns, TILE};
use crate::gate::{Gate, GateColumns};
use crate::level::{Level, Task};
use crate::potential::{Autoencoder, PotentialColumns};
use crate::real::Real;
use crate::stage_two::Network;
use crate::weigh::weigh;

/// A trained EMMA in front of a perceptron, from standardized rows to probabilities.
#[derive(Debug, Clone)]
pub struct Scorer<'a, R> {
    /// One autoencoder a mode.
    pub autoencoders: Vec<Autoencoder<'a, R>>,
    /// Steps 2 to 4.
    pub gate: Gate<'a, R>,
    /// The network's widths.
    pub network: Network,
    /// The network's parameters: weight `[out, in]` and bias of each layer.
    pub network_parameters: &'a [R],
}

impl<R: Real> Scorer<'_, R> {
    /// Probability of label 1 of every row.
    ///
    /// # Shapes
    /// - `rows`: `[n, all features]`, the modes side by side, standardized
    /// - `probabilities`: `[n]`
    pub fn probabilities(&self, rows: &[R], probabilities: &mut [R]) {
        R::dispatch(Score {
            scorer: self,
            rows,
            probabilities,
        });
    }
}

struct Score<'a, R> {
    scorer: &'a Scorer<'a, R>,
    rows: &'a [R],
    probabilities: &'a mut [R],
}

impl<R: Real> Task<R> for Score<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Level, const V: usize>(self, simd: S) {
        let scorer = self.scorer;
        let n_modes = scorer.autoencoders.len();
        let n_features: usize = scorer.network.widths[0];
        let tile = TILE.min(self.probabilities.len());
        let mut modes: Vec<PotentialColumns<R>> = scorer
            .autoencoders
            .iter()
            .map(|autoencoder| PotentialColumns::new(autoencoder, tile))
            .collect();
        let mut gate = GateColumns::new(n_modes, tile);
        let mut potential = Columns::new(n_modes, tile);
        let mut layers: Vec<Columns<R>> = scorer
            .network
            .widths
            .iter()
            .map(|&width| Columns::new(width, tile))
            .collect();
        let mut raw = Columns::new(n_features, tile);
        let mode_widths: Vec<usize> = scorer
            .autoencoders
            .iter()
            .map(Autoencoder::n_features)
            .collect();
        let tiles = self.rows.chunks(TILE * n_features);
        for (rows, probabilities) in tiles.zip(self.probabilities.chunks_mut(TILE)) {
            let n_rows = probabilities.len();
            raw.gather(0, n_features, rows, 0..n_rows);
            let extent = raw.extent(n_rows);
            let mut left = raw.values();
            for (mode, (columns, autoencoder)) in
                modes.iter_mut().zip(&scorer.autoencoders).enumerate()
            {
                let values = columns.rows.values_mut();
                let (of_mode, others) = left.split_at(values.len());
                values.copy_from_slice(of_mode);
                left = others;
                let energies = potential.column_mut(mode);
                columns.energies::<S, V>(simd, autoencoder, extent.n_blocks, energies);
            }
            let potential = potential.blocks::<S, V>();
            gate.forward::<S, V>(simd, &scorer.gate, potential, extent);
            weigh::<S, R, V>(
                simd,
                &mode_widths,
                raw.blocks::<S, V>(),
                gate.attention.blocks::<S, V>(),
                layers[0].blocks_mut::<S, V>(),
                extent.stride,
            );
            let mut parameters = scorer.network_parameters;
            let last = layers.len() - 1;
            for k in 1..layers.len() {
                let (before, from) = layers.split_at_mut(k);
                let widths = (scorer.network.widths[k - 1], scorer.network.widths[k]);
                let (weight, rest) = parameters.split_at(widths.0 * widths.1);
                let (bias, rest) = rest.split_at(widths.1);
                parameters = rest;
                let outputs = from[0].blocks_mut::<S, V>();
                let inputs = before[k - 1].blocks::<S, V>();
                affine::<S, R, V>(simd, inputs, weight, bias, outputs, extent.stride);
                for lanes in outputs.iter_mut() {
                    let value = Block::<S, R, V>::new(simd, *lanes);
                    *lanes = if k == last {
                        value.sigmoid()
                    } else {
                        value.rectified()
                    }
                    .lanes;
                }
            }
            probabilities.copy_from_slice(&layers[last].values()[..n_rows]);
        }
    }
}
