//! `emma score` against the format's formula, worked out here in plain f64.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod common;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use candle_core::{Device, Tensor};
use common::Place;
use emma_models::checkpoint::{FORMAT_VERSION, Kind};
use emma_models::{Checkpoint, ModeColumns, ModelMetadata};
use rand::Rng;

/// A model of random parameters, as plain numbers.
struct Model {
    /// Features of each mode.
    features: Vec<usize>,
    hidden: usize,
    coldness: f64,
    threshold: f64,
    tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    emma: bool,
}

impl Model {
    fn random(features: &[usize], emma: bool, seed: u64) -> Self {
        let mut rng = emma_testkit::rng(seed);
        let mut tensors = BTreeMap::new();
        let mut draw = |name: String, shape: &[usize], low: f32, high: f32| {
            let values = (0..shape.iter().product())
                .map(|_| rng.random_range(low..high))
                .collect();
            tensors.insert(name, (shape.to_vec(), values));
        };
        let (n_modes, hidden) = (features.len(), 5);
        for (mode, &n) in features.iter().enumerate() {
            draw(format!("standardize.m{mode}.mean"), &[n], -2., 2.);
            draw(format!("standardize.m{mode}.std"), &[n], 0.5, 3.);
            if emma {
                draw(format!("energy.m{mode}.weight"), &[hidden, n], -1., 1.);
                draw(format!("energy.m{mode}.encoder_bias"), &[hidden], -1., 1.);
                draw(format!("energy.m{mode}.decoder_bias"), &[n], -1., 1.);
            }
        }
        if emma {
            draw("attention.minimum_potential".into(), &[n_modes], -6., -2.);
            draw("attention.self_weight".into(), &[n_modes], 0.2, 2.);
            draw("attention.self_bias".into(), &[n_modes], 0., 1.);
            // Beyond training's ranges: readers accept any.
            draw(
                "attention.coupling_weight".into(),
                &[n_modes, n_modes],
                -1.5,
                1.5,
            );
            draw(
                "attention.coupling_exponent".into(),
                &[n_modes, n_modes],
                -0.3,
                1.3,
            );
            draw("attention.gain".into(), &[1], 1., 4.);
            draw("attention.attention_bias".into(), &[1], 0., 0.4);
        }
        let inputs: usize = features.iter().sum();
        draw("network.0.weight".into(), &[6, inputs], -1., 1.);
        draw("network.0.bias".into(), &[6], -1., 1.);
        draw("network.1.weight".into(), &[1, 6], -2., 2.);
        draw("network.1.bias".into(), &[1], -1., 1.);
        Self {
            features: features.to_vec(),
            hidden,
            coldness: 0.3,
            threshold: 0.4,
            tensors,
            emma,
        }
    }

    fn file(&self) -> Vec<u8> {
        let tensors = self.tensors.iter().map(|(name, (shape, values))| {
            let tensor = Tensor::from_vec(values.clone(), shape.as_slice(), &Device::Cpu);
            (name.clone(), tensor.unwrap())
        });
        let metadata = ModelMetadata {
            format_version: FORMAT_VERSION,
            name: None,
            modes: (0..self.features.len())
                .map(|mode| ModeColumns {
                    name: format!("m{mode}"),
                    columns: self.columns(mode),
                })
                .collect(),
            label: "label".into(),
            coldness: self.emma.then_some(self.coldness),
            energy: self.emma.then(|| Kind::new("denoising_autoencoder")),
            network: Kind::new("mlp"),
            threshold: self.threshold,
            training: serde_json::Map::new(),
        };
        Checkpoint::new(metadata, tensors.collect())
            .unwrap()
            .to_bytes()
            .unwrap()
    }

    fn columns(&self, mode: usize) -> Vec<String> {
        (0..self.features[mode])
            .map(|i| format!("m{mode}_{i}"))
            .collect()
    }

    fn get(&self, name: &str) -> Vec<f64> {
        self.tensors[name]
            .1
            .iter()
            .map(|&value| f64::from(value))
            .collect()
    }

    /// Everything that `emma score --explain` prints after the row number, by the formula.
    fn expected(&self, row: &[f32]) -> Vec<f64> {
        let n_modes = self.features.len();
        let mut start = 0;
        let mut modes = Vec::new();
        for (mode, &n) in self.features.iter().enumerate() {
            let mean = self.get(&format!("standardize.m{mode}.mean"));
            let std = self.get(&format!("standardize.m{mode}.std"));
            modes.push(
                (0..n)
                    .map(|i| (f64::from(row[start + i]) - mean[i]) / std[i])
                    .collect::<Vec<f64>>(),
            );
            start += n;
        }
        let mut explanation = Vec::new();
        let mut total: Option<f64> = None;
        if self.emma {
            let weight = self.get("attention.self_weight");
            let bias = self.get("attention.self_bias");
            let minimum = self.get("attention.minimum_potential");
            let e = std::f64::consts::E;
            let potential: Vec<f64> = (0..n_modes)
                .map(|mode| self.potential(mode, &modes[mode]))
                .collect();
            let own: Vec<f64> = (0..n_modes)
                .map(|i| weight[i] * (potential[i] - minimum[i] + e).max(e) + bias[i])
                .collect();
            let w = self.get("attention.coupling_weight");
            let gamma = self.get("attention.coupling_exponent");
            let energy: Vec<f64> = (0..n_modes)
                .map(|i| {
                    let shared: f64 = (0..n_modes)
                        .filter(|&j| j != i)
                        .map(|j| {
                            let at = i * n_modes + j;
                            w[at] * own[i].powf(gamma[at]) * own[j].powf(1. - gamma[at])
                        })
                        .sum();
                    own[i] + shared
                })
                .collect();
            let lowest = energy.iter().copied().fold(f64::INFINITY, f64::min);
            let boltzmann: Vec<f64> = energy
                .iter()
                .map(|energy| (-self.coldness * (energy - lowest)).exp())
                .collect();
            let partition: f64 = boltzmann.iter().sum();
            let (gain, threshold) = (
                self.get("attention.gain")[0],
                self.get("attention.attention_bias")[0],
            );
            for mode in 0..n_modes {
                let importance = boltzmann[mode] / partition;
                let attention = (gain * importance - threshold).tanh().max(0.);
                explanation.extend([potential[mode], energy[mode], importance, attention]);
                for value in &mut modes[mode] {
                    *value *= attention;
                }
            }
            total = Some(energy.iter().sum());
        }
        let input = modes.concat();
        let hidden: Vec<f64> = affine(
            &self.get("network.0.weight"),
            &self.get("network.0.bias"),
            &input,
        )
        .into_iter()
        .map(|value| value.max(0.))
        .collect();
        let logit = affine(
            &self.get("network.1.weight"),
            &self.get("network.1.bias"),
            &hidden,
        )[0];
        let probability = 1. / (1. + (-logit).exp());
        let mut expected = vec![
            probability,
            f64::from(u8::from(probability >= self.threshold)),
        ];
        expected.extend(total);
        expected.extend(explanation);
        expected
    }

    fn potential(&self, mode: usize, z: &[f64]) -> f64 {
        let weight = self.get(&format!("energy.m{mode}.weight"));
        let encoder_bias = self.get(&format!("energy.m{mode}.encoder_bias"));
        let decoder_bias = self.get(&format!("energy.m{mode}.decoder_bias"));
        let hidden = affine(&weight, &encoder_bias, z);
        assert_eq!(hidden.len(), self.hidden);
        let softplus: f64 = hidden
            .iter()
            .map(|h| h.max(0.) + (-h.abs()).exp().ln_1p())
            .sum();
        let square: f64 = z
            .iter()
            .zip(&decoder_bias)
            .map(|(z, b)| (z - b).powi(2))
            .sum();
        square / 2. - softplus
    }
}

fn affine(weight: &[f64], bias: &[f64], x: &[f64]) -> Vec<f64> {
    bias.iter()
        .zip(weight.chunks(x.len()))
        .map(|(bias, weights)| bias + weights.iter().zip(x).map(|(w, x)| w * x).sum::<f64>())
        .collect()
}

fn random_rows(n_rows: usize, n_columns: usize, seed: u64) -> Vec<Vec<f32>> {
    let mut rng = emma_testkit::rng(seed);
    (0..n_rows)
        .map(|row| {
            let scale = if row % 7 == 3 { 40. } else { 3. };
            (0..n_columns)
                .map(|_| rng.random_range(-scale..scale))
                .collect()
        })
        .collect()
}

fn headerless(rows: &[Vec<f32>]) -> String {
    let mut text = String::new();
    for row in rows {
        let fields: Vec<String> = row.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "{}", fields.join(","));
    }
    text
}

fn check(scores: &str, model: &Model, rows: &[Vec<f32>]) {
    let lines: Vec<&str> = scores.lines().skip(1).collect();
    assert_eq!(lines.len(), rows.len());
    for (number, (line, row)) in lines.iter().zip(rows).enumerate() {
        let fields: Vec<f64> = line
            .split(',')
            .map(|field| field.parse().unwrap())
            .collect();
        assert!((fields[0] - number as f64).abs() < 1e-9);
        for (position, expected) in model.expected(row).into_iter().enumerate() {
            let got = fields[position + 1];
            let allowed = 2e-7 * expected.abs() + 1e-9;
            assert!(
                (got - expected).abs() <= allowed,
                "row {number}, column {}: got {got}, expected {expected}",
                position + 1
            );
        }
    }
}

#[test]
fn scores_follow_the_formula_for_any_number_of_modes() {
    for (seed, features) in [(1, vec![4, 4]), (2, vec![1, 3, 2]), (3, vec![2; 7])] {
        let model = Model::random(&features, true, seed);
        let rows = random_rows(50, features.iter().sum(), seed);
        let place = Place::new();
        place.write("model.safetensors", model.file());
        place.write("rows.csv", headerless(&rows));
        let scores = place.succeed("score --model model.safetensors --data rows.csv --explain");
        let mut header = "row,probability,label,total_energy".to_owned();
        for mode in 0..features.len() {
            let _ = write!(
                header,
                ",potential_m{mode},energy_m{mode},importance_m{mode},attention_m{mode}"
            );
        }
        assert_eq!(scores.lines().next(), Some(header.as_str()));
        check(&scores, &model, &rows);

        let short = place.succeed("score --model model.safetensors --data rows.csv");
        for (short, long) in short.lines().zip(scores.lines()) {
            let first_four: Vec<&str> = long.split(',').take(4).collect();
            assert_eq!(short, first_four.join(","));
        }
    }
}

#[test]
fn models_without_emma_write_probability_and_label_alone() {
    let model = Model::random(&[3, 2], false, 4);
    let rows = random_rows(20, 5, 4);
    let place = Place::new();
    place.write("model.safetensors", model.file());
    place.write("rows.csv", headerless(&rows));
    let scores = place.succeed("score --model model.safetensors --data rows.csv");
    assert_eq!(scores.lines().next(), Some("row,probability,label"));
    check(&scores, &model, &rows);
    let output = place.run("score --model model.safetensors --data rows.csv --explain");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), scores);
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("has no EMMA")
    );
}

#[test]
fn columns_are_found_by_name_among_others_that_hold_text() {
    let model = Model::random(&[2, 1], true, 5);
    let rows = random_rows(10, 3, 5);
    let place = Place::new();
    place.write("model.safetensors", model.file());
    place.write("rows.csv", headerless(&rows));
    let expected = place.succeed("score --model model.safetensors --data rows.csv");
    for ending in ["\n", "\r\n", "\r"] {
        let mut table = format!("name,m1_0,m0_1,remark,m0_0,label{ending}");
        for row in &rows {
            let _ = write!(
                table,
                "a b,{},{},\"x, y\",{},unknown{ending}",
                row[2], row[1], row[0]
            );
        }
        place.write("table.csv", table);
        let scores = place.succeed("score --model model.safetensors --data table.csv");
        assert_eq!(scores, expected);
    }
    // A headerless table may have the label last.
    place.write("labelled.csv", headerless(&rows).replace('\n', ",1\n"));
    let scores = place.succeed("score --model model.safetensors --data labelled.csv");
    assert_eq!(scores, expected);
}

#[test]
fn rows_score_the_same_in_any_chunk_and_in_any_file() {
    let model = Model::random(&[3, 3], true, 6);
    let rows = random_rows(9000, 6, 6);
    let place = Place::new();
    place.write("model.safetensors", model.file());
    place.write("rows.csv", headerless(&rows));
    place.write("tail.csv", headerless(&rows[4000..4200]));
    let all = place.succeed("score --model model.safetensors --data rows.csv --explain");
    let tail = place.succeed("score --model model.safetensors --data tail.csv --explain");
    let numbers = all
        .lines()
        .skip(1)
        .map(|line| line.split_once(',').unwrap().0);
    assert!(
        numbers.eq((0..9000).map(|row| row.to_string())),
        "rows are numbered in order"
    );
    let cut = |line: &str| line.split_once(',').map(|(_, rest)| rest.to_owned());
    let all: Vec<_> = all.lines().skip(1).map(cut).collect();
    let tail: Vec<_> = tail.lines().skip(1).map(cut).collect();
    assert_eq!(all.len(), 9000);
    assert_eq!(all[4000..4200], tail);
}

#[test]
fn a_written_file_equals_standard_output() {
    let model = Model::random(&[3, 3], true, 6);
    let place = Place::new();
    place.write("model.safetensors", model.file());
    place.write("rows.csv", headerless(&random_rows(30, 6, 6)));
    let printed = place.succeed("score --model model.safetensors --data rows.csv");
    place.succeed("score --model model.safetensors --data rows.csv --out scores.csv");
    assert_eq!(place.read_text("scores.csv"), printed);
}

#[test]
fn inputs_are_not_overwritten_and_devices_stay_devices() {
    let model = Model::random(&[2, 1], true, 5);
    let place = Place::new();
    place.write("model.safetensors", model.file());
    place.write("rows.csv", headerless(&random_rows(3, 3, 5)));
    for same in ["model.safetensors", "./rows.csv"] {
        let command = format!("score --model model.safetensors --data rows.csv --out {same}");
        let error = place.fail(2, &command);
        assert!(error.contains("expected another file than --"), "{error}");
    }
    assert_eq!(place.read("model.safetensors"), model.file());
    #[cfg(unix)]
    {
        place.succeed("score --model model.safetensors --data rows.csv --out /dev/null");
        let device = std::fs::metadata("/dev/null").unwrap();
        assert!(!device.is_file());
        std::os::unix::fs::symlink("real.csv", place.path().join("link.csv")).unwrap();
        place.write("real.csv", "old");
        place.succeed("score --model model.safetensors --data rows.csv --out link.csv");
        assert!(place.read_text("real.csv").starts_with("row,"));
    }
}

#[test]
fn an_empty_table_with_a_header_gives_a_header() {
    let model = Model::random(&[1, 1], true, 7);
    let place = Place::new();
    place.write("model.safetensors", model.file());
    place.write("rows.csv", "m0_0,m1_0\n");
    let scores = place.succeed("score --model model.safetensors --data rows.csv");
    assert_eq!(scores, "row,probability,label,total_energy\n");
}

#[test]
fn bad_input_is_one_clear_line_and_leaves_files_alone() {
    let model = Model::random(&[2, 1], true, 5);
    let place = Place::new();
    place.write("model.safetensors", model.file());
    place.write("scores.csv", "old");
    place.write("good.csv", "m0_0,m0_1,m1_0\n1,2,3\n");
    place.write("text.csv", "m0_0,m0_1,m1_0\n1,2,3\n4,five,6\n");
    place.write("nan.csv", "m0_0,m0_1,m1_0\n1,nan,3\n");
    place.write("ragged.csv", "m0_0,m0_1,m1_0\n1,2,3\n4,5\n");
    place.write("absent.csv", "m0_0,m0_2,m1_0\n1,2,3\n");
    place.write("double.csv", "m0_0,m0_1,m1_0,m0_1\n1,2,3,4\n");
    place.write("wide.csv", "1,2,3,4,5\n");
    place.write("empty.csv", "");
    place.write("foreign.safetensors", b"\x02\0\0\0\0\0\0\0{}");
    place.write("short.safetensors", b"\x02\0");
    let mut report = String::new();
    for (model, data) in [
        ("model", "text.csv"),
        ("model", "nan.csv"),
        ("model", "ragged.csv"),
        ("model", "absent.csv"),
        ("model", "double.csv"),
        ("model", "wide.csv"),
        ("model", "empty.csv"),
        ("model", "missing.csv"),
        ("model", "rows.parquet"),
        ("foreign", "good.csv"),
        ("short", "good.csv"),
        ("missing", "good.csv"),
    ] {
        let error = place.fail(
            2,
            &format!("score --model {model}.safetensors --data {data} --out scores.csv"),
        );
        assert_eq!(error.lines().count(), 1, "{error}");
        report.push_str(&error);
        assert_eq!(place.read_text("scores.csv"), "old");
    }
    insta::assert_snapshot!("errors", report);
    let left = std::fs::read_dir(place.path()).unwrap().count();
    assert_eq!(left, 12, "no temporary file stays");
}
