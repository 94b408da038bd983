//! Names of the measures.

use std::fmt;
use std::str::FromStr;

use super::classification::ClassificationMetrics;
use crate::error::{Error, Result};

/// One measure of [`ClassificationMetrics`], by name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Metric {
    /// `f1`.
    #[default]
    F1,
    /// `precision`.
    Precision,
    /// `recall`.
    Recall,
    /// `specificity`.
    Specificity,
    /// `g_mean`.
    GMean,
    /// `mcc`.
    Mcc,
    /// `roc_auc`.
    RocAuc,
    /// `pr_auc`.
    PrAuc,
    /// `recall_at_fpr_1pct`.
    RecallAtFpr1Pct,
    /// `brier`.
    Brier,
    /// `ece`.
    Ece,
}

impl Metric {
    /// Every measure, in the order of the fields of [`ClassificationMetrics`].
    pub const ALL: [Self; 11] = [
        Self::F1,
        Self::Precision,
        Self::Recall,
        Self::Specificity,
        Self::GMean,
        Self::Mcc,
        Self::RocAuc,
        Self::PrAuc,
        Self::RecallAtFpr1Pct,
        Self::Brier,
        Self::Ece,
    ];

    /// Its name in files and on command lines: the field of [`ClassificationMetrics`].
    pub fn name(self) -> &'static str {
        match self {
            Self::F1 => "f1",
            Self::Precision => "precision",
            Self::Recall => "recall",
            Self::Specificity => "specificity",
            Self::GMean => "g_mean",
            Self::Mcc => "mcc",
            Self::RocAuc => "roc_auc",
            Self::PrAuc => "pr_auc",
            Self::RecallAtFpr1Pct => "recall_at_fpr_1pct",
            Self::Brier => "brier",
            Self::Ece => "ece",
        }
    }

    /// Its name for people, as a sentence begins with it.
    pub fn title(self) -> &'static str {
        match self {
            Self::F1 => "F1",
            Self::Precision => "Precision",
            Self::Recall => "Recall",
            Self::Specificity => "Specificity",
            Self::GMean => "G-mean",
            Self::Mcc => "Matthews correlation",
            Self::RocAuc => "ROC-AUC",
            Self::PrAuc => "PR-AUC (average precision)",
            Self::RecallAtFpr1Pct => "Recall at false-positive rate 1 %",
            Self::Brier => "Brier score",
            Self::Ece => "Expected calibration error",
        }
    }

    /// Whether smaller values are the better ones.
    pub fn lower_is_better(self) -> bool {
        matches!(self, Self::Brier | Self::Ece)
    }

    /// Its value.
    pub fn of(self, metrics: &ClassificationMetrics) -> f64 {
        match self {
            Self::F1 => metrics.f1,
            Self::Precision => metrics.precision,
            Self::Recall => metrics.recall,
            Self::Specificity => metrics.specificity,
            Self::GMean => metrics.g_mean,
            Self::Mcc => metrics.mcc,
            Self::RocAuc => metrics.roc_auc,
            Self::PrAuc => metrics.pr_auc,
            Self::RecallAtFpr1Pct => metrics.recall_at_fpr_1pct,
            Self::Brier => metrics.brier,
            Self::Ece => metrics.ece,
        }
    }
}

impl fmt::Display for Metric {
    /// Writes [`name`](Self::name).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Metric {
    type Err = Error;

    /// Reads [`name`](Self::name).
    fn from_str(text: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|metric| metric.name() == text);
        known.ok_or_else(|| Error::InvalidSetting {
            name: "metric",
            expected: "f1, precision, recall, specificity, g_mean, mcc, roc_auc, pr_auc, \
                       recall_at_fpr_1pct, brier or ece",
            found: format!("\"{text}\""),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_fields_and_values_theirs() {
        let metrics =
            ClassificationMetrics::of(&[0.9, 0.8, 0.7, 0.4, 0.1], &[1, 0, 1, 1, 0], 0.75).unwrap();
        let written = serde_json::to_value(metrics).unwrap();
        for metric in Metric::ALL {
            let field = written[metric.name()].as_f64().unwrap();
            assert!((metric.of(&metrics) - field).abs() < 1e-15, "{metric}");
            assert_eq!(metric.name().parse::<Metric>().unwrap(), metric);
        }
        let n_counts = 4;
        assert_eq!(
            written.as_object().unwrap().len(),
            n_counts + Metric::ALL.len()
        );
    }

    #[test]
    fn an_unknown_name_is_an_error_that_lists_the_known() {
        let error = "auc".parse::<Metric>().unwrap_err().to_string();
        assert!(error.ends_with("got \"auc\""), "{error}");
        for metric in Metric::ALL {
            assert!(error.contains(metric.name()), "{error}");
        }
    }
}
