//! A plane of rows over phase whose mean is the profile.

use std::f64::consts::TAU;

use rand::Rng;

use super::pulse_profile::{N_PHASE_BINS, noise};

/// Rows of a plane: parts of the band, or of the observation.
pub const N_PLANE_ROWS: usize = 16;

/// Phase bins of a plane, each the mean of four of the profile's.
pub const N_PLANE_BINS: usize = 32;

/// A signal by phase and, in 16 rows, by something else: `[row][phase bin]`.
pub type Plane = [[f32; N_PLANE_BINS]; N_PLANE_ROWS];

const BINS_A_PLANE_BIN: usize = N_PHASE_BINS / N_PLANE_BINS;

/// How a signal spreads over the rows of a plane.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread<'a> {
    /// Each row's part of the signal; they add up to 1.
    pub shares: &'a [f64; N_PLANE_ROWS],
    /// By how much each row's signal is late, turns.
    pub lags: &'a [f64; N_PLANE_ROWS],
}

impl Spread<'_> {
    /// How well the signal's parts agree in phase: `|Σ share · exp(2πi lag)|`, 1 where all do.
    pub(super) fn resultant_length(&self) -> f64 {
        let sum = |coordinate: fn(f64) -> f64| -> f64 {
            self.parts()
                .map(|(share, lag)| share * coordinate(TAU * lag))
                .sum()
        };
        sum(f64::cos).hypot(sum(f64::sin))
    }

    /// What a pulse that each row sees adds up to.
    #[cfg(test)]
    pub(super) fn sum_of_rows(&self, pulse: &[f64; N_PHASE_BINS]) -> [f64; N_PLANE_BINS] {
        let mut sum = [0.0; N_PHASE_BINS];
        for (share, lag) in self.parts() {
            for (sum, value) in sum.iter_mut().zip(delayed(pulse, lag - self.mean_lag())) {
                *sum += share * value;
            }
        }
        rebinned(&sum)
    }

    fn mean_lag(&self) -> f64 {
        self.parts().map(|(share, lag)| share * lag).sum()
    }

    fn parts(&self) -> impl Iterator<Item = (f64, f64)> {
        self.shares.iter().copied().zip(self.lags.iter().copied())
    }
}

/// The plane of a profile.
///
/// `plane = rows − mean of rows + profile`, the last two for each phase bin, where row `r` is `16 · share_r ·
/// pulse(phase − lag_r) + 4 · noise`, rebinned. `pulse` is what a row sees of the signal, and lags are taken from their mean.
///
/// So the mean of the rows is the profile, exactly. Each row lasts, or fills, a sixteenth of the
/// whole, so its noise has 16 times the variance of the profile's; and independent Gaussian noise of known
/// mean is noise of any mean with the difference added: the plane's noise has the law that it has given
/// the profile's. By the same law two planes of one profile, by frequency and by time, are independent
/// of each other given the profile, as those of a cube of independent noise are.
pub(super) fn plane(
    profile: &[f64; N_PHASE_BINS],
    pulse: &[f64; N_PHASE_BINS],
    spread: Spread,
    bins_a_sample: usize,
    rng: &mut impl Rng,
) -> [[f64; N_PLANE_BINS]; N_PLANE_ROWS] {
    let mean_lag = spread.mean_lag();
    let n_rows = N_PLANE_ROWS as f64;
    let mut rows = [[0.0; N_PLANE_BINS]; N_PLANE_ROWS];
    for (row, (share, lag)) in rows.iter_mut().zip(spread.parts()) {
        let mut values = noise(bins_a_sample, rng).map(|value| n_rows.sqrt() * value);
        if share > 0.0 {
            for (value, signal) in values.iter_mut().zip(delayed(pulse, lag - mean_lag)) {
                *value += n_rows * share * signal;
            }
        }
        *row = rebinned(&values);
    }
    let target = rebinned(profile);
    for (bin, target) in target.into_iter().enumerate() {
        let mean = rows.iter().map(|row| row[bin]).sum::<f64>() / n_rows;
        for row in &mut rows {
            row[bin] += target - mean;
        }
    }
    rows
}

/// Means of four bins each.
pub(super) fn rebinned(profile: &[f64; N_PHASE_BINS]) -> [f64; N_PLANE_BINS] {
    std::array::from_fn(|bin| {
        let first = bin * BINS_A_PLANE_BIN;
        profile[first..first + BINS_A_PLANE_BIN].iter().sum::<f64>() / BINS_A_PLANE_BIN as f64
    })
}

/// The curve later by `lag` turns; linear between bins, so that its sum stays.
#[allow(
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation,
    reason = "at least 0 and at most the number of bins"
)]
fn delayed(curve: &[f64; N_PHASE_BINS], lag: f64) -> [f64; N_PHASE_BINS] {
    let n_bins = N_PHASE_BINS as f64;
    let bins = lag.rem_euclid(1.0) * n_bins;
    let (whole, part) = (bins.floor(), bins - bins.floor());
    let whole = whole as usize % N_PHASE_BINS;
    std::array::from_fn(|bin| {
        let from = bin + N_PHASE_BINS - whole;
        (1.0 - part) * curve[from % N_PHASE_BINS] + part * curve[(from - 1) % N_PHASE_BINS]
    })
}

#[cfg(test)]
mod tests {
    use super::{N_PLANE_BINS, N_PLANE_ROWS, Spread, delayed, plane, rebinned};
    use crate::generator;
    use crate::survey::pulse_profile::N_PHASE_BINS;

    const EQUAL: [f64; N_PLANE_ROWS] = [1.0 / N_PLANE_ROWS as f64; N_PLANE_ROWS];
    const TOGETHER: [f64; N_PLANE_ROWS] = [0.0; N_PLANE_ROWS];

    #[test]
    fn a_delay_moves_a_curve_and_keeps_its_sum() {
        let mut curve = [0.0; N_PHASE_BINS];
        curve[126] = 1.0;
        let later = delayed(&curve, 3.25 / N_PHASE_BINS as f64);
        assert!((later[1] - 0.75).abs() < 1e-12 && (later[2] - 0.25).abs() < 1e-12);
        let earlier = delayed(&curve, -1.0 / N_PHASE_BINS as f64);
        assert!((earlier[125] - 1.0).abs() < 1e-12);
        for lag in [0.0, 0.3, 7.6, -0.1, -1e-300, 1.0] {
            assert!((delayed(&curve, lag).iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn parts_half_a_turn_apart_cancel() {
        let mut shares = [0.0; N_PLANE_ROWS];
        let mut lags = [9.3; N_PLANE_ROWS];
        (shares[0], shares[1]) = (0.25, 0.75);
        (lags[0], lags[1]) = (0.4, -0.1);
        let spread = Spread {
            shares: &shares,
            lags: &lags,
        };
        assert!((spread.resultant_length() - 0.5).abs() < 1e-12);
        let together = Spread {
            shares: &shares,
            lags: &[0.2; N_PLANE_ROWS],
        };
        assert!((together.resultant_length() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn rows_hold_their_shares_of_the_signal_and_four_times_the_noise() {
        let mut pulse = [0.0; N_PHASE_BINS];
        pulse[40..44].fill(100.0);
        let mut shares = [0.0; N_PLANE_ROWS];
        (shares[2], shares[5]) = (0.25, 0.75);
        let spread = Spread {
            shares: &shares,
            lags: &TOGETHER,
        };
        let rng = &mut generator(0, "plane");
        let (mut signal, mut square) = ([0.0; N_PLANE_ROWS], 0.0);
        for _ in 0..400 {
            let plane = plane(&pulse, &pulse, spread, 1, rng);
            for (row, values) in plane.iter().enumerate() {
                signal[row] += values[10] / 400.0;
                square += values[20..].iter().map(|value| value * value).sum::<f64>();
            }
        }
        for (row, signal) in signal.into_iter().enumerate() {
            // Noise of a cell: 4 / √4 = 2, of its mean 0.1.
            assert!(
                (signal - 1600.0 * shares[row]).abs() < 0.5,
                "{row}: {signal}"
            );
        }
        // The variance of a cell is 4, less a sixteenth that the known mean takes.
        let count = (400 * N_PLANE_ROWS * (N_PLANE_BINS - 20)) as f64;
        let variance = square / count;
        assert!(
            (variance - 3.75).abs() < 5.0 * 3.75 * (2.0 / count).sqrt(),
            "{variance}"
        );
    }

    #[test]
    fn the_mean_of_the_rows_is_the_profile() {
        let rng = &mut generator(1, "plane");
        let profile = std::array::from_fn(|bin| bin as f64);
        let spread = Spread {
            shares: &EQUAL,
            lags: &TOGETHER,
        };
        let plane = plane(&profile, &[0.0; N_PHASE_BINS], spread, 3, rng);
        for (bin, expected) in rebinned(&profile).into_iter().enumerate() {
            let mean = plane.iter().map(|row| row[bin]).sum::<f64>() / 16.0;
            assert!((mean - expected).abs() < 1e-12);
            assert!((expected - (4.0 * bin as f64 + 1.5)).abs() < 1e-12);
        }
    }
}
