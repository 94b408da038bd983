//! Several affine maps side by side: members of an ensemble, or features with layers of their own.

use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Tensor, WithDType, bail};

/// In which order products are added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Summation {
    /// Of the features, always: a row's bits do not depend on its batch. On the CPU, in f32 and f64.
    InOrder,
    /// As a general matrix product likes: faster from some ten thousand multiply-adds on.
    AsFastest,
}

/// Affine map of every group's rows: `y_g = x_g W_gᵀ + b_g`, with the gradient of all three.
///
/// # Shapes
/// - `rows`: `[groups, n, inputs]`
/// - `weight`: `[groups, outputs, inputs]`
/// - `bias`: `[groups, outputs]`
/// - returns `[groups, n, outputs]`
pub(crate) fn grouped_affine(
    rows: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    summation: Summation,
) -> Result<Tensor> {
    let has_order = rows.device().is_cpu() && matches!(rows.dtype(), DType::F32 | DType::F64);
    if has_order && summation == Summation::InOrder {
        let (rows, weight) = (rows.contiguous()?, weight.contiguous()?);
        return rows.apply_op3(&weight, &bias.contiguous()?, GroupedAffine);
    }
    let products = rows.contiguous()?.matmul(&weight.transpose(1, 2)?)?;
    products.broadcast_add(&bias.unsqueeze(1)?)
}

struct GroupedAffine;

impl CustomOp3 for GroupedAffine {
    fn name(&self) -> &'static str {
        "grouped_affine"
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
        let (groups, n, inputs) = rows_layout.shape().dims3()?;
        let (weight_groups, outputs, weight_inputs) = weight_layout.shape().dims3()?;
        if (weight_groups, weight_inputs) != (groups, inputs)
            || bias_layout.dims() != [groups, outputs]
        {
            bail!(
                "grouped_affine: rows [{groups}, {n}, {inputs}] need weight [{groups}, _, {inputs}] and bias \
                 [{groups}, _], got [{weight_groups}, {outputs}, {weight_inputs}] and {:?}",
                bias_layout.dims()
            )
        }
        let sizes = [n, inputs, outputs];
        let storage = match (rows, weight, bias) {
            (CpuStorage::F32(x), CpuStorage::F32(w), CpuStorage::F32(b)) => {
                CpuStorage::F32(affine_rows(
                    elements(x, rows_layout)?,
                    elements(w, weight_layout)?,
                    elements(b, bias_layout)?,
                    sizes,
                ))
            }
            (CpuStorage::F64(x), CpuStorage::F64(w), CpuStorage::F64(b)) => {
                CpuStorage::F64(affine_rows(
                    elements(x, rows_layout)?,
                    elements(w, weight_layout)?,
                    elements(b, bias_layout)?,
                    sizes,
                ))
            }
            _ => bail!("grouped_affine: expected three tensors of one type, f32 or f64"),
        };
        Ok((storage, Shape::from((groups, n, outputs))))
    }

    fn bwd(
        &self,
        rows: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        // Data and frozen layers need no gradient.
        let of_rows = rows.track_op().then(|| gradient.matmul(weight));
        let of_weight = weight
            .track_op()
            .then(|| gradient.transpose(1, 2)?.matmul(rows));
        let of_bias = bias.track_op().then(|| gradient.sum(1));
        Ok((
            of_rows.transpose()?,
            of_weight.transpose()?,
            of_bias.transpose()?,
        ))
    }
}

/// The elements of a contiguous layout.
fn elements<'a, T>(values: &'a [T], layout: &Layout) -> Result<&'a [T]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&values[start..end]),
        None => bail!("grouped_affine: expected contiguous operands"),
    }
}

/// The inner loop runs over outputs, so that it becomes vector instructions without changing the order in
/// which one output's products are added.
fn affine_rows<T: WithDType>(
    rows: &[T],
    weight: &[T],
    bias: &[T],
    [n, inputs, outputs]: [usize; 3],
) -> Vec<T> {
    let n_groups = bias.len().checked_div(outputs).unwrap_or(0);
    let mut result = Vec::with_capacity(n_groups * n * outputs);
    let mut transposed = vec![T::zero(); inputs * outputs];
    for group in 0..n_groups {
        let bias = &bias[group * outputs..][..outputs];
        let weight = &weight[group * outputs * inputs..][..outputs * inputs];
        for (place, &value) in weight.iter().enumerate() {
            transposed[place % inputs * outputs + place / inputs] = value;
        }
        for row in 0..n {
            let row = &rows[(group * n + row) * inputs..][..inputs];
            let start = result.len();
            result.extend_from_slice(bias);
            let sums = &mut result[start..];
            for (&value, weights) in row.iter().zip(transposed.chunks_exact(outputs)) {
                for (sum, &weight) in sums.iter_mut().zip(weights) {
                    *sum += value * weight;
                }
            }
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};
    use emma_testkit::devices_with;

    use super::*;

    #[test]
    fn a_small_case_worked_by_hand_both_ways() -> Result<()> {
        for device in devices_with(DType::F64) {
            let rows = Tensor::new(&[[[1f64, 2.], [3., 4.]], [[5., 6.], [0., -1.]]], device)?;
            let weight = Tensor::new(&[[[1f64, 10.]], [[2., 1.]]], device)?;
            let bias = Tensor::new(&[[0.5f64], [-1.]], device)?;
            for summation in [Summation::InOrder, Summation::AsFastest] {
                let result = grouped_affine(&rows, &weight, &bias, summation)?;
                let expected = [[[21.5], [43.5]], [[15.], [-2.]]];
                assert_eq!(result.to_vec3::<f64>()?, expected, "{summation:?}");
            }
        }
        Ok(())
    }

    #[test]
    fn gradients_are_the_same_both_ways() -> Result<()> {
        let fill = |shape: (usize, usize, usize), phase: f64| {
            let count = shape.0 * shape.1 * shape.2;
            let values: Vec<f64> = (0..count).map(|i| (i as f64 + phase).sin()).collect();
            Var::from_vec(values, shape, &Device::Cpu)
        };
        let (rows, weight) = (fill((3, 5, 7), 0.)?, fill((3, 4, 7), 1.)?);
        let bias = fill((1, 3, 4), 2.)?;
        let gradients = |summation| {
            let result = grouped_affine(&rows, &weight, &bias.squeeze(0)?, summation)?;
            result.sqr()?.sum_all()?.backward()
        };
        let in_order = gradients(Summation::InOrder)?;
        let as_fastest = gradients(Summation::AsFastest)?;
        for var in [&rows, &weight, &bias] {
            let difference = (in_order.get(var).unwrap() - as_fastest.get(var).unwrap())?;
            let largest = difference
                .abs()?
                .flatten_all()?
                .max(0)?
                .to_scalar::<f64>()?;
            // Sums of at most 20 products of size 10.
            assert!(largest < 1e-12, "{largest}");
        }
        Ok(())
    }

    #[test]
    fn nothing_is_nothing_and_misfits_are_errors() -> Result<()> {
        let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu);
        let affine = |rows: &[usize], weight: &[usize], bias: &[usize]| {
            let (rows, weight, bias) = (zeros(rows)?, zeros(weight)?, zeros(bias)?);
            grouped_affine(&rows, &weight, &bias, Summation::InOrder)
        };
        assert_eq!(affine(&[2, 0, 3], &[2, 4, 3], &[2, 4])?.dims(), [2, 0, 4]);
        let error = affine(&[2, 1, 3], &[1, 4, 3], &[2, 4]).unwrap_err();
        assert!(error.to_string().contains("got [1, 4, 3]"), "{error}");
        assert!(affine(&[2, 1, 3], &[2, 4, 3], &[2, 3]).is_err());
        Ok(())
    }
}
