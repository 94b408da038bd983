//! Several affine maps side by side: members of an ensemble, or features with layers of their own.

use candle_core::{
    CpuStorage, CustomOp2, CustomOp3, DType, Layout, Result, Shape, Tensor, WithDType, bail,
};
use emma_kernels::{Affine, Real};

/// What follows an affine map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    None,
    Relu,
}

/// In which order products are added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Summation {
    /// Of the features, always, on the CPU in f32 and f64: a row's bits do not depend on its batch.
    InOrder,
    /// As a general matrix product likes, for training: in steps of 256 rows, plain loops took 40 % of the time.
    AsFastest,
}

/// Affine map of every group's rows, `y_g = f(x_g W_gᵀ + b_g)`, with the gradient of all three.
///
/// On the CPU (f32 and f64) bias and ReLU are one operation, with the products or after them: at some hundred rows,
/// candle's and their gradients cost more than a general product, each by a tensor of its own.
///
/// Where a ReLU's input is exactly 0, its slope is 0 on the CPU and candle's, 1, elsewhere.
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
    activation: Activation,
    summation: Summation,
) -> Result<Tensor> {
    if !(rows.device().is_cpu() && matches!(rows.dtype(), DType::F32 | DType::F64)) {
        return by_candle(rows, weight, bias, activation);
    }
    let (rows, bias) = (rows.contiguous()?, bias.contiguous()?);
    match summation {
        Summation::InOrder => {
            rows.apply_op3(&weight.contiguous()?, &bias, GroupedAffine { activation })
        }
        Summation::AsFastest => {
            let products = rows.matmul(&weight.transpose(1, 2)?)?;
            products.apply_op2(&bias, BiasAndActivation { activation })
        }
    }
}

/// The same by candle's operations, on every device.
fn by_candle(
    rows: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    activation: Activation,
) -> Result<Tensor> {
    let products = rows.contiguous()?.matmul(&weight.transpose(1, 2)?)?;
    let sums = products.broadcast_add(&bias.unsqueeze(1)?)?;
    match activation {
        Activation::None => Ok(sums),
        Activation::Relu => sums.relu(),
    }
}

struct GroupedAffine {
    activation: Activation,
}

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
        let (sizes, activation) = ([n, inputs, outputs], self.activation);
        let storage = match (rows, weight, bias) {
            (CpuStorage::F32(x), CpuStorage::F32(w), CpuStorage::F32(b)) => {
                CpuStorage::F32(affine_rows(
                    elements(x, rows_layout)?,
                    elements(w, weight_layout)?,
                    elements(b, bias_layout)?,
                    sizes,
                    activation,
                ))
            }
            (CpuStorage::F64(x), CpuStorage::F64(w), CpuStorage::F64(b)) => {
                CpuStorage::F64(affine_rows(
                    elements(x, rows_layout)?,
                    elements(w, weight_layout)?,
                    elements(b, bias_layout)?,
                    sizes,
                    activation,
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
        result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let mut gradient = gradient.contiguous()?;
        if self.activation == Activation::Relu {
            gradient = gradient.apply_op2_no_bwd(result, &WhereActive)?;
        }
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

/// `f(x_g + b_g)` of every group's rows.
struct BiasAndActivation {
    activation: Activation,
}

impl CustomOp2 for BiasAndActivation {
    fn name(&self) -> &'static str {
        "bias_and_activation"
    }

    fn cpu_fwd(
        &self,
        rows: &CpuStorage,
        rows_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (groups, n, outputs) = rows_layout.shape().dims3()?;
        if bias_layout.dims() != [groups, outputs] {
            bail!(
                "bias_and_activation: rows [{groups}, {n}, {outputs}] need bias [{groups}, {outputs}], got {:?}",
                bias_layout.dims()
            )
        }
        let storage = match (rows, bias) {
            (CpuStorage::F32(x), CpuStorage::F32(b)) => CpuStorage::F32(add_bias(
                elements(x, rows_layout)?,
                elements(b, bias_layout)?,
                [n, outputs],
                self.activation,
            )),
            (CpuStorage::F64(x), CpuStorage::F64(b)) => CpuStorage::F64(add_bias(
                elements(x, rows_layout)?,
                elements(b, bias_layout)?,
                [n, outputs],
                self.activation,
            )),
            _ => bail!("bias_and_activation: expected two tensors of one type, f32 or f64"),
        };
        Ok((storage, rows_layout.shape().clone()))
    }

    fn bwd(
        &self,
        _rows: &Tensor,
        _bias: &Tensor,
        result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let mut gradient = gradient.contiguous()?;
        if self.activation == Activation::Relu {
            gradient = gradient.apply_op2_no_bwd(result, &WhereActive)?;
        }
        let of_bias = gradient.sum(1)?;
        Ok((Some(gradient), Some(of_bias)))
    }
}

fn add_bias<T: WithDType>(
    rows: &[T],
    bias: &[T],
    [n, outputs]: [usize; 2],
    activation: Activation,
) -> Vec<T> {
    let mut result = rows.to_vec();
    if n * outputs == 0 {
        return result;
    }
    let groups = result.chunks_exact_mut(n * outputs);
    for (rows, bias) in groups.zip(bias.chunks_exact(outputs)) {
        for row in rows.chunks_exact_mut(outputs) {
            for (sum, &bias) in row.iter_mut().zip(bias) {
                *sum += bias;
            }
            activate(row, activation);
        }
    }
    result
}

fn activate<T: WithDType>(sums: &mut [T], activation: Activation) {
    if activation == Activation::Relu {
        for sum in sums {
            // Not the larger of both: a NaN must stay one, so that a training that diverges shows.
            if *sum < T::zero() {
                *sum = T::zero();
            }
        }
    }
}

/// A gradient where a ReLU let something through, else 0.
struct WhereActive;

impl CustomOp2 for WhereActive {
    fn name(&self) -> &'static str {
        "where_active"
    }

    fn cpu_fwd(
        &self,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
        result: &CpuStorage,
        result_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let storage = match (gradient, result) {
            (CpuStorage::F32(gradient), CpuStorage::F32(result)) => CpuStorage::F32(where_active(
                elements(gradient, gradient_layout)?,
                elements(result, result_layout)?,
            )),
            (CpuStorage::F64(gradient), CpuStorage::F64(result)) => CpuStorage::F64(where_active(
                elements(gradient, gradient_layout)?,
                elements(result, result_layout)?,
            )),
            _ => bail!("where_active: expected two tensors of one type, f32 or f64"),
        };
        Ok((storage, gradient_layout.shape().clone()))
    }
}

fn where_active<T: WithDType>(gradient: &[T], result: &[T]) -> Vec<T> {
    let pairs = gradient.iter().zip(result);
    let masked = pairs.map(|(&gradient, &result)| {
        if result <= T::zero() {
            T::zero()
        } else {
            gradient
        }
    });
    masked.collect()
}

/// The elements of a contiguous layout.
fn elements<'a, T>(values: &'a [T], layout: &Layout) -> Result<&'a [T]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&values[start..end]),
        None => bail!("grouped_affine: expected contiguous operands"),
    }
}

/// Group by group, products in the order of the features.
fn affine_rows<R: Real>(
    rows: &[R],
    weight: &[R],
    bias: &[R],
    [n, inputs, outputs]: [usize; 3],
    activation: Activation,
) -> Vec<R> {
    let n_groups = bias.len().checked_div(outputs).unwrap_or(0);
    let mut result = vec![R::zero(); n_groups * n * outputs];
    if result.is_empty() {
        return result;
    }
    for (group, result) in result.chunks_exact_mut(n * outputs).enumerate() {
        let affine = Affine {
            weight: &weight[group * outputs * inputs..][..outputs * inputs],
            bias: &bias[group * outputs..][..outputs],
            rectified: activation == Activation::Relu,
        };
        affine.outputs(&rows[group * n * inputs..][..n * inputs], result);
    }
    result
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};
    use emma_testkit::devices_with;

    use super::*;

    const SUMMATIONS: [Summation; 2] = [Summation::InOrder, Summation::AsFastest];

    #[test]
    fn a_small_case_worked_by_hand() -> Result<()> {
        for device in devices_with(DType::F64) {
            let rows = Tensor::new(&[[[1f64, 2.], [3., 4.]], [[5., 6.], [0., -1.]]], device)?;
            let weight = Tensor::new(&[[[1f64, 10.]], [[2., 1.]]], device)?;
            let bias = Tensor::new(&[[0.5f64], [-1.]], device)?;
            for summation in SUMMATIONS {
                let result = |activation| {
                    grouped_affine(&rows, &weight, &bias, activation, summation)?.to_vec3::<f64>()
                };
                let expected = [[[21.5], [43.5]], [[15.], [-2.]]];
                assert_eq!(result(Activation::None)?, expected, "{summation:?}");
                let expected = [[[21.5], [43.5]], [[15.], [0.]]];
                assert_eq!(result(Activation::Relu)?, expected, "{summation:?}");
            }
        }
        Ok(())
    }

    #[test]
    fn results_and_gradients_are_those_of_candles_operations() -> Result<()> {
        let fill = |shape: (usize, usize, usize), phase: f64| {
            let count = shape.0 * shape.1 * shape.2;
            let values: Vec<f64> = (0..count).map(|i| (i as f64 + phase).sin()).collect();
            Var::from_vec(values, shape, &Device::Cpu)
        };
        let (rows, weight) = (fill((3, 5, 7), 0.)?, fill((3, 4, 7), 1.)?);
        let bias = fill((1, 3, 4), 2.)?;
        let activations = [Activation::None, Activation::Relu];
        let both_ways =
            activations.map(|activation| SUMMATIONS.map(|summation| (activation, summation)));
        for (activation, summation) in both_ways.into_iter().flatten() {
            let bias_of_group = bias.squeeze(0)?;
            let ours = grouped_affine(&rows, &weight, &bias_of_group, activation, summation)?;
            let theirs = by_candle(&rows, &weight, &bias_of_group, activation)?;
            let largest = |difference: Tensor| -> Result<f64> {
                difference.abs()?.flatten_all()?.max(0)?.to_scalar()
            };
            // Sums of at most 20 products of size 10.
            assert!(largest((&ours - &theirs)?)? < 1e-12);
            let ours = ours.sqr()?.sum_all()?.backward()?;
            let theirs = theirs.sqr()?.sum_all()?.backward()?;
            for var in [&rows, &weight, &bias] {
                let difference = (ours.get(var).unwrap() - theirs.get(var).unwrap())?;
                assert!(largest(difference)? < 1e-12);
            }
        }
        Ok(())
    }

    /// On the CPU: candle's own ReLU, which other devices have, makes 0 of it.
    #[test]
    fn a_relu_leaves_nan_as_it_is() -> Result<()> {
        let rows = Tensor::new(&[[[f64::NAN]]], &Device::Cpu)?;
        let (weight, bias) = (
            rows.ones_like()?,
            Tensor::zeros((1, 1), DType::F64, &Device::Cpu)?,
        );
        for summation in SUMMATIONS {
            let result = grouped_affine(&rows, &weight, &bias, Activation::Relu, summation)?;
            assert!(result.flatten_all()?.to_vec1::<f64>()?[0].is_nan());
        }
        Ok(())
    }

    #[test]
    fn nothing_is_nothing_and_misfits_are_errors() -> Result<()> {
        let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu);
        let affine = |rows: &[usize], weight: &[usize], bias: &[usize]| {
            let (rows, weight, bias) = (zeros(rows)?, zeros(weight)?, zeros(bias)?);
            grouped_affine(&rows, &weight, &bias, Activation::Relu, Summation::InOrder)
        };
        assert_eq!(affine(&[2, 0, 3], &[2, 4, 3], &[2, 4])?.dims(), [2, 0, 4]);
        let error = affine(&[2, 1, 3], &[1, 4, 3], &[2, 4]).unwrap_err();
        assert!(error.to_string().contains("got [1, 4, 3]"), "{error}");
        assert!(affine(&[2, 1, 3], &[2, 4, 3], &[2, 3]).is_err());
        Ok(())
    }
}
