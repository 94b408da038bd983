//! Scoring a million rows from memory.

use emma_bench::contestant::Ready;
use emma_bench::workload::{
    Data, GATE, N_FEATURES, N_MODES, N_SCORED, Settings, WIDTHS, autoencoder, network,
};
use emma_kernels::gate::Gate;
use emma_kernels::potential::Autoencoder;
use emma_kernels::{Front, Network, Scorer};

use crate::Work;

/// Rows that instructions are counted over.
const N_COUNTED: usize = 1024;

const N_COLUMNS: usize = N_MODES * N_FEATURES;

fn borrowed([weight, encoder_bias, decoder_bias]: &[Vec<f32>; 3]) -> Autoencoder<'_, f32> {
    Autoencoder {
        weight,
        encoder_bias,
        decoder_bias,
    }
}

/// Potential energies `[rows, modes]` of the training rows.
pub(crate) fn potentials(data: &Data) -> Vec<f32> {
    let n_rows = data.labels.len();
    let mut potentials = vec![0.; n_rows * N_MODES];
    let mut energies = vec![0.; n_rows];
    for (mode, rows) in data.modes.iter().enumerate() {
        borrowed(&autoencoder(mode)).energies(rows, &mut energies);
        for (row, &energy) in potentials.chunks_exact_mut(N_MODES).zip(&energies) {
            row[mode] = energy;
        }
    }
    potentials
}

/// The lowest of each mode.
pub(crate) fn minimum(potentials: &[f32]) -> Vec<f32> {
    let of_mode = |mode| potentials[mode..].iter().step_by(N_MODES).copied();
    (0..N_MODES)
        .map(|mode| of_mode(mode).fold(f32::INFINITY, f32::min))
        .collect()
}

pub(crate) struct Scoring {
    n_threads: usize,
    rows: Vec<f32>,
    probabilities: Vec<f32>,
    autoencoders: [[Vec<f32>; 3]; N_MODES],
    minimum: Vec<f32>,
    network: Vec<f32>,
}

impl Scoring {
    pub(crate) fn new(n_threads: usize) -> Self {
        let data = Data::new();
        let rows = data.side_by_side();
        let n = N_SCORED * N_COLUMNS;
        Self {
            n_threads,
            rows: rows.into_iter().cycle().take(n).collect(),
            probabilities: vec![0.; N_SCORED],
            autoencoders: [0, 1].map(autoencoder),
            minimum: minimum(&potentials(&data)),
            network: network(),
        }
    }

    fn score(&mut self, n_rows: usize) {
        let scorer = Scorer {
            mode_widths: vec![N_FEATURES; N_MODES],
            front: Front::Emma {
                autoencoders: self.autoencoders.iter().map(borrowed).collect(),
                gate: Gate {
                    parameters: &GATE,
                    minimum_potential: &self.minimum,
                    coldness: Settings::ONE.coldness as f32,
                },
            },
            network: Network {
                widths: WIDTHS.to_vec(),
            },
            network_parameters: &self.network,
        };
        let rows = &self.rows[..n_rows * N_COLUMNS];
        let probabilities = &mut self.probabilities[..n_rows];
        if self.n_threads == 1 {
            scorer.probabilities(rows, probabilities);
            return;
        }
        let part = n_rows.div_ceil(self.n_threads);
        std::thread::scope(|scope| {
            let parts = rows.chunks(part * N_COLUMNS);
            for (rows, probabilities) in parts.zip(probabilities.chunks_mut(part)) {
                scope.spawn(|| scorer.probabilities(rows, probabilities));
            }
        });
    }
}

impl Work for Scoring {
    fn units(&self) -> usize {
        1
    }

    fn run(&mut self) {
        self.score(N_SCORED);
    }

    fn run_part(&mut self) {
        self.score(N_COUNTED);
    }

    fn prepare(&mut self) -> Ready {
        self.run();
        let mean: f64 = self.probabilities.iter().copied().map(f64::from).sum();
        Ready {
            check: vec![mean / N_SCORED as f64],
            ..Ready::default()
        }
    }
}
