//! How the error rate falls as fewer rows are answered.

use crate::error::{Error, Result};

/// The error rate among the rows of the lowest scores, for every share of rows.
///
/// # Source
/// Y. Geifman and R. El-Yaniv, "Selective classification for deep neural networks" (2017); Y. Geifman, G. Uziel and
/// R. El-Yaniv, "Bias-reduced uncertainty estimation for deep neural classifiers" (2019), for the area.
#[derive(Debug, Clone, PartialEq)]
pub struct RiskCoverage {
    points: Vec<RiskCoveragePoint>,
}

/// What comes of answering the rows up to a score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RiskCoveragePoint {
    /// The highest score that is answered; `+∞` where all rows are, those included whose score is NaN.
    pub threshold: f32,
    /// Share of all rows that are answered, above 0 and at most 1.
    pub coverage: f64,
    /// Share of errors among them.
    pub risk: f64,
}

impl RiskCoverage {
    /// Of rows with a score, high for rows that are not to be trusted (the total energy, for instance), and whether the
    /// answer was wrong. A NaN counts as the highest score. Rows of one score are answered together.
    ///
    /// # Shapes
    /// - `scores`, `errors`: `[rows]`
    ///
    /// # Errors
    /// [`Error::NoRows`]; [`Error::LabelCount`].
    pub fn of(scores: &[f32], errors: &[bool]) -> Result<Self> {
        check_rows(scores, errors)?;
        let as_ranked = |score: f32| if score.is_nan() { f32::INFINITY } else { score };
        let mut rows: Vec<(f32, bool)> = scores
            .iter()
            .map(|&score| as_ranked(score))
            .zip(errors.iter().copied())
            .collect();
        rows.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let (mut n_answered, mut n_errors) = (0usize, 0usize);
        let points = rows
            .chunk_by(|(a, _), (b, _)| a >= b)
            .map(|tied| {
                n_answered += tied.len();
                n_errors += tied.iter().filter(|(_, is_error)| *is_error).count();
                RiskCoveragePoint {
                    threshold: tied[0].0,
                    coverage: n_answered as f64 / rows.len() as f64,
                    risk: n_errors as f64 / n_answered as f64,
                }
            })
            .collect();
        Ok(Self { points })
    }

    /// A point for every different score, by rising coverage; the last is all rows.
    pub fn points(&self) -> &[RiskCoveragePoint] {
        &self.points
    }

    /// Area under the curve: the mean risk over all coverages, from 0 (no errors) to 1. The lower, the better the scores
    /// put errors last.
    ///
    /// `Σ_g (c_g − c_(g−1)) r_g` over the points; without ties `(1/n) Σ_k r_k`.
    pub fn area(&self) -> f64 {
        let mut before = 0.;
        let strip = |point: &RiskCoveragePoint| {
            let width = point.coverage - before;
            before = point.coverage;
            width * point.risk
        };
        self.points.iter().map(strip).sum()
    }
}

/// Rows that go together, at least one.
pub(crate) fn check_rows(scores: &[f32], errors: &[bool]) -> Result<()> {
    if scores.len() != errors.len() {
        return Err(Error::LabelCount {
            predictions: scores.len(),
            labels: errors.len(),
        });
    }
    if scores.is_empty() {
        return Err(Error::NoRows {
            what: "scores and errors",
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_curve_worked_by_hand() {
        let curve = RiskCoverage::of(&[3., 1., 2., f32::NAN], &[true, false, true, false]).unwrap();
        let points: Vec<(f32, f64, f64)> = curve
            .points()
            .iter()
            .map(|point| (point.threshold, point.coverage, point.risk))
            .collect();
        let two_thirds = 2. / 3.;
        assert_eq!(
            points,
            [
                (1., 0.25, 0.),
                (2., 0.5, 0.5),
                (3., 0.75, two_thirds),
                (f32::INFINITY, 1., 0.5)
            ]
        );
        // Four quarters, each of one rounding.
        assert!((curve.area() - (0.5 + two_thirds + 0.5) / 4.).abs() < 1e-15);
    }

    #[test]
    fn ties_are_answered_together() {
        let curve = RiskCoverage::of(&[1., 1., 0., -0.], &[true, false, false, false]).unwrap();
        let coverages: Vec<f64> = curve.points().iter().map(|point| point.coverage).collect();
        assert_eq!(coverages, [0.5, 1.]);
        assert!((curve.area() - 0.125).abs() < 1e-15);
    }

    #[test]
    fn an_order_that_puts_errors_last_has_the_smallest_area() {
        let errors: Vec<bool> = (0..20).map(|row| row >= 15).collect();
        let ascending: Vec<f32> = (0..20u8).map(f32::from).collect();
        let descending: Vec<f32> = ascending.iter().map(|score| -score).collect();
        let area = |scores: &[f32]| RiskCoverage::of(scores, &errors).unwrap().area();
        // Σ_k (k − 15)/k / 20 for k from 16 to 20.
        let best: f64 = (16..=20u8).map(|k| 1. - 15. / f64::from(k)).sum::<f64>() / 20.;
        assert!((area(&ascending) - best).abs() < 1e-15);
        assert!((area(&[0.; 20]) - 0.25).abs() < 1e-15);
        assert!(area(&descending) > 0.5);
    }

    #[test]
    fn rows_that_do_not_go_together_are_refused() {
        assert_eq!(
            RiskCoverage::of(&[], &[]).unwrap_err().to_string(),
            "expected at least one row of scores and errors, got none"
        );
        assert_eq!(
            RiskCoverage::of(&[1.], &[]).unwrap_err().to_string(),
            "expected as many labels as predictions (1), got 0"
        );
    }
}
