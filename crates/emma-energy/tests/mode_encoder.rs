//! Features of a wide mode.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use emma_energy::{
    AutoencoderTraining, ComponentChoice, GaussianMixtureFit, JointDensityFit, ModeEncoder,
    ModeEncoderFit, NoiseModel,
};
use emma_testkit::tolerance::assert_close;
use rand_distr::{Distribution, StandardNormal};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const WIDTH: usize = 24;

fn fit() -> ModeEncoderFit {
    ModeEncoderFit {
        hidden: vec![16, 2, 16],
        training: AutoencoderTraining {
            n_epochs: 80,
            learning_rate: 3e-3,
            noise_std: 0.1,
            ..AutoencoderTraining::default()
        },
        ..ModeEncoderFit::default()
    }
}

/// Waves of two heights, one for each of two patterns, with little noise; the label is a third, faint pattern.
fn waves(n_rows: usize, seed: u64) -> (Tensor, Vec<u32>) {
    waves_of(WIDTH, n_rows, seed)
}

/// The same of any number of samples.
fn waves_of(width: usize, n_rows: usize, seed: u64) -> (Tensor, Vec<u32>) {
    let mut rng = emma_testkit::rng(seed);
    let mut normal = move || -> f32 { StandardNormal.sample(&mut rng) };
    let labels: Vec<u32> = (0..n_rows).map(|row| u32::from(row % 2 == 0)).collect();
    let mut values = Vec::new();
    for &label in &labels {
        let (first, second) = (normal(), normal());
        for at in 0..width {
            let angle = std::f32::consts::TAU * at as f32 / width as f32;
            let faint = if label == 1 { 0.2 } else { -0.2 };
            values.push(
                first * angle.sin()
                    + second * angle.cos()
                    + faint * (3. * angle).sin()
                    + 0.02 * normal(),
            );
        }
    }
    let rows = Tensor::from_vec(values, (n_rows, width), &Device::Cpu).unwrap();
    (rows, labels)
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    let tensor = tensor.to_dtype(DType::F64).unwrap();
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn standard_deviations(rows: &Tensor) -> Vec<f64> {
    let centered = rows.broadcast_sub(&rows.mean_keepdim(0).unwrap()).unwrap();
    numbers(&centered.sqr().unwrap().mean(0).unwrap().sqrt().unwrap())
}

#[test]
fn features_are_standard_scores_and_stand_for_the_mode() -> Result<()> {
    let (rows, _) = waves(600, 1);
    let encoder = fit().fit(&rows, None, &mut emma_testkit::rng(2))?;
    assert_eq!((encoder.width(), encoder.n_features()), (WIDTH, 3));
    let features = encoder.features(&rows)?;
    assert_close("mean", &numbers(&features.mean(0)?), &[0.; 3], 0., 1e-4);
    assert_close("std", &standard_deviations(&features), &[1.; 3], 1e-3, 0.);
    // Two features hold two heights: what is left is noise and the faint third pattern.
    let error = (encoder.decode(&features)? - &rows)?.sqr()?.mean_all()?;
    assert!(error.to_scalar::<f32>()? < 0.05, "{error}");
    Ok(())
}

#[test]
fn a_row_has_the_features_that_it_has_alone() -> Result<()> {
    let (rows, _) = waves(300, 3);
    let encoder = fit().fit(&rows, None, &mut emma_testkit::rng(4))?;
    let mut values: Vec<Vec<f32>> = rows.narrow(0, 0, 4)?.to_vec2()?;
    values[1][5] = f32::NAN;
    values[2].fill(f32::NAN);
    let rows = Tensor::new(values, &Device::Cpu)?;
    let together: Vec<Vec<f32>> = encoder.features(&rows)?.to_vec2()?;
    for (row, together) in together.iter().enumerate() {
        let alone: Vec<Vec<f32>> = encoder.features(&rows.narrow(0, row, 1)?)?.to_vec2()?;
        let bits = |values: &[f32]| -> Vec<u32> { values.iter().map(|v| v.to_bits()).collect() };
        if row == 2 {
            assert!(together.iter().chain(&alone[0]).all(|value| value.is_nan()));
        } else {
            assert_eq!(bits(together), bits(&alone[0]), "row {row}");
            assert!(together.iter().all(|value| value.is_finite()));
        }
    }
    Ok(())
}

#[test]
fn missing_values_are_filled_in_with_what_the_others_say() -> Result<()> {
    let (rows, _) = waves(600, 5);
    let encoder = fit().fit(&rows, None, &mut emma_testkit::rng(6))?;
    let (fresh, _) = waves(200, 7);
    let mut values: Vec<Vec<f32>> = fresh.to_vec2()?;
    for (number, row) in values.iter_mut().enumerate() {
        for missing in 0..6 {
            row[(number + 4 * missing) % WIDTH] = f32::NAN;
        }
    }
    let holed = Tensor::new(values, &Device::Cpu)?;
    let zeros = holed.eq(&holed)?.where_cond(&holed, &holed.zeros_like()?)?;
    let full = encoder.features(&fresh)?.narrow(1, 0, 2)?;
    let distance = |rows: &Tensor| -> Result<f64> {
        let own = encoder.features(rows)?.narrow(1, 0, 2)?;
        Ok(f64::from(
            (own - &full)?.sqr()?.mean_all()?.to_scalar::<f32>()?,
        ))
    };
    let (filled, zeros) = (distance(&holed)?, distance(&zeros)?);
    assert!(
        filled < 0.2 * zeros,
        "{filled} with, {zeros} without filling in"
    );
    Ok(())
}

#[test]
fn noise_shows_in_the_error_and_hardly_elsewhere() -> Result<()> {
    let (rows, _) = waves(600, 8);
    let encoder = fit().fit(&rows, None, &mut emma_testkit::rng(9))?;
    let noise = encoder.feature_noise(&rows, &[0.2, 1.], &mut emma_testkit::rng(10))?;
    assert_eq!(noise.len(), 2);
    // The error's logarithm rises with the noise, whatever it was; heights stay what they were, nearly.
    assert!(noise[1].shift[2] > noise[0].shift[2] + 1.);
    assert!(noise[1].gain[2].abs() < 0.3, "{noise:?}");
    for feature in 0..2 {
        assert!((noise[0].gain[feature] - 1.).abs() < 0.1, "{noise:?}");
        assert!(noise[0].std[feature] < 0.3, "{noise:?}");
        assert!(noise[0].std[feature] < noise[1].std[feature], "{noise:?}");
    }
    Ok(())
}

#[test]
fn labels_keep_a_faint_pattern_that_variance_alone_would_drop() -> Result<()> {
    let (rows, labels) = waves(600, 11);
    let apart = |with_labels: bool| -> Result<f64> {
        let mut fit = ModeEncoderFit {
            hidden: vec![16, 3, 16],
            label_weight: 3.,
            ..fit()
        };
        fit.training.noise_std = 0.3;
        let labels = with_labels.then_some((&*labels, 2));
        let encoder = fit.fit(&rows, labels, &mut emma_testkit::rng(12))?;
        let features: Vec<Vec<f32>> = encoder.features(&rows)?.to_vec2()?;
        // The largest difference of class means over the features, in their standard deviations.
        let difference = |feature: usize| {
            let mean = |wanted: u32| {
                let own = features.iter().zip(waves(600, 11).1);
                let own = own.filter(|(_, label)| *label == wanted);
                own.map(|(row, _)| f64::from(row[feature])).sum::<f64>() / 300.
            };
            (mean(1) - mean(0)).abs()
        };
        Ok((0..3).map(difference).fold(0., f64::max))
    };
    let (with, without) = (apart(true)?, apart(false)?);
    assert!(
        with > 1. && with > without,
        "{with} with, {without} without labels"
    );
    Ok(())
}

#[test]
fn it_is_what_its_tensors_say() -> Result<()> {
    let (rows, _) = waves(200, 13);
    let encoder = fit().fit(&rows, None, &mut emma_testkit::rng(14))?;
    let tensors: HashMap<String, Tensor> = encoder.tensors().into_iter().collect();
    let vb = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
    let again = ModeEncoder::new(encoder.config(), &vb)?;
    assert_eq!(
        numbers(&encoder.features(&rows)?),
        numbers(&again.features(&rows)?)
    );
    Ok(())
}

#[test]
fn noise_between_two_levels_is_like_one_of_them() -> Result<()> {
    // So many values that the error tells levels of noise apart as sharply as it does in a plane.
    const WIDE: usize = 512;
    let (rows, labels) = waves_of(WIDE, 900, 17);
    let mut rng = emma_testkit::rng(18);
    let encoder = fit().fit(&rows, None, &mut rng)?;
    let noise = NoiseModel::default();
    let density = JointDensityFit {
        classes: vec![GaussianMixtureFit {
            components: ComponentChoice::Fixed(3),
            ..GaussianMixtureFit::default()
        }],
        feature_noise: vec![encoder.feature_noise(&rows, &noise.noise_std, &mut rng)?],
        noise,
        ..JointDensityFit::default()
    };
    let density = density.fit(&[encoder.features(&rows)?], &labels, 2, &mut rng)?;
    let (fresh, _) = waves_of(WIDE, 200, 19);
    let mut before = 0.;
    for std in [0.28, 0.57, 1.13, 2.26] {
        let deviates = (0..200 * WIDE).map(|_| {
            let deviate: f64 = StandardNormal.sample(&mut rng);
            (std * deviate) as f32
        });
        let noisy = (&fresh + Tensor::from_vec(deviates.collect(), fresh.shape(), &Device::Cpu)?)?;
        let energies = density.posterior(&[encoder.features(&noisy)?])?.energies;
        let mean = numbers(&energies.mean_all()?)[0];
        // Between the levels on either side, and more for more noise.
        let (low, high) = ((4. * std / 2f64).ln_1p(), (4. * std * 2.).ln_1p());
        assert!(
            mean > before && (low..high).contains(&mean),
            "{std}: {mean}"
        );
        before = mean;
    }
    Ok(())
}

#[test]
fn what_cannot_be_fitted_is_refused() -> Result<()> {
    let (rows, labels) = waves(20, 15);
    let mut rng = emma_testkit::rng(16);
    let refused = |result: emma_energy::Result<ModeEncoder>| result.unwrap_err().to_string();
    let message = refused(fit().fit(&rows, Some((&labels[1..], 2)), &mut rng));
    assert!(message.contains("19 labels for 20 rows"), "{message}");
    let message = refused(fit().fit(&rows, Some((&labels, 1)), &mut rng));
    assert!(message.contains("one class a row"), "{message}");
    let negative = ModeEncoderFit {
        label_weight: -1.,
        ..fit()
    };
    let message = refused(negative.fit(&rows, None, &mut rng));
    assert!(message.contains("label_weight"), "{message}");
    let holed = (rows.zeros_like()? / 0.)?;
    let message = refused(fit().fit(&holed, None, &mut rng));
    assert!(message.contains("row 0"), "{message}");
    let encoder = fit().fit(&rows, None, &mut rng)?;
    assert!(encoder.features(&rows.narrow(1, 1, 3)?).is_err());
    assert_eq!(encoder.features(&rows.narrow(0, 0, 0)?)?.dims(), [0, 3]);
    assert!(encoder.decode(&rows).is_err());
    let message = encoder
        .feature_noise(&rows, &[1., 0.5], &mut rng)
        .unwrap_err();
    assert!(message.to_string().contains("ascending"), "{message}");
    let mut tensors: HashMap<String, Tensor> = encoder.tensors().into_iter().collect();
    tensors.insert("scale".into(), Tensor::new(&[1f32, 0., 1.], &Device::Cpu)?);
    let vb = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
    let message = refused(ModeEncoder::new(encoder.config(), &vb));
    assert!(message.contains("scale"), "{message}");
    Ok(())
}
