//! Rules that choose the probability from which a row counts as positive.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::metrics::{LabeledRows, OperatingPoint, OperatingPoints};

/// A rule for the decision threshold, applied to validation rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThresholdRule {
    /// The largest F1, after averaging over nine neighbouring thresholds: the plain maximum
    /// follows single rows.
    #[default]
    MaxF1,
    /// The point of the ROC curve nearest to its upper left corner, `FPR² + (1 − TPR)²`, the
    /// thesis's rule. With few positives it lands far too low for F1.
    RocCorner,
}

/// Thresholds averaged over by [`ThresholdRule::MaxF1`].
const SMOOTHING: usize = 9;

impl ThresholdRule {
    /// Chooses a threshold: predictions are 1 where the probability is at least that.
    ///
    /// Candidates lie halfway between neighbouring distinct probabilities.
    ///
    /// # Shapes
    /// - `probabilities`, `labels`: one a validation row, labels 0 or 1
    ///
    /// # Errors
    /// [`LabelCount`](crate::Error::LabelCount) if there is not one label a probability,
    /// [`NoRows`](crate::Error::NoRows) without any, [`OneClass`](crate::Error::OneClass) if a class
    /// is missing, [`Row`](crate::Error::Row) for another label or a NaN probability.
    pub fn choose(self, probabilities: &[f32], labels: &[u8]) -> Result<f64> {
        let candidates = candidates(probabilities, labels)?;
        let scores: Vec<f64> = match self {
            Self::MaxF1 => smooth(&candidates),
            Self::RocCorner => candidates.iter().map(Candidate::roc_closeness).collect(),
        };
        let mut best = 0;
        for (position, score) in scores.iter().enumerate() {
            if *score > scores[best] {
                best = position;
            }
        }
        Ok(candidates[best].threshold)
    }
}

/// A threshold with what it would count.
struct Candidate {
    threshold: f64,
    true_positives: usize,
    predicted: usize,
    positives: usize,
    rows: usize,
}

impl Candidate {
    fn f1(&self) -> f64 {
        2. * self.true_positives as f64 / (self.predicted + self.positives) as f64
    }

    fn roc_closeness(&self) -> f64 {
        let false_positives = self.predicted - self.true_positives;
        let false_positive_rate = false_positives as f64 / (self.rows - self.positives) as f64;
        let miss_rate = 1. - self.true_positives as f64 / self.positives as f64;
        -(false_positive_rate.powi(2) + miss_rate.powi(2))
    }
}

/// All distinguishable thresholds, from the strictest down.
fn candidates(probabilities: &[f32], labels: &[u8]) -> Result<Vec<Candidate>> {
    LabeledRows::new(probabilities, labels)?.with_real_probabilities()?;
    let curve = OperatingPoints::new(probabilities, labels)?;
    let candidate = |point: &OperatingPoint| Candidate {
        threshold: match point.below {
            Some(below) => f64::midpoint(point.lowest, below),
            None => point.lowest / 2.,
        },
        true_positives: point.true_positives,
        predicted: point.true_positives + point.false_positives,
        positives: curve.n_positives,
        rows: labels.len(),
    };
    Ok(curve.points.iter().map(candidate).collect())
}

/// Moving average of F1 over neighbouring thresholds; at either end over those there are.
fn smooth(candidates: &[Candidate]) -> Vec<f64> {
    let f1: Vec<f64> = candidates.iter().map(Candidate::f1).collect();
    (0..f1.len())
        .map(|center| {
            let start = center.saturating_sub(SMOOTHING / 2);
            let end = (center + SMOOTHING / 2 + 1).min(f1.len());
            f1[start..end].iter().sum::<f64>() / (end - start) as f64
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::ConfusionMatrix;
    use rand::Rng;

    #[test]
    fn separable_rows_are_separated() -> Result<()> {
        let probabilities: Vec<f32> = (0..100u8).map(|i| f32::from(i) / 100.).collect();
        let labels: Vec<u8> = (0..100).map(|i| u8::from(i >= 60)).collect();
        for rule in [ThresholdRule::MaxF1, ThresholdRule::RocCorner] {
            let threshold = rule.choose(&probabilities, &labels)?;
            let counts = ConfusionMatrix::at_threshold(&probabilities, &labels, threshold)?;
            assert!((counts.f1() - 1.).abs() < 1e-12, "{rule:?}: {threshold}");
        }
        Ok(())
    }

    #[test]
    fn the_roc_corner_is_lower_than_the_largest_f1_when_positives_are_few() -> Result<()> {
        // 10 positives above .5 among 1,000 rows, 10 more spread over [.2, .5).
        let mut probabilities: Vec<f32> = (0..1000u16).map(|i| f32::from(i) / 2000.).collect();
        let mut labels = vec![0u8; 1000];
        for i in 0..10u8 {
            probabilities.push(0.6 + f32::from(i) / 100.);
            labels.push(1);
            probabilities.push(0.2 + f32::from(i) * 0.03);
            labels.push(1);
        }
        let f1 = ThresholdRule::MaxF1.choose(&probabilities, &labels)?;
        let corner = ThresholdRule::RocCorner.choose(&probabilities, &labels)?;
        assert!(corner < f1 - 0.1, "{corner} {f1}");
        Ok(())
    }

    #[test]
    fn one_lucky_row_does_not_decide() {
        // The strictest thresholds reach F1 1/2 for one candidate only; a plateau of 0.4 follows.
        let candidates: Vec<Candidate> = (0..21)
            .map(|i| Candidate {
                threshold: 1. - f64::from(i) / 21.,
                true_positives: if i == 2 {
                    50
                } else if i > 10 {
                    40
                } else {
                    10
                },
                predicted: 100,
                positives: 100,
                rows: 1000,
            })
            .collect();
        let smoothed = smooth(&candidates);
        let best = (0..21).max_by(|&a, &b| smoothed[a].total_cmp(&smoothed[b]));
        assert!(best > Some(10), "{best:?}");
    }

    #[test]
    fn max_f1_is_the_smoothed_maximum_and_not_the_plain_one() -> Result<()> {
        let mut differ = 0;
        for seed in 0..20 {
            let mut rng = emma_testkit::rng(seed);
            let labels: Vec<u8> = (0..200).map(|row| u8::from(row % 8 == 0)).collect();
            let probabilities: Vec<f32> = labels
                .iter()
                .map(|&label| f32::from(label) * 0.3 + rng.random_range(0f32..0.7))
                .collect();
            let candidates = candidates(&probabilities, &labels)?;
            let best_of = |scores: Vec<f64>| {
                let best = (0..scores.len())
                    .rev()
                    .max_by(|&a, &b| scores[a].total_cmp(&scores[b]));
                candidates[best.unwrap()].threshold
            };
            let smoothed = best_of(smooth(&candidates));
            let plain = best_of(candidates.iter().map(Candidate::f1).collect());
            let chosen = ThresholdRule::MaxF1.choose(&probabilities, &labels)?;
            assert!((chosen - smoothed).abs() < 1e-12, "{chosen} {smoothed}");
            differ += usize::from((smoothed - plain).abs() > 1e-6);
        }
        assert!(differ > 5, "{differ} of 20 tell the two apart");
        Ok(())
    }

    #[test]
    fn rows_of_equal_probability_stay_together() -> Result<()> {
        let threshold = ThresholdRule::MaxF1.choose(&[0.5, 0.5, 0.1], &[1, 1, 0])?;
        assert!(threshold > 0.1 && threshold <= 0.5);
        Ok(())
    }

    #[test]
    #[allow(clippy::float_cmp)] // Exact.
    fn candidates_lie_halfway_and_the_last_below_all_rows() -> Result<()> {
        let candidates = candidates(&[0.25, 0.75, 0.5, 0.25], &[0, 0, 1, 1])?;
        let thresholds: Vec<f64> = candidates.iter().map(|one| one.threshold).collect();
        assert_eq!(thresholds, [0.625, 0.375, 0.125]);
        let counts = candidates
            .iter()
            .map(|one| (one.true_positives, one.predicted));
        assert_eq!(counts.collect::<Vec<_>>(), [(0, 1), (1, 2), (2, 4)]);
        Ok(())
    }

    #[test]
    fn both_classes_and_real_probabilities_are_needed() {
        let error = ThresholdRule::MaxF1.choose(&[0.5, 0.6], &[0, 0]);
        assert_eq!(
            error.unwrap_err().to_string(),
            "expected rows of both classes, got 0 of 2 positive"
        );
        let error = ThresholdRule::MaxF1.choose(&[f32::NAN, 0.6], &[0, 1]);
        assert_eq!(
            error.unwrap_err().to_string(),
            "row 0: expected a probability that is a number, got NaN"
        );
    }
}
