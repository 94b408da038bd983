//! What every estimator of this crate promises, whatever it is: one suite for all of them.
//!
//! A new estimator adds itself to [`estimators`].
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

use candle_core::{DType, Device, Tensor};
use emma_energy::{
    Architecture, AutoencoderConfig, AutoencoderTraining, ComponentChoice, DenoisingAutoencoder,
    EnergyEstimator, FittedEstimator, GaussianMixture, GaussianMixtureFit, IntegrableEnergyFit,
    Mahalanobis, MahalanobisFit, MlpAutoencoderFit, NearestNeighbors, NearestNeighborsFit,
    PotentialEnergy, PotentialEnergyFit, ReconstructionError, Result, SeededVarMap, in_type,
    load_estimator, save_estimator, train_autoencoder,
};
use emma_testkit::tolerance::{assert_close, values};
use emma_testkit::{devices, has_type};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

const N_FEATURES: usize = 3;

/// Rows around two curved clusters, features correlated.
fn clean_rows(n: usize, seed: u64) -> Tensor {
    let mut rng = emma_testkit::rng(seed);
    let mut normal = || -> f32 { StandardNormal.sample(&mut rng) };
    let mut rows = Vec::with_capacity(n * N_FEATURES);
    for row in 0..n {
        let side = if row % 3 == 0 { 1.5 } else { -0.5 };
        let (a, b, c) = (normal(), normal(), normal());
        rows.extend([
            side + 0.4 * a,
            0.5 * a * a - side + 0.2 * b,
            side + 0.3 * b + 0.1 * c,
        ]);
    }
    Tensor::from_vec(rows, (n, N_FEATURES), &Device::Cpu).unwrap()
}

/// Every estimator, fitted to rows in f32 on the CPU with the seed's generator, by name.
fn estimators(rows: &Tensor, seed: u64) -> Vec<(&'static str, Box<dyn FittedEstimator>)> {
    let autoencoder = autoencoder(rows, seed).unwrap();
    vec![
        (
            "potential_energy",
            Box::new(PotentialEnergy(autoencoder.clone())),
        ),
        (
            "reconstruction_error",
            Box::new(ReconstructionError(autoencoder)),
        ),
        ("gaussian_mixture", Box::new(gaussian_mixture(rows, seed))),
        ("mahalanobis", Box::new(mahalanobis(rows, seed))),
        ("nearest_neighbors", Box::new(nearest_neighbors(rows, seed))),
        ("potential_energy_fit", potential_energy(rows, seed)),
        ("undercomplete autoencoder", undercomplete(rows, seed)),
        (
            "integrable energy of an MLP",
            integrable(rows, seed, Architecture::default()),
        ),
        (
            "integrable energy of a curve",
            integrable(
                rows,
                seed,
                Architecture::Convolution1d {
                    channels: vec![4, 3],
                    kernel_size: 3,
                    stride: 2,
                    hidden: vec![8],
                },
            ),
        ),
        (
            "integrable energy of a plane",
            integrable(
                rows,
                seed,
                Architecture::Convolution2d {
                    height: N_FEATURES,
                    width: 1,
                    channels: vec![8],
                    kernel_size: 3,
                    stride: 1,
                    hidden: vec![],
                },
            ),
        ),
    ]
}

fn potential_energy(rows: &Tensor, seed: u64) -> Box<dyn FittedEstimator> {
    let mut fit = PotentialEnergyFit::default();
    fit.training.noise_std = 0.1;
    Box::new(fit.fit(rows, &mut emma_testkit::rng(seed)).unwrap())
}

fn undercomplete(rows: &Tensor, seed: u64) -> Box<dyn FittedEstimator> {
    let fit = MlpAutoencoderFit::default();
    Box::new(fit.fit(rows, &mut emma_testkit::rng(seed)).unwrap())
}

fn integrable(rows: &Tensor, seed: u64, architecture: Architecture) -> Box<dyn FittedEstimator> {
    let fit = IntegrableEnergyFit {
        architecture,
        n_epochs: 20,
        ..IntegrableEnergyFit::default()
    };
    Box::new(fit.fit(rows, &mut emma_testkit::rng(seed)).unwrap())
}

fn autoencoder(rows: &Tensor, seed: u64) -> Result<DenoisingAutoencoder> {
    let variables = SeededVarMap::new(emma_testkit::rng(seed));
    let config = AutoencoderConfig {
        n_features: N_FEATURES,
        n_hidden: 12,
    };
    let vb = variables.var_builder(DType::F32, &Device::Cpu);
    let autoencoder = DenoisingAutoencoder::new(&config, &vb)?;
    let training = AutoencoderTraining {
        n_epochs: 20,
        noise_std: 0.1,
        ..AutoencoderTraining::default()
    };
    let rng = &mut emma_testkit::rng(seed + 1);
    train_autoencoder(&autoencoder, &variables, rows, &training, rng)?;
    Ok(autoencoder)
}

fn gaussian_mixture(rows: &Tensor, seed: u64) -> GaussianMixture {
    let fit = GaussianMixtureFit {
        components: ComponentChoice::LowestBic {
            at_least: 2,
            at_most: 4,
        },
        ..GaussianMixtureFit::default()
    };
    fit.fit(rows, &mut emma_testkit::rng(seed)).unwrap()
}

fn mahalanobis(rows: &Tensor, seed: u64) -> Mahalanobis {
    let rng = &mut emma_testkit::rng(seed);
    MahalanobisFit::default().fit(rows, rng).unwrap()
}

/// Fewer rows are stored than come, so that the generator is asked.
fn nearest_neighbors(rows: &Tensor, seed: u64) -> NearestNeighbors {
    let fit = NearestNeighborsFit {
        max_rows: 50,
        ..NearestNeighborsFit::default()
    };
    fit.fit(rows, &mut emma_testkit::rng(seed)).unwrap()
}

fn bits(energies: &Tensor) -> Vec<u64> {
    let energies = values(energies).unwrap();
    energies.into_iter().map(f64::to_bits).collect()
}

/// The estimator as its file has it, in a type and on a device.
fn reloaded(
    estimator: &dyn FittedEstimator,
    dtype: DType,
    device: &Device,
) -> Box<dyn FittedEstimator> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("estimator.safetensors");
    save_estimator(estimator, &path).unwrap();
    load_estimator(&path, dtype, device).unwrap()
}

/// On the CPU, the only device that promises it.
#[test]
fn a_row_alone_scores_bitwise_as_in_any_batch() {
    let rows = clean_rows(150, 1);
    for (name, estimator) in estimators(&rows, 2) {
        for dtype in [DType::F32, DType::F64] {
            let estimator = reloaded(&*estimator, dtype, &Device::Cpu);
            let rows = rows.to_dtype(dtype).unwrap();
            let together = bits(&estimator.energy(&rows).unwrap());
            for (row, expected) in together.iter().enumerate() {
                let alone = estimator.energy(&rows.narrow(0, row, 1).unwrap()).unwrap();
                assert_eq!(bits(&alone), [*expected], "{name}, {dtype:?}, row {row}");
            }
        }
    }
}

#[test]
fn a_saved_estimator_scores_bitwise_the_same() {
    let rows = clean_rows(150, 1);
    for (name, estimator) in estimators(&rows, 2) {
        let loaded = reloaded(&*estimator, DType::F32, &Device::Cpu);
        assert_eq!(loaded.config(), estimator.config(), "{name}");
        assert_eq!(
            bits(&loaded.energy(&rows).unwrap()),
            bits(&estimator.energy(&rows).unwrap()),
            "{name}"
        );
        let again = reloaded(&*loaded, DType::F64, &Device::Cpu);
        let wide = rows.to_dtype(DType::F64).unwrap();
        assert_close(
            name,
            &values(&again.energy(&wide).unwrap()).unwrap(),
            &values(&estimator.energy(&rows).unwrap()).unwrap(),
            // f32 rounding of sums of some dozens of terms of the size of the energy's.
            1e-4,
            1e-4,
        );
    }
}

#[test]
fn the_same_seed_fits_the_same_bits() {
    let rows = clean_rows(150, 1);
    for ((name, one), (_, other)) in estimators(&rows, 2).into_iter().zip(estimators(&rows, 2)) {
        assert_eq!(
            bits(&one.energy(&rows).unwrap()),
            bits(&other.energy(&rows).unwrap()),
            "{name}"
        );
    }
}

#[test]
fn permuting_rows_permutes_energies() {
    let rows = clean_rows(60, 1);
    let order: Vec<u32> = (0..60).map(|row| (row * 7) % 60).collect();
    let permuted = rows
        .index_select(&Tensor::new(order.clone(), &Device::Cpu).unwrap(), 0)
        .unwrap();
    for (name, estimator) in estimators(&rows, 2) {
        let energies = bits(&estimator.energy(&rows).unwrap());
        let expected: Vec<u64> = order.iter().map(|&row| energies[row as usize]).collect();
        assert_eq!(
            bits(&estimator.energy(&permuted).unwrap()),
            expected,
            "{name}"
        );
    }
}

#[test]
fn every_device_and_type_gives_the_same_energies() {
    let rows = clean_rows(60, 1);
    for (name, estimator) in estimators(&rows, 2) {
        let expected = values(&estimator.energy(&rows).unwrap()).unwrap();
        for device in devices() {
            for dtype in [DType::F32, DType::F64] {
                if has_type(device, dtype) {
                    let estimator = in_type(&*estimator, dtype, device).unwrap();
                    let rows = emma_energy::transfer(&rows, dtype, device).unwrap();
                    let energies = values(&estimator.energy(&rows).unwrap()).unwrap();
                    assert_close(name, &energies, &expected, 1e-4, 1e-4);
                }
            }
        }
    }
}

#[test]
fn far_rows_have_more_energy_than_all_clean_ones() {
    let rows = clean_rows(150, 1);
    let far = Tensor::new(&[[30f32, -30., 30.], [-20., 20., -20.]], &Device::Cpu).unwrap();
    for (name, estimator) in estimators(&rows, 2) {
        let clean = values(&estimator.energy(&rows).unwrap()).unwrap();
        let highest = clean.into_iter().fold(f64::NEG_INFINITY, f64::max);
        for energy in values(&estimator.energy(&far).unwrap()).unwrap() {
            assert!(energy > highest, "{name}: {energy} against {highest}");
        }
    }
}

/// Whatever a float can hold: finite energies where the type can hold them, else positive infinity.
#[test]
fn no_finite_row_has_an_energy_that_is_not_a_number() {
    let rows = clean_rows(150, 1);
    let tiny = f32::from_bits(1);
    let extremes = [
        0.,
        -0.,
        tiny,
        -tiny,
        1e-30,
        1e9,
        -1e9,
        1e15,
        1e30,
        -1e30,
        f32::MAX,
    ];
    let mut rng = emma_testkit::rng(9);
    let hostile: Vec<f32> = (0..200 * N_FEATURES)
        .map(|_| extremes[rng.random_range(0..extremes.len())])
        .collect();
    let hostile = Tensor::from_vec(hostile, (200, N_FEATURES), &Device::Cpu).unwrap();
    for (name, estimator) in estimators(&rows, 2) {
        for energy in values(&estimator.energy(&hostile).unwrap()).unwrap() {
            assert!(energy > f64::NEG_INFINITY, "{name}: {energy}");
        }
        let wide = reloaded(&*estimator, DType::F64, &Device::Cpu);
        let hostile = hostile.to_dtype(DType::F64).unwrap();
        for energy in values(&wide.energy(&hostile).unwrap()).unwrap() {
            assert!(energy.is_finite(), "{name}: {energy}");
        }
    }
}

/// On the CPU: candle starts no CUDA kernel on nothing, which is an error there.
#[test]
fn no_rows_have_no_energies() {
    let rows = clean_rows(150, 1);
    let none = rows.narrow(0, 0, 0).unwrap();
    for (name, estimator) in estimators(&rows, 2) {
        assert_eq!(estimator.energy(&none).unwrap().dims(), [0], "{name}");
    }
}

#[test]
fn rows_of_another_width_are_refused() {
    let rows = clean_rows(150, 1);
    let narrow = rows.narrow(1, 0, 2).unwrap();
    let flat = rows.flatten_all().unwrap();
    for (name, estimator) in estimators(&rows, 2) {
        assert_eq!(estimator.n_features(), N_FEATURES, "{name}");
        for (rows, shape) in [(&narrow, "[150, 2]"), (&flat, "[450]")] {
            let error = estimator.energy(rows).unwrap_err().to_string();
            let expected = format!("expected rows with 3 features, got a tensor of shape {shape}");
            assert_eq!(error, expected, "{name}");
        }
    }
}

/// Rows that are views of other storage, such as a mode's columns of a wider table.
#[test]
fn rows_need_not_be_contiguous() {
    let rows = clean_rows(150, 1);
    let wide = Tensor::cat(&[&rows, &rows, &rows], 1).unwrap();
    let view = wide.narrow(1, N_FEATURES, N_FEATURES).unwrap();
    for (name, estimator) in estimators(&rows, 2) {
        assert_eq!(
            bits(&estimator.energy(&view).unwrap()),
            bits(&estimator.energy(&rows).unwrap()),
            "{name}"
        );
    }
}

/// Rows that are no numbers are refused by every fit, and named.
#[test]
fn nothing_is_fitted_to_rows_that_are_no_numbers() {
    let rng = &mut emma_testkit::rng(1);
    let rows = Tensor::new(&[[0f32, 1.], [2., f32::NAN], [1., 0.]], &Device::Cpu).unwrap();
    let errors = [
        PotentialEnergyFit::default().fit(&rows, rng).err(),
        MlpAutoencoderFit::default().fit(&rows, rng).err(),
        IntegrableEnergyFit::default().fit(&rows, rng).err(),
        GaussianMixtureFit::default().fit(&rows, rng).err(),
        MahalanobisFit::default().fit(&rows, rng).err(),
    ];
    for error in errors {
        let error = error.unwrap().to_string();
        assert!(error.contains("row 1") && error.contains("NaN"), "{error}");
    }
}
