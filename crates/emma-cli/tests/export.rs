//! `emma export`: what the files say of themselves, and what other runtimes make of them.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod common;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use common::Place;
use common::model::{Model, Parts, headerless, random_rows};
use emma_models::Checkpoint;
use rand::Rng;

/// Layers of the network anew, of these widths behind the features.
fn with_layers(mut model: Model, widths: &[usize]) -> Model {
    let mut rng = emma_testkit::rng(77);
    model
        .tensors
        .retain(|name, _| !name.starts_with("network."));
    let mut n_inputs: usize = model.features.iter().sum();
    for (layer, &width) in widths.iter().enumerate() {
        let mut draw = |shape: Vec<usize>| {
            let n = shape.iter().product();
            let values = (0..n).map(|_| rng.random_range(-1. ..1.)).collect();
            (shape, values)
        };
        let (weight, bias) = (draw(vec![width, n_inputs]), draw(vec![width]));
        model
            .tensors
            .insert(format!("network.{layer}.weight"), weight);
        model.tensors.insert(format!("network.{layer}.bias"), bias);
        n_inputs = width;
    }
    model
}

/// The same network behind a softmax over the modes.
fn alternative(mut model: Model) -> Vec<u8> {
    let mut rng = emma_testkit::rng(78);
    let (n_modes, n_features) = (model.features.len(), model.features.iter().sum::<usize>());
    for (name, shape) in [
        ("weight", vec![n_modes, n_features]),
        ("bias", vec![n_modes]),
    ] {
        let n = shape.iter().product();
        let values = (0..n).map(|_| rng.random_range(-1. ..1.)).collect();
        let name = format!("alternative.{name}");
        model.tensors.insert(name, (shape, values));
    }
    let mut parts = Parts::of(&model.file());
    parts.metadata["network"]["kind"] = "alternative_attention_mlp".into();
    parts.file()
}

/// That predicts something else than one of two classes.
fn with_task(model: &Model, task: &serde_json::Value) -> Vec<u8> {
    let mut parts = Parts::of(&model.file());
    parts.metadata["task"] = task.clone();
    parts.metadata["format_version"] = 2.into();
    parts.file()
}

/// With self-energies below zero, which no row can have.
fn negative(mut model: Model) -> Model {
    let weight = model.tensors.get_mut("attention.self_weight").unwrap();
    weight.1[1] = -1.;
    model
}

/// Modes under other names.
fn renamed(file: &[u8], names: &[&str]) -> Vec<u8> {
    let checkpoint = Checkpoint::from_bytes(file).unwrap();
    let mut metadata = checkpoint.metadata().clone();
    let mut tensors = checkpoint.tensors().clone();
    for (mode, &name) in metadata.modes.iter_mut().zip(names) {
        let part = format!(".{}.", mode.name);
        tensors = tensors
            .into_iter()
            .map(|(key, tensor)| (key.replace(&part, &format!(".{name}.")), tensor))
            .collect::<BTreeMap<_, _>>();
        name.clone_into(&mut mode.name);
    }
    let checkpoint = Checkpoint::new(metadata, tensors).unwrap();
    checkpoint.to_bytes().unwrap()
}

/// Ordinary rows, and some that are ever further out.
fn rows(n_columns: usize, seed: u64) -> Vec<Vec<f32>> {
    let mut rows = random_rows(60, n_columns, seed);
    for (row, scale) in [(5, 100.), (6, 1e6), (7, 1e15), (8, 1e37)] {
        rows[row].iter_mut().for_each(|value| *value *= scale);
    }
    // One mode alone may be out, too.
    rows[9][0] = 1e4;
    rows
}

/// A model, its rows with their header, and what `emma` makes of them, in a folder for the check.
fn case(place: &Place, name: &str, model: &[u8], seed: u64) {
    std::fs::create_dir(place.path().join(name)).unwrap();
    let at = |file: &str| format!("{name}/{file}");
    let metadata = Checkpoint::from_bytes(model).unwrap().metadata().clone();
    let columns: Vec<String> = metadata
        .modes
        .into_iter()
        .flat_map(|mode| mode.columns)
        .collect();
    let header = columns.join(",");
    let rows = headerless(&rows(columns.len(), seed));
    place.write(&at("rows.csv"), format!("{header}\n{rows}"));
    place.write(&at("model.safetensors"), model);
    let file = at("model.safetensors");
    let (onnx, torch, scores) = (
        at("model.onnx"),
        at("model.torch.safetensors"),
        at("scores.csv"),
    );
    place.succeed(&format!("export --model {file} --format onnx --out {onnx}"));
    place.succeed(&format!(
        "export --model {file} --format torch --out {torch}"
    ));
    let data = at("rows.csv");
    let score = format!("score --model {file} --data {data} --explain --out {scores} --quiet");
    if name.starts_with("refused") {
        place.fail(2, &score);
    } else {
        place.succeed(&score);
    }
}

fn cases(place: &Place) -> Vec<&'static str> {
    let random = Model::random;
    let names = ["energy", "label", "keys"];
    let models: Vec<(&str, Vec<u8>)> = vec![
        ("two_modes", random(&[4, 4], true, 1).file()),
        ("three_modes", random(&[1, 3, 2], true, 2).file()),
        ("seven_modes", random(&[2; 7], true, 3).file()),
        (
            "names_of_outputs",
            renamed(&random(&[1, 2, 1], true, 4).file(), &names),
        ),
        (
            "deep",
            with_layers(random(&[3, 2], true, 5), &[7, 5, 3, 1]).file(),
        ),
        (
            "several_classes",
            with_task(
                &with_layers(random(&[3, 2], true, 7), &[6, 4]),
                &serde_json::json!({"kind": "multiclass", "classes": ["b", "a", "d", "c"]}),
            ),
        ),
        (
            "number",
            with_task(
                &random(&[3, 2], true, 8),
                &serde_json::json!({"kind": "regression", "mean": 200.0, "std": 50.0}),
            ),
        ),
        ("linear", with_layers(random(&[3, 2], true, 6), &[1]).file()),
        ("without_emma", random(&[3, 2], false, 7).file()),
        ("single_mode", random(&[4], false, 8).file()),
        ("alternative", alternative(random(&[3, 2], false, 9))),
        ("refused", negative(random(&[3, 2], true, 10)).file()),
    ];
    for (seed, (name, model)) in models.iter().enumerate() {
        case(place, name, model, 100 + seed as u64);
    }
    models.into_iter().map(|(name, _)| name).collect()
}

#[test]
fn onnx_runtime_and_pytorch_agree_with_score() {
    let Some(python) = std::env::var_os("EMMA_PYTHON").filter(|python| !python.is_empty()) else {
        // Not by a macro, whose output the test harness keeps to itself.
        let _ = writeln!(
            std::io::stderr(),
            "LEFT OUT: EMMA_PYTHON names no Python with the packages of docs/checks/export-requirements.txt, so no \
             other runtime checks what `emma export` writes"
        );
        return;
    };
    let place = Place::new();
    let names = cases(&place);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/checks/export.py");
    let output = Command::new(&python)
        .arg(script)
        .args(&names)
        .current_dir(place.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{error}");
    for name in names {
        assert!(
            said.contains(&format!("{name}: 60 rows, largest difference:")),
            "{said}"
        );
    }
}

#[test]
fn a_line_says_what_was_written_unless_it_is_to_be_quiet() {
    let place = Place::new();
    let names = ["energy", "label", "keys"];
    let model = renamed(&Model::random(&[1, 2, 1], true, 4).file(), &names);
    place.write("model.safetensors", model);
    for (format, line) in [
        (
            "onnx",
            "out: ONNX, opset 17, inputs energy_input [rows, 1], label_input [rows, 2], keys [rows, 1]\n",
        ),
        ("torch", "out: a state_dict, for docs/emma_torch.py\n"),
    ] {
        let export = format!("export --model model.safetensors --format {format} --out");
        let output = place.run(&format!("{export} out"));
        assert!(output.status.success());
        assert_eq!(String::from_utf8(output.stderr).unwrap(), line);
        let output = place.run(&format!("{export} again --quiet"));
        assert_eq!((output.stdout, output.stderr), (Vec::new(), Vec::new()));
        assert_eq!(place.read("again"), place.read("out"), "{format}");
    }
}
