//! One training step (forward, backward, Adam) of an ensemble of four perceptrons 13 → 64 → 64 → 1: all
//! members at once, with weights of their own and with shared ones, and member by member. Set
//! `RAYON_NUM_THREADS=1` for one core.

use candle_core::{DType, Device, Tensor};
use candle_nn::{Module, Optimizer};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use emma_energy::{Adam, SeededVarMap};
use emma_models::{EnsembleMlp, EnsembleMlpConfig, Mlp, MlpConfig, Result, TrainingConfig};
use rand::Rng;

const N_INPUTS: usize = 13;
const N_MEMBERS: usize = 4;

/// Gives the loss of rows and labels.
type Loss = Box<dyn Fn(&Tensor, &Tensor) -> Result<Tensor>>;

fn ensemble(variables: &SeededVarMap, shared: bool) -> Result<EnsembleMlp> {
    let config = EnsembleMlpConfig {
        n_inputs: N_INPUTS,
        n_members: N_MEMBERS,
        shared,
        ..EnsembleMlpConfig::default()
    };
    EnsembleMlp::new(&config, &variables.var_builder(DType::F32, &Device::Cpu))
}

fn losses() -> Result<Vec<(&'static str, SeededVarMap, Loss)>> {
    let config = TrainingConfig::default();
    let fresh = || SeededVarMap::new(emma_testkit::rng(1));
    let mut losses: Vec<(&'static str, SeededVarMap, Loss)> = Vec::new();
    for (name, shared) in [("all members at once", false), ("shared weights", true)] {
        let variables = fresh();
        let network = ensemble(&variables, shared)?;
        let loss: Loss =
            Box::new(move |rows, labels| network.mean_member_loss(rows, labels, &config));
        losses.push((name, variables, loss));
    }
    let variables = fresh();
    let vb = variables.var_builder(DType::F32, &Device::Cpu);
    let one = MlpConfig {
        n_inputs: N_INPUTS,
        hidden: vec![64, 64],
        n_outputs: 1,
    };
    let members: Vec<Mlp> = (0..N_MEMBERS)
        .map(|member| Mlp::new(&one, &vb.pp(member)))
        .collect::<Result<_>>()?;
    let one_by_one: Loss = Box::new(move |rows, labels| {
        let mut total = None;
        for member in &members {
            let loss = config.task_loss(&member.forward(rows)?.squeeze(1)?, labels)?;
            total = Some(match total {
                None => loss,
                Some(total) => (total + loss)?,
            });
        }
        Ok((total.expect("four members") / N_MEMBERS as f64)?)
    });
    losses.push(("member by member", variables, one_by_one));
    Ok(losses)
}

fn steps(criterion: &mut Criterion) {
    let mut rng = emma_testkit::rng(2);
    for n_rows in [128, 256] {
        let mut group = criterion.benchmark_group(format!("ensemble step of {n_rows} rows"));
        group.sample_size(50);
        let mut random = |count: usize| -> Vec<f32> {
            (0..count).map(|_| rng.random_range(-2f32..2.)).collect()
        };
        let rows = Tensor::from_vec(random(n_rows * N_INPUTS), (n_rows, N_INPUTS), &Device::Cpu);
        let rows = rows.expect("as many values");
        let labels = Tensor::from_vec(random(n_rows), n_rows, &Device::Cpu);
        let labels = labels.and_then(|labels| labels.gt(0f32)?.to_dtype(DType::F32));
        let labels = labels.expect("as many values");
        for (name, variables, loss) in losses().expect("valid widths") {
            let mut adam = Adam::new(&variables, 1e-3).expect("variables");
            group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
                bencher.iter(|| adam.backward_step(&loss(&rows, &labels).expect("a loss")));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, steps);
criterion_main!(benches);
