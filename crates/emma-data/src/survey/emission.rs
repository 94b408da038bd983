//! How a source's signal spreads over frequency and time.

use rand::Rng;
use rand_distr::{Distribution, Gamma, StandardNormal};
use serde::Serialize;

use super::kind::CandidateKind;
use super::plane::{N_PLANE_ROWS, Spread};
use super::receiver::Receiver;
use super::source::Source;

/// Mean and standard deviation of the spectral index of pulsars.
///
/// # Source
/// F. Jankowski et al., MNRAS 473:4436 (2018).
const SPECTRAL_INDEX: (f64, f64) = (-1.6, 0.54);

/// Share of pulsars that fall silent for a part of the observation.
const NULLING_SHARE: f64 = 0.1;

/// Where a candidate's signal is, in frequency and in time: the truth behind the two planes of
/// [`RawModes`](super::RawModes), before any noise.
///
/// | kind | by frequency | by time |
/// | --- | --- | --- |
/// | pulsar | all, by a power law and scintillation | steady but for scintillation; one in ten is silent for up to half of the time |
/// | broadband interference | all, uneven | one to three bursts, its phase drifts |
/// | narrow-band interference | as much as its bandwidth, at a place of its own | as broadband |
/// | periodic interference | all, uneven | one stretch of at least a third of the time, its phase drifts little |
/// | noise | equal | equal |
///
/// The gamma distributions' spreads and the numbers of bursts are chosen by hand, to look like published
/// candidates; no data were fitted.
///
/// # Shapes
/// Rows of both planes are 16: frequencies ascend, times ascend.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Emission {
    /// Index of the trial dispersion measure that the candidate is folded at: the highest of the
    /// DM-SNR curve among those at which the sweep that is left over the band is not longer than the
    /// pulse and half a period (elsewhere no profile with a pulse could have been folded); if the curve is 0 there, the nearest
    /// to the true one.
    pub trial: usize,
    /// Each sub-band's part of the signal; they add up to 1.
    pub subband_shares: [f64; N_PLANE_ROWS],
    /// By how much each sub-band's signal is late after dedispersion at the trial, turns: the delay of the
    /// true dispersion measure less that of the trial.
    pub subband_lags: [f64; N_PLANE_ROWS],
    /// Each sub-integration's part of the signal; they add up to 1.
    pub subint_shares: [f64; N_PLANE_ROWS],
    /// By how much each sub-integration's signal is late, turns: what the folding period is off makes.
    pub subint_lags: [f64; N_PLANE_ROWS],
}

impl Emission {
    pub(super) fn draw(
        source: &Source,
        dm_curve: &[u8],
        receiver: &Receiver,
        trials: &[f64],
        rng: &mut impl Rng,
    ) -> Self {
        let frequencies = receiver.part_frequencies_ghz();
        let trial = folding_trial(source, dm_curve, receiver, trials);
        let offset = source.dispersion_measure - trials.get(trial).copied().unwrap_or_default();
        let turns = |late_ms: f64| {
            let turns = late_ms / (1000.0 * source.period_s);
            // Only receivers that do not exist delay by so many turns that nothing is left of the phase.
            if turns.is_finite() { turns } else { 0.0 }
        };
        let width = turns(source.width_ms).min(0.5);
        let subint_lags = match source.kind {
            CandidateKind::Pulsar => drift(0.1 * width * normal(rng)),
            CandidateKind::BroadbandInterference | CandidateKind::NarrowbandInterference => {
                drift(width * rng.random_range(-1.0..1.0))
            }
            CandidateKind::PeriodicInterference => drift(width * rng.random_range(-0.3..0.3)),
            CandidateKind::Noise => [0.0; N_PLANE_ROWS],
        };
        Self {
            trial,
            subband_shares: subband_shares(source, receiver, &frequencies, rng),
            subband_lags: frequencies
                .map(|frequency| turns(Receiver::dispersion_delay_ms(offset, frequency))),
            subint_shares: subint_shares(source.kind, rng),
            subint_lags,
        }
    }

    /// The signal by frequency.
    pub(super) fn subbands(&self) -> Spread<'_> {
        Spread {
            shares: &self.subband_shares,
            lags: &self.subband_lags,
        }
    }

    /// The signal by time.
    pub(super) fn subints(&self) -> Spread<'_> {
        Spread {
            shares: &self.subint_shares,
            lags: &self.subint_lags,
        }
    }
}

/// The trial that a candidate is folded at; see [`Emission::trial`].
fn folding_trial(source: &Source, dm_curve: &[u8], receiver: &Receiver, trials: &[f64]) -> usize {
    let half = source.bandwidth_mhz / 2000.0;
    let lowest = (receiver.frequency_ghz - half).max(receiver.frequency_ghz / 100.0);
    let sweep_ms = Receiver::dispersion_delay_ms(1.0, lowest)
        - Receiver::dispersion_delay_ms(1.0, receiver.frequency_ghz + half);
    let longest_ms = source.width_ms.min(500.0 * source.period_s);
    let off = |trial: f64| (trial - source.dispersion_measure).abs();
    let mut best: Option<(usize, u8)> = None;
    for (index, (&height, &trial)) in dm_curve.iter().zip(trials).enumerate() {
        if height > best.map_or(0, |(_, height)| height) && off(trial) * sweep_ms <= longest_ms {
            best = Some((index, height));
        }
    }
    best.map_or_else(
        || {
            let nearest = |a: &f64, b: &f64| off(*a).total_cmp(&off(*b));
            let indexed = trials.iter().enumerate();
            indexed
                .min_by(|a, b| nearest(a.1, b.1))
                .map_or(0, |(index, _)| index)
        },
        |(index, _)| index,
    )
}

fn subband_shares(
    source: &Source,
    receiver: &Receiver,
    frequencies: &[f64; N_PLANE_ROWS],
    rng: &mut impl Rng,
) -> [f64; N_PLANE_ROWS] {
    let mut shares = [1.0; N_PLANE_ROWS];
    match source.kind {
        CandidateKind::Pulsar => {
            let index = SPECTRAL_INDEX.0 + SPECTRAL_INDEX.1 * normal(rng);
            let modulation = rng.random_range(0.1..0.7);
            for (share, frequency) in shares.iter_mut().zip(frequencies) {
                *share = (frequency / receiver.frequency_ghz).powf(index) * gain(modulation, rng);
            }
        }
        CandidateKind::BroadbandInterference | CandidateKind::PeriodicInterference => {
            let modulation = rng.random_range(0.3..0.9);
            shares = shares.map(|_| gain(modulation, rng));
        }
        CandidateKind::NarrowbandInterference => {
            let width = source.bandwidth_mhz / receiver.bandwidth_mhz * N_PLANE_ROWS as f64;
            let lowest = rng.random::<f64>() * (N_PLANE_ROWS as f64 - width).max(0.0);
            for (row, share) in shares.iter_mut().enumerate() {
                let row = row as f64;
                *share = ((row + 1.0).min(lowest + width) - row.max(lowest)).max(0.0);
            }
        }
        CandidateKind::Noise => {}
    }
    normalized(shares)
}

fn subint_shares(kind: CandidateKind, rng: &mut impl Rng) -> [f64; N_PLANE_ROWS] {
    let mut shares = [1.0; N_PLANE_ROWS];
    match kind {
        CandidateKind::Pulsar => {
            let modulation = rng.random_range(0.03..0.3);
            shares = shares.map(|_| gain(modulation, rng));
            if rng.random::<f64>() < NULLING_SHARE {
                let length = rng.random_range(1..=N_PLANE_ROWS / 2);
                let first = rng.random_range(0..=N_PLANE_ROWS - length);
                shares[first..first + length].fill(0.0);
            }
        }
        CandidateKind::BroadbandInterference | CandidateKind::NarrowbandInterference => {
            shares.fill(0.0);
            for _ in 0..rng.random_range(1..=3) {
                let length = rng.random_range(1..=N_PLANE_ROWS / 3);
                let first = rng.random_range(0..=N_PLANE_ROWS - length);
                let strength = gain(0.5, rng);
                for share in &mut shares[first..first + length] {
                    *share += strength * gain(0.4, rng);
                }
            }
        }
        CandidateKind::PeriodicInterference => {
            shares.fill(0.0);
            let length = rng.random_range(N_PLANE_ROWS / 3..=N_PLANE_ROWS);
            let first = rng.random_range(0..=N_PLANE_ROWS - length);
            for share in &mut shares[first..first + length] {
                *share = gain(0.2, rng);
            }
        }
        CandidateKind::Noise => {}
    }
    normalized(shares)
}

/// A drift by `extent` turns from the first row to the last.
fn drift(extent: f64) -> [f64; N_PLANE_ROWS] {
    std::array::from_fn(|row| extent * (row as f64 / (N_PLANE_ROWS - 1) as f64 - 0.5))
}

/// A positive number of mean 1 and standard deviation `modulation`, gamma distributed.
fn gain(modulation: f64, rng: &mut impl Rng) -> f64 {
    let variance = modulation * modulation;
    // Exists for any modulation that the module asks for.
    Gamma::new(variance.recip(), variance).map_or(1.0, |gamma| gamma.sample(rng))
}

fn normal(rng: &mut impl Rng) -> f64 {
    rng.sample(StandardNormal)
}

/// The same in parts of their sum; equal parts if there is none.
fn normalized(shares: [f64; N_PLANE_ROWS]) -> [f64; N_PLANE_ROWS] {
    let sum: f64 = shares.iter().sum();
    if sum > 0.0 && sum.is_finite() {
        shares.map(|share| share / sum)
    } else {
        [1.0 / N_PLANE_ROWS as f64; N_PLANE_ROWS]
    }
}
