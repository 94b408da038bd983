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
        let highest = terms.detach().max_keepdim(0)?;
        // Any finite number does where all terms are minus infinity.
        let highest = highest
            .eq(f64::NEG_INFINITY)?
            .where_cond(&highest.zeros_like()?, &highest)?;
        let sum = terms.broadcast_sub(&highest)?.exp()?.sum_keepdim(0)?;
        let energy = (sum.log()? + highest)?.neg()?.squeeze(0)?;
        let unknown = rows.ne(rows)?.to_dtype(rows.dtype())?.sum(D::Minus1)?;
        let nan = energy.ones_like()?.affine(f64::NAN, 0.)?;
        unknown.gt(0.)?.where_cond(&nan, &energy)
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Var;
    use emma_testkit::tolerance::{assert_close, values};
    use emma_testkit::{devices, devices_with};
    use proptest::prelude::*;
    use rand::Rng;

    /// Factors with a diagonal from 1/2 to 2, means and constants from -2 to 2.
    fn random_sum(k: usize, l: usize, seed: u64, dtype: DType, device: &Device) -> GaussianSum {
        let mut rng = emma_testkit::rng(seed);
        let mut draw =
            |n: usize| -> Vec<f64> { (0..n).map(|_| rng.random_range(-2f64..2.)).collect() };
        let (means, log_constants) = (draw(k * l), draw(k));
        let mut factors = draw(k * l * l);
        for (position, value) in factors.iter_mut().enumerate() {
            let (row, column) = (position / l % l, position % l);
            if row == column {
                *value = value.abs().clamp(0.5, 2.);
            } else if row < column {
                *value = 0.;
            }
        }
        let tensor = |values: Vec<f64>, shape: &[usize]| {
            let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
            transfer(&tensor, dtype, device).unwrap()
        };
        let (means, factors) = (tensor(means, &[k, l]), tensor(factors, &[k, l, l]));
        GaussianSum::new(&means, &factors, |_| log_constants).unwrap()
    }

    fn random_rows(n: usize, l: usize, seed: u64, scale: f64) -> Tensor {
        let mut rng = emma_testkit::rng(seed);
        let rows: Vec<f64> = (0..n * l)
            .map(|_| rng.random_range(-scale..scale))
            .collect();
        Tensor::from_vec(rows, (n, l), &Device::Cpu).unwrap()
    }

    proptest! {
        /// From rows within the Gaussians to rows of which the last term's exponential is nothing.
        #[test]
        fn the_kernel_computes_the_equation_and_its_gradient(
            n in 1usize..40, k in 1usize..6, l in 1usize..6, far in any::<bool>(), seed: u64,
        ) {
            let scale = if far { 1e4 } else { 3. };
            for (dtype, tolerance) in [(DType::F64, 1e-12), (DType::F32, 2e-4)] {
                let sum = random_sum(k, l, seed, dtype, &Device::Cpu);
                let rows = random_rows(n, l, seed ^ 1, scale).to_dtype(dtype).unwrap();
                let rows = Var::from_tensor(&rows).unwrap();
                let ours = sum.energy(&rows).unwrap();
                let theirs = sum.energy_by_tensors(&rows).unwrap();
                let close = |what: &str, ours: &Tensor, theirs: &Tensor| {
                    // Products of the other order: some rounding of the largest of them.
                    let largest = values(theirs).unwrap().into_iter().map(f64::abs).fold(1., f64::max);
                    let (ours, theirs) = (values(ours).unwrap(), values(theirs).unwrap());
                    assert_close(what, &ours, &theirs, tolerance, tolerance * largest.min(scale));
                };
                close("energy", &ours, &theirs);
                // Rows in the middle between two Gaussians take very different shares for the last
                // bit of a far row's terms.
                if !far {
                    let slope = |energy: Tensor| {
                        let weighted = (energy.sqr().unwrap() * 0.5).unwrap();
                        let gradients = weighted.sum_all().unwrap().backward().unwrap();
                        gradients.get(&rows).unwrap().clone()
                    };
                    close("gradient", &slope(ours), &slope(theirs));
                }
            }
        }
    }

    /// Squares of opposite overflows, infinities and NaN, by kernel and by tensors.
    #[test]
    fn only_a_row_that_is_not_a_number_has_an_energy_that_is_none() {
        let extremes = [
            f64::NAN,
            f64::INFINITY,
            -f64::INFINITY,
            3e38,
            -3e38,
            1e20,
            1e-45,
            0.,
            1.,
        ];
        let mut rng = emma_testkit::rng(5);
        let rows: Vec<f64> = (0..600).map(|_| extremes[rng.random_range(0..9)]).collect();
        for device in devices() {
            for dtype in [DType::F32, DType::F64] {
                if !emma_testkit::has_type(device, dtype) {
                    continue;
                }
                let sum = random_sum(3, 3, 1, dtype, device);
                // So large that products overflow f32 on their own.
                let factors = (sum.precision_cholesky() * 100.).unwrap();
                let sum = GaussianSum::new(sum.means(), &factors, |_| vec![0.; 3]).unwrap();
                let tensor = Tensor::from_vec(rows.clone(), (200, 3), &Device::Cpu).unwrap();
                let tensor = Var::from_tensor(&transfer(&tensor, dtype, device).unwrap()).unwrap();
                for energies in [
                    sum.energy(&tensor),
                    sum.energy_by_tensors(&tensor).map_err(Into::into),
                ] {
                    let energies = values(&energies.unwrap()).unwrap();
                    for (energy, row) in energies.iter().zip(rows.chunks_exact(3)) {
                        let unknown = row.iter().any(|value| value.is_nan());
                        assert_eq!(energy.is_nan(), unknown, "{row:?}");
                        assert!(unknown || *energy > f64::NEG_INFINITY, "{row:?}");
                        let finite = row.iter().all(|value| value.is_finite());
                        if dtype == DType::F64 && finite {
                            assert!(energy.is_finite(), "{row:?}");
                        }
                    }
                }
            }
        }
    }

    /// On the CPU: the kernel's own gradient.
    #[test]
    fn a_row_of_infinite_energy_has_no_gradient() -> Result<()> {
        let sum = random_sum(2, 2, 1, DType::F32, &Device::Cpu);
        let rows = Var::new(&[[1e30f32, -1e30], [1., 2.]], &Device::Cpu)?;
        let energies = sum.energy(&rows)?;
        assert!(values(&energies)?[0].is_infinite());
        let gradients = energies.sum_all()?.backward()?;
        let gradient = values(gradients.get(&rows).unwrap())?;
        assert_close("far", &gradient[..2], &[0., 0.], 0., 0.);
        assert!(gradient[2].abs() > 0.);
        Ok(())
    }

    /// A bias in the place of the difference would lose four digits here.
    #[test]
    fn means_far_from_zero_cost_no_digits() {
        for device in devices_with(DType::F64) {
            let (sum, single) = (
                random_sum(3, 4, 1, DType::F64, device),
                random_sum(3, 4, 1, DType::F32, device),
            );
            let shifted = |sum: &GaussianSum| {
                // Halves: exact in f32 after the shift.
                let means = ((sum.means() * 2.).unwrap().round().unwrap() * 0.5).unwrap();
                let means = (means + 65_536.).unwrap();
                let constants = values(&sum.log_constants).unwrap();
                GaussianSum::new(&means, &sum.precision_cholesky, |_| constants).unwrap()
            };
            let rows = (random_rows(50, 4, 2, 8.).round().unwrap() * 0.5).unwrap();
            let rows = transfer(&(rows + 65_536.).unwrap(), DType::F64, device).unwrap();
            let expected = values(&shifted(&sum).energy(&rows).unwrap()).unwrap();
            let rows = rows.to_dtype(DType::F32).unwrap();
            let energies = values(&shifted(&single).energy(&rows).unwrap()).unwrap();
            assert_close("energy", &energies, &expected, 1e-5, 1e-5);
        }
    }

    #[test]
    fn factors_that_are_none_are_named() -> Result<()> {
        let means = Tensor::zeros((1, 2), DType::F32, &Device::Cpu)?;
        let refusal = |factor: [[[f32; 2]; 2]; 1]| {
            let factor = Tensor::new(&factor, &Device::Cpu).unwrap();
            GaussianSum::new(&means, &factor, |_| vec![0.])
                .unwrap_err()
                .to_string()
        };
        let expected = "precision_cholesky must be lower triangular with a positive diagonal, got ";
        assert_eq!(
            refusal([[[1., 0.5], [0., 1.]]]),
            format!("{expected}0.5 in row 0, column 1")
        );
        assert_eq!(
            refusal([[[1., 0.], [0., 0.]]]),
            format!("{expected}0 in row 1, column 1")
        );
        assert_eq!(
            refusal([[[-1., 0.], [0., 1.]]]),
            format!("{expected}-1 in row 0, column 0")
        );
        assert_eq!(
            refusal([[[1., 0.], [f32::NAN, 1.]]]),
            "precision_cholesky must be finite, got NaN"
        );
        let means = Tensor::new(&[[f32::INFINITY, 0.]], &Device::Cpu)?;
        let factor = Tensor::new(&[[[1f32, 0.], [0., 1.]]], &Device::Cpu)?;
        let error = GaussianSum::new(&means, &factor, |_| vec![0.]).unwrap_err();
        assert_eq!(error.to_string(), "means must be finite, got inf");
        Ok(())
    }
}
