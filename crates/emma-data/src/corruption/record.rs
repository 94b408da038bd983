//! Which mode of which row was corrupted.

use ndarray::{Array2, ArrayView2};
use rand::Rng;
use rand::seq::SliceRandom;

use crate::error::{Error, Result};

/// Which mode of which row is corrupted.
///
/// Made before the corruption, which follows it: so a record cannot disagree with what was done, and
/// the same record serves every level of noise.
///
/// # Shapes
/// `[rows, modes]`, true where corrupted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorruptionRecord(Array2<bool>);

impl CorruptionRecord {
    /// No mode of any row is corrupted.
    ///
    /// # Errors
    /// [`Error::RecordTooLarge`] if memory cannot hold `n_rows · n_modes` flags.
    pub fn clean(n_rows: usize, n_modes: usize) -> Result<Self> {
        let too_large = || Error::RecordTooLarge { n_rows, n_modes };
        let n_flags = n_rows.checked_mul(n_modes).ok_or_else(too_large)?;
        let mut flags = Vec::new();
        flags.try_reserve_exact(n_flags).map_err(|_| too_large())?;
        flags.resize(n_flags, false);
        let flags = Array2::from_shape_vec((n_rows, n_modes), flags).map_err(|_| too_large())?;
        Ok(Self(flags))
    }

    /// The record of given flags, `[rows, modes]`, true where corrupted.
    pub fn from_flags(flags: Array2<bool>) -> Self {
        Self(flags)
    }

    /// One mode is corrupted in every row: the condition that robustness is measured under.
    ///
    /// # Errors
    /// [`Error::ModeIndex`] if there is no such mode; [`Error::RecordTooLarge`] if memory cannot hold
    /// the record.
    pub fn all_rows(n_rows: usize, n_modes: usize, mode_index: usize) -> Result<Self> {
        if mode_index >= n_modes {
            return Err(Error::ModeIndex {
                mode_index,
                n_modes,
            });
        }
        let mut record = Self::clean(n_rows, n_modes)?;
        record.0.column_mut(mode_index).fill(true);
        Ok(record)
    }

    /// The thesis's training mixture: half of the rows clean, the others with one corrupted mode each.
    ///
    /// `⌊n/2⌋` rows are corrupted, so an odd row out is clean. They are shared among the modes as
    /// equally as possible; if they do not divide evenly, the first modes get one row more. Which rows
    /// is a random permutation. Two modes give 50 % clean, 25 % and 25 %.
    ///
    /// # Errors
    /// [`Error::NoModes`] if `n_modes` is 0; [`Error::RecordTooLarge`] if memory cannot hold the
    /// record.
    ///
    /// # Source
    /// Thesis, section 6.4 ("50-25-25", two modes); more modes and remainders are this implementation's
    /// extension.
    pub fn mixture(n_rows: usize, n_modes: usize, rng: &mut impl Rng) -> Result<Self> {
        if n_modes == 0 {
            return Err(Error::NoModes);
        }
        let mut record = Self::clean(n_rows, n_modes)?;
        let mut rows: Vec<usize> = (0..n_rows).collect();
        rows.shuffle(rng);
        // Dealt in turn, as cards are: equal shares, the remainder to the first modes.
        for (position, &row) in rows[..n_rows / 2].iter().enumerate() {
            record.0[[row, position % n_modes]] = true;
        }
        Ok(record)
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.0.nrows()
    }

    /// Number of modes.
    pub fn n_modes(&self) -> usize {
        self.0.ncols()
    }

    /// The flags, `[rows, modes]`, true where corrupted.
    pub fn flags(&self) -> ArrayView2<'_, bool> {
        self.0.view()
    }

    /// The signs by which the energy term of the loss weighs each mode's log-importance: −1 where
    /// corrupted, +1 where not.
    ///
    /// # Shapes
    /// returns `[rows, modes]`
    ///
    /// # Source
    /// ξ of thesis Eq. 5.12.
    pub fn signs(&self) -> Array2<f32> {
        self.0.map(|&corrupted| if corrupted { -1.0 } else { 1.0 })
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::CorruptionRecord;
    use crate::generator;

    #[test]
    fn a_clean_record_touches_nothing() {
        let record = CorruptionRecord::clean(2, 3).unwrap();
        assert_eq!((record.n_rows(), record.n_modes()), (2, 3));
        assert!(record.flags().iter().all(|&flag| !flag));
        assert!(
            record
                .signs()
                .iter()
                .all(|&sign| sign.to_bits() == 1.0_f32.to_bits())
        );
    }

    #[test]
    fn one_mode_of_all_rows_is_a_column() {
        let record = CorruptionRecord::all_rows(2, 3, 1).unwrap();
        assert_eq!(
            record.flags(),
            array![[false, true, false], [false, true, false]]
        );
        assert_eq!(record.signs(), array![[1.0, -1.0, 1.0], [1.0, -1.0, 1.0]]);
    }

    #[test]
    fn the_mixture_of_two_modes_is_half_a_quarter_a_quarter() {
        let record = CorruptionRecord::mixture(100, 2, &mut generator(0, "corruption")).unwrap();
        let n_corrupted = |mode| {
            record
                .flags()
                .column(mode)
                .iter()
                .filter(|&&flag| flag)
                .count()
        };
        assert_eq!((n_corrupted(0), n_corrupted(1)), (25, 25));
    }

    #[test]
    fn the_mixture_chooses_rows_by_seed() {
        let mixture =
            |seed| CorruptionRecord::mixture(40, 2, &mut generator(seed, "corruption")).unwrap();
        assert_eq!(mixture(0), mixture(0));
        assert_ne!(mixture(0), mixture(1));
    }

    #[test]
    fn records_that_make_no_sense_are_refused() {
        assert_eq!(
            CorruptionRecord::all_rows(2, 3, 3).unwrap_err().to_string(),
            "expected a mode index below 3, found 3"
        );
        assert_eq!(
            CorruptionRecord::mixture(2, 0, &mut generator(0, "corruption"))
                .unwrap_err()
                .to_string(),
            "expected at least one mode, found none"
        );
        for n_modes in [1, 2] {
            assert_eq!(
                CorruptionRecord::clean(usize::MAX, n_modes)
                    .unwrap_err()
                    .to_string(),
                format!(
                    "expected a record that fits into memory, found {} rows by {n_modes} modes",
                    usize::MAX
                )
            );
        }
    }
}
