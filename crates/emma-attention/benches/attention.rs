//! Steps 2 to 4, fused and by candle's operations: forward alone, and with the gradient of every parameter,
//! of attention and of the weighted modes.

use std::hint::black_box;

use candle_core::{DType, Device, Tensor};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use emma_attention::{Emma, EmmaConfig, EmmaOutput, PotentialEnergies, Result};
use emma_energy::SeededVarMap;
use rand::Rng;

fn fixture(n_modes: usize, n_rows: usize) -> Result<(Emma, Vec<Tensor>, PotentialEnergies)> {
    let variables = SeededVarMap::new(emma_testkit::rng(1));
    let vb = variables.var_builder(DType::F32, &Device::Cpu);
    let minimum = Tensor::zeros(n_modes, DType::F32, &Device::Cpu)?;
    let config = EmmaConfig {
        n_modes,
        ..EmmaConfig::default()
    };
    let emma = Emma::new(&config, &minimum, &vb)?;
    let mut rng = emma_testkit::rng(2);
    let potentials: Vec<f32> = (0..n_rows * n_modes)
        .map(|_| rng.random_range(0f32..20.))
        .collect();
    let potentials = Tensor::from_vec(potentials, (n_rows, n_modes), &Device::Cpu)?;
    let modes = vec![Tensor::ones((n_rows, 4), DType::F32, &Device::Cpu)?; n_modes];
    Ok((emma, modes, PotentialEnergies::new(potentials)?))
}

type Forward = fn(&Emma, &[Tensor], &PotentialEnergies) -> Result<EmmaOutput>;

fn steps_2_to_4(criterion: &mut Criterion) {
    let paths: [(&str, Forward); 2] = [
        ("fused", Emma::forward),
        ("by candle", Emma::forward_by_candle),
    ];
    for (path_name, path) in paths {
        let mut group = criterion.benchmark_group(format!("emma {path_name}"));
        for (n_modes, n_rows) in [(2, 32), (2, 4096), (32, 256), (512, 256)] {
            let (emma, modes, potentials) = fixture(n_modes, n_rows).expect("valid sizes");
            let name = format!("{n_modes} modes, {n_rows} rows");
            group.throughput(Throughput::Elements(n_rows as u64));
            group.sample_size(if n_modes > 32 { 10 } else { 50 });
            group.bench_function(BenchmarkId::new("forward", &name), |bencher| {
                bencher.iter(|| path(&emma, black_box(&modes), &potentials));
            });
            group.bench_function(BenchmarkId::new("forward and backward", &name), |bencher| {
                bencher.iter(|| -> Result<_> {
                    let output = path(&emma, black_box(&modes), &potentials)?;
                    Ok(output.attention.as_tensor().sqr()?.sum_all()?.backward()?)
                });
            });
            group.bench_function(BenchmarkId::new("weighted modes too", &name), |bencher| {
                bencher.iter(|| -> Result<_> {
                    let output = path(&emma, black_box(&modes), &potentials)?;
                    let input = Tensor::cat(&output.weighted_modes, 1)?;
                    Ok(input.sqr()?.sum_all()?.backward()?)
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, steps_2_to_4);
criterion_main!(benches);
