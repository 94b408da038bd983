//! One threshold for all that a learner may meet.

/// Points on the axis of log-odds that are tried, from −6 to 6.
const N_POINTS: usize = 241;
const LOWEST: f64 = -6.;
const STEP: f64 = 0.05;
/// Neighbours on either side over which the mean F1 is averaged: its plain maximum follows single rows.
const HALF_WINDOW: usize = 4;

/// The threshold on probabilities with the largest mean F1 over copies of the same rows.
pub(crate) fn best_threshold(copies: &[Vec<f64>], labels: &[u8]) -> f64 {
    let points: Vec<f64> = (0..N_POINTS).map(|k| LOWEST + STEP * k as f64).collect();
    let mut mean = vec![0.; N_POINTS];
    for probabilities in copies {
        // Rows by the last point that still takes them for positive.
        let mut positives = vec![0usize; N_POINTS + 1];
        let mut all = vec![0usize; N_POINTS + 1];
        for (&probability, &label) in probabilities.iter().zip(labels) {
            let log_odds = (probability / (1. - probability)).ln();
            let below = points.partition_point(|&point| point <= log_odds);
            all[below] += 1;
            positives[below] += usize::from(label);
        }
        let n_positive: usize = positives.iter().sum();
        let (mut taken, mut found) = (0, 0);
        for k in (0..N_POINTS).rev() {
            taken += all[k + 1];
            found += positives[k + 1];
            if taken + n_positive > 0 {
                mean[k] += 2. * found as f64 / (taken + n_positive) as f64;
            }
        }
    }
    let smooth = |k: usize| {
        let window = k.saturating_sub(HALF_WINDOW)..(k + HALF_WINDOW + 1).min(N_POINTS);
        let n = window.len() as f64;
        mean[window].iter().sum::<f64>() / n
    };
    let mut best = 0;
    for k in 1..N_POINTS {
        if smooth(k) > smooth(best) {
            best = k;
        }
    }
    1. / (1. + (-points[best]).exp())
}

/// F1 at a threshold.
pub(crate) fn f1(probabilities: &[f64], labels: &[u8], threshold: f64) -> f64 {
    let (mut taken, mut found, mut positives) = (0usize, 0usize, 0usize);
    for (&probability, &label) in probabilities.iter().zip(labels) {
        let is_taken = probability >= threshold;
        taken += usize::from(is_taken);
        found += usize::from(is_taken && label == 1);
        positives += usize::from(label);
    }
    if taken + positives == 0 {
        return 0.;
    }
    2. * found as f64 / (taken + positives) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_parts_what_can_be_parted() {
        let labels = [0, 0, 0, 1, 1];
        let copies = [
            vec![0.01, 0.02, 0.1, 0.9, 0.95],
            vec![0.02, 0.01, 0.2, 0.8, 0.9],
        ];
        let threshold = best_threshold(&copies, &labels);
        assert!((0.2..0.8).contains(&threshold), "{threshold}");
        assert!((f1(&copies[0], &labels, threshold) - 1.).abs() < 1e-15);
        // Worked by hand: one of two found, one false.
        assert!((f1(&[0.9, 0.1, 0.1, 0.9, 0.2], &labels, 0.5) - 0.5).abs() < 1e-15);
        assert!(f1(&[0.1; 5], &labels, 0.5).abs() < 1e-15);
    }
}
