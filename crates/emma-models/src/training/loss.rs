//! The loss that classifiers learn from.

use candle_core::Tensor;
use emma_energy::softplus;
use emma_energy::transfer::scalar;

use crate::error::{Error, Result};

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
