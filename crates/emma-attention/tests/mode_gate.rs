//! The gate with parameters for each mode.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

use candle_core::{DType, Device, Result as CandleResult, Tensor, Var};
use candle_nn::VarBuilder;
use emma_attention::{ColdnessAnnealing, GainScale, ModeGate, ModeGateConfig};
use emma_energy::SeededVarMap;
use emma_testkit::tolerance::assert_close;
use proptest::prelude::*;
use std::collections::HashMap;

fn gate(parameters: [&[f64]; 3], gain_scale: GainScale) -> ModeGate {
    let n_modes = parameters[0].len();
    let tensor = |values: &[f64]| Tensor::new(values, &Device::Cpu).unwrap();
    let tensors = HashMap::from([
        (
            "log_coldness".to_owned(),
            tensor(parameters[0]).log().unwrap(),
        ),
        ("gain".to_owned(), tensor(parameters[1])),
        ("bias".to_owned(), tensor(parameters[2])),
        ("coldness_factor".to_owned(), tensor(&[1.])),
    ]);
    let vb = VarBuilder::from_tensors(tensors, DType::F64, &Device::Cpu);
    let config = ModeGateConfig {
        n_modes,
        gain_scale,
        ..ModeGateConfig::default()
    };
    ModeGate::new(&config, &vb).unwrap()
}

fn mask(open: &[u8], n_modes: usize) -> Tensor {
    Tensor::from_slice(open, (open.len() / n_modes, n_modes), &Device::Cpu).unwrap()
}

fn rows(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn attention_is_what_the_formula_says() {
    let gate = gate(
        [&[1., 2., 0.5], &[1., 0.8, 2.], &[0., 0.1, 0.9]],
        GainScale::Modes,
    );
    let energies = Tensor::new(&[[0.1f64, 0.7, 2.]], &Device::Cpu).unwrap();
    let found = gate.attention(&energies, &mask(&[1, 1, 1], 3)).unwrap();
    let weights = [(-0.1f64).exp(), (-1.4f64).exp(), (-1f64).exp()];
    let sum: f64 = weights.iter().sum();
    let of =
        |mode: usize, gain: f64, bias: f64| (3. * gain * weights[mode] / sum - bias).tanh().max(0.);
    let expected = [of(0, 1., 0.), of(1, 0.8, 0.1), of(2, 2., 0.9)];
    assert_close("attention", &rows(&found), &expected, 1e-15, 0.);
}

#[test]
fn a_closed_mode_has_no_attention_and_no_part_in_the_sum() {
    let gate = gate([&[2.; 3], &[1.; 3], &[0.; 3]], GainScale::Modes);
    let energies = Tensor::new(
        &[
            [0.3f64, 0.8, f64::NAN],
            [0.3, 0.8, f64::INFINITY],
            [0.3, 0.8, -50.],
        ],
        &Device::Cpu,
    )
    .unwrap();
    let closed = mask(&[1, 1, 0, 1, 1, 0, 1, 1, 0], 3);
    let importance = rows(&gate.importance(&energies, &closed).unwrap());
    let attention = rows(&gate.attention(&energies, &closed).unwrap());
    let share = 1. / (1. + (-1f64).exp());
    for row in 0..3 {
        let found = &importance[3 * row..][..3];
        assert_close("importance", found, &[share, 1. - share, 0.], 1e-15, 0.);
        assert_eq!(attention[3 * row + 2].to_bits(), 0);
    }
    let none = gate.attention(&energies, &mask(&[0; 9], 3)).unwrap();
    assert_eq!(rows(&none), [0.; 9]);
}

#[test]
fn equal_energies_give_the_same_attention_at_any_number_of_modes() {
    for n_modes in [2, 8, 32, 100] {
        let ones = vec![1.; n_modes];
        let energies = Tensor::full(0.7f64, (1, n_modes), &Device::Cpu).unwrap();
        let open = mask(&vec![1; n_modes], n_modes);
        let attention = |scale| {
            let gate = gate([&ones, &ones, &vec![0.; n_modes]], scale);
            rows(&gate.attention(&energies, &open).unwrap())
        };
        for value in attention(GainScale::Modes) {
            assert!((value - 1f64.tanh()).abs() < 1e-14, "{n_modes}: {value}");
        }
        for value in attention(GainScale::One) {
            assert!((value - (1. / n_modes as f64).tanh()).abs() < 1e-14);
        }
    }
}

/// One outlying mode among many closes, and the others hardly notice.
#[test]
fn one_bad_mode_among_many_is_shut_out() {
    for n_modes in [2, 8, 32, 100] {
        let ones = vec![1.; n_modes];
        let gate = gate(
            [&vec![4.; n_modes], &ones, &vec![0.; n_modes]],
            GainScale::Modes,
        );
        let mut energies = vec![0.1; n_modes];
        energies[0] = 2.5;
        let energies = Tensor::from_vec(energies, (1, n_modes), &Device::Cpu).unwrap();
        let attention = rows(
            &gate
                .attention(&energies, &mask(&vec![1; n_modes], n_modes))
                .unwrap(),
        );
        assert!(attention[0] < 1e-3, "{n_modes}: {}", attention[0]);
        assert!(
            attention[1..].iter().all(|&value| value > 0.75),
            "{n_modes}"
        );
    }
}

#[test]
fn gradients_agree_with_central_differences() -> CandleResult<()> {
    let energies = Tensor::new(&[[0.2f64, 0.9, 0.4], [1.1, 0.1, 0.6]], &Device::Cpu)?;
    let open = mask(&[1, 1, 1, 1, 0, 1], 3);
    let weights = Tensor::new(&[[0.3f64, -1.2, 0.7], [1.4, 0.5, -0.8]], &Device::Cpu)?;
    let loss = |log_coldness: &Tensor, gain: &Tensor, bias: &Tensor| -> CandleResult<Tensor> {
        let tensors = HashMap::from([
            ("log_coldness".to_owned(), log_coldness.clone()),
            ("gain".to_owned(), gain.clone()),
            ("bias".to_owned(), bias.clone()),
            (
                "coldness_factor".to_owned(),
                Tensor::new(&[0.8f64], &Device::Cpu)?,
            ),
        ]);
        let vb = VarBuilder::from_tensors(tensors, DType::F64, &Device::Cpu);
        let config = ModeGateConfig {
            n_modes: 3,
            ..ModeGateConfig::default()
        };
        let gate = ModeGate::new(&config, &vb).unwrap();
        (gate.attention(&energies, &open).unwrap() * &weights)?.sum_all()
    };
    let parameters = [
        vec![0.3f64, -0.2, 0.5],
        vec![1.1, 0.9, 1.3],
        vec![0.05, 0.1, 0.02],
    ];
    let vars: Vec<Var> = parameters
        .iter()
        .map(|values| Var::new(values.as_slice(), &Device::Cpu))
        .collect::<CandleResult<_>>()?;
    let gradients = loss(&vars[0], &vars[1], &vars[2])?.backward()?;
    for (which, values) in parameters.iter().enumerate() {
        let found: Vec<f64> = gradients.get(&vars[which]).unwrap().to_vec1()?;
        for place in 0..values.len() {
            let at = |step: f64| -> CandleResult<f64> {
                let mut moved = parameters.clone();
                moved[which][place] += step;
                let tensors: Vec<Tensor> = moved
                    .iter()
                    .map(|values| Tensor::new(values.as_slice(), &Device::Cpu))
                    .collect::<CandleResult<_>>()?;
                loss(&tensors[0], &tensors[1], &tensors[2])?.to_scalar()
            };
            let expected = (at(1e-5)? - at(-1e-5)?) / 2e-5;
            // Third derivatives of order one, times the squared step.
            assert!((found[place] - expected).abs() < 1e-9, "{which} {place}");
        }
    }
    Ok(())
}

#[test]
fn the_factor_is_kept_with_the_parameters_and_never_learned() -> CandleResult<()> {
    let variables = SeededVarMap::new(emma_testkit::rng(1));
    let vb = variables.var_builder(DType::F64, &Device::Cpu);
    let gate = ModeGate::new(&ModeGateConfig::default(), &vb).unwrap();
    let annealing = ColdnessAnnealing {
        start: 0.1,
        n_epochs: 2,
    };
    gate.set_coldness_factor(annealing.factor(0)).unwrap();
    let hot = variables.snapshot().unwrap();
    assert_close(
        "coldness",
        &rows(&gate.coldness().unwrap()),
        &[0.2; 2],
        1e-14,
        0.,
    );
    gate.set_coldness_factor(annealing.factor(2)).unwrap();
    assert_close(
        "coldness",
        &rows(&gate.coldness().unwrap()),
        &[2.; 2],
        1e-14,
        0.,
    );
    variables.restore(&hot).unwrap();
    assert_close(
        "coldness",
        &rows(&gate.coldness().unwrap()),
        &[0.2; 2],
        1e-14,
        0.,
    );
    let energies = Tensor::new(&[[0.2f64, 0.9]], &Device::Cpu)?;
    let attention = gate.attention(&energies, &mask(&[1, 1], 2)).unwrap();
    let gradients = attention.sqr()?.sum_all()?.backward()?;
    let named = variables.named_vars();
    let (_, factor) = named
        .iter()
        .find(|(name, _)| name.ends_with("coldness_factor"))
        .unwrap();
    assert!(gradients.get(factor.as_tensor()).is_none());
    assert!(gate.set_coldness_factor(1.5).is_err());
    assert!(gate.set_coldness_factor(f64::NAN).is_err());
    Ok(())
}

proptest! {
    /// Modes in another order, with their parameters, have the same attention in that order.
    #[test]
    fn the_order_of_modes_does_not_matter(
        energies in prop::collection::vec(0f64..4., 5),
        coldness in prop::collection::vec(0.1f64..5., 5),
        gain in prop::collection::vec(0f64..3., 5),
        bias in prop::collection::vec(0f64..1., 5),
        open in prop::collection::vec(0u8..2, 5),
        turn in 1usize..5,
    ) {
        let attention = |turn: usize| {
            let turned = |values: &[f64]| {
                let mut values = values.to_vec();
                values.rotate_left(turn);
                values
            };
            let mut open = open.clone();
            open.rotate_left(turn);
            let gate = gate([&turned(&coldness), &turned(&gain), &turned(&bias)], GainScale::Modes);
            let energies = Tensor::from_vec(turned(&energies), (1, 5), &Device::Cpu).unwrap();
            rows(&gate.attention(&energies, &mask(&open, 5)).unwrap())
        };
        let mut expected = attention(0);
        expected.rotate_left(turn);
        // Sums in another order.
        assert_close("attention", &attention(turn), &expected, 1e-13, 1e-15);
    }

    #[test]
    fn importance_is_shared_among_open_modes(
        energies in prop::collection::vec(-1e3f64..1e3, 4),
        open in prop::collection::vec(0u8..2, 4),
    ) {
        let gate = gate([&[1.; 4], &[1.; 4], &[0.; 4]], GainScale::Modes);
        let energies = Tensor::from_vec(energies, (1, 4), &Device::Cpu).unwrap();
        let importance = rows(&gate.importance(&energies, &mask(&open, 4)).unwrap());
        let sum: f64 = importance.iter().sum();
        let expected = if open.contains(&1) { 1. } else { 0. };
        prop_assert!((sum - expected).abs() < 1e-12);
    }
}
