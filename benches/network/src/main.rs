//! Any candle network behind EMMA, as a contestant of `cargo xtask bench`: training steps by candle's
//! automatic differentiation, through the library as its users call it.

use anyhow::Context;
use candle_core::{DType, Device, Tensor};
use candle_nn::{Module, Optimizer};
use emma_attention::{CouplingLimit, Emma, EmmaConfig, PotentialEnergies, Regularizers};
use emma_bench::contestant::{Options, Ready, answer};
use emma_bench::workload::{
    BATCH_SIZE, Data, GATE, LEARNING_RATE, N_FEATURES, N_HIDDEN, N_MODES, N_ROWS, N_STEPS,
    Settings, WIDTHS, autoencoder, network,
};
use emma_energy::optimization::mini_batches;
use emma_energy::transfer::scalar;
use emma_energy::{
    Adam, AutoencoderConfig, DenoisingAutoencoder, EnergyEstimator, PotentialEnergy, SeededVarMap,
    row_affine,
};
use emma_models::{
    Batch, Coupled, MultiModalModel, TrainingConfig, binary_cross_entropy, train_without_validation,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

fn main() -> anyhow::Result<()> {
    let options = Options::of_process();
    let what = options.text("--what").unwrap_or("network");
    anyhow::ensure!(what == "network", "--what expects network, got {what}");
    let variables = SeededVarMap::new(ChaCha8Rng::seed_from_u64(1));
    let model = model(&variables)?;
    let rows = rows(&model)?;
    let check = vec![first_epoch(&model, &variables, &rows)?];
    let config = TrainingConfig {
        n_epochs: 1,
        batch_size: BATCH_SIZE,
        learning_rate: LEARNING_RATE,
        ..TrainingConfig::default()
    };
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut failed = Ok(());
    let ready = Ready {
        check,
        ..Ready::default()
    };
    answer(&ready, N_STEPS, || {
        let epoch = train_without_validation(&model, &variables, &rows, &config, &mut rng);
        if epoch.is_err() {
            failed = epoch;
        }
    })?;
    Ok(failed?)
}

/// A network of the user's own, which the library knows nothing of.
struct Perceptron {
    layers: Vec<(Tensor, Tensor)>,
}

impl Module for Perceptron {
    fn forward(&self, rows: &Tensor) -> candle_core::Result<Tensor> {
        let mut hidden = rows.clone();
        for (number, (weight, bias)) in self.layers.iter().enumerate() {
            if number > 0 {
                hidden = hidden.relu()?;
            }
            hidden = row_affine(&hidden, weight, bias)?;
        }
        Ok(hidden)
    }
}

fn tensor(values: &[f32], shape: &[usize]) -> candle_core::Result<Tensor> {
    Tensor::from_slice(values, shape, &Device::Cpu)
}

fn model(variables: &SeededVarMap) -> anyhow::Result<Coupled<Perceptron>> {
    let mut rest = &GATE[..];
    for (name, shape) in [
        ("self_weight", &[N_MODES][..]),
        ("self_bias", &[N_MODES]),
        ("coupling_weight", &[N_MODES, N_MODES]),
        ("coupling_exponent", &[N_MODES, N_MODES]),
        ("gain", &[1]),
        ("attention_bias", &[1]),
    ] {
        let (values, others) = rest.split_at(shape.iter().product());
        variables.preset(&format!("attention.{name}"), &tensor(values, shape)?)?;
        rest = others;
    }
    let vb = variables.var_builder(DType::F32, &Device::Cpu);
    let (parameters, mut layers) = (network(), Vec::new());
    let mut rest = &parameters[..];
    for (number, width) in WIDTHS.windows(2).enumerate() {
        let (weight, others) = rest.split_at(width[0] * width[1]);
        let (bias, others) = others.split_at(width[1]);
        rest = others;
        let names = ["weight", "bias"].map(|part| format!("network.{number}.{part}"));
        variables.preset(&names[0], &tensor(weight, &[width[1], width[0]])?)?;
        variables.preset(&names[1], &tensor(bias, &[width[1]])?)?;
        layers.push((
            vb.get((width[1], width[0]), &names[0])?,
            vb.get(width[1], &names[1])?,
        ));
    }
    let mut estimators: Vec<Box<dyn EnergyEstimator>> = Vec::new();
    for mode in 0..N_MODES {
        let of_mode = SeededVarMap::new(ChaCha8Rng::seed_from_u64(2));
        let [weight, encoder_bias, decoder_bias] = autoencoder(mode);
        of_mode.preset("weight", &tensor(&weight, &[N_HIDDEN, N_FEATURES])?)?;
        of_mode.preset("encoder_bias", &tensor(&encoder_bias, &[N_HIDDEN])?)?;
        of_mode.preset("decoder_bias", &tensor(&decoder_bias, &[N_FEATURES])?)?;
        let vb = of_mode.var_builder(DType::F32, &Device::Cpu);
        let autoencoder = DenoisingAutoencoder::new(&AutoencoderConfig::default(), &vb)?;
        estimators.push(Box::new(PotentialEnergy(autoencoder.frozen())));
    }
    let minimum = PotentialEnergies::estimate(&estimators, &modes(&Data::new())?)?;
    let minimum = minimum.as_tensor().min(0)?;
    let config = EmmaConfig {
        coldness: Settings::ONE.coldness.try_into()?,
        coupling_limit: CouplingLimit::default(),
        ..EmmaConfig::default()
    };
    let emma = Emma::new(&config, &minimum, &vb.pp("attention"))?;
    let regularizers = Regularizers {
        capacity_weight: Settings::ONE.capacity_weight,
        energy_weight: Settings::ONE.energy_weight,
        ..Regularizers::default()
    };
    Coupled::new(estimators, emma, regularizers, Perceptron { layers })
        .context("the parts do not fit")
}

fn modes(data: &Data) -> candle_core::Result<Vec<Tensor>> {
    let modes = data.modes.iter();
    modes
        .map(|mode| tensor(mode, &[N_ROWS, N_FEATURES]))
        .collect()
}

/// Labelled rows with their signs and potentials.
fn rows(model: &Coupled<Perceptron>) -> anyhow::Result<Batch> {
    let data = Data::new();
    let modes = modes(&data)?;
    let potentials = model.potentials(&modes)?;
    Ok(Batch::new(modes, tensor(&data.labels, &[N_ROWS])?)?
        .with_corruption_sign(tensor(&data.signs, &[N_ROWS, N_MODES])?)?
        .with_potentials(potentials)?)
}

/// An epoch of the rows in order, step by step: its mean loss is what contestants compare.
fn first_epoch(
    model: &Coupled<Perceptron>,
    variables: &SeededVarMap,
    rows: &Batch,
) -> anyhow::Result<f64> {
    let mut optimizer = Adam::new(variables, LEARNING_RATE)?;
    let mut total = 0.;
    for (start, length) in mini_batches(N_ROWS, BATCH_SIZE) {
        let batch = rows.narrow(start, length)?;
        let output = model.forward(batch.modes(), batch.potentials())?;
        let task = binary_cross_entropy(&output.logits, batch.labels(), 1.)?;
        let penalty = model
            .penalty(&output, batch.corruption_sign())?
            .context("no penalty")?;
        let loss = (task + penalty)?;
        optimizer.backward_step(&loss)?;
        model.project()?;
        total += scalar(&loss)?;
    }
    Ok(total / N_STEPS as f64)
}
