//! Sines and cosines of features.

use std::f64::consts::TAU;

use candle_core::Tensor;
use candle_nn::{Init, Module, VarBuilder};
use serde::{Deserialize, Serialize};

use super::{FeatureLayers, at_least_one, by_feature, side_by_side};
use crate::error::{Error, Result};

/// Sizes of a [`PeriodicEmbedding`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PeriodicConfig {
    /// Features. Default 8 (HTRU2); at least 1.
    pub n_features: usize,
    /// Frequencies of a feature. Default 16; at least 1.
    pub n_frequencies: usize,
    /// Outputs of each feature's linear layer. Default 8; at least 1.
    pub n_outputs: usize,
    /// Standard deviation of fresh frequencies, in periods a standard deviation of the feature. Default 0.1; at
    /// least 0, finite.
    pub frequency_std: f64,
}

impl Default for PeriodicConfig {
    fn default() -> Self {
        Self {
            n_features: 8,
            n_frequencies: 16,
            n_outputs: 8,
            frequency_std: 0.1,
        }
    }
}

impl PeriodicConfig {
    /// Numbers that come out for a row.
    pub fn n_embedded(&self) -> usize {
        self.n_features * self.n_outputs
    }
}

/// Sines and cosines of every feature at learned frequencies, then a linear layer a feature and ReLU.
///
/// `ReLU(W [sin(2π c x), cos(2π c x)] + b)`
///
/// # Parameters
/// Under the path of the `VarBuilder`: `frequency` c `[features, frequencies]`, fresh ones normal of mean 0;
/// `weight` W `[features, outputs, 2 · frequencies]`, sines first, and `bias` b `[features, outputs]`; fresh ones
/// are uniform within `±1/sqrt(2 · frequencies)`.
///
/// # Shapes
/// - `[rows, features]` to `[rows, features · outputs]`, feature by feature
///
/// # Source
/// Gorishniy et al. (2022), arXiv:2203.05556, section 3.3 ("PLR").
#[derive(Debug, Clone)]
pub struct PeriodicEmbedding {
    frequency: Tensor,
    layers: FeatureLayers,
}

impl PeriodicEmbedding {
    /// Takes the parameters from `vb`, drawing them if it can.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`]; candle's if a stored tensor does not fit.
    pub fn new(config: &PeriodicConfig, vb: &VarBuilder) -> Result<Self> {
        at_least_one("n_features", config.n_features)?;
        at_least_one("n_frequencies", config.n_frequencies)?;
        at_least_one("n_outputs", config.n_outputs)?;
        if !(0.0..=f64::MAX).contains(&config.frequency_std) {
            return Err(Error::InvalidSetting {
                name: "frequency_std",
                expected: "at least 0 and finite",
                found: config.frequency_std.to_string(),
            });
        }
        let shape = (config.n_features, config.n_frequencies);
        let init = Init::Randn {
            mean: 0.,
            stdev: config.frequency_std,
        };
        let (n_codes, n_outputs) = (2 * config.n_frequencies, config.n_outputs);
        Ok(Self {
            frequency: vb.get_with_hints(shape, "frequency", init)?,
            layers: FeatureLayers::new(config.n_features, n_codes, n_outputs, vb)?,
        })
    }
}

impl Module for PeriodicEmbedding {
    fn forward(&self, rows: &Tensor) -> candle_core::Result<Tensor> {
        let rows = by_feature(rows, self.frequency.dim(0)?)?;
        let phase = (rows.broadcast_mul(&self.frequency.unsqueeze(1)?)? * TAU)?;
        let codes = Tensor::cat(&[phase.sin()?, phase.cos()?], 2)?;
        side_by_side(&self.layers.forward(&codes)?)
    }
}
