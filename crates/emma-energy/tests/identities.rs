//! What must hold for every autoencoder, whatever its parameters.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod common;

use candle_core::{DType, Device, Tensor, Var};
use common::{By, PATHS};
use emma_energy::{
    AutoencoderConfig, AutoencoderTraining, Calibrated, Calibration, DenoisingAutoencoder,
    EnergyEstimator, PotentialEnergy, Raw, ReconstructionError, Result, SeededVarMap,
    denoising_loss, lowest_energy, potential_energy, train_autoencoder,
    train_autoencoder_by_candle,
};
use emma_testkit::gradcheck::assert_gradients;
use emma_testkit::tolerance::{assert_close, values};
use emma_testkit::{devices, devices_with};
use proptest::prelude::*;
use rand::Rng;

fn build(
    n_features: usize,
    n_hidden: usize,
    seed: u64,
    dtype: DType,
    device: &Device,
) -> Result<(DenoisingAutoencoder, SeededVarMap)> {
    let variables = SeededVarMap::new(emma_testkit::rng(seed));
    let config = AutoencoderConfig {
        n_features,
        n_hidden,
    };
    let vb = variables.var_builder(dtype, device);
    Ok((DenoisingAutoencoder::new(&config, &vb)?, variables))
}

fn rows(n: usize, n_features: usize, seed: u64, scale: f64, device: &Device) -> Result<Tensor> {
    let mut rng = emma_testkit::rng(seed);
    let values: Vec<f64> = (0..n * n_features)
        .map(|_| rng.random_range(-scale..scale))
        .collect();
    Ok(Tensor::from_vec(values, (n, n_features), device)?)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_gradient_of_the_potential_is_the_row_minus_its_reconstruction(
        n_features in 1usize..6, n_hidden in 1usize..10, seed: u64,
    ) {
        for device in devices_with(DType::F64) {
            let (autoencoder, _) = build(n_features, n_hidden, seed, DType::F64, device).unwrap();
            let x = Var::from_tensor(&rows(3, n_features, seed, 3., device).unwrap()).unwrap();
            let expected = (x.as_tensor() - autoencoder.reconstruct(&x).unwrap()).unwrap();
            for (path, energy) in PATHS {
                let gradients =
                    energy(&autoencoder, &x).unwrap().sum_all().unwrap().backward().unwrap();
                assert_close(
                    path, &values(gradients.get(&x).unwrap()).unwrap(),
                    &values(&expected).unwrap(), 1e-10, 1e-10,
                );
            }
        }
    }

    #[test]
    fn the_jacobian_of_the_reconstruction_is_symmetric(
        n_features in 2usize..6, n_hidden in 1usize..10, seed: u64,
    ) {
        for device in devices_with(DType::F64) {
            let (autoencoder, _) = build(n_features, n_hidden, seed, DType::F64, device).unwrap();
            let x = Var::from_tensor(&rows(1, n_features, seed, 3., device).unwrap()).unwrap();
            let jacobian: Vec<Vec<f64>> = (0..n_features).map(|output| {
                let component = autoencoder.reconstruct(&x).unwrap().narrow(1, output, 1).unwrap();
                let gradients = component.sum_all().unwrap().backward().unwrap();
                values(gradients.get(&x).unwrap()).unwrap()
            }).collect();
            for (i, row) in jacobian.iter().enumerate() {
                for (j, &value) in row.iter().enumerate() {
                    prop_assert!((value - jacobian[j][i]).abs() < 1e-12);
                }
            }
        }
    }

    #[test]
    fn every_parameter_has_the_gradient_of_central_differences(
        n_features in 1usize..5, n_hidden in 1usize..6, n in 1usize..5, seed: u64,
    ) {
        for device in devices_with(DType::F64) {
            let (autoencoder, variables) =
                build(n_features, n_hidden, seed, DType::F64, device).unwrap();
            let clean = rows(n, n_features, seed, 2., device).unwrap();
            let corrupted = (&clean + rows(n, n_features, seed ^ 1, 0.1, device).unwrap()).unwrap();
            let vars = variables.all_vars();
            let names = ["weight", "encoder_bias", "decoder_bias"];
            let named: Vec<_> = names.into_iter().zip(&vars).collect();
            let loss = || denoising_loss(&autoencoder, &clean, &corrupted)
                .map_err(candle_core::Error::wrap);
            assert_gradients(&named, loss, 1e-7, 1e-8).unwrap();
            for (_, energy) in PATHS {
                let energy = || energy(&autoencoder, &clean)
                    .map_err(candle_core::Error::wrap)?.sum_all();
                assert_gradients(&named, energy, 1e-7, 1e-8).unwrap();
            }
        }
    }

    /// On the CPU alone, whose products add in one order.
    #[test]
    fn a_row_alone_scores_bitwise_as_in_any_batch(
        n_features in 1usize..40, n_hidden in 1usize..70, n in 1usize..50, seed: u64,
        wide in any::<bool>(),
    ) {
        let device = &Device::Cpu;
        let dtype = if wide { DType::F64 } else { DType::F32 };
        let (autoencoder, _) = build(n_features, n_hidden, seed, dtype, device).unwrap();
        let batch = rows(n, n_features, seed, 50., device).unwrap().to_dtype(dtype).unwrap();
        let mut estimators: Vec<Box<dyn EnergyEstimator>> =
            vec![Box::new(ReconstructionError(autoencoder.clone()))];
        for (_, energy) in PATHS {
            estimators.push(Box::new(By(energy, autoencoder.clone())));
        }
        for estimator in estimators {
            let together = values(&estimator.energy(&batch).unwrap()).unwrap();
            for (row, energy) in together.iter().enumerate() {
                let alone = estimator.energy(&batch.narrow(0, row, 1).unwrap()).unwrap();
                prop_assert_eq!(values(&alone).unwrap()[0].to_bits(), energy.to_bits());
            }
        }
    }

    #[test]
    fn permuting_features_with_their_parameters_changes_nothing(
        n_features in 2usize..6, n_hidden in 1usize..8, seed: u64,
    ) {
        for device in devices_with(DType::F64) {
            let (autoencoder, variables) =
                build(n_features, n_hidden, seed, DType::F64, device).unwrap();
            let x = rows(4, n_features, seed, 3., device).unwrap();
            let reversed: Vec<u32> = (0..n_features as u32).rev().collect();
            let reversed = Tensor::new(reversed, device).unwrap();
            let energies = |x: &Tensor| -> Vec<f64> {
                let energies = PATHS.map(|(_, energy)| energy(&autoencoder, x).unwrap());
                energies.iter().flat_map(|energies| values(energies).unwrap()).collect()
            };
            let before = energies(&x);
            let vars = variables.all_vars();
            vars[0].set(&vars[0].as_detached_tensor().index_select(&reversed, 1).unwrap()).unwrap();
            vars[2].set(&vars[2].as_detached_tensor().index_select(&reversed, 0).unwrap()).unwrap();
            let x = x.index_select(&reversed, 1).unwrap();
            let after = energies(&x);
            assert_close("potential", &after, &before, 1e-12, 1e-12);
        }
    }
}

#[test]
fn extreme_rows_have_finite_energies_in_f32() -> Result<()> {
    for device in devices() {
        let (autoencoder, _) = build(3, 5, 1, DType::F32, device)?;
        let x = Tensor::new(&[[1e18f32, -1e18, 0.], [0., 0., 0.]], device)?;
        for (path, energy) in PATHS {
            for energy in values(&energy(&autoencoder, &x)?)? {
                assert!(energy.is_finite(), "{path}: {energy}");
            }
        }
    }
    Ok(())
}

/// On the CPU: candle starts no CUDA kernel on nothing, which is an error there.
#[test]
fn no_rows_have_no_energies() -> Result<()> {
    let device = &Device::Cpu;
    let (autoencoder, _) = build(3, 5, 1, DType::F32, device)?;
    let none = Tensor::zeros((0, 3), DType::F32, device)?;
    for (path, energy) in PATHS {
        assert_eq!(energy(&autoencoder, &none)?.dims(), [0], "{path}");
    }
    let error = lowest_energy(&PotentialEnergy(autoencoder), &none).unwrap_err();
    assert_eq!(
        error.to_string(),
        "expected at least one row for the lowest energy, got none"
    );
    Ok(())
}

#[test]
fn the_lowest_energy_is_found_in_any_chunk() -> Result<()> {
    for device in devices_with(DType::F64) {
        struct First;
        impl EnergyEstimator for First {
            fn n_features(&self) -> usize {
                1
            }
            fn energy(&self, rows: &Tensor) -> Result<Tensor> {
                Ok(rows.squeeze(1)?)
            }
        }
        for lowest in [0usize, 4095, 4096, 8191, 8192, 8999] {
            let mut energies = vec![1f64; 9000];
            energies[lowest] = -2.;
            let x = Tensor::from_vec(energies, (9000, 1), device)?;
            assert!((lowest_energy(&First, &x)? + 2.).abs() < 1e-12, "{lowest}");
        }
    }
    Ok(())
}

#[test]
fn an_energy_that_is_not_a_number_is_named_with_its_row() -> Result<()> {
    for device in devices_with(DType::F64) {
        let (autoencoder, _) = build(2, 3, 1, DType::F64, device)?;
        let x = Tensor::new(&[[0f64, 0.], [f64::NAN, 1.]], device)?;
        let error = lowest_energy(&PotentialEnergy(autoencoder), &x).unwrap_err();
        assert_eq!(
            error.to_string(),
            "expected finite energies, got NaN in row 1"
        );
    }
    Ok(())
}

#[test]
fn rows_of_another_width_are_refused() -> Result<()> {
    for device in devices_with(DType::F64) {
        let (autoencoder, _) = build(2, 3, 1, DType::F64, device)?;
        for (_, energy) in PATHS {
            let error = energy(&autoencoder, &rows(2, 3, 1, 1., device)?).unwrap_err();
            assert_eq!(
                error.to_string(),
                "expected rows with 2 features, got a tensor of shape [2, 3]"
            );
        }
    }
    Ok(())
}

/// Any estimator and any calibration plug in.
#[test]
fn a_calibration_of_ones_own_keeps_the_order_of_rows() -> Result<()> {
    for device in devices_with(DType::F64) {
        struct SquareRoot {
            lowest: f64,
        }
        impl Calibration for SquareRoot {
            fn value(&self, energy: f64) -> f64 {
                (energy - self.lowest).max(0.).sqrt()
            }
            fn inverse(&self, value: f64) -> f64 {
                self.lowest + value.powi(2)
            }
        }
        let (autoencoder, _) = build(2, 8, 1, DType::F64, device)?;
        let x = rows(50, 2, 3, 4., device)?;
        let raw = Calibrated {
            estimator: PotentialEnergy(autoencoder.clone()),
            calibration: Raw,
        };
        let lowest = lowest_energy(&raw, &x)?;
        let calibrated = Calibrated {
            estimator: PotentialEnergy(autoencoder),
            calibration: SquareRoot { lowest },
        };
        let order = |energies: Vec<f64>| {
            let mut order: Vec<usize> = (0..energies.len()).collect();
            order.sort_by(|&a, &b| energies[a].total_cmp(&energies[b]));
            order
        };
        assert_eq!(
            order(values(&raw.energy(&x)?)?),
            order(values(&calibrated.energy(&x)?)?)
        );
    }
    Ok(())
}

/// Eq. 4.1 compares the reconstruction of the corrupted row with the clean row.
#[test]
fn the_denoising_loss_is_the_mean_distance_from_the_clean_row() -> Result<()> {
    for device in devices_with(DType::F64) {
        let (autoencoder, _) = build(2, 8, 1, DType::F64, device)?;
        let clean = rows(5, 2, 3, 2., device)?;
        let corrupted = rows(5, 2, 4, 2., device)?;
        let reconstruction = values(&autoencoder.reconstruct(&corrupted)?)?;
        let squares = reconstruction.iter().zip(values(&clean)?);
        let expected: f64 = squares.map(|(r, x)| (r - x).powi(2)).sum::<f64>() / 5.;
        let loss = denoising_loss(&autoencoder, &clean, &corrupted)?;
        assert_close("loss", &values(&loss)?, &[expected], 1e-12, 0.);
    }
    Ok(())
}

#[test]
fn training_learns_to_point_back_to_the_data() -> Result<()> {
    for device in devices() {
        let (autoencoder, variables) = build(2, 8, 1, DType::F32, device)?;
        let mut rng = emma_testkit::rng(5);
        let line: Vec<f32> = (0..400)
            .flat_map(|_| [rng.random_range(-1f32..1.); 2])
            .collect();
        let line = Tensor::from_vec(line, (400, 2), device)?;
        let settings = AutoencoderTraining {
            n_epochs: 60,
            batch_size: 32,
            learning_rate: 5e-3,
            noise_std: 0.2,
        };
        let losses = train_autoencoder(&autoencoder, &variables, &line, &settings, &mut rng)?;
        assert_eq!(losses.len(), 60);
        assert!(losses[59] < 0.1 * losses[0], "{losses:?}");
        let probes = Tensor::new(&[[0.5f32, 0.5], [0.5, -0.5], [-0.7, 0.9]], device)?;
        let energies = values(&potential_energy(&autoencoder, &probes)?)?;
        assert!(
            energies[0] < energies[1] && energies[0] < energies[2],
            "{energies:?}"
        );
    }
    Ok(())
}

/// On the CPU, the only device that promises it.
#[test]
fn training_repeats_bit_for_bit() -> Result<()> {
    let device = &Device::Cpu;
    let train = || -> Result<Vec<u64>> {
        let (autoencoder, variables) = build(3, 5, 1, DType::F32, device)?;
        let settings = AutoencoderTraining {
            n_epochs: 2,
            ..AutoencoderTraining::default()
        };
        let x = rows(100, 3, 2, 1., device)?.to_dtype(DType::F32)?;
        let mut rng = emma_testkit::rng(9);
        train_autoencoder(&autoencoder, &variables, &x, &settings, &mut rng)?;
        let weights = values(autoencoder.weight())?;
        Ok(weights.into_iter().map(f64::to_bits).collect())
    };
    assert_eq!(train()?, train()?);
    Ok(())
}

/// Both round their sums in another order: a few epochs keep the difference small.
#[test]
fn fused_training_is_training_by_candle() -> Result<()> {
    let device = &Device::Cpu;
    // The last mini-batch is short.
    let x = rows(100, 3, 2, 1., device)?.to_dtype(DType::F32)?;
    for batch_size in [1, 32, 64, 100] {
        let settings = AutoencoderTraining {
            n_epochs: 3,
            batch_size,
            learning_rate: 1e-2,
            noise_std: 0.1,
        };
        let (fused, variables) = build(3, 5, 1, DType::F32, device)?;
        let mut rng = emma_testkit::rng(9);
        let found = train_autoencoder(&fused, &variables, &x, &settings, &mut rng)?;
        let (by_candle, variables) = build(3, 5, 1, DType::F32, device)?;
        let mut rng = emma_testkit::rng(9);
        let expected =
            train_autoencoder_by_candle(&by_candle, &variables, &x, &settings, &mut rng)?;
        assert_close("losses", &found, &expected, 1e-5, 0.);
        for (name, tensor) in fused.tensors() {
            let expected = values(&by_candle.tensors()[&name])?;
            assert_close(&name, &values(&tensor)?, &expected, 2e-4, 2e-4);
        }
    }
    Ok(())
}

/// Settings are checked before any device is used.
#[test]
fn settings_out_of_range_are_named() -> Result<()> {
    let device = &Device::Cpu;
    let (autoencoder, variables) = build(3, 5, 1, DType::F32, device)?;
    let x = rows(10, 3, 2, 1., device)?.to_dtype(DType::F32)?;
    let refuse = |settings: AutoencoderTraining| {
        train_autoencoder(
            &autoencoder,
            &variables,
            &x,
            &settings,
            &mut emma_testkit::rng(1),
        )
        .unwrap_err()
        .to_string()
    };
    let default = AutoencoderTraining::default;
    assert_eq!(
        refuse(AutoencoderTraining {
            noise_std: f64::NAN,
            ..default()
        }),
        "noise_std must be finite and not negative, got NaN"
    );
    assert_eq!(
        refuse(AutoencoderTraining {
            learning_rate: 0.,
            ..default()
        }),
        "learning_rate must be positive and finite, got 0"
    );
    assert_eq!(
        refuse(AutoencoderTraining {
            batch_size: 0,
            ..default()
        }),
        "batch_size must be at least 1, got 0"
    );
    assert_eq!(
        refuse(AutoencoderTraining {
            n_epochs: 0,
            ..default()
        }),
        "n_epochs must be at least 1, got 0"
    );
    Ok(())
}
