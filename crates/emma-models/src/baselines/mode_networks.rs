//! One network a mode, and what the models that have them check.

use candle_core::{Module, Tensor};
use candle_nn::VarBuilder;

use crate::error::{Error, Result};
use crate::model::concatenate;
use crate::network::{Mlp, MlpConfig};
use crate::training::{Loss, TrainingConfig, binary_cross_entropy};

/// A perceptron for each mode.
#[derive(Debug, Clone)]
pub(super) struct ModeNetworks {
    networks: Vec<Mlp>,
}

impl ModeNetworks {
    /// Perceptrons at `{mode_index}` below the path of `vb`.
    pub(super) fn new(
        n_features: &[usize],
        hidden: &[usize],
        n_outputs: usize,
        vb: &VarBuilder,
    ) -> Result<Self> {
        let networks = n_features
            .iter()
            .enumerate()
            .map(|(mode_index, &n_inputs)| {
                let config = MlpConfig {
                    n_inputs,
                    hidden: hidden.to_vec(),
                    n_outputs,
                };
                Mlp::new(&config, &vb.pp(mode_index))
            })
            .collect::<Result<_>>()?;
        Ok(Self { networks })
    }

    /// What each network gives for its mode, `[rows, n_outputs]` each.
    pub(super) fn each(&self, modes: &[Tensor]) -> Result<Vec<Tensor>> {
        let pairs = self.networks.iter().zip(modes);
        Ok(pairs
            .map(|(network, mode)| network.forward(mode))
            .collect::<candle_core::Result<_>>()?)
    }

    /// The outputs of all networks side by side: `[rows, modes · n_outputs]`.
    pub(super) fn side_by_side(&self, modes: &[Tensor]) -> Result<Tensor> {
        Ok(Tensor::cat(&self.each(modes)?, 1)?)
    }
}

/// Fails for a model of no mode at all.
pub(super) fn check_mode_count(n_features: &[usize]) -> Result<()> {
    if n_features.is_empty() {
        return Err(Error::ModeCount {
            expected: 1,
            found: 0,
        });
    }
    Ok(())
}

/// Fails for a number that is negative, infinite or none.
pub(super) fn check_weight(name: &'static str, value: f64) -> Result<()> {
    if value.is_finite() && value >= 0. {
        return Ok(());
    }
    Err(Error::InvalidSetting {
        name,
        expected: "at least 0 and finite",
        found: value.to_string(),
    })
}

/// The modes as `[rows, features]` each, if they are those the model was built for.
pub(super) fn features_of_modes(modes: &[Tensor], n_features: &[usize]) -> Result<Vec<Tensor>> {
    if modes.len() != n_features.len() {
        return Err(Error::ModeCount {
            expected: n_features.len(),
            found: modes.len(),
        });
    }
    let mut n_rows = None;
    let checked = modes.iter().zip(n_features).enumerate();
    checked
        .map(|(mode_index, (mode, &expected))| {
            let flat = if mode.rank() == 0 {
                mode.clone()
            } else {
                concatenate(std::slice::from_ref(mode))?
            };
            let rows = *n_rows.get_or_insert(flat.dims().first().copied().unwrap_or(0));
            if flat.dims() != [rows, expected] {
                return Err(Error::Shape {
                    what: format!("mode {mode_index}"),
                    expected: format!("[{rows}, {expected}]"),
                    found: mode.dims().to_vec(),
                });
            }
            Ok(flat)
        })
        .collect()
}

/// Fails for a loss of another task: the models here are binary classifiers.
pub(super) fn check_binary(config: &TrainingConfig) -> Result<()> {
    if config.loss == Loss::BinaryCrossEntropy {
        return Ok(());
    }
    Err(Error::InvalidSetting {
        name: "loss",
        expected: "binary_cross_entropy for this model",
        found: format!("{:?}", config.loss),
    })
}

/// Binary cross-entropies of the columns of `logits` `[rows, modes]`, added up: a scalar.
pub(super) fn cross_entropy_of_modes(
    logits: &Tensor,
    labels: &Tensor,
    positive_weight: f64,
) -> Result<Tensor> {
    // A mean over rows and modes, times the modes, is the sum of the modes' means.
    let n_modes = logits.dim(1)?;
    let repeated = labels.unsqueeze(1)?.broadcast_as(logits.shape())?;
    let mean = binary_cross_entropy(
        &logits.flatten_all()?,
        &repeated.flatten_all()?,
        positive_weight,
    )?;
    Ok((mean * n_modes as f64)?)
}
