//! One training step of a model without and of one with EMMA, fused and by candle's operations, and scoring
//! rows.

use candle_core::{DType, Device, Tensor};
use candle_nn::Module;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use emma_attention::{Emma, EmmaConfig, PotentialEnergies, Regularizers};
use emma_energy::{
    AutoencoderConfig, DenoisingAutoencoder, EnergyEstimator, PotentialEnergy, SeededVarMap,
    potential_energy_by_candle,
};
use emma_models::{
    Batch, Concatenation, Coupled, Mlp, MlpConfig, ModelOutput, MultiModalModel, Result,
    TrainingConfig, concatenate, train_without_validation,
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

fn coupled(variables: &SeededVarMap, by_candle: bool) -> Result<Coupled<Mlp>> {
    let vb = variables.var_builder(DType::F32, &Device::Cpu);
    let energies = SeededVarMap::new(emma_testkit::rng(2));
    let mut estimators: Vec<Box<dyn EnergyEstimator>> = Vec::new();
    for mode in ["ip", "dm"] {
        let vb = energies.var_builder(DType::F32, &Device::Cpu).pp(mode);
        let autoencoder = DenoisingAutoencoder::new(&AutoencoderConfig::default(), &vb)?;
        estimators.push(if by_candle {
            Box::new(EnergyByCandle(autoencoder.frozen()))
        } else {
            Box::new(PotentialEnergy(autoencoder.frozen()))
        });
    }
    let minimum = Tensor::zeros(2, DType::F32, &Device::Cpu)?;
    let emma = Emma::new(&EmmaConfig::default(), &minimum, &vb.pp("attention"))?;
    let network = Mlp::new(&MlpConfig::default(), &vb.pp("network"))?;
    Coupled::new(estimators, emma, Regularizers::default(), network)
}

/// The same model, telling no form: fused operations within candle's graph, as any other network has them.
struct InGraph(Coupled<Mlp>);

impl MultiModalModel for InGraph {
    fn forward(
        &self,
        modes: &[Tensor],
        potentials: Option<&PotentialEnergies>,
    ) -> Result<ModelOutput> {
        self.0.forward(modes, potentials)
    }

    fn penalty(&self, output: &ModelOutput, sign: Option<&Tensor>) -> Result<Option<Tensor>> {
        self.0.penalty(output, sign)
    }

    fn project(&self) -> Result<()> {
        self.0.project()
    }
}

/// The same model, its potentials and steps 2 to 4 by candle's operations.
struct ByCandle(Coupled<Mlp>);

impl MultiModalModel for ByCandle {
    fn forward(
        &self,
        modes: &[Tensor],
        potentials: Option<&PotentialEnergies>,
    ) -> Result<ModelOutput> {
        let potentials = potentials.expect("computed before");
        let output = self.0.emma.forward_by_candle(modes, potentials)?;
        let logits = self
            .0
            .network
            .forward(&concatenate(&output.weighted_modes)?)?;
        Ok(ModelOutput {
            logits: logits.squeeze(1)?,
            emma: Some(output),
        })
    }

    fn penalty(&self, output: &ModelOutput, sign: Option<&Tensor>) -> Result<Option<Tensor>> {
        self.0.penalty(output, sign)
    }

    fn project(&self) -> Result<()> {
        self.0.project()
    }
}

/// The estimator of every mode, by candle's operations.
struct EnergyByCandle(DenoisingAutoencoder);

impl EnergyEstimator for EnergyByCandle {
    fn n_features(&self) -> usize {
        self.0.n_features()
    }

    fn energy(&self, rows: &Tensor) -> emma_energy::Result<Tensor> {
        potential_energy_by_candle(&self.0, rows)
    }
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
    let with = coupled(&variables, false).expect("valid sizes");
    let potentials = with.potentials(rows.modes()).expect("valid shapes");
    let rows = rows.with_potentials(potentials).expect("as many rows");
    group.bench_function("with", |bencher| {
        let mut rng = emma_testkit::rng(3);
        bencher.iter(|| train_without_validation(&with, &variables, &rows, &config, &mut rng));
    });
    let variables = SeededVarMap::new(emma_testkit::rng(1));
    let with = InGraph(coupled(&variables, false).expect("valid sizes"));
    group.bench_function("with, in candle's graph", |bencher| {
        let mut rng = emma_testkit::rng(3);
        bencher.iter(|| train_without_validation(&with, &variables, &rows, &config, &mut rng));
    });
    let variables = SeededVarMap::new(emma_testkit::rng(1));
    let with = ByCandle(coupled(&variables, true).expect("valid sizes"));
    group.bench_function("with, by candle", |bencher| {
        let mut rng = emma_testkit::rng(3);
        bencher.iter(|| train_without_validation(&with, &variables, &rows, &config, &mut rng));
    });
    group.finish();
}

fn scoring(criterion: &mut Criterion) {
    let rows = batch().expect("valid shapes");
    let [model, by_candle] = [false, true].map(|by_candle| {
        coupled(&SeededVarMap::new(emma_testkit::rng(1)), by_candle).expect("valid sizes")
    });
    let by_candle = ByCandle(by_candle);
    let mut group = criterion.benchmark_group("scoring");
    group.throughput(Throughput::Elements(N_ROWS as u64));
    group.bench_function("potentials alone", |bencher| {
        bencher.iter(|| -> Result<PotentialEnergies> { model.potentials(rows.modes()) });
    });
    group.bench_function("potentials alone, by candle", |bencher| {
        bencher.iter(|| -> Result<PotentialEnergies> { by_candle.0.potentials(rows.modes()) });
    });
    group.bench_function("with", |bencher| {
        bencher.iter(|| model.forward(rows.modes(), None));
    });
    group.bench_function("with, by candle", |bencher| {
        bencher.iter(|| -> Result<ModelOutput> {
            let potentials = by_candle.0.potentials(rows.modes())?;
            by_candle.forward(rows.modes(), Some(&potentials))
        });
    });
    group.finish();
}

criterion_group!(benches, steps, scoring);
criterion_main!(benches);
