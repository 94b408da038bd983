//! Model files that were damaged: refused or read, but never a panic.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod common;

use candle_core::{Device, Tensor};
use common::{MODELS, build, checkpoint};
use emma_models::{Checkpoint, TrainedModel};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Reads, builds and scores; what it returns does not matter here.
fn use_file(bytes: &[u8]) -> emma_models::Result<usize> {
    let checkpoint = Checkpoint::from_bytes(bytes)?;
    // What was read can be written, and reads back the same.
    let again = checkpoint.to_bytes()?;
    assert_eq!(Checkpoint::from_bytes(&again)?.to_bytes()?, again);
    let model = TrainedModel::from_checkpoint(&checkpoint, &Device::Cpu)?;
    let modes = model.metadata().modes.iter();
    let modes = modes.map(|mode| {
        Tensor::ones(
            (2, mode.columns.len()),
            candle_core::DType::F32,
            &Device::Cpu,
        )
    });
    let modes = modes.collect::<candle_core::Result<Vec<_>>>()?;
    Ok(model.predict(&modes)?.answers.n_rows())
}

/// A wide table makes a long header; its models must still be read.
#[test]
fn models_of_ten_thousand_columns_are_read_back() {
    let (n, width) = (10_000, 6);
    let tensor =
        |shape: &[usize]| Tensor::ones(shape, candle_core::DType::F32, &Device::Cpu).unwrap();
    let tensors = [
        ("standardize.a.mean", tensor(&[n])),
        ("standardize.a.std", tensor(&[n])),
        ("network.0.weight", tensor(&[width, n])),
        ("network.0.bias", tensor(&[width])),
        ("network.1.weight", tensor(&[1, width])),
        ("network.1.bias", tensor(&[1])),
    ];
    let mut metadata = checkpoint("concatenation", &build("concatenation", 6, &Device::Cpu))
        .metadata()
        .clone();
    metadata.modes.truncate(1);
    metadata.modes[0].columns = (0..n).map(|column| format!("column_{column}")).collect();
    let tensors = tensors.map(|(name, tensor)| (name.to_owned(), tensor));
    let wide = Checkpoint::new(metadata.clone(), tensors.clone().into()).unwrap();
    assert_eq!(use_file(&wide.to_bytes().unwrap()).unwrap(), 2);

    // What could not be read back is not written.
    metadata.modes[0].columns = (0..100 * n).map(|column| column.to_string()).collect();
    let too_wide = Checkpoint::new(metadata, tensors.into()).unwrap();
    let error = too_wide.to_bytes().unwrap_err().to_string();
    assert!(error.contains("expected at most"), "{error}");
}

#[cfg(unix)]
#[test]
fn an_endless_file_is_refused_at_its_head() {
    let error = Checkpoint::load("/dev/zero").unwrap_err().to_string();
    assert!(error.contains("the file announces 0"), "{error}");
}

fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    match use_file(bytes) {
        Ok(n_rows) => prop_assert_eq!(n_rows, 2),
        Err(error) => {
            let message = error.to_string();
            prop_assert!(
                !message.is_empty() && !message.contains('\n'),
                "{}",
                message
            );
            prop_assert!(message.len() < 1000, "{}", message);
        }
    }
    Ok(())
}

/// A header of JSON and the tensors' bytes, as a file.
fn file(header: &Value, tensors: &[u8]) -> Vec<u8> {
    let header = header.to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(tensors);
    bytes
}

fn parts(file: &[u8]) -> (Value, &[u8]) {
    let length = usize::try_from(u64::from_le_bytes(file[..8].try_into().unwrap())).unwrap();
    let (header, tensors) = file[8..].split_at(length);
    (serde_json::from_slice(header).unwrap(), tensors)
}

/// The places of all values within a value, as JSON pointers.
fn places(value: &Value, prefix: &str, found: &mut Vec<String>) {
    found.push(prefix.to_owned());
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                places(value, &format!("{prefix}/{key}"), found);
            }
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                places(value, &format!("{prefix}/{index}"), found);
            }
        }
        _ => {}
    }
}

/// Puts another value into a place, or takes the place away.
fn change(value: &mut Value, place: prop::sample::Index, other: Option<Value>) {
    let mut found = Vec::new();
    places(value, "", &mut found);
    let place = &found[place.index(found.len())];
    match (other, place.rsplit_once('/')) {
        (Some(other), _) => *value.pointer_mut(place).unwrap() = other,
        (None, Some((parent, key))) => match value.pointer_mut(parent).unwrap() {
            Value::Object(map) => drop(map.remove(key)),
            Value::Array(values) => drop(values.remove(key.parse().unwrap())),
            _ => {}
        },
        (None, None) => {}
    }
}

fn other_value() -> impl Strategy<Value = Option<Value>> {
    prop::sample::select(vec![
        None,
        Some(json!(null)),
        Some(json!(0)),
        Some(json!(1)),
        Some(json!(2)),
        Some(json!(3)),
        Some(json!(5)),
        Some(json!(-1)),
        Some(json!(0.5)),
        Some(json!(u64::MAX)),
        Some(json!("a")),
        Some(json!("mlp")),
        Some(json!("alternative_attention_mlp")),
        Some(json!("F64")),
        Some(json!([])),
        Some(json!([5, 3])),
        Some(json!({})),
        Some(json!({"kind": "denoising_autoencoder"})),
    ])
}

/// `PROPTEST_CASES` counts where it asks for more.
fn cases() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig {
        cases: default.cases.max(1024),
        ..default
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn fuzzed_bytes_never_panic(
        model in prop::sample::select(MODELS.to_vec()),
        changes in prop::collection::vec(
            (any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..8,
        ),
        near_the_start: bool,
    ) {
        let mut bytes = checkpoint(model, &build(model, 6, &Device::Cpu)).to_bytes().unwrap();
        for (place, byte, kind) in changes {
            // Half of the cases spare the tensors, most of whose bytes make no difference.
            let end = if near_the_start { bytes.len().min(600) } else { bytes.len() };
            if end == 0 {
                break;
            }
            let place = place.index(end);
            match kind {
                0 => bytes[place] = byte,
                1 => bytes.insert(place, byte),
                2 => drop(bytes.remove(place)),
                _ => bytes.truncate(place),
            }
        }
        check(&bytes)?;
    }

    /// The header stays JSON of the announced length, so that what lies behind is reached.
    #[test]
    fn fuzzed_headers_never_panic(
        model in prop::sample::select(MODELS.to_vec()),
        in_header in prop::collection::vec((any::<prop::sample::Index>(), other_value()), 0..2),
        in_metadata in prop::collection::vec((any::<prop::sample::Index>(), other_value()), 0..3),
    ) {
        let bytes = checkpoint(model, &build(model, 6, &Device::Cpu)).to_bytes().unwrap();
        let (mut header, tensors) = parts(&bytes);
        let metadata = header["__metadata__"]["emma"].as_str().unwrap();
        let mut metadata: Value = serde_json::from_str(metadata).unwrap();
        for (place, other) in in_metadata {
            change(&mut metadata, place, other);
        }
        header["__metadata__"]["emma"] = metadata.to_string().into();
        for (place, other) in in_header {
            change(&mut header, place, other);
        }
        check(&file(&header, tensors))?;
    }

    /// Any numbers that are finite make a model that scores, or says why it cannot.
    #[test]
    fn changed_numbers_never_panic(
        model in prop::sample::select(MODELS.to_vec()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<f32>()), 1..20),
    ) {
        let bytes = checkpoint(model, &build(model, 6, &Device::Cpu)).to_bytes().unwrap();
        let (header, tensors) = parts(&bytes);
        let mut tensors = tensors.to_vec();
        for (place, number) in changes {
            let start = 4 * place.index(tensors.len() / 4);
            tensors[start..start + 4].copy_from_slice(&number.to_le_bytes());
        }
        check(&file(&header, &tensors))?;
    }

    #[test]
    fn random_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        check(&bytes)?;
        // And with a length that lets the rest be looked at.
        if bytes.len() > 9 {
            let length = bytes.len() as u64 - 8;
            bytes[..8].copy_from_slice(&length.to_le_bytes());
            bytes[8] = b'{';
            check(&bytes)?;
        }
    }
}
