//! Affine map whose result for a row never depends on the other rows.

use candle_core::{
    CpuStorage, CustomOp2, CustomOp3, DType, Layout, Result, Shape, Tensor, WithDType,
};

use crate::contiguous::contiguous;

/// Affine map of every row: `y = x Wᵀ + b`, with the gradient of all three.
///
/// A general matrix product picks its order of summation by the shape of the whole batch, so that
/// the same row can come out with other bits in another batch. On the CPU (f32 and f64) this
/// function adds the products of each row in the order of the features, always: a row scored
/// alone equals, bit for bit, the same row scored among millions. On other devices and types it
/// is a matrix product.
///
/// # Shapes
/// - `rows`: `[n, inputs]`
/// - `weight`: `[outputs, inputs]`
/// - `bias`: `[outputs]`
/// - returns `[n, outputs]`
///
/// # Errors
/// A candle error if ranks, shapes, types or devices do not fit together.
pub fn row_affine(rows: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let fixed_order = rows.device().is_cpu() && matches!(rows.dtype(), DType::F32 | DType::F64);
    if fixed_order {
        return rows
            .contiguous()?
            .apply_op3(&weight.contiguous()?, &bias.contiguous()?, RowAffine);
    }
    rows.matmul(&weight.t()?)?.broadcast_add(bias)
}

struct RowAffine;

impl CustomOp3 for RowAffine {
    fn name(&self) -> &'static str {
        "row_affine"
    }

    fn cpu_fwd(
        &self,
        rows: &CpuStorage,
        rows_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, inputs) = rows_layout.shape().dims2()?;
        let (outputs, weight_inputs) = weight_layout.shape().dims2()?;
        let bias_outputs = bias_layout.shape().dims1()?;
        if weight_inputs != inputs || bias_outputs != outputs {
            candle_core::bail!(
                "row_affine: rows [{n}, {inputs}] need weight [_, {inputs}] and bias [_], \
                 got [{outputs}, {weight_inputs}] and [{bias_outputs}]"
            )
        }
        let storage = match (rows, weight, bias) {
            (CpuStorage::F32(x), CpuStorage::F32(w), CpuStorage::F32(b)) => {
                CpuStorage::F32(affine_rows(
                    contiguous(x, rows_layout)?,
                    contiguous(w, weight_layout)?,
                    contiguous(b, bias_layout)?,
                    (n, inputs),
                ))
            }
            (CpuStorage::F64(x), CpuStorage::F64(w), CpuStorage::F64(b)) => {
                CpuStorage::F64(affine_rows(
                    contiguous(x, rows_layout)?,
                    contiguous(w, weight_layout)?,
                    contiguous(b, bias_layout)?,
                    (n, inputs),
                ))
            }
            _ => candle_core::bail!("row_affine: expected three tensors of one type, f32 or f64"),
        };
        Ok((storage, Shape::from((n, outputs))))
    }

    fn bwd(
        &self,
        rows: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        // Data and frozen layers need no gradient: skipping it saves a product per step.
        let rows_gradient = rows
            .track_op()
            .then(|| product(gradient, weight))
            .transpose()?;
        let weight_gradient = weight
            .track_op()
            .then(|| product(&gradient.t()?, rows))
            .transpose()?;
        let bias_gradient = bias.track_op().then(|| gradient.sum(0)).transpose()?;
        Ok((rows_gradient, weight_gradient, bias_gradient))
    }
}

/// Multiply-adds up to which plain loops beat a general matrix product, whose call alone costs
/// tens of microseconds: candle 0.11 asks the system for its number of cores every time.
const SMALL_PRODUCT: usize = 1 << 16;

/// Matrix product `A B` of a gradient.
fn product(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let ((n, k), (_, m)) = (a.dims2()?, b.dims2()?);
    if n * k * m > SMALL_PRODUCT {
        return a.matmul(b);
    }
    a.apply_op2_no_bwd(&b.contiguous()?, &SmallProduct)
}

struct SmallProduct;

impl CustomOp2 for SmallProduct {
    fn name(&self) -> &'static str {
        "small_product"
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, k) = a_layout.shape().dims2()?;
        let (b_rows, m) = b_layout.shape().dims2()?;
        if k != b_rows {
            candle_core::bail!("small_product: [{n}, {k}] does not fit [{b_rows}, {m}]")
        }
        let storage = match (a, b) {
            (CpuStorage::F32(a), CpuStorage::F32(b)) => {
                CpuStorage::F32(multiply(a, a_layout, contiguous(b, b_layout)?, (n, k, m)))
            }
            (CpuStorage::F64(a), CpuStorage::F64(b)) => {
                CpuStorage::F64(multiply(a, a_layout, contiguous(b, b_layout)?, (n, k, m)))
            }
            _ => candle_core::bail!("small_product: expected two tensors of one type, f32 or f64"),
        };
        Ok((storage, Shape::from((n, m))))
    }
}

/// `A` may be a transposed view; `B` is contiguous.
fn multiply<T: WithDType>(
    a: &[T],
    a_layout: &Layout,
    b: &[T],
    (n, k, m): (usize, usize, usize),
) -> Vec<T> {
    let (start, strides) = (a_layout.start_offset(), a_layout.stride());
    let mut result = vec![T::zero(); n * m];
    if m == 0 {
        return result;
    }
    for (row, sums) in result.chunks_exact_mut(m).enumerate() {
        for (inner, values) in b.chunks_exact(m).enumerate().take(k) {
            let factor = a[start + row * strides[0] + inner * strides[1]];
            for (sum, &value) in sums.iter_mut().zip(values) {
                *sum += factor * value;
            }
        }
    }
    result
}

/// The inner loop runs over outputs, so that it becomes vector instructions without changing the
/// order in which one output's products are added.
fn affine_rows<T: WithDType>(
    rows: &[T],
    weight: &[T],
    bias: &[T],
    (n, inputs): (usize, usize),
) -> Vec<T> {
    let outputs = bias.len();
    if inputs == 0 || outputs == 0 {
        return bias.repeat(n);
    }
    let mut transposed = vec![T::zero(); weight.len()];
    for (output, weights) in weight.chunks_exact(inputs).enumerate() {
        for (input, &value) in weights.iter().enumerate() {
            transposed[input * outputs + output] = value;
        }
    }
    let mut result = Vec::with_capacity(n * outputs);
    for row in rows.chunks_exact(inputs) {
        let start = result.len();
        result.extend_from_slice(bias);
        let sums = &mut result[start..];
        for (&value, weights) in row.iter().zip(transposed.chunks_exact(outputs)) {
            for (sum, &weight) in sums.iter_mut().zip(weights) {
                *sum += value * weight;
            }
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};
    use emma_testkit::{devices, devices_with};

    #[test]
    fn a_small_case_worked_by_hand() -> Result<()> {
        for device in devices_with(DType::F64) {
            let rows = Tensor::new(&[[1f64, 2.], [3., 4.], [0., -1.]], device)?;
            let weight = Tensor::new(&[[1f64, 10.]], device)?;
            let bias = Tensor::new(&[0.5f64], device)?;
            let result = row_affine(&rows, &weight, &bias)?;
            assert_eq!(result.to_vec2::<f64>()?, [[21.5], [43.5], [-9.5]]);
        }
        Ok(())
    }

    /// On the CPU: candle starts no CUDA kernel on nothing, which is an error there.
    #[test]
    fn zero_rows_give_zero_rows() -> Result<()> {
        let device = Device::Cpu;
        let rows = Tensor::zeros((0, 3), DType::F32, &device)?;
        let weight = Tensor::ones((2, 3), DType::F32, &device)?;
        let bias = Tensor::ones(2, DType::F32, &device)?;
        assert_eq!(row_affine(&rows, &weight, &bias)?.dims(), [0, 2]);
        let rows = Tensor::zeros((2, 0), DType::F32, &device)?;
        let weight = Tensor::zeros((2, 0), DType::F32, &device)?;
        let result = row_affine(&rows, &weight, &bias)?;
        assert_eq!(result.to_vec2::<f32>()?, [[1., 1.], [1., 1.]]);
        Ok(())
    }

    #[test]
    fn views_count_by_their_shape_and_not_by_their_storage() -> Result<()> {
        for device in devices() {
            let rows = Tensor::new(&[[9f32, 9.], [1., 2.], [3., 4.]], device)?.narrow(0, 1, 2)?;
            let weight = Tensor::new(&[[1f32, 0.], [0., 2.]], device)?;
            let bias = Tensor::zeros(2, DType::F32, device)?;
            let result = row_affine(&rows.t()?, &weight, &bias)?;
            assert_eq!(result.to_vec2::<f32>()?, [[1., 6.], [2., 8.]]);
        }
        Ok(())
    }

    /// On the CPU: elsewhere the message is the matrix product's own.
    #[test]
    fn shapes_that_do_not_fit_are_an_error() -> Result<()> {
        let device = Device::Cpu;
        let rows = Tensor::zeros((2, 3), DType::F32, &device)?;
        let weight = Tensor::zeros((4, 2), DType::F32, &device)?;
        let bias = Tensor::zeros(4, DType::F32, &device)?;
        let error = row_affine(&rows, &weight, &bias).unwrap_err().to_string();
        assert!(error.contains("got [4, 2] and [4]"), "{error}");
        Ok(())
    }

    /// Both sides of the size from which a general matrix product is used.
    #[test]
    fn gradients_equal_those_of_a_matrix_product() -> Result<()> {
        for device in devices_with(DType::F64) {
            for (n, inputs, outputs) in [(2, 3, 2), (1, 1, 1), (33, 70, 41)] {
                let fill = |shape: (usize, usize), phase: f64| {
                    let values: Vec<f64> = (0..shape.0 * shape.1)
                        .map(|i| (i as f64 + phase).sin())
                        .collect();
                    Var::from_vec(values, shape, device)
                };
                let rows = fill((n, inputs), 0.)?;
                let weight = fill((outputs, inputs), 1.)?;
                let bias = Var::from_tensor(&fill((1, outputs), 2.)?.squeeze(0)?)?;
                let ours = row_affine(&rows, &weight, &bias)?
                    .sqr()?
                    .sum_all()?
                    .backward()?;
                let theirs = rows
                    .matmul(&weight.t()?)?
                    .broadcast_add(&bias)?
                    .sqr()?
                    .sum_all()?
                    .backward()?;
                for var in [&rows, &weight, &bias] {
                    let difference = (ours.get(var).unwrap() - theirs.get(var).unwrap())?
                        .abs()?
                        .flatten_all()?
                        .max(0)?
                        .to_scalar::<f64>()?;
                    assert!(difference < 1e-9, "{n} {inputs} {outputs}: {difference}");
                }
            }
        }
        Ok(())
    }
}
