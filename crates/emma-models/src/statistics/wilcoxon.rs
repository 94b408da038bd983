//! Paired comparison without a normal distribution.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Up to so many differences the null distribution is counted out.
///
/// All `2^50` signs still count exactly in u64 and in f64.
const MOST_EXACT: usize = 50;

/// Result of [`wilcoxon_signed_rank`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SignedRankTest {
    /// Differences that are not zero.
    pub n_differences: usize,
    /// W+: sum of the ranks of the positive ones.
    pub positive_rank_sum: f64,
    /// W−: sum of the ranks of the negative ones.
    pub negative_rank_sum: f64,
    /// Two-sided p-value: chance of rank sums this far apart, or farther, if the differences are
    /// symmetric around 0.
    pub p_value: f64,
    /// Whether the p-value counts all signs, or comes from the normal approximation.
    pub exact: bool,
}

impl SignedRankTest {
    /// The statistic of the two-sided test, `min(W+, W−)`.
    pub fn statistic(&self) -> f64 {
        self.positive_rank_sum.min(self.negative_rank_sum)
    }
}

/// Wilcoxon's signed-rank test, two-sided: are paired differences symmetric around 0?
///
/// Differences of 0 are dropped. The others are ranked by magnitude, equal magnitudes at their
/// average rank. Under the hypothesis each rank is positive or negative with chance 1/2.
///
/// - Up to 50 differences all `2^n` signs are counted: `p = min(1, 2 · P(W ≤ min(W+, W−)))`. With
///   ties this is the permutation test of the average ranks, exact as well.
/// - Beyond that `z = (W+ − n(n + 1)/4) / sqrt((n(n + 1)(2n + 1) − Σ (t³ − t)/2) / 24)` over groups of
///   t equal magnitudes, without continuity correction, and `p = erfc(|z| / sqrt 2)`.
///
/// Ties are equal numbers: differences that are equal on paper but rounded apart are not tied.
/// With n differences no p-value is below `2^(1 − n)`; five can show nothing at the 5 % level.
///
/// # Errors
/// [`Error::NoRows`] if no difference other than 0 is there, [`Error::Row`] for one that is not
/// finite.
///
/// # Source
/// F. Wilcoxon, Biometrics Bulletin 1 (1945).
/// Deviation from scipy's `wilcoxon(method="auto")`: with ties or zeros that takes the permutation
/// test only up to 13 differences, and the normal approximation from 14 on; here the exact
/// distribution goes to 50, ties or not. Without them, and up to 13 or above 50 with them, the two
/// agree. Zeros count towards scipy's limits, not towards these.
pub fn wilcoxon_signed_rank(differences: &[f64]) -> Result<SignedRankTest> {
    if let Some(row) = differences.iter().position(|value| !value.is_finite()) {
        return Err(Error::Row {
            row,
            message: format!("expected a finite difference, got {}", differences[row]),
        });
    }
    let mut ascending: Vec<f64> = differences
        .iter()
        .copied()
        .filter(|&value| value.abs() > 0.)
        .collect();
    if ascending.is_empty() {
        return Err(Error::NoRows {
            what: "differences other than 0",
        });
    }
    ascending.sort_by(|a, b| a.abs().total_cmp(&b.abs()));

    // Twice the ranks: average ranks are halves, and these are whole.
    let mut doubled_ranks: Vec<usize> = Vec::with_capacity(ascending.len());
    let (mut positive, mut negative) = (0, 0);
    let mut tie_correction = 0.;
    for group in ascending.chunk_by(|a, b| a.abs() >= b.abs()) {
        // Ranks first to last, from 1: their average is half of first + last.
        let doubled = 2 * doubled_ranks.len() + 1 + group.len();
        for &value in group {
            *(if value > 0. {
                &mut positive
            } else {
                &mut negative
            }) += doubled;
            doubled_ranks.push(doubled);
        }
        let t = group.len() as f64;
        tie_correction += t.powi(3) - t;
    }

    let exact = doubled_ranks.len() <= MOST_EXACT;
    let p_value = if exact {
        exact_p_value(&doubled_ranks, positive.min(negative))
    } else {
        let n = doubled_ranks.len() as f64;
        let mean = n * (n + 1.) / 4.;
        let variance = (n * (n + 1.) * (2. * n + 1.) - tie_correction / 2.) / 24.;
        let z = (positive as f64 / 2. - mean) / variance.sqrt();
        libm::erfc(z.abs() / std::f64::consts::SQRT_2)
    };
    Ok(SignedRankTest {
        n_differences: doubled_ranks.len(),
        positive_rank_sum: positive as f64 / 2.,
        negative_rank_sum: negative as f64 / 2.,
        p_value,
        exact,
    })
}

/// Twice the share of all signs whose positive ranks sum to at most `statistic`; at most 1.
fn exact_p_value(doubled_ranks: &[usize], statistic: usize) -> f64 {
    // How many choices of positive ranks have each sum; larger sums are not needed.
    let mut ways = vec![0u64; statistic + 1];
    ways[0] = 1;
    for &rank in doubled_ranks {
        for sum in (rank..=statistic).rev() {
            ways[sum] += ways[sum - rank];
        }
    }
    let extreme: u64 = ways.iter().sum();
    let all = (1u64 << doubled_ranks.len()) as f64;
    (2. * extreme as f64 / all).min(1.)
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // These results are exact.
mod tests {
    use super::*;

    #[test]
    fn small_cases_worked_by_hand() -> Result<()> {
        // All of five positive: of 32 signs only this one and its mirror image.
        let test = wilcoxon_signed_rank(&[0.1, 0.3, 0.2, 0.5, 0.4])?;
        assert_eq!(test.p_value, 2. / 32.);
        assert_eq!((test.positive_rank_sum, test.negative_rank_sum), (15., 0.));
        // W− = 3 by {3} or {1, 2}; sums up to 3 of ranks 1 to 4: {}, 1, 2, 3, 12.
        let test = wilcoxon_signed_rank(&[1., 2., -3., 4.])?;
        assert_eq!(test.statistic(), 3.);
        assert_eq!(test.p_value, 2. * 5. / 16.);
        Ok(())
    }

    #[test]
    fn ties_share_their_ranks_and_zeros_have_none() -> Result<()> {
        // Ranks 1.5, 1.5, 3. Sums up to 1.5: none, and each of the tied alone.
        let test = wilcoxon_signed_rank(&[2., 0., -2., 5., -0.])?;
        assert_eq!(test.n_differences, 3);
        assert_eq!((test.positive_rank_sum, test.negative_rank_sum), (4.5, 1.5));
        assert_eq!(test.p_value, 2. * 3. / 8.);
        Ok(())
    }

    #[test]
    fn balanced_differences_have_p_value_1() -> Result<()> {
        assert_eq!(wilcoxon_signed_rank(&[1., -1.])?.p_value, 1.);
        assert_eq!(wilcoxon_signed_rank(&[1., 2., -3.])?.p_value, 1.);
        Ok(())
    }

    #[test]
    fn what_cannot_be_ranked_is_an_error() {
        for none in [&[][..], &[0., -0.]] {
            assert_eq!(
                wilcoxon_signed_rank(none).unwrap_err().to_string(),
                "expected at least one row of differences other than 0, got none"
            );
        }
        for value in [f64::NAN, f64::INFINITY] {
            assert_eq!(
                wilcoxon_signed_rank(&[1., value]).unwrap_err().to_string(),
                format!("row 1: expected a finite difference, got {value}")
            );
        }
    }
}
