//! Shifting and scaling columns to mean 0 and standard deviation 1.

use ndarray::{Array2, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Mean and standard deviation of each column of one mode, and the map made of them.
///
/// `z = (x − mean) / std`
///
/// Fit to training rows only: means of all rows would carry knowledge of the test rows into training.
/// Serialized as `{"mean": [...], "std": [...]}`, checked when read.
///
/// # Units
/// `mean` and `std` have the column's unit; `z` is dimensionless, in standard deviations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "MeanAndStd")]
pub struct Standardization {
    mean: Vec<f32>,
    std: Vec<f32>,
}

/// Means and standard deviations as they are read, not yet checked.
#[derive(Deserialize)]
struct MeanAndStd {
    mean: Vec<f32>,
    std: Vec<f32>,
}

impl Standardization {
    /// A standardization with known numbers, such as those of a model file.
    ///
    /// # Shapes
    /// - `mean`, `std`: `[columns]`
    ///
    /// # Errors
    /// [`Error::StandardizationLengths`] if they are not pairs; [`Error::StandardizationRange`] if a
    /// mean is not finite or a standard deviation is not finite and above 0.
    pub fn new(mean: Vec<f32>, std: Vec<f32>) -> Result<Self> {
        if mean.len() != std.len() {
            return Err(Error::StandardizationLengths {
                n_means: mean.len(),
                n_stds: std.len(),
            });
        }
        for (column, (&mean, &std)) in mean.iter().zip(&std).enumerate() {
            if !(mean.is_finite() && std.is_finite() && std > 0.0) {
                return Err(Error::StandardizationRange { column, mean, std });
            }
        }
        Ok(Self { mean, std })
    }

    /// Mean and population standard deviation of the columns of one mode.
    ///
    /// `mean = Σ x / n`, `std = √(Σ (x − mean)² / n)`, summed in 64 bits in two passes: the deviations
    /// are taken from the mean that is already known, and the second pass corrects for that mean's
    /// rounding. The one-pass formula `Σx²/n − mean²` would cancel for columns far from 0.
    ///
    /// `mode_name` and `columns` are only used in errors.
    ///
    /// # Shapes
    /// - `columns`: `[columns]`
    /// - `values`: `[rows, columns]`, at least one row
    ///
    /// # Errors
    /// [`Error::ModeColumnCount`], [`Error::NoRowsToFit`], [`Error::NonFiniteValue`], and
    /// [`Error::ConstantColumn`] for a column without a scale: all values equal, or so close to each
    /// other that the standard deviation is 0 in 32 bits.
    ///
    /// # Source
    /// Thesis, section 6.2 (standardized by what the training rows give). The correction is the
    /// "corrected two-pass algorithm" of Chan, Golub and `LeVeque`, "Algorithms for Computing the Sample
    /// Variance" (The American Statistician 37, 1983).
    #[expect(
        clippy::needless_pass_by_value,
        reason = "views are passed by value, as slices are"
    )]
    pub fn fit(mode_name: &str, columns: &[String], values: ArrayView2<'_, f32>) -> Result<Self> {
        if values.ncols() != columns.len() {
            return Err(Error::ModeColumnCount {
                mode: mode_name.to_owned(),
                expected: columns.len(),
                found: values.ncols(),
            });
        }
        let n_rows = values.nrows() as f64;
        let mut means = Vec::with_capacity(columns.len());
        let mut stds = Vec::with_capacity(columns.len());
        for (name, column) in columns.iter().zip(values.axis_iter(Axis(1))) {
            let Some(&first) = column.first() else {
                return Err(Error::NoRowsToFit {
                    mode: mode_name.to_owned(),
                });
            };
            if let Some((row, &found)) = column.indexed_iter().find(|(_, value)| !value.is_finite())
            {
                return Err(Error::NonFiniteValue {
                    mode: mode_name.to_owned(),
                    row,
                    column: name.clone(),
                    found,
                });
            }
            let mean = column.iter().map(|&value| f64::from(value)).sum::<f64>() / n_rows;
            let (mut sum, mut sum_of_squares) = (0.0, 0.0);
            for &value in column {
                let deviation = f64::from(value) - mean;
                sum += deviation;
                sum_of_squares += deviation * deviation;
            }
            let variance = ((sum_of_squares - sum * sum / n_rows) / n_rows).max(0.0);
            let std = variance.sqrt() as f32;
            // Sums of equal 32-bit values are exact in 64 bits, up to 2^29 rows: a constant column has
            // a deviation of exactly 0.
            if std <= 0.0 {
                return Err(Error::ConstantColumn {
                    mode: mode_name.to_owned(),
                    column: name.clone(),
                    value: first,
                });
            }
            means.push(mean as f32);
            stds.push(std);
        }
        Self::new(means, stds)
    }

    /// The mean of each column, `[columns]`.
    pub fn mean(&self) -> &[f32] {
        &self.mean
    }

    /// The standard deviation of each column, `[columns]`, above 0.
    pub fn std(&self) -> &[f32] {
        &self.std
    }

    /// A standardized copy of `values`.
    ///
    /// `z = (x − mean) / std` in 32 bits, the arithmetic of the model file.
    ///
    /// # Shapes
    /// - `values`: `[rows, columns]`
    /// - returns `[rows, columns]`
    ///
    /// # Errors
    /// [`Error::StandardizationColumns`] if `values` has other columns;
    /// [`Error::StandardizedValue`] if a result is NaN or infinite.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "views are passed by value, as slices are"
    )]
    pub fn apply(&self, values: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        if values.ncols() != self.mean.len() {
            return Err(Error::StandardizationColumns {
                expected: self.mean.len(),
                found: values.ncols(),
            });
        }
        let mut standardized = values.to_owned();
        for ((row, column), cell) in standardized.indexed_iter_mut() {
            let value = *cell;
            *cell = (value - self.mean[column]) / self.std[column];
            if !cell.is_finite() {
                return Err(Error::StandardizedValue {
                    row,
                    column,
                    value,
                    found: *cell,
                });
            }
        }
        Ok(standardized)
    }

    /// The value of a column that has a standard score: `z · std + mean` in 64 bits, rounded once.
    pub(crate) fn value(&self, column: usize, score: f32) -> f32 {
        let [score, std, mean] = [score, self.std[column], self.mean[column]].map(f64::from);
        (score * std + mean) as f32
    }
}

impl TryFrom<MeanAndStd> for Standardization {
    type Error = Error;

    fn try_from(raw: MeanAndStd) -> Result<Self> {
        Self::new(raw.mean, raw.std)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::Standardization;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn mean_and_population_standard_deviation_are_worked_by_hand() {
        // 2, 4, 4, 4, 5, 5, 7, 9: mean 5, squared deviations sum to 32, 32 / 8 = 4.
        let values = array![
            [2.0, 1.0],
            [4.0, 1.0],
            [4.0, 1.0],
            [4.0, 1.0],
            [5.0, 3.0],
            [5.0, 3.0],
            [7.0, 3.0],
            [9.0, 3.0]
        ];
        let fitted = Standardization::fit("ip", &names(&["a", "b"]), values.view()).unwrap();
        assert_eq!(fitted.mean(), [5.0, 2.0]);
        assert_eq!(fitted.std(), [2.0, 1.0]);
        let before = values.clone();
        let standardized = fitted.apply(values.view()).unwrap();
        assert_eq!(standardized.row(0), array![-1.5, -1.0]);
        assert_eq!(standardized.row(7), array![2.0, 1.0]);
        assert_eq!(values, before);
    }

    #[test]
    fn a_small_spread_far_from_zero_is_kept() {
        // In 32 bits, or by the one-pass formula in 32 bits, the variance would be lost.
        let values = Array2::from_shape_fn(
            (1000, 1),
            |(row, _)| if row % 2 == 0 { 1e7 } else { 1e7 + 2.0 },
        );
        let fitted = Standardization::fit("ip", &names(&["a"]), values.view()).unwrap();
        assert_eq!(fitted.mean(), [1e7 + 1.0]);
        assert_eq!(fitted.std(), [1.0]);
    }

    #[test]
    fn a_single_row_is_constant() {
        let error = Standardization::fit("ip", &names(&["a"]), array![[0.5]].view()).unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"mode "ip": expected column "a" to vary, found 0.5 in every row"#
        );
    }

    #[test]
    fn constant_columns_are_refused_whatever_their_value() {
        for value in [0.0, 0.1, -3.3e38, 1e-45] {
            let values = Array2::from_elem((77, 1), value);
            let error = Standardization::fit("dm", &names(&["b"]), values.view()).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(r#"mode "dm": expected column "b" to vary, found {value} in every row"#)
            );
        }
    }

    #[test]
    fn fits_that_make_no_sense_are_refused() {
        let error = |columns: &[&str], values: Array2<f32>| {
            Standardization::fit("ip", &names(columns), values.view())
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            error(&["a"], array![[1.0, 2.0]]),
            r#"mode "ip": expected values in 1 columns, one per name, found 2"#
        );
        assert_eq!(
            error(&["a"], Array2::zeros((0, 1))),
            r#"mode "ip": expected at least one row to fit the standardization to, found none"#
        );
        assert_eq!(
            error(&["a"], array![[1.0], [f32::NAN]]),
            r#"mode "ip": row 1: expected a finite number in column "a", found NaN"#
        );
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        let error = |mean, std| Standardization::new(mean, std).unwrap_err().to_string();
        assert_eq!(
            error(vec![0.0], vec![]),
            "expected as many means as standard deviations, found 1 and 0"
        );
        for (mean, std) in [
            (0.0, 0.0),
            (0.0, -1.0),
            (0.0, f32::NAN),
            (f32::INFINITY, 1.0),
            (0.0, f32::INFINITY),
        ] {
            assert_eq!(
                error(vec![0.0, mean], vec![1.0, std]),
                format!(
                    "column 1: expected a finite mean and a finite standard deviation above 0, \
                     found {mean} and {std}"
                )
            );
        }
        assert!(serde_json::from_str::<Standardization>(r#"{"mean":[0],"std":[0]}"#).is_err());
    }

    #[test]
    fn values_that_do_not_fit_are_refused() {
        let standardization = Standardization::new(vec![0.0, 0.0], vec![1.0, 1e-3]).unwrap();
        let error = |values: Array2<f32>| {
            standardization
                .apply(values.view())
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            error(array![[1.0]]),
            "expected values in 2 columns, as the standardization, found 1"
        );
        assert_eq!(
            error(array![[1.0, 1.0], [1.0, 2.5e38]]),
            format!(
                "row 1, column 1: expected a finite standardized value, found inf from {}",
                2.5e38_f32
            )
        );
    }

    #[test]
    fn a_standardization_survives_serialization() {
        let text = r#"{"mean":[0.1,2.0],"std":[1.5,3.0]}"#;
        let standardization: Standardization = serde_json::from_str(text).unwrap();
        assert_eq!(standardization.mean(), [0.1, 2.0]);
        assert_eq!(serde_json::to_string(&standardization).unwrap(), text);
    }
}
