//! Several perceptrons trained side by side, which answer together.

use candle_core::Tensor;
use candle_nn::{Init, Module, VarBuilder};
use emma_attention::PotentialEnergies;
use emma_energy::softplus;
use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::grouped_affine::{Activation, Summation, grouped_affine};
use crate::model::{ModelOutput, MultiModalModel, concatenate};
use crate::training::TrainingConfig;

/// Sizes of an [`EnsembleMlp`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EnsembleMlpConfig {
    /// Input features. Default 8 (HTRU2); at least 1.
    pub n_inputs: usize,
    /// Widths of each member's hidden layers, in order. Default 64 and 64; each at least 1.
    pub hidden: Vec<usize>,
    /// Outputs of each member. Default 1 (one logit); at least 1.
    pub n_outputs: usize,
    /// Members K. Default 4; at least 1.
    pub n_members: usize,
    /// Whether members share the hidden layers' weights and differ by adapters. Default no.
    pub shared: bool,
    /// How members' outputs become one answer. Default the mean probability.
    pub answer: EnsembleAnswer,
}

impl Default for EnsembleMlpConfig {
    fn default() -> Self {
        Self {
            n_inputs: 8,
            hidden: vec![64, 64],
            n_outputs: 1,
            n_members: 4,
            shared: false,
            answer: EnsembleAnswer::default(),
        }
    }
}

/// How members' outputs become one answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnsembleAnswer {
    /// Of logits: the logit of the members' mean probability, or, of several classes, the logarithm of their
    /// mean probabilities.
    #[default]
    MeanProbability,
    /// Of numbers: their mean.
    MeanOutput,
}

/// K multi-layer perceptrons with ReLU between their layers, which learn in one pass, each by itself, and
/// answer together.
///
/// With one output, `z_k` the members' logits, the answer is the logit of the mean probability
/// `p = Σ_k σ(z_k) / K`, from logarithms, so that it neither overflows nor saturates:
///
/// `log p − log(1 − p) = logsumexp_k(−softplus(−z_k)) − logsumexp_k(−softplus(z_k))`
///
/// With `shared`, a hidden layer's weights W are one for all members, which differ by adapters r and s of
/// rank one and by biases: `y_k = s_k ⊙ (W (r_k ⊙ x)) + b_k`. The last layer stays each member's own.
///
/// What is to be minimized is [`mean_member_loss`](Self::mean_member_loss), the mean of the members' losses: with the loss
/// of the mean, members would learn to make up for each other instead of the task. As a
/// [`MultiModalModel`] this sees all modes side by side and brings that loss itself.
///
/// # Rows and batches
/// On the CPU, in f32 and f64, answers add products in the order of the features: a row's bits do not depend on its
/// batch (as with [`row_affine()`](emma_energy::row_affine())). The training loss takes general matrix products,
/// which are faster and whose last bits depend on the size of the mini-batch.
///
/// # Parameters
/// Under the path of the `VarBuilder`, for layer k = 0, 1, …: `{k}.weight` `[members, out, in]` and `{k}.bias`
/// `[members, out]`; fresh ones are uniform within `±1/sqrt(in)`. With `shared`, hidden layers have
/// `{k}.weight` `[out, in]`, `{k}.input_adapter` r `[members, in]`, `{k}.output_adapter` s `[members, out]` and
/// `{k}.bias` `[members, out]`; fresh adapters are 1, but for r of the first layer, standard normal.
///
/// # Shapes
/// - `[rows, n_inputs]` to `[rows, n_outputs]`
///
/// # Source
/// Y. Gorishniy, A. Kotelnikov and A. Babenko, "TabM: advancing tabular deep learning with parameter-efficient
/// ensembling" (2025), arXiv:2410.24210; Y. Wen, D. Tran and J. Ba, "BatchEnsemble" (2020), arXiv:2002.06715.
/// Deviation: TabM's members begin with equal biases, here each has its own.
#[derive(Debug, Clone)]
pub struct EnsembleMlp {
    layers: Vec<Layer>,
    n_members: usize,
    answer: EnsembleAnswer,
}

#[derive(Debug, Clone)]
enum Layer {
    Independent {
        weight: Tensor,
        bias: Tensor,
    },
    Shared {
        weight: Tensor,
        input_adapter: Tensor,
        output_adapter: Tensor,
        bias: Tensor,
    },
}

impl EnsembleMlp {
    /// Takes the parameters from `vb`, drawing them if it can.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for a width of zero or no member; candle's if a stored tensor does not fit.
    pub fn new(config: &EnsembleMlpConfig, vb: &VarBuilder) -> Result<Self> {
        let mut widths = vec![config.n_inputs];
        widths.extend(&config.hidden);
        widths.push(config.n_outputs);
        let check = |valid: bool, name, found| {
            let expected = "at least 1";
            valid.then_some(()).ok_or(Error::InvalidSetting {
                name,
                expected,
                found,
            })
        };
        check(!widths.contains(&0), "network width", format!("{widths:?}"))?;
        check(config.n_members > 0, "n_members", "0".into())?;
        let layers = widths.windows(2).enumerate().map(|(k, width)| {
            let is_shared = config.shared && k < config.hidden.len();
            let width = [width[0], width[1]];
            Layer::new(config.n_members, width, is_shared, k == 0, &vb.pp(k))
        });
        Ok(Self {
            layers: layers.collect::<Result<_>>()?,
            n_members: config.n_members,
            answer: config.answer,
        })
    }

    /// Number of members, K.
    pub fn n_members(&self) -> usize {
        self.n_members
    }

    /// What each member says by itself.
    ///
    /// # Shapes
    /// - `rows`: `[rows, n_inputs]`
    /// - returns `[rows, members]`, or `[rows, members, outputs]` if members have several outputs
    ///
    /// # Errors
    /// Candle's, if shapes do not fit.
    pub fn member_logits(&self, rows: &Tensor) -> Result<Tensor> {
        let outputs = self.outputs(rows, Summation::InOrder)?;
        Ok(squeezed(&outputs.transpose(0, 1)?.contiguous()?)?)
    }

    /// The mean over members of each one's own loss, a scalar.
    ///
    /// # Shapes
    /// - `rows`: `[rows, n_inputs]`
    /// - `labels`: `[rows]`, as the loss of `config` takes them
    ///
    /// # Errors
    /// Candle's, if shapes do not fit.
    pub fn mean_member_loss(
        &self,
        rows: &Tensor,
        labels: &Tensor,
        config: &TrainingConfig,
    ) -> Result<Tensor> {
        let outputs = self.outputs(rows, Summation::AsFastest)?;
        // All members have the same rows: the mean of means is the mean over rows of all members.
        let outputs = squeezed(&outputs.flatten(0, 1)?)?;
        config.task_loss(&outputs, &labels.repeat(self.n_members)?)
    }

    /// `[members, rows, outputs]`.
    fn outputs(&self, rows: &Tensor, summation: Summation) -> candle_core::Result<Tensor> {
        let (n_rows, n_inputs) = rows.dims2()?;
        let mut hidden = rows.broadcast_as((self.n_members, n_rows, n_inputs))?;
        for (k, layer) in self.layers.iter().enumerate() {
            let activation = if k + 1 < self.layers.len() {
                Activation::Relu
            } else {
                Activation::None
            };
            let bias = layer.bias();
            hidden = grouped_affine(
                &hidden,
                &layer.member_weights()?,
                bias,
                activation,
                summation,
            )?;
        }
        Ok(hidden)
    }
}

impl Layer {
    fn new(
        n_members: usize,
        [inputs, outputs]: [usize; 2],
        is_shared: bool,
        is_first: bool,
        vb: &VarBuilder,
    ) -> Result<Self> {
        let bound = 1. / (inputs as f64).sqrt();
        let init = Init::Uniform {
            lo: -bound,
            up: bound,
        };
        let bias = |vb: &VarBuilder| vb.get_with_hints((n_members, outputs), "bias", init);
        if !is_shared {
            return Ok(Self::Independent {
                weight: vb.get_with_hints((n_members, outputs, inputs), "weight", init)?,
                bias: bias(vb)?,
            });
        }
        let ones = Init::Const(1.);
        let normal = Init::Randn {
            mean: 0.,
            stdev: 1.,
        };
        let adapter = if is_first { normal } else { ones };
        Ok(Self::Shared {
            weight: vb.get_with_hints((outputs, inputs), "weight", init)?,
            input_adapter: vb.get_with_hints((n_members, inputs), "input_adapter", adapter)?,
            output_adapter: vb.get_with_hints((n_members, outputs), "output_adapter", ones)?,
            bias: bias(vb)?,
        })
    }

    /// `[members, out, in]`. Adapters go into the weights, which are fewer than a mini-batch's hidden values.
    fn member_weights(&self) -> candle_core::Result<Tensor> {
        match self {
            Self::Independent { weight, .. } => Ok(weight.clone()),
            Self::Shared {
                weight,
                input_adapter,
                output_adapter,
                ..
            } => weight
                .unsqueeze(0)?
                .broadcast_mul(&input_adapter.unsqueeze(1)?)?
                .broadcast_mul(&output_adapter.unsqueeze(2)?),
        }
    }

    fn bias(&self) -> &Tensor {
        match self {
            Self::Independent { bias, .. } | Self::Shared { bias, .. } => bias,
        }
    }
}

impl Module for EnsembleMlp {
    fn forward(&self, rows: &Tensor) -> candle_core::Result<Tensor> {
        let outputs = self.outputs(rows, Summation::InOrder)?;
        let outputs = outputs.transpose(0, 1)?.contiguous()?;
        if self.answer == EnsembleAnswer::MeanOutput {
            return outputs.mean(1);
        }
        // One member is its own mean, to the last bit.
        if self.n_members == 1 {
            return outputs.squeeze(1);
        }
        if outputs.dim(2)? == 1 {
            let log_probability = softplus(&outputs.neg()?)?.neg()?.log_sum_exp(1)?;
            let log_complement = softplus(&outputs)?.neg()?.log_sum_exp(1)?;
            return log_probability - log_complement;
        }
        let log_probabilities = candle_nn::ops::log_softmax(&outputs, 2)?;
        log_probabilities.log_sum_exp(1)? - (self.n_members as f64).ln()
    }
}

impl MultiModalModel for EnsembleMlp {
    fn forward(&self, modes: &[Tensor], _: Option<&PotentialEnergies>) -> Result<ModelOutput> {
        ModelOutput::from_network(&Module::forward(self, &concatenate(modes)?)?)
    }

    fn training_loss(&self, batch: &Batch, config: &TrainingConfig) -> Result<Option<Tensor>> {
        let rows = concatenate(batch.modes())?;
        Ok(Some(self.mean_member_loss(
            &rows,
            batch.labels(),
            config,
        )?))
    }
}

/// Without the last dimension if it is one output.
fn squeezed(outputs: &Tensor) -> candle_core::Result<Tensor> {
    let last = outputs.rank().saturating_sub(1);
    if outputs.dim(last)? == 1 {
        return outputs.squeeze(last);
    }
    Ok(outputs.clone())
}
