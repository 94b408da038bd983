//! The distributions of the physical parameters, and their fitted values.

use std::ops::RangeInclusive;

use rand::Rng;
use rand_distr::{Distribution, Gamma, Poisson, StandardNormal};
use serde::{Deserialize, Serialize};

use super::dispersion_curve::N_TRIALS;
use super::kind::CandidateKind;
use crate::error::{Error, Result};

/// Refuses a setting outside its range, NaN included.
pub(super) fn check(
    name: &str,
    found: f64,
    range: RangeInclusive<f64>,
    expected: &'static str,
) -> Result<()> {
    if range.contains(&found) {
        Ok(())
    } else {
        Err(Error::SurveySetting {
            name: name.to_owned(),
            expected,
            found,
        })
    }
}

/// A positive quantity whose logarithm is normally distributed.
///
/// `median · exp(log_std · ε)`, ε standard normal.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogNormal {
    /// Median, in the unit of the quantity; from 1e-9 to 1e9.
    pub median: f64,
    /// Standard deviation of the natural logarithm; from 0 to 5.
    pub log_std: f64,
}

impl LogNormal {
    /// The distribution of this median and this standard deviation of the natural logarithm. Ranges are
    /// checked where it is used.
    pub const fn new(median: f64, log_std: f64) -> Self {
        Self { median, log_std }
    }

    pub(super) fn draw(&self, rng: &mut impl Rng) -> f64 {
        let normal: f64 = rng.sample(StandardNormal);
        self.median * (self.log_std * normal).exp()
    }

    fn check(&self, name: &str) -> Result<()> {
        check(
            &format!("{name}.median"),
            self.median,
            1e-9..=1e9,
            "from 1e-9 to 1e9",
        )?;
        check(
            &format!("{name}.log_std"),
            self.log_std,
            0.0..=5.0,
            "from 0 to 5",
        )
    }
}

/// What one kind of source is like.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceParameters {
    /// Period, seconds.
    pub period_s: LogNormal,
    /// Full width of the pulse at half its maximum over the period, at the median period. Widths above
    /// 1 count as 1.
    pub duty_cycle: LogNormal,
    /// How the duty cycle follows the period, `∝ period^exponent`; from -2 to 2.
    pub duty_cycle_exponent: f64,
    /// Probability that a pulse has a second component, and that one of two has a third; from 0 to 1.
    pub further_component: f64,
    /// Signal-to-noise ratio of the folded profile, that of a matched filter.
    pub folded_snr: LogNormal,
    /// Share of sources whose profile is a dip instead of a pulse; from 0 to 1.
    pub inverted: f64,
    /// By how much the search's signal-to-noise ratio is above the threshold at the true dispersion
    /// measure, at the median folded ratio.
    pub search_excess: LogNormal,
    /// How that excess follows the folded ratio, `∝ folded^exponent`; from -3 to 3.
    pub search_excess_exponent: f64,
    /// Share of trials at which the search misses the source although it is above the threshold (it
    /// finds a harmonic, or another period). Shares above 1 count as 1.
    pub missed_trials: LogNormal,
    /// Standard deviation of the search's signal-to-noise ratio from trial to trial, one a candidate.
    /// Neighboring trials share most of their noise, so it is mostly below 1.
    pub trial_noise: LogNormal,
}

impl SourceParameters {
    fn check(&self, name: &str) -> Result<()> {
        for (field, distribution) in [
            ("period_s", self.period_s),
            ("duty_cycle", self.duty_cycle),
            ("folded_snr", self.folded_snr),
            ("search_excess", self.search_excess),
            ("missed_trials", self.missed_trials),
            ("trial_noise", self.trial_noise),
        ] {
            distribution.check(&format!("{name}.{field}"))?;
        }
        for (field, exponent, range, expected) in [
            (
                "duty_cycle_exponent",
                self.duty_cycle_exponent,
                -2.0..=2.0,
                "from -2 to 2",
            ),
            (
                "search_excess_exponent",
                self.search_excess_exponent,
                -3.0..=3.0,
                "from -3 to 3",
            ),
        ] {
            check(&format!("{name}.{field}"), exponent, range, expected)?;
        }
        for (field, probability) in [
            ("further_component", self.further_component),
            ("inverted", self.inverted),
        ] {
            check(
                &format!("{name}.{field}"),
                probability,
                0.0..=1.0,
                "from 0 to 1",
            )?;
        }
        Ok(())
    }
}

/// Detections that no source explains: peaks of the noise at the candidate's period.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChanceDetections {
    /// Expected number in a curve; the number itself is Poisson. Expectations above the number of
    /// trials count as that.
    pub expected: LogNormal,
    /// Shape of the gamma distribution of their excess over the threshold, one a candidate: how many
    /// independent powers the search adds up. Shapes count as at least 0.05 and at most 100.
    pub excess_shape: LogNormal,
    /// Mean of that excess, a signal-to-noise ratio, one a candidate. Means below 1e-9 count as that.
    pub excess_mean: LogNormal,
}

impl ChanceDetections {
    /// The excesses of one candidate's chance detections.
    pub(super) fn draw(&self, rng: &mut impl Rng) -> Vec<f64> {
        let expected = self.expected.draw(rng).min(N_TRIALS as f64);
        let shape = self.excess_shape.draw(rng).clamp(0.05, 100.0);
        // Both distributions exist in the ranges that are checked and clamped to.
        let (Ok(number), Ok(excess)) = (
            Poisson::new(expected),
            Gamma::new(shape, self.excess_mean.draw(rng).max(1e-9) / shape),
        ) else {
            return Vec::new();
        };
        let number: f64 = number.sample(rng);
        let mut excesses = Vec::new();
        while (excesses.len() as f64) < number {
            excesses.push(excess.sample(rng));
        }
        excesses
    }

    fn check(&self) -> Result<()> {
        self.expected.check("population.chance.expected")?;
        self.excess_shape.check("population.chance.excess_shape")?;
        self.excess_mean.check("population.chance.excess_mean")
    }
}

/// The sources that a survey meets, and how its search decides.
///
/// # Where the default comes from
/// `docs/checks/survey.py` changes its numbers together (covariance matrix adaptation) until the features
/// of simulated candidates are distributed like those of one half of HTRU2's rows, class by class. Only
/// [`search_threshold`](Self::search_threshold) was set by hand. No row, quantile or histogram of HTRU2 is
/// kept: these numbers, to three digits, are all that is known of it. They describe what HTRU2's
/// selection of candidates let through, not the sky. And since the features see a period only through the
/// width of the pulse and the samples in a phase bin, a single number is not to be read as a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Population {
    /// Pulsars.
    pub pulsar: SourceParameters,
    /// Dispersion measure of pulsars, pc cm⁻³. Those beyond the last trial count as there.
    pub dispersion_measure: LogNormal,
    /// Broadband interference.
    pub broadband: SourceParameters,
    /// Narrow-band interference.
    pub narrowband: SourceParameters,
    /// Share of the receiver's band that narrow-band interference fills. Shares above 1 count as 1.
    pub band_share: LogNormal,
    /// Interference that follows the mains. The drawn period goes to the nearest harmonic or
    /// subharmonic.
    pub periodic: SourceParameters,
    /// Peaks of the noise that the search took for sources.
    pub noise: SourceParameters,
    /// Share of broadband interference in what is no pulsar; from 0 to 1.
    pub broadband_share: f64,
    /// Share of narrow-band interference in what is no pulsar; from 0 to 1.
    pub narrowband_share: f64,
    /// Share of periodic interference in what is no pulsar; from 0 to 1. The three shares add up to at
    /// most 1; noise is the rest.
    pub periodic_share: f64,
    /// Signal-to-noise ratio from which on the search reports a trial. Default 6, the least that a
    /// candidate published by the survey's team lists; from 0 to 1,000.
    pub search_threshold: f64,
    /// Detections by chance, in every candidate.
    pub chance: ChanceDetections,
}

impl Population {
    /// The parameters of one kind.
    pub fn of(&self, kind: CandidateKind) -> &SourceParameters {
        match kind {
            CandidateKind::Pulsar => &self.pulsar,
            CandidateKind::BroadbandInterference => &self.broadband,
            CandidateKind::NarrowbandInterference => &self.narrowband,
            CandidateKind::PeriodicInterference => &self.periodic,
            CandidateKind::Noise => &self.noise,
        }
    }

    /// The kind of something that is no pulsar, at a number drawn uniformly from `[0, 1)`.
    pub(super) fn other_kind(&self, uniform: f64) -> CandidateKind {
        let mut upper = 0.0;
        for (kind, share) in [
            (CandidateKind::BroadbandInterference, self.broadband_share),
            (CandidateKind::NarrowbandInterference, self.narrowband_share),
            (CandidateKind::PeriodicInterference, self.periodic_share),
        ] {
            upper += share;
            if uniform < upper {
                return kind;
            }
        }
        CandidateKind::Noise
    }

    pub(super) fn check(&self) -> Result<()> {
        for (name, parameters) in [
            ("population.pulsar", self.pulsar),
            ("population.broadband", self.broadband),
            ("population.narrowband", self.narrowband),
            ("population.periodic", self.periodic),
            ("population.noise", self.noise),
        ] {
            parameters.check(name)?;
        }
        self.dispersion_measure
            .check("population.dispersion_measure")?;
        self.band_share.check("population.band_share")?;
        self.chance.check()?;
        for (name, share) in [
            ("population.broadband_share", self.broadband_share),
            ("population.narrowband_share", self.narrowband_share),
            ("population.periodic_share", self.periodic_share),
        ] {
            check(name, share, 0.0..=1.0, "from 0 to 1")?;
        }
        // Three shares that are written with 15 digits may add up to 1 and a little.
        check(
            "population's shares of interference",
            self.broadband_share + self.narrowband_share + self.periodic_share,
            0.0..=1.0 + 1e-12,
            "to add up to at most 1",
        )?;
        check(
            "population.search_threshold",
            self.search_threshold,
            0.0..=1000.0,
            "from 0 to 1000",
        )
    }
}

impl Default for Population {
    fn default() -> Self {
        Self {
            pulsar: SourceParameters {
                period_s: LogNormal::new(0.545, 1.54),
                duty_cycle: LogNormal::new(0.0286, 0.371),
                duty_cycle_exponent: -0.279,
                further_component: 0.403,
                folded_snr: LogNormal::new(21.4, 0.905),
                inverted: 0.0,
                search_excess: LogNormal::new(11.0, 0.763),
                search_excess_exponent: 1.36,
                missed_trials: LogNormal::new(0.0151, 0.964),
                trial_noise: LogNormal::new(0.566, 0.575),
            },
            dispersion_measure: LogNormal::new(97.0, 0.589),
            broadband: SourceParameters {
                period_s: LogNormal::new(0.118, 1.44),
                duty_cycle: LogNormal::new(0.244, 0.665),
                duty_cycle_exponent: -0.647,
                further_component: 0.24,
                folded_snr: LogNormal::new(4.29, 0.177),
                inverted: 0.0332,
                search_excess: LogNormal::new(2.83, 0.544),
                search_excess_exponent: 0.876,
                missed_trials: LogNormal::new(0.0604, 1.92),
                trial_noise: LogNormal::new(0.38, 0.719),
            },
            narrowband: SourceParameters {
                period_s: LogNormal::new(0.139, 2.16),
                duty_cycle: LogNormal::new(0.337, 0.732),
                duty_cycle_exponent: 0.872,
                further_component: 0.44,
                folded_snr: LogNormal::new(15.9, 0.462),
                inverted: 0.0618,
                search_excess: LogNormal::new(2.11, 0.553),
                search_excess_exponent: -0.338,
                missed_trials: LogNormal::new(0.0604, 1.35),
                trial_noise: LogNormal::new(0.599, 0.55),
            },
            band_share: LogNormal::new(0.0396, 0.481),
            periodic: SourceParameters {
                period_s: LogNormal::new(0.00904, 0.182),
                duty_cycle: LogNormal::new(0.706, 0.13),
                duty_cycle_exponent: 0.14,
                further_component: 0.114,
                folded_snr: LogNormal::new(9.0, 0.497),
                inverted: 0.302,
                search_excess: LogNormal::new(0.836, 2.13),
                search_excess_exponent: -0.265,
                missed_trials: LogNormal::new(0.101, 0.467),
                trial_noise: LogNormal::new(0.418, 0.57),
            },
            noise: SourceParameters {
                period_s: LogNormal::new(0.0208, 0.946),
                duty_cycle: LogNormal::new(0.0408, 0.472),
                duty_cycle_exponent: -0.693,
                further_component: 0.212,
                folded_snr: LogNormal::new(4.73, 0.191),
                inverted: 0.0458,
                search_excess: LogNormal::new(1.67, 0.299),
                search_excess_exponent: 0.424,
                missed_trials: LogNormal::new(0.0494, 1.36),
                trial_noise: LogNormal::new(0.377, 0.259),
            },
            broadband_share: 0.106,
            narrowband_share: 0.0588,
            periodic_share: 0.0607,
            search_threshold: 6.0,
            chance: ChanceDetections {
                expected: LogNormal::new(29.7, 0.709),
                excess_shape: LogNormal::new(1.7, 1.07),
                excess_mean: LogNormal::new(0.531, 0.229),
            },
        }
    }
}
