//! The other ways to fuse modes do what their papers say.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use emma_energy::SeededVarMap;
use emma_models::baselines::{Beliefs, Mixture, ModeDecisions, Opinions, combine, ranking_penalty};
use emma_models::{
    Batch, EmbraceNet, EmbraceNetConfig, Error, Loss, MixtureOfExperts, MixtureOfExpertsConfig,
    MultiModalModel, PredictiveDynamicFusion, PredictiveDynamicFusionConfig, QualityAwareFusion,
    QualityAwareFusionConfig, TrainingConfig, TrustedMultiView, TrustedMultiViewConfig,
    binary_cross_entropy, train,
};
use emma_testkit::gradcheck::{assert_gradients, numeric_gradient};
use emma_testkit::tolerance::{assert_close, values};
use rand::Rng;
use statrs::function::gamma::{digamma, ln_gamma};

const RIVALS: [&str; 6] = [
    "embrace_net",
    "mixture",
    "mixture_with_joint_expert",
    "quality_aware",
    "predictive_dynamic",
    "trusted",
];

type Rival = Box<dyn MultiModalModel + Send + Sync>;

fn embrace_net_config(n_features: &[usize]) -> EmbraceNetConfig {
    EmbraceNetConfig {
        n_features: n_features.to_vec(),
        docking_hidden: vec![5],
        n_embedding: 6,
        terminal_hidden: vec![4],
    }
}

fn mixture_config(n_features: &[usize], joint_expert: bool) -> MixtureOfExpertsConfig {
    MixtureOfExpertsConfig {
        n_features: n_features.to_vec(),
        expert_hidden: vec![5],
        gate_hidden: vec![4],
        joint_expert,
    }
}

fn quality_aware_config(n_features: &[usize]) -> QualityAwareFusionConfig {
    QualityAwareFusionConfig {
        n_features: n_features.to_vec(),
        hidden: vec![5, 4],
        temperature: 2.,
        confidence_slope: 0.3,
        confidence_bias: 0.2,
        ranking_weight: 0.5,
    }
}

fn predictive_dynamic_config(n_features: &[usize]) -> PredictiveDynamicFusionConfig {
    PredictiveDynamicFusionConfig {
        n_features: n_features.to_vec(),
        hidden: vec![5, 4],
        confidence_hidden: vec![3],
        confidence_weight: 0.7,
    }
}

fn trusted_config(n_features: &[usize]) -> TrustedMultiViewConfig {
    TrustedMultiViewConfig {
        n_features: n_features.to_vec(),
        hidden: vec![5],
        annealing_steps: 4,
    }
}

fn build(name: &str, n_features: &[usize], vb: &VarBuilder) -> Rival {
    match name {
        "embrace_net" => Box::new(EmbraceNet::new(&embrace_net_config(n_features), 9, vb).unwrap()),
        "mixture" => {
            Box::new(MixtureOfExperts::new(&mixture_config(n_features, false), vb).unwrap())
        }
        "mixture_with_joint_expert" => {
            Box::new(MixtureOfExperts::new(&mixture_config(n_features, true), vb).unwrap())
        }
        "quality_aware" => {
            Box::new(QualityAwareFusion::new(&quality_aware_config(n_features), vb).unwrap())
        }
        "predictive_dynamic" => {
            let config = predictive_dynamic_config(n_features);
            Box::new(PredictiveDynamicFusion::new(&config, vb).unwrap())
        }
        "trusted" => Box::new(TrustedMultiView::new(&trusted_config(n_features), vb).unwrap()),
        _ => panic!("no rival {name}"),
    }
}

fn variables(seed: u64) -> SeededVarMap {
    SeededVarMap::new(emma_testkit::rng(seed))
}

fn builder(variables: &SeededVarMap) -> VarBuilder<'static> {
    variables.var_builder(DType::F64, &Device::Cpu)
}

/// Rows whose label every mode knows, but for noise of its own width.
fn rows(n_rows: usize, n_features: &[usize], noise: &[f64], seed: u64, dtype: DType) -> Batch {
    let device = &Device::Cpu;
    let mut rng = emma_testkit::rng(seed);
    let labels: Vec<f64> = (0..n_rows)
        .map(|row| f64::from(u8::from(row % 3 == 0)))
        .collect();
    let modes = n_features.iter().zip(noise).map(|(&n_features, &noise)| {
        let values: Vec<f64> = labels
            .iter()
            .flat_map(|label| vec![2. * label - 1.; n_features])
            .map(|center| center + noise * rng.random_range(-1.0..1.0))
            .collect();
        let mode = Tensor::from_vec(values, (n_rows, n_features), device).unwrap();
        mode.to_dtype(dtype).unwrap()
    });
    let modes = modes.collect();
    let labels = Tensor::from_vec(labels, n_rows, device).unwrap();
    Batch::new(modes, labels.to_dtype(dtype).unwrap()).unwrap()
}

fn small_rows(n_rows: usize, seed: u64) -> Batch {
    rows(n_rows, &[3, 2], &[1.5, 1.5], seed, DType::F64)
}

fn logits(model: &impl MultiModalModel, batch: &Batch) -> Vec<f64> {
    values(&model.forward(batch.modes(), None).unwrap().logits).unwrap()
}

fn tensor<const N: usize>(rows: &[[f64; N]]) -> Tensor {
    let values = rows.iter().flatten().copied().collect();
    Tensor::from_vec(values, (rows.len(), N), &Device::Cpu).unwrap()
}

/// The values of `[rows, columns]`, row by row.
fn matrix(tensor: &Tensor) -> Vec<Vec<f64>> {
    tensor.to_dtype(DType::F64).unwrap().to_vec2().unwrap()
}

fn sigmoid(z: f64) -> f64 {
    1. / (1. + (-z).exp())
}

fn cross_entropy(z: f64, y: f64) -> f64 {
    -(y * sigmoid(z).ln() + (1. - y) * sigmoid(-z).ln())
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn every_rival_gives_one_logit_a_row_for_any_number_of_modes() {
    for name in RIVALS {
        for n_features in [vec![4], vec![3, 2], vec![1, 2, 3, 1]] {
            for dtype in [DType::F32, DType::F64] {
                let noise = vec![1.; n_features.len()];
                let batch = rows(7, &n_features, &noise, 1, dtype);
                let vb = variables(1).var_builder(dtype, &Device::Cpu);
                let model = build(name, &n_features, &vb);
                let output = model.forward(batch.modes(), None).unwrap().logits;
                assert_eq!(output.dims(), [7], "{name}");
                assert_eq!(output.dtype(), dtype, "{name}");
                assert!(
                    values(&output).unwrap().iter().all(|z| z.is_finite()),
                    "{name}"
                );
                let loss = model
                    .training_loss(&batch, &TrainingConfig::default())
                    .unwrap();
                if let Some(loss) = loss {
                    assert!(loss.dims().is_empty(), "{name}");
                    assert_eq!(loss.dtype(), dtype, "{name}");
                }
            }
        }
    }
}

#[test]
fn a_row_alone_scores_bitwise_as_in_any_batch() {
    for name in RIVALS {
        let model = build(name, &[3, 2], &builder(&variables(5)));
        let batch = small_rows(40, 5);
        for (row, logit) in logits(&model, &batch).into_iter().enumerate() {
            let alone = logits(&model, &batch.narrow(row, 1).unwrap());
            assert_eq!(alone[0].to_bits(), logit.to_bits(), "{name}, row {row}");
        }
    }
}

fn trained(name: &str, n_epochs: usize, dtype: DType) -> (Rival, SeededVarMap) {
    let features = [3, 2];
    let variables = variables(2);
    let model = build(name, &features, &variables.var_builder(dtype, &Device::Cpu));
    let training = rows(240, &features, &[0.9, 0.9], 1, dtype);
    let validation = rows(90, &features, &[0.9, 0.9], 2, dtype);
    let config = TrainingConfig {
        n_epochs,
        learning_rate: 1e-2,
        ..TrainingConfig::default()
    };
    let mut rng = emma_testkit::rng(3);
    train(
        &model,
        &variables,
        &training,
        &validation,
        &config,
        &mut rng,
        |_| {},
    )
    .unwrap();
    (model, variables)
}

#[test]
fn every_rival_learns_a_separable_problem() {
    for name in RIVALS {
        for dtype in [DType::F32, DType::F64] {
            let (model, _) = trained(name, 15, dtype);
            let batch = rows(150, &[3, 2], &[0.9, 0.9], 9, dtype);
            let labels = values(batch.labels()).unwrap();
            let right = logits(&model, &batch)
                .iter()
                .zip(&labels)
                .filter(|&(&z, &y)| (z > 0.) == (y > 0.5))
                .count();
            assert_eq!(right, 150, "{name}");
        }
    }
}

#[test]
fn training_repeats_bit_for_bit() {
    for name in RIVALS {
        let parameters = || {
            let (_, variables) = trained(name, 2, DType::F32);
            let snapshot = variables.snapshot().unwrap();
            snapshot
                .values()
                .flat_map(|tensor| values(tensor).unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(parameters(), parameters(), "{name}");
    }
}

#[test]
fn every_parameter_receives_a_gradient() {
    for name in RIVALS {
        let variables = variables(4);
        let model = build(name, &[3, 2], &builder(&variables));
        let batch = small_rows(30, 3);
        let config = TrainingConfig::default();
        let own = model.training_loss(&batch, &config).unwrap();
        let loss = own.unwrap_or_else(|| {
            let output = model.forward(batch.modes(), None).unwrap();
            config.task_loss(&output.logits, batch.labels()).unwrap()
        });
        let gradients = loss.backward().unwrap();
        for (path, var) in variables.named_vars() {
            let gradient = gradients
                .get(&var)
                .unwrap_or_else(|| panic!("{name}: {path}"));
            let gradient = values(gradient).unwrap();
            assert!(gradient.iter().any(|&g| g != 0.), "{name}: {path}");
        }
    }
}

#[test]
fn modes_permuted_with_their_parameters_score_the_same() {
    let batch = small_rows(20, 7);
    let swapped = [batch.modes()[1].clone(), batch.modes()[0].clone()];
    for name in RIVALS {
        let variables = variables(6);
        let model = build(name, &[3, 2], &builder(&variables));
        let parameters: HashMap<String, Tensor> = variables
            .snapshot()
            .unwrap()
            .into_iter()
            .map(|(path, tensor)| {
                // The gate takes the features of both modes and gives a share to both.
                let order: Option<(&[u32], usize)> = match path.as_str() {
                    "gate.0.weight" | "joint_expert.0.weight" => Some((&[3, 4, 0, 1, 2], 1)),
                    "gate.1.weight" | "gate.1.bias" if tensor.dims()[0] == 3 => {
                        Some((&[1, 0, 2], 0))
                    }
                    "gate.1.weight" | "gate.1.bias" => Some((&[1, 0], 0)),
                    _ => None,
                };
                let tensor = match order {
                    Some((order, dim)) => {
                        let order = Tensor::new(order, &Device::Cpu).unwrap();
                        tensor.index_select(&order, dim).unwrap()
                    }
                    None => tensor,
                };
                let mut parts: Vec<&str> = path.split('.').collect();
                if !["gate", "joint_expert", "terminal"].contains(&parts[0]) {
                    parts[1] = if parts[1] == "0" { "1" } else { "0" };
                }
                (parts.join("."), tensor)
            })
            .collect();
        let vb = VarBuilder::from_tensors(parameters, DType::F64, &Device::Cpu);
        let other = build(name, &[2, 3], &vb);
        let permuted = values(&other.forward(&swapped, None).unwrap().logits).unwrap();
        // Sums of two or three terms in another order.
        assert_close(name, &permuted, &logits(&model, &batch), 1e-13, 1e-14);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    for name in RIVALS {
        let model = build(name, &[3, 2], &builder(&variables(1)));
        let batch = small_rows(4, 1);
        let one = model.forward(&batch.modes()[..1], None).unwrap_err();
        assert!(
            matches!(
                one,
                Error::ModeCount {
                    expected: 2,
                    found: 1
                }
            ),
            "{name}"
        );
        let swapped = [batch.modes()[1].clone(), batch.modes()[0].clone()];
        let wide = model.forward(&swapped, None).unwrap_err();
        assert!(
            wide.to_string().contains("mode 0 of shape [4, 3]"),
            "{name}: {wide}"
        );
        let fewer = [
            batch.modes()[0].clone(),
            batch.modes()[1].narrow(0, 0, 2).unwrap(),
        ];
        let fewer = model.forward(&fewer, None).unwrap_err();
        assert!(
            fewer.to_string().contains("mode 1 of shape [4, 2]"),
            "{name}: {fewer}"
        );
        let config = TrainingConfig {
            loss: Loss::SquaredError,
            ..TrainingConfig::default()
        };
        if !name.starts_with("mixture") {
            let loss = model
                .training_loss(&batch, &config)
                .unwrap_err()
                .to_string();
            assert!(loss.contains("SquaredError"), "{name}: {loss}");
        }
    }
}

#[test]
fn settings_out_of_range_are_refused() {
    let variables = variables(1);
    let vb = builder(&variables);
    let none = EmbraceNet::new(&embrace_net_config(&[]), 1, &vb).unwrap_err();
    assert!(matches!(none, Error::ModeCount { .. }));
    let config = EmbraceNetConfig {
        n_embedding: 0,
        ..embrace_net_config(&[2])
    };
    assert!(EmbraceNet::new(&config, 1, &vb).is_err());
    assert!(MixtureOfExperts::new(&mixture_config(&[], true), &vb).is_err());
    assert!(MixtureOfExperts::new(&mixture_config(&[2, 0], false), &vb).is_err());
    for value in [-1., f64::NAN, f64::INFINITY] {
        let right = quality_aware_config(&[2]);
        for config in [
            QualityAwareFusionConfig {
                temperature: value,
                ..right.clone()
            },
            QualityAwareFusionConfig {
                confidence_slope: value,
                ..right.clone()
            },
            QualityAwareFusionConfig {
                confidence_bias: value,
                ..right.clone()
            },
            QualityAwareFusionConfig {
                ranking_weight: value,
                ..right.clone()
            },
        ] {
            let error = QualityAwareFusion::new(&config, &vb).unwrap_err();
            assert!(matches!(error, Error::InvalidSetting { .. }), "{error}");
        }
        let config = PredictiveDynamicFusionConfig {
            confidence_weight: value,
            ..predictive_dynamic_config(&[2])
        };
        assert!(PredictiveDynamicFusion::new(&config, &vb).is_err());
    }
    let config = TrustedMultiViewConfig {
        annealing_steps: 0,
        ..trusted_config(&[2])
    };
    assert!(TrustedMultiView::new(&config, &vb).is_err());
}

// EmbraceNet.

fn embrace_net() -> EmbraceNet {
    EmbraceNet::new(&embrace_net_config(&[3, 2]), 9, &builder(&variables(3))).unwrap()
}

/// Ten rows; mode 0 is missing in row 1, mode 1 in row 2, both in row 3, one feature in row 4.
fn rows_with_gaps() -> Batch {
    let batch = small_rows(10, 4);
    let mut modes: Vec<_> = batch.modes().iter().map(matrix).collect();
    for (mode_index, row) in [(0, 1), (1, 2), (0, 3), (1, 3)] {
        modes[mode_index][row].fill(f64::NAN);
    }
    modes[0][4][1] = f64::NAN;
    let modes = modes
        .into_iter()
        .map(|mode| Tensor::new(mode, &Device::Cpu).unwrap());
    Batch::new(modes.collect(), batch.labels().clone()).unwrap()
}

#[test]
fn embraced_components_each_come_from_exactly_one_mode_that_is_there() {
    let (model, batch) = (embrace_net(), rows_with_gaps());
    let docked: Vec<_> = model
        .docked(batch.modes())
        .unwrap()
        .iter()
        .map(matrix)
        .collect();
    let mut taken = [[0; 2]; 10];
    for _ in 0..50 {
        for (row, drawn) in matrix(&model.drawn_embedding(batch.modes()).unwrap())
            .iter()
            .enumerate()
        {
            for (component, value) in drawn.iter().enumerate() {
                let given = [docked[0][row][component], docked[1][row][component]];
                let from = [0, 1].map(|mode_index| value.to_bits() == given[mode_index].to_bits());
                if row == 3 {
                    assert_eq!(value.to_bits(), 0);
                    continue;
                }
                assert!(from[0] || from[1], "row {row}: {value} of {given:?}");
                if from[0] != from[1] {
                    taken[row][usize::from(from[1])] += 1;
                }
            }
        }
    }
    for (row, taken) in taken.into_iter().enumerate() {
        assert_eq!(taken[0] > 0, ![1, 3].contains(&row), "row {row}");
        assert_eq!(taken[1] > 0, ![2, 3].contains(&row), "row {row}");
    }
}

#[test]
fn absent_modes_have_no_probability_and_the_others_share_it() {
    let (model, batch) = (embrace_net(), rows_with_gaps());
    let probabilities = matrix(&model.selection_probabilities(batch.modes()).unwrap());
    for (row, probabilities) in probabilities.into_iter().enumerate() {
        let expected = match row {
            1 => [0., 1.],
            2 => [1., 0.],
            3 => [0., 0.],
            _ => [0.5, 0.5],
        };
        assert_close("probabilities", &probabilities, &expected, 0., 0.);
    }
    assert!(logits(&model, &batch).iter().all(|z| z.is_finite()));
    // What is not there must not matter, whatever stands in for it elsewhere.
    let docked = model.docked(batch.modes()).unwrap();
    let expected = matrix(&model.expected_embedding(batch.modes()).unwrap());
    assert_eq!(expected[1], matrix(&docked[1])[1]);
    assert_eq!(expected[2], matrix(&docked[0])[2]);
}

#[test]
fn the_mean_of_many_draws_is_the_embedding_of_evaluation() {
    let (model, batch) = (embrace_net(), rows_with_gaps());
    let n_draws = 2000;
    let mut total = model.drawn_embedding(batch.modes()).unwrap();
    for _ in 1..n_draws {
        total = (total + model.drawn_embedding(batch.modes()).unwrap()).unwrap();
    }
    let means = values(&(total / f64::from(n_draws)).unwrap()).unwrap();
    let expected = values(&model.expected_embedding(batch.modes()).unwrap()).unwrap();
    let docked = model.docked(batch.modes()).unwrap();
    let gaps = values(&(&docked[0] - &docked[1]).unwrap()).unwrap();
    for ((mean, expected), gap) in means.iter().zip(expected).zip(gaps) {
        // Five standard deviations of the mean of coin tosses between two values.
        let allowed = 5. * gap.abs() / 2. / f64::from(n_draws).sqrt() + 1e-12;
        assert!((mean - expected).abs() <= allowed, "{mean} {expected}");
    }
}

#[test]
fn draws_follow_the_seed() {
    let variables = variables(3);
    let drawn = |seed| {
        let model = EmbraceNet::new(&embrace_net_config(&[3, 2]), seed, &builder(&variables));
        let model = model.unwrap();
        let batch = small_rows(10, 4);
        let draw = || values(&model.drawn_embedding(batch.modes()).unwrap()).unwrap();
        let (first, second) = (draw(), draw());
        assert_ne!(first, second);
        first
    };
    assert_eq!(drawn(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
}

// Mixture of experts.

#[test]
fn a_mixture_lies_between_its_experts() {
    for joint_expert in [false, true] {
        let config = mixture_config(&[3, 2], joint_expert);
        let model = MixtureOfExperts::new(&config, &builder(&variables(8))).unwrap();
        let batch = small_rows(50, 1);
        let mixture = model.mixture(batch.modes()).unwrap();
        let (experts, shares) = (matrix(&mixture.expert_logits), matrix(&mixture.log_shares));
        for (row, z) in logits(&model, &batch).into_iter().enumerate() {
            assert_eq!(experts[row].len(), 2 + usize::from(joint_expert));
            let least = experts[row].iter().copied().fold(f64::INFINITY, f64::min);
            let most = experts[row]
                .iter()
                .copied()
                .fold(f64::NEG_INFINITY, f64::max);
            assert!(least < z && z < most, "{least} {z} {most}");
            let p: f64 = experts[row]
                .iter()
                .zip(&shares[row])
                .map(|(z, g)| g.exp() * sigmoid(*z))
                .sum();
            assert_close("probability", &[sigmoid(z)], &[p], 1e-13, 0.);
            let all: f64 = shares[row].iter().map(|g| g.exp()).sum();
            assert_close("shares", &[all], &[1.], 1e-14, 0.);
        }
    }
}

#[test]
fn the_task_loss_of_a_mixture_is_its_negative_log_likelihood() {
    let model =
        MixtureOfExperts::new(&mixture_config(&[3, 2], true), &builder(&variables(8))).unwrap();
    let batch = small_rows(50, 1);
    let mixture = model.mixture(batch.modes()).unwrap();
    let (experts, shares) = (matrix(&mixture.expert_logits), matrix(&mixture.log_shares));
    let likelihood: Vec<f64> = values(batch.labels())
        .unwrap()
        .iter()
        .enumerate()
        .map(|(row, y)| {
            let of_label = |z: f64| if *y > 0.5 { sigmoid(z) } else { sigmoid(-z) };
            let terms = experts[row].iter().zip(&shares[row]);
            -terms.map(|(z, g)| g.exp() * of_label(*z)).sum::<f64>().ln()
        })
        .collect();
    let output = model.forward(batch.modes(), None).unwrap();
    let loss = binary_cross_entropy(&output.logits, batch.labels(), 1.).unwrap();
    assert_close(
        "loss",
        &values(&loss).unwrap(),
        &[mean(&likelihood)],
        1e-13,
        0.,
    );
    assert!(
        model
            .training_loss(&batch, &TrainingConfig::default())
            .unwrap()
            .is_none()
    );
}

#[test]
fn a_mixture_of_very_sure_experts_stays_finite() {
    let half = 0.5f64.ln();
    let mixture = Mixture {
        expert_logits: tensor(&[[1800., 1700.], [-1800., -1700.], [800., -800.]]),
        log_shares: tensor(&[[half, half]; 3]),
    };
    // 1 − p = (e^−1800 + e^−1700) / 2.
    let expected = [1700. - half, half - 1700., 0.];
    assert_close(
        "logits",
        &values(&mixture.logits().unwrap()).unwrap(),
        &expected,
        1e-15,
        1e-15,
    );
}

// Quality-aware fusion.

#[test]
fn ranking_costs_nothing_when_lower_losses_have_more_confidence() {
    let losses = tensor(&[[0.2], [1.2], [2.2]]);
    let penalty = |confidence: [f64; 3]| {
        let confidence = tensor(&confidence.map(|w| [w]));
        values(&ranking_penalty(&confidence, &losses).unwrap()).unwrap()[0]
    };
    assert_close("right order", &[penalty([2., 1., 0.])], &[0.], 0., 0.);
    // The scaled losses are 0, 1/2 and 1; pairs (0, 1), (1, 2), (2, 0).
    let expected = (1.5 + 1.5 + 3.) / 3.;
    assert_close(
        "wrong order",
        &[penalty([0., 1., 2.])],
        &[expected],
        1e-14,
        0.,
    );
    let expected = (0.5 + 0.5 + 1.) / 3.;
    assert_close("no order", &[penalty([0., 0., 0.])], &[expected], 1e-14, 0.);
    let expected = (0.25 + 0.25 + 0.5) / 3.;
    assert_close(
        "small margin",
        &[penalty([0.5, 0.25, 0.])],
        &[expected],
        1e-14,
        0.,
    );
}

#[test]
fn ranking_adds_the_modes_and_ignores_equal_losses() {
    let confidence = tensor(&[[0., 5.], [1., -3.], [2., 1.]]);
    let losses = tensor(&[[0.2, 1.], [1.2, 1.], [2.2, 1.]]);
    let both = ranking_penalty(&confidence, &losses).unwrap();
    assert_close("both", &values(&both).unwrap(), &[2.], 1e-14, 0.);
    let alone = ranking_penalty(&tensor(&[[3.]]), &tensor(&[[0.7]])).unwrap();
    assert_close("one row", &values(&alone).unwrap(), &[0.], 0., 0.);
    let empty = Tensor::zeros((0, 1), DType::F64, &Device::Cpu).unwrap();
    assert!(matches!(
        ranking_penalty(&empty, &empty),
        Err(Error::NoRows { .. })
    ));
}

#[test]
fn confidence_falls_with_the_energy_score() {
    // No hidden layer: the logits are the weights themselves.
    let parameters = HashMap::from([
        ("mode.0.0.weight".to_owned(), tensor(&[[1.], [-2.]])),
        (
            "mode.0.0.bias".to_owned(),
            Tensor::new(&[0.5, 0.25], &Device::Cpu).unwrap(),
        ),
    ]);
    let vb = VarBuilder::from_tensors(parameters, DType::F64, &Device::Cpu);
    let config = QualityAwareFusionConfig {
        hidden: vec![],
        ..quality_aware_config(&[1])
    };
    let model = QualityAwareFusion::new(&config, &vb).unwrap();
    let inputs = [0f64, 1., -3., 400., -400.];
    let decisions = model.decisions(&[tensor(&inputs.map(|x| [x]))]).unwrap();
    let of_labels = inputs.map(|x| (x + 0.5, 0.25 - 2. * x));
    let confidence = of_labels.map(|(zero, one)| {
        let energy = -2. * ((zero / 2.).exp() + (one / 2.).exp()).ln();
        0.2 - 0.3 * energy
    });
    assert_close(
        "confidence",
        &values(&decisions.confidence).unwrap(),
        &confidence,
        1e-14,
        1e-14,
    );
    let difference = of_labels.map(|(zero, one)| one - zero);
    assert_close(
        "logits",
        &values(&decisions.logits).unwrap(),
        &difference,
        1e-14,
        0.,
    );
    let fused: Vec<f64> = difference
        .iter()
        .zip(confidence)
        .map(|(z, w)| z * w)
        .collect();
    assert_close(
        "fused",
        &values(&decisions.fused().unwrap()).unwrap(),
        &fused,
        1e-13,
        1e-13,
    );
}

#[test]
fn the_loss_of_quality_aware_fusion_has_its_three_parts() {
    let config = quality_aware_config(&[3, 2]);
    let model = QualityAwareFusion::new(&config, &builder(&variables(2))).unwrap();
    let batch = small_rows(12, 2);
    let ModeDecisions { logits, confidence } = model.decisions(batch.modes()).unwrap();
    let (z, w, y) = (
        matrix(&logits),
        matrix(&confidence),
        values(batch.labels()).unwrap(),
    );
    let of = |m: usize| -> Vec<f64> {
        (0..12)
            .map(|row| cross_entropy(z[row][m], y[row]))
            .collect()
    };
    let fused: Vec<f64> = (0..12)
        .map(|row| cross_entropy(z[row][0] * w[row][0] + z[row][1] * w[row][1], y[row]))
        .collect();
    let mut expected = mean(&fused) + mean(&of(0)) + mean(&of(1));
    for (m, losses) in [of(0), of(1)].into_iter().enumerate() {
        let least = losses.iter().copied().fold(f64::INFINITY, f64::min);
        let most = losses.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let pairs: Vec<f64> = (0..12)
            .map(|i| {
                let j = (i + 1) % 12;
                let difference = (losses[i] - losses[j]) / (most - least);
                (difference.signum() * (w[i][m] - w[j][m]) + difference.abs()).max(0.)
            })
            .collect();
        expected += 0.5 * mean(&pairs);
    }
    let loss = model
        .training_loss(&batch, &TrainingConfig::default())
        .unwrap()
        .unwrap();
    assert_close("loss", &values(&loss).unwrap(), &[expected], 1e-13, 0.);
}

#[test]
fn a_noisier_mode_gets_less_confidence() {
    let variables = variables(1);
    let config = QualityAwareFusionConfig {
        n_features: vec![2, 2],
        ..QualityAwareFusionConfig::default()
    };
    let model = QualityAwareFusion::new(&config, &builder(&variables)).unwrap();
    let noise = [0.8, 6.];
    let training = rows(240, &[2, 2], &noise, 1, DType::F64);
    let validation = rows(90, &[2, 2], &noise, 2, DType::F64);
    let settings = TrainingConfig {
        n_epochs: 20,
        learning_rate: 1e-2,
        ..TrainingConfig::default()
    };
    let mut rng = emma_testkit::rng(3);
    train(
        &model,
        &variables,
        &training,
        &validation,
        &settings,
        &mut rng,
        |_| {},
    )
    .unwrap();
    let test = rows(200, &[2, 2], &noise, 9, DType::F64);
    let confidence = model
        .decisions(test.modes())
        .unwrap()
        .confidence
        .mean(0)
        .unwrap();
    let confidence = values(&confidence).unwrap();
    assert!(confidence[0] > 1.5 * confidence[1], "{confidence:?}");
}

// Predictive dynamic fusion.

#[test]
fn holo_confidences_sum_to_the_number_of_other_modes() {
    let beliefs = Beliefs {
        logits: tensor(&[[1., 2., -3.], [0., 0., 0.], [1., 1., 1.], [5., 5., 5.]]),
        confidence_logits: tensor(&[
            [0.3, -1., 2.],
            [0., 0., 0.],
            [800., 800., 800.],
            [-900., 3., 3.],
        ]),
    };
    let holo = matrix(&beliefs.holo_confidence().unwrap());
    for row in [0, 1, 3] {
        assert_close("sum", &[holo[row].iter().sum()], &[2.], 1e-14, 0.);
    }
    // Nobody can be wrong: nobody has to stand in.
    assert_close("sure", &holo[2], &[0.; 3], 0., 0.);
    let c = [0.3, -1., 2.].map(sigmoid);
    let all: f64 = c.iter().map(|c| c.ln()).sum();
    assert_close(
        "holo",
        &holo[0],
        &c.map(|c| (all - c.ln()) / all),
        1e-14,
        0.,
    );
    let co_belief: Vec<f64> = (0..3).map(|m| c[m] + (all - c[m].ln()) / all).collect();
    assert_close(
        "co-belief",
        &matrix(&beliefs.co_belief().unwrap())[0],
        &co_belief,
        1e-14,
        0.,
    );
    for shares in [
        beliefs.shares().unwrap(),
        beliefs.calibrated_shares().unwrap(),
    ] {
        for shares in matrix(&shares) {
            assert_close("shares", &[shares.iter().sum()], &[1.], 1e-14, 0.);
        }
    }
    let single = Beliefs {
        logits: tensor(&[[1.]]),
        confidence_logits: tensor(&[[0.3]]),
    };
    assert_close(
        "alone",
        &values(&single.holo_confidence().unwrap()).unwrap(),
        &[0.],
        0.,
        0.,
    );
}

#[test]
fn relative_calibration_lowers_the_share_of_the_more_uncertain_mode() {
    let beliefs = Beliefs {
        logits: tensor(&[[3., 0.2], [-0.1, -4.], [2., -2.], [0., 0.], [900., 0.]]),
        confidence_logits: tensor(&[[0.5, 0.5], [0.5, -0.5], [0.5, 1.5], [0.5, 0.5], [0., 0.]]),
    };
    let calibration = matrix(&beliefs.relative_calibration().unwrap());
    let uniformity = |z: f64| (sigmoid(z) - 0.5).abs();
    let ratio = |low: f64, high: f64| uniformity(low) / uniformity(high);
    let expected = [
        [1., ratio(0.2, 3.)],
        [ratio(0.1, 4.), 1.],
        [1., 1.],
        [1., 1.],
        [1., 0.],
    ];
    for (calibration, expected) in calibration.iter().zip(expected) {
        assert_close("calibration", calibration, &expected, 1e-14, 1e-29);
    }
    let before = matrix(&beliefs.shares().unwrap());
    let after = matrix(&beliefs.calibrated_shares().unwrap());
    assert!(
        after[0][1] < before[0][1] - 0.1,
        "{} {}",
        after[0][1],
        before[0][1]
    );
    assert!(after[1][0] < before[1][0] - 0.1);
    for row in [2, 3] {
        assert_close("equals", &after[row], &before[row], 0., 0.);
    }
}

#[test]
fn the_fused_logit_is_calibrated_at_evaluation_alone() {
    let config = predictive_dynamic_config(&[3, 2]);
    let model = PredictiveDynamicFusion::new(&config, &builder(&variables(2))).unwrap();
    let batch = small_rows(12, 2);
    let beliefs = model.beliefs(batch.modes()).unwrap();
    let (z, y) = (matrix(&beliefs.logits), values(batch.labels()).unwrap());
    let fused = |shares: &Tensor| -> Vec<f64> {
        let rows = matrix(shares).into_iter().zip(&z);
        rows.map(|(w, z)| w[0] * z[0] + w[1] * z[1]).collect()
    };
    let calibrated = fused(&beliefs.calibrated_shares().unwrap());
    assert_close(
        "evaluation",
        &logits(&model, &batch),
        &calibrated,
        1e-14,
        1e-15,
    );

    let plain = fused(&beliefs.shares().unwrap());
    assert_ne!(plain, calibrated);
    let c = matrix(&beliefs.mono_confidence().unwrap());
    let of_row = |row: usize| {
        let own: f64 = z[row].iter().map(|&z| cross_entropy(z, y[row])).sum();
        let errors = z[row]
            .iter()
            .zip(&c[row])
            .map(|(&z, c)| (c - (-cross_entropy(z, y[row])).exp()).abs());
        cross_entropy(plain[row], y[row]) + own + 0.7 * errors.sum::<f64>()
    };
    let expected = mean(&(0..12).map(of_row).collect::<Vec<_>>());
    let loss = model
        .training_loss(&batch, &TrainingConfig::default())
        .unwrap()
        .unwrap();
    assert_close("loss", &values(&loss).unwrap(), &[expected], 1e-13, 0.);
}

// Trusted multi-view classification.

/// `(b_0, b_1, u)` of two opinions by the rule as the paper writes it.
fn dempster(one: [f64; 3], other: [f64; 3]) -> [f64; 3] {
    let left = 1. - (one[0] * other[1] + one[1] * other[0]);
    let belief = |k: usize| (one[k] * other[k] + one[k] * other[2] + other[k] * one[2]) / left;
    [belief(0), belief(1), one[2] * other[2] / left]
}

fn opinions(evidence: &Tensor) -> Vec<[f64; 3]> {
    let opinions = Opinions::of_evidence(evidence).unwrap();
    let uncertainty = values(&opinions.uncertainty).unwrap();
    let belief = matrix(&opinions.belief);
    belief
        .iter()
        .zip(uncertainty)
        .map(|(b, u)| [b[0], b[1], u])
        .collect()
}

fn evidence() -> Vec<Tensor> {
    vec![
        tensor(&[[3., 1.], [0., 0.], [10., 0.], [10., 0.], [0.1, 400.]]),
        tensor(&[[0.5, 2.], [4., 1.], [0., 10.], [10., 0.], [300., 2.]]),
        tensor(&[[7., 0.3], [0., 2.], [0., 0.], [0., 0.], [1., 1.]]),
    ]
}

#[test]
fn belief_and_uncertainty_sum_to_one() {
    let evidence = evidence();
    for evidence in evidence.iter().chain([&combine(&evidence).unwrap()]) {
        for opinion in opinions(evidence) {
            assert_close("sum", &[opinion.iter().sum()], &[1.], 1e-15, 0.);
            assert!(opinion.iter().all(|mass| (0.0..=1.0).contains(mass)));
        }
    }
    let [zero, one, rest] = opinions(&evidence[0])[0];
    assert_close(
        "opinion",
        &[zero, one, rest],
        &[0.5, 1. / 6., 1. / 3.],
        1e-15,
        0.,
    );
}

#[test]
fn combined_evidence_is_dempsters_rule() {
    let evidence = evidence();
    let together = opinions(&combine(&evidence).unwrap());
    let each: Vec<_> = evidence.iter().map(opinions).collect();
    for (row, together) in together.iter().enumerate() {
        let expected = dempster(dempster(each[0][row], each[1][row]), each[2][row]);
        assert_close("opinion", together, &expected, 1e-13, 1e-15);
    }
    assert!(matches!(combine(&[]), Err(Error::ModeCount { .. })));
}

#[test]
fn a_vacuous_opinion_changes_nothing() {
    let evidence = evidence();
    let vacuous = evidence[0].zeros_like().unwrap();
    let expected = values(&combine(&evidence[..2]).unwrap()).unwrap();
    for place in 0..3 {
        let mut with = evidence[..2].to_vec();
        with.insert(place, vacuous.clone());
        assert_eq!(values(&combine(&with).unwrap()).unwrap(), expected);
    }
}

#[test]
fn combining_never_raises_uncertainty_and_conflict_leaves_more_of_it() {
    let evidence = evidence();
    let together = opinions(&combine(&evidence).unwrap());
    for evidence in &evidence {
        for (one, together) in opinions(evidence).iter().zip(&together) {
            assert!(together[2] <= one[2], "{} {}", together[2], one[2]);
        }
    }
    // Rows 2 and 3: the same evidence for different labels, and for the same.
    let [conflict, agreement] = [together[2], together[3]];
    assert!(
        conflict[2] > 2. * agreement[2],
        "{} {}",
        conflict[2],
        agreement[2]
    );
    assert_close("undecided", &[conflict[0]], &[conflict[1]], 0., 0.);
}

#[test]
fn the_evidential_loss_is_that_of_the_paper() {
    let model = TrustedMultiView::new(&trusted_config(&[3, 2]), &builder(&variables(2))).unwrap();
    let batch = small_rows(12, 2);
    let y = values(batch.labels()).unwrap();
    let mut evidence = model.evidence(batch.modes()).unwrap();
    evidence.push(combine(&evidence).unwrap());
    let of_row = |alpha: [f64; 2], label: usize, annealing: f64| {
        let strength = alpha[0] + alpha[1];
        let mut adjusted = alpha;
        adjusted[label] = 1.;
        let all = adjusted[0] + adjusted[1];
        let terms = adjusted.map(|a| (a - 1.) * (digamma(a) - digamma(all)) - ln_gamma(a));
        let divergence = ln_gamma(all) - ln_gamma(2.) + terms[0] + terms[1];
        digamma(strength) - digamma(alpha[label]) + annealing * divergence
    };
    for (annealing, positive_weight) in [(0., 1.), (0.4, 1.), (1., 3.)] {
        let mut expected = 0.;
        for evidence in &evidence {
            let rows = matrix(evidence).into_iter().zip(&y).map(|(e, &y)| {
                let label = usize::from(y > 0.5);
                let weight = if label == 1 { positive_weight } else { 1. };
                weight * of_row([e[0] + 1., e[1] + 1.], label, annealing)
            });
            expected += mean(&rows.collect::<Vec<_>>());
        }
        let config = TrainingConfig {
            positive_weight,
            ..TrainingConfig::default()
        };
        let loss = model.loss(&batch, &config, annealing).unwrap();
        // The library's log Γ is right to about 1e-14.
        assert_close("loss", &values(&loss).unwrap(), &[expected], 1e-12, 0.);
    }
    let means: Vec<f64> = matrix(&evidence[2])
        .iter()
        .map(|e| (e[1] + 1.) / (e[0] + e[1] + 2.))
        .collect();
    let output = model.forward(batch.modes(), None).unwrap();
    assert_close(
        "mean",
        &values(&output.probabilities().unwrap()).unwrap(),
        &means,
        1e-14,
        0.,
    );
}

#[test]
fn the_divergence_is_annealed_by_training_steps() {
    let model = TrustedMultiView::new(&trusted_config(&[3, 2]), &builder(&variables(2))).unwrap();
    let (batch, config) = (small_rows(12, 2), TrainingConfig::default());
    for expected in [0., 0.25, 0.5, 0.75, 1., 1.] {
        assert_close("annealing", &[model.annealing()], &[expected], 0., 0.);
        // Evaluation is no step.
        model.forward(batch.modes(), None).unwrap();
        let at = values(&model.loss(&batch, &config, expected).unwrap()).unwrap();
        let step = model.training_loss(&batch, &config).unwrap().unwrap();
        assert_eq!(values(&step).unwrap(), at);
    }
}

// Gradients. Values are of the order of one and rounded at 1e-16, steps are 1e-4: what is left of the
// fourth-order differences is about 1e-11.

const RELATIVE: f64 = 1e-7;
const ABSOLUTE: f64 = 1e-9;

fn weighted() -> TrainingConfig {
    TrainingConfig {
        positive_weight: 2.,
        ..TrainingConfig::default()
    }
}

/// Compares with the numeric gradient of `loss`, which is written anew from the model's public parts.
fn assert_numeric(
    variables: &SeededVarMap,
    analytic: &Tensor,
    parts: &str,
    loss: impl Fn() -> Tensor,
) {
    let gradients = analytic.backward().unwrap();
    let mut compared = 0;
    for (path, var) in variables.named_vars() {
        if !path.starts_with(parts) {
            continue;
        }
        let numeric = numeric_gradient(&var, || Ok(loss())).unwrap();
        let gradient = values(gradients.get(&var).unwrap()).unwrap();
        assert_close(&path, &gradient, &numeric, RELATIVE, ABSOLUTE);
        compared += 1;
    }
    assert!(compared > 0, "no variable {parts}");
}

#[test]
fn gradients_of_evaluation_match_central_differences() {
    // The shares of predictive dynamic fusion are constants by design: its own test is below.
    for name in RIVALS
        .into_iter()
        .filter(|&name| name != "predictive_dynamic")
    {
        let variables = variables(12);
        let model = build(name, &[3, 2], &builder(&variables));
        let batch = small_rows(6, 8);
        let named = variables.named_vars();
        let vars: Vec<_> = named
            .iter()
            .map(|(path, var)| (path.as_str(), var))
            .collect();
        let loss = || {
            let output = model.forward(batch.modes(), None).unwrap();
            Ok(binary_cross_entropy(&output.logits, batch.labels(), 2.).unwrap())
        };
        assert_gradients(&vars, loss, RELATIVE, ABSOLUTE).unwrap();
    }
}

#[test]
fn gradients_of_drawn_embeddings_match_central_differences() {
    let variables = variables(12);
    let vb = builder(&variables);
    let batch = rows_with_gaps();
    let model = || EmbraceNet::new(&embrace_net_config(&[3, 2]), 5, &vb).unwrap();
    model();
    let named = variables.named_vars();
    let vars: Vec<_> = named
        .iter()
        .map(|(path, var)| (path.as_str(), var))
        .collect();
    // A model built anew draws the same modes.
    let loss = || Ok(model().training_loss(&batch, &weighted()).unwrap().unwrap());
    assert_gradients(&vars, loss, RELATIVE, ABSOLUTE).unwrap();
}

#[test]
fn gradients_of_evidential_loss_match_central_differences() {
    let variables = variables(12);
    let model = TrustedMultiView::new(&trusted_config(&[3, 2]), &builder(&variables)).unwrap();
    let batch = small_rows(6, 8);
    let named = variables.named_vars();
    let vars: Vec<_> = named
        .iter()
        .map(|(path, var)| (path.as_str(), var))
        .collect();
    let loss = || Ok(model.loss(&batch, &weighted(), 0.6).unwrap());
    assert_gradients(&vars, loss, RELATIVE, ABSOLUTE).unwrap();
}

/// Sum over modes of the mean cross-entropies, positives twice.
fn own_losses(logits: &Tensor, labels: &Tensor) -> Tensor {
    let of = |m| {
        let logits = logits.narrow(1, m, 1).unwrap().squeeze(1).unwrap();
        binary_cross_entropy(&logits, labels, 2.).unwrap()
    };
    (of(0) + of(1)).unwrap()
}

#[test]
fn gradients_of_quality_aware_loss_match_central_differences() {
    let variables = variables(12);
    let model =
        QualityAwareFusion::new(&quality_aware_config(&[3, 2]), &builder(&variables)).unwrap();
    let batch = small_rows(6, 8);
    let labels = batch.labels();
    let z = matrix(&model.decisions(batch.modes()).unwrap().logits);
    let y = values(labels).unwrap();
    let losses: Vec<[f64; 2]> = (0..6)
        .map(|row| [0, 1].map(|m| cross_entropy(z[row][m], y[row])))
        .collect();
    let losses = tensor(&losses);
    let loss = || {
        let decisions = model.decisions(batch.modes()).unwrap();
        let fused = binary_cross_entropy(&decisions.fused().unwrap(), labels, 2.).unwrap();
        // The losses that rank the rows are constants.
        let ranking = (ranking_penalty(&decisions.confidence, &losses).unwrap() * 0.5).unwrap();
        ((fused + own_losses(&decisions.logits, labels)).unwrap() + ranking).unwrap()
    };
    let analytic = model.training_loss(&batch, &weighted()).unwrap().unwrap();
    assert_close(
        "loss",
        &values(&loss()).unwrap(),
        &values(&analytic).unwrap(),
        1e-13,
        0.,
    );
    assert_numeric(&variables, &analytic, "mode", loss);
}

#[test]
fn gradients_of_predictive_dynamic_loss_match_central_differences() {
    let variables = variables(12);
    let config = predictive_dynamic_config(&[3, 2]);
    let model = PredictiveDynamicFusion::new(&config, &builder(&variables)).unwrap();
    let batch = small_rows(6, 8);
    let labels = batch.labels();
    let beliefs = model.beliefs(batch.modes()).unwrap();
    let shares = beliefs.shares().unwrap();
    let z = matrix(&beliefs.logits);
    let y = values(labels).unwrap();
    let of_true: Vec<[f64; 2]> = (0..6)
        .map(|row| [0, 1].map(|m| (-cross_entropy(z[row][m], y[row])).exp()))
        .collect();
    let of_true = tensor(&of_true);
    let analytic = model.training_loss(&batch, &weighted()).unwrap().unwrap();
    // Where gradients stop, the numeric loss holds the values of the start.
    let classification = || {
        let logits = model.beliefs(batch.modes()).unwrap().logits;
        let fused = (&logits * &shares).unwrap().sum(1).unwrap();
        (binary_cross_entropy(&fused, labels, 2.).unwrap() + own_losses(&logits, labels)).unwrap()
    };
    assert_numeric(&variables, &analytic, "encoder", classification);
    assert_numeric(&variables, &analytic, "classifier", classification);
    assert_numeric(&variables, &analytic, "confidence", || {
        let c = model
            .beliefs(batch.modes())
            .unwrap()
            .mono_confidence()
            .unwrap();
        let errors = (c - &of_true).unwrap().abs().unwrap();
        (errors.mean(0).unwrap().sum_all().unwrap() * 0.7).unwrap()
    });
}
