//! A table with damage done to it, in the table's own units.

use ndarray::{Array2, Axis};
use rand::Rng;

use super::{CorruptedModes, CorruptionRecord, CorruptionTruth, ModeCorruption};
use crate::error::{Error, Result};
use crate::samples::ModeSamples;
use crate::standardize::Standardization;
use crate::table::Table;

impl Table {
    /// The table after `corruptions`, in their order, each in the rows that `rows` marks for its mode, and the
    /// truth about it.
    ///
    /// Levels are those of standard scores. So a mode that is corrupted by a kind that [is
    /// scaled](super::Corruption::is_scaled) is standardized by the mean and the population standard deviation that
    /// its own clean rows have, corrupted, and brought back: `noise:0.5` adds half a standard deviation
    /// of each column. Modes that only other kinds are done to need no scale.
    ///
    /// A value that corruption does not change keeps its bits, in a corrupted mode too; the others are rounded
    /// once more on their way back.
    ///
    /// # Memory
    /// Up to 16 bytes a value, the table itself included.
    ///
    /// # Missing values
    /// A mode that lacks a value in a row counts as missing there. It stays as it came, it is no source of
    /// values, means or scales for other rows, and the truth has no line for it; only
    /// [`Missing`](super::Corruption::Missing) takes what is left of it.
    ///
    /// # Shapes
    /// - `rows`: `[rows, modes]`, such as [`CorruptionRecord::all`] or a mixture
    ///
    /// # Errors
    /// [`Error::UnknownMode`]; [`Error::RecordModes`] and [`Error::RecordRows`] if `rows` was made for another
    /// table; [`Error::ConstantColumn`], [`Error::NoRowsToFit`] and [`Error::StandardizedValue`] for a mode that
    /// has no scale; [`Error::CorruptionFailed`] around those of [`CorruptedModes::then`];
    /// [`Error::CorruptedValue`] if a value does not come back within 32 bits.
    ///
    /// # Source
    /// This implementation.
    pub fn corrupted(
        &self,
        rows: &CorruptionRecord,
        corruptions: &[ModeCorruption],
        rng: &mut impl Rng,
    ) -> Result<(Self, CorruptionTruth)> {
        let names: Vec<&str> = self.modes.iter().map(|mode| &*mode.name).collect();
        let mode_indices: Vec<usize> = corruptions
            .iter()
            .map(|corruption| corruption.mode_index(&names))
            .collect::<Result<_>>()?;
        let values: Vec<_> = self.modes.iter().map(|mode| mode.values.view()).collect();
        rows.check_shape_of(&values)?;

        let is_scaled = |mode_index: usize| {
            corruptions
                .iter()
                .zip(&mode_indices)
                .any(|(corruption, &index)| {
                    index == mode_index && corruption.corruption().is_scaled()
                })
        };
        let incomplete = self.incomplete();
        let mut scales = Vec::new();
        let mut scores = Vec::new();
        for (mode_index, mode) in self.modes.iter().enumerate() {
            if is_scaled(mode_index) {
                let complete: Vec<usize> = (0..self.n_rows())
                    .filter(|&row| !incomplete[[row, mode_index]])
                    .collect();
                let (scale, score) = standardized(mode, &complete)?;
                scales.push(Some(scale));
                scores.push(score);
            } else {
                scales.push(None);
                scores.push(mode.values.clone());
            }
        }

        let mut corrupted = CorruptedModes::of(&scores)?.with_missing(incomplete);
        if let Some(labels) = &self.labels {
            corrupted = corrupted.with_labels(labels)?;
        }
        let mut absent = CorruptionRecord::from_flags(self.absent());
        let mut truth = CorruptionTruth::new(self.n_rows(), names)?;
        for (corruption, mode_index) in corruptions.iter().zip(mode_indices) {
            let mut record = rows.only_mode(mode_index)?;
            if corruption.corruption().takes_away() {
                record.remove(&absent);
                absent.add(&record);
            } else {
                record.remove(&CorruptionRecord::from_flags(
                    corrupted.missing().to_owned(),
                ));
            }
            corrupted = corruption.apply(corrupted, &record, rng)?;
            truth.push(&record, corruption.corruption())?;
        }

        let (after, missing) = corrupted.into_masked();
        let mut modes = self.modes.clone();
        for (mode_index, mode) in modes.iter_mut().enumerate() {
            for ((row, column), cell) in mode.values.indexed_iter_mut() {
                if absent.flags()[[row, mode_index]] {
                    *cell = f32::NAN;
                    continue;
                }
                let (before, after) = (
                    scores[mode_index][[row, column]],
                    after[mode_index][[row, column]],
                );
                if missing[[row, mode_index]] || after.to_bits() == before.to_bits() {
                    continue;
                }
                let value = *cell;
                *cell = match &scales[mode_index] {
                    Some(scale) => scale.value(column, after),
                    None => after,
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
        let labels = self.labels.clone();
        Ok((Self { modes, labels }, truth))
    }
}

/// The scale of a mode's complete rows, and its standard scores: NaN in the other rows.
fn standardized(mode: &ModeSamples, complete: &[usize]) -> Result<(Standardization, Array2<f32>)> {
    if complete.len() == mode.values.nrows() {
        let scale = Standardization::fit(&mode.name, &mode.columns, mode.values.view())?;
        let scores = scale.apply(mode.values.view())?;
        return Ok((scale, scores));
    }
    let values = mode.values.select(Axis(0), complete);
    let scale = Standardization::fit(&mode.name, &mode.columns, values.view())?;
    let of_complete = scale.apply(values.view()).map_err(|error| match error {
        Error::StandardizedValue {
            row,
            column,
            value,
            found,
        } => Error::StandardizedValue {
            row: complete[row],
            column,
            value,
            found,
        },
        error => error,
    })?;
    let mut scores = Array2::from_elem(mode.values.dim(), f32::NAN);
    for (&row, of_row) in complete.iter().zip(of_complete.rows()) {
        scores.row_mut(row).assign(&of_row);
    }
    Ok((scale, scores))
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use crate::{
        CorruptionRecord, CorruptionTruth, MissingValues, ModeCorruption, Table, TableConfig,
        generator,
    };

    fn config(text: &[&str], label: Option<&str>) -> TableConfig {
        let modes = text.iter().map(|mode| mode.parse().unwrap()).collect();
        TableConfig::new(modes, label.map(str::to_owned), MissingValues::AsNan).unwrap()
    }

    /// Mode `a` has the columns x (mean 5, standard deviation 2) and y (mean 2, standard deviation 1), mode `b` z.
    fn table() -> Table {
        let rows =
            "x,y,z,label\n2,1,1,0\n4,1,2,1\n4,1,3,0\n4,1,4,1\n5,3,5,0\n5,3,6,1\n7,3,7,0\n9,3,8,1\n";
        let config = config(&["a=x,y", "b=z"], Some("label"));
        Table::read(rows.as_bytes(), "t.csv", &config).unwrap()
    }

    fn corruptions(texts: &[&str]) -> Vec<ModeCorruption> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn corrupted(table: &Table, texts: &[&str]) -> (Table, CorruptionTruth) {
        let rows = CorruptionRecord::all(table.n_rows(), table.modes().len()).unwrap();
        let rng = &mut generator(0, "corruption");
        table.corrupted(&rows, &corruptions(texts), rng).unwrap()
    }

    fn bits(values: &Array2<f32>) -> Array2<u32> {
        values.map(|value| value.to_bits())
    }

    #[test]
    fn levels_are_standard_deviations_of_each_column() {
        let table = table();
        let (after, truth) = corrupted(&table, &["a:offset:0.5"]);
        let clean = &table.modes()[0].values;
        assert_eq!(after.modes()[0].values, clean + array![1.0, 0.5]);
        assert_eq!(
            bits(&after.modes()[1].values),
            bits(&table.modes()[1].values)
        );
        assert_eq!(after.labels(), table.labels());
        assert_eq!(truth.corrupted().len(), 8);
        // Stretched about the mean.
        let (after, _) = corrupted(&table, &["a:scale:2"]);
        assert_eq!(after.modes()[0].values.row(0), array![-1.0, 0.0]);
        // Dropped to the mean.
        let (after, _) = corrupted(&table, &["a:drop:1"]);
        assert_eq!(after.modes()[0].values.row(7), array![5.0, 2.0]);
        // One after the other: (z + 1) * 2 - 1.
        let (after, _) = corrupted(&table, &["a:offset:1", "a:scale:2", "a:offset:-1"]);
        assert_eq!(after.modes()[0].values.row(0), array![1.0, 1.0]);
    }

    #[test]
    fn kinds_without_a_scale_need_none() {
        let config = config(&["a=x"], Some("label"));
        let constant = Table::read(&b"x,label\n3,0\n3,1\n"[..], "t.csv", &config).unwrap();
        for kind in ["missing", "swap", "stuck", "adversarial_mean:0.5"] {
            corrupted(&constant, &[&format!("a:{kind}")]);
        }
        let rows = CorruptionRecord::all(2, 1).unwrap();
        let noise = corruptions(&["a:noise:1"]);
        let error = constant.corrupted(&rows, &noise, &mut generator(0, "corruption"));
        assert_eq!(
            error.unwrap_err().to_string(),
            r#"mode "a": expected column "x" to vary, found 3 in every row"#
        );
        // The mean of the other class, in the table's units and bit by bit: 4.5 for class 0's rows.
        let (after, _) = corrupted(&table(), &["a:adversarial_mean"]);
        assert_eq!(after.modes()[0].values.row(0), array![5.5, 2.0]);
    }

    #[test]
    fn a_value_that_is_not_changed_keeps_its_bits() {
        let rows = "x\n0.1\n0.2\n0.7\n1e-20\n12345.678\n";
        let table = Table::read(rows.as_bytes(), "t.csv", &config(&["a=x"], None)).unwrap();
        for kind in ["noise:0", "clip:5", "spikes:0", "drop:0"] {
            let (after, truth) = corrupted(&table, &[&format!("a:{kind}")]);
            assert_eq!(
                bits(&after.modes()[0].values),
                bits(&table.modes()[0].values),
                "{kind}"
            );
            assert_eq!(truth.corrupted().len(), 5);
        }
    }

    #[test]
    fn an_incomplete_mode_stays_as_it_came_until_it_is_taken_away() {
        let rows = "x,y,z\n1,2,0\n,5,1\n3,6,2\n,,3\n";
        let table =
            Table::read(rows.as_bytes(), "t.csv", &config(&["a=x,y", "b=z"], None)).unwrap();
        let rows_of = |truth: &CorruptionTruth| -> Vec<usize> {
            truth
                .corrupted()
                .iter()
                .map(|corrupted| corrupted.row)
                .collect()
        };
        // Mean 2, standard deviation 1 of x; mean 4, standard deviation 2 of y, over the complete rows.
        let (after, truth) = corrupted(&table, &["a:offset:1"]);
        let values = &after.modes()[0].values;
        assert_eq!(values.row(0), array![2.0, 4.0]);
        assert_eq!(values.row(2), array![4.0, 8.0]);
        assert_eq!(bits(values).row(1), bits(&table.modes()[0].values).row(1));
        assert_eq!(rows_of(&truth), [0, 2]);
        let (after, truth) = corrupted(&table, &["a:swap", "a:missing", "a:noise:1", "a:missing"]);
        assert!(after.modes()[0].values.iter().all(|value| value.is_nan()));
        assert_eq!(rows_of(&truth), [0, 2, 0, 1, 2]);
        assert_eq!(after.modes()[1].values, table.modes()[1].values);
    }

    #[test]
    fn a_corruption_that_cannot_be_done_is_named() {
        let table = Table::read(&b"x\n0\n20\n"[..], "t.csv", &config(&["a=x"], None)).unwrap();
        let message = |rows: &CorruptionRecord, text: &str| {
            let rng = &mut generator(0, "corruption");
            let error = table
                .corrupted(rows, &corruptions(&[text]), rng)
                .unwrap_err();
            let source = std::error::Error::source(&error).map(ToString::to_string);
            (error.to_string(), source.unwrap_or_default())
        };
        let all = CorruptionRecord::all(2, 1).unwrap();
        assert_eq!(
            message(&all.only_row(1), "a:swap"),
            (
                "a:swap cannot be done".to_owned(),
                "mode 0: expected at least two corrupted rows that have the mode, to swap it among \
                 them, found row 1 alone"
                    .to_owned()
            )
        );
        assert_eq!(
            message(&all, "a:adversarial_mean").1,
            "expected labels, which adversarial_mean:1 needs, found none"
        );
        assert_eq!(
            message(&all, "a:scale:3e38").0,
            "mode 0: row 0, column 0: expected a finite corrupted value, found -inf from 0"
        );
        assert!(
            message(&all, "b:swap")
                .0
                .ends_with(r#"found "b" (nearest: "a")"#)
        );
        let other = CorruptionRecord::all(3, 1).unwrap();
        assert!(message(&other, "a:swap").0.contains("expected 3 rows"));
    }
}
