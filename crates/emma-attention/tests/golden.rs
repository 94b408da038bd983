//! Steps 2 to 4, the regularized loss and its gradients against the independent float64
//! reference.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

use candle_core::{DType, Device, Tensor};
use emma_attention::{
    CapacityPenalty, Coldness, CouplingLimit, Emma, EmmaConfig, PotentialEnergies, Regularizers,
    Result, capacity, corrected_potentials, shared_energies,
};
use emma_energy::{SeededVarMap, softplus};
use emma_testkit::golden::{self, AttentionCase};
use emma_testkit::tolerance::{assert_close, values};

struct Loaded {
    emma: Emma,
    variables: SeededVarMap,
    potentials: PotentialEnergies,
    exponent: Tensor,
    weight: Tensor,
}

fn load(case: &AttentionCase, dtype: DType) -> Result<Loaded> {
    let device = Device::Cpu;
    let n_modes = case.params.self_weight.len();
    let variables = SeededVarMap::new(emma_testkit::rng(0));
    let preset = |name: &str, tensor: &Tensor| {
        let tensor = tensor.to_dtype(dtype).unwrap();
        variables.preset(name, &tensor).unwrap();
    };
    let weight = Tensor::new(case.params.coupling_weight.clone(), &device)?;
    let exponent = Tensor::new(case.params.coupling_exponent.clone(), &device)?;
    preset(
        "self_weight",
        &Tensor::new(case.params.self_weight.clone(), &device)?,
    );
    preset(
        "self_bias",
        &Tensor::new(case.params.self_bias.clone(), &device)?,
    );
    preset("coupling_weight", &weight);
    preset("coupling_exponent", &exponent);
    preset("gain", &Tensor::new(&[case.params.gain], &device)?);
    preset(
        "attention_bias",
        &Tensor::new(&[case.params.attention_bias], &device)?,
    );
    let minimum = Tensor::new(case.params.minimum_potential.clone(), &device)?;
    let config = EmmaConfig {
        n_modes,
        coldness: Coldness::new(case.params.coldness)?,
        coupling_limit: CouplingLimit::One,
        ..EmmaConfig::default()
    };
    let emma = Emma::new(&config, &minimum, &variables.var_builder(dtype, &device))?;
    let potentials = Tensor::new(case.potentials.clone(), &device)?.to_dtype(dtype)?;
    Ok(Loaded {
        emma,
        variables,
        potentials: PotentialEnergies::new(potentials)?,
        exponent: exponent.to_dtype(dtype)?,
        weight: weight.to_dtype(dtype)?,
    })
}

fn check_values(case: &AttentionCase, dtype: DType, relative: f64, absolute: f64) -> Result<()> {
    let loaded = load(case, dtype)?;
    let close = |what: &str, got: &Tensor, expected: &[f64]| -> Result<()> {
        let what = format!("{} {what}", case.name);
        assert_close(&what, &values(got)?, expected, relative, absolute);
        Ok(())
    };
    let modes = modes(case, dtype)?;
    let output = loaded.emma.forward(&modes, &loaded.potentials)?;
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

fn modes(case: &AttentionCase, dtype: DType) -> Result<Vec<Tensor>> {
    case.loss
        .modes
        .iter()
        .map(|mode| Ok(Tensor::new(mode.clone(), &Device::Cpu)?.to_dtype(dtype)?))
        .collect()
}

#[test]
fn f64_values_agree_to_a_billionth() -> Result<()> {
    for case in &golden::load().attention {
        check_values(case, DType::F64, 1e-9, 1e-12)?;
    }
    Ok(())
}

/// The softmax multiplies an energy's rounding error by the coldness: energies of thousands at
/// coldness 5 cost f32 three digits, which is why the cold and the far case are looser.
#[test]
fn f32_values_agree_to_their_precision() -> Result<()> {
    for case in &golden::load().attention {
        let (relative, absolute) = match case.name.as_str() {
            "cold" => (1e-3, 1e-3),
            "far_outlier" => (1e-5, 1e-2),
            _ => (2e-5, 2e-5),
        };
        check_values(case, DType::F32, relative, absolute)?;
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
    for case in &golden::load().attention {
        let loaded = load(case, DType::F64)?;
        let output = loaded
            .emma
            .forward(&modes(case, DType::F64)?, &loaded.potentials)?;
        let mut x = Tensor::cat(&output.weighted_modes, 1)?;
        for (k, layer) in case.loss.layers.iter().enumerate() {
            let weight = Tensor::new(layer.weight.clone(), &Device::Cpu)?;
            let bias = Tensor::new(layer.bias.clone(), &Device::Cpu)?;
            x = x.matmul(&weight.t()?)?.broadcast_add(&bias)?;
            if k + 1 < case.loss.layers.len() {
                x = x.relu()?;
            }
        }
        let logits = x.squeeze(1)?;
        let labels = Tensor::new(case.loss.labels.clone(), &Device::Cpu)?;
        let task = (softplus(&logits)? - (labels * &logits)?)?.mean(0)?;
        let signs = Tensor::new(case.loss.xi.clone(), &Device::Cpu)?;
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
    Ok(())
}
