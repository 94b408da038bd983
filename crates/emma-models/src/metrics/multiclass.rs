//! Measures of several classes.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Every measure of rows that belong to one of several classes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MulticlassMetrics {
    /// Share of rows whose likeliest class is theirs.
    pub accuracy: f64,
    /// Mean F1 over the classes that occur, among labels or predictions.
    pub macro_f1: f64,
    /// Mean over rows of `−log p_y`, in nats; a probability of 0 counts as the least positive f32.
    pub log_loss: f64,
    /// F1 of each class, in their order; 0 for one that does not occur.
    pub f1: Vec<f64>,
    /// Rows by label, then by predicted class.
    pub confusion: Vec<Vec<usize>>,
}

impl MulticlassMetrics {
    /// Measures probabilities of classes.
    ///
    /// # Shapes
    /// - `probabilities`: `[row][class]`
    /// - `labels`: one a row, places among the classes
    ///
    /// # Errors
    /// [`Error::LabelCount`] if there is not one label a row, [`Error::NoRows`] without any,
    /// [`Error::Row`] for a label that is no class, NaN, or another number of classes than in the first row.
    pub fn of(probabilities: &[Vec<f32>], labels: &[usize]) -> Result<Self> {
        if probabilities.len() != labels.len() {
            return Err(Error::LabelCount {
                predictions: probabilities.len(),
                labels: labels.len(),
            });
        }
        let n_classes = match probabilities.first() {
            Some(first) => first.len(),
            None => {
                return Err(Error::NoRows {
                    what: "predictions",
                });
            }
        };
        let mut confusion = vec![vec![0usize; n_classes]; n_classes];
        let mut log_loss = 0.;
        for (row, (probabilities, &label)) in probabilities.iter().zip(labels).enumerate() {
            let fault = |message: String| Err(Error::Row { row, message });
            if probabilities.len() != n_classes {
                return fault(format!(
                    "expected {n_classes} probabilities, got {}",
                    probabilities.len()
                ));
            }
            if label >= n_classes {
                return fault(format!("expected a class below {n_classes}, got {label}"));
            }
            let Some(predicted) = likeliest(probabilities) else {
                return fault("expected probabilities that are numbers, got NaN".into());
            };
            confusion[label][predicted] += 1;
            log_loss -= f64::from(probabilities[label].max(f32::MIN_POSITIVE)).ln();
        }
        let n_rows = labels.len() as f64;
        let column = |class: usize| confusion.iter().map(|row| row[class]).sum::<usize>();
        let occurrences: Vec<usize> = (0..n_classes)
            .map(|class| confusion[class].iter().sum::<usize>() + column(class))
            .collect();
        let f1: Vec<f64> = (0..n_classes)
            .map(|class| match occurrences[class] {
                0 => 0.,
                all => 2. * confusion[class][class] as f64 / all as f64,
            })
            .collect();
        let n_occurring = occurrences.iter().filter(|&&all| all > 0).count();
        let n_right: usize = (0..n_classes).map(|class| confusion[class][class]).sum();
        Ok(Self {
            accuracy: n_right as f64 / n_rows,
            macro_f1: f1.iter().sum::<f64>() / n_occurring as f64,
            log_loss: log_loss / n_rows,
            f1,
            confusion,
        })
    }
}

/// The class of the highest probability, the first of equals; none if there is a NaN, or nothing.
pub fn likeliest(probabilities: &[f32]) -> Option<usize> {
    let mut best = 0;
    for (class, probability) in probabilities.iter().enumerate() {
        if probability.is_nan() {
            return None;
        }
        if *probability > probabilities[best] {
            best = class;
        }
    }
    (!probabilities.is_empty()).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_are_those_counted_by_hand() -> Result<()> {
        let probabilities = [
            vec![0.5, 0.25, 0.25, 0.],
            vec![0.25, 0.5, 0.25, 0.],
            vec![0.5, 0.5, 0., 0.],
            vec![0., 0., 1., 0.],
        ];
        let metrics = MulticlassMetrics::of(&probabilities, &[0, 1, 1, 2])?;
        assert!((metrics.accuracy - 0.75).abs() < 1e-12);
        // Class 0: 1 right, 1 label and 2 predictions; class 1: 1 right, 2 and 1; class 2: all; class 3: nowhere.
        let expected = [2. / 3., 2. / 3., 1., 0.];
        for (found, expected) in metrics.f1.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12);
        }
        assert!((metrics.macro_f1 - 7. / 9.).abs() < 1e-12);
        assert!((metrics.log_loss - 0.75 * 2f64.ln()).abs() < 1e-7);
        assert_eq!(metrics.confusion[1], [1, 1, 0, 0]);
        Ok(())
    }

    #[test]
    fn what_cannot_be_measured_is_named() {
        let message = |probabilities: &[Vec<f32>], labels: &[usize]| {
            MulticlassMetrics::of(probabilities, labels)
                .unwrap_err()
                .to_string()
        };
        assert!(message(&[], &[]).starts_with("expected at least one row"));
        assert_eq!(
            message(&[vec![0.5, 0.5]], &[2]),
            "row 0: expected a class below 2, got 2"
        );
        assert!(message(&[vec![f32::NAN, 0.5]], &[0]).contains("NaN"));
        assert!(message(&[vec![1., 0.], vec![1.]], &[0, 0]).starts_with("row 1: "));
        assert!(message(&[vec![1., 0.]], &[0, 0]).contains("as many labels"));
    }
}
