//! Stage two: training a model, stopped where it does best on validation rows.

use candle_core::Tensor;
use candle_nn::Optimizer;
use emma_energy::SeededVarMap;
use emma_energy::optimization::{adam, mini_batches, shuffled_rows};
use emma_energy::softplus;
use emma_energy::transfer::scalar;
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::model::MultiModalModel;

/// How a model is trained.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingConfig {
    /// Passes over the training rows, at most. Default 35; at least 1.
    pub n_epochs: usize,
    /// Rows a step. Default 32; at least 1.
    pub batch_size: usize,
    /// Adam's step size. Default 1e-3; positive.
    pub learning_rate: f64,
    /// Weight of the positive class in the loss. Default 1 (none); positive.
    pub positive_weight: f64,
    /// Epochs without a better validation loss before training stops. Default none: all epochs
    /// run, and the best one's parameters are kept all the same.
    pub patience: Option<usize>,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            n_epochs: 35,
            batch_size: 32,
            learning_rate: 1e-3,
            positive_weight: 1.,
            patience: None,
        }
    }
}

impl TrainingConfig {
    fn validate(&self) -> Result<()> {
        let check = |valid: bool, name, expected, found: f64| {
            if valid {
                return Ok(());
            }
            Err(Error::InvalidSetting {
                name,
                expected,
                found: found.to_string(),
            })
        };
        let positive = |value: f64| value.is_finite() && value > 0.;
        check(self.n_epochs > 0, "n_epochs", "at least 1", 0.)?;
        check(self.batch_size > 0, "batch_size", "at least 1", 0.)?;
        check(
            positive(self.learning_rate),
            "learning_rate",
            "positive and finite",
            self.learning_rate,
        )?;
        check(
            positive(self.positive_weight),
            "positive_weight",
            "positive and finite",
            self.positive_weight,
        )
    }
}

/// Losses of one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpochLosses {
    /// One-based epoch.
    pub epoch: usize,
    /// Mean loss of the epoch's steps, with the model's penalty.
    pub training: f64,
    /// Loss on the validation rows after the epoch, without the penalty.
    pub validation: f64,
}

/// What happened in training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingHistory {
    /// All epochs that ran.
    pub epochs: Vec<EpochLosses>,
    /// One-based epoch of the lowest validation loss, whose parameters were kept.
    pub best_epoch: usize,
}

impl TrainingHistory {
    /// Validation loss of the best epoch; infinite if none ran.
    pub fn best_validation_loss(&self) -> f64 {
        self.best_epoch
            .checked_sub(1)
            .and_then(|index| self.epochs.get(index))
            .map_or(f64::INFINITY, |losses| losses.validation)
    }
}

/// Rows to learn from, which may be drawn afresh for every epoch.
///
/// A fixed [`Batch`] is one; so is whatever corrupts clean rows anew each time it is asked.
pub trait TrainingRows {
    /// The rows of one epoch.
    ///
    /// # Errors
    /// [`Error::Rows`] if they cannot be made.
    fn of_epoch(&mut self, epoch: usize) -> Result<Batch>;
}

impl TrainingRows for &Batch {
    fn of_epoch(&mut self, _epoch: usize) -> Result<Batch> {
        // Tensors are shared, not copied.
        Ok((*self).clone())
    }
}

/// Binary cross-entropy of logits, the mean over rows.
///
/// `(1 + (p − 1) y) softplus(z) − p y z` with p the weight of the positive class: equal to
/// `−p y log σ(z) − (1 − y) log(1 − σ(z))`, without overflow.
///
/// # Shapes
/// - `logits`, `labels`: `[rows]`; labels 0 or 1
/// - returns a scalar
///
/// # Units
/// Nats.
///
/// # Errors
/// Candle's, if lengths differ.
pub fn binary_cross_entropy(
    logits: &Tensor,
    labels: &Tensor,
    positive_weight: f64,
) -> Result<Tensor> {
    let loss = if (positive_weight - 1.).abs() < f64::EPSILON {
        (softplus(logits)? - (labels * logits)?)?
    } else {
        let row_weight = ((labels * (positive_weight - 1.))? + 1.)?;
        ((row_weight * softplus(logits)?)? - ((labels * logits)? * positive_weight)?)?
    };
    Ok(loss.mean(0)?)
}

/// Smallest loss that a model can have that gives every row the same probability.
///
/// A model whose loss is not below has learned nothing from the rows: with few ReLU units it may
/// have started with all of them dead.
///
/// # Shapes
/// - `labels`: `[rows]`, 0 or 1
///
/// # Units
/// Nats, as [`binary_cross_entropy`].
///
/// # Errors
/// [`Error::NoRows`]; candle's otherwise.
pub fn constant_prediction_loss(labels: &Tensor, positive_weight: f64) -> Result<f64> {
    if labels.elem_count() == 0 {
        return Err(Error::NoRows { what: "labels" });
    }
    let rate = scalar(&labels.mean_all()?)?;
    let (positive, negative) = (positive_weight * rate, 1. - rate);
    let term = |weight: f64| {
        if weight > 0. {
            -weight * (weight / (positive + negative)).ln()
        } else {
            0.
        }
    };
    Ok(term(positive) + term(negative))
}

/// Trains the model whose parameters `variables` holds and leaves it as it was after the epoch of
/// the lowest validation loss.
///
/// `on_epoch` is called after every epoch, for progress.
///
/// # Errors
/// [`Error::InvalidSetting`], [`Error::NoRows`], [`Error::Diverged`], and the model's own.
///
/// # Source
/// Thesis section 5.6, phase 2, and section 6.4.
pub fn train(
    model: &impl MultiModalModel,
    variables: &SeededVarMap,
    mut training: impl TrainingRows,
    validation: &Batch,
    config: &TrainingConfig,
    rng: &mut impl Rng,
    mut on_epoch: impl FnMut(&EpochLosses),
) -> Result<TrainingHistory> {
    let mut stepper = Stepper::new(variables, config)?;
    if validation.n_rows() == 0 {
        return Err(Error::NoRows {
            what: "validation rows",
        });
    }
    let mut epochs = Vec::new();
    let mut best_epoch = 0;
    let mut best_loss = f64::INFINITY;
    let mut best_parameters = variables.snapshot()?;
    for epoch in 1..=config.n_epochs {
        let losses = EpochLosses {
            epoch,
            training: stepper.epoch(model, &training.of_epoch(epoch)?, config, rng, epoch)?,
            validation: finite(
                "validation",
                epoch,
                validation_loss(model, validation, config)?,
            )?,
        };
        on_epoch(&losses);
        epochs.push(losses);
        if losses.validation < best_loss {
            best_epoch = epoch;
            best_loss = losses.validation;
            best_parameters = variables.snapshot()?;
        } else if config
            .patience
            .is_some_and(|patience| epoch - best_epoch >= patience.max(1))
        {
            break;
        }
    }
    variables.restore(&best_parameters)?;
    Ok(TrainingHistory { epochs, best_epoch })
}

/// Trains for exactly `config.n_epochs` epochs, without validation: the thesis's retraining on
/// training and validation rows together for the number of epochs found before.
///
/// # Errors
/// As [`train`].
///
/// # Source
/// Thesis section 6.4.
pub fn train_without_validation(
    model: &impl MultiModalModel,
    variables: &SeededVarMap,
    mut rows: impl TrainingRows,
    config: &TrainingConfig,
    rng: &mut impl Rng,
) -> Result<()> {
    let mut stepper = Stepper::new(variables, config)?;
    for epoch in 1..=config.n_epochs {
        stepper.epoch(model, &rows.of_epoch(epoch)?, config, rng, epoch)?;
    }
    Ok(())
}

struct Stepper {
    optimizer: candle_nn::AdamW,
}

impl Stepper {
    fn new(variables: &SeededVarMap, config: &TrainingConfig) -> Result<Self> {
        config.validate()?;
        Ok(Self {
            optimizer: adam(variables.all_vars(), config.learning_rate)?,
        })
    }

    /// One pass over the rows in random order; returns the mean loss.
    fn epoch(
        &mut self,
        model: &impl MultiModalModel,
        rows: &Batch,
        config: &TrainingConfig,
        rng: &mut impl Rng,
        epoch: usize,
    ) -> Result<f64> {
        if rows.n_rows() == 0 {
            return Err(Error::NoRows {
                what: "training rows",
            });
        }
        // One gather an epoch: the mini-batches are then views.
        let order = shuffled_rows(rows.n_rows(), rng, rows.labels().device())?;
        let shuffled = rows.select(&order)?;
        let mut total = 0.;
        for (start, length) in mini_batches(rows.n_rows(), config.batch_size) {
            let batch = shuffled.narrow(start, length)?;
            let output = model.forward(batch.modes(), batch.potentials())?;
            let task =
                binary_cross_entropy(&output.logits, batch.labels(), config.positive_weight)?;
            let loss = match model.penalty(&output, batch.corruption_sign())? {
                Some(penalty) => (task + penalty)?,
                None => task,
            };
            self.optimizer.backward_step(&loss)?;
            model.project()?;
            total += scalar(&loss)? * length as f64;
        }
        finite("training", epoch, total / rows.n_rows() as f64)
    }
}

fn validation_loss(
    model: &impl MultiModalModel,
    rows: &Batch,
    config: &TrainingConfig,
) -> Result<f64> {
    let output = model.forward(rows.modes(), rows.potentials())?;
    // A loss to look at, not to differentiate: the graph is dropped at once.
    let logits = output.logits.detach();
    let loss = binary_cross_entropy(&logits, rows.labels(), config.positive_weight)?;
    Ok(scalar(&loss)?)
}

fn finite(which: &'static str, epoch: usize, value: f64) -> Result<f64> {
    if value.is_finite() {
        return Ok(value);
    }
    Err(Error::Diverged {
        which,
        epoch,
        value,
    })
}
