//! The walk over all thresholds that a set of rows can tell apart.

use super::labeled_rows::LabeledRows;
use crate::error::Result;

/// What is predicted and right at every distinguishable threshold, from the strictest down.
///
/// The corners of the ROC curve and of the precision-recall curve, without the point where nothing
/// is predicted. Rows of equal probability are predicted together or not at all.
#[derive(Debug)]
pub(crate) struct OperatingPoints {
    /// Rows labelled 1; at least one.
    pub(crate) n_positives: usize,
    /// Rows labelled 0; at least one.
    pub(crate) n_negatives: usize,
    /// One a distinct probability; the last predicts every row.
    pub(crate) points: Vec<OperatingPoint>,
}

/// Counts if all rows from a probability up are predicted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OperatingPoint {
    /// The lowest probability that is predicted.
    pub(crate) lowest: f64,
    /// The next lower one, the highest that is not predicted; none if all rows are.
    pub(crate) below: Option<f64>,
    pub(crate) true_positives: usize,
    pub(crate) false_positives: usize,
}

impl OperatingPoints {
    /// All operating points of the rows.
    ///
    /// # Errors
    /// Those of [`LabeledRows::new`], and [`OneClass`](crate::Error::OneClass).
    pub(crate) fn new(probabilities: &[f32], labels: &[u8]) -> Result<Self> {
        let rows = LabeledRows::new(probabilities, labels)?.with_both_classes()?;
        let mut sorted: Vec<(f64, bool)> = rows.iter().collect();
        sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut points = Vec::new();
        let (mut true_positives, mut false_positives) = (0, 0);
        for (position, &(lowest, positive)) in sorted.iter().enumerate() {
            true_positives += usize::from(positive);
            false_positives += usize::from(!positive);
            let below = sorted.get(position + 1).map(|next| next.0);
            if below.is_some_and(|below| below >= lowest) {
                continue; // Rows of equal probability are predicted together.
            }
            points.push(OperatingPoint {
                lowest,
                below,
                true_positives,
                false_positives,
            });
        }
        Ok(Self {
            n_positives: rows.n_positives(),
            n_negatives: rows.n_negatives(),
            points,
        })
    }

    /// See [`roc_auc`](super::roc_auc).
    pub(crate) fn roc_auc(&self) -> f64 {
        // Twice the number of pairs in the right order, in whole numbers: nothing is rounded before
        // the division.
        let mut doubled_pairs: u128 = 0;
        let (mut true_positives, mut false_positives) = (0, 0);
        for point in &self.points {
            let positives = (point.true_positives - true_positives) as u128;
            let tied = (point.false_positives - false_positives) as u128;
            let lower = (self.n_negatives - point.false_positives) as u128;
            doubled_pairs += positives * (2 * lower + tied);
            (true_positives, false_positives) = (point.true_positives, point.false_positives);
        }
        let pairs = self.n_positives as u128 * self.n_negatives as u128;
        doubled_pairs as f64 / (2 * pairs) as f64
    }

    /// See [`pr_auc`](super::pr_auc).
    pub(crate) fn pr_auc(&self) -> f64 {
        let mut sum = 0.;
        let mut true_positives = 0;
        for point in &self.points {
            let predicted = point.true_positives + point.false_positives;
            let precision = point.true_positives as f64 / predicted as f64;
            sum += (point.true_positives - true_positives) as f64 * precision;
            true_positives = point.true_positives;
        }
        sum / self.n_positives as f64
    }

    /// See [`recall_at_false_positive_rate`](super::recall_at_false_positive_rate).
    pub(crate) fn recall_at_false_positive_rate(&self, rate: f64) -> f64 {
        let allowed = |point: &&OperatingPoint| {
            point.false_positives as f64 / self.n_negatives as f64 <= rate
        };
        // Both counts grow along the walk, so that the last point allowed finds most.
        let found = self.points.iter().take_while(allowed).last();
        found.map_or(0., |point| {
            point.true_positives as f64 / self.n_positives as f64
        })
    }
}
