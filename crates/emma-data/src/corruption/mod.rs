//! Seeded corruption of chosen modes of chosen rows, on copies.

mod clip_bound;
mod corrupted_modes;
mod corrupted_table;
mod kind;
mod level;
mod mode_corruption;
mod noise_std;
mod quantization_bits;
mod record;
mod truth;
mod unit_level;

use std::fmt;
use std::str::FromStr;

use ndarray::{Array2, ArrayBase, Data, Ix2};
use rand::Rng;
use serde::{Deserialize, Serialize};

pub use self::clip_bound::ClipBound;
pub use self::corrupted_modes::CorruptedModes;
pub use self::kind::CorruptionKind;
pub use self::level::CorruptionLevel;
pub use self::mode_corruption::ModeCorruption;
pub use self::noise_std::{NoiseStd, noise_to_signal_decibels};
pub use self::quantization_bits::QuantizationBits;
pub use self::record::CorruptionRecord;
pub use self::truth::{CorruptedMode, CorruptionTruth};
pub use self::unit_level::UnitLevel;
use crate::error::{Error, Result};

/// What is done to a corrupted mode, and how strongly.
///
/// Written as `kind:level` (`noise:0.5`) or, where there is no level, as `kind` (`swap`), on
/// command lines and in files alike. [`Corruption::KINDS`] lists all.
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
    /// degrees of freedom, is added to every feature of the mode. Its variance is infinite, so `S`
    /// is no standard deviation; 58 % of the draws are within `S`.
    StudentT(NoiseStd),
    /// `offset:S`: `S` is added to every feature of the mode.
    Offset(CorruptionLevel),
    /// `scale:S`: every feature of the mode is multiplied by `S`.
    Scale(CorruptionLevel),
    /// `drop:P`: each feature of the mode is set to 0, the mean of a standardized feature, with the
    /// probability `P`, independently of the others.
    Drop(UnitLevel),
    /// `missing`: the mode is not there. No number stands in for it: the mask of [`CorruptedModes`]
    /// says so, and what is left in the cells is NaN, which nothing can mistake for a value.
    Missing,
    /// `swap`: the mode's values are those of another corrupted row, each row's go to one other,
    /// and no row keeps its own. A cycle through the corrupted rows, drawn uniformly.
    Swap,
    /// `stuck`: a constant sensor. The mode's values are those of one row, the same in every
    /// corrupted row, drawn uniformly from all rows that have the mode, corrupted or not.
    Stuck,
    /// `quantize:BITS`: every feature of the mode becomes the nearest of `2^BITS` levels between
    /// standard scores of −4 and 4.
    Quantize(QuantizationBits),
    /// `clip:S`: every feature of the mode is limited to `−S` to `S`.
    Clip(ClipBound),
    /// `spikes:P`: each feature of the mode has 10 standard deviations added or taken off, one as
    /// likely as the other, with the probability `P`, independently of the others.
    Spikes(UnitLevel),
    /// `adversarial_mean:A`: the mode moves by the share `A` of the way to its mean over the rows
    /// of the other class. At 1 the mode says that the row is of the other class;
    /// `adversarial_mean` alone is that.
    AdversarialMean(UnitLevel),
    /// `drift:S`: a shift that grows with the row is added to every feature of the mode,
    /// `S · (row + 1) / rows`, so `S` in the last row. Rows are counted over the whole table,
    /// corrupted or not.
    Drift(CorruptionLevel),
}

impl Corruption {
    /// Name of the kind, what stands before the colon.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Noise(_) => "noise",
            Self::StudentT(_) => "student_t",
            Self::Offset(_) => "offset",
            Self::Scale(_) => "scale",
            Self::Drop(_) => "drop",
            Self::Missing => "missing",
            Self::Swap => "swap",
            Self::Stuck => "stuck",
            Self::Quantize(_) => "quantize",
            Self::Clip(_) => "clip",
            Self::Spikes(_) => "spikes",
            Self::AdversarialMean(_) => "adversarial_mean",
            Self::Drift(_) => "drift",
        }
    }

    /// Whether it is told in standard deviations, from the mean: whether it does something else to values
    /// that are no standard scores.
    pub fn is_scaled(&self) -> bool {
        !matches!(
            self,
            Self::Missing | Self::Swap | Self::Stuck | Self::AdversarialMean(_)
        )
    }

    /// Whether no value is left.
    fn takes_away(&self) -> bool {
        matches!(self, Self::Missing)
    }
}

impl FromStr for Corruption {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, level) = match text.split_once(':') {
            Some((name, level)) => (name, Some(level)),
            None => (text, None),
        };
        let Some(kind) = Self::KINDS.into_iter().find(|kind| kind.name == name) else {
            return Err(Error::CorruptionText {
                found: text.to_owned(),
                nearest: kind::nearest_kind(name).map_or("", |kind| kind.form),
            });
        };
        Self::of_kind(kind, level, text).map_err(|error| match error {
            Error::NoiseStd { .. }
            | Error::CorruptionLevel { .. }
            | Error::UnitLevel { .. }
            | Error::ClipBound { .. }
            | Error::QuantizationBits { .. } => Error::CorruptionLevelRange {
                kind: kind.name,
                reason: Box::new(error),
            },
            error => error,
        })
    }
}

impl Corruption {
    /// The corruption of a kind with the level that stands behind it in `text`.
    fn of_kind(kind: CorruptionKind, level: Option<&str>, text: &str) -> Result<Self> {
        let level_error = |expected| Error::CorruptionLevelText {
            kind: kind.name,
            expected,
            example: kind.example,
            found: text.to_owned(),
        };
        let number = || {
            let number = level.and_then(|level| level.parse::<f64>().ok());
            number.ok_or_else(|| level_error("a number"))
        };
        let whole_number = || {
            let number = level.and_then(|level| level.parse::<u32>().ok());
            number.ok_or_else(|| level_error("a whole number"))
        };
        let without_level = |corruption| {
            if level.is_some() {
                return Err(Error::UnexpectedCorruptionLevel {
                    kind: kind.name,
                    found: text.to_owned(),
                });
            }
            Ok(corruption)
        };
        match kind.name {
            "noise" => Ok(Self::Noise(NoiseStd::new(number()?)?)),
            "student_t" => Ok(Self::StudentT(NoiseStd::new(number()?)?)),
            "offset" => Ok(Self::Offset(CorruptionLevel::new(number()?)?)),
            "scale" => Ok(Self::Scale(CorruptionLevel::new(number()?)?)),
            "drop" => Ok(Self::Drop(UnitLevel::new(number()?)?)),
            "missing" => without_level(Self::Missing),
            "swap" => without_level(Self::Swap),
            "stuck" => without_level(Self::Stuck),
            "quantize" => Ok(Self::Quantize(QuantizationBits::new(whole_number()?)?)),
            "clip" => Ok(Self::Clip(ClipBound::new(number()?)?)),
            "spikes" => Ok(Self::Spikes(UnitLevel::new(number()?)?)),
            "adversarial_mean" => {
                let share = if level.is_none() { 1.0 } else { number()? };
                Ok(Self::AdversarialMean(UnitLevel::new(share)?))
            }
            "drift" => Ok(Self::Drift(CorruptionLevel::new(number()?)?)),
            // A kind that is listed and not read here: the test of the examples finds it.
            _ => Err(Error::CorruptionText {
                found: text.to_owned(),
                nearest: kind.form,
            }),
        }
    }
}

impl fmt::Display for Corruption {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        match self {
            Self::Missing | Self::Swap | Self::Stuck => formatter.write_str(kind),
            Self::Noise(level) | Self::StudentT(level) => write!(formatter, "{kind}:{level}"),
            Self::Offset(level) | Self::Scale(level) | Self::Drift(level) => {
                write!(formatter, "{kind}:{level}")
            }
            Self::Drop(level) | Self::Spikes(level) | Self::AdversarialMean(level) => {
                write!(formatter, "{kind}:{level}")
            }
            Self::Quantize(bits) => write!(formatter, "{kind}:{bits}"),
            Self::Clip(bound) => write!(formatter, "{kind}:{bound}"),
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

/// Corrupted copies of all modes, every one of which is there: the modes of the rows that `record`
/// marks are changed, every other cell keeps its bits.
///
/// [`CorruptedModes`] is the long way, which knows labels, missing modes and several corruptions in
/// a row; its page has the formulas and the order of draws. This is the short way for one
/// corruption that needs none of them.
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
/// [`Error::RecordModes`] and [`Error::RecordRows`] if `record` was made for other samples; those
/// of [`CorruptedModes::then`]; [`Error::MissingMode`] for [`Corruption::Missing`], whose mask this
/// has no place for.
///
/// # Source
/// `noise`: thesis, section 6.2, white noise on a whole mode, whatever the class. The other kinds
/// are this implementation's, for faults that nobody trained for.
pub fn corrupt<S: Data<Elem = f32>>(
    modes: &[ArrayBase<S, Ix2>],
    record: &CorruptionRecord,
    corruption: &Corruption,
    rng: &mut impl Rng,
) -> Result<Vec<Array2<f32>>> {
    record.check_shape_of(modes)?;
    CorruptedModes::of(modes)?
        .then(record, corruption, rng)?
        .into_complete()
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
            ("mising", "missing"),
            ("spike:0.1", "spikes:P"),
            ("adversarial", "adversarial_mean:A"),
        ] {
            assert_eq!(
                message(text),
                format!(
                    "expected a corruption written as noise:S, student_t:S, offset:S, scale:S, drop:P, \
                     missing, swap, stuck, quantize:BITS, clip:S, spikes:P, adversarial_mean:A or \
                     drift:S, found {text:?} (nearest: {nearest})"
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
        for text in ["quantize", "quantize:1.5", "quantize:-1", "quantize:x"] {
            assert_eq!(
                message(text),
                format!(
                    "expected a whole number after quantize:, such as quantize:4, found {text:?}"
                )
            );
        }
        for (text, kind) in [
            ("missing:1", "missing"),
            ("swap:", "swap"),
            ("stuck:0", "stuck"),
        ] {
            assert_eq!(
                message(text),
                format!("expected {kind} without a level, found {text:?}")
            );
        }
        for kind in ["drop", "spikes", "adversarial_mean"] {
            for (level, found) in [("1.5", "1.5"), ("-0.1", "-0.1"), ("nan", "NaN")] {
                assert_eq!(
                    message(&format!("{kind}:{level}")),
                    format!("{kind}: expected a level between 0 and 1, found {found}")
                );
            }
        }
        assert!(message("clip:-1").contains("found -1"));
        assert_eq!(
            message("quantize:17"),
            "quantize: expected 1 to 16 bits to quantize to, found 17"
        );
        assert!(message("drift:1e39").contains("expected a level between"));
        assert_eq!(
            message("offset:-inf"),
            format!(
                "offset: expected a level between -{0} and {0}, found -inf",
                f32::MAX
            )
        );
        assert!(message("student_t:-1").contains("found -1"));
        assert_eq!(
            "noise:-1".parse::<Corruption>().unwrap_err().to_string(),
            format!(
                "noise: expected a noise standard deviation between 0 and {}, found -1",
                f32::MAX
            )
        );
        assert!("noise:nan".parse::<Corruption>().is_err());
        assert!("noise:inf".parse::<Corruption>().is_err());
    }

    #[test]
    fn levels_may_be_negative_or_left_out_where_the_kind_says_so() {
        for (text, written) in [
            ("offset:-2", "offset:-2"),
            ("drift:-2", "drift:-2"),
            ("adversarial_mean", "adversarial_mean:1"),
        ] {
            assert_eq!(text.parse::<Corruption>().unwrap().to_string(), written);
        }
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
