//! Training epochs, scoring and the gate of many modes.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use emma_kernels::gate::{Gate, N_OUTPUTS, n_parameters};
use emma_kernels::potential::Autoencoder;
use emma_kernels::{
    Batches, Front, GateConfig, Network, Rows, Scorer, StageOne, StageOneConfig, StageTwo,
    StageTwoConfig,
};
use rand::Rng;

/// 375 steps of 32 rows.
const N_ROWS: usize = 12_000;

fn numbers(n: usize, low: f32, high: f32, seed: u64) -> Vec<f32> {
    let mut rng = emma_testkit::rng(seed);
    (0..n).map(|_| rng.random_range(low..high)).collect()
}

fn config() -> StageTwoConfig {
    StageTwoConfig {
        mode_widths: vec![4, 4],
        gate: GateConfig::Emma {
            minimum_potential: vec![-8., -8.],
            coldness: 0.3,
            capacity_weight: 1e-3,
            capacity_minus_bias: true,
            energy_weight: 1e-2,
            minimum_self_weight: 1e-3,
            coupling_limit: 1.,
            symmetric: false,
        },
        network: Network {
            widths: vec![8, 8, 4, 1],
        },
        batch_size: 32,
        learning_rate: 1e-3,
        positive_weight: 1.,
    }
}

fn parameters(config: &StageTwoConfig) -> Vec<f32> {
    let mut parameters = vec![
        1., 1., 3., 3., 0., 0.2, 0.2, 0., 0.5, 0.5, 0.5, 0.5, 2., 0.3,
    ];
    parameters.extend(numbers(config.network.n_parameters(), -0.35, 0.35, 1));
    parameters
}

fn training(criterion: &mut Criterion) {
    let modes = [
        numbers(N_ROWS * 4, -2., 2., 2),
        numbers(N_ROWS * 4, -2., 2., 3),
    ];
    let potentials = numbers(N_ROWS * 2, -8., 20., 4);
    let signs: Vec<f32> = numbers(N_ROWS * 2, -1., 2., 5)
        .into_iter()
        .map(f32::signum)
        .collect();
    let labels: Vec<f32> = numbers(N_ROWS, -1., 1., 6)
        .into_iter()
        .map(|value| f32::from(value > 0.4))
        .collect();
    let rows = Rows {
        modes: vec![&modes[0], &modes[1]],
        potentials: &potentials,
        signs: &signs,
        labels: &labels,
    };
    let batches = || Batches::new(&rows, &[4, 4], 32, (0..N_ROWS).map(|row| row * 7 % N_ROWS));
    let mut group = criterion.benchmark_group("375 steps");
    group.throughput(Throughput::Elements(375));
    let config = config();
    let mut model = StageTwo::new(config.clone(), &parameters(&config));
    group.bench_function("stage two", |bencher| {
        bencher.iter(|| model.epoch(&batches()));
    });
    let ready = batches();
    group.bench_function("stage two of rows in order", |bencher| {
        bencher.iter(|| model.epoch(&ready));
    });
    let open = StageTwoConfig {
        gate: GateConfig::Open,
        ..config.clone()
    };
    let mut model = StageTwo::new(open, &parameters(&config)[14..]);
    group.bench_function("stage two without a gate", |bencher| {
        bencher.iter(|| model.epoch(&batches()));
    });
    let config = StageOneConfig {
        n_features: 4,
        n_hidden: 12,
        batch_size: 32,
        learning_rate: 1e-3,
    };
    let mut model = StageOne::new(config, &numbers(64, -0.05, 0.05, 7));
    group.bench_function("stage one", |bencher| {
        bencher.iter(|| model.epoch(&modes[0], &modes[1]));
    });
    group.finish();
}

fn scoring(criterion: &mut Criterion) {
    const N_SCORED: usize = 1_000_000;
    let rows = numbers(N_SCORED * 8, -2., 2., 1);
    let weights = [numbers(48, -0.5, 0.5, 2), numbers(48, -0.5, 0.5, 3)];
    let biases = numbers(12, -0.1, 0.1, 4);
    let autoencoders = weights.iter().map(|weight| Autoencoder {
        weight,
        encoder_bias: &biases,
        decoder_bias: &biases[..4],
    });
    let config = config();
    let parameters = parameters(&config);
    let scorer = Scorer {
        mode_widths: config.mode_widths,
        front: Front::Emma {
            autoencoders: autoencoders.collect(),
            gate: Gate {
                parameters: &parameters[..14],
                minimum_potential: &[-8., -8.],
                coldness: 0.3,
            },
        },
        network: config.network,
        network_parameters: &parameters[14..],
    };
    let mut probabilities = vec![0.; N_SCORED];
    let mut group = criterion.benchmark_group("scoring");
    group.sample_size(20);
    group.throughput(Throughput::Elements(N_SCORED as u64));
    group.bench_function("a million rows", |bencher| {
        bencher.iter(|| scorer.probabilities(&rows, &mut probabilities));
    });
    group.finish();
}

fn coupling(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("gate of 256 rows, forward and backward");
    group.sample_size(10);
    for n_modes in [2, 8, 32, 128, 512] {
        let mut parameters = numbers(n_parameters(n_modes), 0., 1., 1);
        let bound = 1. / n_modes as f32;
        let n = 2 * n_modes;
        parameters[..n].fill(1.);
        for weight in &mut parameters[n..n + n_modes * n_modes] {
            *weight *= bound;
        }
        let minimum = vec![0.; n_modes];
        let gate = Gate {
            parameters: &parameters,
            minimum_potential: &minimum,
            coldness: 0.1,
        };
        let potentials = numbers(256 * n_modes, 0., 10., 2);
        let mut outputs = vec![0.; potentials.len() * N_OUTPUTS];
        let gradient = numbers(outputs.len(), -1., 1., 3);
        let mut of_potentials = vec![0.; potentials.len()];
        let mut of_parameters = vec![0.; parameters.len()];
        group.bench_function(format!("{n_modes} modes"), |bencher| {
            bencher.iter(|| {
                gate.forward(&potentials, &mut outputs);
                gate.backward(
                    &potentials,
                    &outputs,
                    &gradient,
                    &mut of_potentials,
                    &mut of_parameters,
                );
            });
        });
    }
    group.finish();
}

criterion_group!(benches, training, scoring, coupling);
criterion_main!(benches);
