//! Tensors carried between devices and types.

use candle_core::{DType, Device, Result, Tensor};

/// The tensor in another type, on another device.
///
/// Between two devices it is the CPU that changes the type, since not every device can (Metal has
/// no f64). With device and type as they are, it is the tensor itself and nothing is copied.
/// Gradients go through.
///
/// # Shapes
/// Any; the result has the tensor's shape.
///
/// # Errors
/// Candle's, if a device does not know the type.
pub fn transfer(tensor: &Tensor, dtype: DType, device: &Device) -> Result<Tensor> {
    if tensor.device().same_device(device) {
        return tensor.to_dtype(dtype);
    }
    tensor
        .to_device(&Device::Cpu)?
        .to_dtype(dtype)?
        .to_device(device)
}

/// A tensor of one element and no dimension as a number, from any device.
///
/// # Errors
/// Candle's, if there are dimensions.
pub fn scalar(tensor: &Tensor) -> Result<f64> {
    transfer(tensor, DType::F64, &Device::Cpu)?.to_scalar()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Var;

    #[test]
    fn every_pair_of_devices_and_types_carries_values_and_gradients() -> Result<()> {
        for from in emma_testkit::devices() {
            for to in emma_testkit::devices() {
                for (dtype, other) in [(DType::F32, DType::F64), (DType::F64, DType::F32)] {
                    if !emma_testkit::has_type(from, dtype) || !emma_testkit::has_type(to, other) {
                        continue;
                    }
                    let tensor = Tensor::new(&[1f64, -2.5], &Device::Cpu)?.to_dtype(dtype)?;
                    let var = Var::from_tensor(&tensor.to_device(from)?)?;
                    let carried = transfer(&var, other, to)?;
                    assert_eq!(carried.dtype(), other);
                    assert!(carried.device().same_device(to));
                    let sum = carried.sqr()?.sum_all()?;
                    assert!((scalar(&sum)? - 7.25).abs() < 1e-15);
                    let gradients = sum.backward()?;
                    let gradient =
                        transfer(gradients.get(&var).unwrap(), DType::F64, &Device::Cpu)?;
                    assert_eq!(gradient.to_vec1::<f64>()?, [2., -5.]);
                }
            }
        }
        Ok(())
    }
}
