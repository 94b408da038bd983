//! What must hold for every EMMA module, whatever its parameters.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod common;

use candle_core::{DType, Device, Tensor, Var};
use common::{Fixture, Forward, PATHS, ways};
use emma_attention::{
    CouplingExponent, CouplingLimit, Emma, EmmaConfig, EmmaOutput, Error, PotentialEnergies,
    Regularizers, Result,
};
use emma_energy::{AutoencoderConfig, DenoisingAutoencoder, PotentialEnergy, SeededVarMap};
use emma_testkit::tolerance::{assert_close, values};
use emma_testkit::{devices, devices_with};
use proptest::prelude::*;

fn forward(fixture: &Fixture, path: Forward) -> EmmaOutput {
    path(&fixture.emma, &fixture.modes, &fixture.potentials).unwrap()
}

/// Gradient of one element of a `[1, modes]` tensor by a variable; zeros if it plays no part.
fn gradient_of_element(tensor: &Tensor, mode: usize, variable: &Var) -> Vec<f64> {
    let element = tensor.narrow(1, mode, 1).unwrap().sum_all().unwrap();
    match element.backward().unwrap().get(variable) {
        Some(gradient) => values(gradient).unwrap(),
        None => vec![0.; variable.elem_count()],
    }
}

/// The mode that element `position` of parameter `name` belongs to: θ_i of the thesis.
fn owner(name: &str, position: usize, n_modes: usize) -> usize {
    if name.starts_with("coupling") {
        position / n_modes
    } else {
        position
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn importance_sums_to_one(n_modes in 2usize..9, n_rows in 1usize..6, seed: u64) {
        for (device, path) in ways(DType::F64) {
            let fixture = Fixture::random(n_modes, n_rows, seed, device).unwrap();
            let sums = forward(&fixture, path).log_importance.importance().unwrap().sum(1).unwrap();
            assert_close("sums", &values(&sums).unwrap(), &vec![1.; n_rows], 1e-12, 0.);
        }
    }

    /// On the CPU, the only device that promises it.
    #[test]
    fn a_row_alone_comes_out_bitwise_as_in_any_batch(
        n_modes in 2usize..9, n_rows in 1usize..40, seed: u64, narrow: bool, fused: bool,
    ) {
        let device = &Device::Cpu;
        let (_, path) = PATHS[usize::from(!fused)];
        let fixture = Fixture::random(n_modes, n_rows, seed, device).unwrap();
        let dtype = if narrow { DType::F32 } else { DType::F64 };
        let variables = SeededVarMap::new(emma_testkit::rng(seed));
        let vb = variables.var_builder(dtype, device);
        let emma = Emma::new(fixture.emma.config(), fixture.emma.minimum_potential(), &vb).unwrap();
        let modes: Vec<_> = fixture.modes.iter().map(|mode| mode.to_dtype(dtype).unwrap()).collect();
        let potentials = fixture.potentials.as_tensor().to_dtype(dtype).unwrap();
        let run = |start: usize, length: usize| {
            let modes: Vec<_> =
                modes.iter().map(|mode| mode.narrow(0, start, length).unwrap()).collect();
            let potentials = potentials.narrow(0, start, length).unwrap();
            let potentials = PotentialEnergies::new(potentials).unwrap();
            let output = path(&emma, &modes, &potentials).unwrap();
            let mut stages = output.weighted_modes.clone();
            stages.push(output.modal_energies.as_tensor().clone());
            stages.push(output.log_importance.as_tensor().clone());
            stages.push(output.attention.as_tensor().clone());
            stages.push(output.total_energy.unsqueeze(1).unwrap());
            Tensor::cat(&stages, 1).unwrap()
        };
        let together = run(0, n_rows);
        for row in 0..n_rows {
            let alone: Vec<_> =
                values(&run(row, 1)).unwrap().into_iter().map(f64::to_bits).collect();
            let among: Vec<_> = values(&together.narrow(0, row, 1).unwrap()).unwrap()
                .into_iter().map(f64::to_bits).collect();
            prop_assert_eq!(alone, among);
        }
    }

    #[test]
    fn permuting_rows_permutes_outputs(n_modes in 2usize..5, n_rows in 2usize..6, seed: u64) {
        for (device, path) in ways(DType::F64) {
            let fixture = Fixture::random(n_modes, n_rows, seed, device).unwrap();
            let reversed: Vec<u32> = (0..n_rows as u32).rev().collect();
            let reversed = Tensor::new(reversed, device).unwrap();
            let modes: Vec<_> =
                fixture.modes.iter().map(|mode| mode.index_select(&reversed, 0).unwrap()).collect();
            let potentials = fixture.potentials.as_tensor().index_select(&reversed, 0).unwrap();
            let potentials = PotentialEnergies::new(potentials).unwrap();
            let permuted = path(&fixture.emma, &modes, &potentials).unwrap();
            let before = forward(&fixture, path).attention;
            let expected = before.as_tensor().index_select(&reversed, 0).unwrap();
            let got = values(permuted.attention.as_tensor()).unwrap();
            // To the bit on the CPU; other devices may add in another order.
            let relative = if device.is_cpu() { 0. } else { 1e-12 };
            assert_close("attention", &got, &values(&expected).unwrap(), relative, 0.);
        }
    }

    #[test]
    fn permuting_modes_with_their_parameters_permutes_outputs(
        n_modes in 2usize..6, n_rows in 1usize..4, seed: u64,
    ) {
        for (device, path) in ways(DType::F64) {
            let fixture = Fixture::random(n_modes, n_rows, seed, device).unwrap();
            let before = forward(&fixture, path);
            let reversed: Vec<u32> = (0..n_modes as u32).rev().collect();
            let reversed = Tensor::new(reversed, device).unwrap();
            let variables = SeededVarMap::new(emma_testkit::rng(0));
            for (name, var) in fixture.named_vars() {
                let mut tensor = var.as_detached_tensor();
                if tensor.dims()[0] == n_modes {
                    tensor = tensor.index_select(&reversed, 0).unwrap();
                }
                if tensor.rank() == 2 {
                    tensor = tensor.index_select(&reversed, 1).unwrap();
                }
                variables.preset(name, &tensor).unwrap();
            }
            let minimum = fixture.emma.minimum_potential().index_select(&reversed, 0).unwrap();
            let vb = variables.var_builder(DType::F64, device);
            let emma = Emma::new(fixture.emma.config(), &minimum, &vb).unwrap();
            let modes: Vec<_> = fixture.modes.iter().rev().cloned().collect();
            let potentials = fixture.potentials.as_tensor().index_select(&reversed, 1).unwrap();
            let potentials = PotentialEnergies::new(potentials).unwrap();
            let after = path(&emma, &modes, &potentials).unwrap();
            let expected = before.attention.as_tensor().index_select(&reversed, 1).unwrap();
            assert_close(
                "attention", &values(after.attention.as_tensor()).unwrap(),
                &values(&expected).unwrap(), 1e-12, 1e-14,
            );
            assert_close(
                "total", &values(&after.total_energy).unwrap(),
                &values(&before.total_energy).unwrap(), 1e-12, 1e-14,
            );
        }
    }

    #[test]
    fn projection_reaches_the_ranges_and_is_idempotent(
        n_modes in 2usize..6, seed: u64, scale in 0.1f64..50., symmetric: bool, one: bool,
    ) {
        for (device, path) in ways(DType::F64) {
            let config = EmmaConfig {
                n_modes,
                coupling_exponent: if symmetric {
                    CouplingExponent::Symmetric
                } else {
                    CouplingExponent::Free
                },
                coupling_limit: if one {
                    CouplingLimit::One
                } else {
                    CouplingLimit::SharedAmongModes
                },
                minimum_self_weight: 0.25,
                ..EmmaConfig::default()
            };
            let fixture = Fixture::with(config, 1, seed, device).unwrap();
            for (_, var) in fixture.named_vars() {
                let moved = ((var.as_detached_tensor() - 0.4).unwrap() * scale).unwrap();
                var.set(&moved).unwrap();
            }
            let state = || -> Vec<Vec<f64>> {
                fixture.named_vars().iter().map(|(_, var)| values(var).unwrap()).collect()
            };
            fixture.emma.project().unwrap();
            let once = state();
            fixture.emma.project().unwrap();
            prop_assert_eq!(&once, &state());
            let limit = config.coupling_limit.bound(n_modes);
            let within = |values: &[f64], low: f64, high: f64| {
                values.iter().all(|value| (low..=high).contains(value))
            };
            prop_assert!(within(&once[0], 0.25, f64::INFINITY));
            prop_assert!(within(&once[1], 0., f64::INFINITY));
            prop_assert!(within(&once[2], -limit, limit));
            prop_assert!(within(&once[3], 0., 1.));
            prop_assert!(within(&once[4], 0., f64::INFINITY));
            prop_assert!(within(&once[5], 0., 1.));
            if symmetric {
                for i in 0..n_modes {
                    for j in 0..n_modes {
                        let (here, there) = (once[3][i * n_modes + j], once[3][j * n_modes + i]);
                        prop_assert!((here - there).abs() < 1e-15);
                    }
                }
            }
            let positive = values(forward(&fixture, path).self_energies.as_tensor()).unwrap();
            prop_assert!(positive.iter().all(|energy| *energy > 0.));
        }
    }

    /// Eq. 5.15: ∇ log α_k = ρ (−(1 − α_k) ∇E_k + Σ_{l≠k} α_l ∇E_l), for every parameter.
    #[test]
    fn equation_5_15_equals_autograd(n_modes in 2usize..5, seed: u64) {
        for (device, path) in ways(DType::F64) {
            let fixture = Fixture::random(n_modes, 1, seed, device).unwrap();
            let output = forward(&fixture, path);
            let rho = fixture.emma.config().coldness.value();
            let alpha = values(&output.log_importance.importance().unwrap()).unwrap();
            for (name, var) in &fixture.named_vars()[..4] {
                let energies: Vec<_> = (0..n_modes)
                    .map(|l| gradient_of_element(output.modal_energies.as_tensor(), l, var))
                    .collect();
                for k in 0..n_modes {
                    let autograd = gradient_of_element(output.log_importance.as_tensor(), k, var);
                    let expected: Vec<f64> = (0..var.elem_count()).map(|position| {
                        let others: f64 = (0..n_modes).filter(|&l| l != k)
                            .map(|l| alpha[l] * energies[l][position]).sum();
                        rho * (-(1. - alpha[k]) * energies[k][position] + others)
                    }).collect();
                    assert_close(name, &autograd, &expected, 1e-9, 1e-11);
                }
            }
        }
    }

    /// Eq. 5.16 takes θ_i to influence E_i alone. That is so for w_ij and free γ_ij …
    #[test]
    fn equation_5_16_holds_for_couplings(n_modes in 2usize..5, seed: u64) {
        for (device, path) in ways(DType::F64) {
            let fixture = Fixture::random(n_modes, 1, seed, device).unwrap();
            for index in [2, 3] {
                prop_assert!(largest_error_of_5_16(&fixture, path, index) < 1e-10);
            }
        }
    }

    /// … and not for w_i and b_i, which enter every E_k through e_ki. The draft claims it does.
    #[test]
    fn equation_5_16_fails_for_self_energies(n_modes in 2usize..5, seed: u64) {
        for (device, path) in ways(DType::F64) {
            let fixture = Fixture::random(n_modes, 1, seed, device).unwrap();
            for index in [0, 1] {
                prop_assert!(largest_error_of_5_16(&fixture, path, index) > 1e-6);
            }
        }
    }
}

/// Largest difference between autograd and eq. 5.16 for one parameter, relative to ρ.
fn largest_error_of_5_16(fixture: &Fixture, path: Forward, index: usize) -> f64 {
    let output = forward(fixture, path);
    let n_modes = fixture.modes.len();
    let rho = fixture.emma.config().coldness.value();
    let alpha = values(&output.log_importance.importance().unwrap()).unwrap();
    let (name, var) = &fixture.named_vars()[index];
    let energies: Vec<_> = (0..n_modes)
        .map(|l| gradient_of_element(output.modal_energies.as_tensor(), l, var))
        .collect();
    let mut largest = 0f64;
    for k in 0..n_modes {
        let autograd = gradient_of_element(output.log_importance.as_tensor(), k, var);
        for (position, got) in autograd.iter().enumerate() {
            let i = owner(name, position, n_modes);
            let factor = if i == k { -(1. - alpha[i]) } else { alpha[i] };
            largest = largest.max((got / rho - factor * energies[i][position]).abs());
        }
    }
    largest
}

/// Eq. 5.16 fails for a symmetric exponent too: γ_ij is shared by E_i and E_j.
#[test]
fn equation_5_16_fails_for_symmetric_exponents() -> Result<()> {
    for (device, path) in ways(DType::F64) {
        let config = EmmaConfig {
            n_modes: 3,
            coupling_exponent: CouplingExponent::Symmetric,
            ..EmmaConfig::default()
        };
        let fixture = Fixture::with(config, 1, 4, device)?;
        assert!(largest_error_of_5_16(&fixture, path, 3) > 1e-6);
    }
    Ok(())
}

#[test]
fn every_trainable_parameter_receives_a_gradient() -> Result<()> {
    for (device, path) in ways(DType::F64) {
        let fixture = Fixture::random(3, 4, 8, device)?;
        let output = forward(&fixture, path);
        let loss = Tensor::cat(&output.weighted_modes, 1)?.sqr()?.sum_all()?;
        let gradients = loss.backward()?;
        for (name, var) in fixture.named_vars() {
            let gradient = values(gradients.get(&var).expect(name))?;
            assert!(gradient.iter().any(|value| value.abs() > 1e-9), "{name}");
        }
    }
    Ok(())
}

#[test]
fn one_mode_is_a_clear_error() {
    for device in devices_with(DType::F64) {
        let config = EmmaConfig {
            n_modes: 1,
            ..EmmaConfig::default()
        };
        let error = Fixture::with(config, 1, 1, device).err().expect("refused");
        assert!(matches!(error, Error::TooFewModes { found: 1 }));
        assert_eq!(
            error.to_string(),
            "expected at least 2 modes to share attention, got 1"
        );
    }
}

#[test]
fn other_numbers_of_modes_are_named() -> Result<()> {
    for (device, path) in ways(DType::F64) {
        let fixture = Fixture::random(3, 2, 1, device)?;
        let two = PotentialEnergies::new(fixture.potentials.as_tensor().narrow(1, 0, 2)?)?;
        let error = path(&fixture.emma, &fixture.modes, &two).unwrap_err();
        assert_eq!(
            error.to_string(),
            "expected 3 modes, got 2 in the potential energies"
        );
        let error = path(&fixture.emma, &fixture.modes[..2], &fixture.potentials).unwrap_err();
        assert_eq!(
            error.to_string(),
            "expected 3 modes, got 2 in the modes to weigh"
        );
        let vb = fixture.variables.var_builder(DType::F64, device);
        let minimum = Tensor::zeros(2, DType::F64, device)?;
        let error = Emma::new(fixture.emma.config(), &minimum, &vb).unwrap_err();
        assert_eq!(
            error.to_string(),
            "expected 3 modes, got 2 in the minimum potentials"
        );
    }
    Ok(())
}

/// On the CPU: candle starts no CUDA kernel on nothing, which is an error there.
#[test]
fn no_rows_go_through() -> Result<()> {
    let device = &Device::Cpu;
    let fixture = Fixture::random(2, 3, 1, device)?;
    let modes = [
        fixture.modes[0].narrow(0, 0, 0)?,
        fixture.modes[1].narrow(0, 0, 0)?,
    ];
    let potentials = PotentialEnergies::new(fixture.potentials.as_tensor().narrow(0, 0, 0)?)?;
    for (_, path) in PATHS {
        let output = path(&fixture.emma, &modes, &potentials)?;
        assert_eq!(output.attention.as_tensor().dims(), [0, 2]);
        assert_eq!(output.total_energy.dims(), [0]);
        // Nothing counts, so nothing moves a parameter. (candle's sum of nothing has no gradient at all.)
        let gradients = output.total_energy.sum_all()?.backward()?;
        if let Some(gradient) = gradients.get(fixture.emma.coupling_weight()) {
            assert_eq!(values(gradient)?, [0.; 4]);
        }
    }
    Ok(())
}

#[test]
fn far_outliers_stay_finite_in_f32_and_are_masked() -> Result<()> {
    for device in devices() {
        let variables = SeededVarMap::new(emma_testkit::rng(3));
        let vb = variables.var_builder(DType::F32, device);
        let minimum = Tensor::new(&[0f32, 0.], device)?;
        let emma = Emma::new(&EmmaConfig::default(), &minimum, &vb)?;
        let potentials = Tensor::new(&[[1f32, 1e30], [1e6, 1.]], device)?;
        let modes = [
            Tensor::ones((2, 1), DType::F32, device)?,
            Tensor::ones((2, 1), DType::F32, device)?,
        ];
        let potentials = PotentialEnergies::new(potentials)?;
        for (name, path) in PATHS {
            let output = path(&emma, &modes, &potentials)?;
            let attention = output.attention.as_tensor().to_vec2::<f32>()?;
            assert!(
                attention.iter().flatten().all(|value| value.is_finite()),
                "{name}: {attention:?}"
            );
            assert!(
                attention[0][0] > 0.7 && attention[0][1] < 1e-6,
                "{name}: {attention:?}"
            );
        }
    }
    Ok(())
}

#[test]
fn estimators_of_each_mode_give_the_potentials() -> Result<()> {
    for device in devices() {
        let autoencoder = |n_features: usize| {
            let variables = SeededVarMap::new(emma_testkit::rng(n_features as u64));
            let vb = variables.var_builder(DType::F32, device);
            let config = AutoencoderConfig {
                n_features,
                n_hidden: 4,
            };
            PotentialEnergy(DenoisingAutoencoder::new(&config, &vb).unwrap())
        };
        let estimators = [autoencoder(2), autoencoder(3)];
        let modes = [
            Tensor::ones((5, 2), DType::F32, device)?,
            Tensor::ones((5, 3), DType::F32, device)?,
        ];
        let potentials = PotentialEnergies::estimate(&estimators, &modes)?;
        assert_eq!((potentials.n_rows(), potentials.n_modes()), (5, 2));
        let error = PotentialEnergies::estimate(&estimators, &modes[..1]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "expected 2 modes, got 1 in the rows to score"
        );
        let swapped = [modes[1].clone(), modes[0].clone()];
        let error = PotentialEnergies::estimate(&estimators, &swapped).unwrap_err();
        assert_eq!(
            error.to_string(),
            "mode 0: expected rows with 2 features, got a tensor of shape [5, 3]"
        );
    }
    Ok(())
}

#[test]
fn regularizers_of_weight_zero_add_nothing() -> Result<()> {
    for (device, path) in ways(DType::F64) {
        let fixture = Fixture::random(2, 3, 1, device)?;
        let output = forward(&fixture, path);
        let none = Regularizers::default();
        assert!(
            none.penalty(&fixture.emma, &output.log_importance, None)?
                .is_none()
        );
        let energy = Regularizers {
            energy_weight: 0.1,
            ..none
        };
        let error = energy
            .penalty(&fixture.emma, &output.log_importance, None)
            .unwrap_err();
        assert!(error.to_string().contains("corruption signs"), "{error}");
    }
    Ok(())
}
