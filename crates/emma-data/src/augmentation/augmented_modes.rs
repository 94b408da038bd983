//! Rows on their way through augmentations.

use ndarray::{Array2, ArrayBase, ArrayView2, ArrayViewMut1, Data, Ix2};
use rand::RngCore;

use crate::corruption::{CorruptedModes, Corruption, CorruptionRecord};
use crate::error::Result;

/// Copies of all modes of some rows, which modes are missing, and which were touched.
///
/// The features of a missing mode are NaN, all of them; a mode that comes like that is missing from the
/// start.
#[derive(Debug, Clone)]
pub struct AugmentedModes {
    modes: Vec<Array2<f32>>,
    /// `[rows, modes]`; where true, the cells are NaN.
    missing: Array2<bool>,
    /// `[rows, modes]`.
    touched: Array2<bool>,
}

impl AugmentedModes {
    /// Copies of `modes`, nothing touched yet.
    ///
    /// # Shapes
    /// - `modes[m]`: `[rows, features of m]`, arrays or views
    ///
    /// # Errors
    /// [`Error::UnequalRows`](crate::Error::UnequalRows) if the modes have different numbers of rows;
    /// [`Error::RecordTooLarge`](crate::Error::RecordTooLarge) if memory cannot hold the record.
    pub fn of<S: Data<Elem = f32>>(modes: &[ArrayBase<S, Ix2>]) -> Result<Self> {
        let (modes, touched) = CorruptedModes::of(modes)?.into_masked();
        let mut missing = touched.clone();
        for ((row, mode_index), missing) in missing.indexed_iter_mut() {
            let values = modes[mode_index].row(row);
            *missing = !values.is_empty() && values.iter().all(|value| value.is_nan());
        }
        Ok(Self {
            modes,
            missing,
            touched,
        })
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.missing.nrows()
    }

    /// Number of modes.
    pub fn n_modes(&self) -> usize {
        self.missing.ncols()
    }

    /// The modes as they are now, each `[rows, features]`.
    pub fn modes(&self) -> &[Array2<f32>] {
        &self.modes
    }

    /// Which modes of which rows are missing, `[rows, modes]`, those that came so included.
    pub fn missing(&self) -> ArrayView2<'_, bool> {
        self.missing.view()
    }

    /// What augmentations touched, `[rows, modes]`: noise and missing modes alike. Its
    /// [signs](CorruptionRecord::signs) are what the energy term of the loss weighs log-importance by.
    pub fn record(&self) -> CorruptionRecord {
        CorruptionRecord::from_flags(self.touched.clone())
    }

    /// The modes and what is missing of them, `[rows, modes]`.
    pub fn into_masked(self) -> (Vec<Array2<f32>>, Array2<bool>) {
        (self.modes, self.missing)
    }

    /// The modes that a row has, in order; none if there is no such row.
    pub fn present(&self, row: usize) -> Vec<usize> {
        if row >= self.n_rows() {
            return Vec::new();
        }
        let missing = self.missing.row(row);
        (0..missing.len()).filter(|&mode| !missing[mode]).collect()
    }

    /// A mode's features in a row, to be changed: the record marks them from now on. None if the mode is
    /// missing there, or if there is no such mode or row.
    pub fn touch(&mut self, row: usize, mode_index: usize) -> Option<ArrayViewMut1<'_, f32>> {
        if self.missing.get([row, mode_index]) != Some(&false) {
            return None;
        }
        self.touched[[row, mode_index]] = true;
        Some(self.modes[mode_index].row_mut(row))
    }

    /// Makes a mode missing in a row. Whether it was there before.
    pub fn take_away(&mut self, row: usize, mode_index: usize) -> bool {
        let Some(mut values) = self.touch(row, mode_index) else {
            return false;
        };
        values.fill(f32::NAN);
        self.missing[[row, mode_index]] = true;
        true
    }

    /// Corrupts a mode in some rows, which all have it.
    pub(super) fn corrupt(
        &mut self,
        mode_index: usize,
        rows: &[usize],
        corruption: &Corruption,
        labels: Option<&[u8]>,
        rng: &mut dyn RngCore,
    ) -> Result<()> {
        let missing = CorruptionRecord::from_flags(self.missing.clone());
        let mut flags = Array2::from_elem(self.missing.dim(), false);
        for &row in rows {
            flags[[row, mode_index]] = true;
        }
        let mut corrupted = CorruptedModes::of(&self.modes)?;
        if let Some(labels) = labels {
            corrupted = corrupted.with_labels(labels)?;
        }
        // A generic caller needs a type of known size, which a reference is.
        let mut rng = rng;
        let record = CorruptionRecord::from_flags(flags);
        let corrupted = corrupted
            .then(&missing, &Corruption::Missing, &mut rng)?
            .then(&record, corruption, &mut rng)?;
        (self.modes, self.missing) = corrupted.into_masked();
        for &row in rows {
            self.touched[[row, mode_index]] = true;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::AugmentedModes;

    #[test]
    fn a_mode_of_nothing_but_nan_comes_missing() {
        let modes = [
            array![[f32::NAN, f32::NAN], [f32::NAN, 1.0]],
            array![[1.0, 2.0], [3.0, 4.0]],
        ];
        let mut augmented = AugmentedModes::of(&modes).unwrap();
        assert_eq!(augmented.missing(), array![[true, false], [false, false]]);
        assert_eq!(augmented.present(0), [1]);
        assert!(augmented.touch(0, 0).is_none());
        assert!(!augmented.record().flags().iter().any(|&touched| touched));
    }

    #[test]
    fn what_is_touched_or_taken_away_is_recorded() {
        let modes = [array![[1.0_f32], [2.0]], array![[3.0], [4.0]]];
        let mut augmented = AugmentedModes::of(&modes).unwrap();
        augmented.touch(0, 1).unwrap()[0] = 5.0;
        assert!(augmented.take_away(1, 0));
        assert!(!augmented.take_away(1, 0), "twice");
        assert_eq!(
            augmented.record().flags(),
            array![[false, true], [true, false]]
        );
        assert_eq!(augmented.record().signs(), array![[1.0, -1.0], [-1.0, 1.0]]);
        let (modes, missing) = augmented.into_masked();
        assert_eq!(modes[1], array![[5.0], [4.0]]);
        assert!(modes[0][[1, 0]].is_nan());
        assert_eq!(missing, array![[false, false], [true, false]]);
    }

    #[test]
    fn rows_and_modes_that_are_not_there_are_nothing() {
        let mut augmented = AugmentedModes::of(&[array![[1.0_f32]]]).unwrap();
        assert!(augmented.touch(1, 0).is_none());
        assert!(augmented.touch(0, 1).is_none());
        assert!(augmented.present(1).is_empty());
        assert_eq!(
            AugmentedModes::of(&[] as &[Array2<f32>]).unwrap().n_modes(),
            0
        );
    }
}
