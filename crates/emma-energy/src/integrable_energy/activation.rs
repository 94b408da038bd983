//! Activations with their slopes.

use candle_core::{Result, Tensor};
use serde::{Deserialize, Serialize};

use crate::softplus::softplus;

/// What the units of an [`IntegrableEnergy`](super::IntegrableEnergy) make of their input. Smooth,
/// since training needs second derivatives, and of bounded slope.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Activation {
    /// Hyperbolic tangent. On HTRU2's validation rows it learns narrow valleys faster.
    #[default]
    Tanh,
    /// `log(1 + exp(z))`. With it, one hidden layer and output weights of −1 the energy is
    /// the tied autoencoder's [potential](crate::potential_energy()).
    Softplus,
}

impl Activation {
    pub(super) fn value(self, z: &Tensor) -> Result<Tensor> {
        match self {
            Self::Tanh => z.tanh(),
            Self::Softplus => softplus(z),
        }
    }

    pub(super) fn value_and_slope(self, z: &Tensor) -> Result<(Tensor, Tensor)> {
        let value = self.value(z)?;
        let slope = match self {
            Self::Tanh => value.sqr()?.affine(-1., 1.)?,
            Self::Softplus => candle_nn::ops::sigmoid(z)?,
        };
        Ok((value, slope))
    }
}
