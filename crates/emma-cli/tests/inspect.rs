//! `emma inspect`: what it says of models whose parameters are known.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod common;

use common::Place;
use common::model::Model;
use serde_json::Value;

/// Round numbers in the place of random ones.
fn model() -> Model {
    let mut model = Model::random(&[2, 1], true, 5);
    let mut set = |name: &str, values: &[f32]| {
        let tensor = model.tensors.get_mut(name).unwrap();
        assert_eq!(tensor.1.len(), values.len());
        tensor.1 = values.to_vec();
    };
    set("standardize.m0.mean", &[100., 0.25]);
    set("standardize.m0.std", &[12.5, 0.001]);
    set("standardize.m1.mean", &[-3.]);
    set("standardize.m1.std", &[2.]);
    set("attention.minimum_potential", &[-7.5, -2.]);
    set("attention.self_weight", &[1., 2.5]);
    set("attention.self_bias", &[0., 0.5]);
    set("attention.coupling_weight", &[9., 0.5, -0.25, 9.]);
    set("attention.coupling_exponent", &[9., 0.75, 0.25, 9.]);
    set("attention.gain", &[2.]);
    set("attention.attention_bias", &[0.5]);
    model
}

#[test]
fn a_model_is_told_in_words() {
    let place = Place::new();
    place.write("model.safetensors", model().file());
    insta::assert_snapshot!("emma", place.succeed("inspect --model model.safetensors"));
    let without = Model::random(&[1, 1], false, 7);
    place.write("without.safetensors", without.file());
    let text = place.succeed("inspect --model without.safetensors");
    assert!(
        text.contains("No energies: nothing in this model measures how outlying a mode is."),
        "{text}"
    );
    assert!(!text.contains("Coupling"), "{text}");
}

#[test]
fn numbers_are_those_of_the_file() {
    let place = Place::new();
    place.write("model.safetensors", model().file());
    let printed = place.succeed("inspect --model model.safetensors --json");
    let about: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(about["format_version"], 1);
    assert_eq!(about["threshold"], 0.4);
    assert_eq!(about["network"]["widths"], serde_json::json!([3, 6, 1]));
    assert_eq!(about["modes"][0]["columns"][1]["name"], "m0_1");
    assert_eq!(about["modes"][0]["columns"][0]["std"], 12.5);
    assert_eq!(about["modes"][1]["minimum_potential"], -2.);
    assert_eq!(about["modes"][1]["self_weight"], 2.5);
    assert_eq!(about["modes"][1]["n_hidden"], 5);
    let attention = &about["attention"];
    assert_eq!(attention["gain"], 2.);
    assert_eq!(
        attention["coupling_weight"],
        serde_json::json!([[null, 0.5], [-0.25, null]])
    );
    assert_eq!(
        attention["coupling_exponent"],
        serde_json::json!([[null, 0.75], [0.25, null]])
    );
    // log((2 − 0.5) / 0.5) / 0.3, log cosh(1.5) / 2, tanh(1.5).
    let close = |value: &Value, expected: f64| {
        assert!(
            (value.as_f64().unwrap() - expected).abs() < 1e-12,
            "{value}"
        );
    };
    close(&attention["masking"]["gap"], 3f64.ln() / 0.3);
    close(&attention["masking"]["importance"], 0.25);
    close(&attention["rectified_capacity"], 1.5f64.cosh().ln() / 2.);
    close(
        &attention["capacity"],
        (1.5f64.cosh().ln() - 0.5f64.cosh().ln()) / 2.,
    );
    close(&attention["most"], 1.5f64.tanh());
    // Two autoencoders (5 × 2 + 5 + 2, 5 + 5 + 1), 2 + 2 + 2 + 2 + 1 + 1 of attention, and the
    // network (6 × 3 + 6, 6 + 1).
    assert_eq!(about["n_parameters"], 17 + 11 + 10 + 31);
}

#[test]
fn gates_that_never_or_always_close_are_said_to() {
    let place = Place::new();
    for (gain, bias, expected) in [
        (2., 0., "No mode is ever masked completely."),
        (0.5, 0.5, "Every mode is masked: nothing passes."),
        (2., 1.5, "A mode is masked unless its energy is more than"),
        (0., -1., "No mode is ever masked completely."),
        (
            -2.,
            -1.,
            "The gain is negative: the more important a mode is, the less of it passes.",
        ),
    ] {
        let mut model = model();
        model.tensors.get_mut("attention.gain").unwrap().1 = vec![gain];
        model.tensors.get_mut("attention.attention_bias").unwrap().1 = vec![bias];
        place.write("model.safetensors", model.file());
        let text = place.succeed("inspect --model model.safetensors");
        assert!(text.contains(expected), "{text}");
    }
}
