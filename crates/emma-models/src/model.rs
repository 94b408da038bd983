//! What every multi-modal classifier can do.

use candle_core::Tensor;
use emma_attention::{EmmaOutput, PotentialEnergies};

use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::training::{StandardForm, TrainingConfig};

/// What a model says about a batch.
#[derive(Debug, Clone)]
pub struct ModelOutput {
    /// What the network gives: log-odds of label 1 or one number, `[rows]`; log-probabilities of several
    /// classes up to a constant, `[rows, classes]`.
    pub logits: Tensor,
    /// What EMMA saw on the way, if the model has it.
    pub emma: Option<EmmaOutput>,
}

impl ModelOutput {
    /// Output of a network without EMMA.
    ///
    /// # Shapes
    /// - `output`: `[rows]`, `[rows, 1]` or `[rows, classes]`
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub fn from_network(output: &Tensor) -> Result<Self> {
        Ok(Self {
            logits: outputs_of_rows(output)?,
            emma: None,
        })
    }

    /// Probability of label 1, `sigmoid(logit)`, `[rows]`, of a binary classifier.
    ///
    /// # Errors
    /// Only candle's own.
    pub fn probabilities(&self) -> Result<Tensor> {
        Ok(candle_nn::ops::sigmoid(&self.logits)?)
    }
}

/// A model of rows that have several modes.
pub trait MultiModalModel {
    /// What the network gives for every row, before any sigmoid or softmax.
    ///
    /// # Shapes
    /// - `modes`: one `[rows, …]` tensor a mode, standardized
    /// - `potentials`: `[rows, modes]`, if already computed; models without EMMA ignore them
    ///
    /// # Errors
    /// If the modes are not those the model was built for, or the computation fails.
    fn forward(
        &self,
        modes: &[Tensor],
        potentials: Option<&PotentialEnergies>,
    ) -> Result<ModelOutput>;

    /// Terms to add to the training loss (a scalar), if any.
    ///
    /// # Errors
    /// If a term needs corruption signs and there are none.
    fn penalty(
        &self,
        _output: &ModelOutput,
        _corruption_sign: Option<&Tensor>,
    ) -> Result<Option<Tensor>> {
        Ok(None)
    }

    /// The whole loss of a training mini-batch (a scalar), for models that learn otherwise than by the
    /// task's loss of [`forward`](Self::forward): ensembles, whose members learn by themselves, networks
    /// that draw at random while they learn, losses with terms of their own. By default there is none.
    ///
    /// A model that gives one is trained by candle's operations, and [`penalty`](Self::penalty) is not
    /// asked for. Validation looks at [`forward`](Self::forward) in any case.
    ///
    /// # Errors
    /// The model's own.
    fn training_loss(&self, _batch: &Batch, _config: &TrainingConfig) -> Result<Option<Tensor>> {
        Ok(None)
    }

    /// Puts parameters back into their ranges, after every optimizer step.
    ///
    /// # Errors
    /// Only candle's own.
    fn project(&self) -> Result<()> {
        Ok(())
    }

    /// The model as fused training steps see it, if it is one that they know.
    ///
    /// By default it is not: candle's operations then do the training, through the methods above. A
    /// model with a form is promised to mean the same by both.
    fn standard_form(&self) -> Option<StandardForm<'_>> {
        None
    }
}

impl<M: MultiModalModel + ?Sized> MultiModalModel for Box<M> {
    fn forward(
        &self,
        modes: &[Tensor],
        potentials: Option<&PotentialEnergies>,
    ) -> Result<ModelOutput> {
        (**self).forward(modes, potentials)
    }

    fn penalty(
        &self,
        output: &ModelOutput,
        corruption_sign: Option<&Tensor>,
    ) -> Result<Option<Tensor>> {
        (**self).penalty(output, corruption_sign)
    }

    fn training_loss(&self, batch: &Batch, config: &TrainingConfig) -> Result<Option<Tensor>> {
        (**self).training_loss(batch, config)
    }

    fn project(&self) -> Result<()> {
        (**self).project()
    }

    fn standard_form(&self) -> Option<StandardForm<'_>> {
        (**self).standard_form()
    }
}

/// Flattens modes of any rank to features and lines them up: `[rows, all features]`.
///
/// # Errors
/// [`Error::ModeCount`] for no mode; candle's if rows differ.
pub fn concatenate(modes: &[Tensor]) -> Result<Tensor> {
    if modes.is_empty() {
        return Err(Error::ModeCount {
            expected: 1,
            found: 0,
        });
    }
    let flat = modes
        .iter()
        .map(|mode| {
            if mode.rank() == 1 {
                mode.unsqueeze(1)
            } else {
                mode.flatten_from(1)
            }
        })
        .collect::<candle_core::Result<Vec<_>>>()?;
    Ok(Tensor::cat(&flat, 1)?)
}

pub(crate) fn outputs_of_rows(output: &Tensor) -> Result<Tensor> {
    match output.dims() {
        [_, 1] => Ok(output.squeeze(1)?),
        [_] | [_, _] => Ok(output.clone()),
        dims => Err(Error::Shape {
            what: "network output".into(),
            expected: "[rows] or [rows, outputs]".into(),
            found: dims.to_vec(),
        }),
    }
}
