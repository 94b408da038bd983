//! One seed: draw rows, learn energies, train every model, test the one that validation rows choose.

use candle_core::{DType, Device};
use emma_attention::{Coldness, Emma, EmmaConfig, Regularizers};
use emma_data::{CorruptionRecord, Coupling, Standardization, generator};
use emma_energy::SeededVarMap;
use emma_models::{Batch, Concatenation, Coupled, Mlp, MlpConfig, train};

use super::model_kind::ModelKind;
use super::rows::{CONDITIONS, N_MODES, draw, tensor};
use super::settings::Settings;
use crate::energies::{Energies, TrainedAutoencoder};
use crate::failure::CommandResult;
use crate::networks::DynModel;
use crate::progress::Progress;

/// What a seed found.
#[derive(Debug, Clone)]
pub(crate) struct SeedOutcome {
    /// Accuracy of the best decision, by condition.
    pub(crate) optimum: Vec<f64>,
    /// By network, by model, in the order of the settings.
    pub(crate) models: Vec<Vec<ModelOutcome>>,
}

/// One model of one seed.
#[derive(Debug, Clone)]
pub(crate) struct ModelOutcome {
    /// Of the candidates that was chosen; none where there is nothing to choose.
    pub(crate) coldness: Option<f64>,
    pub(crate) n_parameters: usize,
    pub(crate) validation_loss: f64,
    /// Share of test rows that it gets right, by condition.
    pub(crate) accuracy: Vec<f64>,
}

/// All of a seed's rows, with energies.
struct Prepared {
    energies: Energies,
    widths: Vec<usize>,
    train: Batch,
    validation: Batch,
    /// By condition, with labels.
    test: Vec<Batch>,
    labels: Vec<u8>,
}

/// Progress steps (trainings) of one seed.
pub(crate) fn steps(settings: &Settings) -> u64 {
    let of_model = |kind: &ModelKind| kind.coupling().map_or(1, |_| settings.coldness.len());
    let trainings: usize = settings.models.iter().map(of_model).sum();
    (trainings * settings.networks.len()) as u64
}

/// Runs one seed.
pub(crate) fn run(
    settings: &Settings,
    seed: u64,
    device: &Device,
    progress: &Progress,
) -> CommandResult<SeedOutcome> {
    let (prepared, optimum) = prepare(settings, seed, device)?;
    let models = settings
        .networks
        .iter()
        .map(|(_, hidden)| {
            let of_kind = |&kind| best(settings, seed, kind, hidden, &prepared, device, progress);
            settings.models.iter().map(of_kind).collect()
        })
        .collect::<CommandResult<_>>()?;
    Ok(SeedOutcome { optimum, models })
}

fn prepare(settings: &Settings, seed: u64, device: &Device) -> CommandResult<(Prepared, Vec<f64>)> {
    let coupling = Coupling::new(&settings.data, seed)?;
    let [train, validation, test] = draw(&coupling)?;
    let (names, noise_std) = (coupling.modes(), settings.noise_std);
    let (mut standardization, mut autoencoders, mut widths) = (vec![], vec![], vec![]);
    for (mode, raw) in names.iter().zip(&train.modes) {
        let fitted = Standardization::fit(&mode.name, &mode.columns, raw.view())?;
        let clean = tensor(&fitted.apply(raw.view())?, device)?;
        autoencoders.push(TrainedAutoencoder::train(
            &mode.name,
            &clean,
            settings.n_hidden,
            &settings.autoencoder,
            seed,
        )?);
        widths.push(mode.columns.len());
        standardization.push(fitted);
    }
    let energies = Energies::new(autoencoders)?;
    let batch = |rows: &super::rows::RawRows| -> CommandResult<Batch> {
        energies.annotate(rows.batch(&standardization, device)?)
    };
    let mixed = |rows: &super::rows::RawRows, part: &str| {
        let mut rng = generator(seed, &format!("coupling study {part} noise"));
        let record = CorruptionRecord::mixture(rows.n_rows(), N_MODES, &mut rng)?;
        batch(&rows.broken(&record, noise_std, &mut rng)?)
    };
    let (mut optimum, mut tests) = (vec![], vec![]);
    for (name, broken) in CONDITIONS {
        let mut rng = generator(seed, &format!("coupling study test noise {name}"));
        let rows = test.all_broken(broken, noise_std, &mut rng)?;
        optimum.push(rows.optimum(&coupling, broken, noise_std)?);
        tests.push(batch(&rows)?);
    }
    let prepared = Prepared {
        train: mixed(&train, "training")?,
        validation: mixed(&validation, "validation")?,
        test: tests,
        labels: test.labels,
        widths,
        energies,
    };
    Ok((prepared, optimum))
}

/// Trains a kind of model with every coldness and tests the one of the lowest validation loss.
fn best(
    settings: &Settings,
    seed: u64,
    kind: ModelKind,
    hidden: &[usize],
    prepared: &Prepared,
    device: &Device,
    progress: &Progress,
) -> CommandResult<ModelOutcome> {
    let coldness: Vec<Option<f64>> = match kind.coupling() {
        Some(_) => settings.coldness.iter().copied().map(Some).collect(),
        None => vec![None],
    };
    let mut best: Option<(ModelOutcome, Box<DynModel>)> = None;
    for coldness in coldness {
        // The same first values of the network and the same order of the rows for all, so that differences are paired.
        let stream = |purpose: &str| generator(seed, &format!("coupling study {purpose}"));
        let variables = SeededVarMap::new(stream("first values"));
        let model = build(kind, coldness, hidden, prepared, &variables, device)?;
        let history = train(
            &model,
            &variables,
            &prepared.train,
            &prepared.validation,
            &settings.training,
            &mut stream("order of rows"),
            |_| (),
        )?;
        progress.advance(1);
        let validation_loss = history.best_validation_loss();
        if best
            .as_ref()
            .is_none_or(|(so_far, _)| validation_loss < so_far.validation_loss)
        {
            let sizes = variables.all_vars();
            let outcome = ModelOutcome {
                coldness,
                n_parameters: sizes.iter().map(|var| var.elem_count()).sum(),
                validation_loss,
                accuracy: vec![],
            };
            best = Some((outcome, model));
        }
    }
    let Some((mut outcome, model)) = best else {
        return Err(anyhow::anyhow!("expected at least one coldness to choose from").into());
    };
    for test in &prepared.test {
        let logits = model.forward(test.modes(), test.potentials())?.logits;
        let logits = logits.to_device(&Device::Cpu)?.to_vec1::<f32>()?;
        let rows = logits.iter().zip(&prepared.labels);
        let n_right = rows.filter(|(logit, label)| (**logit > 0.) == (**label == 1));
        outcome
            .accuracy
            .push(n_right.count() as f64 / prepared.labels.len() as f64);
    }
    Ok(outcome)
}

fn build(
    kind: ModelKind,
    coldness: Option<f64>,
    hidden: &[usize],
    prepared: &Prepared,
    variables: &SeededVarMap,
    device: &Device,
) -> CommandResult<Box<DynModel>> {
    let vb = variables.var_builder(DType::F32, device);
    let config = MlpConfig {
        n_inputs: prepared.widths.iter().sum(),
        hidden: hidden.to_vec(),
        n_outputs: 1,
    };
    let network = Mlp::new(&config, &vb.pp("network"))?;
    let (Some((coupling_form, coupling_exponent)), Some(coldness)) = (kind.coupling(), coldness)
    else {
        return Ok(Box::new(Concatenation { network }));
    };
    let config = EmmaConfig {
        n_modes: N_MODES,
        coldness: Coldness::new(coldness)?,
        coupling_form,
        coupling_exponent,
        ..EmmaConfig::default()
    };
    let energies = &prepared.energies;
    let emma = Emma::new(&config, &energies.minimum_potential, &vb.pp("attention"))?;
    let estimators = energies.estimators();
    let regularizers = Regularizers::default();
    Ok(Box::new(Coupled::new(
        estimators,
        emma,
        regularizers,
        network,
    )?))
}
