//! What embeddings of features promise.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{Module, VarBuilder};
use emma_energy::SeededVarMap;
use emma_models::{
    Batch, Embedded, EnsembleMlp, EnsembleMlpConfig, Mlp, MlpConfig, MultiModalModel,
    PeriodicConfig, PeriodicEmbedding, PiecewiseLinearConfig, PiecewiseLinearEmbedding,
    QuantileBins, TrainingConfig,
};
use emma_testkit::devices_with;
use emma_testkit::gradcheck::assert_gradients;
use emma_testkit::tolerance::{assert_close, values};
use proptest::prelude::*;

fn matrix(rows: &[&[f64]], device: &Device) -> Tensor {
    let n_columns = rows.first().map_or(0, |row| row.len());
    Tensor::from_vec(rows.concat(), (rows.len(), n_columns), device).unwrap()
}

fn variables() -> SeededVarMap {
    SeededVarMap::new(emma_testkit::rng(4))
}

fn codes(bins: &QuantileBins) -> PiecewiseLinearEmbedding {
    let config = PiecewiseLinearConfig {
        n_features: bins.n_features(),
        n_bins: bins.n_bins(),
        n_outputs: None,
    };
    let vb = variables().var_builder(DType::F64, bins.edges().device());
    PiecewiseLinearEmbedding::new(&config, bins, &vb).unwrap()
}

fn embedded(embedding: &impl Module, rows: &[&[f64]], device: &Device) -> Vec<Vec<f64>> {
    let rows = embedding.forward(&matrix(rows, device)).unwrap();
    rows.to_vec2().unwrap()
}

#[test]
fn edges_are_quantiles() {
    for device in devices_with(DType::F64) {
        let rows = matrix(&[&[4., -1.], &[1., 5.], &[2., 1.], &[9., 7.]], device);
        let bins = QuantileBins::fit(&rows, 2).unwrap();
        // Between the second and the third of four: (2 + 4) / 2 and (1 + 5) / 2.
        let expected = [[1., 3., 9.], [-1., 3., 7.]];
        assert_eq!(bins.edges().to_vec2::<f64>().unwrap(), expected);
        let bins = QuantileBins::fit(&rows, 4).unwrap();
        let expected = [1., 1.75, 3., 5.25, 9.];
        assert_eq!(bins.edges().to_vec2::<f64>().unwrap()[0], expected);
    }
}

#[test]
fn codes_are_the_papers_equation() {
    for device in devices_with(DType::F64) {
        let edges = matrix(&[&[0., 1., 3., 7.]], device);
        let codes = codes(&QuantileBins::from_edges(&edges).unwrap());
        for (x, expected) in [
            (0., [0., 0., 0.]),
            (0.25, [0.25, 0., 0.]),
            (1., [1., 0., 0.]),
            (2., [1., 0.5, 0.]),
            (3., [1., 1., 0.]),
            (6., [1., 1., 0.75]),
            (7., [1., 1., 1.]),
        ] {
            assert_eq!(embedded(&codes, &[&[x]], device), [expected], "{x}");
        }
    }
}

#[test]
fn codes_end_at_the_outermost_edges() {
    for device in devices_with(DType::F64) {
        let edges = matrix(&[&[0., 1., 3.], &[-5., 0., 1.]], device);
        let codes = codes(&QuantileBins::from_edges(&edges).unwrap());
        let found = embedded(&codes, &[&[-1e30, 1e30], &[1e30, -6.]], device);
        assert_eq!(found, [[0., 0., 1., 1.], [1., 1., 0., 0.]]);
    }
}

#[test]
fn features_of_few_values_have_fewer_bins() {
    for device in devices_with(DType::F64) {
        let rows = matrix(&[&[2., 0.], &[2., 0.], &[2., 1.], &[2., 1.]], device);
        let bins = QuantileBins::fit(&rows, 3).unwrap();
        let edges = bins.edges().to_vec2::<f64>().unwrap();
        assert_eq!(edges, [[2., 2., 2., 2.], [0., 1., 1., 1.]]);
        let found = embedded(&codes(&bins), &[&[2., 0.5], &[3., 2.], &[-7., -1.]], device);
        let nothing = [0.; 3];
        for (row, first) in found.iter().zip([0.5, 1., 0.]) {
            assert_eq!(row[..3], nothing);
            assert_eq!(row[3..], [first, 0., 0.]);
        }
    }
}

#[test]
fn what_bins_cannot_be_fitted_to_is_refused() {
    let device = &Device::Cpu;
    let message = |rows: &Tensor, n_bins| QuantileBins::fit(rows, n_bins).unwrap_err().to_string();
    assert_eq!(
        message(&matrix(&[&[1.]], device), 0),
        "n_bins must be at least 1, got 0"
    );
    for value in [f64::NAN, f64::INFINITY] {
        assert_eq!(
            message(&matrix(&[&[1.], &[value]], device), 3),
            format!("a value to fit bins to must be finite, got {value}")
        );
    }
    let none = Tensor::zeros((0, 2), DType::F64, device).unwrap();
    assert!(message(&none, 3).contains("at least one row"));
    assert!(message(&none.flatten_all().unwrap(), 3).contains("of shape [rows, features]"));
    for edges in [[1., 0.], [0., f64::NAN]] {
        let error = QuantileBins::from_edges(&matrix(&[&edges], device)).unwrap_err();
        assert!(error.to_string().contains("in ascending order"), "{error}");
    }
    assert!(QuantileBins::from_edges(&matrix(&[&[1.]], device)).is_err());
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let bins = QuantileBins::fit(&matrix(&[&[1., 2.], &[2., 3.]], &Device::Cpu), 3).unwrap();
    let vb = variables().var_builder(DType::F64, &Device::Cpu);
    let message = |n_features, n_bins, n_outputs| {
        let config = PiecewiseLinearConfig {
            n_features,
            n_bins,
            n_outputs,
        };
        PiecewiseLinearEmbedding::new(&config, &bins, &vb)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        message(2, 4, None),
        "expected edges of bins of shape [2, 5], got [2, 4]"
    );
    assert!(message(0, 3, None).contains("n_features must be at least 1"));
    assert!(message(2, 3, Some(0)).contains("n_outputs must be at least 1"));
    let config = PeriodicConfig {
        frequency_std: f64::NAN,
        ..PeriodicConfig::default()
    };
    let error = PeriodicEmbedding::new(&config, &vb)
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "frequency_std must be at least 0 and finite, got NaN"
    );
    let other = matrix(&[&[1.]], &Device::Cpu);
    let error = codes(&bins).forward(&other).unwrap_err().to_string();
    assert!(
        error.contains("expected rows of 2 features to embed, got 1"),
        "{error}"
    );
}

/// As a model's file has it: variables and constants by name, and nothing else.
#[test]
fn variables_and_constants_make_the_embedding_again() {
    let rows = matrix(
        &[&[0.1, 3.], &[-1., 2.], &[0.7, 2.5], &[2., 2.]],
        &Device::Cpu,
    );
    let bins = QuantileBins::fit(&rows, 3).unwrap();
    let config = PiecewiseLinearConfig {
        n_features: 2,
        n_bins: 3,
        n_outputs: Some(4),
    };
    let variables = variables();
    let vb = variables.var_builder(DType::F64, &Device::Cpu);
    let embedding = PiecewiseLinearEmbedding::new(&config, &bins, &vb).unwrap();
    let mut tensors = variables.snapshot().unwrap();
    assert!(
        !tensors.contains_key("edges"),
        "training must not move the edges"
    );
    tensors.extend(embedding.tensors());
    let vb = VarBuilder::from_tensors(tensors.into_iter().collect(), DType::F64, &Device::Cpu);
    let again = PiecewiseLinearEmbedding::load(&config, &vb).unwrap();
    let [first, second] =
        [&embedding, &again].map(|one| values(&one.forward(&rows).unwrap()).unwrap());
    assert_eq!(first, second);
}

#[test]
fn a_layer_is_one_of_each_features_own_codes() {
    let rows = matrix(
        &[&[0.1, 3.], &[-1., 2.], &[0.7, 2.5], &[2., 2.]],
        &Device::Cpu,
    );
    let bins = QuantileBins::fit(&rows, 3).unwrap();
    let config = PiecewiseLinearConfig {
        n_features: 2,
        n_bins: 3,
        n_outputs: Some(2),
    };
    let variables = variables();
    let vb = variables.var_builder(DType::F64, &Device::Cpu);
    let embedding = PiecewiseLinearEmbedding::new(&config, &bins, &vb).unwrap();
    let codes = codes(&bins)
        .forward(&rows)
        .unwrap()
        .to_vec2::<f64>()
        .unwrap();
    let tensors = variables.snapshot().unwrap();
    let weight = tensors["weight"].to_vec3::<f64>().unwrap();
    let bias = tensors["bias"].to_vec2::<f64>().unwrap();
    let found = embedding.forward(&rows).unwrap().to_vec2::<f64>().unwrap();
    for (codes, found) in codes.iter().zip(found) {
        for feature in 0..2 {
            for output in 0..2 {
                let own = &codes[3 * feature..][..3];
                let products = own
                    .iter()
                    .zip(&weight[feature][output])
                    .map(|(code, w)| code * w);
                let expected = (bias[feature][output] + products.sum::<f64>()).max(0.);
                assert!((found[2 * feature + output] - expected).abs() < 1e-14);
            }
        }
    }
}

#[test]
fn frequencies_of_zero_say_the_same_of_every_row() {
    let config = PeriodicConfig {
        n_features: 2,
        n_outputs: 3,
        frequency_std: 0.,
        ..PeriodicConfig::default()
    };
    let vb = variables().var_builder(DType::F64, &Device::Cpu);
    let embedding = PeriodicEmbedding::new(&config, &vb).unwrap();
    let found = embedded(
        &embedding,
        &[&[0.3, -4.], &[1e6, 0.], &[-2., 9.]],
        &Device::Cpu,
    );
    assert_eq!(found[0].len(), config.n_embedded());
    assert!(found[0].iter().any(|&value| value > 0.));
    assert_eq!(found[0], found[1]);
    assert_eq!(found[0], found[2]);
}

#[test]
fn periodic_codes_are_sines_then_cosines() {
    let variables = variables();
    let vb = variables.var_builder(DType::F64, &Device::Cpu);
    // 0.25 periods at x = 1, and one at 4.
    variables
        .preset("frequency", &matrix(&[&[0.25]], &Device::Cpu))
        .unwrap();
    let weight = matrix(&[&[1., 0.], &[0., 1.], &[-1., -2.]], &Device::Cpu)
        .unsqueeze(0)
        .unwrap();
    variables.preset("weight", &weight).unwrap();
    variables
        .preset("bias", &matrix(&[&[0.5, 0., 0.]], &Device::Cpu))
        .unwrap();
    let config = PeriodicConfig {
        n_features: 1,
        n_frequencies: 1,
        n_outputs: 3,
        frequency_std: 1.,
    };
    let embedding = PeriodicEmbedding::new(&config, &vb).unwrap();
    for (x, expected) in [
        (0., [0.5, 1., 0.]),
        (1., [1.5, 0., 0.]),
        (2., [0.5, 0., 2.]),
        (4., [0.5, 1., 0.]),
    ] {
        let found = &embedded(&embedding, &[&[x]], &Device::Cpu)[0];
        // Sines of multiples of π/2 as they are rounded.
        assert_close("periodic", found, &expected, 1e-14, 1e-14);
    }
}

/// Away from edges and from ReLU's kinks, which the values are.
#[test]
fn gradients_are_those_of_central_differences() {
    let training = matrix(
        &[&[0.1, 3.], &[-1., 2.], &[0.7, 2.5], &[2., 2.2]],
        &Device::Cpu,
    );
    let rows = matrix(&[&[0.3, 2.4], &[1.1, 2.75], &[-0.6, 2.1]], &Device::Cpu);
    let bins = QuantileBins::fit(&training, 3).unwrap();
    let check = |embedding: &dyn Module, variables: &SeededVarMap| {
        let rows = Var::from_tensor(&rows).unwrap();
        let mut named = variables.named_vars();
        named.push(("rows".into(), rows.clone()));
        let named: Vec<_> = named
            .iter()
            .map(|(name, var)| (name.as_str(), var))
            .collect();
        let loss = || embedding.forward(&rows)?.sqr()?.sum_all();
        // Richardson's fourth order leaves 1e-9 of values of size 1.
        assert_gradients(&named, loss, 1e-7, 1e-9).unwrap();
    };
    for n_outputs in [None, Some(5)] {
        let variables = variables();
        let vb = variables.var_builder(DType::F64, &Device::Cpu);
        let config = PiecewiseLinearConfig {
            n_features: 2,
            n_bins: 3,
            n_outputs,
        };
        let embedding = PiecewiseLinearEmbedding::new(&config, &bins, &vb).unwrap();
        check(&embedding, &variables);
    }
    let variables = variables();
    let vb = variables.var_builder(DType::F64, &Device::Cpu);
    let config = PeriodicConfig {
        n_features: 2,
        n_frequencies: 3,
        n_outputs: 5,
        frequency_std: 0.3,
    };
    check(&PeriodicEmbedding::new(&config, &vb).unwrap(), &variables);
}

#[test]
fn either_network_can_stand_behind_either_embedding() {
    let training = matrix(
        &[&[0.1, 3.], &[-1., 2.], &[0.7, 2.5], &[2., 2.2]],
        &Device::Cpu,
    );
    let bins = QuantileBins::fit(&training, 3).unwrap();
    let variables = variables();
    let vb = variables.var_builder(DType::F64, &Device::Cpu);
    let linear = PiecewiseLinearConfig {
        n_features: 2,
        n_bins: 3,
        n_outputs: Some(4),
    };
    let mlp = MlpConfig {
        n_inputs: linear.n_embedded(),
        ..MlpConfig::default()
    };
    let network = Embedded {
        embedding: PiecewiseLinearEmbedding::new(&linear, &bins, &vb.pp("linear")).unwrap(),
        network: Mlp::new(&mlp, &vb.pp("mlp")).unwrap(),
    };
    assert_eq!(network.forward(&training).unwrap().dims(), [4, 1]);
    let periodic = PeriodicConfig {
        n_features: 2,
        ..PeriodicConfig::default()
    };
    let ensemble = EnsembleMlpConfig {
        n_inputs: periodic.n_embedded(),
        ..EnsembleMlpConfig::default()
    };
    let model = Embedded {
        embedding: PeriodicEmbedding::new(&periodic, &vb.pp("periodic")).unwrap(),
        network: EnsembleMlp::new(&ensemble, &vb.pp("ensemble")).unwrap(),
    };
    let labels = Tensor::new(&[0f64, 1., 0., 1.], &Device::Cpu).unwrap();
    let batch = Batch::new(vec![training.clone()], labels).unwrap();
    let output = MultiModalModel::forward(&model, batch.modes(), None).unwrap();
    assert_eq!(output.logits.dims(), [4]);
    let loss = model
        .training_loss(&batch, &TrainingConfig::default())
        .unwrap()
        .unwrap();
    let gradients = loss.backward().unwrap();
    for (name, var) in variables.named_vars() {
        let is_trained = name.starts_with("periodic") || name.starts_with("ensemble");
        assert_eq!(gradients.get(&var).is_some(), is_trained, "{name}");
    }
}

proptest! {
    #[test]
    fn codes_grow_with_the_feature_and_stay_within_their_bounds(
        column in prop::collection::vec(-3.0_f64..3.0, 1..30),
        n_bins in 1_usize..9,
        low in -5.0_f64..5.0,
        step in 0.0_f64..3.0,
    ) {
        let n_rows = column.len();
        let rows = Tensor::from_vec(column, (n_rows, 1), &Device::Cpu).unwrap();
        let bins = QuantileBins::fit(&rows, n_bins).unwrap();
        let found = embedded(&codes(&bins), &[&[low], &[low + step]], &Device::Cpu);
        for (low, high) in found[0].iter().zip(&found[1]) {
            prop_assert!(0. <= *low && low <= high && *high <= 1.);
        }
        // A code begins where the one before is full.
        for row in &found {
            for codes in row.windows(2) {
                prop_assert!(codes[1] <= 0. || codes[0] >= 1.);
            }
        }
    }

    #[test]
    fn a_row_has_the_same_bits_in_every_batch(n_rows in 1_usize..40, start in 0_usize..39) {
        let values: Vec<f32> = (0..n_rows * 2).map(|i| (i as f32 * 0.7).sin()).collect();
        let rows = Tensor::from_vec(values, (n_rows, 2), &Device::Cpu).unwrap();
        let start = start.min(n_rows - 1);
        let bins = QuantileBins::fit(&rows, 5).unwrap();
        let vb = variables().var_builder(DType::F32, &Device::Cpu);
        let linear = PiecewiseLinearConfig { n_features: 2, n_bins: 5, n_outputs: Some(7) };
        let linear = PiecewiseLinearEmbedding::new(&linear, &bins, &vb.pp("linear")).unwrap();
        let periodic = PeriodicConfig { n_features: 2, ..PeriodicConfig::default() };
        let periodic = PeriodicEmbedding::new(&periodic, &vb.pp("periodic")).unwrap();
        for embedding in [&linear as &dyn Module, &periodic] {
            let all = embedding.forward(&rows).unwrap().to_vec2::<f32>().unwrap();
            let one = embedding.forward(&rows.narrow(0, start, 1).unwrap()).unwrap();
            prop_assert_eq!(&all[start], &one.to_vec2::<f32>().unwrap()[0]);
        }
    }
}
