use candle_core::{DType, Device, Tensor};
use emma_attention::{Emma, EmmaConfig, PotentialEnergies, Regularizers};
use emma_energy::{
    AutoencoderConfig, AutoencoderTraining, DenoisingAutoencoder, EnergyEstimator, PotentialEnergy,
    SeededVarMap, lowest_energy, train_autoencoder,
};
use emma_models::{
    Batch, Concatenation, ConfusionMatrix, Coupled, Mlp, MlpConfig, MultiModalModel, Result,
    ThresholdRule, TrainingConfig, train,
};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Rows of two sensors with three features each, which both know the label. Sensor 1 goes wild in
/// the given share of the rows.
fn rows(n_rows: usize, wild: f64, rng: &mut ChaCha8Rng) -> Result<Batch> {
    let labels: Vec<f32> = (0..n_rows).map(|row| (row % 2) as f32).collect();
    let mut sensors = [Vec::new(), Vec::new()];
    for label in &labels {
        let noise = if rng.random_bool(wild) { 6. } else { 0.8 };
        for (sensor, noise) in sensors.iter_mut().zip([1.2, noise]) {
            let center = 2. * label - 1.;
            sensor.extend((0..3).map(|_| center + rng.random_range(-noise..noise)));
        }
    }
    let sensors = sensors.map(|values| Tensor::from_vec(values, (n_rows, 3), &Device::Cpu));
    let sensors = sensors.into_iter().collect::<candle_core::Result<_>>()?;
    Batch::new(sensors, Tensor::from_vec(labels, n_rows, &Device::Cpu)?)
}

/// F1 on test rows, with the threshold chosen on validation rows.
fn f1(model: &impl MultiModalModel, validation: &Batch, test: &Batch) -> Result<f64> {
    let score = |batch: &Batch| -> Result<(Vec<f32>, Vec<u8>)> {
        let probabilities = model.forward(batch.modes(), None)?.probabilities()?;
        let labels = batch.labels().to_dtype(DType::U8)?;
        Ok((probabilities.to_vec1()?, labels.to_vec1()?))
    };
    let (probabilities, labels) = score(validation)?;
    let threshold = ThresholdRule::MaxF1.choose(&probabilities, &labels)?;
    let (probabilities, labels) = score(test)?;
    Ok(ConfusionMatrix::at_threshold(&probabilities, &labels, threshold)?.f1())
}

fn main() -> Result<()> {
    let generator = rand::SeedableRng::seed_from_u64;
    let mut rng: ChaCha8Rng = generator(1);
    let clean = rows(1000, 0., &mut rng)?;
    let (training, validation) = (rows(1000, 0.5, &mut rng)?, rows(500, 0.5, &mut rng)?);
    let config = TrainingConfig {
        n_epochs: 25,
        learning_rate: 5e-3,
        ..Default::default()
    };
    let network = MlpConfig {
        n_inputs: 6,
        hidden: vec![8],
        n_outputs: 1,
    };

    // A network that never saw a sensor go wild.
    let variables = SeededVarMap::new(generator(2) as ChaCha8Rng);
    let vb = variables.var_builder(DType::F32, &Device::Cpu);
    let base = Concatenation {
        network: Mlp::new(&network, &vb.pp("network"))?,
    };
    train(
        &base,
        &variables,
        &clean,
        &rows(500, 0., &mut rng)?,
        &config,
        &mut rng,
        |_| {},
    )?;

    // Stage one: an autoencoder a mode learns what its clean rows look like, and is frozen.
    let mut estimators: Vec<Box<dyn EnergyEstimator>> = Vec::new();
    let mut lowest = Vec::new();
    for sensor in clean.modes() {
        let variables = SeededVarMap::new(generator(3) as ChaCha8Rng);
        let vb = variables.var_builder(DType::F32, &Device::Cpu);
        let sizes = AutoencoderConfig {
            n_features: 3,
            n_hidden: 12,
        };
        let autoencoder = DenoisingAutoencoder::new(&sizes, &vb)?;
        let settings = AutoencoderTraining {
            batch_size: 32,
            ..Default::default()
        };
        train_autoencoder(&autoencoder, &variables, sensor, &settings, &mut rng)?;
        let estimator = PotentialEnergy(autoencoder.frozen());
        lowest.push(lowest_energy(&estimator, sensor)? as f32);
        estimators.push(Box::new(estimator));
    }

    // Stage two: attention and network learn together, from rows some of which are wild.
    let variables = SeededVarMap::new(generator(4) as ChaCha8Rng);
    let vb = variables.var_builder(DType::F32, &Device::Cpu);
    let lowest = Tensor::new(lowest, &Device::Cpu)?;
    let emma = Emma::new(&EmmaConfig::default(), &lowest, &vb.pp("attention"))?;
    let network = Mlp::new(&network, &vb.pp("network"))?;
    let model = Coupled::new(estimators, emma, Regularizers::default(), network)?;
    // Frozen energies need computing only once.
    let potentials = model.potentials(training.modes())?;
    let training = training.with_potentials(potentials)?;
    train(
        &model,
        &variables,
        &training,
        &validation,
        &config,
        &mut rng,
        |_| {},
    )?;

    let test = rows(1000, 1., &mut rng)?;
    let without = f1(&base, &validation, &test)?;
    let with = f1(&model, &validation, &test)?;
    println!(
        "F1 where sensor 1 is wild: {without:.3} for a network that never saw that, {with:.3} with EMMA"
    );
    assert!(with > without);

    // The total energy says which rows not to trust.
    let energy = |batch: &Batch| -> Result<f32> {
        let potentials = PotentialEnergies::estimate(&model.estimators, batch.modes())?;
        let output = model.emma.forward(batch.modes(), &potentials)?;
        Ok(output.total_energy.mean_all()?.to_scalar()?)
    };
    assert!(energy(&test)? > 2. * energy(&clean)?);
    Ok(())
}
