//! Fused training steps do what candle's operations do.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod common;

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use common::{MODELS, build, rows};
use emma_attention::{
    CapacityPenalty, Coldness, CouplingExponent, CouplingLimit, Emma, EmmaConfig,
    PotentialEnergies, Regularizers,
};
use emma_energy::{
    AutoencoderConfig, DenoisingAutoencoder, EnergyEstimator, PotentialEnergy, SeededVarMap,
};
use emma_models::{
    Batch, Concatenation, Coupled, Mlp, MlpConfig, ModelOutput, MultiModalModel, Result, Trainee,
    TrainingConfig, TrainingHistory, train, train_together,
};
use emma_testkit::tolerance::{assert_close, values};

const CPU: &Device = &Device::Cpu;

/// A model that says nothing of its form: candle's operations train it.
struct Formless<M>(M);

impl<M: MultiModalModel> MultiModalModel for Formless<M> {
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

fn settings(n_epochs: usize) -> TrainingConfig {
    TrainingConfig {
        n_epochs,
        learning_rate: 1e-2,
        positive_weight: 1.5,
        ..TrainingConfig::default()
    }
}

fn learn(
    model: &impl MultiModalModel,
    variables: &SeededVarMap,
    training: &Batch,
    validation: &Batch,
    config: &TrainingConfig,
) -> Result<TrainingHistory> {
    let mut rng = emma_testkit::rng(3);
    train(
        model,
        variables,
        training,
        validation,
        config,
        &mut rng,
        |_| {},
    )
}

fn assert_same_parameters(found: &SeededVarMap, expected: &SeededVarMap, tolerance: f64) {
    let (found, expected) = (found.snapshot().unwrap(), expected.snapshot().unwrap());
    assert_eq!(found.len(), expected.len());
    for (name, found) in &found {
        let expected = values(&expected[name]).unwrap();
        assert_close(
            name,
            &values(found).unwrap(),
            &expected,
            tolerance,
            tolerance,
        );
    }
}

fn assert_same_losses(found: &TrainingHistory, expected: &TrainingHistory, tolerance: f64) {
    assert_eq!(found.epochs.len(), expected.epochs.len());
    for (found, expected) in found.epochs.iter().zip(&expected.epochs) {
        let found = [found.training, found.validation];
        let expected = [expected.training, expected.validation];
        assert_close("losses", &found, &expected, tolerance, tolerance);
    }
}

#[test]
fn every_model_trains_to_the_same_parameters_by_both_ways() {
    // The last mini-batch is short.
    let (training, validation) = (rows(150, 1, CPU), rows(50, 2, CPU));
    for name in MODELS {
        assert_both_ways_agree(|| built(name), &training, &validation, &settings(3));
    }
}

/// Trains a model by both ways, and holds what comes out against each other.
///
/// Both round their sums in another order, and Adam's first steps have the size of the learning rate
/// whatever the gradient's: a few epochs keep the difference small.
fn assert_both_ways_agree<M: MultiModalModel>(
    build: impl Fn() -> (M, SeededVarMap),
    training: &Batch,
    validation: &Batch,
    config: &TrainingConfig,
) {
    let (fused, variables) = build();
    assert!(fused.standard_form().is_some());
    let of_fused = learn(&fused, &variables, training, validation, config).unwrap();
    let (reference, expected) = build();
    let reference = Formless(reference);
    let of_reference = learn(&reference, &expected, training, validation, config).unwrap();
    assert_same_losses(&of_fused, &of_reference, 2e-5);
    assert_same_parameters(&variables, &expected, 2e-4);
}

fn built(name: &str) -> (impl MultiModalModel + use<>, SeededVarMap) {
    let built = build(name, 1, CPU);
    (built.model, built.variables)
}

fn emma(config: EmmaConfig, regularizers: Regularizers) -> (Coupled<Mlp>, SeededVarMap) {
    let variables = SeededVarMap::new(emma_testkit::rng(5));
    let vb = variables.var_builder(DType::F32, CPU);
    let energies = SeededVarMap::new(emma_testkit::rng(6)).var_builder(DType::F32, CPU);
    let estimators = common::FEATURES.map(|n_features| {
        let sizes = AutoencoderConfig {
            n_features,
            n_hidden: 5,
        };
        let vb = energies.pp(n_features);
        let autoencoder = DenoisingAutoencoder::new(&sizes, &vb).unwrap().frozen();
        Box::new(PotentialEnergy(autoencoder)) as Box<dyn EnergyEstimator>
    });
    let minimum = Tensor::new(&[-4f32, -3.], CPU).unwrap();
    let emma = Emma::new(&config, &minimum, &vb.pp("attention")).unwrap();
    let network = MlpConfig {
        n_inputs: 5,
        ..MlpConfig::default()
    };
    let network = Mlp::new(&network, &vb.pp("network")).unwrap();
    let model = Coupled::new(estimators.into(), emma, regularizers, network).unwrap();
    (model, variables)
}

fn with_signs(batch: &Batch) -> Batch {
    let signs: Vec<f32> = (0..batch.n_rows() * 2)
        .map(|index| if index % 5 == 0 { -1. } else { 1. })
        .collect();
    let signs = Tensor::from_vec(signs, (batch.n_rows(), 2), CPU).unwrap();
    batch.clone().with_corruption_sign(signs).unwrap()
}

#[test]
fn every_setting_of_emma_means_the_same_by_both_ways() {
    let training = with_signs(&rows(130, 1, CPU));
    let validation = rows(40, 2, CPU);
    let plain = EmmaConfig::default();
    let capacity = |capacity_weight, capacity_penalty| Regularizers {
        capacity_weight,
        capacity_penalty,
        ..Regularizers::default()
    };
    let cases = [
        (plain, capacity(0.1, CapacityPenalty::GainMinusBias)),
        (plain, capacity(-0.1, CapacityPenalty::Gain)),
        (
            EmmaConfig {
                coldness: Coldness::new(0.7).unwrap(),
                ..plain
            },
            Regularizers {
                energy_weight: 0.05,
                ..Regularizers::default()
            },
        ),
        (
            EmmaConfig {
                coupling_exponent: CouplingExponent::Symmetric,
                coupling_limit: CouplingLimit::One,
                minimum_self_weight: 0.99,
                ..plain
            },
            Regularizers {
                energy_weight: 0.01,
                ..Regularizers::default()
            },
        ),
    ];
    for (config, regularizers) in cases {
        let build = || emma(config, regularizers);
        assert_both_ways_agree(build, &training, &validation, &settings(3));
    }
}

#[test]
fn mini_batches_of_any_size_mean_the_same_by_both_ways() {
    let validation = rows(7, 2, CPU);
    for (n_rows, batch_size) in [(1, 1), (5, 1), (33, 32), (100, 64), (70, 70)] {
        let training = rows(n_rows, 1, CPU);
        let config = TrainingConfig {
            batch_size,
            ..settings(2)
        };
        assert_both_ways_agree(|| built("emma"), &training, &validation, &config);
    }
}

#[test]
fn given_potentials_count_by_both_ways() {
    let potentials = |batch: Batch| {
        let values = batch.modes()[0].narrow(1, 0, 2).unwrap();
        batch
            .with_potentials(PotentialEnergies::new(values).unwrap())
            .unwrap()
    };
    let (training, validation) = (potentials(rows(90, 1, CPU)), potentials(rows(40, 2, CPU)));
    assert_both_ways_agree(|| built("emma"), &training, &validation, &settings(2));
}

#[test]
fn models_trained_together_are_those_trained_alone_to_the_same_bits() {
    let training = with_signs(&rows(150, 1, CPU));
    // Some wrong labels: being sure of the others is punished sooner or later.
    let validation = rows(50, 2, CPU);
    let labels = (0..50).map(|row| f32::from(u8::from(row % 3 == 0 || row % 7 == 0)));
    let labels = Tensor::from_iter(labels, CPU).unwrap();
    let validation = Batch::new(validation.modes().to_vec(), labels).unwrap();
    let config = TrainingConfig {
        patience: Some(1),
        ..settings(30)
    };
    let weights = [0., 0.001, 0.1, 10.];
    let build = || {
        weights.map(|weight| {
            let regularizers = Regularizers {
                energy_weight: weight,
                capacity_weight: weight,
                ..Regularizers::default()
            };
            let (model, variables) = emma(EmmaConfig::default(), regularizers);
            // Some begin further away.
            let name = "network.2.weight";
            let first = &variables.snapshot().unwrap()[name];
            let scaled = (first * (1. + 20. * weight)).unwrap();
            variables.preset(name, &scaled).unwrap();
            (model, variables)
        })
    };
    let together = build();
    let trainees: Vec<Trainee<'_, Coupled<Mlp>>> = together
        .iter()
        .map(|(model, variables)| Trainee { model, variables })
        .collect();
    let seen = std::sync::Mutex::new(BTreeMap::<usize, Vec<usize>>::new());
    let histories = train_together(
        &trainees,
        &training,
        &validation,
        &config,
        &mut emma_testkit::rng(3),
        |index, losses| {
            seen.lock()
                .unwrap()
                .entry(index)
                .or_default()
                .push(losses.epoch);
        },
    )
    .unwrap();
    let lengths: Vec<usize> = histories
        .iter()
        .map(|history| history.epochs.len())
        .collect();
    assert!(
        lengths.iter().any(|&length| length != lengths[0]),
        "one must stop before another: {lengths:?}"
    );
    for (index, (model, variables)) in build().iter().enumerate() {
        let alone = learn(model, variables, &training, &validation, &config).unwrap();
        assert_eq!(histories[index], alone);
        let epochs: Vec<usize> = (1..=lengths[index]).collect();
        assert_eq!(seen.lock().unwrap()[&index], epochs);
        assert_same_parameters(&together[index].1, variables, 0.);
    }
}

/// What the variables say after an epoch is what the model then is.
#[test]
fn variables_follow_every_epoch() {
    let built = build("emma", 1, CPU);
    let batch = rows(60, 1, CPU);
    let mut seen = Vec::new();
    let mut rng = emma_testkit::rng(3);
    let history = train(
        &built.model,
        &built.variables,
        &batch,
        &batch,
        &settings(4),
        &mut rng,
        |_| {
            let output = built.model.forward(batch.modes(), None).unwrap();
            let loss =
                emma_models::binary_cross_entropy(&output.logits, batch.labels(), 1.5).unwrap();
            seen.push(values(&loss).unwrap()[0]);
        },
    )
    .unwrap();
    let expected: Vec<f64> = history
        .epochs
        .iter()
        .map(|losses| losses.validation)
        .collect();
    assert_close("losses", &seen, &expected, 1e-6, 1e-6);
}

#[test]
fn estimators_that_train_and_other_types_are_left_to_candle() {
    // Estimators of the same map: stage two changes them.
    let variables = SeededVarMap::new(emma_testkit::rng(5));
    let vb = variables.var_builder(DType::F32, CPU);
    let estimators = common::FEATURES.map(|n_features| {
        let sizes = AutoencoderConfig {
            n_features,
            n_hidden: 5,
        };
        let autoencoder = DenoisingAutoencoder::new(&sizes, &vb.pp(n_features)).unwrap();
        Box::new(PotentialEnergy(autoencoder)) as Box<dyn EnergyEstimator>
    });
    let minimum = Tensor::new(&[-4f32, -3.], CPU).unwrap();
    let emma = Emma::new(&EmmaConfig::default(), &minimum, &vb.pp("attention")).unwrap();
    let network = MlpConfig {
        n_inputs: 5,
        ..MlpConfig::default()
    };
    let network = Mlp::new(&network, &vb.pp("network")).unwrap();
    let model = Coupled::new(estimators.into(), emma, Regularizers::default(), network).unwrap();
    let before = variables.snapshot().unwrap();
    let batch = rows(64, 1, CPU);
    learn(&model, &variables, &batch, &batch, &settings(2)).unwrap();
    let after = variables.snapshot().unwrap();
    for name in [
        "2.weight",
        "3.encoder_bias",
        "attention.gain",
        "network.0.bias",
    ] {
        let (before, after) = (
            values(&before[name]).unwrap(),
            values(&after[name]).unwrap(),
        );
        assert_ne!(before, after, "{name}");
    }

    let variables = SeededVarMap::new(emma_testkit::rng(5));
    let vb = variables.var_builder(DType::F64, CPU);
    let network = MlpConfig {
        n_inputs: 5,
        ..MlpConfig::default()
    };
    let network = Mlp::new(&network, &vb).unwrap();
    let model = Concatenation { network };
    let wide = |tensor: &Tensor| tensor.to_dtype(DType::F64).unwrap();
    let modes = batch.modes().iter().map(wide).collect();
    let batch = Batch::new(modes, wide(batch.labels())).unwrap();
    let history = learn(&model, &variables, &batch, &batch, &settings(3)).unwrap();
    assert!(history.epochs[2].training < history.epochs[0].training);
}

#[test]
fn rows_that_do_not_fit_have_the_same_error_by_both_ways() {
    let complete = rows(20, 1, CPU);
    let regularizers = Regularizers {
        energy_weight: 0.1,
        ..Regularizers::default()
    };
    let no_signs = complete.clone();
    let one_mode = Batch::new(complete.modes()[..1].to_vec(), complete.labels().clone()).unwrap();
    let swapped = [1, 0].map(|mode: usize| complete.modes()[mode].clone());
    let swapped = Batch::new(swapped.to_vec(), complete.labels().clone()).unwrap();
    let one_row = complete.narrow(0, 1).unwrap();
    let empty = complete.narrow(0, 0).unwrap();
    let wide = complete.labels().to_dtype(DType::F64).unwrap();
    let mixed = Batch::new(complete.modes().to_vec(), wide).unwrap();
    let of_mode = |factor: f64| {
        let mode = (&complete.modes()[0] * factor).unwrap();
        with_signs(
            &Batch::new(
                vec![mode, complete.modes()[1].clone()],
                complete.labels().clone(),
            )
            .unwrap(),
        )
    };
    for batch in [
        no_signs,
        one_mode,
        swapped,
        one_row,
        empty,
        mixed,
        of_mode(f64::INFINITY),
        of_mode(f64::NAN),
    ] {
        let (fused, variables) = emma(EmmaConfig::default(), regularizers);
        let found = learn(&fused, &variables, &batch, &batch, &settings(1)).unwrap_err();
        let (reference, variables) = emma(EmmaConfig::default(), regularizers);
        let reference = Formless(reference);
        let expected = learn(&reference, &variables, &batch, &batch, &settings(1)).unwrap_err();
        // Names of candle's operations and their backtraces aside.
        let first_line =
            |error: emma_models::Error| error.to_string().lines().next().map(String::from);
        assert_eq!(first_line(found), first_line(expected));
    }
}

/// Transposed and broadcast tensors have the values that they show.
#[test]
fn strided_rows_train_like_contiguous_ones() {
    let batch = rows(40, 1, CPU);
    let transposed = |tensor: &Tensor| tensor.t().unwrap().contiguous().unwrap().t().unwrap();
    let strided = Batch::new(
        batch.modes().iter().map(transposed).collect(),
        batch.labels().clone(),
    )
    .unwrap();
    assert!(!strided.modes()[0].is_contiguous());
    let (contiguous, other) = (build("emma", 1, CPU), build("emma", 1, CPU));
    let config = settings(2);
    let found = learn(&other.model, &other.variables, &strided, &strided, &config).unwrap();
    let variables = &contiguous.variables;
    let expected = learn(&contiguous.model, variables, &batch, &batch, &config).unwrap();
    assert_eq!(found, expected);
    assert_same_parameters(&other.variables, variables, 0.);
}

#[test]
fn what_a_model_does_not_look_at_may_be_anything() {
    let batch = rows(40, 1, CPU);
    let narrow = PotentialEnergies::new(batch.modes()[0].narrow(1, 0, 1).unwrap()).unwrap();
    let signs = with_signs(&batch)
        .corruption_sign()
        .unwrap()
        .to_dtype(DType::F64);
    let other = batch.clone().with_potentials(narrow).unwrap();
    let other = other.with_corruption_sign(signs.unwrap()).unwrap();
    for name in ["concatenation", "single_mode", "alternative"] {
        let (plain, odd) = (build(name, 1, CPU), build(name, 1, CPU));
        let expected = learn(&plain.model, &plain.variables, &batch, &batch, &settings(2));
        let found = learn(&odd.model, &odd.variables, &other, &other, &settings(2));
        assert_eq!(found.unwrap(), expected.unwrap(), "{name}");
    }
}

#[test]
fn a_mini_batch_larger_than_any_data_takes_no_more_room_than_the_data() {
    let batch = rows(40, 1, CPU);
    let config = TrainingConfig {
        batch_size: usize::MAX,
        ..settings(2)
    };
    let built = build("emma", 1, CPU);
    learn(&built.model, &built.variables, &batch, &batch, &config).unwrap();
}
