//! Distance of rows from the clean rows nearest to them.

mod brute_force;
mod k_d_tree;

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Shape, Tensor, WithDType};
use candle_nn::VarBuilder;
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, check_features, check_setting};
use crate::estimator::{EnergyEstimator, FittedEstimator};
use crate::estimator_config::EstimatorConfig;
use crate::gaussian_mixture::{check_finite, numbers, rounded};
use crate::training_rows::TrainingRows;

use brute_force::mean_distance;
use k_d_tree::{KdTree, Neighbor};

/// Sizes of [`NearestNeighbors`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NearestNeighborsConfig {
    /// Features per row, L; at least 1.
    pub n_features: usize,
    /// Stored rows, N; more than neighbors.
    pub n_rows: usize,
    /// Neighbors that count, k; at least 1.
    pub n_neighbors: usize,
}

/// How [`NearestNeighbors`] are fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NearestNeighborsFit {
    /// Neighbors whose mean distance counts, k. Default 5; at least 1.
    pub n_neighbors: usize,
    /// Most rows that are stored; of more, a random part without repetition. Default 12,000; more
    /// than neighbors.
    pub max_rows: usize,
}

impl Default for NearestNeighborsFit {
    fn default() -> Self {
        Self {
            n_neighbors: 5,
            max_rows: 12_000,
        }
    }
}

impl NearestNeighborsFit {
    /// Stores rows, rounded to f32. `rng` draws which, if there are more than `max_rows`.
    ///
    /// # Shapes
    /// - `rows`: `[n, L]`, more rows than neighbors, L at least 1; the estimator has their type and
    ///   device
    ///
    /// # Errors
    /// [`Error::InvalidSetting`], [`Error::NoRows`], [`Error::TooFewRows`],
    /// [`Error::NonFiniteRow`], [`Error::FeatureCount`] for rows that are no matrix, and candle's.
    pub fn fit(&self, rows: &Tensor, rng: &mut impl Rng) -> Result<NearestNeighbors> {
        let k = self.n_neighbors;
        check_setting(k > 0, "n_neighbors", "at least 1", k)?;
        check_setting(
            self.max_rows > k,
            "max_rows",
            "more than n_neighbors",
            self.max_rows,
        )?;
        let training = TrainingRows::read(rows, "nearest neighbors")?;
        let (n_rows, l) = (training.len(), training.n_features());
        if n_rows <= k {
            return Err(Error::TooFewRows {
                needed: k + 1,
                purpose: "nearest neighbors",
                found: n_rows,
            });
        }
        let mut kept: Vec<usize> = if n_rows > self.max_rows {
            rand::seq::index::sample(rng, n_rows, self.max_rows).into_vec()
        } else {
            (0..n_rows).collect()
        };
        kept.sort_unstable();
        let values = kept.iter().flat_map(|&row| training.row(row));
        let values = values.copied().collect();
        let stored = rounded(values, &[kept.len(), l], rows.dtype(), rows.device())?;
        NearestNeighbors::from_rows(&stored, k)
    }
}

/// Mean distance of a row to the k nearest of the clean rows that are stored.
///
/// `E(x) = Σ_{i ≤ k} |x − x_(i)| / k`, with the stored rows in the order of their distance to x. One
/// stored row that equals x, as 32-bit numbers, is left out first: it is taken to be x itself. So the
/// energy of a training row tells of the other rows, as that of a new row does, and a lowest energy
/// or a calibration from training rows holds for new ones. Only one is left out: a value that many
/// training rows share has energy zero. (Right at a stored row the energy is thus a little higher
/// than beside it.) The search is exact.
///
/// # Parameters
/// Under the path of the `VarBuilder`: `rows` `[N, L]`. They are constants: no gradient reaches
/// them.
///
/// # Units
/// Those of the rows, not squared: it grows as the distance does.
///
/// # Gradient
/// The mean of the unit vectors from the neighbors to the row, zero from a neighbor that equals it.
///
/// # Extremes
/// On the CPU distances are computed in f64 whatever the type, and are finite if the type can hold
/// them. Elsewhere their squares are of the rows' type, and infinity stands for what it cannot hold.
///
/// # Cost
/// On the CPU a k-d tree: with a few features a row costs about log N distances, with dozens
/// nearly N. Elsewhere N distances, all at once.
///
/// # Source
/// S. Ramaswamy, R. Rastogi and K. Shim, "Efficient algorithms for mining outliers from large data
/// sets" (2000), which takes the distance to the k-th neighbor alone. Deviation: the mean over k, as
/// F. Angiulli and C. Pizzuti, "Fast outlier detection in high dimensional spaces" (2002), since it
/// tells noisy rows of HTRU2 from clean ones a little better.
#[derive(Debug, Clone)]
pub struct NearestNeighbors {
    rows: Tensor,
    n_neighbors: usize,
    /// On the CPU.
    tree: Option<Arc<KdTree>>,
}

impl NearestNeighbors {
    /// Takes the rows from `vb`.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for sizes out of range and rows that are not finite; candle's if
    /// the tensor is missing or has another shape.
    pub fn new(config: &NearestNeighborsConfig, vb: &VarBuilder) -> Result<Self> {
        let NearestNeighborsConfig {
            n_features,
            n_rows,
            n_neighbors,
        } = *config;
        check_setting(n_features > 0, "n_features", "at least 1", n_features)?;
        check_setting(n_neighbors > 0, "n_neighbors", "at least 1", n_neighbors)?;
        check_setting(
            n_rows > n_neighbors,
            "n_rows",
            "more than n_neighbors",
            n_rows,
        )?;
        Self::from_rows(&vb.get((n_rows, n_features), "rows")?, n_neighbors)
    }

    fn from_rows(rows: &Tensor, n_neighbors: usize) -> Result<Self> {
        let values = numbers(rows)?;
        check_finite("rows", &values)?;
        let tree = rows.device().is_cpu();
        let tree = tree.then(|| KdTree::new(&values, rows.dims()[1]));
        Ok(Self {
            rows: rows.detach(),
            n_neighbors,
            tree: tree.map(Arc::new),
        })
    }

    /// Its sizes.
    pub fn config(&self) -> NearestNeighborsConfig {
        NearestNeighborsConfig {
            n_features: self.n_features(),
            n_rows: self.rows.dims()[0],
            n_neighbors: self.n_neighbors,
        }
    }

    /// The stored rows, `[N, L]`.
    pub fn rows(&self) -> &Tensor {
        &self.rows
    }

    /// Neighbors that count, k.
    pub fn n_neighbors(&self) -> usize {
        self.n_neighbors
    }
}

impl EnergyEstimator for NearestNeighbors {
    fn n_features(&self) -> usize {
        self.rows.dims()[1]
    }

    fn energy(&self, rows: &Tensor) -> Result<Tensor> {
        check_features(rows, self.n_features())?;
        let in_tree = rows.device().is_cpu() && matches!(rows.dtype(), DType::F32 | DType::F64);
        Ok(match &self.tree {
            Some(tree) if in_tree => rows.contiguous()?.apply_op1(Energies(Search {
                tree: tree.clone(),
                n_neighbors: self.n_neighbors,
            }))?,
            _ => mean_distance(rows, &self.rows, self.n_neighbors)?,
        })
    }
}

impl FittedEstimator for NearestNeighbors {
    fn config(&self) -> EstimatorConfig {
        EstimatorConfig::NearestNeighbors(self.config())
    }

    fn tensors(&self) -> BTreeMap<String, Tensor> {
        BTreeMap::from([("rows".to_owned(), self.rows.clone())])
    }
}

#[derive(Debug, Clone)]
struct Search {
    tree: Arc<KdTree>,
    n_neighbors: usize,
}

impl Search {
    /// Calls `visit` with every row in f64 and its k neighbors. All distances from a row that holds
    /// NaN are NaN.
    fn for_each_row<T: WithDType>(
        &self,
        rows: &[T],
        n_features: usize,
        mut visit: impl FnMut(&[f64], &[Neighbor]),
    ) {
        let mut wide = vec![0.; n_features];
        let mut found = Vec::with_capacity(self.n_neighbors + 1);
        for row in rows.chunks_exact(n_features) {
            for (wide, value) in wide.iter_mut().zip(row) {
                *wide = value.to_f64();
            }
            self.tree.nearest(&wide, self.n_neighbors + 1, &mut found);
            let skipped = usize::from(is_same(&wide, self.tree.row(found[0])));
            visit(&wide, &found[skipped..][..self.n_neighbors]);
        }
    }

    fn energies<T: WithDType>(&self, rows: &[T], n_features: usize) -> Vec<T> {
        let mut energies = Vec::with_capacity(rows.len() / n_features);
        self.for_each_row(rows, n_features, |_, neighbors| {
            let distances = neighbors.iter().map(|neighbor| neighbor.distance());
            let sum: f64 = distances.sum();
            energies.push(T::from_f64(sum / self.n_neighbors as f64));
        });
        energies
    }

    fn gradients<T: WithDType>(&self, rows: &[T], n_features: usize) -> Vec<T> {
        let mut gradients = Vec::with_capacity(rows.len());
        let mut sums = vec![0.; n_features];
        self.for_each_row(rows, n_features, |row, neighbors| {
            sums.fill(0.);
            for &neighbor in neighbors {
                let distance = neighbor.distance();
                if distance > 0. {
                    for ((sum, a), b) in sums.iter_mut().zip(row).zip(self.tree.row(neighbor)) {
                        *sum += (a - b) / distance;
                    }
                }
            }
            let n_neighbors = self.n_neighbors as f64;
            gradients.extend(sums.iter().map(|sum| T::from_f64(sum / n_neighbors)));
        });
        gradients
    }
}

/// Whether a row is a stored one, once it is rounded as stored ones are.
#[allow(clippy::float_cmp)] // Equal, not close, is what is asked.
fn is_same(row: &[f64], stored: &[f64]) -> bool {
    let mut pairs = row.iter().zip(stored);
    pairs.all(|(&value, &stored)| f64::from(value as f32) == stored)
}

/// The energies with their gradient.
struct Energies(Search);

impl CustomOp1 for Energies {
    fn name(&self) -> &'static str {
        "neighbor_energies"
    }

    fn cpu_fwd(
        &self,
        rows: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (n_rows, l) = layout.shape().dims2()?;
        let energies = match (rows, layout.contiguous_offsets()) {
            (CpuStorage::F32(rows), Some((start, end))) => {
                CpuStorage::F32(self.0.energies(&rows[start..end], l))
            }
            (CpuStorage::F64(rows), Some((start, end))) => {
                CpuStorage::F64(self.0.energies(&rows[start..end], l))
            }
            _ => candle_core::bail!("neighbor_energies: expected contiguous rows, f32 or f64"),
        };
        Ok((energies, Shape::from(n_rows)))
    }

    fn bwd(
        &self,
        rows: &Tensor,
        _energies: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<Option<Tensor>> {
        let slopes = rows
            .contiguous()?
            .apply_op1_no_bwd(&Slopes(self.0.clone()))?;
        Ok(Some(slopes.broadcast_mul(&gradient.unsqueeze(1)?)?))
    }
}

/// The gradients of the energies.
struct Slopes(Search);

impl CustomOp1 for Slopes {
    fn name(&self) -> &'static str {
        "neighbor_slopes"
    }

    fn cpu_fwd(
        &self,
        rows: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (_, l) = layout.shape().dims2()?;
        let slopes = match (rows, layout.contiguous_offsets()) {
            (CpuStorage::F32(rows), Some((start, end))) => {
                CpuStorage::F32(self.0.gradients(&rows[start..end], l))
            }
            (CpuStorage::F64(rows), Some((start, end))) => {
                CpuStorage::F64(self.0.gradients(&rows[start..end], l))
            }
            _ => candle_core::bail!("neighbor_slopes: expected contiguous rows, f32 or f64"),
        };
        Ok((slopes, layout.shape().clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};
    use emma_testkit::tolerance::{assert_close, values};
    use proptest::prelude::*;
    use rand::Rng;

    proptest! {
        /// The two ways to search, with their gradients, with and without duplicates. On the CPU,
        /// which has both.
        #[test]
        fn the_tree_and_the_tensors_agree(
            n in 8usize..60, n_features in 1usize..5, n_neighbors in 1usize..7,
            levels in prop_oneof![Just(2i32), Just(1 << 20)], seed: u64,
        ) {
            let mut rng = emma_testkit::rng(seed);
            let mut draw = |n: usize| {
                let values = (0..n * n_features)
                    .map(|_| f64::from(rng.random_range(-levels..=levels)) / 64.)
                    .collect();
                Tensor::from_vec(values, (n, n_features), &Device::Cpu).unwrap()
            };
            let stored = draw(n);
            let rows = Tensor::cat(&[draw(10), stored.narrow(0, 0, 5).unwrap()], 0).unwrap();
            let rows = Var::from_tensor(&rows).unwrap();
            let estimator = NearestNeighbors::from_rows(&stored, n_neighbors).unwrap();
            let ours = estimator.energy(&rows).unwrap();
            let theirs = mean_distance(&rows, &stored, n_neighbors).unwrap();
            let close = |what, ours: &Tensor, theirs: &Tensor| {
                // Gradients are differences of numbers up to some ten thousands.
                assert_close(what, &values(ours).unwrap(), &values(theirs).unwrap(), 1e-13, 1e-10);
            };
            close("energy", &ours, &theirs);
            // With ties either neighbor may give the slope.
            if levels > 2 {
                let slope = |energy: &Tensor| {
                    let gradients = energy.sqr().unwrap().sum_all().unwrap().backward().unwrap();
                    gradients.get(&rows).unwrap().clone()
                };
                close("gradient", &slope(&ours), &slope(&theirs));
            }
        }
    }
}
