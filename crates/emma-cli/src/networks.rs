//! The networks that are trained, and what stands before them.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use emma_attention::{Coldness, Emma, EmmaConfig, Regularizers};
use emma_energy::SeededVarMap;
use emma_models::{
    AlternativeAttention, Concatenation, Coupled, Mlp, MlpConfig, MultiModalModel, SingleMode,
};

use crate::energies::Energies;
use crate::failure::CommandResult;

/// Named tensors.
pub(crate) type Tensors = BTreeMap<String, Tensor>;

/// Any of the models, to be trained on any thread.
pub(crate) type DynModel = dyn MultiModalModel + Send + Sync;

/// One combination of EMMA's hyper-parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) coldness: Coldness,
    pub(crate) regularizers: Regularizers,
}

impl Candidate {
    /// Whether it has neither regularizer.
    pub(crate) fn is_plain(&self) -> bool {
        self.regularizers.capacity_weight == 0. && self.regularizers.energy_weight == 0.
    }
}

/// All combinations: coldness slowest, λ_e fastest. `regularizers` says what the weights weigh.
pub(crate) fn combinations(
    coldness: &[f64],
    lambda_c: &[f64],
    lambda_e: &[f64],
    regularizers: Regularizers,
) -> CommandResult<Vec<Candidate>> {
    let mut candidates = Vec::new();
    for &coldness in coldness {
        let coldness = Coldness::new(coldness)?;
        for &capacity_weight in lambda_c {
            for &energy_weight in lambda_e {
                let regularizers = Regularizers {
                    capacity_weight,
                    energy_weight,
                    ..regularizers
                };
                candidates.push(Candidate {
                    coldness,
                    regularizers,
                });
            }
        }
    }
    Ok(candidates)
}

/// What stands before a network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Front {
    /// Nothing; the network sees one mode, by its index.
    SingleMode(usize),
    /// Nothing: the modes side by side.
    Open,
    /// A softmax over modes without energies.
    Softmax,
    /// EMMA.
    Emma(Candidate),
}

/// The sizes of a model.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shape {
    /// Features of every mode.
    pub(crate) mode_widths: Vec<usize>,
    /// Widths of the network's hidden layers.
    pub(crate) hidden: Vec<usize>,
    /// Outputs of the network.
    pub(crate) n_outputs: usize,
    /// Lower bound of EMMA's self-energy weights in training.
    pub(crate) minimum_self_weight: f64,
}

/// Builds a model on `variables`, which live on `device`.
pub(crate) fn build(
    front: Front,
    shape: &Shape,
    energies: &Energies,
    variables: &SeededVarMap,
    device: &Device,
) -> CommandResult<Box<DynModel>> {
    let vb = variables.var_builder(DType::F32, device);
    let (n_modes, n_features) = (shape.mode_widths.len(), shape.mode_widths.iter().sum());
    let config = MlpConfig {
        n_inputs: match front {
            Front::SingleMode(mode) => shape.mode_widths[mode],
            _ => n_features,
        },
        hidden: shape.hidden.clone(),
        n_outputs: shape.n_outputs,
    };
    let network = Mlp::new(&config, &vb.pp("network"))?;
    Ok(match front {
        Front::SingleMode(mode_index) => Box::new(SingleMode {
            mode_index,
            network,
        }),
        Front::Open => Box::new(Concatenation { network }),
        Front::Softmax => {
            let vb = vb.pp("alternative");
            Box::new(AlternativeAttention::new(
                n_modes, n_features, network, &vb,
            )?)
        }
        Front::Emma(candidate) => {
            let config = EmmaConfig {
                n_modes,
                coldness: candidate.coldness,
                minimum_self_weight: shape.minimum_self_weight,
                ..EmmaConfig::default()
            };
            let emma = Emma::new(&config, &energies.minimum_potential, &vb.pp("attention"))?;
            Box::new(Coupled::new(
                energies.estimators(),
                emma,
                candidate.regularizers,
                network,
            )?)
        }
    })
}
