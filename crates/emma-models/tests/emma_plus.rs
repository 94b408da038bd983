//! EMMA+: a gate between each mode and its repair.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

use candle_core::{DType, Device, Tensor};
use emma_attention::{GainScale, ModeGateConfig};
use emma_energy::{
    AutoencoderTraining, ComponentChoice, GaussianMixtureFit, JointDensity, JointDensityFit,
    ModeEncoder, ModeEncoderFit, SeededVarMap,
};
use emma_models::{
    Batch, EmmaPlus, EmmaPlusConfig, EncodedDensity, EncodedDensityFit, EnsembleMlp,
    EnsembleMlpConfig, Error, MultiModalModel, TrainingConfig, train,
};
use rand_distr::{Distribution, StandardNormal};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Two modes of two features that say the same thing, f64; the class is what they say.
fn rows(n_rows: usize, seed: u64) -> (Vec<Tensor>, Vec<u32>) {
    let mut rng = emma_testkit::rng(seed);
    let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
    let labels: Vec<u32> = (0..n_rows).map(|row| u32::from(row % 3 == 0)).collect();
    let mut modes = [Vec::new(), Vec::new()];
    for &label in &labels {
        let thing = normal() + 3. * f64::from(label);
        for mode in &mut modes {
            mode.extend([thing + 0.3 * normal(), 0.5 * thing - 0.4 * normal()]);
        }
    }
    let tensor = |values| Tensor::from_vec(values, (n_rows, 2), &Device::Cpu).unwrap();
    (modes.map(tensor).into(), labels)
}

fn density() -> Result<JointDensity> {
    let (modes, labels) = rows(600, 1);
    let fit = JointDensityFit::default();
    Ok(fit.fit(&modes, &labels, 2, &mut emma_testkit::rng(2))?)
}

fn model(config: &EmmaPlusConfig) -> Result<(EmmaPlus<EnsembleMlp>, SeededVarMap)> {
    let density = EncodedDensity::from(density()?);
    let variables = SeededVarMap::new(emma_testkit::rng(3));
    let vb = variables.var_builder(DType::F64, &Device::Cpu);
    let network = EnsembleMlpConfig {
        n_inputs: EmmaPlus::<EnsembleMlp>::n_inputs(&density),
        hidden: vec![6],
        n_members: 3,
        ..EnsembleMlpConfig::default()
    };
    let network = EnsembleMlp::new(&network, &vb.pp("network"))?;
    Ok((
        EmmaPlus::new(config, density, network, &vb.pp("gate"))?,
        variables,
    ))
}

fn gated() -> EmmaPlusConfig {
    EmmaPlusConfig {
        gate: Some(ModeGateConfig {
            gain_scale: GainScale::Modes,
            ..ModeGateConfig::default()
        }),
        ..EmmaPlusConfig::default()
    }
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// A clean row, one with a wild first mode, one without its second mode, one that lacks a feature.
fn probes() -> Vec<Tensor> {
    let first = [[0.2f64, 0.1], [40., -30.], [0.2, 0.1], [f64::NAN, 0.1]];
    let second = [[0.3f64, 0.2], [0.3, 0.2], [f64::NAN, f64::NAN], [0.3, 0.2]];
    let tensor = |rows: [[f64; 2]; 4]| Tensor::new(&rows, &Device::Cpu).unwrap();
    vec![tensor(first), tensor(second)]
}

#[test]
fn the_network_sees_the_blend_of_each_mode_and_its_repair() -> Result<()> {
    let (model, _) = model(&gated())?;
    let prepared = model.prepare(&probes())?;
    let (inputs, attention) = model.prepared().inputs(&prepared)?;
    let attention = numbers(&attention);
    let inputs: Vec<Vec<f64>> = inputs.to_vec2()?;
    for (row, seen) in inputs.iter().enumerate() {
        for mode in 0..2 {
            let a = attention[2 * row + mode];
            let raw: Vec<f64> = prepared[mode].get(row)?.to_vec1()?;
            let repaired: Vec<f64> = prepared[2 + mode].get(row)?.to_vec1()?;
            for feature in 0..2 {
                let expected = a * raw[feature] + (1. - a) * repaired[feature];
                let found = seen[2 * mode + feature];
                // A few roundings of numbers up to 40.
                assert!(
                    (found - expected).abs() < 1e-13,
                    "{row} {mode} {found} {expected}"
                );
            }
        }
    }
    assert_eq!(
        inputs[0].len(),
        EmmaPlus::<EnsembleMlp>::n_inputs(model.density())
    );
    assert!(inputs.iter().flatten().all(|value| value.is_finite()));
    Ok(())
}

#[test]
fn a_mode_beyond_the_training_range_and_a_missing_one_are_closed_exactly() -> Result<()> {
    let (model, _) = model(&gated())?;
    let prepared = model.prepare(&probes())?;
    let attention: Vec<Vec<f64>> = model.prepared().attention(&prepared)?.to_vec2()?;
    assert!(attention[0].iter().all(|&a| a > 0.3), "{attention:?}");
    assert_eq!(attention[1][0].to_bits(), 0, "{attention:?}");
    assert_eq!(attention[2][1].to_bits(), 0, "{attention:?}");
    // The mode that is left has the whole sum: tanh of twice its gain.
    assert!(
        (attention[1][1] - 2f64.tanh()).abs() < 1e-12,
        "{attention:?}"
    );
    // What a closed mode said has no part in the answer but through the density, for which it says nothing.
    let mut wilder = probes();
    wilder[0] = Tensor::new(
        &[[0.2f64, 0.1], [400., 500.], [0.2, 0.1], [f64::NAN, 0.1]],
        &Device::Cpu,
    )?;
    let logit =
        |modes: &[Tensor]| -> Result<f64> { Ok(numbers(&model.forward(modes, None)?.logits)[1]) };
    let (wild, wilder) = (logit(&probes())?, logit(&wilder)?);
    assert!((wild - wilder).abs() < 1e-6, "{wild} {wilder}");
    Ok(())
}

#[test]
fn without_a_ceiling_only_the_density_judges() -> Result<()> {
    let config = EmmaPlusConfig {
        energy_ceiling: None,
        ..gated()
    };
    let (model, _) = model(&config)?;
    let prepared = model.prepare(&probes())?;
    let attention: Vec<Vec<f64>> = model.prepared().attention(&prepared)?.to_vec2()?;
    assert!(attention[1][0] < 0.1, "{attention:?}");
    assert_eq!(attention[2][1].to_bits(), 0, "{attention:?}");
    Ok(())
}

#[test]
fn a_row_is_scored_by_itself() -> Result<()> {
    for config in [gated(), EmmaPlusConfig::default()] {
        let (model, _) = model(&config)?;
        let all = numbers(&model.forward(&probes(), None)?.logits);
        for (row, together) in all.iter().enumerate() {
            let alone: Vec<Tensor> = probes()
                .iter()
                .map(|mode| mode.narrow(0, row, 1).unwrap())
                .collect();
            let alone = numbers(&model.forward(&alone, None)?.logits);
            assert_eq!(alone[0].to_bits(), together.to_bits(), "{row}");
        }
        let none: Vec<Tensor> = probes()
            .iter()
            .map(|mode| mode.narrow(0, 0, 0).unwrap())
            .collect();
        assert_eq!(model.prepare(&none)?.len(), 6);
    }
    Ok(())
}

#[test]
fn training_moves_gate_and_network_and_repair_helps_where_zeros_would_not() -> Result<()> {
    let (model, variables) = model(&gated())?;
    let batch = |seed: u64| -> Result<Batch> {
        let (modes, labels) = rows(300, seed);
        // Half of the rows have a broken first mode.
        let mut broken: Vec<Vec<f64>> = modes[0].to_vec2()?;
        for row in broken.iter_mut().step_by(2) {
            for value in row.iter_mut() {
                *value = 6. - *value;
            }
        }
        let first = Tensor::new(broken, &Device::Cpu)?;
        let labels: Vec<f64> = labels.into_iter().map(f64::from).collect();
        let labels = Tensor::new(labels, &Device::Cpu)?;
        Ok(Batch::new(
            model.prepare(&[first, modes[1].clone()])?,
            labels,
        )?)
    };
    let (training, validation) = (batch(5)?, batch(7)?);
    let before = variables.snapshot()?;
    let config = TrainingConfig {
        n_epochs: 30,
        learning_rate: 1e-2,
        ..TrainingConfig::default()
    };
    let rng = &mut emma_testkit::rng(9);
    train(
        model.prepared(),
        &variables,
        &training,
        &validation,
        &config,
        rng,
        |_| {},
    )?;
    for (name, after) in variables.snapshot()? {
        let moved = numbers(&(after - &before[&name])?)
            .iter()
            .any(|&step| step != 0.);
        assert_eq!(moved, !name.ends_with("coldness_factor"), "{name}");
    }
    let logits = numbers(&model.prepared().forward(validation.modes(), None)?.logits);
    let labels = numbers(validation.labels());
    let right = logits
        .iter()
        .zip(&labels)
        .filter(|(logit, label)| (**logit > 0.) == (**label > 0.5));
    let right = right.count();
    assert!(right > 260, "{right} of 300");
    Ok(())
}

#[test]
fn wrong_settings_and_modes_are_refused() -> Result<()> {
    for (change, message) in [
        (
            (|c| c.energy_ceiling = Some(0.)) as fn(&mut EmmaPlusConfig),
            "energy_ceiling must be positive and finite, got 0",
        ),
        (
            |c| c.evidence_limit = f64::NAN,
            "evidence_limit must be positive and finite, got NaN",
        ),
    ] {
        let mut config = gated();
        change(&mut config);
        assert_eq!(model(&config).unwrap_err().to_string(), message);
    }
    let (model, _) = model(&gated())?;
    let error = model.prepared().forward(&probes(), None).unwrap_err();
    assert!(
        matches!(
            error,
            Error::ModeCount {
                expected: 6,
                found: 2
            }
        ),
        "{error}"
    );
    Ok(())
}

/// An encoder of two features of a mode of four values.
fn encoder() -> Result<ModeEncoder> {
    let (modes, _) = rows(100, 4);
    let fit = ModeEncoderFit {
        hidden: vec![3, 1, 3],
        training: AutoencoderTraining {
            n_epochs: 1,
            ..AutoencoderTraining::default()
        },
        ..ModeEncoderFit::default()
    };
    let wide = Tensor::cat(&modes, 1)?;
    Ok(fit.fit(&wide, None, &mut emma_testkit::rng(5))?)
}

#[test]
fn mixtures_are_those_of_features_where_a_mode_is_wide() -> Result<()> {
    let (modes, labels) = rows(600, 7);
    let components = |n_components| GaussianMixtureFit {
        components: ComponentChoice::Fixed(n_components),
        n_starts: 1,
        ..GaussianMixtureFit::default()
    };
    let of = |widest_mode, n_encoded: Option<usize>| {
        let fit = EncodedDensityFit {
            widest_mode,
            encoder: ModeEncoderFit {
                hidden: vec![3, 1, 3],
                training: AutoencoderTraining {
                    n_epochs: 1,
                    ..AutoencoderTraining::default()
                },
                ..ModeEncoderFit::default()
            },
            density: JointDensityFit {
                classes: vec![components(3), components(2)],
                ..JointDensityFit::default()
            },
            encoded_classes: n_encoded.into_iter().map(components).collect(),
            ..EncodedDensityFit::default()
        };
        fit.fit(&modes, &labels, 2, &mut emma_testkit::rng(8))
    };
    let n_components = |widest_mode, n_encoded| -> Result<Vec<usize>> {
        let density = of(widest_mode, Some(n_encoded))?;
        Ok(density.density().config().n_components.clone())
    };
    assert_eq!(n_components(2, 4)?, [3, 2]);
    assert_eq!(n_components(1, 4)?, [4, 4]);
    // 400 and 200 rows, of which each component wants 25.
    assert_eq!(n_components(1, 40)?, [16, 8]);
    let error = of(1, None).unwrap_err().to_string();
    assert_eq!(error, "encoded_classes must be at least one, got none");
    Ok(())
}

#[test]
fn encoders_that_do_not_fit_the_density_are_refused() -> Result<()> {
    let (wide, narrow) = (encoder()?, rows(5, 6).0);
    let encoded = EncodedDensity::new(vec![None, Some(wide.clone())], density()?)?;
    assert_eq!(encoded.encoders().len(), 2);
    let too_few = EncodedDensity::new(vec![Some(wide)], density()?);
    assert!(matches!(
        too_few,
        Err(Error::ModeCount {
            expected: 2,
            found: 1
        })
    ));
    let (modes, _) = rows(100, 4);
    let of_three = ModeEncoderFit {
        hidden: vec![3, 2, 3],
        ..ModeEncoderFit::default()
    };
    let of_three = of_three.fit(&Tensor::cat(&modes, 1)?, None, &mut emma_testkit::rng(5))?;
    let error = EncodedDensity::new(vec![None, Some(of_three)], density()?).unwrap_err();
    assert_eq!(
        error.to_string(),
        "encoders must be as many features as the density has, got 3 for 2"
    );

    // Another number of modes, and a mode of another width than its encoder's.
    let error = |modes: &[Tensor]| encoded.posterior(modes).unwrap_err().to_string();
    assert!(error(&narrow[..1]).contains("2 modes"));
    assert!(
        error(&narrow).contains("expected rows with 4 features"),
        "{}",
        error(&narrow)
    );
    Ok(())
}
