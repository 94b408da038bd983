use candle_core::{Result, Tensor};

/// Steps of the recurrence: the series is then asked at 9 or more, where its first left-out term,
/// `1 / (12 x¹⁴)`, is below 4e-15.
const STEPS: usize = 8;

/// Coefficients of `x^(−2n)` for n = 1, 2, …: `−B_2n / (2n)` with B the Bernoulli numbers.
const SERIES: [f64; 6] = [
    -1. / 12.,
    1. / 120.,
    -1. / 252.,
    1. / 240.,
    -1. / 132.,
    691. / 32760.,
];

/// Digamma function, the derivative of log Γ, element by element, for arguments of at least 1; it has a gradient.
///
/// `ψ(x) = ψ(x + 8) − Σ_(i<8) 1 / (x + i)`, and `ψ(x) = log x − 1/(2x) − Σ_n B_2n / (2n x^2n)` for large x.
///
/// # Shapes
/// Any; the result has the argument's shape.
///
/// # Errors
/// Only candle's own.
///
/// # Source
/// M. Abramowitz and I. A. Stegun, Handbook of mathematical functions (1964), 6.3.6 and 6.3.18.
pub fn digamma(x: &Tensor) -> Result<Tensor> {
    let shifted = (x + STEPS as f64)?;
    let inverse = shifted.recip()?;
    let inverse_square = inverse.sqr()?;
    let mut series = inverse.zeros_like()?;
    for coefficient in SERIES.iter().rev() {
        series = ((series + *coefficient)? * &inverse_square)?;
    }
    let mut value = ((shifted.log()? - (inverse * 0.5)?)? + series)?;
    // The smallest terms first.
    for step in (0..STEPS).rev() {
        value = (value - (x + step as f64)?.recip()?)?;
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};
    use emma_testkit::gradcheck::assert_gradients;
    use emma_testkit::tolerance::{assert_close, values};

    use super::*;

    const ARGUMENTS: [f64; 9] = [1., 1.0001, 1.5, 2., 3.7, 8., 20., 1e3, 1e8];

    #[test]
    fn digamma_is_that_of_the_library() -> Result<()> {
        let x = Tensor::new(&ARGUMENTS, &Device::Cpu)?;
        let expected = ARGUMENTS.map(statrs::function::gamma::digamma);
        // The series' remainder, and the rounding of nine terms of at most 3 (log 9 and reciprocals).
        assert_close("digamma", &values(&digamma(&x)?)?, &expected, 1e-14, 1e-14);
        Ok(())
    }

    #[test]
    fn digamma_of_one_is_minus_eulers_constant() -> Result<()> {
        let value = values(&digamma(&Tensor::new(&[1f64, 2.], &Device::Cpu)?)?)?;
        let euler = 0.577_215_664_901_532_9;
        assert_close("ψ", &value, &[-euler, 1. - euler], 0., 5e-15);
        Ok(())
    }

    #[test]
    fn the_gradient_of_digamma_is_its_slope() -> Result<()> {
        let x = Var::new(&[1f64, 1.5, 4., 50.], &Device::Cpu)?;
        // Central differences of rounded values: 1e-15 / 1e-4.
        assert_gradients(&[("x", &x)], || digamma(&x)?.sum_all(), 1e-9, 1e-10)
    }
}
