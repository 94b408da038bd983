//! Capacity: how much attention there is to give, for reporting.

/// Capacity: the attention function integrated over all importances, without its rectification.
///
/// `∫₀¹ tanh(g_a α − b_a) dα = (log cosh(g_a − b_a) − log cosh(b_a)) / g_a`, and `−tanh(b_a)` in
/// the limit of `g_a = 0`.
///
/// # Units
/// Dimensionless, within (−1, 1).
///
/// # Source
/// Thesis eqs. 5.9 to 5.11.
/// Deviation: those have `+b_a` where eq. 5.7 has `−b_a`.
pub fn capacity(gain: f64, bias: f64) -> f64 {
    if gain == 0. {
        return -bias.tanh();
    }
    let log_ratio = if gain.abs() < 1. {
        // cosh(g − b) / cosh(b) − 1, without the cancellation of two nearly equal logarithms.
        let half = (gain / 2.).sinh();
        (2. * half * half - gain.sinh() * bias.tanh()).ln_1p()
    } else {
        log_cosh(gain - bias) - log_cosh(bias)
    };
    log_ratio / gain
}

/// Capacity of the rectified attention function, the one that is really applied.
///
/// `∫₀¹ max(0, tanh(g_a α − b_a)) dα = log cosh(g_a − b_a) / g_a` if `g_a > b_a`, else 0; for parameters
/// outside training's ranges, which model files may hold, the same integral: [`capacity`] for a negative
/// bias, and for a negative gain that of `α' = 1 − α`.
///
/// # Units
/// Dimensionless, within [0, 1).
///
/// # Source
/// Thesis eq. 5.9 with the `max(0, ·)` of figure 5.5.
pub fn rectified_capacity(gain: f64, bias: f64) -> f64 {
    if gain < 0. {
        return rectified_capacity(-gain, bias - gain);
    }
    if bias < 0. {
        return capacity(gain, bias);
    }
    if gain > bias {
        log_cosh(gain - bias) / gain
    } else {
        0.
    }
}

/// `log cosh x`, accurate for tiny and for huge `x`.
fn log_cosh(x: f64) -> f64 {
    let x = x.abs();
    if x < 1. {
        0.5 * (x.sinh() * x.sinh()).ln_1p()
    } else {
        x + (-2. * x).exp().ln_1p() - std::f64::consts::LN_2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Composite Simpson rule with enough panels for 1e-10.
    fn integral(function: impl Fn(f64) -> f64, low: f64) -> f64 {
        let n = 4000;
        let step = (1. - low) / f64::from(n);
        let inner: f64 = (1..n)
            .map(|i| {
                let weight = if i % 2 == 1 { 4. } else { 2. };
                weight * function(low + f64::from(i) * step)
            })
            .sum();
        (function(low) + inner + function(1.)) * step / 3.
    }

    #[test]
    fn capacity_equals_quadrature() {
        for gain in [1e-9, 1e-3, 0.5, 0.999, 1., 3., 50.] {
            for bias in [0., 0.2, 1.] {
                let expected = integral(|a| (gain * a - bias).tanh(), 0.);
                let got = capacity(gain, bias);
                assert!(
                    (got - expected).abs() < 1e-9,
                    "{gain} {bias}: {got} {expected}"
                );
                let start = (bias / gain).min(1.);
                let expected = integral(|a| (gain * a - bias).tanh().max(0.), start);
                let got = rectified_capacity(gain, bias);
                assert!(
                    (got - expected).abs() < 1e-9,
                    "{gain} {bias}: {got} {expected}"
                );
            }
        }
    }

    #[test]
    fn parameters_outside_their_ranges_have_the_same_integral() {
        for gain in [-3., -0.5, 0., 2.] {
            for bias in [-1.5, -0.3, 0., 0.4] {
                let got = rectified_capacity(gain, bias);
                // The midpoint rule; its error at the kink is of the order of its panels squared.
                let n = 200_000;
                let midpoints = (0..n).map(|i| (f64::from(i) + 0.5) / f64::from(n));
                let expected = midpoints
                    .map(|a| (gain * a - bias).tanh().max(0.))
                    .sum::<f64>()
                    / f64::from(n);
                assert!(
                    (got - expected).abs() < 1e-9,
                    "{gain} {bias}: {got} {expected}"
                );
            }
        }
    }

    #[test]
    fn tiny_and_huge_gains_keep_their_digits() {
        assert!((capacity(1e-12, 0.) / 5e-13 - 1.).abs() < 1e-9);
        assert!((rectified_capacity(1e-12, 0.) / 5e-13 - 1.).abs() < 1e-9);
        assert!((capacity(0., 0.3) + 0.3f64.tanh()).abs() < 1e-15);
        assert!((capacity(1e300, 0.5) - 1.).abs() < 1e-9);
        assert!(rectified_capacity(0., 0.).abs() < 1e-15);
    }
}
