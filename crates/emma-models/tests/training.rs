//! Training learns, stops at the best epoch, and says when it cannot go on.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod common;

use candle_core::{DType, Module, Tensor, Var};
use common::{FEATURES, MODELS, build, rows};
use emma_attention::{Emma, EmmaConfig, Regularizers};
use emma_energy::{EnergyEstimator, SeededVarMap};
use emma_models::{
    Batch, ConfusionMatrix, Coupled, MultiModalModel, TrainingConfig, TrainingRows,
    binary_cross_entropy, constant_prediction_loss, train, train_without_validation,
};
use emma_testkit::gradcheck::assert_gradients;
use emma_testkit::tolerance::{assert_close, values};
use emma_testkit::{devices, devices_with};

fn settings(n_epochs: usize) -> TrainingConfig {
    TrainingConfig {
        n_epochs,
        learning_rate: 1e-2,
        ..TrainingConfig::default()
    }
}

fn f1(model: &impl MultiModalModel, batch: &Batch) -> f64 {
    let output = model.forward(batch.modes(), None).unwrap();
    let probabilities: Vec<f32> = output.probabilities().unwrap().to_vec1().unwrap();
    let labels: Vec<u8> = values(batch.labels())
        .unwrap()
        .iter()
        .map(|&label| u8::from(label > 0.5))
        .collect();
    ConfusionMatrix::at_threshold(&probabilities, &labels, 0.5)
        .unwrap()
        .f1()
}

#[test]
fn every_model_learns_a_learnable_problem() {
    for device in devices() {
        for name in MODELS {
            let built = build(name, 1, device);
            let (training, validation) = (rows(300, 1, device), rows(100, 2, device));
            let mut rng = emma_testkit::rng(3);
            let history = train(
                &built.model,
                &built.variables,
                &training,
                &validation,
                &settings(15),
                &mut rng,
                |_| {},
            )
            .unwrap();
            assert_eq!(history.epochs.len(), 15);
            let score = f1(&built.model, &rows(200, 9, device));
            assert!(score > 0.85, "{name}: {score}");
        }
    }
}

#[test]
fn the_parameters_of_the_best_epoch_are_kept() {
    for device in devices() {
        let built = build("concatenation", 1, device);
        let training = rows(64, 1, device);
        // Validation labels that contradict the training rows: every epoch makes it worse.
        let opposite = rows(64, 2, device);
        let labels = (opposite.labels().ones_like().unwrap() - opposite.labels()).unwrap();
        let validation = Batch::new(opposite.modes().to_vec(), labels).unwrap();
        let mut rng = emma_testkit::rng(3);
        let mut seen = Vec::new();
        let history = train(
            &built.model,
            &built.variables,
            &training,
            &validation,
            &settings(8),
            &mut rng,
            |losses| seen.push(*losses),
        )
        .unwrap();
        assert_eq!(seen, history.epochs);
        let best = history
            .epochs
            .iter()
            .min_by(|a, b| a.validation.total_cmp(&b.validation))
            .unwrap();
        assert_eq!(history.best_epoch, best.epoch);
        assert!(best.epoch < 8, "the case must overfit to test anything");
        let output = built.model.forward(validation.modes(), None).unwrap();
        let loss = binary_cross_entropy(&output.logits, validation.labels(), 1.).unwrap();
        assert_close(
            "loss",
            &values(&loss).unwrap(),
            &[best.validation],
            1e-6,
            1e-9,
        );
    }
}

#[test]
fn patience_stops_training_that_no_longer_helps() {
    for device in devices() {
        let built = build("concatenation", 1, device);
        let opposite = rows(64, 2, device);
        let labels = (opposite.labels().ones_like().unwrap() - opposite.labels()).unwrap();
        let validation = Batch::new(opposite.modes().to_vec(), labels).unwrap();
        let config = TrainingConfig {
            patience: Some(2),
            ..settings(50)
        };
        let mut rng = emma_testkit::rng(3);
        let (model, variables) = (&built.model, &built.variables);
        let history = train(
            model,
            variables,
            &rows(64, 1, device),
            &validation,
            &config,
            &mut rng,
            |_| {},
        )
        .unwrap();
        assert_eq!(history.epochs.len(), history.best_epoch + 2);
    }
}

#[test]
fn retraining_runs_exactly_the_epochs_it_is_told() {
    for device in devices() {
        let both = rows(64, 1, device)
            .followed_by(&rows(32, 2, device))
            .unwrap();
        assert_eq!(both.n_rows(), 96);
        let built = build("emma", 1, device);
        let before = built.variables.snapshot().unwrap();
        let mut rng = emma_testkit::rng(3);
        let config = settings(3);
        let mut counting = Counting(Vec::new(), both);
        let (model, variables) = (&built.model, &built.variables);
        train_without_validation(model, variables, &mut counting, &config, &mut rng).unwrap();
        assert_eq!(counting.0, [1, 2, 3]);
        let after = built.variables.snapshot().unwrap();
        assert_ne!(
            values(&before["network.0.weight"]).unwrap(),
            values(&after["network.0.weight"]).unwrap()
        );
    }
}

#[test]
fn frozen_estimators_and_minimum_potentials_do_not_train() {
    for device in devices() {
        let built = build("emma", 1, device);
        let energies = built.energies.as_ref().unwrap();
        let batch = rows(64, 1, device);
        let output = built.model.forward(batch.modes(), None).unwrap();
        let gradients = output.logits.sum_all().unwrap().backward().unwrap();
        for variable in energies.all_vars() {
            assert!(
                gradients.get(&variable).is_none(),
                "a frozen estimator receives a gradient"
            );
        }
        let trained: Vec<String> = built.variables.snapshot().unwrap().into_keys().collect();
        assert!(trained.iter().all(|name| !name.starts_with("energy.")));
        assert!(!trained.contains(&"attention.minimum_potential".to_owned()));
    }
}

#[test]
fn parameters_are_put_back_into_their_ranges() {
    for device in devices() {
        let built = build("emma", 1, device);
        let outside = Tensor::new(&[-5f32, -5.], device).unwrap();
        built
            .variables
            .preset("attention.self_weight", &outside)
            .unwrap();
        let batch = rows(32, 1, device);
        // Given potentials keep the first forward pass finite, whatever the weights.
        let zeros = Tensor::zeros((32, 2), DType::F32, device).unwrap();
        let potentials = emma_attention::PotentialEnergies::new(zeros).unwrap();
        built
            .variables
            .preset("attention.self_bias", &(outside * -20.).unwrap())
            .unwrap();
        let batch = batch.with_potentials(potentials).unwrap();
        let mut rng = emma_testkit::rng(3);
        let (model, variables) = (&built.model, &built.variables);
        train(
            model,
            variables,
            &batch,
            &batch,
            &settings(1),
            &mut rng,
            |_| {},
        )
        .unwrap();
        let after = &variables.snapshot().unwrap()["attention.self_weight"];
        assert!(
            values(after)
                .unwrap()
                .iter()
                .all(|&weight| weight >= 1e-3 - 1e-9)
        );
    }
}

#[test]
fn potentials_that_are_given_are_used() {
    for device in devices() {
        let built = build("emma", 1, device);
        let batch = rows(16, 1, device);
        let computed = built.model.forward(batch.modes(), None).unwrap();
        let estimators: Vec<Box<dyn EnergyEstimator>> = vec![Box::new(Norm(3)), Box::new(Norm(2))];
        let other =
            emma_attention::PotentialEnergies::estimate(&estimators, batch.modes()).unwrap();
        let given = built.model.forward(batch.modes(), Some(&other)).unwrap();
        assert_ne!(
            values(&computed.logits).unwrap(),
            values(&given.logits).unwrap(),
            "given potentials are used"
        );
    }
}

#[test]
fn divergence_is_an_error_that_names_the_epoch() {
    for device in devices() {
        let built = build("concatenation", 1, device);
        let batch = rows(32, 1, device);
        let infinite = (&batch.modes()[0] * f64::INFINITY).unwrap();
        let broken = Batch::new(
            vec![infinite, batch.modes()[1].clone()],
            batch.labels().clone(),
        )
        .unwrap();
        let mut rng = emma_testkit::rng(3);
        let (model, variables) = (&built.model, &built.variables);
        let error = train(
            model,
            variables,
            &broken,
            &batch,
            &settings(2),
            &mut rng,
            |_| {},
        );
        let error = error.unwrap_err().to_string();
        // Infinity times zero turns up at other places on other devices.
        let at = if device.is_cpu() { "NaN" } else { "" };
        assert!(
            error.starts_with(&format!("the training loss is {at}")),
            "{error}"
        );
        assert!(error.ends_with(" in epoch 1: training diverged"), "{error}");
    }
}

#[test]
fn cross_entropy_is_the_negative_log_likelihood_at_any_weight() {
    for device in devices_with(DType::F64) {
        let logits = Var::new(&[-3f64, -0.5, 0.7, 4.], device).unwrap();
        let labels = Tensor::new(&[0f64, 1., 0., 1.], device).unwrap();
        for weight in [1., 2.5] {
            let expected: f64 = [(-3f64, 0.), (-0.5, 1.), (0.7, 0.), (4., 1.)]
                .iter()
                .map(|&(z, y): &(f64, f64)| {
                    let p = 1. / (1. + (-z).exp());
                    -(weight * y * p.ln() + (1. - y) * (1. - p).ln())
                })
                .sum::<f64>()
                / 4.;
            let loss =
                || binary_cross_entropy(&logits, &labels, weight).map_err(candle_core::Error::wrap);
            assert_close(
                "loss",
                &values(&loss().unwrap()).unwrap(),
                &[expected],
                1e-12,
                0.,
            );
            assert_gradients(&[("logits", &logits)], loss, 1e-8, 1e-10).unwrap();
        }
        let extreme = Tensor::new(&[1e4f32, -1e4], device).unwrap();
        let labels = Tensor::new(&[0f32, 1.], device).unwrap();
        let loss = binary_cross_entropy(&extreme, &labels, 1.).unwrap();
        assert_close("extreme", &values(&loss).unwrap(), &[1e4], 1e-6, 0.);
    }
}

fn weighing(positive_weight: f64) -> TrainingConfig {
    TrainingConfig {
        positive_weight,
        ..TrainingConfig::default()
    }
}

#[test]
fn no_constant_prediction_has_a_smaller_loss() {
    for device in devices_with(DType::F64) {
        let labels = Tensor::new(&[1f64, 0., 0., 0., 1., 0., 0., 0.], device).unwrap();
        for weight in [1., 3.] {
            let least = constant_prediction_loss(&labels, &weighing(weight)).unwrap();
            let smallest = (-400..400)
                .map(|step| {
                    let logits = (labels.ones_like().unwrap() * (f64::from(step) / 100.)).unwrap();
                    let loss = binary_cross_entropy(&logits, &labels, weight).unwrap();
                    values(&loss).unwrap()[0]
                })
                .fold(f64::INFINITY, f64::min);
            assert_close("loss", &[least], &[smallest], 1e-5, 0.);
        }
        let ones = Tensor::ones(3, DType::F32, device).unwrap();
        assert!(
            constant_prediction_loss(&ones, &weighing(1.))
                .unwrap()
                .abs()
                < 1e-12
        );
    }
}

/// Rows that note which epochs asked for them.
struct Counting(Vec<usize>, Batch);

impl TrainingRows for &mut Counting {
    fn of_epoch(&mut self, epoch: usize) -> emma_models::Result<Batch> {
        self.0.push(epoch);
        Ok(self.1.clone())
    }
}

#[test]
fn every_epoch_asks_for_its_rows() {
    for device in devices() {
        let built = build("concatenation", 1, device);
        let mut counting = Counting(Vec::new(), rows(32, 1, device));
        let mut rng = emma_testkit::rng(3);
        let (model, variables) = (&built.model, &built.variables);
        let validation = rows(32, 99, device);
        train(
            model,
            variables,
            &mut counting,
            &validation,
            &settings(3),
            &mut rng,
            |_| {},
        )
        .unwrap();
        assert_eq!(counting.0, [1, 2, 3]);
    }
}

/// A model that counts how often its parameters are put back into their ranges.
struct CountingProjections<'a>(&'a dyn MultiModalModel, std::cell::Cell<usize>);

impl MultiModalModel for CountingProjections<'_> {
    fn forward(
        &self,
        modes: &[Tensor],
        potentials: Option<&emma_attention::PotentialEnergies>,
    ) -> emma_models::Result<emma_models::ModelOutput> {
        self.0.forward(modes, potentials)
    }

    fn project(&self) -> emma_models::Result<()> {
        self.1.set(self.1.get() + 1);
        self.0.project()
    }
}

#[test]
fn every_step_is_followed_by_a_projection() {
    for device in devices() {
        let built = build("emma", 1, device);
        let model = CountingProjections(&built.model, std::cell::Cell::new(0));
        let mut rng = emma_testkit::rng(3);
        let config = settings(2);
        train_without_validation(
            &model,
            &built.variables,
            &rows(70, 1, device),
            &config,
            &mut rng,
        )
        .unwrap();
        assert_eq!(model.1.get(), 2 * 3, "70 rows are three mini-batches of 32");
    }
}

/// An estimator and a network that no crate of the workspace knows.
struct Norm(usize);

impl EnergyEstimator for Norm {
    fn n_features(&self) -> usize {
        self.0
    }

    fn energy(&self, rows: &Tensor) -> emma_energy::Result<Tensor> {
        Ok(rows.sqr()?.sum(1)?)
    }
}

struct Bilinear {
    left: candle_nn::Linear,
    right: candle_nn::Linear,
}

impl Module for Bilinear {
    fn forward(&self, rows: &Tensor) -> candle_core::Result<Tensor> {
        (self.left.forward(rows)? * self.right.forward(rows)?)?.sum(1)
    }
}

#[test]
fn emma_goes_in_front_of_a_network_of_ones_own() {
    for device in devices() {
        let variables = SeededVarMap::new(emma_testkit::rng(1));
        let vb = variables.var_builder(DType::F32, device);
        let n_features = FEATURES.iter().sum();
        let network = Bilinear {
            left: candle_nn::linear(n_features, 4, vb.pp("left")).unwrap(),
            right: candle_nn::linear(n_features, 4, vb.pp("right")).unwrap(),
        };
        let minimum = Tensor::zeros(2, DType::F32, device).unwrap();
        let emma = Emma::new(&EmmaConfig::default(), &minimum, &vb.pp("attention")).unwrap();
        let estimators: Vec<Box<dyn EnergyEstimator>> = vec![Box::new(Norm(3)), Box::new(Norm(2))];
        let model = Coupled::new(estimators, emma, Regularizers::default(), network).unwrap();
        let mut rng = emma_testkit::rng(3);
        let (training, validation) = (rows(300, 1, device), rows(100, 2, device));
        train(
            &model,
            &variables,
            &training,
            &validation,
            &settings(15),
            &mut rng,
            |_| {},
        )
        .unwrap();
        let score = f1(&model, &rows(200, 9, device));
        assert!(score > 0.85, "{score}");
    }
}

#[test]
fn the_energy_regularizer_needs_and_uses_corruption_signs() {
    for device in devices() {
        let signs = Tensor::ones((64, 2), DType::F32, device).unwrap();
        let train_with = |weight: f64, signs: Option<&Tensor>| {
            let variables = SeededVarMap::new(emma_testkit::rng(1));
            let vb = variables.var_builder(DType::F32, device);
            let minimum = Tensor::zeros(2, DType::F32, device).unwrap();
            let emma = Emma::new(&EmmaConfig::default(), &minimum, &vb.pp("attention")).unwrap();
            let network = candle_nn::linear(5, 1, vb.pp("network")).unwrap();
            let estimators: Vec<Box<dyn EnergyEstimator>> =
                vec![Box::new(Norm(3)), Box::new(Norm(2))];
            let regularizers = Regularizers {
                energy_weight: weight,
                ..Regularizers::default()
            };
            let model = Coupled::new(estimators, emma, regularizers, network).unwrap();
            let mut batch = rows(64, 1, device);
            if let Some(signs) = signs {
                batch = batch.with_corruption_sign(signs.clone()).unwrap();
            }
            let mut rng = emma_testkit::rng(3);
            train(
                &model,
                &variables,
                &batch,
                &batch,
                &settings(2),
                &mut rng,
                |_| {},
            )?;
            Ok::<_, emma_models::Error>(
                values(&variables.snapshot().unwrap()["attention.self_weight"]).unwrap(),
            )
        };
        assert!(train_with(0.5, None).is_err());
        assert_ne!(
            train_with(0., None).unwrap(),
            train_with(0.5, Some(&signs)).unwrap()
        );
    }
}
