//! Measures of models on labelled rows.
//!
//! Of a binary classifier, three kinds answer three questions:
//!
//! | question | measures | file |
//! | --- | --- | --- |
//! | Are the predictions at this threshold right? | [`ConfusionMatrix`]: F1, precision, recall, specificity, G-mean, MCC | `confusion_matrix.rs` |
//! | Do positives rank above negatives, whatever the threshold? | [`roc_auc`], [`pr_auc`], [`recall_at_false_positive_rate`] | `ranking.rs` |
//! | Are the probabilities themselves true? | [`brier_score`], [`expected_calibration_error`] | `probability.rs` |
//!
//! [`ClassificationMetrics`] holds all of them for one set of rows, and [`Metric`] names them.
//! [`MulticlassMetrics`] measure several classes, [`RegressionMetrics`] numbers.
//!
//! Rows come as two slices: one probability (or score) and one label, 0 or 1, a row. Whatever cannot
//! be measured is an error: no rows, slices of different lengths, other labels, NaN, and a missing
//! class where the measure compares the two.
//!
//! ```
//! use emma_models::ClassificationMetrics;
//!
//! # fn main() -> emma_models::Result<()> {
//! let metrics = ClassificationMetrics::of(&[0.9, 0.6, 0.4, 0.1], &[1, 0, 1, 0], 0.5)?;
//! assert_eq!(metrics.counts.true_positives, 1);
//! assert_eq!(metrics.roc_auc, 0.75); // One of the four pairs is the wrong way round.
//! # Ok(())
//! # }
//! ```

mod classification;
mod confusion_matrix;
mod labeled_rows;
mod metric;
mod multiclass;
mod operating_points;
mod probability;
mod ranking;
mod regression;

pub use classification::ClassificationMetrics;
pub use confusion_matrix::ConfusionMatrix;
pub use metric::Metric;
pub use multiclass::{MulticlassMetrics, likeliest};
pub use probability::{CALIBRATION_BINS, brier_score, expected_calibration_error};
pub use ranking::{pr_auc, recall_at_false_positive_rate, roc_auc};
pub use regression::RegressionMetrics;

pub(crate) use labeled_rows::LabeledRows;
pub(crate) use operating_points::{OperatingPoint, OperatingPoints};
