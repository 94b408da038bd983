//! Mixtures of Gaussians: what is true of them by definition, and what scikit-learn computes.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

use std::collections::HashMap;

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::VarBuilder;
use emma_energy::{
    ComponentChoice, EnergyEstimator, EstimatorConfig, FittedEstimator, GaussianMixture,
    GaussianMixtureConfig, GaussianMixtureFit, energies, transfer,
};
use emma_testkit::devices_with;
use emma_testkit::fixtures::{MixtureScoringCase, gaussian_mixtures};
use emma_testkit::gradcheck::assert_gradients;
use emma_testkit::tolerance::{assert_close, values};
use proptest::prelude::*;
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

fn mixture_of(case: &MixtureScoringCase, dtype: DType, device: &Device) -> GaussianMixture {
    let tensor = |tensor: Result<Tensor>| tensor.unwrap().to_dtype(DType::F32).unwrap();
    let cpu = &Device::Cpu;
    let tensors = HashMap::from([
        (
            "log_weights".to_owned(),
            tensor(Tensor::new(case.log_weights.clone(), cpu)),
        ),
        (
            "means".to_owned(),
            tensor(Tensor::new(case.means.clone(), cpu)),
        ),
        (
            "precision_cholesky".to_owned(),
            tensor(Tensor::new(case.precision_cholesky.clone(), cpu)),
        ),
    ]);
    let config = GaussianMixtureConfig {
        n_features: case.means[0].len(),
        n_components: case.means.len(),
    };
    let vb = VarBuilder::from_tensors(tensors, dtype, device);
    GaussianMixture::new(&config, &vb).unwrap()
}

/// Rows of a few Gaussians of different widths, features correlated.
fn clustered_rows(n: usize, n_features: usize, n_clusters: usize, seed: u64) -> Vec<Vec<f64>> {
    let mut rng = emma_testkit::rng(seed);
    (0..n)
        .map(|row| {
            let cluster = (row % n_clusters) as f64;
            let mut before = 0.;
            (0..n_features)
                .map(|feature| {
                    let deviate: f64 = StandardNormal.sample(&mut rng);
                    let center = cluster * if feature % 2 == 0 { 6. } else { -4. };
                    before = 0.5 * before + (0.4 + 0.2 * cluster) * deviate;
                    center + before
                })
                .collect()
        })
        .collect()
}

fn fit(rows: &Tensor, components: ComponentChoice, seed: u64) -> GaussianMixture {
    let fit = GaussianMixtureFit {
        components,
        ..GaussianMixtureFit::default()
    };
    fit.fit(rows, &mut emma_testkit::rng(seed)).unwrap()
}

#[test]
fn densities_are_those_of_scikit_learn() {
    for device in devices_with(DType::F64) {
        for case in gaussian_mixtures().scoring {
            let mixture = mixture_of(&case, DType::F64, device);
            let rows = Tensor::new(case.rows.clone(), device).unwrap();
            let energies = values(&mixture.energy(&rows).unwrap()).unwrap();
            let expected: Vec<f64> = case.log_likelihood.iter().map(|value| -value).collect();
            assert_close(&case.name, &energies, &expected, 1e-10, 1e-10);
            let responsibilities = values(&mixture.responsibilities(&rows).unwrap()).unwrap();
            let expected = case.responsibilities.concat();
            // Exponentials of log-likelihoods, of millions where rows are far.
            assert_close(&case.name, &responsibilities, &expected, 1e-7, 1e-10);
            assert_close(
                &case.name,
                &[mixture.bic(&rows).unwrap()],
                &[case.bic],
                1e-10,
                0.,
            );
        }
    }
}

/// The parameters hold f32 numbers, so that the mixture in f32 differs by its arithmetic alone.
#[test]
fn f32_agrees_to_its_precision() {
    for device in emma_testkit::devices() {
        for case in gaussian_mixtures().scoring {
            let mixture = mixture_of(&case, DType::F32, device);
            let rows = Tensor::new(case.rows.clone(), &Device::Cpu).unwrap();
            let rows = transfer(&rows, DType::F32, device).unwrap();
            let energies = values(&mixture.energy(&rows).unwrap()).unwrap();
            let expected: Vec<f64> = case.log_likelihood.iter().map(|value| -value).collect();
            assert_close(&case.name, &energies, &expected, 1e-5, 1e-4);
        }
    }
}

/// The sum over a grid that reaches ten standard deviations beyond all rows; for a function as smooth
/// as that, with steps below its smallest deviation, it is exact to rounding.
#[test]
fn the_density_integrates_to_one() {
    for device in devices_with(DType::F64) {
        let grid = |from: f64, step: f64, n: u32| (0..n).map(move |i| from + f64::from(i) * step);
        let integral = |mixture: &GaussianMixture, rows: Vec<Vec<f64>>, cell: f64| {
            let rows = Tensor::new(rows, device).unwrap();
            let energies = energies(mixture, &rows).unwrap();
            energies.iter().map(|energy| (-energy).exp()).sum::<f64>() * cell
        };
        let components = ComponentChoice::Fixed(3);
        let line = Tensor::new(clustered_rows(120, 1, 3, 1), device).unwrap();
        let mixture = fit(&line, components, 1);
        let points = grid(-12., 0.05, 720).map(|x| vec![x]).collect();
        let total = integral(&mixture, points, 0.05);
        assert_close("one feature", &[total], &[1.], 0., 1e-9);

        let plane = Tensor::new(clustered_rows(300, 2, 3, 1), device).unwrap();
        let mixture = fit(&plane, components, 1);
        let points = grid(-10., 0.125, 256)
            .flat_map(|x| grid(-18., 0.125, 224).map(move |y| vec![x, y]))
            .collect();
        let total = integral(&mixture, points, 0.125 * 0.125);
        assert_close("two features", &[total], &[1.], 0., 1e-9);
    }
}

#[test]
fn clusters_are_found_and_counted() {
    for device in devices_with(DType::F64) {
        for n_clusters in 1..=4 {
            let rows = Tensor::new(clustered_rows(400, 2, n_clusters, 7), device).unwrap();
            let choice = ComponentChoice::LowestBic {
                at_least: 1,
                at_most: 6,
            };
            let mixture = fit(&rows, choice, 1);
            assert_eq!(mixture.n_components(), n_clusters);
            let mut means = mixture
                .means()
                .to_device(&Device::Cpu)
                .unwrap()
                .to_vec2::<f64>()
                .unwrap();
            means.sort_by(|a, b| a[0].total_cmp(&b[0]));
            for (cluster, mean) in means.iter().enumerate() {
                let expected = [cluster as f64 * 6., cluster as f64 * -4.];
                // A hundred rows or more of standard deviation one.
                assert_close("mean", mean, &expected, 0., 0.4);
            }
            let weights = values(mixture.log_weights()).unwrap();
            for weight in weights {
                let expected = 1. / n_clusters as f64;
                assert_close("weight", &[weight.exp()], &[expected], 1e-2, 0.);
            }
        }
    }
}

/// The first of several starts is the only one of one start.
#[test]
fn more_starts_never_fit_worse() {
    let rows = Tensor::new(clustered_rows(200, 2, 4, 3), &Device::Cpu).unwrap();
    let mut differ = 0;
    for seed in 0..10 {
        let bic = |n_starts| {
            let fit = GaussianMixtureFit {
                components: ComponentChoice::Fixed(6),
                n_starts,
                ..GaussianMixtureFit::default()
            };
            let mixture = fit.fit(&rows, &mut emma_testkit::rng(seed)).unwrap();
            mixture.bic(&rows).unwrap()
        };
        let (one, five) = (bic(1), bic(5));
        assert!(five <= one + 1e-6, "seed {seed}: {five} {one}");
        differ += usize::from(five < one - 1e-3);
    }
    assert!(differ > 0, "all starts end in the same place");
}

/// As many components as there are distinct rows, finite parameters, finite energies in f64.
#[test]
fn whatever_rows_come_the_parameters_are_finite() {
    let tiny = f64::from(f32::from_bits(1));
    let ramp = |scale: f64| -> Vec<Vec<f64>> {
        (0..30)
            .map(|row| vec![f64::from(row * row % 17) * scale, f64::from(row) * scale])
            .collect()
    };
    let line = |scale: f64| -> Vec<Vec<f64>> {
        (0..30)
            .map(|row| vec![f64::from(row) * scale, f64::from(row) * -2. * scale])
            .collect()
    };
    let constant = (0..30).map(|row| vec![5., f64::from(row)]).collect();
    let twice = (0..30).map(|row| vec![f64::from(row % 2), 0.]).collect();
    let mixed = (0..30)
        .map(|row| vec![if row == 3 { 1e30 } else { 0.1 }, f64::from(row) * tiny])
        .collect();
    let largest = f64::from(f32::MAX);
    let cases: Vec<(&str, Vec<Vec<f64>>, usize)> = vec![
        ("one row", vec![vec![1., 2.]], 1),
        (
            "fewer rows than components",
            vec![vec![1., 2.], vec![3., -4.]],
            2,
        ),
        ("one row again and again", vec![vec![1., 2.]; 30], 1),
        ("two rows again and again", twice, 2),
        ("a constant feature", constant, 4),
        ("a line", line(1.), 4),
        ("a huge line", line(1e30), 4),
        ("huge", ramp(1e30), 4),
        (
            "as large as can be",
            vec![
                vec![largest, -largest],
                vec![-largest, largest],
                vec![0., 0.],
            ],
            3,
        ),
        ("subnormal", ramp(tiny), 4),
        ("one outlier", mixed, 4),
    ];
    for device in devices_with(DType::F64) {
        for (name, rows, n_components) in &cases {
            let rows = Tensor::new(rows.clone(), device).unwrap();
            for floor in [1e-3, 1e-12, 1e12] {
                let fit = GaussianMixtureFit {
                    components: ComponentChoice::Fixed(4),
                    covariance_floor: floor,
                    ..GaussianMixtureFit::default()
                };
                let mixture = fit.fit(&rows, &mut emma_testkit::rng(1)).unwrap();
                let found = mixture.n_components();
                assert!((1..=*n_components).contains(&found), "{name}: {found}");
                for (tensor_name, tensor) in mixture.tensors() {
                    for value in values(&tensor).unwrap() {
                        assert!(value.is_finite(), "{name}, {floor}: {tensor_name} {value}");
                    }
                }
                let responsibilities = values(&mixture.responsibilities(&rows).unwrap()).unwrap();
                for row in responsibilities.chunks_exact(found) {
                    let sum: f64 = row.iter().sum();
                    assert_close(name, &[sum], &[1.], 1e-12, 0.);
                }
                // Reads every energy and refuses what is not finite.
                energies(&mixture, &rows).unwrap();
                assert!(mixture.bic(&rows).unwrap().is_finite(), "{name}");
            }
        }
    }
}

#[test]
fn the_floor_bounds_every_variance() {
    let rows: Vec<Vec<f64>> = (0..50).map(|row| vec![f64::from(row), 3.]).collect();
    let rows = Tensor::new(rows, &Device::Cpu).unwrap();
    let fit = GaussianMixtureFit {
        components: ComponentChoice::Fixed(2),
        covariance_floor: 0.25,
        ..GaussianMixtureFit::default()
    };
    let mixture = fit.fit(&rows, &mut emma_testkit::rng(1)).unwrap();
    for covariance in mixture.covariances().unwrap().to_vec3::<f64>().unwrap() {
        assert!(covariance[0][0] > 10.);
        // The floor and nothing else, rounded as parameters are.
        assert_close("constant", &[covariance[1][1]], &[0.25], 1e-6, 0.);
    }
}

/// Components overlap no more than 1e-6, so that a sample's responsibilities name its component.
#[test]
fn samples_have_the_moments_of_the_mixture() {
    for device in devices_with(DType::F64) {
        let rows: Vec<Vec<f64>> = clustered_rows(900, 2, 3, 11)
            .into_iter()
            .enumerate()
            // The third cluster half as often.
            .filter(|(row, _)| row % 6 != 5)
            .map(|(_, row)| row)
            .collect();
        let rows = Tensor::new(rows, device).unwrap();
        let mixture = fit(&rows, ComponentChoice::Fixed(3), 1);
        let n = 20_000;
        let sample = mixture.sample(n, &mut emma_testkit::rng(2)).unwrap();
        assert_eq!(sample.dims(), [n, 2]);
        let shares = mixture.responsibilities(&sample).unwrap();
        let drawn = shares
            .to_device(&Device::Cpu)
            .unwrap()
            .to_vec2::<f64>()
            .unwrap();
        let sample = sample
            .to_device(&Device::Cpu)
            .unwrap()
            .to_vec2::<f64>()
            .unwrap();
        let means = values(mixture.means()).unwrap();
        let covariances = values(&mixture.covariances().unwrap()).unwrap();
        let log_weights = values(mixture.log_weights()).unwrap();
        for component in 0..3 {
            let own: Vec<&Vec<f64>> = sample
                .iter()
                .zip(&drawn)
                .filter(|(_, shares)| shares[component] > 0.5)
                .map(|(row, _)| row)
                .collect();
            let count = own.len() as f64;
            let weight = log_weights[component].exp();
            // Five standard deviations of each estimate.
            assert_close(
                "weight",
                &[count / n as f64],
                &[weight],
                0.,
                5. * (0.25 / n as f64).sqrt(),
            );
            let mean = [0, 1].map(|i| own.iter().map(|row| row[i]).sum::<f64>() / count);
            let covariance = &covariances[component * 4..][..4];
            for i in 0..2 {
                let error = 5. * (covariance[i * 3] / count).sqrt();
                assert_close("mean", &[mean[i]], &[means[component * 2 + i]], 0., error);
                for j in 0..2 {
                    let products = own
                        .iter()
                        .map(|row| (row[i] - mean[i]) * (row[j] - mean[j]));
                    let got = products.sum::<f64>() / count;
                    let error = 5. * (2. * covariance[i * 3] * covariance[j * 3] / count).sqrt();
                    assert_close("covariance", &[got], &[covariance[i * 2 + j]], 0., error);
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn the_gradient_is_that_of_central_differences(
        n in 1usize..5, n_features in 1usize..4, n_components in 1usize..4, seed: u64,
    ) {
        for device in devices_with(DType::F64) {
            let training = Tensor::new(clustered_rows(60, n_features, 3, seed), device).unwrap();
            let mixture = fit(&training, ComponentChoice::Fixed(n_components), seed);
            let mut rng = emma_testkit::rng(seed ^ 1);
            let rows: Vec<f64> = (0..n * n_features).map(|_| rng.random_range(-8f64..16.)).collect();
            let rows = Tensor::from_vec(rows, (n, n_features), &Device::Cpu).unwrap();
            let rows = Var::from_tensor(&rows.to_device(device).unwrap()).unwrap();
            let energy = || mixture.energy(&rows).map_err(candle_core::Error::wrap)?.sum_all();
            // Energies reach some thousands where a component is narrow.
            assert_gradients(&[("rows", &rows)], energy, 1e-6, 1e-6).unwrap();
        }
    }

    /// The same draws, up to the order in which features are added and rounded to f32.
    #[test]
    fn permuting_features_permutes_the_mixture(n_features in 2usize..5, seed: u64) {
        let device = &Device::Cpu;
        let rows = Tensor::new(clustered_rows(90, n_features, 2, seed), device).unwrap();
        let order: Vec<u32> = (0..n_features as u32).rev().collect();
        let order = Tensor::new(order, device).unwrap();
        let permuted = rows.index_select(&order, 1).unwrap();
        let mixture = fit(&rows, ComponentChoice::Fixed(2), seed);
        let other = fit(&permuted, ComponentChoice::Fixed(2), seed);
        assert_close(
            "energy",
            &values(&other.energy(&permuted).unwrap()).unwrap(),
            &values(&mixture.energy(&rows).unwrap()).unwrap(),
            1e-5,
            1e-4,
        );
    }

    /// On the CPU, in blocks of rows as in no block.
    #[test]
    fn a_row_alone_scores_bitwise_as_in_any_batch(
        n in 1usize..50, n_features in 1usize..6, n_components in 1usize..6,
        wide in any::<bool>(), seed: u64,
    ) {
        let device = &Device::Cpu;
        let dtype = if wide { DType::F64 } else { DType::F32 };
        let rows = Tensor::new(clustered_rows(60, n_features, 3, seed), device).unwrap();
        let rows = rows.to_dtype(dtype).unwrap();
        let mixture = fit(&rows, ComponentChoice::Fixed(n_components), seed);
        let rows = (rows.narrow(0, 0, n).unwrap() * 1.5).unwrap();
        let together = values(&mixture.energy(&rows).unwrap()).unwrap();
        for (row, energy) in together.iter().enumerate() {
            let alone = mixture.energy(&rows.narrow(0, row, 1).unwrap()).unwrap();
            prop_assert_eq!(values(&alone).unwrap()[0].to_bits(), energy.to_bits());
        }
    }
}

/// Settings are checked before rows are read.
#[test]
fn settings_out_of_range_are_named() {
    let rows = Tensor::zeros((0, 3), DType::F32, &Device::Cpu).unwrap();
    let refusal = |fit: GaussianMixtureFit| {
        let result = fit.fit(&rows, &mut emma_testkit::rng(1));
        result.unwrap_err().to_string()
    };
    let default = GaussianMixtureFit::default;
    let with = |components| GaussianMixtureFit {
        components,
        ..default()
    };
    let range = |at_least, at_most| with(ComponentChoice::LowestBic { at_least, at_most });
    let range_message =
        "components must be a range that starts at 1 or above and has a number in it";
    for (fit, expected) in [
        (
            with(ComponentChoice::Fixed(0)),
            "components must be at least 1, got 0".to_owned(),
        ),
        (range(0, 3), format!("{range_message}, got 0 to 3")),
        (range(3, 2), format!("{range_message}, got 3 to 2")),
        (
            GaussianMixtureFit {
                covariance_floor: 0.,
                ..default()
            },
            "covariance_floor must be from 1e-12 to 1e12, got 0".to_owned(),
        ),
        (
            GaussianMixtureFit {
                covariance_floor: f64::NAN,
                ..default()
            },
            "covariance_floor must be from 1e-12 to 1e12, got NaN".to_owned(),
        ),
        (
            GaussianMixtureFit {
                n_starts: 0,
                ..default()
            },
            "n_starts must be at least 1, got 0".to_owned(),
        ),
        (
            GaussianMixtureFit {
                max_iterations: 0,
                ..default()
            },
            "max_iterations must be at least 1, got 0".to_owned(),
        ),
        (
            GaussianMixtureFit {
                tolerance: f64::INFINITY,
                ..default()
            },
            "tolerance must be finite and not negative, got inf".to_owned(),
        ),
        (
            default(),
            "expected at least one row for fitting a Gaussian mixture, got none".to_owned(),
        ),
    ] {
        assert_eq!(refusal(fit), expected);
    }
}

#[test]
fn rows_of_another_width_and_no_rows_are_refused_everywhere() {
    let case = &gaussian_mixtures().scoring[1];
    let mixture = mixture_of(case, DType::F64, &Device::Cpu);
    let narrow = Tensor::zeros((2, 3), DType::F64, &Device::Cpu).unwrap();
    let expected = "expected rows with 4 features, got a tensor of shape [2, 3]";
    let error = mixture.responsibilities(&narrow).unwrap_err();
    assert_eq!(error.to_string(), expected);
    assert_eq!(mixture.bic(&narrow).unwrap_err().to_string(), expected);
    let none = Tensor::zeros((0, 4), DType::F64, &Device::Cpu).unwrap();
    assert_eq!(mixture.responsibilities(&none).unwrap().dims(), [0, 3]);
    assert_eq!(
        mixture.bic(&none).unwrap_err().to_string(),
        "expected at least one row for the Bayesian information criterion, got none"
    );
}

/// As in a hostile file: sizes of nothing, tensors of other shapes.
#[test]
fn parameters_that_make_no_mixture_are_refused() {
    let load = |n_features, n_components| {
        let vb = VarBuilder::zeros(DType::F32, &Device::Cpu);
        let config = GaussianMixtureConfig {
            n_features,
            n_components,
        };
        let result = EstimatorConfig::GaussianMixture(config).load(&vb);
        result.err().unwrap().to_string()
    };
    assert_eq!(load(0, 1), "n_features must be at least 1, got 0");
    assert_eq!(load(1, 0), "n_components must be at least 1, got 0");
    // A diagonal of zeros.
    let message = load(2, 2);
    assert!(
        message.starts_with("precision_cholesky must be lower triangular"),
        "{message}"
    );
}

#[test]
fn settings_are_written_as_people_write_them() {
    let text =
        r#"{"components":{"lowest_bic":{"at_least":2,"at_most":9}},"covariance_floor":0.01}"#;
    let fit: GaussianMixtureFit = serde_json::from_str(text).unwrap();
    let expected = GaussianMixtureFit {
        components: ComponentChoice::LowestBic {
            at_least: 2,
            at_most: 9,
        },
        covariance_floor: 0.01,
        ..GaussianMixtureFit::default()
    };
    assert_eq!(fit, expected);
    let text = serde_json::to_string(&GaussianMixtureFit::default()).unwrap();
    assert!(text.contains(r#""components":{"fixed":10}"#), "{text}");
    assert!(serde_json::from_str::<GaussianMixtureFit>(r#"{"n_components":3}"#).is_err());
}
