//! A candidate as four raw modes.

use rand::Rng;

use super::candidate::Candidate;
use super::dispersion_curve::N_TRIALS;
use super::emission::Emission;
use super::kind::CandidateKind;
use super::plane::{N_PLANE_BINS, N_PLANE_ROWS, Plane, Spread, plane};
use super::pulse_profile::{Component, N_PHASE_BINS, bins_a_sample, fold, pulse};
use super::receiver::Receiver;
use super::source::Source;
use crate::samples::ModeColumns;

/// Number of stretches of trials in a resampled DM-SNR curve.
pub const N_DM_STRETCHES: usize = 64;

/// A row's pulse is at least this part as wide as the profile's.
const LEAST_NARROWING: f64 = 0.25;

/// Halvings by which a width is found.
const N_HALVINGS: usize = 30;

/// Concentrations from which on the asymptotic series of the Bessel functions is exact to 1e-7.
const LARGE_CONCENTRATION: f64 = 40.0;

/// A candidate as the four things that a person looks at: its two curves, and two planes that show the
/// same signal by frequency and by time.
///
/// The mean over the 16 rows of either plane is the profile, rebinned: `Σ_r plane[r][b] / 16 = Σ_i
/// profile[4b + i] / 4`, to the profile's rounding (half a byte) and that of 32 bits.
///
/// # Units
/// All those of the bytes they come from: the planes that of [`Candidate::profile`], so that they have
/// values below 0 and above 255, noise having 16 times the variance in a row. Each row's signal has the
/// mean that it has in the profile: where a row is all of the signal, its dips go below the noise.
///
/// ```
/// use emma_data::survey::{Survey, SurveyConfig};
///
/// let survey = Survey::new(&SurveyConfig::default(), 7)?;
/// let raw = survey.raw_modes(0).expect("there is a first candidate");
/// assert_eq!(Some(&raw.candidate), survey.candidate(0).as_ref());
/// assert_eq!((raw.subbands.len(), raw.subbands[0].len()), (16, 32));
/// # Ok::<(), emma_data::Error>(())
/// ```
///
/// # Source
/// This implementation. The planes are those of the plots by which candidates are judged: D. R. Lorimer
/// and M. Kramer, *Handbook of Pulsar Astronomy* (2005), section 6.4.
#[derive(Debug, Clone, PartialEq)]
pub struct RawModes {
    /// The candidate: its profile is the first mode, its label the label.
    pub candidate: Candidate,
    /// Where its signal is in frequency and time. Hidden from a classifier.
    pub emission: Emission,
    /// DM-SNR curve, resampled: stretch `k` holds the highest byte of the trials from `⌊1196 k / 64⌋` to
    /// before `⌊1196 (k + 1) / 64⌋`, 18 or 19 of them. The highest, since a narrow pulse is seen at a
    /// few trials only: a mean would hide it, and single trials chosen in advance would miss it.
    pub dm_curve: [u8; N_DM_STRETCHES],
    /// Signal by frequency, from the lowest, and phase, after dedispersion at
    /// [`Emission::trial`].
    pub subbands: Plane,
    /// Signal by time and phase.
    pub subints: Plane,
}

impl RawModes {
    /// Names of the modes and their columns, in order: `profile` (`profile_0`, …, `profile_127`),
    /// `dm_curve` (`dm_curve_0`, …, `dm_curve_63`), `subbands` (`subbands_0`, …, `subbands_511`) and `subints`
    /// (`subints_0`, …, `subints_511`). In a plane, row `r` and phase bin `b` have the number `32 r + b`.
    pub fn columns() -> [ModeColumns; 4] {
        let n_cells = N_PLANE_ROWS * N_PLANE_BINS;
        [
            ("profile", N_PHASE_BINS),
            ("dm_curve", N_DM_STRETCHES),
            ("subbands", n_cells),
            ("subints", n_cells),
        ]
        .map(|(mode, n_columns)| {
            ModeColumns::new(mode, (0..n_columns).map(|index| format!("{mode}_{index}")))
        })
    }

    /// Appends a mode's values in the order of its columns; no values for a mode that does not exist.
    pub fn append_mode(&self, mode_index: usize, values: &mut Vec<f32>) {
        match mode_index {
            0 => values.extend(self.candidate.profile.map(f32::from)),
            1 => values.extend(self.dm_curve.map(f32::from)),
            2 => values.extend(self.subbands.as_flattened()),
            3 => values.extend(self.subints.as_flattened()),
            _ => {}
        }
    }

    /// The raw modes of a candidate whose profile was `profile` before it became bytes.
    pub(super) fn draw(
        candidate: Candidate,
        profile: &[f64; N_PHASE_BINS],
        receiver: &Receiver,
        trials: &[f64],
        rng: &mut impl Rng,
    ) -> Self {
        let source = &candidate.source;
        let emission = Emission::draw(source, &candidate.dm_curve, receiver, trials, rng);
        let lowest = profile.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = profile.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let scale = if highest > lowest {
            255.0 / (highest - lowest)
        } else {
            0.0
        };
        let bins_a_sample = bins_a_sample(receiver, source.period_s);
        let mut draw = |spread: Spread| {
            let pulse = row_pulse(source, &spread);
            plane(profile, &pulse, spread, bins_a_sample, rng)
                .map(|row| row.map(|value| (scale * (value - lowest)) as f32))
        };
        let subbands = draw(emission.subbands());
        let subints = draw(emission.subints());
        Self {
            dm_curve: highest_of_stretches(&candidate.dm_curve),
            candidate,
            emission,
            subbands,
            subints,
        }
    }
}

/// What the rows of a plane see of the signal, in the profile's units, so that their sum is as wide as
/// the profile's.
///
/// Lags that differ widen the sum: its first harmonic is that of a row times the resultant length of the
/// lags. Each component is narrower by as much as keeps the first harmonic, at the same area. What is left of the difference is below the noise of the profile; [`plane`] shares it out.
fn row_pulse(source: &Source, spread: &Spread) -> [f64; N_PHASE_BINS] {
    let silence = [0.0; N_PHASE_BINS];
    if source.kind == CandidateKind::Noise {
        return silence;
    }
    let whole = pulse(&source.components);
    // A pulse's signal-to-noise ratio is that of the profile; the narrowed one has the same height per
    // area.
    let profile = fold(&whole, source.folded_snr, silence);
    let resultant = spread.resultant_length();
    if resultant >= 1.0 {
        return profile;
    }
    let mut narrowed = silence;
    for component in &source.components {
        let width = narrowed_width(component, resultant);
        let narrow = pulse(&[Component {
            width,
            ..*component
        }]);
        let area = |bins: &[f64; N_PHASE_BINS]| bins.iter().sum::<f64>();
        let stretch = area(&pulse(&[*component])) / area(&narrow);
        if stretch.is_finite() {
            for (sum, value) in narrowed.iter_mut().zip(narrow) {
                *sum += stretch * value;
            }
        }
    }
    // The profile is `scale · (whole − mean)`.
    let mean = whole.iter().sum::<f64>() / N_PHASE_BINS as f64;
    let energy: f64 = whole.iter().map(|value| (value - mean).powi(2)).sum();
    let scale = if energy > 0.0 {
        source.folded_snr / energy.sqrt()
    } else {
        0.0
    };
    narrowed.map(|value| scale * (value - mean))
}

/// The width at which a component's first harmonic, over its mean, is `1/resultant` times its own.
///
/// Not less than a quarter of the component's.
fn narrowed_width(component: &Component, resultant: f64) -> f64 {
    let target = first_harmonic(component.concentration()) / resultant;
    let (mut narrow, mut wide) = (LEAST_NARROWING * component.width, component.width);
    for _ in 0..N_HALVINGS {
        let width = 0.5 * (narrow + wide);
        let concentration = Component {
            width,
            ..*component
        }
        .concentration();
        if first_harmonic(concentration) > target {
            narrow = width;
        } else {
            wide = width;
        }
    }
    wide
}

/// `I₁(κ) / I₀(κ)`: the first harmonic of a von Mises pulse over its mean, half of that of a real series.
///
/// By its continued fraction, `1/(2/κ + 1/(4/κ + …))`, or for large κ its asymptotic series.
fn first_harmonic(concentration: f64) -> f64 {
    if concentration > LARGE_CONCENTRATION {
        let inverse = concentration.recip();
        return 1.0 - inverse * (0.5 + inverse * (0.125 + inverse * 0.125));
    }
    (1..=60).rev().fold(0.0, |fraction, term| {
        (2.0 * f64::from(term) / concentration + fraction).recip()
    })
}

/// The highest byte of each stretch of trials.
fn highest_of_stretches(dm_curve: &[u8]) -> [u8; N_DM_STRETCHES] {
    let border = |stretch: usize| (stretch * N_TRIALS / N_DM_STRETCHES).min(dm_curve.len());
    std::array::from_fn(|stretch| {
        dm_curve[border(stretch)..border(stretch + 1)]
            .iter()
            .copied()
            .max()
            .unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::{
        LARGE_CONCENTRATION, N_DM_STRETCHES, first_harmonic, highest_of_stretches, row_pulse,
    };
    use crate::survey::dispersion_curve::N_TRIALS;
    use crate::survey::kind::CandidateKind;
    use crate::survey::plane::rebinned;
    use crate::survey::pulse_profile::{N_PHASE_BINS, fold, pulse};
    use crate::survey::{Survey, SurveyConfig};

    #[test]
    fn rows_add_up_to_the_signal_of_the_profile() {
        let config = SurveyConfig {
            n_candidates: 300,
            pulsar_fraction: 0.5,
            ..SurveyConfig::default()
        };
        let survey = Survey::new(&config, 0).unwrap();
        for raw in survey.iter_raw_modes() {
            let source = &raw.candidate.source;
            if source.kind == CandidateKind::Noise {
                continue;
            }
            let expected = rebinned(&fold(
                &pulse(&source.components),
                source.folded_snr,
                [0.0; N_PHASE_BINS],
            ));
            let norm =
                |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>().sqrt();
            for spread in [raw.emission.subbands(), raw.emission.subints()] {
                let sum = spread.sum_of_rows(&row_pulse(source, &spread));
                let off: Vec<f64> = sum
                    .iter()
                    .zip(expected)
                    .map(|(sum, value)| sum - value)
                    .collect();
                // The noise of the rebinned profile has a norm of √32 / 2 = 2.83; that of the 16 rows, which
                // take up the difference, 11.3.
                assert!(norm(&off) < 1.0, "{}", norm(&off));
                assert!(norm(&off) < 0.2 * norm(&expected));
            }
        }
    }

    #[test]
    fn first_harmonics_are_ratios_of_bessel_functions() {
        // I₁/I₀ from tables.
        for (concentration, ratio) in [
            (0.5, 0.242_499_6),
            (1.0, 0.446_390_0),
            (2.0, 0.697_774_7),
            (10.0, 0.948_599_8),
        ] {
            let found = first_harmonic(concentration);
            assert!((found - ratio).abs() < 2e-7, "{found} is not {ratio}");
        }
        let [below, above] =
            [LARGE_CONCENTRATION, LARGE_CONCENTRATION * (1.0 + 1e-9)].map(first_harmonic);
        assert!((below - above).abs() < 1e-7);
    }

    #[test]
    fn every_trial_is_in_one_stretch() {
        for trial in 0..N_TRIALS {
            let mut curve = vec![0; N_TRIALS];
            curve[trial] = 9;
            let stretches = highest_of_stretches(&curve);
            // 1,196 / 64 trials a stretch: the last stretch that begins at or before the trial.
            let expected = (0..N_DM_STRETCHES)
                .rev()
                .find(|stretch| stretch * 1196 / 64 <= trial)
                .unwrap();
            for (stretch, byte) in stretches.into_iter().enumerate() {
                assert_eq!(byte, if stretch == expected { 9 } else { 0 });
            }
        }
    }
}
