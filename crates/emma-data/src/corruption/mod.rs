//! Seeded corruption of chosen modes of chosen rows, on copies.

mod noise_std;
mod record;

use std::fmt;
use std::str::FromStr;

use ndarray::{Array2, ArrayBase, Data, Ix2};
use rand::Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

pub use self::noise_std::{NoiseStd, noise_to_signal_decibels};
pub use self::record::CorruptionRecord;
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
}

impl FromStr for Corruption {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let unknown = || Error::CorruptionText {
            found: text.to_owned(),
        };
        let (kind, level) = text.split_once(':').ok_or_else(unknown)?;
        match kind {
            "noise" => Ok(Self::Noise(NoiseStd::new(
                level.parse().map_err(|_| unknown())?,
            )?)),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for Corruption {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Noise(level) => write!(formatter, "noise:{level}"),
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
/// Noise: `x + S · ε`, `ε` drawn from the standard normal distribution for each feature, computed in
/// 32 bits. Draws are made for corrupted cells only, row by row, within a row mode by mode, within a
/// mode feature by feature; so two levels of noise under one seed scale the same draws.
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
/// Thesis, section 6.2: white noise on a whole mode, whatever the class.
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
            *cell = match *corruption {
                Corruption::Noise(level) => {
                    value + level.get() as f32 * rng.sample::<f32, _>(StandardNormal)
                }
            };
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
        for text in [
            "",
            "noise",
            "noise:",
            "noise:x",
            "noise: 1",
            "Noise:1",
            "blur:1",
            "noise:1:2",
        ] {
            assert_eq!(
                text.parse::<Corruption>().unwrap_err().to_string(),
                format!(
                    "expected a corruption written as noise:S, such as noise:0.5, found {text:?}"
                )
            );
        }
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
