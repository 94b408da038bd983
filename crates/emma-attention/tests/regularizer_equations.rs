//! Equations 5.17 to 5.22 of the thesis, the gradient of the energy regularizer, against autograd.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod common;

use candle_core::{DType, Tensor};
use common::Fixture;
use emma_attention::Regularizers;
use emma_testkit::devices_with;
use emma_testkit::tolerance::values;
use proptest::prelude::*;

/// Places of the coupling weights and of the (free) coupling exponents among the parameters.
const COUPLINGS: [usize; 2] = [2, 3];
/// Places of w_i and b_i.
const SELF_ENERGIES: [usize; 2] = [0, 1];

/// For each element of some parameters: its mode's sign ξ_i and importance α_i, and `∇Ω / (−ρ ∇E_i)` by
/// autograd, which eq. 5.19 says is `(M − 2M′) α_i + ξ_i`.
struct Factor {
    sign: f64,
    importance: f64,
    found: f64,
}

fn factors(fixture: &Fixture, signs: &[f64], parameters: [usize; 2]) -> Vec<Factor> {
    let (emma, n_modes) = (&fixture.emma, signs.len());
    let output = emma.forward(&fixture.modes, &fixture.potentials).unwrap();
    let rho = emma.config().coldness.value();
    let importance = values(&output.log_importance.importance().unwrap()).unwrap();
    let sign_row = Tensor::from_slice(signs, (1, n_modes), emma.gain().device()).unwrap();
    let regularizers = Regularizers {
        energy_weight: 1.,
        ..Regularizers::default()
    };
    // −Ω: the loss is penalized by it.
    let penalty = regularizers
        .penalty(emma, &output.log_importance, Some(&sign_row))
        .unwrap()
        .unwrap();
    let of_penalty = penalty.backward().unwrap();
    let mut factors = Vec::new();
    for parameter in parameters {
        let (name, var) = &fixture.named_vars()[parameter];
        let of_penalty = values(of_penalty.get(var).unwrap()).unwrap();
        for mode in 0..n_modes {
            let energy = output
                .modal_energies
                .as_tensor()
                .narrow(1, mode, 1)
                .unwrap();
            let of_energy = energy.sum_all().unwrap().backward().unwrap();
            let of_energy = values(of_energy.get(var).unwrap()).unwrap();
            for (position, &slope) in of_energy.iter().enumerate() {
                let owner = if name.starts_with("coupling") {
                    position / n_modes
                } else {
                    position
                };
                // The diagonal means nothing, and a tiny slope cannot be divided by.
                if owner == mode && slope.abs() > 1e-6 {
                    factors.push(Factor {
                        sign: signs[mode],
                        importance: importance[mode],
                        found: of_penalty[position] / (rho * slope),
                    });
                }
            }
        }
    }
    factors
}

/// The first modes uncorrupted (ξ = 1), the others corrupted (−1).
fn signs(n_modes: usize, n_uncorrupted: usize) -> Vec<f64> {
    (0..n_modes)
        .map(|mode| if mode < n_uncorrupted { 1. } else { -1. })
        .collect()
}

fn largest_error(factors: &[Factor], expected: impl Fn(&Factor) -> f64) -> f64 {
    assert!(!factors.is_empty());
    factors
        .iter()
        .map(|factor| (factor.found - expected(factor)).abs())
        .fold(0., f64::max)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// 5.17 for uncorrupted modes, 5.18 for corrupted ones, 5.19 for both: they hold for w_ij and free γ_ij.
    #[test]
    fn equations_5_17_to_5_19_hold_for_couplings(
        n_modes in 2usize..6, n_uncorrupted in 0usize..6, seed: u64,
    ) {
        for device in devices_with(DType::F64) {
            let fixture = Fixture::random(n_modes, 1, seed, device).unwrap();
            let n_clean = n_uncorrupted.min(n_modes);
            let factors = factors(&fixture, &signs(n_modes, n_clean), COUPLINGS);
            let (m, clean) = (n_modes as f64, n_clean as f64);
            let by_5_17_and_5_18 = |factor: &Factor| {
                let alpha = factor.importance;
                // Each divided by −ρ ∇E_i.
                if factor.sign > 0. {
                    (1. - alpha) - ((clean - 1.) - (m - clean)) * alpha
                } else {
                    -(1. - alpha) - (clean - (m - clean - 1.)) * alpha
                }
            };
            let by_5_19 = |factor: &Factor| (m - 2. * clean) * factor.importance + factor.sign;
            prop_assert!(largest_error(&factors, by_5_17_and_5_18) < 1e-8);
            prop_assert!(largest_error(&factors, by_5_19) < 1e-8);
        }
    }

    /// They do not hold for w_i and b_i, which move the energies of all modes.
    #[test]
    fn equation_5_19_fails_for_self_energies(n_modes in 2usize..6, seed: u64) {
        for device in devices_with(DType::F64) {
            let fixture = Fixture::random(n_modes, 1, seed, device).unwrap();
            let factors = factors(&fixture, &signs(n_modes, 1), SELF_ENERGIES);
            let by_5_19 = |factor: &Factor| (n_modes as f64 - 2.) * factor.importance + factor.sign;
            prop_assert!(largest_error(&factors, by_5_19) > 1e-6);
        }
    }

    /// Half of an even number of modes uncorrupted: the factor is ξ_i alone.
    #[test]
    fn equation_5_20_holds_for_even_numbers_of_modes(half in 1usize..4, seed: u64) {
        for device in devices_with(DType::F64) {
            let fixture = Fixture::random(2 * half, 1, seed, device).unwrap();
            let factors = factors(&fixture, &signs(2 * half, half), COUPLINGS);
            prop_assert!(largest_error(&factors, |factor| factor.sign) < 1e-8);
        }
    }

    /// (M + 1)/2 of an odd number of modes uncorrupted: 1 − α_i for those, −(1 + α_i) for the others.
    #[test]
    fn equation_5_21_holds_for_odd_numbers_of_modes(half in 1usize..3, seed: u64) {
        for device in devices_with(DType::F64) {
            let n_modes = 2 * half + 1;
            let fixture = Fixture::random(n_modes, 1, seed, device).unwrap();
            let factors = factors(&fixture, &signs(n_modes, half + 1), COUPLINGS);
            let by_5_21 = |factor: &Factor| {
                if factor.sign > 0. {
                    1. - factor.importance
                } else {
                    -(1. + factor.importance)
                }
            };
            prop_assert!(largest_error(&factors, by_5_21) < 1e-8);
        }
    }

    /// One uncorrupted mode more: the draft's 5.22 has α_i + ξ_i, where M − 2M′ is −2 or −3.
    #[test]
    fn equation_5_22_needs_another_factor(n_modes in 2usize..6, seed: u64) {
        for device in devices_with(DType::F64) {
            let fixture = Fixture::random(n_modes, 1, seed, device).unwrap();
            let n_uncorrupted = n_modes.div_ceil(2) + 1;
            let factors = factors(&fixture, &signs(n_modes, n_uncorrupted), COUPLINGS);
            let multiple = if n_modes % 2 == 0 { -2. } else { -3. };
            let corrected = |factor: &Factor| multiple * factor.importance + factor.sign;
            prop_assert!(largest_error(&factors, corrected) < 1e-8);
            let draft = |factor: &Factor| factor.importance + factor.sign;
            prop_assert!(largest_error(&factors, draft) > 0.1);
        }
    }
}
