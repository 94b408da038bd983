//! One simulated candidate: its two curves, and the truth behind them.

use rand::Rng;

use super::dispersion_curve::search;
use super::kind::CandidateKind;
use super::moments::moments;
use super::parameters::Population;
use super::pulse_profile::{N_PHASE_BINS, bins_a_sample, fold, noise, pulse};
use super::receiver::Receiver;
use super::source::Source;

/// A simulated candidate.
///
/// Its features are moments of the two stored curves and come from nowhere else.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// What it truly is. Hidden from a classifier.
    pub source: Source,
    /// Detections of the noise in the DM-SNR curve, at trials that may coincide.
    pub n_chance_detections: usize,
    /// Integrated pulse profile, from its minimum as 0 to its maximum as 255.
    pub profile: [u8; N_PHASE_BINS],
    /// DM-SNR curve, [`N_TRIALS`](super::N_TRIALS) points: what the search's signal-to-noise ratio is above the threshold, 0
    /// where it detects nothing, 255 at the maximum.
    pub dm_curve: Vec<u8>,
}

impl Candidate {
    /// The class: 1 for a pulsar, 0 for anything else.
    pub fn label(&self) -> u8 {
        self.source.kind.label()
    }

    /// The eight features in the order of HTRU2's columns: [`moments`] of the profile, then of the
    /// DM-SNR curve, rounded once to 32 bits.
    pub fn features(&self) -> [f32; 8] {
        let [a, b, c, d] = moments(&self.profile);
        let [e, f, g, h] = moments(&self.dm_curve);
        [a, b, c, d, e, f, g, h].map(|moment| moment as f32)
    }

    /// Draws a candidate of `kind`, and gives its profile as it was before it became bytes: in units of
    /// the standard deviation of its noise.
    pub(super) fn draw(
        kind: CandidateKind,
        receiver: &Receiver,
        population: &Population,
        trials: &[f64],
        rng: &mut impl Rng,
    ) -> (Self, [f64; N_PHASE_BINS]) {
        let source = Source::draw(kind, receiver, population, trials, rng);
        let profile = fold(
            &pulse(&source.components),
            source.folded_snr,
            noise(bins_a_sample(receiver, source.period_s), rng),
        );
        let chance = population.chance.draw(rng);
        let excesses = search(
            trials,
            receiver,
            &source,
            population.search_threshold,
            &chance,
            rng,
        );
        let lowest = profile.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = profile.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let clearest = excesses.iter().copied().fold(0.0, f64::max);
        let candidate = Self {
            source,
            n_chance_detections: chance.len(),
            profile: profile.map(|value| to_byte(value - lowest, highest - lowest)),
            dm_curve: excesses
                .into_iter()
                .map(|excess| to_byte(excess, clearest))
                .collect(),
        };
        (candidate, profile)
    }
}

/// `value` from `[0, full_scale]` on a scale of 0 to 255; 0 on a scale of nothing.
#[allow(
    clippy::cast_sign_loss,
    reason = "both are at least 0, and a cast of anything else saturates"
)]
fn to_byte(value: f64, full_scale: f64) -> u8 {
    if full_scale > 0.0 {
        (255.0 * (value / full_scale)).round() as u8
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::to_byte;

    #[test]
    fn scales_are_from_0_to_255() {
        assert_eq!(
            [0.0, 1.0, 2.0, 4.0].map(|value| to_byte(value, 4.0)),
            [0, 64, 128, 255]
        );
        assert_eq!(to_byte(0.0, 0.0), 0);
    }
}
