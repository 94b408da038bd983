use candle_core::{D, Tensor};
use candle_nn::VarBuilder;
use emma_attention::PotentialEnergies;
use emma_energy::softplus;
use serde::{Deserialize, Serialize};

use super::mode_networks::{
    ModeNetworks, check_binary, check_mode_count, check_weight, cross_entropy_of_modes,
    features_of_modes,
};
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::model::{ModelOutput, MultiModalModel};
use crate::training::{TrainingConfig, binary_cross_entropy};

/// Widths and weights of a [`QualityAwareFusion`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QualityAwareFusionConfig {
    /// Features of each mode, in order. Default 4 and 4 (HTRU2); at least one mode, each at least 1.
    pub n_features: Vec<usize>,
    /// Widths of the hidden layers of each mode's network. Default 8; each at least 1.
    pub hidden: Vec<usize>,
    /// Temperature T of the energy score. Default 1; positive.
    pub temperature: f64,
    /// How much confidence a unit of energy takes away, −α. Default 0.1; at least 0.
    pub confidence_slope: f64,
    /// Confidence at an energy of zero, β. Default 0; at least 0.
    pub confidence_bias: f64,
    /// Weight λ of the ranking penalty. Default 0.1; at least 0.
    pub ranking_weight: f64,
}

impl Default for QualityAwareFusionConfig {
    fn default() -> Self {
        Self {
            n_features: vec![4, 4],
            hidden: vec![8],
            temperature: 1.,
            confidence_slope: 0.1,
            confidence_bias: 0.,
            ranking_weight: 0.1,
        }
    }
}

/// Quality-aware multimodal fusion (QMF): each mode decides by itself, and its decision counts as much
/// as its energy score is low.
///
/// Mode m gives two logits `f_m,0` and `f_m,1`. Energy score `u_m = −T log Σ_k exp(f_m,k / T)`, confidence
/// `w_m = β − slope · u_m`, decision `f = Σ_m w_m f_m`; the logit of label 1 is `f_1 − f_0`.
///
/// Loss: the binary cross-entropy of the decision, plus that of each mode's own, plus λ times
/// [`ranking_penalty`].
///
/// NaN must have been replaced.
///
/// # Parameters
/// Under the path of the `VarBuilder`: `mode.{mode}.…`, each as an [`Mlp`](crate::Mlp)'s.
///
/// # Source
/// Q. Zhang, H. Wu, C. Zhang, Q. Hu, H. Fu, J. T. Zhou and X. Peng, "Provable dynamic fusion for
/// low-quality multimodal data", ICML 2023, arXiv:2306.02050; defaults of the weights from its published code.
/// Deviation: see [`ranking_penalty`] on the history of losses.
#[derive(Debug, Clone)]
pub struct QualityAwareFusion {
    config: QualityAwareFusionConfig,
    networks: ModeNetworks,
}

/// What each mode of a [`QualityAwareFusion`] decides, and how sure it is.
#[derive(Debug, Clone)]
pub struct ModeDecisions {
    /// Log-odds of label 1 by each mode, `f_m,1 − f_m,0`, `[rows, modes]`.
    pub logits: Tensor,
    /// Confidence w of each mode, `[rows, modes]`; of any sign, and in no fixed sum.
    pub confidence: Tensor,
}

impl ModeDecisions {
    /// Log-odds of label 1 of the fusion, `Σ_m w_m (f_m,1 − f_m,0)`, `[rows]`.
    ///
    /// # Errors
    /// Only candle's own.
    pub fn fused(&self) -> Result<Tensor> {
        Ok((&self.logits * &self.confidence)?.sum(D::Minus1)?)
    }
}

impl QualityAwareFusion {
    /// Takes the parameters from `vb`, drawing them if it can.
    ///
    /// # Errors
    /// [`Error::ModeCount`] for no mode, [`Error::InvalidSetting`] for a width of zero or a weight out of
    /// its range; candle's if a stored tensor does not fit.
    pub fn new(config: &QualityAwareFusionConfig, vb: &VarBuilder) -> Result<Self> {
        check_mode_count(&config.n_features)?;
        if !(config.temperature.is_finite() && config.temperature > 0.) {
            return Err(Error::InvalidSetting {
                name: "temperature",
                expected: "positive and finite",
                found: config.temperature.to_string(),
            });
        }
        check_weight("confidence_slope", config.confidence_slope)?;
        check_weight("confidence_bias", config.confidence_bias)?;
        check_weight("ranking_weight", config.ranking_weight)?;
        Ok(Self {
            networks: ModeNetworks::new(&config.n_features, &config.hidden, 2, &vb.pp("mode"))?,
            config: config.clone(),
        })
    }

    /// What each mode decides, and how sure it is.
    ///
    /// # Errors
    /// [`Error::ModeCount`] or [`Error::Shape`] for other modes.
    pub fn decisions(&self, modes: &[Tensor]) -> Result<ModeDecisions> {
        let modes = features_of_modes(modes, &self.config.n_features)?;
        let outputs = self.networks.each(&modes)?;
        let column = |k| -> candle_core::Result<Tensor> {
            let columns = outputs.iter().map(|output| output.narrow(1, k, 1));
            Tensor::cat(&columns.collect::<candle_core::Result<Vec<_>>>()?, 1)
        };
        let of_zero = column(0)?;
        let logits = (column(1)? - &of_zero)?;
        // log(exp(a) + exp(b)) = a + softplus(b − a).
        let temperature = self.config.temperature;
        let negative_energy = (of_zero + (softplus(&(&logits / temperature)?)? * temperature)?)?;
        let confidence =
            negative_energy.affine(self.config.confidence_slope, self.config.confidence_bias)?;
        Ok(ModeDecisions { logits, confidence })
    }
}

impl MultiModalModel for QualityAwareFusion {
    fn forward(&self, modes: &[Tensor], _: Option<&PotentialEnergies>) -> Result<ModelOutput> {
        ModelOutput::from_network(&self.decisions(modes)?.fused()?)
    }

    fn training_loss(&self, batch: &Batch, config: &TrainingConfig) -> Result<Option<Tensor>> {
        check_binary(config)?;
        let (labels, weight) = (batch.labels(), config.positive_weight);
        let decisions = self.decisions(batch.modes())?;
        let own = cross_entropy_of_modes(&decisions.logits, labels, weight)?;
        let classification = (binary_cross_entropy(&decisions.fused()?, labels, weight)? + own)?;
        // Without the positive class's weight: it says what an error costs, not how hard a row is.
        let logits = &decisions.logits;
        let row_losses = (softplus(logits)? - logits.broadcast_mul(&labels.unsqueeze(1)?)?)?;
        let ranking = ranking_penalty(&decisions.confidence, &row_losses)?;
        Ok(Some(
            (classification + (ranking * self.config.ranking_weight)?)?,
        ))
    }
}

/// How far the confidences are from the order of the losses: a mode should be surer of a row that it
/// gets right.
///
/// Of each mode, over pairs of rows (i, j), every row with the next one and the last with the first, the
/// mean of `max(0, sign(κ_i − κ_j) (w_i − w_j) + |κ_i − κ_j|)`, summed over modes. κ are the losses,
/// brought linearly to 0 … 1 over the rows, w the confidences. It is zero if in every pair the row of
/// the lower loss has more confidence by at least the difference of the losses.
///
/// # Shapes
/// - `confidence` w: `[rows, modes]`
/// - `losses`: `[rows, modes]`, taken as constants
/// - returns a scalar
///
/// # Errors
/// [`Error::NoRows`]; candle's if shapes differ.
///
/// # Source
/// Zhang et al. 2023 (arXiv:2306.02050), their ranking-based regularization, after J. Moon et al.,
/// "Confidence-aware learning for deep neural networks", ICML 2020.
/// Deviation: κ is the loss of the current step, scaled over the mini-batch, instead of the mean over
/// the epochs so far, scaled over the training rows: a batch does not say which rows it holds, and rows
/// may be corrupted anew in every epoch.
/// Deviation: the margin is added, as in the paper's formula; its published code subtracts it.
pub fn ranking_penalty(confidence: &Tensor, losses: &Tensor) -> Result<Tensor> {
    let losses = losses.detach();
    if losses.dim(0)? == 0 {
        return Err(Error::NoRows { what: "losses" });
    }
    let least = losses.min_keepdim(0)?;
    // A range of zero means equal losses, which stay equal whatever they are divided by.
    let range = (losses.max_keepdim(0)? - &least)?.maximum(1e-30f64)?;
    let scaled = losses.broadcast_sub(&least)?.broadcast_div(&range)?;
    let difference = |values: &Tensor| values - values.roll(-1, 0)?;
    let of_losses = difference(&scaled)?;
    let wrong_order = (of_losses.sign()? * difference(confidence)?)?;
    Ok((wrong_order + of_losses.abs()?)?
        .relu()?
        .mean(0)?
        .sum_all()?)
}
