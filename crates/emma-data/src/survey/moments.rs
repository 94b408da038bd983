//! The four moments that describe a curve.

/// Mean, population standard deviation, skewness and excess kurtosis of a curve of bytes.
///
/// With `m_k = mean((x − mean)^k)`: `mean`, `√m_2`, `m_3 / m_2^(3/2)` and `m_4 / m_2² − 3`. Two passes in
/// 64 bits, the mean first, so that nothing cancels. A constant curve has the skewness 0 and the excess
/// kurtosis 0 by definition, where the formulas would divide zero by zero; so has a curve of no points,
/// whose mean is 0 too.
///
/// # Shapes
/// `[points]` to `[4]`, in the order of the columns of [`htru2`](crate::htru2).
///
/// # Units
/// Of the first two: the curve's; the last two have none.
///
/// # Source
/// R. J. Lyon et al., MNRAS 459:1104 (2016), for the choice of features. What a constant curve
/// has is this implementation's choice: HTRU2 has none.
///
/// ```
/// use emma_data::survey::moments;
///
/// assert_eq!(moments(&[0, 2]), [1.0, 1.0, 0.0, -2.0]);
/// assert_eq!(moments(&[7, 7, 7]), [7.0, 0.0, 0.0, 0.0]);
/// ```
pub fn moments(curve: &[u8]) -> [f64; 4] {
    if curve.is_empty() {
        return [0.0; 4];
    }
    let count = curve.len() as f64;
    let mean = curve.iter().map(|&value| u64::from(value)).sum::<u64>() as f64 / count;
    let (mut second, mut third, mut fourth) = (0.0, 0.0, 0.0);
    for &value in curve {
        let deviation = f64::from(value) - mean;
        let square = deviation * deviation;
        second += square;
        third += square * deviation;
        fourth += square * square;
    }
    let (second, third, fourth) = (second / count, third / count, fourth / count);
    // The sum of bytes and so the mean of a constant curve are exact: its deviations are exactly 0.
    if second <= 0.0 {
        return [mean, 0.0, 0.0, 0.0];
    }
    [
        mean,
        second.sqrt(),
        third / (second * second.sqrt()),
        fourth / (second * second) - 3.0,
    ]
}

#[cfg(test)]
mod tests {
    use super::moments;

    /// Twelve digits: the sums have at most 1,196 terms of like size.
    fn assert_close(found: [f64; 4], expected: [f64; 4]) {
        for (found, expected) in found.into_iter().zip(expected) {
            assert!(
                (found - expected).abs() <= 1e-12 * expected.abs().max(1.0),
                "{found} is not {expected}"
            );
        }
    }

    #[test]
    fn moments_are_worked_by_hand() {
        // Deviations -2, -2, -2, 6: m_2 = 12, m_3 = 48, m_4 = 336.
        assert_close(
            moments(&[0, 0, 0, 8]),
            [
                2.0,
                12_f64.sqrt(),
                48.0 / 12_f64.powf(1.5),
                336.0 / 144.0 - 3.0,
            ],
        );
    }

    #[test]
    fn one_spike_has_the_moments_of_a_rare_coin() {
        // A coin that shows 255 with probability p = 1/1196: skewness (1 − 2p)/√(p(1 − p)), excess
        // kurtosis (1 − 6p(1 − p))/(p(1 − p)).
        let mut curve = [0; 1196];
        curve[700] = 255;
        let p: f64 = 1.0 / 1196.0;
        let variance = p * (1.0 - p);
        assert_close(
            moments(&curve),
            [
                255.0 * p,
                255.0 * variance.sqrt(),
                (1.0 - 2.0 * p) / variance.sqrt(),
                (1.0 - 6.0 * variance) / variance,
            ],
        );
    }

    #[test]
    fn constant_curves_have_no_shape() {
        for value in [0, 1, 200, 255] {
            for length in [1, 3, 128, 1196] {
                let found = moments(&vec![value; length]).map(f64::to_bits);
                let expected = [f64::from(value), 0.0, 0.0, 0.0].map(f64::to_bits);
                assert_eq!(found, expected);
            }
        }
        assert_eq!(moments(&[]).map(f64::to_bits), [0; 4]);
    }
}
