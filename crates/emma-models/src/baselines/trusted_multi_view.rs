use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::{D, Tensor};
use candle_nn::VarBuilder;
use emma_attention::PotentialEnergies;
use emma_energy::softplus;
use serde::{Deserialize, Serialize};

use super::digamma::digamma;
use super::mode_networks::{ModeNetworks, check_binary, check_mode_count, features_of_modes};
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::model::{ModelOutput, MultiModalModel};
use crate::training::TrainingConfig;

/// Widths and annealing of a [`TrustedMultiView`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrustedMultiViewConfig {
    /// Features of each mode, in order. Default 4 and 4 (HTRU2); at least one mode, each at least 1.
    pub n_features: Vec<usize>,
    /// Widths of the hidden layers of each mode's network. Default 8; each at least 1.
    pub hidden: Vec<usize>,
    /// Training steps until the divergence has its full weight. Default 3750, ten epochs of 12,000 rows in
    /// mini-batches of 32; at least 1.
    pub annealing_steps: usize,
}

impl Default for TrustedMultiViewConfig {
    fn default() -> Self {
        Self {
            n_features: vec![4, 4],
            hidden: vec![8],
            annealing_steps: 3750,
        }
    }
}

/// Trusted multi-view classification (TMC): each mode gives evidence for both labels, and Dempster's rule
/// combines what they believe.
///
/// Mode m gives the evidence `e_m = softplus(N_m(x_m))`, two numbers. It makes an opinion, see
/// [`Opinions`]; [`combine`] makes one of all modes' evidence. Its Dirichlet distribution has the mean
/// `α_k / S`, so that the logit of label 1 is `log α_1 − log α_0`.
///
/// Loss: of every mode's and of the combined evidence, summed, the mean over rows of
/// `ψ(S) − ψ(α_y) + λ_t KL[Dir(α~) ‖ Dir(1)]`, where α~ is α with 1 in the true label's place; for two labels
/// and a the α of the wrong label, `KL = log a + 1/a − 1`. The annealing is `λ_t = min(1, t / annealing_steps)`
/// with t the training steps so far. A row of label 1 counts `positive_weight` times.
///
/// NaN must have been replaced.
///
/// # Parameters
/// Under the path of the `VarBuilder`: `mode.{mode}.…`, each as an [`Mlp`](crate::Mlp)'s.
///
/// # Source
/// Z. Han, C. Zhang, H. Fu and J. T. Zhou, "Trusted multi-view classification", ICLR 2021, arXiv:2102.02051.
/// Deviation: steps instead of epochs are counted, since a model is not told the epoch; a model built anew,
/// as for a training session that goes on, begins to count anew. Deviation: the divergence is in its closed form for two labels.
#[derive(Debug)]
pub struct TrustedMultiView {
    n_features: Vec<usize>,
    annealing_steps: usize,
    networks: ModeNetworks,
    steps: AtomicUsize,
}

/// Evidence as subjective logic reads it: belief in each of two labels, and what is left uncertain.
///
/// `α_k = e_k + 1`, `S = α_0 + α_1`, belief `b_k = e_k / S`, uncertainty `u = 2 / S`; `b_0 + b_1 + u = 1`.
#[derive(Debug, Clone)]
pub struct Opinions {
    /// Belief in label 0 and label 1, `[rows, 2]`.
    pub belief: Tensor,
    /// Uncertainty, `[rows]`.
    pub uncertainty: Tensor,
}

impl Opinions {
    /// The opinions that evidence makes.
    ///
    /// # Shapes
    /// - `evidence`: `[rows, 2]`, not negative
    ///
    /// # Errors
    /// Only candle's own.
    pub fn of_evidence(evidence: &Tensor) -> Result<Self> {
        let strength = (evidence.sum_keepdim(1)? + 2.)?;
        Ok(Self {
            belief: evidence.broadcast_div(&strength)?,
            uncertainty: (strength.recip()? * 2.)?.squeeze(1)?,
        })
    }
}

/// Evidence that stands for the opinions of several modes together, by the reduced rule of Dempster.
///
/// The rule for two opinions, `b_k = (b_k b'_k + b_k u' + b'_k u) / (1 − C)`, `u'' = u u' / (1 − C)` with
/// conflict `C = b_0 b'_1 + b_1 b'_0`, means for the evidence `e_k + e'_k + e_k e'_k / 2`. It is applied to one
/// mode after the other; the order does not matter.
///
/// # Shapes
/// - `evidence`: `[rows, 2]` a mode, not negative
/// - returns `[rows, 2]`
///
/// # Errors
/// [`Error::ModeCount`] for no mode; candle's if shapes differ.
///
/// # Source
/// Han et al. 2021 (arXiv:2102.02051), their reduced combination rule.
/// Deviation: written for the evidence, where nothing is divided by a vanishing `1 − C`.
pub fn combine(evidence: &[Tensor]) -> Result<Tensor> {
    let Some((first, others)) = evidence.split_first() else {
        return Err(Error::ModeCount {
            expected: 1,
            found: 0,
        });
    };
    others.iter().try_fold(first.clone(), |together, other| {
        let product = ((&together * other)? * 0.5)?;
        Ok(((together + other)? + product)?)
    })
}

impl TrustedMultiView {
    /// Takes the parameters from `vb`, drawing them if it can.
    ///
    /// # Errors
    /// [`Error::ModeCount`] for no mode, [`Error::InvalidSetting`] for a width of zero or no annealing
    /// steps; candle's if a stored tensor does not fit.
    pub fn new(config: &TrustedMultiViewConfig, vb: &VarBuilder) -> Result<Self> {
        check_mode_count(&config.n_features)?;
        if config.annealing_steps == 0 {
            return Err(Error::InvalidSetting {
                name: "annealing_steps",
                expected: "at least 1",
                found: "0".into(),
            });
        }
        Ok(Self {
            n_features: config.n_features.clone(),
            annealing_steps: config.annealing_steps,
            networks: ModeNetworks::new(&config.n_features, &config.hidden, 2, &vb.pp("mode"))?,
            steps: AtomicUsize::new(0),
        })
    }

    /// Evidence for label 0 and label 1 by each mode, `[rows, 2]` a mode, positive.
    ///
    /// # Errors
    /// [`Error::ModeCount`] or [`Error::Shape`] for other modes.
    pub fn evidence(&self, modes: &[Tensor]) -> Result<Vec<Tensor>> {
        let modes = features_of_modes(modes, &self.n_features)?;
        let outputs = self.networks.each(&modes)?;
        Ok(outputs
            .iter()
            .map(softplus)
            .collect::<candle_core::Result<_>>()?)
    }

    /// Weight λ_t of the divergence in the next training step, 0 … 1.
    pub fn annealing(&self) -> f64 {
        annealing(self.steps.load(Ordering::Relaxed), self.annealing_steps)
    }

    /// The loss of a mini-batch (a scalar) with the weight `annealing` of the divergence.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for another loss than the binary one; [`Error::ModeCount`] or
    /// [`Error::Shape`] for other modes.
    pub fn loss(&self, batch: &Batch, config: &TrainingConfig, annealing: f64) -> Result<Tensor> {
        check_binary(config)?;
        let mut evidence = self.evidence(batch.modes())?;
        evidence.push(combine(&evidence)?);
        let labels = batch.labels();
        let row_weights = labels.affine(config.positive_weight - 1., 1.)?;
        let mut row_losses = labels.zeros_like()?;
        for evidence in &evidence {
            row_losses = (row_losses + evidential_loss(evidence, labels, annealing)?)?;
        }
        Ok((row_losses * row_weights)?.mean(0)?)
    }
}

impl MultiModalModel for TrustedMultiView {
    fn forward(&self, modes: &[Tensor], _: Option<&PotentialEnergies>) -> Result<ModelOutput> {
        let log_alpha = (combine(&self.evidence(modes)?)? + 1.)?.log()?;
        ModelOutput::from_network(&(log_alpha.narrow(1, 1, 1)? - log_alpha.narrow(1, 0, 1)?)?)
    }

    fn training_loss(&self, batch: &Batch, config: &TrainingConfig) -> Result<Option<Tensor>> {
        let step = self.steps.fetch_add(1, Ordering::Relaxed);
        let loss = self.loss(batch, config, annealing(step, self.annealing_steps))?;
        Ok(Some(loss))
    }
}

fn annealing(step: usize, annealing_steps: usize) -> f64 {
    (step as f64 / annealing_steps as f64).min(1.)
}

/// `ψ(S) − ψ(α_y) + λ (log a + 1/a − 1)`, `[rows]`.
fn evidential_loss(evidence: &Tensor, labels: &Tensor, annealing: f64) -> Result<Tensor> {
    let alpha = (evidence + 1.)?;
    let label_is_one = labels.unsqueeze(1)?;
    let label_is_zero = label_is_one.affine(-1., 1.)?;
    let of_true = Tensor::cat(&[&label_is_zero, &label_is_one], 1)?;
    let of_wrong = Tensor::cat(&[&label_is_one, &label_is_zero], 1)?;
    let right = (&alpha * of_true)?.sum(D::Minus1)?;
    let wrong = (&alpha * of_wrong)?.sum(D::Minus1)?;
    let strength = alpha.sum(D::Minus1)?;
    let cross_entropy = (digamma(&strength)? - digamma(&right)?)?;
    let divergence = ((wrong.log()? + wrong.recip()?)? - 1.)?;
    Ok((cross_entropy + (divergence * annealing)?)?)
}
