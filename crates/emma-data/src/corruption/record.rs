//! Which mode of which row was corrupted.

use ndarray::{Array2, ArrayBase, ArrayView2, Data, Ix2};
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

    /// Every mode of every row is corrupted: what [`CorruptedModes::then_each`] picks the named modes
    /// out of.
    ///
    /// # Errors
    /// [`Error::RecordTooLarge`] if memory cannot hold the record.
    ///
    /// [`CorruptedModes::then_each`]: super::CorruptedModes::then_each
    pub fn all(n_rows: usize, n_modes: usize) -> Result<Self> {
        let mut record = Self::clean(n_rows, n_modes)?;
        record.0.fill(true);
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

    /// The mixture for which the thesis derives what the energy term of the loss does: half of the
    /// rows clean, in each of the others `M' = ⌊(M + 1) / 2⌋` of the `M` modes uncorrupted and the rest
    /// corrupted.
    ///
    /// `⌊n/2⌋` rows, a random choice, are corrupted, so an odd row out is clean. Which `⌊M/2⌋` modes
    /// are corrupted is drawn for each of them, every choice equally likely and independently of the
    /// other rows; so shares are as chance has it, unlike in [`CorruptionRecord::mixture`]. A single
    /// mode is never corrupted, since `M'` is 1.
    ///
    /// The rows are those of [`CorruptionRecord::mixture`] under the same seed, drawn before the modes.
    ///
    /// # Errors
    /// [`Error::NoModes`] if `n_modes` is 0; [`Error::RecordTooLarge`] if memory cannot hold the
    /// record.
    ///
    /// # Source
    /// Thesis, the constraint on `M'` under Eq. 5.19, which 5.20 and 5.21 need.
    /// Deviation: the thesis trains with two modes only, and says neither how rows are shared nor how
    /// modes are drawn.
    pub fn constrained_mixture(n_rows: usize, n_modes: usize, rng: &mut impl Rng) -> Result<Self> {
        if n_modes == 0 {
            return Err(Error::NoModes);
        }
        let mut record = Self::clean(n_rows, n_modes)?;
        let mut rows: Vec<usize> = (0..n_rows).collect();
        rows.shuffle(rng);
        let n_uncorrupted = n_modes.div_ceil(2);
        for &row in &rows[..n_rows / 2] {
            for mode_index in rand::seq::index::sample(rng, n_modes, n_modes - n_uncorrupted) {
                record.0[[row, mode_index]] = true;
            }
        }
        Ok(record)
    }

    /// What this marks in one mode, and nothing of the others.
    ///
    /// # Errors
    /// [`Error::ModeIndex`] if there is no such mode; [`Error::RecordTooLarge`] if memory cannot hold
    /// the record.
    pub fn only_mode(&self, mode_index: usize) -> Result<Self> {
        let n_modes = self.n_modes();
        if mode_index >= n_modes {
            return Err(Error::ModeIndex {
                mode_index,
                n_modes,
            });
        }
        let mut record = Self::clean(self.n_rows(), n_modes)?;
        let mut column = record.0.column_mut(mode_index);
        column.assign(&self.0.column(mode_index));
        Ok(record)
    }

    /// Marks one mode of some rows.
    #[cfg(test)]
    pub(super) fn set(&mut self, rows: std::ops::Range<usize>, mode_index: usize) {
        for row in rows {
            self.0[[row, mode_index]] = true;
        }
    }

    /// What this marks in one row.
    #[cfg(test)]
    pub(super) fn only_row(&self, row: usize) -> Self {
        let mut record = Self(Array2::from_elem(self.0.dim(), false));
        record.0.row_mut(row).assign(&self.0.row(row));
        record
    }

    /// Marks everything that `other`, of the same shape, marks.
    pub(super) fn add(&mut self, other: &Self) {
        self.0.zip_mut_with(&other.0, |flag, &added| *flag |= added);
    }

    /// Marks nothing any more that `other`, of the same shape, marks.
    pub(super) fn remove(&mut self, other: &Self) {
        self.0
            .zip_mut_with(&other.0, |flag, &removed| *flag &= !removed);
    }

    /// Whether this was made for these modes.
    pub(super) fn check_shape_of<S: Data<Elem = f32>>(
        &self,
        modes: &[ArrayBase<S, Ix2>],
    ) -> Result<()> {
        if modes.len() != self.n_modes() {
            return Err(Error::RecordModes {
                expected: self.n_modes(),
                found: modes.len(),
            });
        }
        for (mode_index, mode) in modes.iter().enumerate() {
            if mode.nrows() != self.n_rows() {
                return Err(Error::RecordRows {
                    mode_index,
                    expected: self.n_rows(),
                    found: mode.nrows(),
                });
            }
        }
        Ok(())
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
    fn every_choice_of_corrupted_modes_is_equally_likely() {
        let rng = &mut generator(0, "corruption");
        let record = CorruptionRecord::constrained_mixture(12_000, 4, rng).unwrap();
        let mut counts = std::collections::BTreeMap::new();
        for flags in record.flags().rows() {
            *counts.entry(flags.to_vec()).or_insert(0_u32) += 1;
        }
        assert_eq!(counts.remove(&vec![false; 4]), Some(6000));
        // Two of four modes; five standard deviations, 5 √(6000 · 1/6 · 5/6).
        assert_eq!(counts.len(), 6);
        assert!(counts.values().all(|&count| count.abs_diff(1000) < 145));
    }

    #[test]
    fn a_mode_alone_is_uncorrupted_under_the_constraint() {
        let rng = &mut generator(0, "corruption");
        assert_eq!(
            CorruptionRecord::constrained_mixture(9, 1, rng).unwrap(),
            CorruptionRecord::clean(9, 1).unwrap()
        );
        assert_eq!(
            CorruptionRecord::constrained_mixture(9, 0, rng)
                .unwrap_err()
                .to_string(),
            "expected at least one mode, found none"
        );
    }

    #[test]
    fn a_record_of_everything_marks_every_mode_of_every_row() {
        let record = CorruptionRecord::all(2, 3).unwrap();
        assert_eq!(record.flags().dim(), (2, 3));
        assert!(record.flags().iter().all(|&flag| flag));
    }

    #[test]
    fn a_record_of_one_mode_is_its_column_alone() {
        let record = CorruptionRecord(array![[true, true], [false, true], [true, false]]);
        assert_eq!(
            record.only_mode(1).unwrap().flags(),
            array![[false, true], [false, true], [false, false]]
        );
        assert_eq!(
            record.only_mode(2).unwrap_err().to_string(),
            "expected a mode index below 2, found 2"
        );
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
