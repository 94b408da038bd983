//! Training that stops and goes on later.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod common;

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use common::{MODELS, build, rows};
use emma_models::{
    Loss, Result, Trainee, TrainingConfig, TrainingHistory, TrainingSession, TrainingState, train,
};

const CPU: &Device = &Device::Cpu;

fn settings(loss: Loss) -> TrainingConfig {
    TrainingConfig {
        n_epochs: 5,
        learning_rate: 1e-2,
        loss,
        ..TrainingConfig::default()
    }
}

fn bits(tensors: &BTreeMap<String, Tensor>) -> Vec<(String, Vec<u32>)> {
    let bits = |tensor: &Tensor| -> Vec<u32> {
        let values: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
        values.into_iter().map(f32::to_bits).collect()
    };
    let tensors = tensors.iter();
    tensors
        .map(|(name, tensor)| (name.clone(), bits(tensor)))
        .collect()
}

/// Trains until an epoch, keeps the state as a file would, and goes on with a new model that has
/// forgotten everything.
fn broken_after(
    epochs: usize,
    name: &str,
    config: &TrainingConfig,
) -> Result<(BTreeMap<String, Tensor>, TrainingHistory)> {
    let (training, validation) = (rows(150, 1, CPU), rows(50, 2, CPU));
    let mut rng = emma_testkit::rng(3);
    let built = build(name, 1, CPU);
    let trainee = Trainee {
        model: &built.model,
        variables: &built.variables,
    };
    let mut session = TrainingSession::new(&[trainee], &validation, config)?;
    for _ in 0..epochs {
        session.epoch(&mut &training, &mut rng, |_, _| {})?;
    }
    let state = session.states()?.remove(0);
    let (tensors, n_steps) = (state.tensors(), state.optimizer.n_steps);
    let history = serde_json::to_string(&state.history).unwrap();
    let place = rng.get_word_pos();

    let built = build(name, 1, CPU);
    for variable in built.variables.all_vars() {
        variable.set(&variable.zeros_like()?)?;
    }
    let trainee = Trainee {
        model: &built.model,
        variables: &built.variables,
    };
    let history = serde_json::from_str(&history).unwrap();
    let state = TrainingState::from_tensors(&tensors, history, n_steps);
    let mut rng = emma_testkit::rng(3);
    rng.set_word_pos(place);
    let mut session = TrainingSession::resume(&[trainee], &validation, config, vec![state])?;
    assert_eq!(session.n_epochs_done(), epochs);
    while !session.is_over() {
        session.epoch(&mut &training, &mut rng, |_, _| {})?;
    }
    let history = session.finish()?.remove(0);
    Ok((built.variables.snapshot()?, history))
}

#[test]
fn a_broken_training_goes_on_to_the_bits_of_an_unbroken_one() {
    // By fused steps, and by candle's.
    for loss in [Loss::BinaryCrossEntropy, Loss::SquaredError] {
        for name in MODELS {
            let (training, validation) = (rows(150, 1, CPU), rows(50, 2, CPU));
            let built = build(name, 1, CPU);
            let mut rng = emma_testkit::rng(3);
            let config = settings(loss);
            let (model, variables) = (&built.model, &built.variables);
            let history = train(
                model,
                variables,
                &training,
                &validation,
                &config,
                &mut rng,
                |_| {},
            );
            let history = history.unwrap();
            let expected = bits(&variables.snapshot().unwrap());
            for epochs in [0, 1, 3, 5] {
                let (found, found_history) = broken_after(epochs, name, &config).unwrap();
                assert_eq!(bits(&found), expected, "{name}, {loss:?}, {epochs} epochs");
                assert_eq!(found_history, history);
            }
        }
    }
}

#[test]
fn a_state_of_something_else_is_refused() {
    let validation = rows(20, 2, CPU);
    let [emma, other] = ["emma", "concatenation"].map(|name| build(name, 1, CPU));
    let config = settings(Loss::default());
    let session = |built: &common::Built, states: Vec<TrainingState>| {
        let trainee = Trainee {
            model: &built.model,
            variables: &built.variables,
        };
        let session = TrainingSession::resume(&[trainee], &validation, &config, states);
        session.map(|session| session.states().unwrap())
    };
    let trainee = Trainee {
        model: &other.model,
        variables: &other.variables,
    };
    let fresh = TrainingSession::new(&[trainee], &validation, &config).unwrap();
    let states = fresh.states().unwrap();
    let error = session(&emma, states.clone()).unwrap_err();
    assert!(
        error.to_string().starts_with("no value for variable"),
        "{error}"
    );
    let error = session(&other, Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "expected 1 trainees, got 0");
    assert!(session(&other, states).is_ok());
}
