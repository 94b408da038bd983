//! What is left of a model's errors when it refuses the rows that it had better not judge.

use serde::{Deserialize, Serialize};

/// Steps of the coverage.
const STEPS: usize = 50;

/// Shares of rows that are kept: 0.02, 0.04, … 1.
pub(crate) fn coverages() -> impl Iterator<Item = f64> {
    (1..=STEPS).map(|step| step as f64 / STEPS as f64)
}

/// A judged row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Judged {
    /// Whether its label is 1.
    pub(crate) is_positive: bool,
    /// Whether the model said so.
    pub(crate) is_predicted: bool,
}

/// Risk over coverage: the rows of the highest score are refused first, of equal scores the later ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Refusal {
    /// Share of wrong predictions among the rows kept, by coverage ([`coverages`]).
    pub(crate) error: Vec<f64>,
    /// F1 of the rows kept; null where no row is positive or predicted so.
    pub(crate) f1: Vec<Option<f64>>,
}

impl Refusal {
    /// Refuses by a score, one a row.
    pub(crate) fn by(score: &[f64], rows: &[Judged]) -> Self {
        let mut order: Vec<usize> = (0..rows.len().min(score.len())).collect();
        order.sort_by(|&a, &b| score[a].total_cmp(&score[b]).then(a.cmp(&b)));
        let mut found = Self {
            error: Vec::new(),
            f1: Vec::new(),
        };
        let (mut n_kept, mut n_hits, mut n_wrong) = (0, 0, 0);
        for step in 1..=STEPS {
            // To the nearest, and one at least.
            let n = ((2 * step * order.len() + STEPS) / (2 * STEPS)).max(1);
            while n_kept < n && n_kept < order.len() {
                let row = rows[order[n_kept]];
                n_hits += usize::from(row.is_positive && row.is_predicted);
                n_wrong += usize::from(row.is_positive != row.is_predicted);
                n_kept += 1;
            }
            found.error.push(n_wrong as f64 / n_kept.max(1) as f64);
            let all = 2 * n_hits + n_wrong;
            found
                .f1
                .push((all > 0).then(|| 2. * n_hits as f64 / all as f64));
        }
        found
    }

    /// Error of the rows kept at a coverage, to the nearest that is known.
    pub(crate) fn error_at(&self, coverage: f64) -> Option<f64> {
        let nearest = coverages()
            .enumerate()
            .min_by(|a, b| (a.1 - coverage).abs().total_cmp(&(b.1 - coverage).abs()));
        self.error.get(nearest?.0).copied()
    }
}

/// Spearman's rank correlation, tied values sharing their mean rank; none if either does not vary.
pub(crate) fn rank_correlation(x: &[f64], y: &[f64]) -> Option<f64> {
    let (x, y) = (ranks(x), ranks(y));
    let mean = f64::midpoint(1., x.len() as f64);
    let product = |a: &[f64], b: &[f64]| -> f64 {
        let pairs = a.iter().zip(b);
        pairs.map(|(a, b)| (a - mean) * (b - mean)).sum()
    };
    let spread = (product(&x, &x) * product(&y, &y)).sqrt();
    (spread > 0. && x.len() == y.len()).then(|| product(&x, &y) / spread)
}

/// Ranks from 1.
fn ranks(values: &[f64]) -> Vec<f64> {
    let rank = |value: &f64| {
        let below = values.iter().filter(|other| *other < value).count();
        let same = values
            .iter()
            .filter(|other| other.total_cmp(value).is_eq())
            .count();
        below as f64 + f64::midpoint(1., same as f64)
    };
    values.iter().map(rank).collect()
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // These results are exact.
mod tests {
    use super::*;

    /// A hundred rows, every tenth positive; the model errs on the last twenty.
    fn rows() -> Vec<Judged> {
        let judged = |row: usize| {
            let is_positive = row.is_multiple_of(10);
            Judged {
                is_positive,
                is_predicted: is_positive != (row >= 80),
            }
        };
        (0..100).map(judged).collect()
    }

    #[test]
    fn refusing_the_wrong_rows_first_leaves_no_error() {
        let score: Vec<f64> = (0..100).map(f64::from).collect();
        let found = Refusal::by(&score, &rows());
        assert_eq!(found.error_at(0.8), Some(0.));
        assert_eq!(found.error_at(1.), Some(0.2));
        assert_eq!(found.f1[39], Some(1.));
        // Of ten positives eight are found, and eighteen more.
        assert_eq!(found.f1[49], Some(16. / 36.));
        let backwards: Vec<f64> = score.iter().map(|score| -score).collect();
        let found = Refusal::by(&backwards, &rows());
        assert_eq!(found.error_at(0.2), Some(1.));
        assert_eq!(found.error_at(1.), Some(0.2));
    }

    #[test]
    fn where_nothing_is_positive_there_is_no_f1() {
        let negative = Judged {
            is_positive: false,
            is_predicted: false,
        };
        let found = Refusal::by(&[0.; 3], &[negative; 3]);
        assert_eq!(found.f1, [None; 50]);
        assert_eq!(found.error, [0.; 50]);
        assert_eq!(Refusal::by(&[], &[]).error.len(), 50);
    }

    #[test]
    fn ranks_correlate_as_worked_by_hand() {
        assert_eq!(
            rank_correlation(&[1., 2., 3.], &[10., 100., 1000.]),
            Some(1.)
        );
        assert_eq!(rank_correlation(&[1., 2., 3.], &[3., 2., 1.]), Some(-1.));
        // Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4: 4.5 / sqrt(4.5 · 5).
        let found = rank_correlation(&[1., 2., 2., 5.], &[1., 2., 3., 4.]).unwrap();
        assert!((found - 4.5 / 22.5_f64.sqrt()).abs() < 1e-15);
        assert_eq!(rank_correlation(&[1., 1.], &[1., 2.]), None);
    }
}
