//! The losses that models learn from.

use std::collections::BTreeMap;

use candle_core::{D, DType, Tensor};
use emma_energy::softplus;
use emma_energy::transfer::scalar;
use serde::{Deserialize, Serialize};

use super::config::TrainingConfig;
use crate::error::{Error, Result};

/// Which loss a model learns from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// [`binary_cross_entropy`] of one logit a row.
    #[default]
    BinaryCrossEntropy,
    /// [`cross_entropy`] of one logit a class.
    CrossEntropy,
    /// [`squared_error`] of one number a row.
    SquaredError,
}

impl Loss {
    // By reference, as serde asks for it.
    #[allow(clippy::trivially_copy_pass_by_ref)]
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl TrainingConfig {
    /// The loss that is chosen, of what the network gave: a scalar, the mean over rows.
    ///
    /// # Shapes
    /// - `outputs`: `[rows]`, or `[rows, classes]` for the cross-entropy of several classes
    /// - `labels`: `[rows]`
    ///
    /// # Errors
    /// Candle's, if shapes do not fit.
    pub fn task_loss(&self, outputs: &Tensor, labels: &Tensor) -> Result<Tensor> {
        match self.loss {
            Loss::BinaryCrossEntropy => binary_cross_entropy(outputs, labels, self.positive_weight),
            Loss::CrossEntropy => cross_entropy(outputs, labels),
            Loss::SquaredError => squared_error(outputs, labels),
        }
    }
}

/// Cross-entropy of several classes, the mean over rows of `log Σ_k exp(z_k) − z_y`.
///
/// # Shapes
/// - `logits` z: `[rows, classes]`
/// - `labels` y: `[rows]`, places among the classes: 0, 1, …, of any type of number
/// - returns a scalar
///
/// # Units
/// Nats.
///
/// # Errors
/// Candle's, if shapes do not fit or a label is no class.
pub fn cross_entropy(logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
    let log_probabilities = candle_nn::ops::log_softmax(logits, D::Minus1)?;
    let classes = labels.to_dtype(DType::U32)?.unsqueeze(1)?;
    let of_label = log_probabilities.gather(&classes, 1)?.squeeze(1)?;
    Ok(of_label.mean(0)?.neg()?)
}

/// Squared error, the mean over rows of `(z − y)²`.
///
/// # Shapes
/// - `outputs` z, `targets` y: `[rows]`
/// - returns a scalar
///
/// # Units
/// Those of the targets, squared.
///
/// # Errors
/// Candle's, if lengths differ.
pub fn squared_error(outputs: &Tensor, targets: &Tensor) -> Result<Tensor> {
    Ok((outputs - targets)?.sqr()?.mean(0)?)
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

/// Smallest loss that a model can have that says the same of every row.
///
/// A model whose loss is not below has learned nothing from the rows: with few ReLU units it may
/// have started with all of them dead. It is the entropy of the labels, or the variance of the targets.
///
/// # Shapes
/// - `labels`: `[rows]`, as the loss of `config` takes them
///
/// # Units
/// Those of the loss.
///
/// # Errors
/// [`Error::NoRows`]; candle's otherwise.
pub fn constant_prediction_loss(labels: &Tensor, config: &TrainingConfig) -> Result<f64> {
    if labels.elem_count() == 0 {
        return Err(Error::NoRows { what: "labels" });
    }
    let labels = labels.to_dtype(DType::F64)?;
    let mean = scalar(&labels.mean_all()?)?;
    let shares = match config.loss {
        Loss::SquaredError => return Ok(scalar(&(labels - mean)?.sqr()?.mean_all()?)?),
        Loss::BinaryCrossEntropy => vec![config.positive_weight * mean, 1. - mean],
        Loss::CrossEntropy => {
            let labels: Vec<f64> = labels.to_vec1()?;
            let mut counts = BTreeMap::new();
            for label in &labels {
                *counts.entry(label.to_bits()).or_insert(0.) += 1.;
            }
            let n_rows = labels.len() as f64;
            counts.values().map(|count| count / n_rows).collect()
        }
    };
    let all: f64 = shares.iter().sum();
    let weighed = shares.iter().filter(|&&weight| weight > 0.);
    Ok(weighed.map(|weight| -weight * (weight / all).ln()).sum())
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn cross_entropy_of_two_classes_is_the_binary_one() -> Result<()> {
        let logits = Tensor::new(&[[0.5f64, 2.], [3., -1.], [0., 0.]], &Device::Cpu)?;
        let labels = Tensor::new(&[1f64, 1., 0.], &Device::Cpu)?;
        let difference = (logits.narrow(1, 1, 1)? - logits.narrow(1, 0, 1)?)?.squeeze(1)?;
        let of_two = scalar(&cross_entropy(&logits, &labels)?)?;
        let binary = scalar(&binary_cross_entropy(&difference, &labels, 1.)?)?;
        assert!((of_two - binary).abs() < 1e-14, "{of_two} {binary}");
        Ok(())
    }

    #[test]
    fn what_is_constant_costs_the_entropy_or_the_variance() -> Result<()> {
        let labels = Tensor::new(&[0f32, 1., 2., 2.], &Device::Cpu)?;
        let of = |loss| {
            let config = TrainingConfig {
                loss,
                ..TrainingConfig::default()
            };
            constant_prediction_loss(&labels, &config)
        };
        let entropy = 0.5 * 4f64.ln() + 0.5 * 2f64.ln();
        assert!((of(Loss::CrossEntropy)? - entropy).abs() < 1e-14);
        assert!((of(Loss::SquaredError)? - 0.6875).abs() < 1e-14);
        Ok(())
    }
}
