//! Sums of Gaussian terms on the CPU, one pass over the rows.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor};
use num_traits::Float;

/// Rows computed side by side: one loop over them becomes vector instructions.
const LANES: usize = 16;

/// Terms `c_k − |P_k (x − μ_k)|²/2` of all components.
///
/// The difference is taken first, so that means far from zero cost no digits. Every row goes through
/// the same operations in the same order, whatever the other rows are.
#[derive(Debug)]
pub(crate) struct Kernel<T> {
    n_features: usize,
    components: Vec<Component<T>>,
}

#[derive(Debug)]
struct Component<T> {
    mean: Vec<T>,
    /// Lower triangle, row by row: 1 + 2 + … + L numbers.
    precision_cholesky: Vec<T>,
    log_constant: T,
}

impl<T: Float> Kernel<T> {
    /// # Shapes
    /// - `means`: `[K, L]`, `precision_cholesky`: `[K, L, L]`, `log_constants`: `[K]`, row-major
    pub(crate) fn new(means: &[f64], precision_cholesky: &[f64], log_constants: &[f64]) -> Self {
        let number = |value: f64| T::from(value).unwrap_or_else(T::nan);
        let n_features = means.len() / log_constants.len();
        let components = log_constants
            .iter()
            .zip(means.chunks_exact(n_features))
            .zip(precision_cholesky.chunks_exact(n_features * n_features))
            .map(|((&log_constant, mean), factor)| Component {
                mean: mean.iter().map(|&value| number(value)).collect(),
                precision_cholesky: factor
                    .chunks_exact(n_features)
                    .enumerate()
                    .flat_map(|(output, weights)| &weights[..=output])
                    .map(|&value| number(value))
                    .collect(),
                log_constant: number(log_constant),
            })
            .collect();
        Self {
            n_features,
            components,
        }
    }

    /// Energy `−log Σ_k exp(term_k)` of every row. NaN if the row has one; otherwise never NaN, and
    /// infinity where the terms overflow.
    pub(crate) fn energies(&self, rows: &[T]) -> Vec<T> {
        let mut energies = Vec::with_capacity(rows.len() / self.n_features);
        self.for_each_row(rows, |row, terms| {
            let unknown = row.iter().any(|value| value.is_nan());
            energies.push(if unknown {
                T::nan()
            } else {
                -log_sum_exp(terms)
            });
        });
        energies
    }

    /// Gradient of every row's energy, `Σ_k r_k P_kᵀ P_k (x − μ_k)` with responsibilities r_k.
    /// Zero where the energy is infinite.
    pub(crate) fn gradients(&self, rows: &[T]) -> Vec<T> {
        let mut gradients = Vec::with_capacity(rows.len());
        self.for_each_row(rows, |row, terms| {
            let log_sum = log_sum_exp(terms);
            let start = gradients.len();
            gradients.resize(start + self.n_features, T::zero());
            for (component, &term) in self.components.iter().zip(terms) {
                let responsibility = (term - log_sum).exp();
                // Otherwise zero times an overflow. False too where all terms are minus infinity.
                if responsibility > T::zero() {
                    component.add_gradient(row, responsibility, &mut gradients[start..]);
                }
            }
        });
        gradients
    }

    /// Calls `visit` with each row and its K terms, in order. Terms are never NaN.
    pub(crate) fn for_each_row(&self, rows: &[T], mut visit: impl FnMut(&[T], &[T])) {
        let n_components = self.components.len();
        let mut block = vec![[T::zero(); LANES]; self.n_features];
        let mut difference = block.clone();
        let mut block_terms = vec![[T::zero(); LANES]; n_components];
        let mut terms = vec![T::zero(); n_components];
        for rows in rows.chunks(LANES * self.n_features) {
            let rows = rows.chunks_exact(self.n_features);
            for (lane, row) in rows.clone().enumerate() {
                for (values, &value) in block.iter_mut().zip(row) {
                    values[lane] = value;
                }
            }
            for (component, terms) in self.components.iter().zip(&mut block_terms) {
                *terms = component.terms(&block, &mut difference);
            }
            for (lane, row) in rows.enumerate() {
                for (term, of_lanes) in terms.iter_mut().zip(&block_terms) {
                    *term = of_lanes[lane];
                }
                visit(row, &terms);
            }
        }
    }
}

impl<T: Float> Component<T> {
    fn terms(&self, block: &[[T; LANES]], difference: &mut [[T; LANES]]) -> [T; LANES] {
        for ((difference, values), &mean) in difference.iter_mut().zip(block).zip(&self.mean) {
            for (difference, &value) in difference.iter_mut().zip(values) {
                *difference = value - mean;
            }
        }
        let mut squares = [T::zero(); LANES];
        let mut weights = self.precision_cholesky.as_slice();
        for output in 0..self.mean.len() {
            let (row, rest) = weights.split_at(output + 1);
            weights = rest;
            let mut whitened = [T::zero(); LANES];
            for (&weight, difference) in row.iter().zip(difference.iter()) {
                for (sum, &difference) in whitened.iter_mut().zip(difference) {
                    *sum = *sum + weight * difference;
                }
            }
            for (sum, &value) in squares.iter_mut().zip(&whitened) {
                *sum = *sum + value * value;
            }
        }
        let half = T::one() / (T::one() + T::one());
        squares.map(|square| {
            let term = self.log_constant - half * square;
            // Two overflows of opposite sign: however they add up, the row is far away.
            if term.is_nan() {
                T::neg_infinity()
            } else {
                term
            }
        })
    }

    fn add_gradient(&self, row: &[T], responsibility: T, gradient: &mut [T]) {
        let mut weights = self.precision_cholesky.as_slice();
        for output in 0..self.mean.len() {
            let (factors, rest) = weights.split_at(output + 1);
            weights = rest;
            let inputs = factors.iter().zip(row).zip(&self.mean);
            let whitened = inputs.fold(T::zero(), |sum, ((&factor, &value), &mean)| {
                sum + factor * (value - mean)
            });
            for (gradient, &factor) in gradient.iter_mut().zip(factors) {
                *gradient = *gradient + responsibility * factor * whitened;
            }
        }
    }
}

/// `log Σ exp(term)`, minus infinity if all terms are. No term may be NaN.
pub(crate) fn log_sum_exp<T: Float>(terms: &[T]) -> T {
    let highest = terms.iter().copied().fold(T::neg_infinity(), T::max);
    if highest == T::neg_infinity() {
        return highest;
    }
    let sum = terms
        .iter()
        .fold(T::zero(), |sum, &term| sum + (term - highest).exp());
    highest + sum.ln()
}

/// The kernel of one of the types it is made for.
#[derive(Debug)]
pub(super) enum CpuKernel {
    F32(Kernel<f32>),
    F64(Kernel<f64>),
}

impl CpuKernel {
    pub(super) fn new(
        dtype: DType,
        means: &[f64],
        precision_cholesky: &[f64],
        log_constants: &[f64],
    ) -> Option<Self> {
        match dtype {
            DType::F32 => Some(Self::F32(Kernel::new(
                means,
                precision_cholesky,
                log_constants,
            ))),
            DType::F64 => Some(Self::F64(Kernel::new(
                means,
                precision_cholesky,
                log_constants,
            ))),
            _ => None,
        }
    }

    /// Energies `[n]` of rows `[n, L]`, with their gradient.
    pub(super) fn energies(self: &Arc<Self>, rows: &Tensor) -> Result<Tensor> {
        rows.contiguous()?.apply_op1(Energies(self.clone()))
    }
}

struct Energies(Arc<CpuKernel>);

impl CustomOp1 for Energies {
    fn name(&self) -> &'static str {
        "gaussian_energies"
    }

    fn cpu_fwd(&self, rows: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n_rows, _) = layout.shape().dims2()?;
        let energies = match (rows, &*self.0) {
            (CpuStorage::F32(rows), CpuKernel::F32(kernel)) => {
                CpuStorage::F32(kernel.energies(contiguous(rows, layout)?))
            }
            (CpuStorage::F64(rows), CpuKernel::F64(kernel)) => {
                CpuStorage::F64(kernel.energies(contiguous(rows, layout)?))
            }
            _ => candle_core::bail!("gaussian_energies: expected rows of the parameters' type"),
        };
        Ok((energies, Shape::from(n_rows)))
    }

    fn bwd(&self, rows: &Tensor, _energies: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let slopes = rows
            .contiguous()?
            .apply_op1_no_bwd(&Gradients(self.0.clone()))?;
        Ok(Some(slopes.broadcast_mul(&gradient.unsqueeze(1)?)?))
    }
}

struct Gradients(Arc<CpuKernel>);

impl CustomOp1 for Gradients {
    fn name(&self) -> &'static str {
        "gaussian_gradients"
    }

    fn cpu_fwd(&self, rows: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let gradients = match (rows, &*self.0) {
            (CpuStorage::F32(rows), CpuKernel::F32(kernel)) => {
                CpuStorage::F32(kernel.gradients(contiguous(rows, layout)?))
            }
            (CpuStorage::F64(rows), CpuKernel::F64(kernel)) => {
                CpuStorage::F64(kernel.gradients(contiguous(rows, layout)?))
            }
            _ => candle_core::bail!("gaussian_gradients: expected rows of the parameters' type"),
        };
        Ok((gradients, layout.shape().clone()))
    }
}

/// The elements of a contiguous layout. The caller made the rows contiguous.
fn contiguous<'a, T>(values: &'a [T], layout: &Layout) -> Result<&'a [T]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&values[start..end]),
        None => candle_core::bail!("gaussian_energies: expected contiguous rows"),
    }
}
