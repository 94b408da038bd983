//! Which models the fused steps can train.

use std::any::Any;

use candle_core::{DType, Tensor};
use emma_attention::{CapacityPenalty, CouplingExponent, Emma, Regularizers};
use emma_energy::EnergyEstimator;
use emma_kernels::{GateConfig, Network, StageTwoConfig};

use crate::batch::Batch;
use crate::error::Result;
use crate::network::Mlp;
use crate::training::{Loss, TrainingConfig};

/// A model as the fused training steps see it: modes, a gate that weighs them, a perceptron.
///
/// What [`MultiModalModel::standard_form`](crate::MultiModalModel::standard_form) gives, so that
/// [`train`](crate::train) can do without candle's graph. A model that wraps another may pass on that
/// model's form, if it adds nothing of its own to forward pass, penalty and projection.
///
/// Both ways differ in one convention: where a ReLU's input is exactly 0, fused steps take the slope 0 and candle
/// 1. Biases that begin at 0 before a mode of zeros are the case in which it shows.
#[derive(Clone, Copy)]
pub struct StandardForm<'a> {
    pub(crate) single_mode: Option<usize>,
    pub(crate) gate: StandardGate<'a>,
    pub(crate) network: &'a Mlp,
}

/// What weighs the modes.
#[derive(Clone, Copy)]
pub(crate) enum StandardGate<'a> {
    Open,
    Softmax {
        weight: &'a Tensor,
        bias: &'a Tensor,
    },
    Emma {
        estimators: &'a [Box<dyn EnergyEstimator>],
        emma: &'a Emma,
        regularizers: &'a Regularizers,
    },
}

impl std::fmt::Debug for StandardForm<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let gate = match self.gate {
            StandardGate::Open => "open",
            StandardGate::Softmax { .. } => "softmax",
            StandardGate::Emma { .. } => "EMMA",
        };
        f.debug_struct("StandardForm")
            .field("single_mode", &self.single_mode)
            .field("gate", &gate)
            .field("network", &self.network.widths())
            .finish()
    }
}

/// The network, if it is a perceptron.
pub(crate) fn perceptron<N: Any>(network: &N) -> Option<&Mlp> {
    (network as &dyn Any).downcast_ref()
}

impl<'a> StandardForm<'a> {
    /// All parameters, in the order in which the fused steps hold them.
    pub(super) fn parameters(&self) -> Vec<&'a Tensor> {
        let mut parameters = match self.gate {
            StandardGate::Open => Vec::new(),
            StandardGate::Softmax { weight, bias } => vec![weight, bias],
            StandardGate::Emma { emma, .. } => emma.parameters().into(),
        };
        for (weight, bias) in self.network.layers() {
            parameters.extend([weight, bias]);
        }
        parameters
    }

    /// The modes that it looks at, if the batch has them.
    pub(super) fn modes<'b>(&self, batch: &'b Batch) -> Option<&'b [Tensor]> {
        match self.single_mode {
            None => Some(batch.modes()),
            Some(mode) => batch.modes().get(mode..=mode),
        }
    }

    /// Sizes and settings for these rows; nothing if rows and model are not on the CPU in f32 or do not fit
    /// together (candle's path then says why).
    pub(super) fn config(
        &self,
        batch: &Batch,
        config: &TrainingConfig,
    ) -> Result<Option<StageTwoConfig>> {
        let modes = self.modes(batch).unwrap_or_default();
        let n_modes = modes.len();
        let n_rows = batch.n_rows().max(1);
        let mode_widths: Vec<usize> = modes
            .iter()
            .map(|mode| mode.elem_count() / n_rows)
            .collect();
        let n_features = mode_widths.iter().sum();
        let widths = self.network.widths();
        let signs = batch.corruption_sign();
        let potentials = batch.potentials();
        let gate_fits = match self.gate {
            StandardGate::Open => true,
            StandardGate::Softmax { weight, bias } => {
                weight.dims() == [n_modes, n_features] && bias.dims() == [n_modes]
            }
            StandardGate::Emma {
                emma, regularizers, ..
            } => {
                emma.config().n_modes == n_modes
                    && is_plain(emma.minimum_potential())
                    && potentials.is_none_or(|potentials| {
                        potentials.n_modes() == n_modes && is_plain(potentials.as_tensor())
                    })
                    && (regularizers.energy_weight == 0. || signs.is_some_and(is_plain))
            }
        };
        let fits = n_modes > 0
            && modes.iter().all(is_plain)
            && is_plain(batch.labels())
            && widths.first() == Some(&n_features)
            && widths.last() == Some(&1)
            && config.loss == Loss::BinaryCrossEntropy
            && gate_fits;
        if !fits {
            return Ok(None);
        }
        Ok(Some(StageTwoConfig {
            mode_widths,
            gate: self.gate.config()?,
            network: Network { widths },
            batch_size: config.batch_size,
            learning_rate: config.learning_rate,
            positive_weight: config.positive_weight,
        }))
    }
}

impl StandardGate<'_> {
    fn config(&self) -> Result<GateConfig> {
        Ok(match self {
            Self::Open => GateConfig::Open,
            Self::Softmax { .. } => GateConfig::Softmax,
            Self::Emma {
                emma, regularizers, ..
            } => {
                let config = emma.config();
                GateConfig::Emma {
                    minimum_potential: emma.minimum_potential().to_vec1()?,
                    coldness: config.coldness.value(),
                    capacity_weight: regularizers.capacity_weight,
                    capacity_minus_bias: regularizers.capacity_penalty
                        == CapacityPenalty::GainMinusBias,
                    energy_weight: regularizers.energy_weight,
                    minimum_self_weight: config.minimum_self_weight,
                    coupling_limit: config.coupling_limit.bound(config.n_modes),
                    symmetric: config.coupling_exponent == CouplingExponent::Symmetric,
                }
            }
        })
    }
}

/// Whether the fused steps can read it.
pub(super) fn is_plain(tensor: &Tensor) -> bool {
    tensor.dtype() == DType::F32 && tensor.device().is_cpu()
}
