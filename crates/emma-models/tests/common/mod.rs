//! Every model of the crate on a small two-mode problem.
#![allow(dead_code, clippy::unwrap_used)] // Each test file uses what it needs.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use emma_attention::{Coldness, Emma, EmmaConfig, Regularizers};
use emma_energy::{
    AutoencoderConfig, DenoisingAutoencoder, EnergyEstimator, PotentialEnergy, SeededVarMap,
};
use emma_models::checkpoint::{FORMAT_VERSION, Kind};
use emma_models::trained::{ALTERNATIVE_ATTENTION, DENOISING_AUTOENCODER, MLP};
use emma_models::{
    AlternativeAttention, Batch, Checkpoint, Concatenation, Coupled, Mlp, MlpConfig, ModeColumns,
    ModelMetadata, MultiModalModel, SingleMode, Task,
};
use rand::Rng;

/// Features of the two modes.
pub(crate) const FEATURES: [usize; 2] = [3, 2];

/// The names every model of the crate goes by in these tests.
pub(crate) const MODELS: [&str; 4] = ["concatenation", "single_mode", "alternative", "emma"];

/// A model with the variables it trains.
pub(crate) struct Built {
    pub(crate) model: Box<dyn MultiModalModel + Send + Sync>,
    pub(crate) variables: SeededVarMap,
    /// Frozen tensors that a checkpoint needs beside the variables.
    pub(crate) frozen: BTreeMap<String, Tensor>,
    /// Variables of the energy estimators, which stage two must not train.
    pub(crate) energies: Option<SeededVarMap>,
}

pub(crate) fn build(name: &str, seed: u64, device: &Device) -> Built {
    let variables = SeededVarMap::new(emma_testkit::rng(seed));
    let vb = variables.var_builder(DType::F32, device);
    let n_features: usize = FEATURES.iter().sum();
    let network = |n_inputs: usize| {
        let config = MlpConfig {
            n_inputs,
            hidden: vec![6, 4],
            n_outputs: 1,
        };
        Mlp::new(&config, &vb.pp("network")).unwrap()
    };
    let mut frozen = BTreeMap::new();
    let mut estimator_variables = None;
    let model: Box<dyn MultiModalModel + Send + Sync> = match name {
        "concatenation" => Box::new(Concatenation {
            network: network(n_features),
        }),
        "single_mode" => Box::new(SingleMode {
            mode_index: 1,
            network: network(FEATURES[1]),
        }),
        "alternative" => {
            let network = network(n_features);
            let vb = vb.pp("alternative");
            Box::new(AlternativeAttention::new(2, n_features, network, &vb).unwrap())
        }
        "emma" => {
            let energies = SeededVarMap::new(emma_testkit::rng(seed + 1));
            let energy_vb = energies.var_builder(DType::F32, device).pp("energy");
            let estimators = ["a", "b"].iter().zip(FEATURES).map(|(mode, n_features)| {
                let config = AutoencoderConfig {
                    n_features,
                    n_hidden: 5,
                };
                let autoencoder = DenoisingAutoencoder::new(&config, &energy_vb.pp(mode)).unwrap();
                Box::new(PotentialEnergy(autoencoder.frozen())) as Box<dyn EnergyEstimator>
            });
            let estimators = estimators.collect();
            frozen.extend(energies.snapshot().unwrap());
            estimator_variables = Some(energies);
            let minimum = Tensor::new(&[-4f32, -3.], device).unwrap();
            frozen.insert("attention.minimum_potential".into(), minimum.clone());
            let config = EmmaConfig {
                coldness: Coldness::new(0.2).unwrap(),
                ..EmmaConfig::default()
            };
            let emma = Emma::new(&config, &minimum, &vb.pp("attention")).unwrap();
            let network = network(n_features);
            Box::new(Coupled::new(estimators, emma, Regularizers::default(), network).unwrap())
        }
        _ => panic!("no model {name}"),
    };
    Built {
        model,
        variables,
        frozen,
        energies: estimator_variables,
    }
}

/// Rows whose label both modes know, with the labels.
pub(crate) fn rows(n_rows: usize, seed: u64, device: &Device) -> Batch {
    let mut rng = emma_testkit::rng(seed);
    let labels: Vec<f32> = (0..n_rows)
        .map(|row| f32::from(u8::from(row % 3 == 0)))
        .collect();
    let modes = FEATURES.map(|n_features| {
        let values: Vec<f32> = labels
            .iter()
            .flat_map(|label| vec![2. * label - 1.; n_features])
            .map(|center| center + rng.random_range(-1.5f32..1.5))
            .collect();
        Tensor::from_vec(values, (n_rows, n_features), device).unwrap()
    });
    let labels = Tensor::from_vec(labels, n_rows, device).unwrap();
    Batch::new(modes.to_vec(), labels).unwrap()
}

/// A checkpoint of a model, with standardization that changes something.
pub(crate) fn checkpoint(name: &str, built: &Built) -> Checkpoint {
    let device = Device::Cpu;
    let mut tensors = built.variables.snapshot().unwrap();
    tensors.extend(built.frozen.clone());
    let mut modes = Vec::new();
    for (mode, n_features) in ["a", "b"].into_iter().zip(FEATURES) {
        if name == "single_mode" && mode == "a" {
            continue;
        }
        let mean = (Tensor::ones(n_features, DType::F32, &device).unwrap() * 3.).unwrap();
        tensors.insert(format!("standardize.{mode}.std"), (&mean * 0.5).unwrap());
        tensors.insert(format!("standardize.{mode}.mean"), mean);
        modes.push(ModeColumns {
            name: mode.into(),
            columns: (0..n_features).map(|i| format!("{mode}_{i}")).collect(),
        });
    }
    let metadata = ModelMetadata {
        format_version: FORMAT_VERSION,
        name: Some(name.into()),
        modes,
        label: "label".into(),
        coldness: (name == "emma").then_some(0.2),
        energy: (name == "emma").then(|| Kind::new(DENOISING_AUTOENCODER)),
        network: Kind::new(if name == "alternative" {
            ALTERNATIVE_ATTENTION
        } else {
            MLP
        })
        .with("hidden", vec![6, 4]),
        threshold: 0.25,
        task: Task::default(),
        abstention: None,
        training: serde_json::Map::new(),
    };
    Checkpoint::new(metadata, tensors).unwrap()
}
