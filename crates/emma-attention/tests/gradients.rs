//! Gradients of every parameter against central differences in f64.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod common;

use candle_core::{DType, Tensor};
use common::{Fixture, Forward, ways};
use emma_attention::{CapacityPenalty, CouplingExponent, EmmaConfig, Regularizers, Result};
use emma_testkit::gradcheck::{assert_gradients, numeric_gradient};
use emma_testkit::tolerance::{assert_close, values};
use proptest::prelude::*;

/// A loss that every parameter matters for: squares of the weighted modes and both regularizers.
fn loss(
    fixture: &Fixture,
    path: Forward,
    regularizers: &Regularizers,
) -> candle_core::Result<Tensor> {
    let run = || -> Result<Tensor> {
        let output = path(&fixture.emma, &fixture.modes, &fixture.potentials)?;
        let task = Tensor::cat(&output.weighted_modes, 1)?
            .sqr()?
            .sum(1)?
            .mean(0)?;
        let penalty =
            regularizers.penalty(&fixture.emma, &output.log_importance, Some(&fixture.signs))?;
        Ok(match penalty {
            Some(penalty) => (task + penalty)?,
            None => task,
        })
    };
    run().map_err(candle_core::Error::wrap)
}

fn away_from_kinks(fixture: &Fixture) -> bool {
    fixture.distance_from_kink().unwrap() > 5e-3
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_parameter_has_the_gradient_of_central_differences(
        n_modes in 2usize..6, n_rows in 1usize..5, seed: u64,
        capacity_weight in -0.5f64..0.5, energy_weight in 0f64..0.5, gain_alone: bool,
    ) {
        for (device, path) in ways(DType::F64) {
            let fixture = Fixture::random(n_modes, n_rows, seed, device).unwrap();
            prop_assume!(away_from_kinks(&fixture));
            let capacity_penalty = if gain_alone {
                CapacityPenalty::Gain
            } else {
                CapacityPenalty::GainMinusBias
            };
            let regularizers = Regularizers { capacity_weight, energy_weight, capacity_penalty };
            let named = fixture.named_vars();
            let named: Vec<_> = named.iter().map(|(name, var)| (*name, var)).collect();
            assert_gradients(&named, || loss(&fixture, path, &regularizers), 1e-6, 1e-8).unwrap();
        }
    }

    #[test]
    fn a_symmetric_exponent_has_a_symmetric_gradient(
        n_modes in 2usize..5, n_rows in 1usize..4, seed: u64,
    ) {
        for (device, path) in ways(DType::F64) {
            let config = EmmaConfig {
                n_modes, coupling_exponent: CouplingExponent::Symmetric, ..EmmaConfig::default()
            };
            let fixture = Fixture::with(config, n_rows, seed, device).unwrap();
            prop_assume!(away_from_kinks(&fixture));
            let none = Regularizers::default();
            let exponent = fixture.named_vars()[3].1.clone();
            let named = [("coupling_exponent", &exponent)];
            assert_gradients(&named, || loss(&fixture, path, &none), 1e-6, 1e-8).unwrap();
            let gradients = loss(&fixture, path, &none).unwrap().backward().unwrap();
            let gradient = gradients.get(&exponent).unwrap();
            let transposed = values(&gradient.t().unwrap().contiguous().unwrap()).unwrap();
            assert_close("transposed", &transposed, &values(gradient).unwrap(), 1e-12, 1e-15);
        }
    }

    /// Networks that learn in front of EMMA get a gradient through the modes and the potentials.
    #[test]
    fn modes_and_potentials_have_gradients_too(n_modes in 2usize..5, seed: u64) {
        for (device, path) in ways(DType::F64) {
            let mut fixture = Fixture::random(n_modes, 3, seed, device).unwrap();
            prop_assume!(away_from_kinks(&fixture));
            let mode = candle_core::Var::from_tensor(&fixture.modes[0]).unwrap();
            let potentials =
                candle_core::Var::from_tensor(fixture.potentials.as_tensor()).unwrap();
            fixture.modes[0] = mode.as_tensor().clone();
            fixture.potentials =
                emma_attention::PotentialEnergies::new(potentials.as_tensor().clone()).unwrap();
            let none = Regularizers::default();
            let named = [("mode", &mode), ("potentials", &potentials)];
            assert_gradients(&named, || loss(&fixture, path, &none), 1e-6, 1e-8).unwrap();
        }
    }
}

/// Appendix B.2 adds the two logarithms; the derivative of `e_i^γ e_j^(1−γ)` subtracts them.
#[test]
fn the_derivative_by_the_exponent_has_a_difference_of_logarithms() -> Result<()> {
    for (device, path) in ways(DType::F64) {
        let fixture = Fixture::random(2, 1, 11, device)?;
        let exponent = fixture.named_vars()[3].1.clone();
        let modal = || -> candle_core::Result<Tensor> {
            let output = path(&fixture.emma, &fixture.modes, &fixture.potentials);
            let output = output.map_err(candle_core::Error::wrap)?;
            output.modal_energies.as_tensor().narrow(1, 0, 1)?.sum_all()
        };
        let numeric = numeric_gradient(&exponent, modal)?[1];
        let output = path(&fixture.emma, &fixture.modes, &fixture.potentials)?;
        let energies = values(output.self_energies.as_tensor())?;
        let weight = values(&fixture.named_vars()[2].1)?[1];
        let exponent = values(&exponent)?[1];
        let shared = weight * energies[0].powf(exponent) * energies[1].powf(1. - exponent);
        let difference = shared * (energies[0].ln() - energies[1].ln());
        let sum = shared * (energies[0].ln() + energies[1].ln());
        assert_close("difference", &[numeric], &[difference], 1e-8, 1e-10);
        assert!((numeric - sum).abs() > 0.1 * numeric.abs());
    }
    Ok(())
}
