//! What an ensemble of perceptrons promises.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use candle_nn::{Module, VarBuilder};
use emma_energy::SeededVarMap;
use emma_models::{
    Batch, EnsembleAnswer, EnsembleMlp, EnsembleMlpConfig, Loss, Mlp, MlpConfig, MultiModalModel,
    TrainingConfig, binary_cross_entropy, squared_error, train,
};
use emma_testkit::gradcheck::assert_gradients;
use emma_testkit::tolerance::{assert_close, values};
use emma_testkit::{devices, devices_with};
use proptest::prelude::*;
use rand::Rng;

fn config(shared: bool, n_outputs: usize) -> EnsembleMlpConfig {
    EnsembleMlpConfig {
        n_inputs: 3,
        hidden: vec![5, 4],
        n_outputs,
        n_members: 3,
        shared,
        answer: EnsembleAnswer::MeanProbability,
    }
}

fn build(config: &EnsembleMlpConfig, dtype: DType, device: &Device) -> (EnsembleMlp, SeededVarMap) {
    let variables = SeededVarMap::new(emma_testkit::rng(7));
    let network = EnsembleMlp::new(config, &variables.var_builder(dtype, device)).unwrap();
    (network, variables)
}

fn rows(n_rows: usize, dtype: DType, device: &Device) -> Tensor {
    let mut rng = emma_testkit::rng(3);
    let values: Vec<f64> = (0..n_rows * 3)
        .map(|_| rng.random_range(-2.0..2.0))
        .collect();
    let rows = Tensor::from_vec(values, (n_rows, 3), &Device::Cpu).unwrap();
    rows.to_dtype(dtype).unwrap().to_device(device).unwrap()
}

/// An ensemble of one linear layer without inputs that matter: members' logits are their biases.
fn of_logits(logits: &[f64], answer: EnsembleAnswer) -> f64 {
    let n_members = logits.len();
    let weight = Tensor::zeros((n_members, 1, 1), DType::F64, &Device::Cpu).unwrap();
    let bias = Tensor::from_slice(logits, (n_members, 1), &Device::Cpu).unwrap();
    let tensors = HashMap::from([("0.weight".into(), weight), ("0.bias".into(), bias)]);
    let config = EnsembleMlpConfig {
        n_inputs: 1,
        hidden: Vec::new(),
        n_members,
        answer,
        ..EnsembleMlpConfig::default()
    };
    let vb = VarBuilder::from_tensors(tensors, DType::F64, &Device::Cpu);
    let network = EnsembleMlp::new(&config, &vb).unwrap();
    let row = Tensor::ones((1, 1), DType::F64, &Device::Cpu).unwrap();
    values(&Module::forward(&network, &row).unwrap()).unwrap()[0]
}

#[test]
fn the_answer_is_the_logit_of_the_mean_probability() {
    let logits = [0.3f64, -2., 1.7];
    let probability = logits.iter().map(|z| 1. / (1. + (-z).exp())).sum::<f64>() / 3.;
    let expected = (probability / (1. - probability)).ln();
    let found = of_logits(&logits, EnsembleAnswer::MeanProbability);
    assert!((found - expected).abs() < 1e-14, "{found} {expected}");
    let mean = of_logits(&logits, EnsembleAnswer::MeanOutput);
    assert!(mean.abs() < 1e-15, "{mean}");
}

/// Probabilities of 1 to the last digit, whose logit no probability remembers.
#[test]
fn the_answer_does_not_saturate() {
    let of = |logits: &[f64]| of_logits(logits, EnsembleAnswer::MeanProbability);
    for size in [40f64, 700., 1e5] {
        assert!((of(&[size, size]) / size - 1.).abs() < 1e-15);
        assert!((of(&[-size, -size]) / size + 1.).abs() < 1e-15);
        // Half of the probability is lost with the member that says no: 1 − p is 1/2.
        assert!(of(&[size, -size]).abs() < 1e-14);
    }
    // 1 − p is half of e^-50, and the other member's e^-800 nothing beside it.
    assert!((of(&[50., 800.]) - (50. + 2f64.ln())).abs() < 1e-13);
    let single = 0.1 + 0.2;
    assert_eq!(of(&[single]).to_bits(), single.to_bits());
}

#[test]
fn several_classes_answer_with_the_logarithm_of_mean_probabilities() {
    for device in devices_with(DType::F64) {
        let (network, _) = build(&config(false, 4), DType::F64, device);
        let rows = rows(6, DType::F64, device);
        let members = network.member_logits(&rows).unwrap();
        assert_eq!(members.dims(), [6, 3, 4]);
        let probabilities = candle_nn::ops::softmax(&members, 2).unwrap();
        let expected = probabilities.mean(1).unwrap().log().unwrap();
        let found = Module::forward(&network, &rows).unwrap();
        assert_eq!(found.dims(), [6, 4]);
        let [found, expected] = [found, expected].map(|tensor| values(&tensor).unwrap());
        assert_close("log mean probability", &found, &expected, 1e-13, 1e-13);
    }
}

/// Members are [`Mlp`]s, whose products are added in the same order.
#[test]
fn members_are_perceptrons_of_their_own() {
    let (network, variables) = build(&config(false, 1), DType::F32, &Device::Cpu);
    let rows = rows(9, DType::F32, &Device::Cpu);
    let logits = network.member_logits(&rows).unwrap();
    assert_eq!(logits.dims(), [9, 3]);
    for member in 0..3 {
        let own = variables.snapshot().unwrap().into_iter();
        let own = own.map(|(name, tensor)| (name, tensor.get(member).unwrap()));
        let vb = VarBuilder::from_tensors(own.collect(), DType::F32, &Device::Cpu);
        let one = MlpConfig {
            n_inputs: 3,
            hidden: vec![5, 4],
            n_outputs: 1,
        };
        let expected = Mlp::new(&one, &vb).unwrap().forward(&rows).unwrap();
        let found = logits.narrow(1, member, 1).unwrap();
        let [found, expected] = [found, expected].map(|tensor| values(&tensor).unwrap());
        // A dozen products, fused with their sums or not.
        assert_close(&format!("{member}"), &found, &expected, 1e-6, 1e-6);
    }
}

/// By hand, in plain loops.
#[test]
fn shared_members_are_the_equation_with_adapters() {
    let (network, variables) = build(&config(true, 1), DType::F64, &Device::Cpu);
    let rows = rows(4, DType::F64, &Device::Cpu);
    let tensors = variables.snapshot().unwrap();
    assert_eq!(tensors["0.weight"].dims(), [5, 3]);
    assert_eq!(tensors["2.weight"].dims(), [3, 1, 4]);
    let matrix = |name: &str, member| tensors[name].get(member).unwrap();
    let vector = |name: &str, member| values(&matrix(name, member)).unwrap();
    let logits = network.member_logits(&rows).unwrap();
    for (row, found) in logits.to_vec2::<f64>().unwrap().iter().enumerate() {
        for (member, &found) in found.iter().enumerate() {
            let mut hidden = values(&rows.get(row).unwrap()).unwrap();
            for layer in ["0", "1"] {
                let name = |part: &str| format!("{layer}.{part}");
                let input = vector(&name("input_adapter"), member);
                let output = vector(&name("output_adapter"), member);
                let bias = vector(&name("bias"), member);
                let weight = tensors[&name("weight")].to_vec2::<f64>().unwrap();
                hidden = (0..bias.len())
                    .map(|unit| {
                        let products =
                            (0..hidden.len()).map(|i| weight[unit][i] * input[i] * hidden[i]);
                        (output[unit] * products.sum::<f64>() + bias[unit]).max(0.)
                    })
                    .collect();
            }
            let weight = vector("2.weight", member);
            let products = hidden
                .iter()
                .zip(weight)
                .map(|(value, weight)| value * weight);
            let expected = products.sum::<f64>() + vector("2.bias", member)[0];
            assert!(
                (found - expected).abs() < 1e-13,
                "{row} {member}: {found} {expected}"
            );
        }
    }
}

#[test]
fn first_values_are_as_documented() {
    let wide = EnsembleMlpConfig {
        n_inputs: 100,
        hidden: vec![50],
        n_members: 3,
        ..EnsembleMlpConfig::default()
    };
    let (_, variables) = build(&wide, DType::F64, &Device::Cpu);
    for (name, bound) in [("0.weight", 0.1f64), ("1.weight", 1. / 50f64.sqrt())] {
        for member in 0..3 {
            let own = variables.snapshot().unwrap()[name].get(member).unwrap();
            let own = values(&own).unwrap();
            let largest = own
                .iter()
                .fold(0f64, |largest, value| largest.max(value.abs()));
            assert!(
                (0.8 * bound..=bound).contains(&largest),
                "{name} {member}: {largest}"
            );
        }
    }
    let (_, variables) = build(&config(true, 1), DType::F64, &Device::Cpu);
    let tensors = variables.snapshot().unwrap();
    for name in ["0.output_adapter", "1.input_adapter", "1.output_adapter"] {
        assert!(
            values(&tensors[name])
                .unwrap()
                .iter()
                .all(|value| (value - 1.).abs() < 1e-300)
        );
    }
    let first = values(&tensors["0.input_adapter"]).unwrap();
    assert!(first.iter().any(|value| (value - 1.).abs() > 0.1));
}

#[test]
fn the_training_loss_is_the_mean_of_the_members_own() {
    for device in devices_with(DType::F64) {
        for shared in [false, true] {
            for loss in [Loss::BinaryCrossEntropy, Loss::SquaredError] {
                let (network, _) = build(&config(shared, 1), DType::F64, device);
                let rows = rows(6, DType::F64, device);
                let labels = Tensor::new(&[0f64, 1., 1., 0., 1., 0.], device).unwrap();
                let training = TrainingConfig {
                    positive_weight: if loss == Loss::SquaredError { 1. } else { 2.5 },
                    loss,
                    ..TrainingConfig::default()
                };
                let logits = network.member_logits(&rows).unwrap();
                let own = (0..3).map(|member| {
                    let logits = logits.narrow(1, member, 1).unwrap().squeeze(1).unwrap();
                    let loss = match loss {
                        Loss::SquaredError => squared_error(&logits, &labels),
                        _ => binary_cross_entropy(&logits, &labels, 2.5),
                    };
                    values(&loss.unwrap()).unwrap()[0]
                });
                let expected = own.sum::<f64>() / 3.;
                let batch = Batch::new(
                    vec![rows.narrow(1, 0, 1).unwrap(), rows.narrow(1, 1, 2).unwrap()],
                    labels,
                );
                let found = MultiModalModel::training_loss(&network, &batch.unwrap(), &training);
                let found = values(&found.unwrap().unwrap()).unwrap()[0];
                assert!((found - expected).abs() < 1e-13, "{found} {expected}");
            }
        }
    }
}

/// Away from the kinks of ReLU, which the seed's values are.
#[test]
fn gradients_are_those_of_central_differences() {
    for (shared, n_outputs) in [(false, 1), (true, 1), (false, 3), (true, 3)] {
        let (network, variables) = build(&config(shared, n_outputs), DType::F64, &Device::Cpu);
        let rows = rows(5, DType::F64, &Device::Cpu);
        let labels = Tensor::new(&[0f64, 1., 1., 0., 1.], &Device::Cpu).unwrap();
        let training = TrainingConfig {
            loss: if n_outputs == 1 {
                Loss::BinaryCrossEntropy
            } else {
                Loss::CrossEntropy
            },
            ..TrainingConfig::default()
        };
        let named = variables.named_vars();
        let named: Vec<_> = named
            .iter()
            .map(|(name, var)| (name.as_str(), var))
            .collect();
        // Richardson's fourth order leaves 1e-9 of values of size 1.
        let loss = || {
            let loss = network.mean_member_loss(&rows, &labels, &training);
            loss.map_err(candle_core::Error::wrap)
        };
        assert_gradients(&named, loss, 1e-7, 1e-9).unwrap();
        let answer = || Module::forward(&network, &rows)?.sqr()?.sum_all();
        assert_gradients(&named, answer, 1e-7, 1e-9).unwrap();
    }
}

#[test]
fn an_ensemble_learns_what_one_straight_line_cannot() {
    for device in devices() {
        for shared in [false, true] {
            let mut rng = emma_testkit::rng(5);
            let values: Vec<f32> = (0..400 * 3).map(|_| rng.random_range(-1f32..1.)).collect();
            let labels: Vec<f32> = values
                .chunks_exact(3)
                .map(|row| f32::from(row[0] * row[1] > 0.))
                .collect();
            let rows = Tensor::from_vec(values, (400, 3), device).unwrap();
            let labels = Tensor::from_vec(labels, 400, device).unwrap();
            let batch = Batch::new(vec![rows], labels).unwrap();
            let sizes = EnsembleMlpConfig {
                hidden: vec![16, 16],
                ..config(shared, 1)
            };
            let (network, variables) = build(&sizes, DType::F32, device);
            let training = TrainingConfig {
                n_epochs: 40,
                learning_rate: 1e-2,
                ..TrainingConfig::default()
            };
            let mut rng = emma_testkit::rng(6);
            let history = train(
                &network,
                &variables,
                &batch,
                &batch,
                &training,
                &mut rng,
                |_| {},
            );
            let best = history.unwrap().best_validation_loss();
            // Whoever always says one half has 0.69.
            assert!(best < 0.2, "shared {shared}: {best}");
        }
    }
}

#[test]
fn sizes_of_zero_are_refused() {
    let message = |config: &EnsembleMlpConfig| {
        let variables = SeededVarMap::new(emma_testkit::rng(1));
        let vb = variables.var_builder(DType::F32, &Device::Cpu);
        EnsembleMlp::new(config, &vb).unwrap_err().to_string()
    };
    let no_members = EnsembleMlpConfig {
        n_members: 0,
        ..config(false, 1)
    };
    assert_eq!(message(&no_members), "n_members must be at least 1, got 0");
    let no_units = EnsembleMlpConfig {
        hidden: vec![4, 0],
        ..config(true, 1)
    };
    assert_eq!(
        message(&no_units),
        "network width must be at least 1, got [3, 4, 0, 1]"
    );
    let (network, _) = build(&config(false, 1), DType::F32, &Device::Cpu);
    let other = Tensor::zeros((2, 4), DType::F32, &Device::Cpu).unwrap();
    assert!(network.member_logits(&other).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// On the CPU, which alone promises the bits.
    #[test]
    fn a_row_has_the_same_bits_in_every_batch(
        n_rows in 1_usize..70,
        start in 0_usize..69,
        shared in any::<bool>(),
        n_outputs in 1_usize..4,
    ) {
        let sizes = EnsembleMlpConfig { hidden: vec![33, 17], ..config(shared, n_outputs) };
        let (network, _) = build(&sizes, DType::F32, &Device::Cpu);
        let rows = rows(n_rows, DType::F32, &Device::Cpu);
        let all = Module::forward(&network, &rows).unwrap().to_vec2::<f32>().unwrap();
        let start = start.min(n_rows - 1);
        let part = rows.narrow(0, start, n_rows - start).unwrap();
        let part = Module::forward(&network, &part).unwrap().to_vec2::<f32>().unwrap();
        prop_assert_eq!(&all[start..], &part[..]);
        let one = rows.narrow(0, start, 1).unwrap();
        let one = Module::forward(&network, &one).unwrap().to_vec2::<f32>().unwrap();
        prop_assert_eq!(&all[start], &one[0]);
    }
}
