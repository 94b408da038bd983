//! The physical truth behind a candidate.

use rand::Rng;
use serde::Serialize;

use super::dispersion_curve::N_TRIALS;
use super::interference::mains_period;
use super::kind::CandidateKind;
use super::parameters::{Population, SourceParameters};
use super::pulse_profile::{Component, N_PHASE_BINS};
use super::receiver::Receiver;

/// Most components of a pulse.
const MOST_COMPONENTS: usize = 3;

/// No component is narrower than this part of a phase bin: the bin's mean would miss it.
const LEAST_WIDTH_BINS: f64 = 0.25;

/// What a candidate truly is: drawn from a [`Population`], before any noise.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Source {
    /// What it is.
    pub kind: CandidateKind,
    /// Period, seconds.
    pub period_s: f64,
    /// Full width at half maximum over the period, in `(0, 1]`, before the receiver's resolution.
    pub duty_cycle: f64,
    /// One to three components, in phase, as wide as the receiver sees them; the first is the highest.
    pub components: Vec<Component>,
    /// Dispersion measure, pc cm⁻³. 0 for interference; that of the trial for noise.
    pub dispersion_measure: f64,
    /// Width of the pulse as the receiver sees it, ms.
    pub width_ms: f64,
    /// Bandwidth that the signal fills, MHz.
    pub bandwidth_mhz: f64,
    /// Signal-to-noise ratio of the folded profile, by a matched filter; negative for a dip.
    pub folded_snr: f64,
    /// The search's signal-to-noise ratio at the true dispersion measure.
    pub search_snr: f64,
    /// Share of trials at which the search misses it, in `[0, 1]`.
    pub missed_trials: f64,
    /// Standard deviation of the search's signal-to-noise ratio from trial to trial.
    pub trial_noise: f64,
}

impl Source {
    /// Draws a source of `kind`.
    pub(super) fn draw(
        kind: CandidateKind,
        receiver: &Receiver,
        population: &Population,
        trials: &[f64],
        rng: &mut impl Rng,
    ) -> Self {
        let parameters = population.of(kind);
        let mut period_s = parameters.period_s.draw(rng);
        if kind == CandidateKind::PeriodicInterference {
            period_s = mains_period(period_s);
        }
        let stretch = (period_s / parameters.period_s.median).powf(parameters.duty_cycle_exponent);
        let duty_cycle = (parameters.duty_cycle.draw(rng) * stretch).min(1.0);
        let folded_snr = parameters.folded_snr.draw(rng);
        let brightness =
            (folded_snr / parameters.folded_snr.median).powf(parameters.search_excess_exponent);
        let search_snr =
            population.search_threshold + parameters.search_excess.draw(rng) * brightness;
        let missed_trials = parameters.missed_trials.draw(rng).min(1.0);
        let inverted = rng.random::<f64>() < parameters.inverted;

        let dispersion_measure = match kind {
            CandidateKind::Pulsar => population
                .dispersion_measure
                .draw(rng)
                .min(trials[N_TRIALS - 1]),
            CandidateKind::Noise => trials[rng.random_range(0..N_TRIALS)],
            CandidateKind::BroadbandInterference
            | CandidateKind::NarrowbandInterference
            | CandidateKind::PeriodicInterference => 0.0,
        };
        let band_share = if kind == CandidateKind::NarrowbandInterference {
            population.band_share.draw(rng).min(1.0)
        } else {
            1.0
        };
        let resolution_ms = receiver.resolution_ms(dispersion_measure);
        let period_ms = 1000.0 * period_s;
        Self {
            kind,
            period_s,
            duty_cycle,
            components: draw_components(parameters, duty_cycle, resolution_ms / period_ms, rng),
            dispersion_measure,
            width_ms: (duty_cycle * period_ms).hypot(resolution_ms),
            bandwidth_mhz: receiver.bandwidth_mhz * band_share,
            folded_snr: if inverted { -folded_snr } else { folded_snr },
            search_snr,
            missed_trials,
            trial_noise: parameters.trial_noise.draw(rng),
        }
    }
}

/// A main component of the width of the duty cycle, and up to two lower ones around it.
///
/// `resolution` is the receiver's, in turns; it widens each component in quadrature.
fn draw_components(
    parameters: &SourceParameters,
    duty_cycle: f64,
    resolution: f64,
    rng: &mut impl Rng,
) -> Vec<Component> {
    let least = LEAST_WIDTH_BINS / N_PHASE_BINS as f64;
    let seen = |width: f64| width.hypot(resolution).clamp(least, 1.0);
    let center: f64 = rng.random();
    let mut components = vec![Component {
        center,
        width: seen(duty_cycle),
        amplitude: 1.0,
    }];
    while components.len() < MOST_COMPONENTS && rng.random::<f64>() < parameters.further_component {
        components.push(Component {
            center: center + duty_cycle * rng.random_range(-1.5..1.5),
            width: seen(duty_cycle * rng.random_range(0.3..1.0)),
            amplitude: rng.random_range(0.2..1.0),
        });
    }
    components
}
