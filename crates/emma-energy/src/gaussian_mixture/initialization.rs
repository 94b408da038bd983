//! Where expectation-maximization starts.

use rand::Rng;

use super::expectation_maximization::{Component, maximize};
use crate::training_rows::{TrainingRows, squared_distance};

/// Steps of Lloyd's algorithm after the centers are drawn. Few: expectation-maximization goes on.
const LLOYD_STEPS: usize = 10;

/// Components of clusters of rows: the weight, mean and covariance of each.
///
/// At most `n_components`, fewer if there are fewer distinct rows. Centers are drawn as k-means++
/// does and moved by a few steps of Lloyd's algorithm.
///
/// # Source
/// D. Arthur and S. Vassilvitskii, "k-means++: the advantages of careful seeding" (2007).
pub(super) fn initial_components(
    rows: &TrainingRows,
    n_components: usize,
    covariance_floor: f64,
    rng: &mut impl Rng,
) -> Vec<Component> {
    let mut centers = draw_centers(rows, n_components, rng);
    let mut nearest = nearest_centers(rows, &centers);
    for _ in 0..LLOYD_STEPS {
        move_centers(rows, &nearest, &mut centers);
        let moved = nearest_centers(rows, &centers);
        if moved == nearest {
            break;
        }
        nearest = moved;
    }
    let mut memberships = vec![0.; rows.len() * centers.len()];
    for (row, &center) in nearest.iter().enumerate() {
        memberships[row * centers.len() + center] = 1.;
    }
    maximize(rows, &memberships, centers.len(), covariance_floor)
}

/// The first center is any row; every next one is drawn with a probability that grows with its
/// squared distance to the nearest center so far. Rows that are centers have none.
fn draw_centers(rows: &TrainingRows, n_components: usize, rng: &mut impl Rng) -> Vec<Vec<f64>> {
    let first = rows.row(rng.random_range(0..rows.len()));
    let mut centers = vec![first.to_vec()];
    let mut distances: Vec<f64> = rows
        .iter()
        .map(|row| squared_distance(row, first))
        .collect();
    while centers.len() < n_components {
        let total: f64 = distances.iter().sum();
        let mut left = rng.random::<f64>() * total;
        let drawn = distances.iter().position(|&distance| {
            left -= distance;
            left < 0. && distance > 0.
        });
        // Rounding may use up the total before the last row that has a distance.
        let drawn = drawn.or_else(|| distances.iter().rposition(|&distance| distance > 0.));
        let Some(drawn) = drawn else {
            break;
        };
        let center = rows.row(drawn).to_vec();
        for (distance, row) in distances.iter_mut().zip(rows.iter()) {
            *distance = distance.min(squared_distance(row, &center));
        }
        centers.push(center);
    }
    centers
}

fn nearest_centers(rows: &TrainingRows, centers: &[Vec<f64>]) -> Vec<usize> {
    let nearest = |row| {
        let mut best = (0, f64::INFINITY);
        for (index, center) in centers.iter().enumerate() {
            let distance = squared_distance(row, center);
            if distance < best.1 {
                best = (index, distance);
            }
        }
        best.0
    };
    rows.iter().map(nearest).collect()
}

/// A center moves to the mean of the rows nearest to it; one without rows stays.
fn move_centers(rows: &TrainingRows, nearest: &[usize], centers: &mut [Vec<f64>]) {
    let mut sums = vec![vec![0.; rows.n_features()]; centers.len()];
    let mut counts = vec![0usize; centers.len()];
    for (row, &center) in rows.iter().zip(nearest) {
        counts[center] += 1;
        for (sum, value) in sums[center].iter_mut().zip(row) {
            *sum += value;
        }
    }
    for ((center, sum), &count) in centers.iter_mut().zip(sums).zip(&counts) {
        if count > 0 {
            *center = sum.into_iter().map(|sum| sum / count as f64).collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::Rng;

    /// Three clusters of rows, far apart.
    fn clusters() -> TrainingRows {
        let rows: Vec<Vec<f64>> = (0..30)
            .map(|row| vec![f64::from(row % 3) * 100. + f64::from(row) * 0.01, 1.])
            .collect();
        TrainingRows::from_rows(&rows)
    }

    #[test]
    fn clusters_far_apart_become_components() {
        for seed in 0..20 {
            let mut components =
                initial_components(&clusters(), 3, 1e-3, &mut emma_testkit::rng(seed));
            components.sort_by(|a, b| a.mean[0].total_cmp(&b.mean[0]));
            for (index, component) in components.iter().enumerate() {
                assert!((component.weight - 1. / 3.).abs() < 1e-12, "seed {seed}");
                let expected = index as f64 * 100. + 0.135 + index as f64 * 0.01;
                assert!((component.mean[0] - expected).abs() < 1e-9, "seed {seed}");
                assert!((component.mean[1] - 1.).abs() < 1e-12, "seed {seed}");
                // A constant feature keeps the floor alone.
                assert!((component.covariance[3] - 1e-3).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn there_are_no_more_components_than_distinct_rows() {
        let rows: Vec<Vec<f64>> = (0..12).map(|row| vec![f64::from(row % 2)]).collect();
        let rows = TrainingRows::from_rows(&rows);
        for seed in 0..20 {
            let rng = &mut emma_testkit::rng(seed);
            assert_eq!(initial_components(&rows, 5, 1e-3, rng).len(), 2);
        }
    }

    proptest! {
        /// From one row to many, on every scale that f32 has.
        #[test]
        fn weights_sum_to_one_and_all_is_finite(
            n in 1usize..40, n_components in 1usize..8, scale in -45i32..38, seed: u64,
        ) {
            let mut rng = emma_testkit::rng(seed);
            let scale = 10f64.powi(scale);
            let rows: Vec<Vec<f64>> = (0..n)
                .map(|_| vec![rng.random_range(-1f64..1.) * scale, rng.random_range(-1f64..1.)])
                .collect();
            let rows = TrainingRows::from_rows(&rows);
            let components = initial_components(&rows, n_components, 1e-3, &mut rng);
            prop_assert!(!components.is_empty() && components.len() <= n_components.min(n));
            let weights: f64 = components.iter().map(|component| component.weight).sum();
            prop_assert!((weights - 1.).abs() < 1e-12);
            for component in components {
                let values = component.mean.iter().chain(&component.covariance);
                prop_assert!(values.into_iter().all(|value| value.is_finite()));
                prop_assert!(component.weight > 0.);
            }
        }
    }
}
