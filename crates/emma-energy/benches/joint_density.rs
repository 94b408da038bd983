//! Rows a second of a joint density of HTRU2's shape: two modes of four features, 40 and 16 components.
#![allow(clippy::unwrap_used)] // In a benchmark a panic is the report.

use std::hint::black_box;

use candle_core::{Device, Tensor};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use emma_energy::JointDensityFit;
use rand_distr::{Distribution, StandardNormal};

const N_ROWS: usize = 16_384;

fn rows(n_rows: usize, seed: u64) -> Vec<Tensor> {
    let mut rng = emma_testkit::rng(seed);
    let mut mode = || {
        let values = StandardNormal.sample_iter(&mut rng).take(n_rows * 4);
        Tensor::from_vec(values.collect::<Vec<f32>>(), (n_rows, 4), &Device::Cpu).unwrap()
    };
    vec![mode(), mode()]
}

fn posterior(criterion: &mut Criterion) {
    let training = rows(3_000, 1);
    let labels: Vec<u32> = (0..3_000).map(|row| u32::from(row % 5 == 0)).collect();
    let density = JointDensityFit::default()
        .fit(&training, &labels, 2, &mut emma_testkit::rng(2))
        .unwrap();
    let rows = rows(N_ROWS, 3);
    let mut group = criterion.benchmark_group("joint_density");
    group.sample_size(10);
    group.throughput(Throughput::Elements(N_ROWS as u64));
    group.bench_function("energies_and_repair", |bencher| {
        bencher.iter(|| black_box(density.posterior(&rows).unwrap()));
    });
    group.finish();
}

criterion_group!(benches, posterior);
criterion_main!(benches);
