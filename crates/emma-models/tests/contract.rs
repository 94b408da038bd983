//! What every model must do: shapes, repeatable seeds, gradients, saving and loading.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod common;

use candle_core::{DType, Device, Tensor};
use common::{MODELS, build, checkpoint, rows};
use emma_models::{
    Checkpoint, Prediction, TrainedModel, TrainingConfig, binary_cross_entropy, train,
};
use emma_testkit::tolerance::{assert_close, values};
use emma_testkit::{devices, devices_with};
use safetensors::SafeTensors;

fn probabilities(prediction: &Prediction) -> Vec<f32> {
    prediction.answers.clone().into_probabilities().unwrap()
}

#[test]
fn every_model_gives_one_logit_a_row() {
    for device in devices() {
        for name in MODELS {
            for n_rows in [1, 7] {
                let batch = rows(n_rows, 1, device);
                let output = build(name, 1, device)
                    .model
                    .forward(batch.modes(), None)
                    .unwrap();
                assert_eq!(output.logits.dims(), [n_rows], "{name}");
            }
        }
    }
}

#[test]
fn every_model_repeats_with_its_seed_and_differs_with_another() {
    for device in devices() {
        for name in MODELS {
            let logits = |seed| {
                let batch = rows(20, 1, device);
                let built = build(name, seed, device);
                let config = TrainingConfig {
                    n_epochs: 2,
                    ..TrainingConfig::default()
                };
                let mut rng = emma_testkit::rng(seed);
                let (model, variables) = (&built.model, &built.variables);
                train(model, variables, &batch, &batch, &config, &mut rng, |_| {}).unwrap();
                values(&model.forward(batch.modes(), None).unwrap().logits).unwrap()
            };
            if device.is_cpu() {
                assert_eq!(logits(3), logits(3), "{name}");
            } else {
                // Only the CPU promises the bits; two epochs of Adam magnify a last digit.
                assert_close(name, &logits(3), &logits(3), 1e-3, 1e-3);
            }
            assert_ne!(logits(3), logits(4), "{name}");
        }
    }
}

#[test]
fn every_parameter_of_every_model_receives_a_gradient() {
    for device in devices() {
        for name in MODELS {
            let batch = rows(30, 2, device);
            let built = build(name, 2, device);
            let output = built.model.forward(batch.modes(), None).unwrap();
            let loss = binary_cross_entropy(&output.logits, batch.labels(), 1.).unwrap();
            let gradients = loss.backward().unwrap();
            for (index, var) in built.variables.all_vars().iter().enumerate() {
                let gradient = gradients.get(var);
                let gradient = gradient.unwrap_or_else(|| panic!("{name}: variable {index}"));
                let largest = values(gradient)
                    .unwrap()
                    .into_iter()
                    .fold(0f64, |a, b| a.max(b.abs()));
                assert!(largest > 0., "{name}: variable {index}");
            }
        }
    }
}

/// On the CPU, the only device that promises it.
#[test]
fn a_row_alone_scores_bitwise_as_in_any_batch() {
    let device = &Device::Cpu;
    for name in MODELS {
        let built = build(name, 5, device);
        let batch = rows(50, 5, device);
        let together = values(&built.model.forward(batch.modes(), None).unwrap().logits).unwrap();
        for (row, logit) in together.iter().enumerate() {
            let alone = batch.narrow(row, 1).unwrap();
            let alone = values(&built.model.forward(alone.modes(), None).unwrap().logits).unwrap();
            assert_eq!(alone[0].to_bits(), logit.to_bits(), "{name}, row {row}");
        }
    }
}

#[test]
fn every_model_survives_saving_and_loading() {
    for device in devices() {
        for name in MODELS {
            let built = build(name, 6, device);
            let stored = checkpoint(name, &built);
            let bytes = stored.to_bytes().unwrap();
            assert_eq!(
                bytes,
                checkpoint(name, &built).to_bytes().unwrap(),
                "{name}"
            );
            let read = Checkpoint::from_bytes(&bytes).unwrap();
            assert_eq!(read.metadata(), stored.metadata());
            assert_eq!(read.to_bytes().unwrap(), bytes, "{name}");

            let model = TrainedModel::from_checkpoint(&read, device).unwrap();
            assert_eq!(model.has_emma(), name == "emma");
            let batch = rows(40, 7, device);
            let expected = built.model.forward(batch.modes(), None).unwrap();
            let expected = values(&expected.probabilities().unwrap()).unwrap();
            // The single mode's file knows nothing of the other mode.
            let modes = &batch.modes()[usize::from(name == "single_mode")..];
            let got = model.predict_standardized(modes).unwrap();
            let got: Vec<f64> = probabilities(&got).iter().map(|&p| f64::from(p)).collect();
            assert_close(name, &got, &expected, 1e-5, 1e-6);

            // x = 3 + 1.5 z, as the checkpoint's standardization has it.
            let raw: Vec<Tensor> = modes
                .iter()
                .map(|mode| ((mode * 1.5).unwrap() + 3.).unwrap())
                .collect();
            let from_raw = model
                .predict(&raw)
                .unwrap()
                .answers
                .into_probabilities()
                .unwrap();
            let from_raw: Vec<f64> = from_raw.iter().map(|&p| f64::from(p)).collect();
            assert_close(name, &from_raw, &expected, 1e-4, 1e-5);
        }
    }
}

/// Files are read and written on the CPU.
#[test]
fn a_model_file_has_one_metadata_key_and_f32_tensors() {
    let device = &Device::Cpu;
    let bytes = checkpoint("emma", &build("emma", 1, device))
        .to_bytes()
        .unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let metadata = header.metadata().as_ref().unwrap();
    assert_eq!(metadata.keys().collect::<Vec<_>>(), ["emma"]);
    assert!(
        metadata["emma"].starts_with(
            r#"{"format_version":1,"name":"emma","modes":[{"name":"a","columns":["a_0","a_1","a_2"]}"#
        ),
        "{}",
        metadata["emma"]
    );
    let mut names: Vec<_> = header.tensors().into_keys().collect();
    names.sort();
    let expected = [
        "attention.attention_bias",
        "attention.coupling_exponent",
        "attention.coupling_weight",
        "attention.gain",
        "attention.minimum_potential",
        "attention.self_bias",
        "attention.self_weight",
        "energy.a.decoder_bias",
        "energy.a.encoder_bias",
        "energy.a.weight",
        "energy.b.decoder_bias",
        "energy.b.encoder_bias",
        "energy.b.weight",
        "network.0.bias",
        "network.0.weight",
        "network.1.bias",
        "network.1.weight",
        "network.2.bias",
        "network.2.weight",
        "standardize.a.mean",
        "standardize.a.std",
        "standardize.b.mean",
        "standardize.b.std",
    ];
    assert_eq!(names, expected);
    for info in header.tensors().values() {
        assert_eq!(info.dtype, safetensors::Dtype::F32);
    }
}

/// A threshold that comes back one bit off labels other rows.
/// Files are read and written on the CPU.
#[test]
fn thresholds_read_back_bit_for_bit() {
    let device = &Device::Cpu;
    let stored = checkpoint("concatenation", &build("concatenation", 1, device));
    let mut rng = emma_testkit::rng(8);
    for _ in 0..1000 {
        let mut metadata = stored.metadata().clone();
        metadata.threshold = rand::Rng::random(&mut rng);
        let bytes = Checkpoint::new(metadata.clone(), stored.tensors().clone()).unwrap();
        let read = Checkpoint::from_bytes(&bytes.to_bytes().unwrap()).unwrap();
        assert_eq!(
            read.metadata().threshold.to_bits(),
            metadata.threshold.to_bits()
        );
    }
}

#[test]
fn an_explanation_holds_together() {
    for device in devices() {
        let stored = checkpoint("emma", &build("emma", 6, device));
        let model = TrainedModel::from_checkpoint(&stored, device).unwrap();
        let batch = rows(10, 7, device);
        let prediction = model.predict_standardized(batch.modes()).unwrap();
        let explanation = prediction.explanation.unwrap();
        for row in 0..10 {
            let total: f32 = explanation.energy[row].iter().sum();
            assert!((total - explanation.total_energy[row]).abs() < 1e-4 * total.abs());
            let importance: f32 = explanation.importance[row].iter().sum();
            assert!((importance - 1.).abs() < 1e-6);
            assert!(
                explanation.attention[row]
                    .iter()
                    .all(|beta| (0. ..1.).contains(beta))
            );
        }
    }
}

#[test]
fn rows_far_beyond_f32_energies_are_scored() {
    for device in devices_with(DType::F64) {
        let stored = checkpoint("emma", &build("emma", 6, device));
        let model = TrainedModel::from_checkpoint(&stored, device).unwrap();
        let modes = [
            Tensor::new(&[[1e30f32, 0., 0.], [0.1, 0.2, 0.3]], device).unwrap(),
            Tensor::new(&[[0.5f32, 0.5], [-1e30, 1e30]], device).unwrap(),
        ];
        let prediction = model.predict_standardized(&modes).unwrap();
        let mut all = probabilities(&prediction).into_iter();
        assert!(all.all(|p| (0. ..=1.).contains(&p)));
        let explanation = prediction.explanation.unwrap();
        assert!(explanation.attention[0][0] < 1e-6 && explanation.attention[0][1] > 0.5);
        assert!(explanation.attention[1][1] < 1e-6 && explanation.attention[1][0] > 0.5);
        assert!(explanation.potential[0][0].is_finite());
    }
}

/// Files are read and written on the CPU.
#[test]
fn unknown_metadata_keys_are_ignored_and_unknown_kinds_named() {
    type Edit<'a> = &'a dyn Fn(&mut serde_json::Value);
    let device = &Device::Cpu;
    let stored = checkpoint("emma", &build("emma", 6, device));
    let load = |edit: &dyn Fn(&mut serde_json::Value)| {
        let bytes = edited(&stored, edit);
        let checkpoint = Checkpoint::from_bytes(&bytes)?;
        TrainedModel::from_checkpoint(&checkpoint, device)
    };
    assert!(load(&|json| json["invented"] = true.into()).is_ok());
    let refused: [(Edit, &str); 10] = [
        (
            &|json| {
                json.as_object_mut().unwrap().remove("energy");
            },
            "not a valid model file: expected key energy in the metadata, it is missing",
        ),
        (
            &|json| json["energy"]["kind"] = "magic".into(),
            "unknown energy kind \"magic\" in the model file; this version knows \
             denoising_autoencoder and joint_density",
        ),
        (
            &|json| json["network"]["kind"] = "transformer".into(),
            "unknown network kind \"transformer\" in the model file; this version knows mlp",
        ),
        (
            &|json| json["format_version"] = 3.into(),
            "model file has format version 3; this version reads up to 2",
        ),
        (
            &|json| json["modes"][0]["name"] = "A b".into(),
            "not a valid model file: expected mode names of a-z, 0-9 and _, got \"A b\"",
        ),
        (
            &|json| json["modes"][1]["name"] = "a".into(),
            "not a valid model file: mode a is there twice",
        ),
        (
            &|json| json["modes"][1]["columns"][0] = "a_1".into(),
            "not a valid model file: column \"a_1\" is there twice (mode b)",
        ),
        (
            &|json| json["coldness"] = (-1.).into(),
            "not a valid model file: expected a finite coldness of at least 0, got -1",
        ),
        (
            &|json| {
                json["modes"][0]["columns"].as_array_mut().unwrap().pop();
            },
            "expected tensor standardize.a.std of shape [2], got [3]",
        ),
        (
            &|json| json["modes"][1]["name"] = "c".into(),
            "not a valid model file: expected tensor standardize.c.std, it is missing",
        ),
    ];
    for (edit, expected) in refused {
        assert_eq!(load(edit).err().unwrap().to_string(), expected);
    }
}

/// The same tensors with edited metadata.
fn edited(checkpoint: &Checkpoint, edit: &dyn Fn(&mut serde_json::Value)) -> Vec<u8> {
    let mut json = serde_json::to_value(checkpoint.metadata()).unwrap();
    edit(&mut json);
    let metadata = [("emma".to_owned(), json.to_string())].into();
    safetensors::serialize(checkpoint.tensors(), Some(metadata)).unwrap()
}

/// Files are read and written on the CPU.
#[test]
fn broken_files_are_refused() {
    let device = &Device::Cpu;
    let bytes = checkpoint("emma", &build("emma", 6, device))
        .to_bytes()
        .unwrap();
    for length in [0, 7, 8, 100, bytes.len() - 1] {
        assert!(
            Checkpoint::from_bytes(&bytes[..length]).is_err(),
            "{length}"
        );
    }
    let foreign =
        safetensors::serialize([("x", Tensor::ones(2, DType::F32, device).unwrap())], None);
    let error = Checkpoint::from_bytes(&foreign.unwrap()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "not a valid model file: expected metadata key emma, it is missing"
    );
    let mut with_nan = checkpoint("emma", &build("emma", 6, device))
        .tensors()
        .clone();
    with_nan.insert(
        "network.0.bias".into(),
        Tensor::new(&[f32::NAN; 6], device).unwrap(),
    );
    let metadata = checkpoint("emma", &build("emma", 6, device))
        .metadata()
        .clone();
    let error = Checkpoint::new(metadata, with_nan).unwrap_err();
    assert_eq!(
        error.to_string(),
        "not a valid model file: expected finite numbers in tensor network.0.bias, got NaN"
    );
}

#[test]
fn features_that_are_no_numbers_are_refused_by_every_model() {
    for device in devices() {
        for name in ["concatenation", "alternative", "emma"] {
            let stored = checkpoint(name, &build(name, 6, device));
            let model = TrainedModel::from_checkpoint(&stored, device).unwrap();
            let modes = [
                Tensor::new(&[[0f32, 0., 0.], [0., 0., 0.]], device).unwrap(),
                Tensor::new(&[[0f32, 0.], [0., f32::NAN]], device).unwrap(),
            ];
            assert_eq!(
                model.predict(&modes).unwrap_err().to_string(),
                "row 1: expected finite features in mode b, got NaN"
            );
        }
    }
}

/// Parameters outside the ranges of training are fine as long as self-energies stay positive.
#[test]
fn only_rows_of_impossible_energy_are_refused() {
    for device in devices() {
        let built = build("emma", 6, device);
        let var = |name: &str, values: &[f32]| {
            let tensor = Tensor::new(values, device).unwrap();
            built.variables.preset(name, &tensor).unwrap();
        };
        var("attention.self_weight", &[-0.01, 3.]);
        var("attention.self_bias", &[1., -2.]);
        let model = TrainedModel::from_checkpoint(&checkpoint("emma", &built), device).unwrap();
        let near = [
            Tensor::new(&[[0f32, 0., 0.]], device).unwrap(),
            Tensor::new(&[[0f32, 0.]], device).unwrap(),
        ];
        assert!(model.predict_standardized(&near).is_ok());
        let far = [
            Tensor::new(&[[0f32, 0., 0.], [0., 50., 0.]], device).unwrap(),
            Tensor::new(&[[0f32, 0.], [0., 0.]], device).unwrap(),
        ];
        let error = model.predict_standardized(&far).unwrap_err().to_string();
        assert!(
            error.starts_with("row 1: expected a positive, finite self-energy of mode a, got -"),
            "{error}"
        );
    }
}

/// Probabilities and energies are rounded to f32 by both ways.
#[test]
fn the_kernels_score_as_candle_does() {
    let device = &Device::Cpu;
    let close = |what: &str, found: &[Vec<f32>], expected: &[Vec<f32>]| {
        let flat = |rows: &[Vec<f32>]| -> Vec<f64> {
            rows.iter()
                .flatten()
                .map(|&value| f64::from(value))
                .collect()
        };
        assert_close(what, &flat(found), &flat(expected), 3e-7, 1e-12);
    };
    for name in MODELS {
        let model =
            TrainedModel::from_checkpoint(&checkpoint(name, &build(name, 6, device)), device)
                .unwrap();
        // More than a chunk; one mode of some rows far out.
        let batch = rows(2100, 4, device);
        let mut modes = batch.modes().to_vec();
        let far = Tensor::from_iter(
            (0..2100).map(|row| if row % 9 == 0 { 1e4f32 } else { 1. }),
            device,
        );
        modes[1] = modes[1]
            .broadcast_mul(&far.unwrap().unsqueeze(1).unwrap())
            .unwrap();
        let modes = if name == "single_mode" {
            &modes[1..]
        } else {
            &modes[..]
        };
        let doubled: Vec<Tensor> = modes
            .iter()
            .map(|mode| mode.to_dtype(DType::F64).unwrap())
            .collect();
        let transposed = |mode: &Tensor| mode.t().unwrap().contiguous().unwrap().t().unwrap();
        let strided: Vec<Tensor> = modes.iter().map(transposed).collect();
        let expected = model.predict_by_candle(modes).unwrap();
        let raw = model
            .predict_by_candle(&model.standardize(modes).unwrap())
            .unwrap();
        for (is_raw, modes, expected, found) in [
            (
                false,
                modes,
                &expected,
                model.predict_standardized(modes).unwrap(),
            ),
            (
                false,
                &doubled,
                &expected,
                model.predict_standardized(&doubled).unwrap(),
            ),
            (
                false,
                &strided,
                &expected,
                model.predict_standardized(&strided).unwrap(),
            ),
            (true, modes, &raw, model.predict(modes).unwrap()),
        ] {
            let rows = |values: &[f32]| vec![values.to_vec()];
            close(
                "probability",
                &rows(&probabilities(&found)),
                &rows(&probabilities(expected)),
            );
            assert_eq!(found.explanation.is_some(), name == "emma");
            if let (Some(found), Some(expected)) = (&found.explanation, &expected.explanation) {
                close(
                    "total",
                    &rows(&found.total_energy),
                    &rows(&expected.total_energy),
                );
                close("potential", &found.potential, &expected.potential);
                close("energy", &found.energy, &expected.energy);
                close("importance", &found.importance, &expected.importance);
                close("attention", &found.attention, &expected.attention);
            }
            let alone = if is_raw {
                model.probabilities(modes).unwrap()
            } else {
                model.probabilities_standardized(modes).unwrap()
            };
            assert_eq!(alone, probabilities(&found));
        }
    }
}

#[test]
fn the_first_row_at_fault_is_named_however_many_threads_score() {
    let device = &Device::Cpu;
    let stored = checkpoint("emma", &build("emma", 6, device));
    let model = TrainedModel::from_checkpoint(&stored, device).unwrap();
    let batch = rows(5000, 4, device);
    let faulty = (0..5000 * 2).map(|i| {
        if i >= 2 * 1500 && i % 1000 == 1 {
            f32::INFINITY
        } else {
            0.
        }
    });
    let faulty = Tensor::from_iter(faulty, device)
        .unwrap()
        .reshape((5000, 2))
        .unwrap();
    let modes = [batch.modes()[0].clone(), faulty];
    for _ in 0..20 {
        assert_eq!(
            model.probabilities(&modes).unwrap_err().to_string(),
            "row 1500: expected finite features in mode b, got inf"
        );
    }
    let none = modes.map(|mode| mode.narrow(0, 0, 0).unwrap());
    assert!(model.probabilities(&none).unwrap().is_empty());
}
