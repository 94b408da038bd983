//! Bins of features with equally many training rows each.

use candle_core::{DType, Device, Tensor};

use super::at_least_one;
use crate::error::{Error, Result};

/// Edges of the bins of every feature, at quantiles of training rows.
///
/// Quantiles of equal values make one edge: a feature of few values has fewer bins, a constant one has none.
/// Its last edge then stands in the places that are left.
#[derive(Debug, Clone)]
pub struct QuantileBins {
    /// `[features, bins + 1]`, ascending.
    edges: Tensor,
}

impl QuantileBins {
    /// Edges at the quantiles `0, 1/n_bins, …, 1` of every feature, interpolated between neighboring values.
    ///
    /// # Shapes
    /// - `rows`: `[rows, features]`
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for no bin, or a value that is not finite; [`Error::NoRows`]; [`Error::Shape`].
    pub fn fit(rows: &Tensor, n_bins: usize) -> Result<Self> {
        at_least_one("n_bins", n_bins)?;
        let &[n_rows, n_features] = rows.dims() else {
            return Err(Error::Shape {
                what: "rows to fit bins to".into(),
                expected: "[rows, features]".into(),
                found: rows.dims().to_vec(),
            });
        };
        if n_rows == 0 {
            return Err(Error::NoRows {
                what: "rows to fit bins to",
            });
        }
        let columns = rows.t()?.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
        let mut edges = Vec::with_capacity(n_features * (n_bins + 1));
        for mut column in columns.to_vec2::<f64>()? {
            if let Some(value) = column.iter().find(|value| !value.is_finite()) {
                return Err(Error::InvalidSetting {
                    name: "a value to fit bins to",
                    expected: "finite",
                    found: value.to_string(),
                });
            }
            column.sort_by(f64::total_cmp);
            // Edges live in the rows' type, in which neighbors may be equal.
            let quantiles = (0..=n_bins).map(|bin| quantile(&column, bin, n_bins));
            let mut distinct: Vec<f64> = match rows.dtype() {
                DType::F64 => quantiles.collect(),
                _ => quantiles.map(|edge| f64::from(edge as f32)).collect(),
            };
            distinct.dedup();
            let last = distinct.last().copied().unwrap_or_default();
            distinct.resize(n_bins + 1, last);
            edges.extend(distinct);
        }
        let edges = Tensor::from_vec(edges, (n_features, n_bins + 1), &Device::Cpu)?;
        Ok(Self {
            edges: edges.to_dtype(rows.dtype())?.to_device(rows.device())?,
        })
    }

    /// Edges that were fitted before.
    ///
    /// # Shapes
    /// - `edges`: `[features, bins + 1]`
    ///
    /// # Errors
    /// [`Error::Shape`] if there is no bin; [`Error::InvalidSetting`] for edges that are not finite and in ascending
    /// order.
    pub fn from_edges(edges: &Tensor) -> Result<Self> {
        if !matches!(edges.dims(), &[_, n_edges] if n_edges >= 2) {
            return Err(Error::Shape {
                what: "edges of bins".into(),
                expected: "[features, bins + 1]".into(),
                found: edges.dims().to_vec(),
            });
        }
        let edges = edges.detach();
        for edges in edges.to_dtype(DType::F64)?.to_vec2::<f64>()? {
            if !edges.iter().all(|edge| edge.is_finite()) || !edges.is_sorted() {
                return Err(Error::InvalidSetting {
                    name: "edges of bins",
                    expected: "finite and in ascending order",
                    found: format!("{edges:?}"),
                });
            }
        }
        Ok(Self { edges })
    }

    /// The edges, `[features, bins + 1]`.
    pub fn edges(&self) -> &Tensor {
        &self.edges
    }

    /// Number of features.
    pub fn n_features(&self) -> usize {
        self.edges.dims()[0]
    }

    /// Bins of a feature, used or not.
    pub fn n_bins(&self) -> usize {
        self.edges.dims()[1].saturating_sub(1)
    }
}

/// Of sorted values: at the place `(n − 1) · bin / n_bins`, linear between neighbors.
fn quantile(sorted: &[f64], bin: usize, n_bins: usize) -> f64 {
    let steps = (sorted.len() - 1) * bin;
    let (place, rest) = (steps / n_bins, steps % n_bins);
    let below = sorted[place];
    if rest == 0 {
        return below;
    }
    let share = rest as f64 / n_bins as f64;
    // Two products, so that values of opposite sign and great size do not overflow.
    below * (1. - share) + sorted[place + 1] * share
}
