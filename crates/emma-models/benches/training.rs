//! One training step of a model without and of one with EMMA, and scoring rows.

use candle_core::{DType, Device, Tensor};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use emma_attention::{Emma, EmmaConfig, PotentialEnergies, Regularizers};
use emma_energy::{
    AutoencoderConfig, DenoisingAutoencoder, EnergyEstimator, PotentialEnergy, SeededVarMap,
};
use emma_models::{
    Batch, Concatenation, Coupled, Mlp, MlpConfig, MultiModalModel, Result, TrainingConfig,
    train_without_validation,
};
use rand::Rng;

const N_ROWS: usize = 3200;

fn batch() -> Result<Batch> {
    let mut rng = emma_testkit::rng(1);
    let mode = |rng: &mut emma_testkit::TestRng| {
        let values: Vec<f32> = (0..N_ROWS * 4)
            .map(|_| rng.random_range(-2f32..2.))
            .collect();
        Tensor::from_vec(values, (N_ROWS, 4), &Device::Cpu)
    };
    let modes = vec![mode(&mut rng)?, mode(&mut rng)?];
    let labels: Vec<f32> = (0..N_ROWS)
        .map(|_| f32::from(rng.random_bool(0.1)))
        .collect();
    Batch::new(modes, Tensor::from_vec(labels, N_ROWS, &Device::Cpu)?)
}

fn coupled(variables: &SeededVarMap) -> Result<Coupled<Mlp>> {
    let vb = variables.var_builder(DType::F32, &Device::Cpu);
    let energies = SeededVarMap::new(emma_testkit::rng(2));
    let mut estimators: Vec<Box<dyn EnergyEstimator>> = Vec::new();
    for mode in ["ip", "dm"] {
        let vb = energies.var_builder(DType::F32, &Device::Cpu).pp(mode);
        let autoencoder = DenoisingAutoencoder::new(&AutoencoderConfig::default(), &vb)?;
        estimators.push(Box::new(PotentialEnergy(autoencoder.frozen())));
    }
    let minimum = Tensor::zeros(2, DType::F32, &Device::Cpu)?;
    let emma = Emma::new(&EmmaConfig::default(), &minimum, &vb.pp("attention"))?;
    let network = Mlp::new(&MlpConfig::default(), &vb.pp("network"))?;
    Coupled::new(estimators, emma, Regularizers::default(), network)
}

fn steps(criterion: &mut Criterion) {
    let rows = batch().expect("valid shapes");
    let config = TrainingConfig {
        n_epochs: 1,
        ..TrainingConfig::default()
    };
    let mut group = criterion.benchmark_group("100 steps of 32 rows");
    group.sample_size(20);
    let variables = SeededVarMap::new(emma_testkit::rng(1));
    let vb = variables.var_builder(DType::F32, &Device::Cpu);
    let network = Mlp::new(&MlpConfig::default(), &vb).expect("valid widths");
    let without = Concatenation { network };
    group.bench_function("without", |bencher| {
        let mut rng = emma_testkit::rng(3);
        bencher.iter(|| train_without_validation(&without, &variables, &rows, &config, &mut rng));
    });
    let variables = SeededVarMap::new(emma_testkit::rng(1));
    let with = coupled(&variables).expect("valid sizes");
    let potentials = with.potentials(rows.modes()).expect("valid shapes");
    let rows = rows.with_potentials(potentials).expect("as many rows");
    group.bench_function("with", |bencher| {
        let mut rng = emma_testkit::rng(3);
        bencher.iter(|| train_without_validation(&with, &variables, &rows, &config, &mut rng));
    });
    group.finish();
}

fn scoring(criterion: &mut Criterion) {
    let rows = batch().expect("valid shapes");
    let model = coupled(&SeededVarMap::new(emma_testkit::rng(1))).expect("valid sizes");
    let mut group = criterion.benchmark_group("scoring");
    group.throughput(Throughput::Elements(N_ROWS as u64));
    group.bench_function("potentials alone", |bencher| {
        bencher.iter(|| -> Result<PotentialEnergies> { model.potentials(rows.modes()) });
    });
    group.bench_function("with", |bencher| {
        bencher.iter(|| model.forward(rows.modes(), None));
    });
    group.finish();
}

criterion_group!(benches, steps, scoring);
criterion_main!(benches);
