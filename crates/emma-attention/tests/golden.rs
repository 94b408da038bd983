//! Steps 2 to 4, the regularized loss and its gradients against the independent float64
//! reference.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod common;

use candle_core::{DType, Device, Tensor};
use common::{Forward, PATHS};
use emma_attention::{
    CapacityPenalty, Coldness, CouplingLimit, Emma, EmmaConfig, PotentialEnergies, Regularizers,
    Result, capacity, corrected_potentials, shared_energies,
};
use emma_energy::{SeededVarMap, softplus, transfer};
use emma_testkit::golden::{self, AttentionCase};
use emma_testkit::tolerance::{assert_close, values};
use emma_testkit::{devices, devices_with};

struct Loaded {
    emma: Emma,
    variables: SeededVarMap,
    potentials: PotentialEnergies,
    exponent: Tensor,
    weight: Tensor,
}

fn load(case: &AttentionCase, dtype: DType, device: &Device) -> Result<Loaded> {
    // Read on the CPU, since not every device has the vectors' f64.
    let cpu = &Device::Cpu;
    let n_modes = case.params.self_weight.len();
    let variables = SeededVarMap::new(emma_testkit::rng(0));
    let preset = |name: &str, tensor: &Tensor| {
        let tensor = transfer(tensor, dtype, device).unwrap();
        variables.preset(name, &tensor).unwrap();
    };
    let weight = Tensor::new(case.params.coupling_weight.clone(), cpu)?;
    let exponent = Tensor::new(case.params.coupling_exponent.clone(), cpu)?;
    preset(
        "self_weight",
        &Tensor::new(case.params.self_weight.clone(), cpu)?,
    );
    preset(
        "self_bias",
        &Tensor::new(case.params.self_bias.clone(), cpu)?,
    );
    preset("coupling_weight", &weight);
    preset("coupling_exponent", &exponent);
    preset("gain", &Tensor::new(&[case.params.gain], cpu)?);
    preset(
        "attention_bias",
        &Tensor::new(&[case.params.attention_bias], cpu)?,
    );
    let minimum = Tensor::new(case.params.minimum_potential.clone(), cpu)?;
    let config = EmmaConfig {
        n_modes,
        coldness: Coldness::new(case.params.coldness)?,
        coupling_limit: CouplingLimit::One,
        ..EmmaConfig::default()
    };
    let emma = Emma::new(&config, &minimum, &variables.var_builder(dtype, device))?;
    let potentials = Tensor::new(case.potentials.clone(), cpu)?;
    let potentials = transfer(&potentials, dtype, device)?;
    Ok(Loaded {
        emma,
        variables,
        potentials: PotentialEnergies::new(potentials)?,
        exponent: transfer(&exponent, dtype, device)?,
        weight: transfer(&weight, dtype, device)?,
    })
}

fn check_values(
    case: &AttentionCase,
    path: Forward,
    dtype: DType,
    device: &Device,
    relative: f64,
    absolute: f64,
) -> Result<()> {
    let loaded = load(case, dtype, device)?;
    let close = |what: &str, got: &Tensor, expected: &[f64]| -> Result<()> {
        let what = format!("{} {what}", case.name);
        assert_close(&what, &values(got)?, expected, relative, absolute);
        Ok(())
    };
    let modes = modes(case, dtype, device)?;
    let output = path(&loaded.emma, &modes, &loaded.potentials)?;
    let corrected = corrected_potentials(&loaded.potentials, loaded.emma.minimum_potential())?;
    let shared = shared_energies(&output.self_energies, &loaded.weight, &loaded.exponent)?;
    let importance = output.log_importance.importance()?;
    let expected = &case.expected;
    close(
        "corrected",
        corrected.as_tensor(),
        &expected.corrected.concat(),
    )?;
    close(
        "self",
        output.self_energies.as_tensor(),
        &expected.self_energy.concat(),
    )?;
    close("shared", &shared, &expected.shared_energy.concat().concat())?;
    close(
        "modal",
        output.modal_energies.as_tensor(),
        &expected.modal_energy.concat(),
    )?;
    close("total", &output.total_energy, &expected.total_energy)?;
    close("importance", &importance, &expected.importance.concat())?;
    close(
        "log importance",
        output.log_importance.as_tensor(),
        &expected.log_importance.concat(),
    )?;
    close(
        "attention",
        output.attention.as_tensor(),
        &expected.attention.concat(),
    )
}

fn modes(case: &AttentionCase, dtype: DType, device: &Device) -> Result<Vec<Tensor>> {
    case.loss
        .modes
        .iter()
        .map(|mode| {
            let mode = Tensor::new(mode.clone(), &Device::Cpu)?;
            Ok(transfer(&mode, dtype, device)?)
        })
        .collect()
}

#[test]
fn f64_values_agree_to_a_billionth() -> Result<()> {
    for device in devices_with(DType::F64) {
        for case in &golden::load().attention {
            for (_, path) in PATHS {
                check_values(case, path, DType::F64, device, 1e-9, 1e-12)?;
            }
        }
    }
    Ok(())
}

/// The softmax multiplies an energy's rounding error by the coldness: energies of thousands at
/// coldness 5 cost f32 three digits, which is why the cold and the far case are looser.
#[test]
fn f32_values_agree_to_their_precision() -> Result<()> {
    for device in devices() {
        for case in &golden::load().attention {
            let (relative, absolute) = match case.name.as_str() {
                "cold" => (1e-3, 1e-3),
                "far_outlier" => (1e-5, 1e-2),
                _ => (2e-5, 2e-5),
            };
            for (_, path) in PATHS {
                check_values(case, path, DType::F32, device, relative, absolute)?;
            }
        }
    }
    Ok(())
}

#[test]
fn capacities_agree() {
    for case in &golden::load().attention {
        let got = capacity(case.params.gain, case.params.attention_bias);
        assert_close(&case.name, &[got], &[case.expected.capacity], 1e-12, 1e-15);
    }
}

#[test]
fn losses_and_all_gradients_agree() -> Result<()> {
    for device in devices_with(DType::F64) {
        let cases = &golden::load().attention;
        let cases = cases
            .iter()
            .flat_map(|case| PATHS.map(|(_, path)| (case, path)));
        for (case, path) in cases {
            let loaded = load(case, DType::F64, device)?;
            let modes = modes(case, DType::F64, device)?;
            let output = path(&loaded.emma, &modes, &loaded.potentials)?;
            let mut x = Tensor::cat(&output.weighted_modes, 1)?;
            for (k, layer) in case.loss.layers.iter().enumerate() {
                let weight = Tensor::new(layer.weight.clone(), device)?;
                let bias = Tensor::new(layer.bias.clone(), device)?;
                x = x.matmul(&weight.t()?)?.broadcast_add(&bias)?;
                if k + 1 < case.loss.layers.len() {
                    x = x.relu()?;
                }
            }
            let logits = x.squeeze(1)?;
            let labels = Tensor::new(case.loss.labels.clone(), device)?;
            let task = (softplus(&logits)? - (labels * &logits)?)?.mean(0)?;
            let signs = Tensor::new(case.loss.xi.clone(), device)?;
            let regularizers = Regularizers {
                capacity_weight: case.loss.lambda_c,
                energy_weight: case.loss.lambda_e,
                capacity_penalty: CapacityPenalty::GainMinusBias,
            };
            let penalty = regularizers
                .penalty(&loaded.emma, &output.log_importance, Some(&signs))?
                .expect("both weights are positive");
            let loss = (task + penalty)?;
            assert_close(&case.name, &values(&loss)?, &[case.loss.value], 1e-9, 1e-12);

            let gradients = loss.backward()?;
            let expected = &case.loss.grads;
            let expected = [
                expected.self_weight.clone(),
                expected.self_bias.clone(),
                expected.coupling_weight.concat(),
                expected.coupling_exponent.concat(),
                vec![expected.gain],
                vec![expected.attention_bias],
            ];
            for (variable, expected) in loaded.variables.all_vars().iter().zip(&expected) {
                // candle leaves out what a factor of exactly zero cuts off, as coldness 0 does.
                let gradient = match gradients.get(variable) {
                    Some(gradient) => values(gradient)?,
                    None if case.params.coldness == 0. => vec![0.; expected.len()],
                    None => panic!("{}: a parameter without a gradient", case.name),
                };
                assert_close(&case.name, &gradient, expected, 1e-6, 1e-8);
            }
        }
    }
    Ok(())
}
