//! Rows of a mode times the attention of each row, and back.

use candle_core::{
    CpuStorage, CustomOp2, DType, Layout, Result, Shape, Storage, Tensor, WithDType,
};

use crate::contiguous::contiguous;

/// Parts that a list of columns is divided into at a time.
const PARTS: usize = 8;

/// Each column of `[rows, columns]` as `[rows, 1]`.
///
/// Parts of parts of parts: the gradient of each view is as large as what it is a view of, so that
/// columns taken one by one would cost as many numbers as the square of their number, for every row.
pub(crate) fn columns(tensor: &Tensor) -> Result<Vec<Tensor>> {
    let width = tensor.dim(1)?;
    if width <= PARTS {
        return (0..width)
            .map(|column| tensor.narrow(1, column, 1))
            .collect();
    }
    let part = width.div_ceil(PARTS);
    let mut all = Vec::with_capacity(width);
    for start in (0..width).step_by(part) {
        all.extend(columns(&tensor.narrow(
            1,
            start,
            part.min(width - start),
        )?)?);
    }
    Ok(all)
}

/// Every row of `mode` times its factor: one operation on the CPU, in f32 and f64, else candle's.
///
/// # Shapes
/// - `mode`: `[rows, …]`, `factor`: `[rows, 1]`
/// - returns `[rows, …]`
pub(crate) fn weigh_rows(mode: &Tensor, factor: &Tensor) -> Result<Tensor> {
    let on_cpu = mode.device().is_cpu() && factor.device().is_cpu();
    let one_type = mode.dtype() == factor.dtype();
    if on_cpu && one_type && matches!(mode.dtype(), DType::F32 | DType::F64) {
        return mode.contiguous()?.apply_op2(factor, WeighRows);
    }
    weigh_rows_by_candle(mode, factor)
}

/// [`weigh_rows`] in candle's operations: the readable definition.
pub(crate) fn weigh_rows_by_candle(mode: &Tensor, factor: &Tensor) -> Result<Tensor> {
    let mut shape = vec![1; mode.rank()];
    shape[0] = factor.elem_count();
    mode.broadcast_mul(&factor.reshape(shape)?)
}

struct WeighRows;

impl CustomOp2 for WeighRows {
    fn name(&self) -> &'static str {
        "weigh_rows"
    }

    fn cpu_fwd(
        &self,
        mode: &CpuStorage,
        mode_layout: &Layout,
        factor: &CpuStorage,
        factor_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (mode, factor) = ((mode, mode_layout), (factor, factor_layout));
        let weighted = match mode.0 {
            CpuStorage::F64(_) => f64::to_cpu_storage_owned(products(mode, factor)?),
            _ => f32::to_cpu_storage_owned(products(mode, factor)?),
        };
        Ok((weighted, mode_layout.shape().clone()))
    }

    fn bwd(
        &self,
        mode: &Tensor,
        factor: &Tensor,
        _weighted: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        // Data need no gradient.
        let of_mode = mode
            .track_op()
            .then(|| gradient.apply_op2_no_bwd(factor, &WeighRows))
            .transpose()?;
        let of_factor = factor
            .track_op()
            .then(|| match mode.dtype() {
                DType::F64 => row_products::<f64>(mode, &gradient),
                _ => row_products::<f32>(mode, &gradient),
            })
            .transpose()?;
        Ok((of_mode, of_factor))
    }
}

fn products<T: WithDType>(
    mode: (&CpuStorage, &Layout),
    (factor, layout): (&CpuStorage, &Layout),
) -> Result<Vec<T>> {
    let values = contiguous::<T>(mode)?;
    let factors = T::cpu_storage_as_slice(factor)?;
    // One column among others, as a rule.
    let (start, stride) = (layout.start_offset(), layout.stride()[0]);
    let width = width(mode.1.shape());
    let mut products = Vec::with_capacity(values.len());
    if width > 0 {
        for (row, values) in values.chunks_exact(width).enumerate() {
            let factor = factors[start + row * stride];
            products.extend(values.iter().map(|&value| value * factor));
        }
    }
    Ok(products)
}

/// Sums of the products of two tensors' rows, `[rows, 1]`.
fn row_products<T: WithDType>(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let guards = [a, b].map(Tensor::storage_and_layout);
    let [a_values, b_values] = [0, 1].map(|operand| {
        let (storage, layout) = &guards[operand];
        match &**storage {
            Storage::Cpu(storage) => contiguous::<T>((storage, layout)),
            _ => candle_core::bail!("weigh_rows: expected tensors on the CPU"),
        }
    });
    let (a_values, b_values) = (a_values?, b_values?);
    let n_rows = a.dims()[0];
    let width = width(a.shape());
    let mut sums = vec![T::zero(); n_rows];
    if width > 0 {
        let rows = a_values
            .chunks_exact(width)
            .zip(b_values.chunks_exact(width));
        for (sum, (a, b)) in sums.iter_mut().zip(rows) {
            *sum = sum_of_products(a, b);
        }
    }
    Tensor::from_vec(sums, (n_rows, 1), a.device())
}

/// Sixteen sums side by side, so that wide rows take vector instructions and keep their digits.
fn sum_of_products<T: WithDType>(a: &[T], b: &[T]) -> T {
    let mut lanes = [T::zero(); 16];
    let (a_chunks, a_rest) = a.as_chunks::<16>();
    let (b_chunks, b_rest) = b.as_chunks::<16>();
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for (sum, (&a, &b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    let mut sum = T::zero();
    for (&a, &b) in a_rest.iter().zip(b_rest) {
        sum += a * b;
    }
    if !a_chunks.is_empty() {
        for lane in lanes {
            sum += lane;
        }
    }
    sum
}

/// Numbers of each row.
fn width(shape: &Shape) -> usize {
    shape.dims()[1..].iter().product()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};
    use emma_testkit::devices_with;
    use emma_testkit::tolerance::{assert_alike, assert_close, values};

    type Weigh = fn(&Tensor, &Tensor) -> Result<Tensor>;
    const WAYS: [Weigh; 2] = [weigh_rows, weigh_rows_by_candle];

    fn waves(shape: &[usize], phase: f64, device: &Device) -> Result<Tensor> {
        let n = shape.iter().product::<usize>();
        let values: Vec<f64> = (0..n).map(|i| (i as f64 + phase).sin()).collect();
        Tensor::from_vec(values, shape, device)
    }

    /// Modes of any rank, narrower and wider than what is summed side by side, of no rows and no width;
    /// the factor is one column of three.
    #[test]
    fn values_and_gradients_are_those_of_a_broadcast_product() -> Result<()> {
        let shapes = [
            &[5usize][..],
            &[5, 1],
            &[33, 4],
            &[7, 16],
            &[3, 50],
            &[2, 3, 7],
            &[4, 2, 3, 4],
            &[0, 3],
            &[3, 0],
        ];
        for dtype in [DType::F64, DType::F32] {
            for shape in shapes {
                let mode = waves(shape, 0.3, &Device::Cpu)?.to_dtype(dtype)?;
                let mode = Var::from_tensor(&mode)?;
                let factors = waves(&[shape[0], 3], 0.7, &Device::Cpu)?.to_dtype(dtype)?;
                let factors = Var::from_tensor(&factors)?;
                let cotangent = waves(shape, 1.1, &Device::Cpu)?.to_dtype(dtype)?;
                let mut found = Vec::new();
                for weigh in WAYS {
                    let weighted = weigh(&mode, &factors.narrow(1, 1, 1)?)?;
                    assert_eq!(weighted.dims(), shape);
                    let gradients = (&weighted * &cotangent)?.sum_all()?.backward()?;
                    // candle gives none for a mode of no width.
                    let gradient = |var: &Var| match gradients.get(var) {
                        Some(gradient) => values(gradient),
                        None => Ok(vec![0.; var.elem_count()]),
                    };
                    let gradients = [gradient(&mode)?, gradient(&factors)?];
                    found.push((values(&weighted)?, gradients));
                }
                assert_eq!(found[0].0, found[1].0, "{shape:?}");
                let tolerance = if dtype == DType::F64 { 1e-14 } else { 3e-6 };
                for (fused, reference) in found[0].1.iter().zip(&found[1].1) {
                    assert_close(&format!("{shape:?}"), fused, reference, 0., tolerance);
                }
            }
        }
        Ok(())
    }

    #[test]
    fn what_is_no_number_and_what_does_not_fit_come_out_as_in_candle() -> Result<()> {
        let mode = Tensor::new(
            &[[f32::NAN, 1.], [f32::INFINITY, 0.], [2., 3.]],
            &Device::Cpu,
        )?;
        let factor = Tensor::new(&[[0f32], [0.], [f32::NAN]], &Device::Cpu)?;
        let [fused, reference] = WAYS.map(|weigh| values(&weigh(&mode, &factor).unwrap()).unwrap());
        assert_alike("weighted", &fused, &reference, 0., 0.);
        let transposed = mode.t()?.contiguous()?.t()?;
        let weighted = values(&weigh_rows(&transposed, &factor)?)?;
        assert_alike("a view", &weighted, &fused, 0., 0.);
        for dtype in [DType::F64, DType::F16, DType::U8] {
            let mode = Tensor::ones((3, 2), dtype, &Device::Cpu)?;
            let errors = WAYS.map(|weigh| {
                let error = weigh(&mode, &factor).unwrap_err().to_string();
                error.lines().next().map(str::to_owned)
            });
            assert_eq!(errors[0], errors[1], "{dtype:?}");
        }
        Ok(())
    }

    /// Of numbers of columns that divide into parts evenly, unevenly, and more than once.
    #[test]
    fn columns_come_in_order_and_give_their_gradients_back() -> Result<()> {
        for device in devices_with(DType::F64) {
            for n in [1, 2, 8, 9, 17, 64, 65, 130] {
                let tensor = Var::from_tensor(&waves(&[3, n], 0.3, device)?)?;
                let factors = waves(&[n, 3, 1], 0.9, device)?;
                let columns = columns(&tensor)?;
                let joined = Tensor::cat(&columns, 1)?;
                assert_eq!(values(&joined)?, values(&tensor)?, "{n}");
                let mut loss = Tensor::zeros((), DType::F64, device)?;
                for (number, column) in columns.iter().enumerate() {
                    loss = (loss + (column * factors.get(number)?)?.sum_all()?)?;
                }
                let gradients = loss.backward()?;
                let expected = factors.squeeze(2)?.t()?.contiguous()?;
                let gradient = gradients.get(&tensor).expect("a gradient");
                assert_eq!(values(gradient)?, values(&expected)?, "{n}");
            }
        }
        Ok(())
    }
}
