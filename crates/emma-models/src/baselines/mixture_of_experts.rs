use candle_core::{D, Tensor};
use candle_nn::{Module, VarBuilder};
use emma_attention::PotentialEnergies;
use emma_energy::softplus;
use serde::{Deserialize, Serialize};

use super::mode_networks::{ModeNetworks, check_mode_count, features_of_modes};
use crate::error::Result;
use crate::model::{ModelOutput, MultiModalModel, concatenate};
use crate::network::{Mlp, MlpConfig};

/// Widths of a [`MixtureOfExperts`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MixtureOfExpertsConfig {
    /// Features of each mode, in order. Default 4 and 4 (HTRU2); at least one mode, each at least 1.
    pub n_features: Vec<usize>,
    /// Widths of the hidden layers of every expert. Default 8; each at least 1.
    pub expert_hidden: Vec<usize>,
    /// Widths of the hidden layers of the gate. Default 8; each at least 1.
    pub gate_hidden: Vec<usize>,
    /// Whether one more expert sees all modes. Default no.
    pub joint_expert: bool,
}

impl Default for MixtureOfExpertsConfig {
    fn default() -> Self {
        Self {
            n_features: vec![4, 4],
            expert_hidden: vec![8],
            gate_hidden: vec![8],
            joint_expert: false,
        }
    }
}

/// Mixture of experts: a network a mode, and a gate over all features that says how likely each is the
/// one to ask.
///
/// `p = Σ_k g_k σ(z_k)`, `g = softmax(G(x))`, x all features side by side; `z_k = E_k(x_k)` of expert k,
/// a mode's or, as the last one, that of all modes. The logit is `log p − log(1 − p)`, both in log space:
/// `log p = logsumexp_k(log g_k + log σ(z_k))`.
///
/// The negative log-likelihood of the mixture, `−y log p − (1 − y) log(1 − p)`, is the binary
/// cross-entropy of this logit, so that the task's own loss trains it.
///
/// NaN must have been replaced.
///
/// # Parameters
/// Under the path of the `VarBuilder`: `expert.{mode}.…`, `joint_expert.…` if there is one, and `gate.…`,
/// each as an [`Mlp`]'s.
///
/// # Source
/// R. A. Jacobs, M. I. Jordan, S. J. Nowlan and G. E. Hinton, "Adaptive mixtures of local experts",
/// Neural Computation 3 (1991), 79–87.
/// Deviation: the likelihood is Bernoulli's instead of their Gaussian one, since the
/// task is binary. Deviation: each expert sees its mode instead of all features.
#[derive(Debug, Clone)]
pub struct MixtureOfExperts {
    n_features: Vec<usize>,
    experts: ModeNetworks,
    joint_expert: Option<Mlp>,
    gate: Mlp,
}

/// What the experts and the gate of a [`MixtureOfExperts`] say.
#[derive(Debug, Clone)]
pub struct Mixture {
    /// Log-odds of label 1 by each expert, `[rows, experts]`.
    pub expert_logits: Tensor,
    /// Log of the gate's shares, `[rows, experts]`; the shares of a row sum to one.
    pub log_shares: Tensor,
}

impl Mixture {
    /// Log-odds of label 1 of the mixture, `[rows]`.
    ///
    /// # Errors
    /// Only candle's own.
    pub fn logits(&self) -> Result<Tensor> {
        // log σ(z) = −softplus(−z).
        let log_of_one = (&self.log_shares - softplus(&self.expert_logits.neg()?)?)?;
        let log_of_zero = (&self.log_shares - softplus(&self.expert_logits)?)?;
        Ok((log_sum_exp(&log_of_one)? - log_sum_exp(&log_of_zero)?)?)
    }
}

impl MixtureOfExperts {
    /// Takes the parameters from `vb`, drawing them if it can.
    ///
    /// # Errors
    /// [`Error::ModeCount`](crate::Error::ModeCount) for no mode,
    /// [`Error::InvalidSetting`](crate::Error::InvalidSetting) for a width of zero; candle's if a stored
    /// tensor does not fit.
    pub fn new(config: &MixtureOfExpertsConfig, vb: &VarBuilder) -> Result<Self> {
        check_mode_count(&config.n_features)?;
        let of_all = |hidden: &[usize], n_outputs| MlpConfig {
            n_inputs: config.n_features.iter().sum(),
            hidden: hidden.to_vec(),
            n_outputs,
        };
        let experts = ModeNetworks::new(
            &config.n_features,
            &config.expert_hidden,
            1,
            &vb.pp("expert"),
        )?;
        let joint_expert = if config.joint_expert {
            let joint = of_all(&config.expert_hidden, 1);
            Some(Mlp::new(&joint, &vb.pp("joint_expert"))?)
        } else {
            None
        };
        let n_experts = config.n_features.len() + usize::from(config.joint_expert);
        let gate = of_all(&config.gate_hidden, n_experts);
        Ok(Self {
            n_features: config.n_features.clone(),
            experts,
            joint_expert,
            gate: Mlp::new(&gate, &vb.pp("gate"))?,
        })
    }

    /// What the experts and the gate say of every row.
    ///
    /// # Errors
    /// [`Error::ModeCount`](crate::Error::ModeCount) or [`Error::Shape`](crate::Error::Shape) for other modes.
    pub fn mixture(&self, modes: &[Tensor]) -> Result<Mixture> {
        let modes = features_of_modes(modes, &self.n_features)?;
        let all = concatenate(&modes)?;
        let mut expert_logits = self.experts.each(&modes)?;
        if let Some(expert) = &self.joint_expert {
            expert_logits.push(expert.forward(&all)?);
        }
        Ok(Mixture {
            expert_logits: Tensor::cat(&expert_logits, 1)?,
            log_shares: candle_nn::ops::log_softmax(&self.gate.forward(&all)?, D::Minus1)?,
        })
    }
}

impl MultiModalModel for MixtureOfExperts {
    fn forward(&self, modes: &[Tensor], _: Option<&PotentialEnergies>) -> Result<ModelOutput> {
        ModelOutput::from_network(&self.mixture(modes)?.logits()?)
    }
}

/// `log Σ_k exp(x_k)` of every row, without overflow.
fn log_sum_exp(terms: &Tensor) -> candle_core::Result<Tensor> {
    // The largest term is a mere shift: without it in the graph the gradient is the same.
    let largest = terms.max_keepdim(D::Minus1)?.detach();
    let sum = terms.broadcast_sub(&largest)?.exp()?.sum(D::Minus1)?;
    sum.log()? + largest.squeeze(D::Minus1)?
}
