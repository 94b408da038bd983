//! The softplus function, safe at any argument.

use candle_core::{Result, Tensor};

/// Softplus, `log(1 + exp(z))`, element by element.
///
/// Written as `z/2 + |z|/2 + log(1 + exp(−|z|))`, which never overflows and, unlike the usual
/// `max(z, 0) + log(1 + exp(−|z|))`, has the right gradient (one half) at exactly zero, whatever
/// slope the automatic differentiation gives `|z|` there. An argument of exactly zero is common:
/// a missing mode is often stored as zeros.
///
/// # Shapes
/// Any; the result has the argument's shape.
///
/// # Errors
/// Only candle's own.
pub fn softplus(z: &Tensor) -> Result<Tensor> {
    let magnitude = z.abs()?;
    let tail = (magnitude.neg()?.exp()? + 1.)?.log()?;
    // Halved before they are added: their sum may overflow.
    ((z * 0.5)? + (magnitude * 0.5)?)? + tail
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Var};
    use emma_testkit::{devices, devices_with};

    #[test]
    fn extreme_arguments_stay_finite_and_exact() -> Result<()> {
        for device in devices() {
            let z = Tensor::new(&[-3e38f32, -100., 0., 100., 3e38], device)?;
            let values = softplus(&z)?.to_vec1::<f32>()?;
            let expected = [0., 0., std::f32::consts::LN_2, 100., 3e38];
            if device.is_cpu() {
                assert_eq!(values, expected);
            }
            // A GPU's exponential and logarithm may be a last digit off.
            for (got, expected) in values.iter().zip(expected) {
                assert!(
                    (got - expected).abs() <= 1e-6 * expected.abs(),
                    "{got} {expected}"
                );
            }
        }
        Ok(())
    }

    #[test]
    fn the_gradient_is_the_sigmoid_even_at_zero() -> Result<()> {
        for device in devices_with(DType::F64) {
            let z = Var::new(&[-700f64, -2., 0., 2., 700.], device)?;
            let gradient = softplus(&z)?.sum_all()?.backward()?;
            let gradient = gradient.get(&z).unwrap().to_vec1::<f64>()?;
            for (got, z) in gradient.iter().zip([-700f64, -2., 0., 2., 700.]) {
                let expected = 1. / (1. + (-z).exp());
                assert!((got - expected).abs() < 1e-15, "{z}: {got} {expected}");
            }
        }
        Ok(())
    }
}
