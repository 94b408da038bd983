//! Measures of the probabilities themselves: do they say how often they are right?

use super::labeled_rows::LabeledRows;
use crate::error::{Error, Result};

/// Bins of the expected calibration error in [`ClassificationMetrics`](super::ClassificationMetrics).
pub const CALIBRATION_BINS: usize = 15;

/// More bins than this are a mistake; up to here edges are exact.
const MOST_BINS: usize = 1 << 20;

/// Brier score: the mean squared difference between probability and label; lower is better.
///
/// `BS = Σ_i (p_i − y_i)² / n`. 0 is perfect, 1 certain and always wrong; always saying the share π
/// of positives gives `π (1 − π)`.
///
/// # Shapes
/// - `probabilities`, `labels`: one a row, from 0 to 1 and 0 or 1
///
/// # Errors
/// [`Error::LabelCount`] if there is not one label a probability, [`Error::NoRows`] without any,
/// [`Error::Row`] for another label or a probability outside its range.
///
/// # Source
/// G. W. Brier, Monthly Weather Review 78 (1950), for two classes and counted once; scikit-learn's
/// `brier_score_loss`.
pub fn brier_score(probabilities: &[f32], labels: &[u8]) -> Result<f64> {
    let rows = LabeledRows::new(probabilities, labels)?.with_real_probabilities()?;
    let sum: f64 = rows.iter().map(|row| residual(row).powi(2)).sum();
    Ok(sum / rows.n_rows() as f64)
}

/// Expected calibration error of the probability of label 1: how far, on average, the share of
/// positives lies from what the probabilities of a bin say; lower is better.
///
/// `ECE = Σ_b n_b / n · | mean of p in b − mean of y in b |` over bins of equal width. With B bins,
/// bin b of 1 to B holds `(b − 1) / B < p ≤ b / B`; the first also holds `p = 0`. So a probability
/// on an edge belongs to the lower bin. Edges are exact: no quotient is rounded to find a row's bin.
/// Empty bins count nothing.
///
/// This is the calibration of `p`, with all rows in. Another reading bins the confidence
/// `max(p, 1 − p)` of the predicted class; with two classes and few positives it says less.
///
/// # Shapes
/// - `probabilities`, `labels`: as for [`brier_score`]
/// - `n_bins`: from 1 to 2²⁰; [`CALIBRATION_BINS`] is usual
///
/// # Errors
/// Those of [`brier_score`], and [`Error::InvalidSetting`] for a number of bins outside its range.
///
/// # Source
/// M. P. Naeini, G. F. Cooper and M. Hauskrecht, AAAI 2015; bins closed above as in C. Guo, G. Pleiss,
/// Y. Sun and K. Q. Weinberger, ICML 2017, and in scikit-learn's `calibration_curve`.
pub fn expected_calibration_error(
    probabilities: &[f32],
    labels: &[u8],
    n_bins: usize,
) -> Result<f64> {
    if !(1..=MOST_BINS).contains(&n_bins) {
        return Err(Error::InvalidSetting {
            name: "number of bins",
            expected: "from 1 to 1048576",
            found: n_bins.to_string(),
        });
    }
    let rows = LabeledRows::new(probabilities, labels)?.with_real_probabilities()?;
    // n_b · |mean p − mean y| is the sum of p − y in the bin, without its sign.
    let mut residuals = vec![0.; n_bins];
    for row in rows.iter() {
        residuals[bin(row.0, n_bins)] += residual(row);
    }
    let sum: f64 = residuals.into_iter().map(f64::abs).sum();
    Ok(sum / rows.n_rows() as f64)
}

fn residual((probability, positive): (f64, bool)) -> f64 {
    probability - f64::from(u8::from(positive))
}

/// The bin, from 0, of a probability from 0 to 1.
#[expect(
    clippy::cast_sign_loss,
    reason = "a probability of at least 0 times a count is never negative"
)]
fn bin(probability: f64, n_bins: usize) -> usize {
    // The probability has the 24 bits of an f32 and n_bins at most 21: the product is exact.
    let position = (probability * n_bins as f64).ceil() as usize;
    position.max(1) - 1
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // These results are exact.
mod tests {
    use super::*;

    #[test]
    fn a_small_case_worked_by_hand() -> Result<()> {
        let (probabilities, labels) = ([0.25, 0.5, 0.75, 1.], [0, 1, 0, 1]);
        // (1/16 + 1/4 + 9/16 + 0) / 4
        assert_eq!(brier_score(&probabilities, &labels)?, 0.21875);
        // Two bins: {.25, .5} with residuals .25 and -.5, {.75, 1} with .75 and 0.
        assert_eq!(
            expected_calibration_error(&probabilities, &labels, 2)?,
            0.25
        );
        Ok(())
    }

    #[test]
    fn an_edge_belongs_to_the_lower_bin_and_zero_to_the_first() {
        for (probability, expected) in [
            (0., 0),
            (f32::MIN_POSITIVE, 0),
            (0.25, 0),
            (0.25f32.next_up(), 1),
            (0.5, 1),
            (0.75f32.next_up(), 3),
            (1., 3),
        ] {
            assert_eq!(bin(f64::from(probability), 4), expected, "{probability}");
        }
        // 1/5 as an f32 is above 1/5.
        assert_eq!(bin(f64::from(0.2f32), 5), 1);
        assert_eq!(bin(f64::from(0.2f32.next_down()), 5), 0);
        assert_eq!(bin(1., MOST_BINS), MOST_BINS - 1);
    }

    #[test]
    fn what_is_no_probability_is_an_error() {
        for value in [-0.1f32, 1.5, f32::INFINITY] {
            let expected = format!("row 1: expected a probability from 0 to 1, got {value}");
            let error = brier_score(&[0.5, value], &[0, 1]).unwrap_err();
            assert_eq!(error.to_string(), expected);
            let error = expected_calibration_error(&[0.5, value], &[0, 1], 15).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        assert!(brier_score(&[f32::NAN], &[1]).is_err());
        assert!(brier_score(&[], &[]).is_err());
        assert!(brier_score(&[0.5], &[2]).is_err());
        for n_bins in [0, MOST_BINS + 1, usize::MAX] {
            let error = expected_calibration_error(&[0.5], &[1], n_bins).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("number of bins must be from 1 to 1048576, got {n_bins}")
            );
        }
    }
}
