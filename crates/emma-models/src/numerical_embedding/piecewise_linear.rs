//! Piecewise linear encoding of features.

use std::collections::BTreeMap;

use candle_core::Tensor;
use candle_nn::{Module, VarBuilder};
use serde::{Deserialize, Serialize};

use super::{FeatureLayers, QuantileBins, at_least_one, by_feature, side_by_side};
use crate::error::Result;

/// Name of the edges' tensor under an embedding's path.
const EDGES: &str = "edges";

/// Sizes of a [`PiecewiseLinearEmbedding`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PiecewiseLinearConfig {
    /// Features. Default 8 (HTRU2); at least 1.
    pub n_features: usize,
    /// Bins of a feature. Default 16; at least 1.
    pub n_bins: usize,
    /// Outputs of each feature's linear layer, at least 1; none leaves the codes as they are. Default 8.
    pub n_outputs: Option<usize>,
}

impl Default for PiecewiseLinearConfig {
    fn default() -> Self {
        Self {
            n_features: 8,
            n_bins: 16,
            n_outputs: Some(8),
        }
    }
}

impl PiecewiseLinearConfig {
    /// Numbers that come out for a row.
    pub fn n_embedded(&self) -> usize {
        self.n_features * self.n_outputs.unwrap_or(self.n_bins)
    }
}

/// Every feature as how much of each of its bins lies below it, then a linear layer a feature and ReLU.
///
/// The code of bin t, from the edge b_{t−1} to b_t, is
///
/// `e_t = min(1, max(0, (x − b_{t−1}) / (b_t − b_{t−1})))`
///
/// so that a linear layer of it is a continuous function of x with a kink at each edge. A bin without width
/// has the code 0, whatever x is. `x` is expected to be finite.
///
/// Edges are constants: training leaves them alone, and [`tensors`](Self::tensors) has them by name for the
/// model's file.
///
/// # Parameters
/// Under the path of the `VarBuilder`, with a linear layer: `weight` `[features, outputs, bins]` and `bias`
/// `[features, outputs]`; fresh ones are uniform within `±1/sqrt(bins)`. The constant is `edges`
/// `[features, bins + 1]`.
///
/// # Shapes
/// - `[rows, features]` to `[rows, features · outputs]`, or `[rows, features · bins]` without a layer; feature by
///   feature
///
/// # Source
/// Gorishniy et al. (2022), arXiv:2203.05556, eq. 1 and section 3.2 ("PLE", and "PLE-LR" with a layer).
/// Deviation: the paper's first code goes on below the first edge and its last one beyond the last; here both
/// end there, so that features far out, as faults make them, have the codes of the nearest training row.
#[derive(Debug, Clone)]
pub struct PiecewiseLinearEmbedding {
    bins: QuantileBins,
    /// `[features, 1, bins]` each.
    left: Tensor,
    width: Tensor,
    is_used: Tensor,
    layers: Option<FeatureLayers>,
}

impl PiecewiseLinearEmbedding {
    /// Takes the layers' parameters from `vb`, drawing them if it can, and the edges from `bins`.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`](crate::Error::InvalidSetting) for a size of zero, or bins of another size; candle's if a stored tensor does not
    /// fit.
    pub fn new(
        config: &PiecewiseLinearConfig,
        bins: &QuantileBins,
        vb: &VarBuilder,
    ) -> Result<Self> {
        at_least_one("n_features", config.n_features)?;
        at_least_one("n_bins", config.n_bins)?;
        let expected = [config.n_features, config.n_bins];
        if [bins.n_features(), bins.n_bins()] != expected {
            return Err(crate::Error::Shape {
                what: "edges of bins".into(),
                expected: format!("[{}, {}]", config.n_features, config.n_bins + 1),
                found: bins.edges().dims().to_vec(),
            });
        }
        let layers = match config.n_outputs {
            None => None,
            Some(n_outputs) => {
                at_least_one("n_outputs", n_outputs)?;
                let [n_features, n_bins] = expected;
                Some(FeatureLayers::new(n_features, n_bins, n_outputs, vb)?)
            }
        };
        let edges = bins.edges().unsqueeze(1)?;
        let left = edges.narrow(2, 0, config.n_bins)?.contiguous()?;
        let width = (edges.narrow(2, 1, config.n_bins)? - &left)?;
        let is_used = width.gt(0.)?.to_dtype(width.dtype())?;
        // Divided by 1 instead of 0, and left out afterwards.
        let width = (width + (1. - &is_used)?)?;
        Ok(Self {
            bins: bins.clone(),
            left,
            width,
            is_used,
            layers,
        })
    }

    /// Takes everything from `vb`, edges included, as from a model's file.
    ///
    /// # Errors
    /// Those of [`new`](Self::new) and of [`QuantileBins::from_edges`].
    pub fn load(config: &PiecewiseLinearConfig, vb: &VarBuilder) -> Result<Self> {
        let edges = vb.get((config.n_features, config.n_bins + 1), EDGES)?;
        Self::new(config, &QuantileBins::from_edges(&edges)?, vb)
    }

    /// The constants by name, which a file needs beside the variables: `edges`.
    pub fn tensors(&self) -> BTreeMap<String, Tensor> {
        BTreeMap::from([(EDGES.to_owned(), self.bins.edges().clone())])
    }

    /// The codes alone, `[features, rows, bins]`.
    fn codes(&self, rows: &Tensor) -> candle_core::Result<Tensor> {
        let rows = by_feature(rows, self.bins.n_features())?;
        let shares = rows
            .broadcast_sub(&self.left)?
            .broadcast_div(&self.width)?
            .clamp(0., 1.)?;
        shares.broadcast_mul(&self.is_used)
    }
}

impl Module for PiecewiseLinearEmbedding {
    fn forward(&self, rows: &Tensor) -> candle_core::Result<Tensor> {
        let codes = self.codes(rows)?;
        side_by_side(&match &self.layers {
            Some(layers) => layers.forward(&codes)?,
            None => codes,
        })
    }
}
