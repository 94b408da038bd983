//! Which mode is corrupted, and how.

use std::fmt;
use std::str::FromStr;

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::kind::start;
use super::{CorruptedModes, Corruption, CorruptionRecord};
use crate::error::{Error, Result};
use crate::samples::check_mode_name;

/// A corruption of the mode of a name.
///
/// Written as `MODE:KIND:LEVEL` (`ip:noise:0.5`) or, where there is no level, as `MODE:KIND`
/// (`dm:missing`), on command lines and in files alike. Whether there is such a mode shows only at a
/// table: [`ModeCorruption::mode_index`].
///
/// ```
/// use emma_data::{CorruptedModes, CorruptionRecord, ModeCorruption, generator};
/// use ndarray::array;
///
/// let faults = ["ip:scale:2", "dm:missing", "ip:offset:1"];
/// let faults = faults.map(|fault| fault.parse().expect("a corruption of a mode"));
/// let modes = [array![[1.0_f32], [2.0]], array![[3.0], [4.0]]];
/// let corrupted = CorruptedModes::of(&modes)?.then_each(
///     &["ip", "dm"],
///     &CorruptionRecord::all(2, 2)?,
///     &faults,
///     &mut generator(7, "faults"),
/// )?;
/// assert_eq!(corrupted.values(0, 1), Some(array![5.0].view()));
/// assert_eq!(corrupted.values(1, 1), None);
/// # Ok::<(), emma_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModeCorruption {
    mode: String,
    corruption: Corruption,
}

impl ModeCorruption {
    /// The corruption of the mode named `mode`.
    ///
    /// # Errors
    /// [`Error::ModeName`] if no mode can have the name.
    pub fn new(mode: impl Into<String>, corruption: Corruption) -> Result<Self> {
        let mode = mode.into();
        check_mode_name(&mode)?;
        Ok(Self { mode, corruption })
    }

    /// Name of the mode.
    pub fn mode(&self) -> &str {
        &self.mode
    }

    /// What is done to it.
    pub fn corruption(&self) -> &Corruption {
        &self.corruption
    }

    /// Which of `modes`, the names of a table's modes, this corrupts.
    ///
    /// # Errors
    /// [`Error::UnknownMode`] if it is none of them, with the one that takes the fewest edits to be
    /// it; [`Error::NoModes`] if there are none.
    pub fn mode_index<S: AsRef<str>>(&self, modes: &[S]) -> Result<usize> {
        let names = || modes.iter().map(AsRef::as_ref);
        if let Some(mode_index) = names().position(|mode| mode == self.mode) {
            return Ok(mode_index);
        }
        let wanted = start(&self.mode);
        let nearest = names()
            .min_by_key(|mode| strsim::damerau_levenshtein(&wanted, &start(mode)))
            .ok_or(Error::NoModes)?;
        Err(Error::UnknownMode {
            mode: self.mode.clone(),
            nearest: nearest.to_owned(),
            modes: names().map(str::to_owned).collect(),
        })
    }
}

impl ModeCorruption {
    /// Does it to what `record`, which marks this mode alone, marks.
    pub(super) fn apply(
        &self,
        modes: CorruptedModes,
        record: &CorruptionRecord,
        rng: &mut impl Rng,
    ) -> Result<CorruptedModes> {
        modes
            .then(record, &self.corruption, rng)
            .map_err(|source| Error::CorruptionFailed {
                corruption: self.to_string(),
                source: Box::new(source),
            })
    }
}

impl FromStr for ModeCorruption {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let without_mode = || Error::ModeCorruptionText {
            found: text.to_owned(),
        };
        let (mode, corruption) = text.split_once(':').ok_or_else(without_mode)?;
        match corruption.parse() {
            Ok(corruption) => Self::new(mode, corruption),
            // `noise:0.5` is no unknown kind `0.5`.
            Err(Error::CorruptionText { .. }) if text.parse::<Corruption>().is_ok() => {
                Err(without_mode())
            }
            Err(error) => {
                let mode = mode.to_owned();
                check_mode_name(&mode)?;
                let reason = Box::new(error);
                Err(Error::ModeCorruption { mode, reason })
            }
        }
    }
}

impl fmt::Display for ModeCorruption {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.mode, self.corruption)
    }
}

impl TryFrom<String> for ModeCorruption {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<ModeCorruption> for String {
    fn from(corruption: ModeCorruption) -> Self {
        corruption.to_string()
    }
}

impl CorruptedModes {
    /// The modes that `corruptions` name, corrupted in their order, each in the rows that `rows` marks
    /// for its mode.
    ///
    /// A mode that is named several times is corrupted several times; one that is marked but not named
    /// stays as it is, and the record does not mark it.
    ///
    /// # Shapes
    /// - `modes`: the modes' names, `[modes]`
    /// - `rows`: `[rows, modes]`, such as [`CorruptionRecord::all`] or a mixture
    ///
    /// # Errors
    /// [`Error::UnknownMode`] before anything is drawn, if a name is not among `modes`;
    /// [`Error::RecordModes`] if these are not as many as there are modes; [`Error::CorruptionFailed`]
    /// around those of [`CorruptedModes::then`].
    pub fn then_each<S: AsRef<str>>(
        mut self,
        modes: &[S],
        rows: &CorruptionRecord,
        corruptions: &[ModeCorruption],
        rng: &mut impl Rng,
    ) -> Result<Self> {
        if modes.len() != rows.n_modes() {
            return Err(Error::RecordModes {
                expected: rows.n_modes(),
                found: modes.len(),
            });
        }
        let mode_indices: Vec<usize> = corruptions
            .iter()
            .map(|corruption| corruption.mode_index(modes))
            .collect::<Result<_>>()?;
        for (corruption, mode_index) in corruptions.iter().zip(mode_indices) {
            self = corruption.apply(self, &rows.only_mode(mode_index)?, rng)?;
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::ModeCorruption;
    use crate::{CorruptedModes, Corruption, CorruptionRecord, Error, generator};

    fn message(text: &str) -> String {
        text.parse::<ModeCorruption>().unwrap_err().to_string()
    }

    fn corruption(text: &str) -> ModeCorruption {
        text.parse().unwrap()
    }

    #[test]
    fn a_mode_and_its_corruption_read_back_what_they_write() {
        for text in [
            "ip:noise:0.5",
            "dm_2:missing",
            "noise:noise:1",
            "0:drift:-2",
        ] {
            assert_eq!(corruption(text).to_string(), text);
            let json = serde_json::to_string(&corruption(text)).unwrap();
            assert_eq!(json, format!("{text:?}"));
            let read: ModeCorruption = serde_json::from_str(&json).unwrap();
            assert_eq!(read, corruption(text));
        }
        let ip = corruption("ip:adversarial_mean");
        assert_eq!(ip.mode(), "ip");
        assert_eq!(ip.corruption().kind(), "adversarial_mean");
        assert!(serde_json::from_str::<ModeCorruption>(r#""ip""#).is_err());
    }

    #[test]
    fn texts_that_name_no_mode_or_no_corruption_are_refused() {
        for text in ["", "ip", "missing", "noise:0.5", "adversarial_mean:1"] {
            assert_eq!(
                message(text),
                format!(
                    "expected a corruption of a mode written as MODE:KIND or MODE:KIND:LEVEL, such as \
                     ip:noise:0.5, found {text:?}"
                )
            );
        }
        for text in [":swap", "IP:swap", "i p:swap"] {
            assert!(message(text).starts_with("expected a mode name of lowercase letters"));
        }
        assert!(message("ip:nosie:1").ends_with(r#"found "nosie:1" (nearest: noise:S)"#));
        assert_eq!(
            message("ip:drop:2"),
            r#"mode "ip": drop: expected a level between 0 and 1, found 2"#
        );
        assert!(matches!(
            ModeCorruption::new("a:b", Corruption::Swap),
            Err(Error::ModeName { .. })
        ));
    }

    #[test]
    fn unknown_modes_are_refused_with_the_nearest_name() {
        let modes = ["profile", "dm_curve"];
        assert_eq!(corruption("dm_curve:swap").mode_index(&modes).unwrap(), 1);
        assert_eq!(
            corruption("porfile:swap")
                .mode_index(&modes)
                .unwrap_err()
                .to_string(),
            r#"expected a mode among "profile", "dm_curve", found "porfile" (nearest: "profile")"#
        );
        assert!(matches!(
            corruption("a:swap").mode_index::<&str>(&[]),
            Err(Error::NoModes)
        ));
    }

    #[test]
    fn each_corruption_is_done_to_its_mode_in_its_turn() {
        let modes = [array![[1.0_f32], [2.0]], array![[3.0], [4.0]]];
        let corrupted = |texts: &[&str]| {
            let corruptions: Vec<ModeCorruption> =
                texts.iter().map(|text| corruption(text)).collect();
            CorruptedModes::of(&modes).unwrap().then_each(
                &["a", "b"],
                &CorruptionRecord::all(2, 2).unwrap(),
                &corruptions,
                &mut generator(0, "corruption"),
            )
        };
        let both = corrupted(&["b:scale:2", "a:offset:1", "b:offset:1"]).unwrap();
        assert_eq!(both.record().flags(), array![[true, true], [true, true]]);
        assert_eq!(
            both.into_complete().unwrap(),
            [array![[2.0], [3.0]], array![[7.0], [9.0]]]
        );
        let one = corrupted(&["b:offset:1", "b:scale:2"]).unwrap();
        assert_eq!(one.record().flags(), array![[false, true], [false, true]]);
        assert_eq!(
            one.into_complete().unwrap(),
            [modes[0].clone(), array![[8.0], [10.0]]]
        );
        let none = corrupted(&[]).unwrap();
        assert_eq!(none.into_complete().unwrap(), modes);
        assert!(matches!(
            corrupted(&["a:swap", "c:swap"]),
            Err(Error::UnknownMode { .. })
        ));
        assert!(matches!(
            CorruptedModes::of(&modes).unwrap().then_each(
                &["a"],
                &CorruptionRecord::all(2, 2).unwrap(),
                &[],
                &mut generator(0, "corruption"),
            ),
            Err(Error::RecordModes {
                expected: 2,
                found: 1
            })
        ));
    }

    #[test]
    fn only_the_rows_of_a_mixture_are_corrupted() {
        let modes = [
            array![[1.0_f32], [1.0], [1.0], [1.0]],
            array![[1.0], [1.0], [1.0], [1.0]],
        ];
        let rng = &mut generator(0, "corruption");
        let mixture = CorruptionRecord::mixture(4, 2, rng).unwrap();
        let corrupted = CorruptedModes::of(&modes).unwrap();
        let corruptions = [corruption("b:offset:1")];
        let corrupted = corrupted
            .then_each(&["a", "b"], &mixture, &corruptions, rng)
            .unwrap();
        assert_eq!(*corrupted.record(), mixture.only_mode(1).unwrap());
        let values = corrupted.into_complete().unwrap();
        assert_eq!(values[0], modes[0]);
        for (value, &flag) in values[1].iter().zip(mixture.flags().column(1)) {
            assert_eq!(value.to_string(), if flag { "2" } else { "1" });
        }
    }
}
