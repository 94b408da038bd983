//! Rows that lack a mode.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod common;

use candle_core::{DType, Tensor};
use common::Fixture;
use emma_attention::{
    Coldness, CouplingExponent, CouplingLimit, Emma, EmmaConfig, EmmaOutput, ModeMask,
    PotentialEnergies,
};
use emma_energy::SeededVarMap;
use emma_testkit::devices_with;
use emma_testkit::tolerance::{assert_close, values};
use proptest::prelude::*;
use rand::Rng;

/// A mask in which every row has a mode.
fn mask(n_rows: usize, n_modes: usize, seed: u64) -> Vec<bool> {
    let mut rng = emma_testkit::rng(seed);
    let mut present = Vec::new();
    for _ in 0..n_rows {
        let kept = rng.random_range(0..n_modes);
        present.extend((0..n_modes).map(|mode| mode == kept || rng.random_bool(0.6)));
    }
    present
}

fn all_numbers(output: &EmmaOutput) -> Vec<u64> {
    let mut tensors = output.weighted_modes.clone();
    tensors.push(output.self_energies.as_tensor().clone());
    tensors.push(output.modal_energies.as_tensor().clone());
    tensors.push(output.log_importance.as_tensor().clone());
    tensors.push(output.attention.as_tensor().clone());
    tensors.push(output.total_energy.clone());
    tensors
        .iter()
        .flat_map(|tensor| values(tensor).unwrap())
        .map(f64::to_bits)
        .collect()
}

/// The module over some of the modes alone, its parameters as they are.
fn module_of(fixture: &Fixture, kept: &[usize]) -> Emma {
    let emma = &fixture.emma;
    let device = emma.gain().device();
    let vector = |tensor: &Tensor| {
        let all = tensor.to_vec1::<f64>().unwrap();
        let own: Vec<f64> = kept.iter().map(|&mode| all[mode]).collect();
        Tensor::new(own, device).unwrap()
    };
    let square = |tensor: &Tensor| {
        let all = tensor.to_vec2::<f64>().unwrap();
        let own: Vec<f64> = kept
            .iter()
            .flat_map(|&i| kept.iter().map(move |&j| (i, j)))
            .map(|(i, j)| all[i][j])
            .collect();
        Tensor::from_vec(own, (kept.len(), kept.len()), device).unwrap()
    };
    let variables = SeededVarMap::new(emma_testkit::rng(0));
    for (name, value) in [
        ("self_weight", vector(emma.self_weight())),
        ("self_bias", vector(emma.self_bias())),
        ("coupling_weight", square(emma.coupling_weight())),
        (
            "coupling_exponent",
            square(&emma.coupling_exponent().unwrap()),
        ),
        ("gain", emma.gain().clone()),
        ("attention_bias", emma.attention_bias().clone()),
    ] {
        variables.preset(name, &value).unwrap();
    }
    let config = EmmaConfig {
        n_modes: kept.len(),
        coupling_exponent: CouplingExponent::Free,
        ..*emma.config()
    };
    let minimum = vector(emma.minimum_potential());
    Emma::new(
        &config,
        &minimum,
        &variables.var_builder(DType::F64, device),
    )
    .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_mask_of_all_modes_changes_no_bit(n_modes in 2usize..7, n_rows in 0usize..6, seed: u64) {
        for device in devices_with(DType::F64) {
            let Fixture { emma, modes, potentials, .. } =
                Fixture::random(n_modes, n_rows, seed, device).unwrap();
            let all = ModeMask::new(vec![true; n_rows * n_modes], n_modes).unwrap();
            let masked = emma.forward_masked(&modes, &potentials, &all).unwrap();
            let plain = emma.forward_by_candle(&modes, &potentials).unwrap();
            prop_assert_eq!(all_numbers(&masked), all_numbers(&plain));
        }
    }

    #[test]
    fn what_a_missing_mode_holds_never_matters(
        n_modes in 2usize..7, n_rows in 1usize..6, seed: u64,
    ) {
        for device in devices_with(DType::F64) {
            let Fixture { emma, modes, potentials, .. } =
                Fixture::random(n_modes, n_rows, seed, device).unwrap();
            let present = mask(n_rows, n_modes, seed);
            let modes_mask = ModeMask::new(present.clone(), n_modes).unwrap();
            let expected = all_numbers(&emma.forward_masked(&modes, &potentials, &modes_mask).unwrap());
            for odd in [0., 1e300, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                let mut energies = potentials.as_tensor().to_vec2::<f64>().unwrap();
                for (energy, &there) in energies.iter_mut().flatten().zip(&present) {
                    if !there {
                        *energy = odd;
                    }
                }
                let energies = Tensor::new(energies, device).unwrap();
                let energies = PotentialEnergies::new(energies).unwrap();
                let changed: Vec<Tensor> = modes.iter().enumerate().map(|(mode, tensor)| {
                    let mut rows = tensor.to_vec2::<f64>().unwrap();
                    for (row, features) in rows.iter_mut().enumerate() {
                        if !present[row * n_modes + mode] {
                            features.fill(odd);
                        }
                    }
                    Tensor::new(rows, device).unwrap()
                }).collect();
                let found = emma.forward_masked(&changed, &energies, &modes_mask).unwrap();
                prop_assert_eq!(&all_numbers(&found), &expected, "{}", odd);
            }
        }
    }

    /// So nothing of a missing mode is left anywhere: energies, importance and attention are those of a smaller
    /// module.
    #[test]
    fn a_missing_mode_leaves_the_module_of_the_others(
        n_modes in 3usize..7, seed: u64, coldness in prop_oneof![Just(0.), 0.01f64..5.],
    ) {
        for device in devices_with(DType::F64) {
            let config = EmmaConfig {
                n_modes,
                coldness: Coldness::new(coldness).unwrap(),
                coupling_limit: CouplingLimit::SharedAmongModes,
                ..EmmaConfig::default()
            };
            let fixture = Fixture::with(config, 1, seed, device).unwrap();
            let mut present = mask(1, n_modes, seed);
            if present.iter().filter(|&&there| there).count() < 2 {
                present = (0..n_modes).map(|mode| mode < 2).collect();
            }
            let kept: Vec<usize> = (0..n_modes).filter(|&mode| present[mode]).collect();
            let modes_mask = ModeMask::new(present.clone(), n_modes).unwrap();
            let output = fixture.emma
                .forward_masked(&fixture.modes, &fixture.potentials, &modes_mask).unwrap();
            let small = module_of(&fixture, &kept);
            let own: Vec<Tensor> = kept.iter().map(|&mode| fixture.modes[mode].clone()).collect();
            let energies = fixture.potentials.as_tensor().to_vec2::<f64>().unwrap();
            let energies: Vec<f64> = kept.iter().map(|&mode| energies[0][mode]).collect();
            let energies = Tensor::new(vec![energies], device).unwrap();
            let energies = PotentialEnergies::new(energies).unwrap();
            let expected = small.forward_by_candle(&own, &energies).unwrap();
            // Sums of the same few terms in another order.
            let close = |what: &str, found: &Tensor, expected: &Tensor, absent: f64| {
                let expected = values(expected).unwrap();
                let mut rest = expected.iter();
                let expected: Vec<f64> = present.iter()
                    .map(|&there| if there { *rest.next().unwrap() } else { absent }).collect();
                assert_close(what, &values(found).unwrap(), &expected, 1e-12, 1e-15);
            };
            let importance = |output: &EmmaOutput| output.log_importance.importance().unwrap();
            close("self", output.self_energies.as_tensor(), expected.self_energies.as_tensor(), 0.);
            close("modal", output.modal_energies.as_tensor(), expected.modal_energies.as_tensor(), 0.);
            close("importance", &importance(&output), &importance(&expected), 0.);
            close("attention", output.attention.as_tensor(), expected.attention.as_tensor(), 0.);
            assert_close(
                "total", &values(&output.total_energy).unwrap(), &values(&expected.total_energy).unwrap(),
                1e-12, 1e-15,
            );
            for (mode, weighted) in output.weighted_modes.iter().enumerate() {
                let found = values(weighted).unwrap();
                let expected = kept.iter().position(|&one| one == mode)
                    .map_or_else(|| vec![0.; found.len()], |place| values(&expected.weighted_modes[place]).unwrap());
                assert_close("weighted", &found, &expected, 1e-12, 1e-15);
            }
        }
    }

    #[test]
    fn permuting_modes_permutes_masked_outputs(n_modes in 2usize..6, n_rows in 1usize..5, seed: u64) {
        for device in devices_with(DType::F64) {
            let fixture = Fixture::random(n_modes, n_rows, seed, device).unwrap();
            let present = mask(n_rows, n_modes, seed);
            let order: Vec<usize> = (0..n_modes).map(|mode| (mode + 1) % n_modes).collect();
            let permuted = module_of(&fixture, &order);
            let modes: Vec<Tensor> = order.iter().map(|&mode| fixture.modes[mode].clone()).collect();
            let index = Tensor::new(
                order.iter().map(|&mode| u32::try_from(mode).unwrap()).collect::<Vec<_>>(), device,
            ).unwrap();
            let select = |tensor: &Tensor| tensor.index_select(&index, 1).unwrap();
            let potentials = PotentialEnergies::new(select(fixture.potentials.as_tensor())).unwrap();
            let permuted_mask = present.chunks_exact(n_modes)
                .flat_map(|row| order.iter().map(|&mode| row[mode])).collect();
            let found = permuted.forward_masked(
                &modes, &potentials, &ModeMask::new(permuted_mask, n_modes).unwrap(),
            ).unwrap();
            let plain = fixture.emma.forward_masked(
                &fixture.modes, &fixture.potentials, &ModeMask::new(present, n_modes).unwrap(),
            ).unwrap();
            for (found, plain) in [
                (found.attention.as_tensor(), plain.attention.as_tensor()),
                (found.modal_energies.as_tensor(), plain.modal_energies.as_tensor()),
            ] {
                // Sums of the same few terms in another order.
                assert_close("permuted", &values(found).unwrap(), &values(&select(plain)).unwrap(), 1e-11, 1e-14);
            }
        }
    }
}

#[test]
fn one_mode_alone_gets_all_the_importance() {
    for device in devices_with(DType::F64) {
        let Fixture {
            emma,
            modes,
            potentials,
            ..
        } = Fixture::random(2, 1, 3, device).unwrap();
        let mask = ModeMask::new(vec![false, true], 2).unwrap();
        let output = emma.forward_masked(&modes, &potentials, &mask).unwrap();
        let importance = values(&output.log_importance.importance().unwrap()).unwrap();
        assert_close("importance", &importance, &[0., 1.], 1e-15, 0.);
        let attention = values(output.attention.as_tensor()).unwrap();
        let gain = values(emma.gain()).unwrap()[0];
        let bias = values(emma.attention_bias()).unwrap()[0];
        assert_close(
            "attention",
            &attention,
            &[0., (gain - bias).tanh()],
            1e-15,
            0.,
        );
        assert_eq!(attention[0].to_bits(), 0f64.to_bits());
    }
}

#[test]
fn masks_of_another_shape_are_named() {
    for device in devices_with(DType::F64) {
        let Fixture {
            emma,
            modes,
            potentials,
            ..
        } = Fixture::random(2, 3, 3, device).unwrap();
        let error = |present: Vec<bool>, n_modes| {
            let mask = ModeMask::new(present, n_modes).unwrap();
            let output = emma.forward_masked(&modes, &potentials, &mask);
            output.unwrap_err().to_string()
        };
        assert_eq!(
            error(vec![true; 9], 3),
            "expected 2 modes, got 3 in the mask"
        );
        assert_eq!(
            error(vec![true; 4], 2),
            "expected 2 rows in mode 0, got a tensor of shape [3, 2]"
        );
    }
}
