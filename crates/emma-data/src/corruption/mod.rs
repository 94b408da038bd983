//! Seeded corruption of chosen modes of chosen rows, on copies.

mod drop_probability;
mod level;
mod noise_std;
mod record;
mod truth;

use std::fmt;
use std::str::FromStr;

use ndarray::{Array2, ArrayBase, Data, Ix2};
use rand::Rng;
use rand_distr::{StandardNormal, StudentT};
use serde::{Deserialize, Serialize};

pub use self::drop_probability::DropProbability;
pub use self::level::CorruptionLevel;
pub use self::noise_std::{NoiseStd, noise_to_signal_decibels};
pub use self::record::CorruptionRecord;
pub use self::truth::{CorruptedMode, CorruptionTruth};
use crate::error::{Error, Result};

/// What is done to a corrupted mode, and how strongly.
///
/// Written as `kind:level` (`noise:0.5`), on command lines and in files alike.
///
/// ```
/// use emma_data::Corruption;
///
/// let corruption: Corruption = "noise:0.5".parse()?;
/// assert_eq!(corruption.to_string(), "noise:0.5");
/// # Ok::<(), emma_data::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum Corruption {
    /// `noise:S`: Gaussian white noise of standard deviation `S` is added to every feature of the
    /// mode.
    Noise(NoiseStd),
    /// `student_t:S`: noise with outliers, `S` times a draw from Student's t distribution with two
    /// degrees of freedom, is added to every feature of the mode. Its variance is infinite, so `S` is no
    /// standard deviation; 58 % of the draws are within `S`.
    StudentT(NoiseStd),
    /// `offset:S`: `S` is added to every feature of the mode.
    Offset(CorruptionLevel),
    /// `scale:S`: every feature of the mode is multiplied by `S`.
    Scale(CorruptionLevel),
    /// `drop:P`: each feature of the mode is set to 0, the mean of a standardized feature, with the
    /// probability `P`, independently of the others.
    Drop(DropProbability),
}

impl Corruption {
    /// How each kind is written.
    pub const FORMS: [&str; 5] = ["noise:S", "student_t:S", "offset:S", "scale:S", "drop:P"];

    /// Name of the kind, what stands before the colon.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Noise(_) => "noise",
            Self::StudentT(_) => "student_t",
            Self::Offset(_) => "offset",
            Self::Scale(_) => "scale",
            Self::Drop(_) => "drop",
        }
    }

    /// The value with its corruption, computed in 32 bits.
    fn apply(&self, value: f32, rng: &mut impl Rng) -> f32 {
        match *self {
            Self::Noise(level) => value + level.get() as f32 * rng.sample::<f32, _>(StandardNormal),
            Self::StudentT(level) => {
                let draw = StudentT::new(DEGREES_OF_FREEDOM)
                    .map_or(f32::NAN, |student_t| rng.sample(student_t));
                value + level.get() as f32 * draw
            }
            Self::Offset(level) => value + level.get() as f32,
            Self::Scale(level) => value * level.get() as f32,
            Self::Drop(probability) => {
                if rng.random::<f64>() < probability.get() {
                    0.0
                } else {
                    value
                }
            }
        }
    }
}

/// Of Student's t distribution: the fewest whole ones with a mean.
const DEGREES_OF_FREEDOM: f32 = 2.0;

impl FromStr for Corruption {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (kind, level) = text.split_once(':').unwrap_or((text, ""));
        let number = || {
            level
                .parse::<f64>()
                .map_err(|_| Error::CorruptionLevelText {
                    kind: kind.to_owned(),
                    found: text.to_owned(),
                })
        };
        match kind {
            "noise" => Ok(Self::Noise(NoiseStd::new(number()?)?)),
            "student_t" => Ok(Self::StudentT(NoiseStd::new(number()?)?)),
            "offset" => Ok(Self::Offset(CorruptionLevel::new(number()?)?)),
            "scale" => Ok(Self::Scale(CorruptionLevel::new(number()?)?)),
            "drop" => Ok(Self::Drop(DropProbability::new(number()?)?)),
            _ => Err(Error::CorruptionText {
                found: text.to_owned(),
                nearest: nearest_form(kind),
            }),
        }
    }
}

/// The form whose kind takes the fewest edits to be `kind`; the first of several.
fn nearest_form(kind: &str) -> &'static str {
    // Distances take the time of both lengths multiplied: names are short, texts need not be.
    let start: String = kind.chars().take(64).collect();
    let distance = |form: &str| {
        let name = form.split_once(':').map_or(form, |(name, _)| name);
        strsim::damerau_levenshtein(&start.to_lowercase(), name)
    };
    Corruption::FORMS
        .into_iter()
        .min_by_key(|form| distance(form))
        .unwrap_or_default()
}

impl fmt::Display for Corruption {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        match self {
            Self::Noise(level) | Self::StudentT(level) => write!(formatter, "{kind}:{level}"),
            Self::Offset(level) | Self::Scale(level) => write!(formatter, "{kind}:{level}"),
            Self::Drop(probability) => write!(formatter, "{kind}:{probability}"),
        }
    }
}

impl TryFrom<String> for Corruption {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Corruption> for String {
    fn from(corruption: Corruption) -> Self {
        corruption.to_string()
    }
}

/// Corrupted copies of all modes: the modes of the rows that `record` marks are changed, every other
/// cell keeps its bits.
///
/// `x + S · ε` with a draw `ε` for each feature (`noise`: standard normal; `student_t`: Student's t with
/// two degrees of freedom), `x + S` (`offset`), `x · S` (`scale`), or 0 with the probability `P` and `x`
/// otherwise (`drop`), computed in 32 bits. Draws are made for corrupted cells only, row by row, within a
/// row mode by mode, within a mode feature by feature; so two levels of noise under one seed scale the
/// same draws, and what is dropped at a low probability is dropped at a higher one too. `offset` and
/// `scale` draw nothing.
///
/// # Shapes
/// - `modes[m]`: `[rows, features of m]`, arrays or views
/// - `record`: `[rows, modes]`
/// - returns one array per mode, of its shape
///
/// # Units
/// Those of the features, which are expected to be standardized.
///
/// # Errors
/// [`Error::RecordModes`] and [`Error::RecordRows`] if `record` was made for other samples;
/// [`Error::CorruptedValue`] if a changed value is NaN or infinite.
///
/// # Source
/// `noise`: thesis, section 6.2, white noise on a whole mode, whatever the class. The other kinds are this
/// implementation's, for faults that nobody trained for.
pub fn corrupt<S: Data<Elem = f32>>(
    modes: &[ArrayBase<S, Ix2>],
    record: &CorruptionRecord,
    corruption: &Corruption,
    rng: &mut impl Rng,
) -> Result<Vec<Array2<f32>>> {
    if modes.len() != record.n_modes() {
        return Err(Error::RecordModes {
            expected: record.n_modes(),
            found: modes.len(),
        });
    }
    for (mode_index, mode) in modes.iter().enumerate() {
        if mode.nrows() != record.n_rows() {
            return Err(Error::RecordRows {
                mode_index,
                expected: record.n_rows(),
                found: mode.nrows(),
            });
        }
    }
    let mut copies: Vec<Array2<f32>> = modes.iter().map(ArrayBase::to_owned).collect();
    for ((row, mode_index), &corrupted) in record.flags().indexed_iter() {
        if !corrupted {
            continue;
        }
        for (column, cell) in copies[mode_index].row_mut(row).iter_mut().enumerate() {
            let value = *cell;
            *cell = corruption.apply(value, rng);
            if !cell.is_finite() {
                return Err(Error::CorruptedValue {
                    mode_index,
                    row,
                    column,
                    value,
                    found: *cell,
                });
            }
        }
    }
    Ok(copies)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::{Corruption, CorruptionRecord, NoiseStd, corrupt};
    use crate::generator;

    fn noise(level: f64) -> Corruption {
        Corruption::Noise(NoiseStd::new(level).unwrap())
    }

    #[test]
    fn a_corruption_reads_back_what_it_writes() {
        for level in [0.0, 0.5, 0.1, 2.0, 1e-7, 1e30] {
            let text = noise(level).to_string();
            assert_eq!(text.parse::<Corruption>().unwrap(), noise(level));
        }
        assert_eq!(
            serde_json::to_string(&noise(0.5)).unwrap(),
            r#""noise:0.5""#
        );
        assert_eq!(
            serde_json::from_str::<Corruption>(r#""noise:0.5""#).unwrap(),
            noise(0.5)
        );
    }

    #[test]
    fn texts_that_name_no_corruption_are_refused() {
        let message = |text: &str| text.parse::<Corruption>().unwrap_err().to_string();
        for (text, nearest) in [
            ("", "drop:P"),
            ("Noise:1", "noise:S"),
            ("nose:1", "noise:S"),
            ("student-t:1", "student_t:S"),
            ("ofset:1", "offset:S"),
            ("sclae:1", "scale:S"),
            ("dorp", "drop:P"),
        ] {
            assert_eq!(
                message(text),
                format!(
                    "expected a corruption written as noise:S, student_t:S, offset:S, scale:S or \
                     drop:P, found {text:?} (nearest: {nearest})"
                )
            );
        }
        for (text, kind) in [
            ("noise", "noise"),
            ("noise:", "noise"),
            ("noise:x", "noise"),
            ("scale: 1", "scale"),
            ("offset:1:2", "offset"),
        ] {
            assert_eq!(
                message(text),
                format!("expected a number after {kind}:, such as {kind}:0.5, found {text:?}")
            );
        }
        assert_eq!(
            message("drop:1.5"),
            "expected a probability of dropping between 0 and 1, found 1.5"
        );
        assert_eq!(
            message("offset:-inf"),
            format!(
                "expected a level between -{0} and {0}, found -inf",
                f32::MAX
            )
        );
        assert!(message("student_t:-1").contains("found -1"));
        assert_eq!(
            "noise:-1".parse::<Corruption>().unwrap_err().to_string(),
            format!(
                "expected a noise standard deviation between 0 and {}, found -1",
                f32::MAX
            )
        );
        assert!("noise:nan".parse::<Corruption>().is_err());
        assert!("noise:inf".parse::<Corruption>().is_err());
    }

    #[test]
    fn every_form_is_a_corruption_of_its_kind() {
        for form in Corruption::FORMS {
            let text = form.replace(['S', 'P'], "0.5");
            let corruption: Corruption = text.parse().unwrap();
            assert_eq!(corruption.to_string(), text);
            assert!(form.starts_with(corruption.kind()));
        }
        assert_eq!(
            "offset:-2".parse::<Corruption>().unwrap().to_string(),
            "offset:-2"
        );
    }

    #[test]
    fn offset_and_scale_are_worked_by_hand() {
        let clean = [array![[1.0_f32, -2.0], [3.0, 0.5]], array![[7.0], [8.0]]];
        let record = CorruptionRecord::all_rows(2, 2, 0).unwrap();
        let corrupted = |text: &str| {
            let rng = &mut generator(0, "corruption");
            let corrupted = corrupt(&clean, &record, &text.parse().unwrap(), rng).unwrap();
            assert_eq!(*rng, generator(0, "corruption"), "{text} draws");
            assert_eq!(corrupted[1], clean[1]);
            corrupted[0].clone()
        };
        assert_eq!(corrupted("offset:2"), array![[3.0, 0.0], [5.0, 2.5]]);
        assert_eq!(corrupted("scale:-2"), array![[-2.0, 4.0], [-6.0, -1.0]]);
        assert_eq!(corrupted("scale:1"), clean[0]);
    }

    #[test]
    fn features_are_dropped_with_their_probability_and_more_at_a_higher_one() {
        let clean = [Array2::<f32>::ones((10_000, 2))];
        let record = CorruptionRecord::all_rows(10_000, 1, 0).unwrap();
        let dropped = |text: &str| {
            let rng = &mut generator(0, "corruption");
            let corrupted = corrupt(&clean, &record, &text.parse().unwrap(), rng).unwrap();
            corrupted[0].map(|&value| value.to_bits() == 0)
        };
        let count = |text: &str| dropped(text).iter().filter(|&&dropped| dropped).count();
        assert_eq!(count("drop:0"), 0);
        assert_eq!(count("drop:1"), 20_000);
        // Five standard deviations, 5 √(20,000 · 0.3 · 0.7).
        assert!(count("drop:0.3").abs_diff(6000) < 325);
        let pairs = dropped("drop:0.3");
        for (&few, &more) in pairs.iter().zip(&dropped("drop:0.6")) {
            assert!(more || !few);
        }
    }

    #[test]
    fn student_noise_has_its_quartiles_and_its_outliers() {
        let clean = [Array2::<f32>::zeros((20_000, 2))];
        let record = CorruptionRecord::all_rows(20_000, 1, 0).unwrap();
        let rng = &mut generator(0, "corruption");
        let noisy = corrupt(&clean, &record, &"student_t:0.5".parse().unwrap(), rng).unwrap();
        let share = |bound: f32| {
            let within = noisy[0].iter().filter(|value| value.abs() < bound).count();
            within as f64 / 40_000.0
        };
        // P(|t| < b) = b / √(2 + b²) at two degrees of freedom. Five standard errors of 40,000 draws.
        for bound in [0.5_f32, 1.0, 3.0, 10.0] {
            let expected = f64::from(bound) / f64::from(2.0 + bound * bound).sqrt();
            let tolerance = 5.0 * (expected * (1.0 - expected) / 40_000.0).sqrt();
            assert!((share(0.5 * bound) - expected).abs() < tolerance, "{bound}");
        }
    }

    #[test]
    fn noise_has_the_standard_deviation_that_was_asked_for() {
        let clean = Array2::<f32>::from_elem((20_000, 2), 3.0);
        let record = CorruptionRecord::all_rows(20_000, 1, 0).unwrap();
        let mut rng = generator(0, "noise");
        let noisy = corrupt(&[clean], &record, &noise(0.5), &mut rng).unwrap();
        let noise: Vec<f64> = noisy[0]
            .iter()
            .map(|&value| f64::from(value) - 3.0)
            .collect();
        let count = noise.len() as f64;
        let mean = noise.iter().sum::<f64>() / count;
        let variance = noise.iter().map(|value| value * value).sum::<f64>() / count;
        // Five standard errors of 40,000 draws.
        assert!(mean.abs() < 5.0 * 0.5 / 200.0, "{mean}");
        assert!(
            (variance.sqrt() - 0.5).abs() < 5.0 * 0.5 / 282.0,
            "{variance}"
        );
    }

    #[test]
    fn levels_scale_the_same_draws() {
        let clean = [Array2::<f32>::zeros((5, 2)), Array2::zeros((5, 3))];
        let record = CorruptionRecord::mixture(5, 2, &mut generator(0, "corruption")).unwrap();
        let noisy =
            |level| corrupt(&clean, &record, &noise(level), &mut generator(0, "noise")).unwrap();
        for (single, double) in noisy(0.5).iter().zip(noisy(1.0)) {
            assert_eq!(single * 2.0, double);
        }
    }

    #[test]
    fn views_are_as_good_as_arrays() {
        let clean = [array![[1.0_f32, 2.0], [3.0, 4.0]]];
        let views = [clean[0].view()];
        let record = CorruptionRecord::all_rows(2, 1, 0).unwrap();
        let from_array = corrupt(&clean, &record, &noise(1.0), &mut generator(0, "noise")).unwrap();
        let from_view = corrupt(&views, &record, &noise(1.0), &mut generator(0, "noise")).unwrap();
        assert_eq!(from_array, from_view);
    }

    #[test]
    fn corruptions_that_make_no_sense_are_refused() {
        let record = CorruptionRecord::all_rows(2, 2, 0).unwrap();
        let error = |modes: &[Array2<f32>], level| {
            corrupt(modes, &record, &noise(level), &mut generator(0, "noise"))
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            error(&[array![[1.0], [2.0]]], 1.0),
            "expected 2 modes, as in the corruption record, found 1"
        );
        assert_eq!(
            error(&[array![[1.0], [2.0]], array![[1.0]]], 1.0),
            "mode 1: expected 2 rows, as in the corruption record, found 1"
        );
        assert_eq!(
            error(&[array![[f32::INFINITY], [2.0]], array![[1.0], [2.0]]], 1.0),
            "mode 0: row 0, column 0: expected a finite corrupted value, found inf from inf"
        );
        assert_eq!(
            CorruptionRecord::clean(0, 0).unwrap().n_modes(),
            0,
            "no samples need no corruption"
        );
        assert_eq!(
            corrupt::<ndarray::OwnedRepr<f32>>(
                &[],
                &CorruptionRecord::clean(0, 0).unwrap(),
                &noise(1.0),
                &mut generator(0, "noise")
            )
            .unwrap(),
            Vec::<Array2<f32>>::new()
        );
    }
}
