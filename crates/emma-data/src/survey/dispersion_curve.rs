//! The DM-SNR curve: how clearly the search sees a signal at each trial dispersion measure.

use std::f64::consts::PI;

use rand::Rng;
use rand_distr::StandardNormal;

use super::receiver::Receiver;
use super::source::Source;

/// Number of trial dispersion measures, as in HTRU2: there, mean times 1,196 is a whole number in every
/// row, and of no smaller number.
pub const N_TRIALS: usize = 1196;

/// Distance between the first two trials, pc cm⁻³.
const FIRST_STEP: f64 = 0.13;

/// Beyond this the error function is 1 in 64 bits.
const ERF_IS_ONE: f64 = 6.0;

/// The trial dispersion measures, in pc cm⁻³, ascending from 0.
///
/// `DM_k = D · sinh(k · 0.13 / D)`, `D` the dispersion measure at which a channel smears as much as √2
/// samples last (69 pc cm⁻³ for the default receiver): the step `0.13 · √(1 + (DM/D)²)` grows with the
/// time resolution that is left, so that each step loses the same part of the signal. The last of the
/// default receiver's is at 324 pc cm⁻³.
///
/// # Source
/// The rule of constant loss: L. Levin, PhD thesis, Swinburne University of Technology (2012). The trials
/// listed in a candidate that the survey's team published are 0.13, 0.15 and 0.29 apart near 0, 44 and 142
/// pc cm⁻³; this law gives 0.130, 0.154 and 0.298.
pub fn dispersion_trials(receiver: &Receiver) -> Vec<f64> {
    let scale = 2_f64.sqrt() * receiver.sampling_ms / receiver.channel_smearing_ms(1.0);
    (0..N_TRIALS)
        .map(|trial| scale * (trial as f64 * FIRST_STEP / scale).sinh())
        .collect()
}

/// Part of the signal-to-noise ratio that is left when the trial dispersion measure is off.
///
/// `S(ΔDM) / S = (√π / 2) · erf(z) / z`, `z = 6.91e-3 · ΔDM · bandwidth_MHz / (width_ms ·
/// frequency_GHz³)`; 1 at `z = 0`. Even in `delta_dm`, falling with its size; the wider the pulse, the
/// slower. A width of 0 leaves nothing but at `delta_dm = 0`.
///
/// # Units
/// `delta_dm` in pc cm⁻³; the result has none and lies in `[0, 1]`.
///
/// # Source
/// J. M. Cordes and M. A. McLaughlin, ApJ 596:1142 (2003), equations 12 and 13.
///
/// ```
/// use emma_data::survey::smearing_loss;
///
/// let at = |delta_dm| smearing_loss(delta_dm, 10.0, 340.0, 1.352);
/// assert_eq!(at(0.0), 1.0);
/// assert!(at(5.0) > at(10.0));
/// ```
pub fn smearing_loss(delta_dm: f64, width_ms: f64, bandwidth_mhz: f64, frequency_ghz: f64) -> f64 {
    let z = 6.91e-3 * delta_dm.abs() * bandwidth_mhz / (width_ms * frequency_ghz.powi(3));
    // erf(z)/z = 2/√π · (1 − z²/3 + …): below this the bracket is 1 in 64 bits. NaN is 0/0, at the true
    // dispersion measure.
    if z.is_nan() || z < 1e-8 {
        return 1.0;
    }
    let erf = if z < ERF_IS_ONE { libm::erf(z) } else { 1.0 };
    PI.sqrt() / 2.0 * erf / z
}

/// What the search reports at each trial: by how much the signal-to-noise ratio is above `threshold`, 0
/// where it is not.
///
/// At a trial that the search does not miss, the source's ratio is `search_snr · loss + trial_noise · ε`, ε
/// standard normal. Each excess of `chance` falls on a trial of its own drawing; the clearer one of
/// source and chance is reported.
pub(super) fn search(
    trials: &[f64],
    receiver: &Receiver,
    source: &Source,
    threshold: f64,
    chance: &[f64],
    rng: &mut impl Rng,
) -> Vec<f64> {
    // Noise hardly ever lifts a weaker signal over the threshold (one in 10⁹), so it draws nothing.
    let faintest = threshold - 6.0 * source.trial_noise;
    let mut excesses: Vec<f64> = trials
        .iter()
        .map(|trial| {
            let snr = source.search_snr
                * smearing_loss(
                    trial - source.dispersion_measure,
                    source.width_ms,
                    source.bandwidth_mhz,
                    receiver.frequency_ghz,
                );
            if snr < faintest || rng.random::<f64>() < source.missed_trials {
                return 0.0;
            }
            let noise: f64 = rng.sample(StandardNormal);
            (snr + source.trial_noise * noise - threshold).max(0.0)
        })
        .collect();
    for &excess in chance {
        let trial = rng.random_range(0..excesses.len());
        excesses[trial] = excess.max(excesses[trial]);
    }
    excesses
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{N_TRIALS, dispersion_trials, search, smearing_loss};
    use crate::generator;
    use crate::survey::kind::CandidateKind;
    use crate::survey::receiver::Receiver;
    use crate::survey::source::Source;

    fn source(dispersion_measure: f64, width_ms: f64) -> Source {
        Source {
            kind: CandidateKind::Pulsar,
            period_s: 1.0,
            duty_cycle: width_ms / 1000.0,
            components: Vec::new(),
            dispersion_measure,
            width_ms,
            bandwidth_mhz: 340.0,
            folded_snr: 20.0,
            search_snr: 20.0,
            missed_trials: 0.0,
            trial_noise: 0.0,
        }
    }

    #[test]
    fn the_loss_is_that_of_the_formula() {
        // erf(z) from tables; z = 6.91e-3 · ΔDM · 1000 / (6.91 · 1³) = ΔDM at 1 GHz, 1,000 MHz, 6.91 ms.
        for (z, erf) in [
            (0.1, 0.112_462_916_018_284_9),
            (0.5, 0.520_499_877_813_046_5),
            (1.0, 0.842_700_792_949_714_9),
            (2.0, 0.995_322_265_018_952_7),
            (10.0, 1.0),
        ] {
            let expected = 0.886_226_925_452_758_f64 * erf / z;
            for delta_dm in [z, -z] {
                let loss = smearing_loss(delta_dm, 6.91, 1000.0, 1.0);
                assert!((loss - expected).abs() < 1e-14, "{loss} is not {expected}");
            }
        }
        // Twice the frequency is an eighth of the smearing.
        let (near, far) = (
            smearing_loss(0.5, 6.91, 1000.0, 1.0),
            smearing_loss(4.0, 6.91, 1000.0, 2.0),
        );
        assert!((near - far).abs() < 1e-14);
    }

    #[test]
    fn nothing_is_lost_at_the_true_dispersion_measure() {
        for width_ms in [0.0, 1e-300, 1.0, 1e300, f64::INFINITY] {
            assert_eq!(
                smearing_loss(0.0, width_ms, 340.0, 1.352).to_bits(),
                1_f64.to_bits()
            );
        }
        assert_eq!(
            smearing_loss(1.0, 0.0, 340.0, 1.352).to_bits(),
            0_f64.to_bits()
        );
    }

    #[test]
    fn trials_ascend_from_zero_in_growing_steps() {
        let trials = dispersion_trials(&Receiver::default());
        assert_eq!(trials.len(), N_TRIALS);
        assert_eq!(trials[0].to_bits(), 0_f64.to_bits());
        let steps: Vec<f64> = trials.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(steps.is_sorted());
        assert!((steps[0] - 0.13).abs() < 1e-6);
        let step_at = |dm: f64| steps[trials.iter().position(|&trial| trial >= dm).unwrap()];
        // 0.13 · √(1 + (DM/69)²), half a step off.
        assert!((step_at(44.2) - 0.154).abs() < 1e-3);
        assert!((step_at(141.8) - 0.298).abs() < 1e-3);
        assert!((trials[N_TRIALS - 1] - 324.0).abs() < 1.0);
    }

    #[test]
    fn the_curve_peaks_at_the_true_dispersion_measure_and_widens_with_the_pulse() {
        let receiver = Receiver::default();
        let trials = dispersion_trials(&receiver);
        for true_trial in [0, 300, 700, N_TRIALS - 1] {
            let mut narrower = 0;
            for width_ms in [1.0, 3.0, 10.0, 30.0] {
                let source = source(trials[true_trial], width_ms);
                let rng = &mut generator(0, "search");
                let curve = search(&trials, &receiver, &source, 6.0, &[], rng);
                let highest = curve.iter().copied().fold(0.0, f64::max);
                assert_eq!(curve[true_trial].to_bits(), highest.to_bits());
                assert!((highest - 14.0).abs() < 1e-12);
                let n_detections = curve.iter().filter(|&&excess| excess > 0.0).count();
                assert!(n_detections > narrower, "{n_detections} at {width_ms} ms");
                narrower = n_detections;
            }
        }
    }

    #[test]
    fn chance_detections_are_all_that_is_left_of_a_missed_source() {
        let receiver = Receiver::default();
        let trials = dispersion_trials(&receiver);
        let missed = Source {
            missed_trials: 1.0,
            trial_noise: 1.0,
            ..source(100.0, 10.0)
        };
        let rng = &mut generator(0, "search");
        let curve = search(&trials, &receiver, &missed, 6.0, &[0.5, 2.0], rng);
        let mut detections: Vec<f64> = curve.into_iter().filter(|&excess| excess > 0.0).collect();
        detections.sort_by(f64::total_cmp);
        assert_eq!(detections, [0.5, 2.0]);
    }

    proptest! {
        #[test]
        fn the_loss_falls_from_one_and_is_even(
            delta_dm in 0.0..1e4_f64,
            more in 0.0..1e4_f64,
            width_ms in 1e-3..1e4_f64,
        ) {
            let loss = |delta_dm| smearing_loss(delta_dm, width_ms, 340.0, 1.352);
            prop_assert!((0.0..=1.0 + 1e-15).contains(&loss(delta_dm)));
            prop_assert!(loss(delta_dm + more) <= loss(delta_dm) * (1.0 + 1e-14));
            prop_assert_eq!(loss(delta_dm).to_bits(), loss(-delta_dm).to_bits());
        }
    }
}
