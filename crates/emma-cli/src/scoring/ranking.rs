//! The rows of the highest probability.

use std::cmp::Ordering;

use emma_data::{ColumnDescription, ColumnKind, ColumnValues};

use super::layout::Layout;

/// Rows in excess of the best that are held before the worst are dropped, at least.
const SLACK: usize = 4096;

/// The best rows seen so far: those of the highest probability, of equals the first.
///
/// # Memory
/// Twice as many rows as are wanted, and some thousands more.
pub(crate) struct Ranking {
    n_best: usize,
    columns: Vec<ColumnValues>,
    /// The lowest probability among the best, once there are enough.
    lowest: Option<f32>,
}

impl Ranking {
    /// Of this many rows of these columns.
    pub(crate) fn new(n_best: usize, columns: &[ColumnDescription]) -> Self {
        let kinds = columns.iter().map(|column| column.kind);
        Self {
            n_best,
            columns: kinds.map(ColumnValues::new).collect(),
            lowest: None,
        }
    }

    /// Takes rows that come after all those taken before.
    pub(crate) fn take(&mut self, columns: &[ColumnValues]) {
        let rows: Vec<usize> = probabilities(columns)
            .iter()
            .enumerate()
            // A later row of the same probability ranks behind.
            .filter(|&(_, &probability)| self.lowest.is_none_or(|lowest| probability > lowest))
            .map(|(row, _)| row)
            .collect();
        for (own, new) in self.columns.iter_mut().zip(columns) {
            own.append_rows(new, &rows);
        }
        if self.n_rows()
            >= self
                .n_best
                .saturating_mul(2)
                .max(self.n_best.saturating_add(SLACK))
        {
            self.drop_others();
        }
    }

    /// The best rows, best first.
    pub(crate) fn best(mut self) -> Vec<ColumnValues> {
        self.drop_others();
        self.columns
    }

    /// The columns of a ranked list: `rank` from 1, then the others.
    pub(crate) fn described(columns: &[ColumnDescription]) -> Vec<ColumnDescription> {
        let mut all = vec![ColumnDescription::required("rank", ColumnKind::Int64)];
        all.extend_from_slice(columns);
        all
    }

    /// Those columns of the best rows.
    pub(crate) fn ranked(self) -> Vec<ColumnValues> {
        let best = self.best();
        let n_rows = best.first().map_or(0, ColumnValues::len);
        let mut all = vec![ColumnValues::Int64((1..).take(n_rows).collect())];
        all.extend(best);
        all
    }

    fn n_rows(&self) -> usize {
        self.columns.first().map_or(0, ColumnValues::len)
    }

    /// Keeps the best alone, in their order.
    fn drop_others(&mut self) {
        let probability = probabilities(&self.columns);
        let before = |&a: &usize, &b: &usize| -> Ordering {
            probability[b].total_cmp(&probability[a]).then(a.cmp(&b))
        };
        let mut order: Vec<usize> = (0..probability.len()).collect();
        if order.len() > self.n_best {
            order.select_nth_unstable_by(self.n_best, before);
            order.truncate(self.n_best);
        }
        order.sort_unstable_by(before);
        self.lowest = match order.last() {
            Some(&last) if order.len() == self.n_best => Some(probability[last]),
            _ => None,
        };
        for column in &mut self.columns {
            let mut kept = empty_like(column);
            kept.append_rows(column, &order);
            *column = kept;
        }
    }
}

fn probabilities(columns: &[ColumnValues]) -> &[f32] {
    match columns.get(Layout::PROBABILITY) {
        Some(ColumnValues::Float32(probabilities)) => probabilities,
        _ => &[],
    }
}

fn empty_like(column: &ColumnValues) -> ColumnValues {
    ColumnValues::new(match column {
        ColumnValues::Int64(_) => ColumnKind::Int64,
        ColumnValues::Int32(_) => ColumnKind::Int32,
        ColumnValues::Float32(_) => ColumnKind::Float32,
        ColumnValues::Text(_) => ColumnKind::Text,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(row: usize) -> i64 {
        i64::try_from(row).unwrap()
    }

    fn columns() -> [ColumnDescription; 2] {
        [
            ColumnDescription::required("row", ColumnKind::Int64),
            ColumnDescription::required("probability", ColumnKind::Float32),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Few different probabilities, so that there are ties, in chunks of any size.
        #[test]
        fn a_ranking_is_the_head_of_all_rows_sorted(
            tenths in proptest::collection::vec(0u8..20, 0..20_000),
            n_best in prop_oneof![1usize..40, Just(5000), Just(usize::MAX)],
            step in 1usize..6000,
        ) {
            let probabilities: Vec<f32> = tenths.iter().map(|&tenth| f32::from(tenth) / 20.).collect();
            let mut ranking = Ranking::new(n_best, &columns());
            for first in (0..probabilities.len()).step_by(step) {
                let own = &probabilities[first..(first + step).min(probabilities.len())];
                ranking.take(&[
                    ColumnValues::Int64((number(first)..).take(own.len()).collect()),
                    ColumnValues::Float32(own.to_vec()),
                ]);
            }
            let mut expected: Vec<usize> = (0..probabilities.len()).collect();
            // A stable sort: of equals the first stays first.
            expected.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
            expected.truncate(n_best);
            let n = number(expected.len());
            prop_assert_eq!(ranking.ranked(), vec![
                ColumnValues::Int64((1..=n).collect()),
                ColumnValues::Int64(expected.iter().map(|&row| number(row)).collect()),
                ColumnValues::Float32(expected.iter().map(|&row| probabilities[row]).collect()),
            ]);
        }
    }
}
