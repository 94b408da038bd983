//! Gradients checked against central differences.

use candle_core::{Result, Tensor, Var};

use crate::tolerance::{assert_close, values};

/// Compares the gradient of a scalar loss with central differences, for every named variable.
///
/// Two step sizes are combined (Richardson) for a fourth-order derivative, so `f64` variables
/// agree to about 1e-9 away from kinks. Every variable must receive a gradient.
///
/// # Errors
/// Candle's, from the loss.
///
/// # Panics
/// If a gradient is missing or differs by more than `relative · |expected| + absolute`.
#[track_caller]
pub fn assert_gradients(
    variables: &[(&str, &Var)],
    loss: impl Fn() -> Result<Tensor>,
    relative: f64,
    absolute: f64,
) -> Result<()> {
    let gradients = loss()?.backward()?;
    for (name, variable) in variables {
        let gradient = gradients
            .get(variable)
            .unwrap_or_else(|| panic!("{name} receives no gradient"));
        let numeric = numeric_gradient(variable, &loss)?;
        assert_close(name, &values(gradient)?, &numeric, relative, absolute);
    }
    Ok(())
}

/// Fourth-order numeric gradient of a scalar loss, in row-major order; leaves the variable as it
/// was.
///
/// # Errors
/// Candle's, from the loss.
pub fn numeric_gradient(variable: &Var, loss: impl Fn() -> Result<Tensor>) -> Result<Vec<f64>> {
    let original = values(variable)?;
    let evaluate = |position: usize, step: f64| -> Result<f64> {
        let mut moved = original.clone();
        moved[position] += step;
        set(variable, moved)?;
        loss()?.to_scalar::<f64>()
    };
    let gradient = (0..original.len())
        .map(|position| {
            let central = |step: f64| -> Result<f64> {
                Ok((evaluate(position, step)? - evaluate(position, -step)?) / (2. * step))
            };
            let step = 1e-4 * original[position].abs().max(1.);
            Ok((4. * central(step / 2.)? - central(step)?) / 3.)
        })
        .collect();
    set(variable, original)?;
    gradient
}

fn set(variable: &Var, values: Vec<f64>) -> Result<()> {
    variable.set(&Tensor::from_vec(
        values,
        variable.shape(),
        variable.device(),
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn a_right_gradient_passes() -> Result<()> {
        let x = Var::new(&[1f64, -2., 30.], &Device::Cpu)?;
        assert_gradients(&[("x", &x)], || x.sqr()?.sum_all(), 1e-9, 1e-9)
    }

    #[test]
    #[should_panic(expected = "x[0]")]
    fn a_wrong_gradient_fails() {
        let x = Var::new(&[1f64], &Device::Cpu).unwrap();
        // A constant factor whose derivative autograd cannot see.
        let loss = || x.as_tensor() * x.as_detached_tensor();
        assert_gradients(&[("x", &x)], || loss()?.sum_all(), 1e-6, 1e-6).unwrap();
    }
}
