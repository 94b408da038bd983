//! Energy of a weighted sum of Gaussian terms, as tensors.

use std::sync::Arc;

use candle_core::{D, DType, Device, Tensor};

use super::fused::CpuKernel;
use crate::error::{Result, check_features, check_setting};
use crate::transfer::transfer;

/// `E(x) = −log Σ_k exp(c_k − |P_k (x − μ_k)|²/2)` with constants c_k, means μ_k and lower
/// triangular factors P_k: what a mixture and a Mahalanobis distance have in common.
#[derive(Debug, Clone)]
pub(crate) struct GaussianSum {
    means: Tensor,
    precision_cholesky: Tensor,
    log_constants: Tensor,
    /// On the CPU, in f32 and f64.
    kernel: Option<Arc<CpuKernel>>,
}

impl GaussianSum {
    /// # Shapes
    /// - `means`: `[K, L]`, `precision_cholesky`: `[K, L, L]`, of one type on one device
    /// - `log_constants`: K numbers, or a function of the factors as numbers that gives them
    ///
    /// # Errors
    /// [`Error::InvalidSetting`](crate::Error::InvalidSetting) if a mean or a factor is not finite,
    /// or a factor is not lower triangular with a positive diagonal.
    pub(crate) fn new(
        means: &Tensor,
        precision_cholesky: &Tensor,
        log_constants: impl FnOnce(&[f64]) -> Vec<f64>,
    ) -> Result<Self> {
        let (means, precision_cholesky) = (means.detach(), precision_cholesky.detach());
        let (mean_values, factors) = (numbers(&means)?, numbers(&precision_cholesky)?);
        check_finite("means", &mean_values)?;
        check_triangular(&factors, means.dims2()?.1)?;
        let log_constants = log_constants(&factors);
        let (dtype, device) = (means.dtype(), means.device());
        let kernel = device
            .is_cpu()
            .then(|| CpuKernel::new(dtype, &mean_values, &factors, &log_constants))
            .flatten()
            .map(Arc::new);
        let n_components = log_constants.len();
        let log_constants = Tensor::from_vec(log_constants, n_components, &Device::Cpu)?;
        Ok(Self {
            log_constants: transfer(&log_constants, dtype, device)?,
            means,
            precision_cholesky,
            kernel,
        })
    }

    pub(crate) fn means(&self) -> &Tensor {
        &self.means
    }

    pub(crate) fn precision_cholesky(&self) -> &Tensor {
        &self.precision_cholesky
    }

    pub(crate) fn n_features(&self) -> usize {
        self.means.dims()[1]
    }

    /// Energies `[n]` of rows `[n, L]`.
    pub(crate) fn energy(&self, rows: &Tensor) -> Result<Tensor> {
        check_features(rows, self.n_features())?;
        Ok(match &self.kernel {
            Some(kernel) => kernel.energies(rows)?,
            None => self.energy_by_tensors(rows)?,
        })
    }

    /// The equation in plain tensor operations, on any device.
    pub(super) fn energy_by_tensors(&self, rows: &Tensor) -> candle_core::Result<Tensor> {
        // [K, n, L]: the difference first, so that means far from zero cost no digits.
        let difference = rows
            .unsqueeze(0)?
            .broadcast_sub(&self.means.unsqueeze(1)?)?;
        let whitened = difference.matmul(&self.precision_cholesky.t()?)?;
        let half_squares = (whitened.sqr()?.sum(D::Minus1)? * 0.5)?;
        let infinity = half_squares.ones_like()?.affine(f64::INFINITY, 0.)?;
        // Two overflows of opposite sign: however they add up, the row is far away.
        let half_squares = half_squares
            .ne(&half_squares)?
            .where_cond(&infinity, &half_squares)?;
        let terms = half_squares
            .neg()?
            .broadcast_add(&self.log_constants.unsqueeze(1)?)?;
        // Any finite number does where all terms are minus infinity.
        let highest = terms.detach().max_keepdim(0)?.clamp(LEAST, f64::INFINITY)?;
        let sum = terms.broadcast_sub(&highest)?.exp()?.sum_keepdim(0)?;
        let energy = (sum.log()? + highest)?.neg()?.squeeze(0)?;
        let unknown = rows.ne(rows)?.to_dtype(rows.dtype())?.sum(D::Minus1)?;
        let nan = energy.ones_like()?.affine(f64::NAN, 0.)?;
        unknown.gt(0.)?.where_cond(&nan, &energy)
    }
}

/// A low number that f32 holds.
const LEAST: f64 = -1e38;

/// All values in row-major order.
pub(crate) fn numbers(tensor: &Tensor) -> Result<Vec<f64>> {
    let tensor = transfer(&tensor.detach(), DType::F64, &Device::Cpu)?;
    Ok(tensor.flatten_all()?.to_vec1()?)
}

pub(crate) fn check_finite(name: &'static str, values: &[f64]) -> Result<()> {
    let bad = values.iter().find(|value| !value.is_finite());
    check_setting(bad.is_none(), name, "finite", bad.unwrap_or(&0.))
}

fn check_triangular(factors: &[f64], n_features: usize) -> Result<()> {
    check_finite("precision_cholesky", factors)?;
    for (position, &value) in factors.iter().enumerate() {
        let (row, column) = (position / n_features % n_features, position % n_features);
        let valid = match row.cmp(&column) {
            std::cmp::Ordering::Less => value.to_bits() << 1 == 0,
            std::cmp::Ordering::Equal => value > 0.,
            std::cmp::Ordering::Greater => true,
        };
        check_setting(
            valid,
            "precision_cholesky",
            "lower triangular with a positive diagonal",
            format_args!("{value} in row {row}, column {column}"),
        )?;
    }
    Ok(())
}
