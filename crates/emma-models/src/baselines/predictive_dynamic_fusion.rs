use candle_core::{D, Tensor};
use candle_nn::VarBuilder;
use candle_nn::ops::{sigmoid, softmax};
use emma_attention::PotentialEnergies;
use emma_energy::softplus;
use serde::{Deserialize, Serialize};

use super::mode_networks::{
    ModeNetworks, check_binary, check_mode_count, check_weight, cross_entropy_of_modes,
    features_of_modes,
};
use crate::batch::Batch;
use crate::error::Result;
use crate::model::{ModelOutput, MultiModalModel};
use crate::training::{TrainingConfig, binary_cross_entropy};

/// Keeps quotients of two vanishing numbers finite; far below anything that counts, in f32 too.
const TINY: f64 = 1e-30;

/// Widths and weights of a [`PredictiveDynamicFusion`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PredictiveDynamicFusionConfig {
    /// Features of each mode, in order. Default 4 and 4 (HTRU2); at least one mode, each at least 1.
    pub n_features: Vec<usize>,
    /// Widths of the hidden layers of each mode's classifier. Default 8; each at least 1.
    pub hidden: Vec<usize>,
    /// Widths of the hidden layers of each mode's confidence network. Default 8; each at least 1.
    pub confidence_hidden: Vec<usize>,
    /// Weight of the confidence networks' loss. Default 1, as in the paper's published code; at least 0.
    pub confidence_weight: f64,
}

impl Default for PredictiveDynamicFusionConfig {
    fn default() -> Self {
        Self {
            n_features: vec![4, 4],
            hidden: vec![8],
            confidence_hidden: vec![8],
            confidence_weight: 1.,
        }
    }
}

/// Predictive dynamic fusion (PDF): each mode decides by itself, and a second network predicts how
/// probable its decision makes the true label.
///
/// Mode m gives the logit `z_m` and the mono-confidence `c_m`, a prediction of the probability
/// `p_m = σ(z_m)^y (1 − σ(z_m))^(1 − y)` that it gives to the true label, from the last hidden layer. The
/// fused logit is `Σ_m w_m z_m`; [`Beliefs`] says how the shares w come from the confidences.
///
/// Loss: the binary cross-entropy of the fused logit, plus that of each mode, plus the weight times
/// `Σ_m |c_m − p_m|`, each the mean over rows. The shares and `p_m` are constants for the gradient, as are
/// the hidden layers for the confidence networks. Relative calibration is left out while learning.
///
/// NaN must have been replaced.
///
/// # Parameters
/// Under the path of the `VarBuilder`: `encoder.{mode}.…` (up to the last hidden layer; none if there is no
/// hidden layer), `classifier.{mode}.…` and `confidence.{mode}.…`, each as an [`Mlp`](crate::Mlp)'s.
///
/// # Source
/// B. Cao, Y. Xia, Y. Ding, C. Zhang and Q. Hu, "Predictive dynamic fusion", ICML 2024, arXiv:2406.04802;
/// that the confidences learn by absolute errors, and where gradients stop, is taken from its published code.
/// Deviation: the confidence networks have ReLU between their layers, where the published ones are linear.
#[derive(Debug, Clone)]
pub struct PredictiveDynamicFusion {
    config: PredictiveDynamicFusionConfig,
    encoders: Option<ModeNetworks>,
    classifiers: ModeNetworks,
    confidences: ModeNetworks,
}

/// What each mode of a [`PredictiveDynamicFusion`] says, and how far it is to be believed.
///
/// - mono-confidence `c_m`
/// - holo-confidence `h_m = Σ_(j≠m) log c_j / Σ_j log c_j`: high if the *other* modes are expected to fail;
///   the sum over modes is M − 1
/// - co-belief `b_m = c_m + h_m`
/// - distribution uniformity `DU_m`, the mean over both labels of `|probability − 1/2|`, here
///   `|σ(z_m) − 1/2|`; zero for a mode that knows nothing
/// - relative calibration `k_m = DU_m / max_j DU_j`: one for the most certain mode, less for the others
/// - share `w = softmax(b · k)` over the modes, without k while learning
///
/// # Source
/// Cao et al. 2024 (arXiv:2406.04802).
/// Deviation: the calibration is theirs for two modes, `min(1, DU_m / DU_n)`; for more the most certain
/// mode takes the place of the other one.
#[derive(Debug, Clone)]
pub struct Beliefs {
    /// Log-odds of label 1 by each mode, z, `[rows, modes]`.
    pub logits: Tensor,
    /// Log-odds of the mono-confidences, `[rows, modes]`.
    pub confidence_logits: Tensor,
}

impl Beliefs {
    /// Mono-confidence c, `[rows, modes]`, in 0 … 1.
    ///
    /// # Errors
    /// Only candle's own.
    pub fn mono_confidence(&self) -> Result<Tensor> {
        Ok(sigmoid(&self.confidence_logits)?)
    }

    /// Holo-confidence h, `[rows, modes]`, in 0 … 1; zero for a single mode.
    ///
    /// # Errors
    /// Only candle's own.
    pub fn holo_confidence(&self) -> Result<Tensor> {
        // −log σ(t) = softplus(−t), finite where the confidence itself is zero.
        let surprise = softplus(&self.confidence_logits.neg()?)?;
        let all = surprise.sum_keepdim(D::Minus1)?;
        let others = all.broadcast_sub(&surprise)?;
        Ok(others.broadcast_div(&all.maximum(TINY)?)?)
    }

    /// Co-belief, the sum of both confidences, `[rows, modes]`.
    ///
    /// # Errors
    /// Only candle's own.
    pub fn co_belief(&self) -> Result<Tensor> {
        Ok((self.mono_confidence()? + self.holo_confidence()?)?)
    }

    /// Relative calibration k, `[rows, modes]`, in 0 … 1; one where no mode knows anything.
    ///
    /// # Errors
    /// Only candle's own.
    pub fn relative_calibration(&self) -> Result<Tensor> {
        // σ(z) − 1/2 = tanh(z / 2) / 2, without a difference of near numbers.
        let uniformity = ((&self.logits * 0.5)?.tanh()?.abs()? * 0.5)?;
        let largest = (uniformity.max_keepdim(D::Minus1)? + TINY)?;
        Ok((uniformity + TINY)?.broadcast_div(&largest)?)
    }

    /// Shares of the modes while learning, `softmax(b)`, `[rows, modes]`, as constants.
    ///
    /// # Errors
    /// Only candle's own.
    pub fn shares(&self) -> Result<Tensor> {
        Ok(softmax(&self.co_belief()?, D::Minus1)?.detach())
    }

    /// Shares of the modes at evaluation, `softmax(b · k)`, `[rows, modes]`, as constants.
    ///
    /// # Errors
    /// Only candle's own.
    pub fn calibrated_shares(&self) -> Result<Tensor> {
        let calibrated = (self.co_belief()? * self.relative_calibration()?)?;
        Ok(softmax(&calibrated, D::Minus1)?.detach())
    }

    fn fused(&self, shares: &Tensor) -> Result<Tensor> {
        Ok((&self.logits * shares)?.sum(D::Minus1)?)
    }
}

impl PredictiveDynamicFusion {
    /// Takes the parameters from `vb`, drawing them if it can.
    ///
    /// # Errors
    /// [`Error::ModeCount`](crate::Error::ModeCount) for no mode,
    /// [`Error::InvalidSetting`](crate::Error::InvalidSetting) for a width of zero or a weight out of its
    /// range; candle's if a stored tensor does not fit.
    pub fn new(config: &PredictiveDynamicFusionConfig, vb: &VarBuilder) -> Result<Self> {
        check_mode_count(&config.n_features)?;
        check_weight("confidence_weight", config.confidence_weight)?;
        let n_features = &config.n_features;
        let (encoders, widths) = match config.hidden.split_last() {
            Some((&last, before)) => {
                let encoders = ModeNetworks::new(n_features, before, last, &vb.pp("encoder"))?;
                (Some(encoders), vec![last; n_features.len()])
            }
            None => (None, n_features.clone()),
        };
        let confidence = vb.pp("confidence");
        Ok(Self {
            encoders,
            classifiers: ModeNetworks::new(&widths, &[], 1, &vb.pp("classifier"))?,
            confidences: ModeNetworks::new(&widths, &config.confidence_hidden, 1, &confidence)?,
            config: config.clone(),
        })
    }

    /// What each mode says, and its confidence.
    ///
    /// # Errors
    /// [`Error::ModeCount`](crate::Error::ModeCount) or [`Error::Shape`](crate::Error::Shape) for other modes.
    pub fn beliefs(&self, modes: &[Tensor]) -> Result<Beliefs> {
        let modes = features_of_modes(modes, &self.config.n_features)?;
        let hidden = match &self.encoders {
            Some(encoders) => encoders
                .each(&modes)?
                .iter()
                .map(Tensor::relu)
                .collect::<candle_core::Result<_>>()?,
            None => modes,
        };
        let constant: Vec<_> = hidden.iter().map(Tensor::detach).collect();
        Ok(Beliefs {
            logits: self.classifiers.side_by_side(&hidden)?,
            confidence_logits: self.confidences.side_by_side(&constant)?,
        })
    }
}

impl MultiModalModel for PredictiveDynamicFusion {
    fn forward(&self, modes: &[Tensor], _: Option<&PotentialEnergies>) -> Result<ModelOutput> {
        let beliefs = self.beliefs(modes)?;
        ModelOutput::from_network(&beliefs.fused(&beliefs.calibrated_shares()?)?)
    }

    fn training_loss(&self, batch: &Batch, config: &TrainingConfig) -> Result<Option<Tensor>> {
        check_binary(config)?;
        let (labels, weight) = (batch.labels(), config.positive_weight);
        let beliefs = self.beliefs(batch.modes())?;
        let fused = beliefs.fused(&beliefs.shares()?)?;
        let own = cross_entropy_of_modes(&beliefs.logits, labels, weight)?;
        let classification = (binary_cross_entropy(&fused, labels, weight)? + own)?;
        // σ(z) for label 1 and σ(−z) for label 0.
        let direction = labels.affine(2., -1.)?.unsqueeze(1)?;
        let of_true_label = sigmoid(&beliefs.logits.detach().broadcast_mul(&direction)?)?;
        let error = (beliefs.mono_confidence()? - of_true_label)?.abs()?;
        let error = (error.mean(0)?.sum_all()? * self.config.confidence_weight)?;
        Ok(Some((classification + error)?))
    }
}
