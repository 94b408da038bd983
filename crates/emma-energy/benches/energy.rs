//! Energies of rows by every kind of estimator, one epoch of stage one, and fits.

use std::hint::black_box;

use candle_core::{DType, Device, Tensor};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use emma_energy::{
    AutoencoderConfig, AutoencoderTraining, DenoisingAutoencoder, EnergyEstimator,
    GaussianMixtureFit, MahalanobisFit, NearestNeighborsFit, Result, SeededVarMap,
    potential_energy, potential_energy_by_candle, train_autoencoder,
};
use rand::Rng;

fn fixture(n_rows: usize) -> Result<(DenoisingAutoencoder, SeededVarMap, Tensor)> {
    let variables = SeededVarMap::new(emma_testkit::rng(1));
    let vb = variables.var_builder(DType::F32, &Device::Cpu);
    let config = AutoencoderConfig::default();
    let autoencoder = DenoisingAutoencoder::new(&config, &vb)?;
    let mut rng = emma_testkit::rng(2);
    let values: Vec<f32> = (0..n_rows * config.n_features)
        .map(|_| rng.random_range(-2f32..2.))
        .collect();
    let rows = Tensor::from_vec(values, (n_rows, config.n_features), &Device::Cpu)?;
    Ok((autoencoder, variables, rows))
}

type Energy = fn(&DenoisingAutoencoder, &Tensor) -> Result<Tensor>;

/// The fused operation and candle's: energies alone, and with the gradients of all parameters.
fn potential(criterion: &mut Criterion) {
    let paths: [(&str, Energy); 2] = [
        ("fused", potential_energy),
        ("by candle", potential_energy_by_candle),
    ];
    for (name, energy) in paths {
        let mut group = criterion.benchmark_group(format!("potential_energy {name}"));
        for n_rows in [1usize, 32, 4096] {
            let (autoencoder, _, rows) = fixture(n_rows).expect("valid sizes");
            let frozen = autoencoder.frozen();
            group.throughput(Throughput::Elements(n_rows as u64));
            group.bench_function(BenchmarkId::new("values", n_rows), |bencher| {
                bencher.iter(|| energy(&frozen, black_box(&rows)));
            });
            group.bench_function(BenchmarkId::new("gradients", n_rows), |bencher| {
                bencher.iter(|| -> Result<_> {
                    Ok(energy(&autoencoder, black_box(&rows))?
                        .sum_all()?
                        .backward()?)
                });
            });
        }
        group.finish();
    }
}

/// Mixture of ten, Mahalanobis distance, five neighbors among 12,000 rows: four features, f32.
fn densities(criterion: &mut Criterion) {
    let (_, _, training) = fixture(12_000).expect("valid sizes");
    let rng = &mut emma_testkit::rng(4);
    let mixture = GaussianMixtureFit::default().fit(&training, rng);
    let distance = MahalanobisFit::default().fit(&training, rng);
    let neighbors = NearestNeighborsFit::default().fit(&training, rng);
    let estimators: [(&str, Box<dyn EnergyEstimator>); 3] = [
        ("gaussian_mixture", Box::new(mixture.expect("rows to fit"))),
        ("mahalanobis", Box::new(distance.expect("rows to fit"))),
        (
            "nearest_neighbors",
            Box::new(neighbors.expect("rows to fit")),
        ),
    ];
    for (name, estimator) in estimators {
        let mut group = criterion.benchmark_group(name);
        for n_rows in [1usize, 32, 4096] {
            let (_, _, rows) = fixture(n_rows).expect("valid sizes");
            group.throughput(Throughput::Elements(n_rows as u64));
            group.bench_with_input(
                BenchmarkId::from_parameter(n_rows),
                &rows,
                |bencher, rows| bencher.iter(|| estimator.energy(black_box(rows))),
            );
        }
        group.finish();
    }
    let mut group = criterion.benchmark_group("fit");
    group.sample_size(10);
    group.bench_function("gaussian_mixture of 12000 rows", |bencher| {
        bencher.iter(|| GaussianMixtureFit::default().fit(&training, &mut emma_testkit::rng(4)));
    });
    group.finish();
}

fn training(criterion: &mut Criterion) {
    let (autoencoder, variables, rows) = fixture(4096).expect("valid sizes");
    let settings = AutoencoderTraining {
        n_epochs: 1,
        ..AutoencoderTraining::default()
    };
    let mut group = criterion.benchmark_group("train_autoencoder");
    group.sample_size(10);
    group.throughput(Throughput::Elements(4096));
    group.bench_function("epoch of 4096 rows", |bencher| {
        let mut rng = emma_testkit::rng(3);
        bencher.iter(|| train_autoencoder(&autoencoder, &variables, &rows, &settings, &mut rng));
    });
    group.finish();
}

criterion_group!(benches, potential, densities, training);
criterion_main!(benches);
