//! Forms of coupling beside the thesis's: gradients, symmetries, missing modes.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod common;

use candle_core::{DType, Device, Tensor, Var};
use common::ways;
use emma_attention::{
    Coldness, CouplingForm, Emma, EmmaConfig, EmmaOutput, ModeMask, PotentialEnergies,
};
use emma_energy::SeededVarMap;
use emma_testkit::devices_with;
use emma_testkit::gradcheck::assert_gradients;
use emma_testkit::tolerance::{assert_close, values};
use proptest::prelude::*;
use rand::Rng;

const OTHERS: [CouplingForm; 3] = [
    CouplingForm::Uncoupled,
    CouplingForm::Bilinear,
    CouplingForm::SelfAttention,
];

struct Fixture {
    emma: Emma,
    variables: SeededVarMap,
    modes: Vec<Tensor>,
    potentials: PotentialEnergies,
}

fn config(coupling_form: CouplingForm, n_modes: usize) -> EmmaConfig {
    EmmaConfig {
        n_modes,
        coupling_form,
        coldness: Coldness::new(0.2).unwrap(),
        ..EmmaConfig::default()
    }
}

/// Random parameters of every kind and random rows, in f64.
fn fixture(
    form: CouplingForm,
    n_modes: usize,
    n_rows: usize,
    seed: u64,
    device: &Device,
) -> Fixture {
    let mut rng = emma_testkit::rng(seed);
    let mut uniform = |shape: &[usize], low: f64, high: f64| {
        let n = shape.iter().product();
        let values: Vec<f64> = (0..n).map(|_| rng.random_range(low..high)).collect();
        Tensor::from_vec(values, shape, device).unwrap()
    };
    let minimum = uniform(&[n_modes], -3., 3.);
    let excess = uniform(&[n_rows, n_modes], 0.1, 8.);
    let modes = (0..n_modes)
        .map(|mode| uniform(&[n_rows, 1 + mode % 3], -2., 2.))
        .collect();
    let variables = SeededVarMap::new(emma_testkit::rng(seed));
    let vb = variables.var_builder(DType::F64, device);
    let emma = Emma::new(&config(form, n_modes), &minimum, &vb).unwrap();
    // Away from their first values, which are alike for all modes.
    for (name, var) in variables.named_vars() {
        let (low, high) = match name.as_str() {
            "self_weight" => (0.3, 2.),
            "self_bias" => (0.1, 1.5),
            "gain" => (1., 4.),
            "attention_bias" => (0.05, 0.3),
            _ => (-1., 1.),
        };
        var.set(&uniform(var.dims(), low, high)).unwrap();
    }
    Fixture {
        emma,
        variables,
        modes,
        potentials: PotentialEnergies::new(excess.broadcast_add(&minimum).unwrap()).unwrap(),
    }
}

fn run(fixture: &Fixture) -> EmmaOutput {
    fixture
        .emma
        .forward(&fixture.modes, &fixture.potentials)
        .unwrap()
}

/// Smallest distance of any row and mode from the kink of `max(0, tanh(·))`.
fn distance_from_kink(fixture: &Fixture) -> f64 {
    let importance = run(fixture).log_importance.importance().unwrap();
    let argument = importance.broadcast_mul(fixture.emma.gain()).unwrap();
    let argument = argument
        .broadcast_sub(fixture.emma.attention_bias())
        .unwrap();
    let distances = values(&argument.abs().unwrap()).unwrap();
    distances.into_iter().fold(f64::INFINITY, f64::min)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_parameter_has_the_gradient_of_central_differences(
        which in 0..3usize, n_modes in 2usize..5, n_rows in 1usize..4, seed: u64,
    ) {
        for device in devices_with(DType::F64) {
            let mut fixture = fixture(OTHERS[which], n_modes, n_rows, seed, device);
            prop_assume!(distance_from_kink(&fixture) > 5e-3);
            let potentials = Var::from_tensor(fixture.potentials.as_tensor()).unwrap();
            fixture.potentials = PotentialEnergies::new(potentials.as_tensor().clone()).unwrap();
            let named = fixture.variables.named_vars();
            let mut named: Vec<_> = named.iter().map(|(name, var)| (name.as_str(), var)).collect();
            named.push(("potentials", &potentials));
            let loss = || {
                let output = fixture.emma.forward(&fixture.modes, &fixture.potentials);
                let output = output.map_err(candle_core::Error::wrap)?;
                let task = Tensor::cat(&output.weighted_modes, 1)?.sqr()?.sum(1)?.mean(0)?;
                task + output.total_energy.mean(0)?
            };
            assert_gradients(&named, loss, 1e-6, 1e-8).unwrap();
        }
    }

    #[test]
    fn permuting_modes_with_their_parameters_permutes_outputs(
        which in 0..3usize, n_modes in 2usize..6, seed: u64,
    ) {
        for device in devices_with(DType::F64) {
            let form = OTHERS[which];
            let before = fixture(form, n_modes, 3, seed, device);
            let order: Vec<u32> = (0..n_modes as u32).map(|mode| (mode + 1) % n_modes as u32).collect();
            let order = Tensor::new(order, device).unwrap();
            let variables = SeededVarMap::new(emma_testkit::rng(0));
            for (name, var) in before.variables.named_vars() {
                let mut tensor = var.as_detached_tensor();
                let of_modes = ["self_weight", "self_bias", "coupling_weight", "query_offset",
                    "key_offset", "value_offset"];
                if of_modes.contains(&name.as_str()) {
                    tensor = tensor.index_select(&order, 0).unwrap();
                }
                if name == "coupling_weight" {
                    tensor = tensor.index_select(&order, 1).unwrap();
                }
                variables.preset(&name, &tensor).unwrap();
            }
            let minimum = before.emma.minimum_potential().index_select(&order, 0).unwrap();
            let vb = variables.var_builder(DType::F64, device);
            let permuted = |tensor: &Tensor| tensor.index_select(&order, 1).unwrap();
            let mut modes = before.modes.clone();
            modes.rotate_left(1);
            let potentials = permuted(before.potentials.as_tensor());
            let after = Fixture {
                emma: Emma::new(&config(form, n_modes), &minimum, &vb).unwrap(),
                modes,
                potentials: PotentialEnergies::new(potentials).unwrap(),
                variables,
            };
            let (before, after) = (run(&before), run(&after));
            for (what, after, before) in [
                ("energy", after.modal_energies.as_tensor(), before.modal_energies.as_tensor()),
                ("attention", after.attention.as_tensor(), before.attention.as_tensor()),
            ] {
                let expected = values(&permuted(before)).unwrap();
                assert_close(what, &values(after).unwrap(), &expected, 1e-12, 1e-14);
            }
        }
    }

    /// With every mode there, nothing changes; without some, the others are as if those had never been.
    #[test]
    fn missing_modes_have_no_part_in_anything(which in 0..3usize, seed: u64) {
        for device in devices_with(DType::F64) {
            let whole = fixture(OTHERS[which], 3, 2, seed, device);
            let all = ModeMask::new(vec![true; 6], 3).unwrap();
            let masked = |mask: &ModeMask, potentials: &PotentialEnergies| {
                whole.emma.forward_masked(&whole.modes, potentials, mask).unwrap()
            };
            let with_all = masked(&all, &whole.potentials);
            assert_close(
                "all", &values(with_all.attention.as_tensor()).unwrap(),
                &values(run(&whole).attention.as_tensor()).unwrap(), 1e-12, 0.,
            );
            let some = ModeMask::new([true, false, true].repeat(2), 3).unwrap();
            let mut other = values(whole.potentials.as_tensor()).unwrap();
            (other[1], other[4]) = (f64::NAN, 1e9);
            let other = Tensor::from_vec(other, (2, 3), device).unwrap();
            let other = masked(&some, &PotentialEnergies::new(other).unwrap());
            let some = masked(&some, &whole.potentials);
            let energies = |output: &EmmaOutput| values(output.modal_energies.as_tensor()).unwrap();
            assert_close("energies", &energies(&other), &energies(&some), 0., 0.);
            assert!(energies(&some).iter().all(|energy| energy.is_finite()));
        }
    }

    #[test]
    fn a_row_depends_on_itself_alone(which in 0..3usize, seed: u64) {
        let device = &Device::Cpu;
        let all = fixture(OTHERS[which], 3, 5, seed, device);
        let one = Fixture {
            modes: all.modes.iter().map(|mode| mode.narrow(0, 3, 1).unwrap()).collect(),
            potentials: PotentialEnergies::new(
                all.potentials.as_tensor().narrow(0, 3, 1).unwrap().contiguous().unwrap(),
            ).unwrap(),
            variables: SeededVarMap::new(emma_testkit::rng(0)),
            emma: all.emma.clone(),
        };
        let attention = |fixture: &Fixture| values(run(fixture).attention.as_tensor()).unwrap();
        assert_close("attention", &attention(&one), &attention(&all)[9..12], 0., 0.);
    }
}

/// Without coupling is the thesis's form at weights of zero.
#[test]
fn uncoupled_energies_are_self_energies() {
    for (device, path) in ways(DType::F64) {
        let fixture = fixture(CouplingForm::Uncoupled, 3, 4, 1, device);
        assert_eq!(fixture.variables.named_vars().len(), 4);
        let output = path(&fixture.emma, &fixture.modes, &fixture.potentials).unwrap();
        let (modal, own) = (output.modal_energies, output.self_energies);
        let (modal, own) = (values(modal.as_tensor()), values(own.as_tensor()));
        assert_close("energies", &modal.unwrap(), &own.unwrap(), 0., 0.);
    }
}

#[test]
fn projection_bounds_the_weights_of_the_bilinear_form() {
    let fixture = fixture(CouplingForm::Bilinear, 3, 1, 1, &Device::Cpu);
    let weight = |value: f64| {
        let named = fixture.variables.named_vars();
        let (_, weight) = named
            .into_iter()
            .find(|(name, _)| name == "coupling_weight")
            .unwrap();
        weight
            .set(&(weight.ones_like().unwrap() * value).unwrap())
            .unwrap();
        fixture.emma.project().unwrap();
        values(&weight).unwrap()
    };
    // 1 / (M − 1).
    assert_close("too large", &weight(3.), &[0.5; 9], 0., 0.);
    assert_close("within", &weight(-0.25), &[-0.25; 9], 0., 0.);
}

/// Configurations that were written before there were other forms stay as they were.
#[test]
fn the_form_of_the_thesis_is_the_default_and_is_not_written() {
    let text = serde_json::to_string(&EmmaConfig::default()).unwrap();
    assert!(!text.contains("form"), "{text}");
    let read: EmmaConfig = serde_json::from_str(&text).unwrap();
    assert_eq!(read.coupling_form, CouplingForm::GeometricBlend);
    let other = config(CouplingForm::SelfAttention, 3);
    let text = serde_json::to_string(&other).unwrap();
    assert!(
        text.contains(r#""coupling_form":"self_attention""#),
        "{text}"
    );
    assert_eq!(serde_json::from_str::<EmmaConfig>(&text).unwrap(), other);
}
