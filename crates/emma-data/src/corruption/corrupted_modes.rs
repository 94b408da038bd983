//! What becomes of the modes of a table under one corruption after another.

use ndarray::{Array1, Array2, ArrayBase, ArrayView1, ArrayView2, Axis, Data, Ix2};
use rand::Rng;
use rand_distr::{StandardNormal, StudentT};

use super::{Corruption, CorruptionRecord, UnitLevel};
use crate::error::{Error, Result};

/// Corrupted copies of all modes of a table, what was corrupted, and which modes are missing.
///
/// Starts as a clean copy; each [`CorruptedModes::then`] corrupts what came out of the one before,
/// and the record is the union of theirs.
///
/// The values are not simply there to be read, because a mode may be missing: they come out
/// [complete](CorruptedModes::into_complete), which is an error if a mode is missing, or [with
/// their mask](CorruptedModes::into_masked). The cells of a missing mode are NaN, so that who
/// overlooks the mask gets no number.
///
/// # Formulas
/// A feature `x` of a corrupted mode becomes, in 32 bits:
///
/// | kind | value |
/// | --- | --- |
/// | `noise:S` | `x + S · ε`, `ε` standard normal |
/// | `student_t:S` | `x + S · ε`, `ε` from Student's t distribution with two degrees of freedom |
/// | `offset:S` | `x + S` |
/// | `scale:S` | `x · S` |
/// | `drop:P` | 0 with the probability `P` |
/// | `missing` | none |
/// | `swap` | that of the next row of a random cycle through the corrupted rows |
/// | `stuck` | that of one row, the same for all |
/// | `quantize:BITS` | `(⌊x / q⌋ + 1/2) · q`, `q = 8 / 2^BITS`, the outermost levels beyond ±4 |
/// | `clip:S` | `max(−S, min(S, x))` |
/// | `spikes:P` | `x + 10` or `x − 10`, equally likely, with the probability `P` |
/// | `adversarial_mean:A` | `(1 − A) · x + A · mean`, the mean over the other class's rows, in 64 bits |
/// | `drift:S` | `x + S · (row + 1) / rows` |
///
/// A missing mode stays missing under whatever follows: it is neither changed, nor a source of
/// values or means, nor drawn for.
///
/// # Order of draws
/// Corruptions draw one after the other, in the order in which they are applied. Within one,
/// `noise`, `student_t`, `drop` and `spikes` draw for the corrupted cells only, row by row, within
/// a row mode by mode, within a mode feature by feature (`spikes`: the sign, then whether). So two
/// levels of noise under one seed scale the same draws, and what is dropped or spiked at a low
/// probability is so at a higher one too. `swap` and `stuck` draw mode by mode, for modes with a
/// corrupted row. The others draw nothing.
///
/// ```
/// use emma_data::{CorruptedModes, CorruptionRecord, generator};
/// use ndarray::array;
///
/// let modes = [array![[0.1_f32], [0.2]], array![[1.0], [2.0]]];
/// let rng = &mut generator(7, "faults");
/// let first = CorruptionRecord::all_rows(2, 2, 0)?;
/// let second = CorruptionRecord::all_rows(2, 2, 1)?;
/// let corrupted = CorruptedModes::of(&modes)?
///     .then(&first, &"offset:1".parse()?, rng)?
///     .then(&first, &"clip:1.15".parse()?, rng)?
///     .then(&second, &"missing".parse()?, rng)?;
/// assert_eq!(corrupted.values(1, 0), None);
/// let (modes, missing) = corrupted.into_masked();
/// assert_eq!(modes[0], array![[1.1], [1.15]]);
/// assert_eq!(missing, array![[false, true], [false, true]]);
/// # Ok::<(), emma_data::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct CorruptedModes {
    modes: Vec<Array2<f32>>,
    /// `[rows, modes]`; where true, the cells are NaN.
    missing: Array2<bool>,
    record: CorruptionRecord,
    labels: Option<Vec<u8>>,
}

impl CorruptedModes {
    /// Copies of `modes` with nothing corrupted yet.
    ///
    /// # Shapes
    /// - `modes[m]`: `[rows, features of m]`, arrays or views
    ///
    /// # Errors
    /// [`Error::UnequalRows`] if the modes have different numbers of rows;
    /// [`Error::RecordTooLarge`] if memory cannot hold the record.
    pub fn of<S: Data<Elem = f32>>(modes: &[ArrayBase<S, Ix2>]) -> Result<Self> {
        let n_rows = modes.first().map_or(0, ArrayBase::nrows);
        for (mode_index, mode) in modes.iter().enumerate() {
            if mode.nrows() != n_rows {
                return Err(Error::UnequalRows {
                    mode_index,
                    expected: n_rows,
                    found: mode.nrows(),
                });
            }
        }
        let record = CorruptionRecord::clean(n_rows, modes.len())?;
        Ok(Self {
            modes: modes.iter().map(ArrayBase::to_owned).collect(),
            missing: record.flags().to_owned(),
            record,
            labels: None,
        })
    }

    /// The same with the rows' classes, which [`Corruption::AdversarialMean`] needs.
    ///
    /// # Shapes
    /// - `labels`: `[rows]`, 0 or 1
    ///
    /// # Errors
    /// [`Error::CorruptionLabels`] if there is not one label per row; [`Error::LabelValue`] for
    /// another label.
    pub fn with_labels(mut self, labels: &[u8]) -> Result<Self> {
        if labels.len() != self.missing.nrows() {
            return Err(Error::CorruptionLabels {
                expected: self.missing.nrows(),
                found: labels.len(),
            });
        }
        if let Some(row) = labels.iter().position(|&label| label > 1) {
            return Err(Error::LabelValue {
                row,
                found: labels[row],
            });
        }
        self.labels = Some(labels.to_vec());
        Ok(self)
    }

    /// The same where some modes of some rows are missing from the start, `[rows, modes]`.
    pub(super) fn with_missing(mut self, missing: Array2<bool>) -> Self {
        for ((row, mode_index), _) in missing.indexed_iter().filter(|(_, missing)| **missing) {
            self.modes[mode_index].row_mut(row).fill(f32::NAN);
        }
        self.missing = missing;
        self
    }

    /// The modes of the rows that `record` marks, corrupted once more; every other cell keeps its
    /// bits.
    ///
    /// # Shapes
    /// - `record`: `[rows, modes]`
    ///
    /// # Errors
    /// [`Error::RecordModes`] and [`Error::RecordRows`] if `record` was made for other samples;
    /// [`Error::CorruptedValue`] if a changed value is NaN or infinite. [`Error::NothingToSwap`] if
    /// `swap` finds a single row; [`Error::LabelsNeeded`] and [`Error::NoRowsOfClass`] if
    /// `adversarial_mean` has no mean to move to.
    pub fn then(
        mut self,
        record: &CorruptionRecord,
        corruption: &Corruption,
        rng: &mut impl Rng,
    ) -> Result<Self> {
        record.check_shape_of(&self.modes)?;
        // Only without modes can the rows be others.
        if self.modes.is_empty() {
            return Ok(self);
        }
        match *corruption {
            Corruption::Missing => self.take_away(record),
            Corruption::Swap => self.swap(record, rng)?,
            Corruption::Stuck => self.stick(record, rng)?,
            Corruption::AdversarialMean(share) => self.move_to_other_class(record, share)?,
            Corruption::Noise(level) => {
                let level = level.get() as f32;
                self.change(record, |value, _| {
                    value + level * rng.sample::<f32, _>(StandardNormal)
                })?;
            }
            Corruption::StudentT(level) => {
                let level = level.get() as f32;
                let student_t = StudentT::new(DEGREES_OF_FREEDOM);
                self.change(record, |value, _| {
                    let draw = student_t.map_or(f32::NAN, |student_t| rng.sample(student_t));
                    value + level * draw
                })?;
            }
            Corruption::Offset(level) => {
                let level = level.get() as f32;
                self.change(record, |value, _| value + level)?;
            }
            Corruption::Scale(level) => {
                let level = level.get() as f32;
                self.change(record, |value, _| value * level)?;
            }
            Corruption::Drop(probability) => {
                self.change(record, |value, _| {
                    let dropped = rng.random::<f64>() < probability.get();
                    if dropped { 0.0 } else { value }
                })?;
            }
            Corruption::Quantize(bits) => {
                self.change(record, |value, _| bits.quantize(value))?;
            }
            Corruption::Clip(bound) => self.change(record, |value, _| bound.clip(value))?,
            Corruption::Spikes(probability) => {
                self.change(record, |value, _| {
                    // The sign is drawn for every cell, so that the probability moves no draw.
                    let spike = if rng.random() { SPIKE } else { -SPIKE };
                    let spiked = rng.random::<f64>() < probability.get();
                    if spiked { value + spike } else { value }
                })?;
            }
            Corruption::Drift(level) => {
                let n_rows = self.missing.nrows() as f64;
                self.change(record, |value, row| {
                    value + (level.get() * ((row + 1) as f64 / n_rows)) as f32
                })?;
            }
        }
        self.record.add(record);
        Ok(self)
    }

    /// What was corrupted so far, missing modes included.
    pub fn record(&self) -> &CorruptionRecord {
        &self.record
    }

    /// Which modes of which rows are missing, `[rows, modes]`.
    pub fn missing(&self) -> ArrayView2<'_, bool> {
        self.missing.view()
    }

    /// A mode's features in one row; none if the mode is missing there, or if there is no such mode
    /// or row.
    pub fn values(&self, mode_index: usize, row: usize) -> Option<ArrayView1<'_, f32>> {
        match self.missing.get([row, mode_index]) {
            Some(false) => Some(self.modes[mode_index].row(row)),
            _ => None,
        }
    }

    /// All modes, where none is missing.
    ///
    /// # Shapes
    /// Those of the modes that came.
    ///
    /// # Errors
    /// [`Error::MissingMode`] if a mode of a row is missing.
    pub fn into_complete(self) -> Result<Vec<Array2<f32>>> {
        let mut flags = self.missing.indexed_iter();
        match flags.find(|&(_, &missing)| missing) {
            Some(((row, mode_index), _)) => Err(Error::MissingMode { mode_index, row }),
            None => Ok(self.modes),
        }
    }

    /// All modes and which of them are missing, `[rows, modes]`, true where the cells hold NaN and
    /// nothing.
    pub fn into_masked(self) -> (Vec<Array2<f32>>, Array2<bool>) {
        (self.modes, self.missing)
    }

    /// Every recorded cell changed by a function of its value and row; in the order of draws.
    fn change(
        &mut self,
        record: &CorruptionRecord,
        mut changed: impl FnMut(f32, usize) -> f32,
    ) -> Result<()> {
        for ((row, mode_index), &corrupted) in record.flags().indexed_iter() {
            if !corrupted || self.missing[[row, mode_index]] {
                continue;
            }
            for (column, cell) in self.modes[mode_index].row_mut(row).iter_mut().enumerate() {
                let value = *cell;
                *cell = finite(value, changed(value, row), [mode_index, row, column])?;
            }
        }
        Ok(())
    }

    fn take_away(&mut self, record: &CorruptionRecord) {
        for ((row, mode_index), &corrupted) in record.flags().indexed_iter() {
            if corrupted {
                self.missing[[row, mode_index]] = true;
                self.modes[mode_index].row_mut(row).fill(f32::NAN);
            }
        }
    }

    fn swap(&mut self, record: &CorruptionRecord, rng: &mut impl Rng) -> Result<()> {
        for mode_index in 0..self.modes.len() {
            let rows = self.corrupted_rows(record, mode_index);
            if let [row] = rows[..] {
                return Err(Error::NothingToSwap { mode_index, row });
            }
            let before = self.modes[mode_index].select(Axis(0), &rows);
            let sources = random_cycle(rows.len(), rng);
            for (&row, source) in rows.iter().zip(sources) {
                self.put(mode_index, row, &before.row(source))?;
            }
        }
        Ok(())
    }

    fn stick(&mut self, record: &CorruptionRecord, rng: &mut impl Rng) -> Result<()> {
        for mode_index in 0..self.modes.len() {
            let rows = self.corrupted_rows(record, mode_index);
            if rows.is_empty() {
                continue;
            }
            let missing = self.missing.column(mode_index);
            let sources: Vec<usize> = (0..missing.len()).filter(|&row| !missing[row]).collect();
            let source = sources[rng.random_range(0..sources.len())];
            let values = self.modes[mode_index].row(source).to_owned();
            for row in rows {
                self.put(mode_index, row, &values.view())?;
            }
        }
        Ok(())
    }

    fn move_to_other_class(&mut self, record: &CorruptionRecord, share: UnitLevel) -> Result<()> {
        let Some(labels) = self.labels.clone() else {
            let corruption = Corruption::AdversarialMean(share);
            return Err(Error::LabelsNeeded { corruption });
        };
        let share = share.get();
        for mode_index in 0..self.modes.len() {
            let rows = self.corrupted_rows(record, mode_index);
            if rows.is_empty() {
                continue;
            }
            let means = [0, 1].map(|class| self.mean_of_class(mode_index, &labels, class));
            for row in rows {
                let class = 1 - labels[row];
                let Some(mean) = &means[usize::from(class)] else {
                    return Err(Error::NoRowsOfClass {
                        mode_index,
                        row,
                        class,
                    });
                };
                let values = self.modes[mode_index].row(row);
                let moved: Array1<f32> = values
                    .iter()
                    .zip(mean)
                    .map(|(&value, mean)| ((1.0 - share) * f64::from(value) + share * mean) as f32)
                    .collect();
                self.put(mode_index, row, &moved.view())?;
            }
        }
        Ok(())
    }

    /// Mean of a mode over the rows of a class that have the mode; none if there is none.
    fn mean_of_class(&self, mode_index: usize, labels: &[u8], class: u8) -> Option<Array1<f64>> {
        let mode = &self.modes[mode_index];
        let mut sum = Array1::<f64>::zeros(mode.ncols());
        let mut n_rows = 0_usize;
        for (row, values) in mode.outer_iter().enumerate() {
            if labels[row] == class && !self.missing[[row, mode_index]] {
                sum.zip_mut_with(&values, |sum, &value| *sum += f64::from(value));
                n_rows += 1;
            }
        }
        (n_rows > 0).then(|| sum / n_rows as f64)
    }

    /// Rows of a mode that are recorded as corrupted and have the mode.
    fn corrupted_rows(&self, record: &CorruptionRecord, mode_index: usize) -> Vec<usize> {
        let corrupted = record.flags();
        (0..corrupted.nrows())
            .filter(|&row| corrupted[[row, mode_index]] && !self.missing[[row, mode_index]])
            .collect()
    }

    fn put(&mut self, mode_index: usize, row: usize, values: &ArrayView1<'_, f32>) -> Result<()> {
        let cells = self.modes[mode_index].row_mut(row);
        for (column, (cell, &value)) in cells.into_iter().zip(values).enumerate() {
            *cell = finite(*cell, value, [mode_index, row, column])?;
        }
        Ok(())
    }
}

/// Of Student's t distribution: the fewest whole ones with a mean.
const DEGREES_OF_FREEDOM: f32 = 2.0;

/// Size of a spike, in standard deviations: far outside of what a standardized feature is.
const SPIKE: f32 = 10.0;

fn finite(value: f32, found: f32, [mode_index, row, column]: [usize; 3]) -> Result<f32> {
    if !found.is_finite() {
        return Err(Error::CorruptedValue {
            mode_index,
            row,
            column,
            value,
            found,
        });
    }
    Ok(found)
}

/// A cyclic permutation of `0..length`, uniformly drawn: of two or more, none stays where it is.
///
/// # Source
/// Sattolo (1986), Information Processing Letters 22, 315: a shuffle that never draws the last place.
fn random_cycle(length: usize, rng: &mut impl Rng) -> Vec<usize> {
    let mut places: Vec<usize> = (0..length).collect();
    for last in (1..length).rev() {
        places.swap(last, rng.random_range(0..last));
    }
    places
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Axis, array, s};

    use super::{CorruptedModes, random_cycle};
    use crate::{Corruption, CorruptionRecord, Generator, generator};

    fn rng() -> Generator {
        generator(0, "corruption")
    }

    /// Mode 0 of all rows but the first, of `n_modes` modes.
    fn all_but_the_first_row(n_rows: usize, n_modes: usize) -> CorruptionRecord {
        let mut record = CorruptionRecord::clean(n_rows, n_modes).unwrap();
        record.set(1..n_rows, 0);
        record
    }

    /// One column, corrupted in all rows but the first.
    fn corrupted(clean: &[f32], text: &str) -> Vec<f32> {
        let clean = Array2::from_shape_vec((clean.len(), 1), clean.to_vec()).unwrap();
        let record = all_but_the_first_row(clean.nrows(), 1);
        let corrupted = CorruptedModes::of(&[clean])
            .unwrap()
            .then(&record, &text.parse().unwrap(), &mut rng())
            .unwrap();
        corrupted
            .into_complete()
            .unwrap()
            .remove(0)
            .into_iter()
            .collect()
    }

    fn error(corruption: &str, labels: Option<&[u8]>, record: &CorruptionRecord) -> String {
        let modes = [array![[1.0_f32], [2.0]], array![[3.0], [4.0]]];
        let mut clean = CorruptedModes::of(&modes).unwrap();
        if let Some(labels) = labels {
            clean = clean.with_labels(labels).unwrap();
        }
        let corruption: Corruption = corruption.parse().unwrap();
        let error = clean.then(record, &corruption, &mut rng()).unwrap_err();
        error.to_string()
    }

    #[test]
    fn kinds_without_draws_are_worked_by_hand() {
        let clean = [-9.0, -9.0, 0.25, 3.5];
        assert_eq!(corrupted(&clean, "clip:1.5"), [-9.0, -1.5, 0.25, 1.5]);
        assert_eq!(corrupted(&clean, "quantize:2"), [-9.0, -3.0, 1.0, 3.0]);
        assert_eq!(corrupted(&clean, "drift:4"), [-9.0, -7.0, 3.25, 7.5]);
        assert_eq!(corrupted(&clean, "drift:-4"), [-9.0, -11.0, -2.75, -0.5]);
    }

    #[test]
    fn a_missing_mode_is_masked_and_has_no_number() {
        let modes = [array![[1.0_f32, 2.0], [3.0, 4.0]], array![[5.0], [6.0]]];
        let record = all_but_the_first_row(2, 2);
        let corrupted = CorruptedModes::of(&modes)
            .unwrap()
            .then(&record, &Corruption::Missing, &mut rng())
            .unwrap();
        assert_eq!(corrupted.record(), &record);
        assert_eq!(corrupted.missing(), array![[false, false], [true, false]]);
        assert_eq!(corrupted.values(0, 0), Some(array![1.0, 2.0].view()));
        assert_eq!(corrupted.values(0, 1), None);
        assert_eq!(corrupted.values(1, 1), Some(array![6.0].view()));
        assert_eq!(corrupted.values(2, 0), None);
        assert_eq!(corrupted.values(0, 2), None);
        assert_eq!(
            corrupted.clone().into_complete().unwrap_err().to_string(),
            "mode 0: row 1: expected the mode to be there, found it missing"
        );
        let (values, missing) = corrupted.into_masked();
        assert_eq!(missing, array![[false, false], [true, false]]);
        assert!(values[0].row(1).iter().all(|value| value.is_nan()));
        assert_eq!(values[0].row(0), array![1.0, 2.0]);
        assert_eq!(values[1], modes[1]);
    }

    #[test]
    fn what_is_missing_stays_missing_and_is_no_source_of_anything() {
        let modes = [array![[1.0_f32], [2.0], [300.0], [4.0], [5.0]]];
        let labels = [0, 0, 1, 1, 1];
        let mut hidden = CorruptionRecord::clean(5, 1).unwrap();
        hidden.set(2..3, 0);
        let all = CorruptionRecord::all_rows(5, 1, 0).unwrap();
        let after = |text: &str| {
            let (values, missing) = CorruptedModes::of(&modes)
                .unwrap()
                .with_labels(&labels)
                .unwrap()
                .then(&hidden, &Corruption::Missing, &mut rng())
                .unwrap()
                .then(&all, &text.parse().unwrap(), &mut rng())
                .unwrap()
                .into_masked();
            assert_eq!(missing.column(0), array![false, false, true, false, false]);
            assert!(values[0][[2, 0]].is_nan(), "{text}");
            values[0].select(Axis(0), &[0, 1, 3, 4]).column(0).to_vec()
        };
        assert_eq!(after("adversarial_mean:1"), vec![4.5, 4.5, 1.5, 1.5]);
        assert_eq!(after("offset:1"), vec![2.0, 3.0, 5.0, 6.0]);
        for text in ["swap", "stuck"] {
            assert!(after(text).iter().all(|&value| value < 6.0), "{text}");
        }
    }

    #[test]
    fn the_mean_of_the_other_class_is_approached_and_reached() {
        let modes = [array![[1.0_f32, 0.0], [3.0, 0.0], [10.0, 8.0]]];
        let record = CorruptionRecord::all_rows(3, 1, 0).unwrap();
        let moved = |text: &str| {
            let clean = CorruptedModes::of(&modes).unwrap();
            let corrupted = clean
                .with_labels(&[0, 0, 1])
                .unwrap()
                .then(&record, &text.parse().unwrap(), &mut rng())
                .unwrap();
            corrupted.into_complete().unwrap().remove(0)
        };
        assert_eq!(moved("adversarial_mean:0"), modes[0]);
        assert_eq!(
            moved("adversarial_mean:0.5"),
            array![[5.5, 4.0], [6.5, 4.0], [6.0, 4.0]]
        );
        assert_eq!(
            moved("adversarial_mean"),
            array![[10.0, 8.0], [10.0, 8.0], [2.0, 0.0]]
        );
    }

    #[test]
    fn a_stuck_mode_repeats_a_row_that_was_drawn() {
        let clean: Vec<f32> = (0_u8..20).map(f32::from).collect();
        let modes = [Array2::from_shape_vec((10, 2), clean).unwrap()];
        let record = all_but_the_first_row(10, 1);
        let stuck = |seed| {
            let rng = &mut generator(seed, "corruption");
            let clean = CorruptedModes::of(&modes).unwrap();
            let corrupted = clean.then(&record, &Corruption::Stuck, rng).unwrap();
            corrupted.into_complete().unwrap().remove(0)
        };
        let mut sources = [false; 10];
        for seed in 0..200 {
            let values = stuck(seed);
            assert_eq!(values.row(0), modes[0].row(0));
            for row in 1..10 {
                assert_eq!(values.row(row), values.row(1));
            }
            let rows = modes[0].outer_iter();
            let source = rows.into_iter().position(|row| row == values.row(1));
            sources[source.unwrap()] = true;
        }
        assert_eq!(sources, [true; 10], "some row is never the source");
    }

    #[test]
    fn cycles_are_uniform_and_leave_nothing_in_place() {
        let mut rng = rng();
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..6000 {
            let cycle = random_cycle(4, &mut rng);
            assert!((0..4).all(|place| cycle[place] != place));
            *counts.entry(cycle).or_insert(0_u32) += 1;
        }
        // (4 − 1)! cycles; five standard deviations, 5 √(6000 · 1/6 · 5/6).
        assert_eq!(counts.len(), 6);
        assert!(counts.values().all(|&count| count.abs_diff(1000) < 145));
        assert!(random_cycle(0, &mut rng).is_empty());
        assert_eq!(random_cycle(1, &mut rng), [0]);
    }

    #[test]
    fn spikes_are_ten_standard_deviations_either_way_and_more_at_a_higher_probability() {
        let clean = [Array2::<f32>::zeros((20_000, 1))];
        let record = CorruptionRecord::all_rows(20_000, 1, 0).unwrap();
        let spiked = |text: &str| {
            let clean = CorruptedModes::of(&clean).unwrap();
            let corrupted = clean.then(&record, &text.parse().unwrap(), &mut rng());
            let values = corrupted.unwrap().into_complete().unwrap().remove(0);
            values.map(ToString::to_string)
        };
        let few = spiked("spikes:0.1");
        let count = |sign: &str| few.iter().filter(|&value| value == sign).count();
        assert_eq!(count("10") + count("-10") + count("0"), 20_000);
        // Five standard deviations, 5 √(20,000 · 0.05 · 0.95).
        assert!(count("10").abs_diff(1000) < 155);
        assert!(count("-10").abs_diff(1000) < 155);
        for (few, more) in few.iter().zip(&spiked("spikes:0.2")) {
            assert!(few == "0" || few == more);
        }
    }

    #[test]
    fn corruptions_follow_each_other_and_the_record_is_their_union() {
        let modes = [array![[2.0_f32], [2.0]], array![[1.0], [1.0]]];
        let first = CorruptionRecord::all_rows(2, 2, 0).unwrap();
        let second = all_but_the_first_row(2, 2);
        let third = CorruptionRecord::all_rows(2, 2, 1).unwrap().only_row(0);
        let [offset, scale] = ["offset:1", "scale:3"].map(|text| text.parse().unwrap());
        let of = |corruptions: [(&CorruptionRecord, &Corruption); 3]| {
            let mut corrupted = CorruptedModes::of(&modes).unwrap();
            for (record, corruption) in corruptions {
                corrupted = corrupted.then(record, corruption, &mut rng()).unwrap();
            }
            corrupted
        };
        let corrupted = of([(&first, &offset), (&second, &scale), (&third, &offset)]);
        assert_eq!(
            corrupted.record().flags(),
            array![[true, true], [true, false]]
        );
        let values = corrupted.into_complete().unwrap();
        assert_eq!(values, [array![[3.0], [9.0]], array![[2.0], [1.0]]]);
        let reversed = of([(&second, &scale), (&first, &offset), (&third, &offset)]);
        assert_eq!(
            reversed.into_complete().unwrap()[0].slice(s![.., 0]),
            array![3.0, 7.0]
        );
    }

    #[test]
    fn corruptions_without_what_they_need_are_refused() {
        let both = CorruptionRecord::all_rows(2, 2, 1).unwrap();
        let one = both.only_row(1);
        assert_eq!(
            error("swap", None, &one),
            "mode 1: expected at least two corrupted rows that have the mode, to swap it among them, \
             found row 1 alone"
        );
        assert_eq!(
            error("adversarial_mean", None, &both),
            "expected labels, which adversarial_mean:1 needs, found none"
        );
        assert_eq!(
            error("adversarial_mean", Some(&[1, 1]), &one),
            "mode 1: expected a row of class 0 to take the mean over, which row 1 is moved towards, \
             found none"
        );
        assert_eq!(
            error("noise:1", None, &CorruptionRecord::clean(3, 2).unwrap()),
            "mode 0: expected 3 rows, as in the corruption record, found 2"
        );
        let clean = CorruptedModes::of(&[array![[1.0_f32], [2.0]]]).unwrap();
        assert_eq!(
            clean.clone().with_labels(&[0]).unwrap_err().to_string(),
            "expected 2 labels, one per row to corrupt, found 1"
        );
        assert_eq!(
            clean.with_labels(&[0, 2]).unwrap_err().to_string(),
            "row 1: expected the label 0 or 1, found 2"
        );
        assert_eq!(
            CorruptedModes::of(&[array![[1.0_f32]], array![[1.0], [2.0]]])
                .unwrap_err()
                .to_string(),
            "mode 1: expected 1 rows, as in mode 0, found 2"
        );
    }
}
