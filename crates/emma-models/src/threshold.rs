//! Rules that choose the probability from which a row counts as positive.

use std::fmt;
use std::str::FromStr;

use emma_energy::tensor_file::excerpt;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::metrics::{LabeledRows, OperatingPoint, OperatingPoints};

/// A rule for the decision threshold, applied to validation rows.
///
/// Written as `max_f1`, `roc_corner`, `recall:0.95`, `fpr:0.01`, `cost:10,1`; so too in files.
///
/// ```
/// use emma_models::ThresholdRule;
///
/// let rule: ThresholdRule = "cost:10,1".parse()?;
/// assert_eq!(rule, ThresholdRule::Cost { false_negative: 10., false_positive: 1. });
/// assert_eq!(rule.to_string(), "cost:10,1");
/// # Ok::<(), emma_models::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ThresholdRule {
    /// The largest F1, after averaging over nine neighbouring thresholds: the plain maximum
    /// follows single rows.
    #[default]
    MaxF1,
    /// The point of the ROC curve nearest to its upper left corner, `FPR² + (1 − TPR)²`, the
    /// thesis's rule. With few positives it lands far too low for F1.
    RocCorner,
    /// The highest threshold that finds at least this share of the positives; above 0, at most 1.
    Recall(f64),
    /// The lowest threshold that takes at most this share of the negatives for positives; from 0 to
    /// below 1. If the likeliest rows are already too many, a threshold above all of them.
    FalsePositiveRate(f64),
    /// The least cost of all mistakes, each of the two kinds at its price; the strictest of equals. A
    /// threshold above all rows counts too.
    Cost {
        /// Price of a positive that is missed; not negative.
        false_negative: f64,
        /// Price of a negative that is taken for a positive; not negative.
        false_positive: f64,
    },
}

/// How rules are written, for messages.
const WRITTEN: &str = "max_f1, roc_corner, recall:SHARE (above 0, at most 1), fpr:SHARE (from 0 to below 1), or \
                       cost:FN,FP (prices of a missed positive and of a false alarm, not negative, not both 0)";

impl FromStr for ThresholdRule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refusal = || Error::InvalidSetting {
            name: "threshold rule",
            expected: WRITTEN,
            found: excerpt(text),
        };
        let number = |text: &str| text.trim().parse::<f64>().map_err(|_| refusal());
        let (name, level) = text.trim().split_once(':').unwrap_or((text.trim(), ""));
        let rule = match name {
            "max_f1" | "roc_corner" if text.contains(':') => None,
            "max_f1" => Some(Self::MaxF1),
            "roc_corner" => Some(Self::RocCorner),
            "recall" => {
                let share = number(level)?;
                (share > 0. && share <= 1.).then_some(Self::Recall(share))
            }
            "fpr" => {
                let share = number(level)?;
                (0. ..1.)
                    .contains(&share)
                    .then_some(Self::FalsePositiveRate(share))
            }
            "cost" => {
                let (false_negative, false_positive) = level.split_once(',').ok_or_else(refusal)?;
                let prices = [number(false_negative)?, number(false_positive)?];
                let valid = prices
                    .iter()
                    .all(|price| (0. ..f64::INFINITY).contains(price))
                    && prices.iter().any(|&price| price > 0.);
                valid.then_some(Self::Cost {
                    false_negative: prices[0],
                    false_positive: prices[1],
                })
            }
            _ => None,
        };
        rule.ok_or_else(refusal)
    }
}

impl fmt::Display for ThresholdRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MaxF1 => write!(f, "max_f1"),
            Self::RocCorner => write!(f, "roc_corner"),
            Self::Recall(share) => write!(f, "recall:{share}"),
            Self::FalsePositiveRate(share) => write!(f, "fpr:{share}"),
            Self::Cost {
                false_negative,
                false_positive,
            } => write!(f, "cost:{false_negative},{false_positive}"),
        }
    }
}

impl TryFrom<String> for ThresholdRule {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<ThresholdRule> for String {
    fn from(rule: ThresholdRule) -> Self {
        rule.to_string()
    }
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
        let of_each = |score: &dyn Fn(&Candidate) -> f64| candidates.iter().map(score).collect();
        let scores: Vec<f64> = match self {
            Self::MaxF1 => smooth(&candidates),
            Self::RocCorner => of_each(&Candidate::roc_closeness),
            // The first that suffices is the strictest.
            Self::Recall(share) => of_each(&|one| f64::from(u8::from(one.recall() >= share))),
            Self::FalsePositiveRate(share) => {
                let allowed = candidates.iter();
                let allowed = allowed.take_while(|one| one.false_positive_rate() <= share);
                return Ok(match allowed.last() {
                    Some(loosest) => loosest.threshold,
                    None => above_all(probabilities),
                });
            }
            Self::Cost {
                false_negative,
                false_positive,
            } => {
                let cost = |one: &Candidate| {
                    false_negative * one.missed() as f64
                        + false_positive * one.false_positives() as f64
                };
                let of_none =
                    false_negative * candidates.first().map_or(0, |one| one.positives) as f64;
                if candidates.iter().all(|one| cost(one) >= of_none) {
                    return Ok(above_all(probabilities));
                }
                of_each(&|one| -cost(one))
            }
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

/// A threshold that no row reaches.
fn above_all(probabilities: &[f32]) -> f64 {
    let highest = probabilities
        .iter()
        .fold(0f32, |highest, &next| highest.max(next));
    let highest = f64::from(highest);
    f64::midpoint(highest, 1.).max(highest.next_up())
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

    fn recall(&self) -> f64 {
        self.true_positives as f64 / self.positives as f64
    }

    fn missed(&self) -> usize {
        self.positives - self.true_positives
    }

    fn false_positives(&self) -> usize {
        self.predicted - self.true_positives
    }

    fn false_positive_rate(&self) -> f64 {
        self.false_positives() as f64 / (self.rows - self.positives) as f64
    }

    fn roc_closeness(&self) -> f64 {
        -(self.false_positive_rate().powi(2) + (1. - self.recall()).powi(2))
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
    fn rules_read_back_as_they_are_written() -> Result<()> {
        for text in [
            "max_f1",
            "roc_corner",
            "recall:0.95",
            "fpr:0.01",
            "fpr:0",
            "cost:10,0.5",
        ] {
            let rule: ThresholdRule = text.parse()?;
            assert_eq!(rule.to_string(), text);
            let json = serde_json::to_string(&rule).expect("rules can be written");
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(
                serde_json::from_str::<ThresholdRule>(&json).ok(),
                Some(rule)
            );
        }
        for text in [
            "",
            "f1",
            "max_f1:1",
            "recall",
            "recall:0",
            "recall:1.1",
            "recall:NaN",
            "fpr:1",
            "fpr:-0.1",
            "cost:1",
            "cost:1,-1",
            "cost:0,0",
            "cost:inf,1",
            "recall:0.9:1",
        ] {
            let error = text.parse::<ThresholdRule>().unwrap_err().to_string();
            assert!(
                error.contains("expected") || error.contains("must be max_f1"),
                "{error}"
            );
        }
        Ok(())
    }

    /// Counted by hand: from the top 1 1 0 1 0 0 0 1 0 0.
    const PROBABILITIES: [f32; 10] = [0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2];
    const LABELS: [u8; 10] = [1, 1, 0, 1, 0, 0, 0, 1, 0, 0];

    fn predicted(rule: &str) -> usize {
        let rule: ThresholdRule = rule.parse().expect("a rule");
        let threshold = rule.choose(&PROBABILITIES, &LABELS).expect("a threshold");
        let above = |p: &&f32| f64::from(**p) >= threshold;
        PROBABILITIES.iter().filter(above).count()
    }

    #[test]
    fn a_wanted_recall_is_reached_with_as_few_rows_as_can_be() {
        for (rule, rows) in [
            ("recall:0.5", 2),
            ("recall:0.51", 4),
            ("recall:0.75", 4),
            ("recall:1", 8),
        ] {
            assert_eq!(predicted(rule), rows, "{rule}");
        }
    }

    #[test]
    fn a_false_positive_rate_is_used_up_and_not_exceeded() {
        for (rule, rows) in [
            ("fpr:0", 2),
            ("fpr:0.1", 2),
            ("fpr:0.17", 4),
            ("fpr:0.5", 6),
        ] {
            assert_eq!(predicted(rule), rows, "{rule}");
        }
        // The likeliest row is negative.
        let threshold = ThresholdRule::FalsePositiveRate(0.).choose(&[1., 0.5, 0.1], &[0, 1, 0]);
        assert!(threshold.expect("a threshold") > 1.);
    }

    #[test]
    fn the_cheapest_threshold_is_chosen() {
        for (rule, rows) in [
            ("cost:1,1", 2),
            ("cost:2,1", 4),
            ("cost:10,1", 8),
            ("cost:0,1", 0),
            ("cost:1,0", 8),
        ] {
            assert_eq!(predicted(rule), rows, "{rule}");
        }
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
