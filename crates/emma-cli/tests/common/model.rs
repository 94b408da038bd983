//! A model file made of random numbers, and the formula that scores it, in plain f64.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use candle_core::{Device, Tensor};
use emma_models::checkpoint::{FORMAT_VERSION, Kind};
use emma_models::{Checkpoint, ModeColumns, ModelMetadata};
use rand::Rng;
use serde_json::Value;

/// A model of random parameters, as plain numbers.
pub(crate) struct Model {
    /// Features of each mode.
    pub(crate) features: Vec<usize>,
    hidden: usize,
    pub(crate) coldness: f64,
    pub(crate) threshold: f64,
    pub(crate) tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    emma: bool,
}

impl Model {
    pub(crate) fn random(features: &[usize], emma: bool, seed: u64) -> Self {
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

    pub(crate) fn file(&self) -> Vec<u8> {
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
            task: emma_models::Task::default(),
            abstention: None,
            training: serde_json::Map::new(),
        };
        Checkpoint::new(metadata, tensors.collect())
            .unwrap()
            .to_bytes()
            .unwrap()
    }

    /// Adds the potentials of clean rows, ascending: of each mode as many as there are rows.
    pub(crate) fn calibrate(&mut self, potentials: &[Vec<f32>]) {
        let n_rows = potentials[0].len();
        self.tensors
            .insert("calibration.rows".into(), (vec![1], vec![n_rows as f32]));
        for (mode, potentials) in potentials.iter().enumerate() {
            let name = format!("calibration.m{mode}.potential");
            self.tensors
                .insert(name, (vec![n_rows], potentials.clone()));
        }
    }

    pub(crate) fn columns(&self, mode: usize) -> Vec<String> {
        (0..self.features[mode])
            .map(|i| format!("m{mode}_{i}"))
            .collect()
    }

    pub(crate) fn get(&self, name: &str) -> Vec<f64> {
        self.tensors[name]
            .1
            .iter()
            .map(|&value| f64::from(value))
            .collect()
    }

    /// Everything that `emma score --explain` prints after the row number, by the formula.
    pub(crate) fn expected(&self, row: &[f32]) -> Vec<f64> {
        let all = self.expected_without(row, &[]).into_iter();
        all.map(Option::unwrap).collect()
    }

    /// The same for a row that lacks some modes, by a model that has EMMA; none where nothing is printed.
    pub(crate) fn expected_without(&self, row: &[f32], missing: &[usize]) -> Vec<Option<f64>> {
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
                        .filter(|&j| j != i && !missing.contains(&j))
                        .map(|j| {
                            let at = i * n_modes + j;
                            w[at] * own[i].powf(gamma[at]) * own[j].powf(1. - gamma[at])
                        })
                        .sum();
                    own[i] + shared
                })
                .collect();
            let there = |mode: &usize| !missing.contains(mode);
            let present: Vec<f64> = (0..n_modes)
                .filter(there)
                .map(|mode| energy[mode])
                .collect();
            let lowest = present.iter().copied().fold(f64::INFINITY, f64::min);
            let boltzmann: Vec<f64> = energy
                .iter()
                .map(|energy| (-self.coldness * (energy - lowest)).exp())
                .collect();
            let partition: f64 = (0..n_modes).filter(there).map(|mode| boltzmann[mode]).sum();
            let (gain, threshold) = (
                self.get("attention.gain")[0],
                self.get("attention.attention_bias")[0],
            );
            for mode in 0..n_modes {
                if !there(&mode) {
                    explanation.extend([None, None, None, Some(0.)]);
                    modes[mode].fill(0.);
                    continue;
                }
                let importance = boltzmann[mode] / partition;
                let attention = (gain * importance - threshold).tanh().max(0.);
                explanation
                    .extend([potential[mode], energy[mode], importance, attention].map(Some));
                for value in &mut modes[mode] {
                    *value *= attention;
                }
            }
            total = Some(present.iter().sum());
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
            Some(probability),
            Some(f64::from(u8::from(probability >= self.threshold))),
        ];
        expected.extend(total.map(Some));
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

pub(crate) fn random_rows(n_rows: usize, n_columns: usize, seed: u64) -> Vec<Vec<f32>> {
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

pub(crate) fn headerless(rows: &[Vec<f32>]) -> String {
    let mut text = String::new();
    for row in rows {
        let fields: Vec<String> = row.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "{}", fields.join(","));
    }
    text
}

/// A safetensors file taken apart: its header, the JSON under the key `emma`, the tensors' bytes.
pub(crate) struct Parts {
    pub(crate) header: Value,
    pub(crate) metadata: Value,
    pub(crate) tensors: Vec<u8>,
}

impl Parts {
    pub(crate) fn of(file: &[u8]) -> Self {
        let length = u64::from_le_bytes(file[..8].try_into().unwrap());
        let (header, tensors) = file[8..].split_at(usize::try_from(length).unwrap());
        let header: Value = serde_json::from_slice(header).unwrap();
        let metadata = header["__metadata__"]["emma"].as_str().unwrap();
        Self {
            metadata: serde_json::from_str(metadata).unwrap(),
            tensors: tensors.to_vec(),
            header,
        }
    }

    pub(crate) fn file(mut self) -> Vec<u8> {
        self.header["__metadata__"]["emma"] = self.metadata.to_string().into();
        let header = self.header.to_string();
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend_from_slice(header.as_bytes());
        file.extend_from_slice(&self.tensors);
        file
    }
}
