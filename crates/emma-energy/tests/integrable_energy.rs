//! What makes an energy of a deep network integrable, and what it learns.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::VarBuilder;
use emma_energy::{
    Activation, Architecture, AutoencoderConfig, DenoisingAutoencoder, EnergyEstimator,
    IntegrableEnergy, IntegrableEnergyConfig, IntegrableEnergyFit, MlpAutoencoder,
    MlpAutoencoderConfig, MlpAutoencoderFit, Result, SeededVarMap, load_estimator,
    potential_energy, save_estimator, score_matching_loss,
};
use emma_testkit::devices_with;
use emma_testkit::gradcheck::assert_gradients;
use emma_testkit::tolerance::{assert_close, values};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

fn normal_rows(n: usize, n_features: usize, seed: u64, scale: f64, device: &Device) -> Tensor {
    let normal = StandardNormal.sample_iter(emma_testkit::rng(seed));
    let values: Vec<f64> = normal
        .take(n * n_features)
        .map(|normal: f64| scale * normal)
        .collect();
    Tensor::from_vec(values, (n, n_features), device).unwrap()
}

/// One energy of every architecture and activation, for few enough features that tests may be
/// thorough.
fn configs() -> Vec<IntegrableEnergyConfig> {
    let architectures = [
        (4, Architecture::Mlp { hidden: vec![6] }),
        (
            3,
            Architecture::Mlp {
                hidden: vec![5, 7, 4],
            },
        ),
        (
            9,
            Architecture::Convolution1d {
                channels: vec![3, 2],
                kernel_size: 3,
                stride: 2,
                hidden: vec![],
            },
        ),
        (
            8,
            Architecture::Convolution1d {
                channels: vec![2],
                kernel_size: 5,
                stride: 1,
                hidden: vec![4],
            },
        ),
        (
            12,
            Architecture::Convolution2d {
                height: 3,
                width: 4,
                channels: vec![2, 3],
                kernel_size: 3,
                stride: 2,
                hidden: vec![4],
            },
        ),
    ];
    let mut configs = Vec::new();
    for (n_features, architecture) in architectures {
        for activation in [Activation::Tanh, Activation::Softplus] {
            configs.push(IntegrableEnergyConfig {
                n_features,
                architecture: architecture.clone(),
                activation,
            });
        }
    }
    configs
}

/// An energy with parameters three times the usual, so that it is far from its quadratic part.
fn build(
    config: &IntegrableEnergyConfig,
    seed: u64,
    device: &Device,
) -> (IntegrableEnergy, SeededVarMap) {
    let variables = SeededVarMap::new(emma_testkit::rng(seed));
    let vb = variables.var_builder(DType::F64, device);
    let energy = IntegrableEnergy::new(config, &vb).unwrap();
    for (variable, seed) in variables.all_vars().iter().zip(100..) {
        let value = variable.as_detached_tensor();
        let shift = normal_rows(1, value.elem_count(), seed, 0.1, device)
            .reshape(value.shape())
            .unwrap();
        let value = ((value * 3.).unwrap() + shift).unwrap();
        variable.set(&value).unwrap();
    }
    (energy, variables)
}

/// Two hidden layers, trained to denoise rows on a curve.
fn stacked_autoencoder(device: &Device) -> MlpAutoencoder {
    let rows: Vec<f64> = (0..300)
        .map(|row| f64::from(row) / 100. - 1.5)
        .flat_map(|t| [t, t * t - 1., (2. * t).sin()])
        .collect();
    let rows = Tensor::from_vec(rows, (300, 3), device).unwrap();
    let mut fit = MlpAutoencoderFit {
        hidden: vec![12, 12],
        ..MlpAutoencoderFit::default()
    };
    fit.training.noise_std = 0.2;
    fit.training.learning_rate = 1e-2;
    fit.fit(&rows, &mut emma_testkit::rng(1)).unwrap().0
}

/// Derivatives of every output by every input at one row, `[output][input]`.
fn jacobian(function: impl Fn(&Tensor) -> Result<Tensor>, row: &Tensor) -> Vec<Vec<f64>> {
    let row = Var::from_tensor(row).unwrap();
    let outputs = function(&row).unwrap();
    (0..outputs.dims()[1])
        .map(|output| {
            let one = outputs.narrow(1, output, 1).unwrap().sum_all().unwrap();
            values(one.backward().unwrap().get(&row).unwrap()).unwrap()
        })
        .collect()
}

/// Largest difference of two entries that a symmetric matrix has equal, and the largest entry off
/// the diagonal.
fn asymmetry(matrix: &[Vec<f64>]) -> (f64, f64) {
    let mut difference = 0f64;
    let mut largest = 0f64;
    for (i, row) in matrix.iter().enumerate() {
        for (entry, mirrored) in row.iter().zip(matrix.iter().map(|row| row[i])).take(i) {
            difference = difference.max((entry - mirrored).abs());
            largest = largest.max(entry.abs());
        }
    }
    (difference, largest)
}

#[test]
fn the_jacobian_of_the_field_is_symmetric() {
    for device in devices_with(DType::F64) {
        for config in configs() {
            let (energy, _) = build(&config, 1, device);
            for seed in 0..5 {
                let row = normal_rows(1, config.n_features, seed, 1.5, device);
                let (difference, largest) = asymmetry(&jacobian(|row| energy.field(row), &row));
                assert!(largest > 1e-3, "{config:?}: nothing to compare");
                // Sums of some dozens of products of the size of the entries.
                assert!(
                    difference < 1e-12 * largest.max(1.),
                    "{config:?}: {difference}"
                );
            }
        }
    }
}

/// The limit of thesis section 4.4: more layers, no potential.
#[test]
fn the_jacobian_of_a_stacked_autoencoder_is_not_symmetric() {
    for device in devices_with(DType::F64) {
        let autoencoder = stacked_autoencoder(device);
        let row = Tensor::new(&[[0.3f64, -0.5, 0.9]], device).unwrap();
        let (difference, largest) = asymmetry(&jacobian(|row| autoencoder.reconstruct(row), &row));
        assert!(difference > 0.05 * largest, "{difference} of {largest}");
    }
}

#[test]
fn the_field_is_the_negative_gradient_of_the_energy() {
    for device in devices_with(DType::F64) {
        for config in configs() {
            let (energy, _) = build(&config, 2, device);
            let rows = Var::from_tensor(&normal_rows(6, config.n_features, 3, 2., device)).unwrap();
            let sum = energy.energy(&rows).unwrap().sum_all().unwrap();
            let gradient = sum.backward().unwrap().get(&rows).unwrap().neg().unwrap();
            assert_close(
                &format!("{config:?}"),
                &values(&energy.field(&rows).unwrap()).unwrap(),
                &values(&gradient).unwrap(),
                1e-10,
                1e-10,
            );
        }
    }
}

/// A gradient of a gradient, which candle itself cannot take.
#[test]
fn every_parameter_has_the_gradient_of_central_differences() {
    for device in devices_with(DType::F64) {
        for config in configs() {
            let (energy, variables) = build(&config, 3, device);
            let clean = normal_rows(3, config.n_features, 4, 1., device);
            let noise = normal_rows(3, config.n_features, 5, 0.3, device);
            let corrupted = (&clean + noise).unwrap();
            let noise_stds = Tensor::new(&[0.2f64, 0.3, 0.5], device).unwrap();
            let vars = variables.all_vars();
            let names: Vec<String> = (0..vars.len()).map(|k| format!("{config:?} {k}")).collect();
            let named: Vec<_> = names.iter().map(String::as_str).zip(&vars).collect();
            let loss = || {
                score_matching_loss(&energy, &clean, &corrupted, &noise_stds)
                    .map_err(candle_core::Error::wrap)
            };
            assert_gradients(&named, loss, 1e-7, 1e-7).unwrap();
            let energies = || {
                let energies = energy.energy(&clean).map_err(candle_core::Error::wrap)?;
                energies.sum_all()
            };
            // The last layers of a field do not depend on all that an energy does.
            assert_gradients(&named, energies, 1e-7, 1e-7).unwrap();
        }
    }
}

/// `∮ field · dx` around an ellipse in space, by the trapezoidal rule, which is exact to rounding for
/// smooth closed curves; and the largest contribution's size.
fn circulation(
    field: impl Fn(&Tensor) -> Result<Tensor>,
    n_features: usize,
    device: &Device,
) -> f64 {
    const N_POINTS: usize = 512;
    let axes: Vec<Vec<f64>> = normal_rows(3, n_features, 7, 1., device).to_vec2().unwrap();
    let mut points = Vec::new();
    let mut steps = Vec::new();
    for point in 0..N_POINTS {
        let angle = std::f64::consts::TAU * point as f64 / N_POINTS as f64;
        let (sin, cos) = angle.sin_cos();
        for ((center, one), other) in axes[0].iter().zip(&axes[1]).zip(&axes[2]) {
            points.push(center + cos * one + sin * other);
            steps.push((cos * other - sin * one) * std::f64::consts::TAU / N_POINTS as f64);
        }
    }
    let points = Tensor::from_vec(points, (N_POINTS, n_features), device).unwrap();
    let steps = Tensor::from_vec(steps, (N_POINTS, n_features), device).unwrap();
    let work = (field(&points).unwrap() * steps).unwrap();
    values(&work.sum_all().unwrap()).unwrap()[0]
}

#[test]
fn line_integrals_around_closed_loops_vanish() {
    for device in devices_with(DType::F64) {
        for config in configs() {
            let (energy, _) = build(&config, 4, device);
            let work = circulation(|rows| energy.field(rows), config.n_features, device);
            // The rule's error falls exponentially with the number of points; what remains is the
            // rounding of a sum of thousands of products of size 0.1.
            assert!(work.abs() < 1e-11, "{config:?}: {work}");
        }
        let stacked = stacked_autoencoder(device);
        let work = circulation(|rows| Ok((stacked.reconstruct(rows)? - rows)?), 3, device);
        assert!(work.abs() > 0.1, "{work}");
    }
}

/// Eq. 4.7 is the special case of one softplus layer whose output weights are −1.
#[test]
fn the_tied_potential_is_an_integrable_energy() -> Result<()> {
    for device in devices_with(DType::F64) {
        let variables = SeededVarMap::new(emma_testkit::rng(1));
        let vb = variables.var_builder(DType::F64, device);
        let config = AutoencoderConfig {
            n_features: 3,
            n_hidden: 5,
        };
        let autoencoder = DenoisingAutoencoder::new(&config, &vb)?;
        for (variable, seed) in variables.all_vars().iter().zip(20..) {
            let count = variable.elem_count();
            let value = normal_rows(1, count, seed, 1., device).reshape(variable.shape())?;
            variable.set(&value)?;
        }
        let tensors = HashMap::from([
            ("center".to_owned(), autoencoder.decoder_bias().clone()),
            ("layers.0.weight".to_owned(), autoencoder.weight().clone()),
            (
                "layers.0.bias".to_owned(),
                autoencoder.encoder_bias().clone(),
            ),
            (
                "output_weight".to_owned(),
                Tensor::full(-1f64, (1, 5), device)?,
            ),
        ]);
        let config = IntegrableEnergyConfig {
            n_features: 3,
            architecture: Architecture::Mlp { hidden: vec![5] },
            activation: Activation::Softplus,
        };
        let vb = VarBuilder::from_tensors(tensors, DType::F64, device);
        let energy = IntegrableEnergy::new(&config, &vb)?;
        let rows = normal_rows(20, 3, 2, 3., device);
        assert_close(
            "energy",
            &values(&energy.energy(&rows)?)?,
            &values(&potential_energy(&autoencoder, &rows)?)?,
            1e-13,
            1e-13,
        );
        assert_close(
            "reconstruction",
            &values(&energy.reconstruct(&rows)?)?,
            &values(&autoencoder.reconstruct(&rows)?)?,
            1e-13,
            1e-13,
        );
    }
    Ok(())
}

/// Not of one training, but of any parameters: here such as pull outwards with all their might.
#[test]
fn far_enough_out_every_energy_grows_without_bound() {
    for device in devices_with(DType::F64) {
        for config in configs() {
            let (energy, variables) = build(&config, 5, device);
            for variable in variables.all_vars() {
                let value = (variable.as_detached_tensor() * 20.).unwrap();
                variable.set(&value).unwrap();
            }
            let directions = normal_rows(50, config.n_features, 6, 1., device);
            let mut nearer = vec![f64::NEG_INFINITY; 50];
            for distance in [1e8, 1e9, 1e12, 1e30] {
                let rows = (&directions * distance).unwrap();
                let energies = values(&energy.energy(&rows).unwrap()).unwrap();
                for (energy, nearer) in energies.iter().zip(&nearer) {
                    assert!(
                        energy.is_finite() && energy > nearer,
                        "{config:?}: {energy}"
                    );
                }
                // The bowl alone is left of the field.
                let field = values(&energy.field(&rows).unwrap()).unwrap();
                let outside: Vec<f64> = values(&rows).unwrap().iter().map(|x| -x).collect();
                assert_close("field", &field, &outside, 1e-3, 1e6);
                nearer = energies;
            }
        }
    }
}

/// Clean rows with the standard normal distribution: blurred by σ they have variance 1 + σ², so
/// the best reconstruction is `x̃ / (1 + σ²)`.
#[test]
fn training_finds_the_score_of_a_normal_distribution() {
    for device in emma_testkit::devices() {
        let rows = normal_rows(4000, 2, 1, 1., &Device::Cpu);
        let rows = emma_energy::transfer(&rows, DType::F32, device).unwrap();
        let fit = IntegrableEnergyFit {
            architecture: Architecture::Mlp {
                hidden: vec![16, 16],
            },
            n_epochs: 20,
            noise_stds: vec![0.5],
            ..IntegrableEnergyFit::default()
        };
        let energy = fit.fit(&rows, &mut emma_testkit::rng(2)).unwrap();
        let probes = rows.narrow(0, 0, 500).unwrap();
        let reconstruction = values(&energy.reconstruct(&probes).unwrap()).unwrap();
        let probes = values(&probes).unwrap();
        let errors = reconstruction
            .iter()
            .zip(&probes)
            .map(|(r, x)| (r - x / 1.25).powi(2));
        let error = (errors.sum::<f64>() / 1000.).sqrt();
        // 4,000 rows a level, so some percent; doing nothing has 0.2.
        assert!(error < 0.05, "{error}");
    }
}

/// Figure 4.7 of the thesis: in the middle of a circle, far from all rows, the reconstruction
/// error is as small as on it; the energy is not.
#[test]
fn the_middle_of_a_circle_is_as_outlying_as_it_looks() {
    for device in emma_testkit::devices() {
        let mut rng = emma_testkit::rng(3);
        let circle: Vec<f32> = (0..1000)
            .map(|_| rng.random_range(0f32..std::f32::consts::TAU))
            .flat_map(|angle| [3. * angle.sin(), 3. * angle.cos()])
            .collect();
        let circle = Tensor::from_vec(circle, (1000, 2), device).unwrap();
        let energy = IntegrableEnergyFit::default()
            .fit(&circle, &mut rng)
            .unwrap();
        let highest = values(&energy.energy(&circle).unwrap())
            .unwrap()
            .into_iter()
            .fold(f64::NEG_INFINITY, f64::max);
        let outlying = [
            [0f32, 0.],
            [1.5, 0.],
            [0., -2.],
            [4., 0.],
            [-9., 9.],
            [0., 40.],
        ];
        let outlying = Tensor::new(&outlying, device).unwrap();
        for energy in values(&energy.energy(&outlying).unwrap()).unwrap() {
            assert!(energy > highest + 0.1, "{energy} against {highest}");
        }
    }
}

/// The sizes that convolutions are for: pulse profiles of 128 bins and planes of 16 by 32.
fn large() -> Vec<(usize, Architecture)> {
    vec![
        (
            128,
            Architecture::Convolution1d {
                channels: vec![8, 8],
                kernel_size: 5,
                stride: 2,
                hidden: vec![16],
            },
        ),
        (
            16 * 32,
            Architecture::Convolution2d {
                height: 16,
                width: 32,
                channels: vec![4, 8],
                kernel_size: 3,
                stride: 2,
                hidden: vec![16],
            },
        ),
    ]
}

/// Bumps at about the middle of a curve or plane, with some noise.
fn bumps(n: usize, height: usize, width: usize, seed: u64) -> Tensor {
    let mut rng = emma_testkit::rng(seed);
    let mut rows = Vec::with_capacity(n * height * width);
    for _ in 0..n {
        let middle = width as f32 / 2. + rng.random_range(-2f32..2.);
        let bump_width = width as f32 * rng.random_range(0.05f32..0.1);
        for _ in 0..height {
            for x in 0..width {
                let distance = (x as f32 - middle) / bump_width;
                let noise: f32 = StandardNormal.sample(&mut rng);
                rows.push(2. * (-0.5 * distance * distance).exp() + 0.1 * noise);
            }
        }
    }
    Tensor::from_vec(rows, (n, height * width), &Device::Cpu).unwrap()
}

/// On the CPU: bits are promised there alone. More rows than a chunk of the plane's has.
#[test]
fn convolutions_of_real_sizes_keep_the_contract() {
    for (n_features, architecture) in large() {
        let height = if n_features == 128 { 1 } else { 16 };
        let width = n_features / height;
        let rows = bumps(300, height, width, 1);
        let fit = IntegrableEnergyFit {
            architecture,
            n_epochs: 3,
            noise_stds: vec![0.2, 1.],
            ..IntegrableEnergyFit::default()
        };
        let train = || fit.fit(&rows, &mut emma_testkit::rng(2)).unwrap();
        let energy = train();
        let bits = |energy: &dyn EnergyEstimator, rows: &Tensor| -> Vec<u64> {
            let energies = values(&energy.energy(rows).unwrap()).unwrap();
            energies.into_iter().map(f64::to_bits).collect()
        };
        let together = bits(&energy, &rows);
        assert_eq!(bits(&train(), &rows), together, "not repeatable");
        for row in [0, 150, 299] {
            let alone = bits(&energy, &rows.narrow(0, row, 1).unwrap());
            assert_eq!(alone, [together[row]], "row {row}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("estimator.safetensors");
        save_estimator(&energy, &path).unwrap();
        let loaded = load_estimator(&path, DType::F32, &Device::Cpu).unwrap();
        assert_eq!(bits(&*loaded, &rows), together, "not as saved");

        // A bump elsewhere is as large as any, but not where clean rows have theirs.
        let shifted = Tensor::cat(
            &[
                &rows
                    .reshape((300 * height, width))
                    .unwrap()
                    .narrow(1, width / 2, width / 2)
                    .unwrap(),
                &rows
                    .reshape((300 * height, width))
                    .unwrap()
                    .narrow(1, 0, width / 2)
                    .unwrap(),
            ],
            1,
        )
        .unwrap()
        .reshape((300, n_features))
        .unwrap();
        let mean = |rows: &Tensor| {
            let energies = values(&energy.energy(rows).unwrap()).unwrap();
            energies.iter().sum::<f64>() / 300.
        };
        assert!(mean(&shifted) > mean(&rows), "{:?}", fit.architecture);
    }
}

#[test]
fn sizes_and_settings_out_of_range_are_named() {
    let refuse = |n_features: usize, architecture: Architecture| {
        let fit = IntegrableEnergyFit {
            architecture,
            ..IntegrableEnergyFit::default()
        };
        let rows = Tensor::zeros((4, n_features), DType::F32, &Device::Cpu).unwrap();
        let error = fit.fit(&rows, &mut emma_testkit::rng(1)).unwrap_err();
        error.to_string()
    };
    let curve = |channels: &[usize], kernel_size, stride| Architecture::Convolution1d {
        channels: channels.to_vec(),
        kernel_size,
        stride,
        hidden: vec![],
    };
    for (n_features, architecture, expected) in [
        (
            0,
            Architecture::Mlp { hidden: vec![4] },
            "n_features must be at least 1, got 0",
        ),
        (
            4,
            Architecture::Mlp { hidden: vec![] },
            "hidden must be at least one layer, got none",
        ),
        (
            4,
            Architecture::Mlp { hidden: vec![4, 0] },
            "hidden must be layers of at least 1 unit, got [4, 0]",
        ),
        (
            8,
            curve(&[], 3, 1),
            "channels must be at least one layer of at least 1 channel, got []",
        ),
        (
            8,
            curve(&[4], 4, 1),
            "kernel_size must be an odd number, got 4",
        ),
        (8, curve(&[4], 3, 0), "stride must be at least 1, got 0"),
        (
            8,
            curve(&[4], usize::MAX, 1),
            "kernel_size must be so small that readings times kernel places are at most 16777216, \
             got 18446744073709551615",
        ),
        (
            8,
            Architecture::Convolution2d {
                height: 3,
                width: 3,
                channels: vec![2],
                kernel_size: 3,
                stride: 1,
                hidden: vec![],
            },
            "height times width must be the number of features, got 3 times 3 for 8",
        ),
    ] {
        assert_eq!(refuse(n_features, architecture), expected);
    }

    let rows = Tensor::zeros((4, 2), DType::F32, &Device::Cpu).unwrap();
    let refuse = |change: fn(&mut IntegrableEnergyFit)| {
        let mut fit = IntegrableEnergyFit::default();
        change(&mut fit);
        let error = fit.fit(&rows, &mut emma_testkit::rng(1)).unwrap_err();
        error.to_string()
    };
    assert_eq!(
        refuse(|fit| fit.n_epochs = 0),
        "n_epochs must be at least 1, got 0"
    );
    assert_eq!(
        refuse(|fit| fit.batch_size = 0),
        "batch_size must be at least 1, got 0"
    );
    assert_eq!(
        refuse(|fit| fit.learning_rate = f64::NAN),
        "learning_rate must be positive and finite, got NaN"
    );
    assert_eq!(
        refuse(|fit| fit.noise_stds = vec![0.1, 0.]),
        "noise_stds must be at least one, each positive and finite, got [0.1, 0.0]"
    );
    assert_eq!(
        refuse(|fit| fit.noise_stds = vec![]),
        "noise_stds must be at least one, each positive and finite, got []"
    );
    let none = rows.narrow(0, 0, 0).unwrap();
    let error = IntegrableEnergyFit::default().fit(&none, &mut emma_testkit::rng(1));
    assert_eq!(
        error.unwrap_err().to_string(),
        "expected at least one row for training an energy, got none"
    );
}

#[test]
fn configs_are_written_as_they_are_documented() {
    let config = IntegrableEnergyConfig::default();
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(
        text,
        r#"{"n_features":4,"architecture":{"kind":"mlp","hidden":[64,64]},"activation":"tanh"}"#
    );
    for config in configs() {
        let text = serde_json::to_string(&config).unwrap();
        let back: IntegrableEnergyConfig = serde_json::from_str(&text).unwrap();
        assert_eq!(back, config);
    }
    let error = serde_json::from_str::<Architecture>(r#"{"kind":"mlp","layers":[3]}"#).unwrap_err();
    assert!(error.to_string().contains("layers"), "{error}");
    let sizes = MlpAutoencoderConfig::default();
    let text = serde_json::to_string(&sizes).unwrap();
    assert_eq!(text, r#"{"n_features":4,"hidden":[8,2,8]}"#);
}
