//! The integrated pulse profile: the signal folded at its period.

use std::f64::consts::{LN_2, PI, TAU};

use rand::Rng;
use rand_distr::StandardNormal;
use serde::Serialize;

use super::receiver::Receiver;

/// Number of phase bins of a profile, as in HTRU2.
pub const N_PHASE_BINS: usize = 128;

/// Points at which a pulse is evaluated in each bin.
const POINTS_A_BIN: usize = 4;

/// One von Mises component of a pulse.
///
/// `amplitude · exp(κ (cos(2π (phase − center)) − 1))`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Component {
    /// Phase of the peak, turns.
    pub center: f64,
    /// Full width at half maximum, turns.
    pub width: f64,
    /// Height of the peak.
    pub amplitude: f64,
}

impl Component {
    /// `κ = ln 2 / (1 − cos(π · width))`: the concentration at which the component is half as high half
    /// a width from its center.
    pub fn concentration(&self) -> f64 {
        LN_2 / (1.0 - (PI * self.width).cos())
    }
}

/// Mean of the components' sum over each bin.
pub(super) fn pulse(components: &[Component]) -> [f64; N_PHASE_BINS] {
    let mut bins = [0.0; N_PHASE_BINS];
    let n_points = (N_PHASE_BINS * POINTS_A_BIN) as f64;
    for component in components {
        let concentration = component.concentration();
        for (bin_index, bin) in bins.iter_mut().enumerate() {
            for point in 0..POINTS_A_BIN {
                let phase = ((bin_index * POINTS_A_BIN + point) as f64 + 0.5) / n_points;
                let cosine = (TAU * (phase - component.center)).cos();
                *bin += component.amplitude * (concentration * (cosine - 1.0)).exp();
            }
        }
    }
    for bin in &mut bins {
        *bin /= POINTS_A_BIN as f64;
    }
    bins
}

/// Number of neighboring bins that a sample spans, at least 1 and at most a quarter of the profile.
///
/// `round(sampling time / period · 128)`: it exceeds 1 below a period of about 5 ms.
#[allow(
    clippy::cast_sign_loss,
    reason = "a ratio of positive numbers, and a cast of anything else saturates"
)]
pub(super) fn bins_a_sample(receiver: &Receiver, period_s: f64) -> usize {
    let n_bins = receiver.sampling_ms / (1000.0 * period_s) * N_PHASE_BINS as f64;
    (n_bins.round() as usize).clamp(1, N_PHASE_BINS / 4)
}

/// Receiver noise of unit variance whose neighbors share samples.
///
/// A sample that lasts `n_bins` bins enters all of them: the noise is a running mean over the circle.
pub(super) fn noise(n_bins: usize, rng: &mut impl Rng) -> [f64; N_PHASE_BINS] {
    let mut independent = [0.0; N_PHASE_BINS];
    for value in &mut independent {
        *value = rng.sample(StandardNormal);
    }
    if n_bins <= 1 {
        return independent;
    }
    let mut sum: f64 = independent[..n_bins].iter().sum();
    let mut shared = [0.0; N_PHASE_BINS];
    let scale = (n_bins as f64).sqrt().recip();
    for bin in 0..N_PHASE_BINS {
        shared[bin] = sum * scale;
        sum += independent[(bin + n_bins) % N_PHASE_BINS] - independent[bin];
    }
    shared
}

/// The profile: the pulse at a signal-to-noise ratio over the noise.
///
/// The pulse, less its mean, is scaled so that the root of the sum of its squares over the standard deviation of the
/// noise is `snr`: that is the signal-to-noise ratio of a matched filter. A pulse that fills all phases
/// equally leaves only noise.
pub(super) fn fold(
    pulse: &[f64; N_PHASE_BINS],
    snr: f64,
    mut noise: [f64; N_PHASE_BINS],
) -> [f64; N_PHASE_BINS] {
    let mean = pulse.iter().sum::<f64>() / N_PHASE_BINS as f64;
    let energy: f64 = pulse.iter().map(|value| (value - mean).powi(2)).sum();
    if energy > 0.0 {
        let scale = snr / energy.sqrt();
        for (bin, value) in noise.iter_mut().zip(pulse) {
            *bin += scale * (value - mean);
        }
    }
    noise
}

#[cfg(test)]
mod tests {
    use super::{Component, N_PHASE_BINS, bins_a_sample, fold, noise, pulse};
    use crate::generator;
    use crate::survey::receiver::Receiver;

    #[test]
    fn components_are_as_wide_and_as_high_as_they_say() {
        for width in [0.02, 0.1, 0.3, 0.7, 1.0] {
            let component = Component {
                center: 0.4,
                width,
                amplitude: 2.0,
            };
            let cosine = (std::f64::consts::PI * width).cos();
            let half_height = (component.concentration() * (cosine - 1.0)).exp();
            assert!((half_height - 0.5).abs() < 1e-12);
        }
        let wide = Component {
            center: 0.5,
            width: 0.5,
            amplitude: 2.0,
        };
        let bins = pulse(&[wide]);
        // κ = ln 2: the mean over a bin of 1/128 turn misses the peak by κ (2π/128)²/24 of it.
        assert!((bins[64] - 2.0).abs() < 2e-3 && (bins[63] - bins[64]).abs() < 1e-12);
        assert!((bins[0] - 2.0 / 4.0).abs() < 2e-3);
        for (bin, &value) in bins.iter().enumerate() {
            assert!((value - bins[N_PHASE_BINS - 1 - bin]).abs() < 1e-12);
        }
    }

    #[test]
    fn components_add_up() {
        let one = |center| Component {
            center,
            width: 0.05,
            amplitude: 1.0,
        };
        let both = pulse(&[one(0.2), one(0.7)]);
        for ((sum, first), second) in both.iter().zip(pulse(&[one(0.2)])).zip(pulse(&[one(0.7)])) {
            assert!((sum - first - second).abs() < 1e-15);
        }
    }

    #[test]
    fn a_folded_pulse_has_its_signal_to_noise_ratio() {
        let component = Component {
            center: 0.3,
            width: 0.05,
            amplitude: 1.0,
        };
        for snr in [0.0, 5.0, -20.0] {
            let profile = fold(&pulse(&[component]), snr, [0.0; N_PHASE_BINS]);
            let energy: f64 = profile.iter().map(|value| value * value).sum();
            assert!((energy.sqrt() - snr.abs()).abs() < 1e-12);
            assert!(profile[38] * snr >= 0.0);
        }
        let everywhere = fold(&[1.0; N_PHASE_BINS], 9.0, [0.5; N_PHASE_BINS]);
        assert!(
            everywhere
                .iter()
                .all(|value| value.to_bits() == 0.5_f64.to_bits())
        );
    }

    #[test]
    fn noise_has_unit_variance_however_long_a_sample_lasts() {
        let rng = &mut generator(0, "noise");
        for n_bins in [1, 2, 8, 32] {
            let (mut variance, mut covariance) = (0.0, 0.0);
            for _ in 0..2000 {
                let noise = noise(n_bins, rng);
                for bin in 0..N_PHASE_BINS {
                    variance += noise[bin] * noise[bin];
                    covariance += noise[bin] * noise[(bin + 1) % N_PHASE_BINS];
                }
            }
            let count = 2000.0 * N_PHASE_BINS as f64;
            // The correlation of neighbors is 1 − 1/n. Five standard errors of 2,000 · 128/n
            // independent squares, each of variance 2.
            let tolerance = 5.0 * (2.0 * n_bins as f64 / count).sqrt();
            assert!((variance / count - 1.0).abs() < tolerance);
            let expected = 1.0 - 1.0 / n_bins as f64;
            assert!((covariance / count - expected).abs() < tolerance);
        }
    }

    #[test]
    fn only_short_periods_share_samples() {
        let receiver = Receiver::default();
        let counts = [1.0, 0.01, 0.004, 0.001, 1e-9].map(|period| bins_a_sample(&receiver, period));
        assert_eq!(counts, [1, 1, 2, 8, 32]);
    }
}
