//! What a model predicts.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::checkpoint::{FORMAT_VERSION, NEWEST_FORMAT_VERSION};
use crate::error::{Error, Result};

/// What a model predicts: one of two classes, one of several, or a number.
///
/// In a model file it is the key `task`, such as `{"kind": "multiclass", "classes": ["a", "b", "c"]}`. A file without
/// it holds a binary classifier whose labels are 0 and 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Task {
    /// One of two classes: the network gives the log-odds of label 1.
    Binary {
        /// Names of label 0 and label 1 in tables, in this order; none if they are written as 0 and 1.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        classes: Vec<String>,
    },
    /// One of several classes: the network gives one log-probability a class, up to a constant.
    Multiclass {
        /// Names of the classes in tables, at least two; a label is a place in this list.
        classes: Vec<String>,
    },
    /// A number: the network gives it in standard deviations from the mean of the training rows.
    Regression {
        /// Mean of the target over training rows, in the target's unit.
        mean: f64,
        /// Population standard deviation of the target over training rows, in the target's unit; above 0.
        std: f64,
    },
}

impl Default for Task {
    fn default() -> Self {
        Self::Binary {
            classes: Vec::new(),
        }
    }
}

impl Task {
    /// The kinds by name.
    pub const KINDS: [&'static str; 3] = ["binary", "multiclass", "regression"];

    /// Its kind by name.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Binary { .. } => Self::KINDS[0],
            Self::Multiclass { .. } => Self::KINDS[1],
            Self::Regression { .. } => Self::KINDS[2],
        }
    }

    /// Numbers that the network gives for a row.
    pub fn n_outputs(&self) -> usize {
        match self {
            Self::Multiclass { classes } => classes.len(),
            Self::Binary { .. } | Self::Regression { .. } => 1,
        }
    }

    /// The oldest version of the model file that can hold it.
    pub fn format_version(&self) -> u64 {
        match self {
            Self::Binary { .. } => FORMAT_VERSION,
            Self::Multiclass { .. } | Self::Regression { .. } => NEWEST_FORMAT_VERSION,
        }
    }

    /// Names of the classes, if tables have them by name.
    pub fn classes(&self) -> &[String] {
        match self {
            Self::Binary { classes } | Self::Multiclass { classes } => classes,
            Self::Regression { .. } => &[],
        }
    }

    /// Whether it is what a model without a task in its file does.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it makes sense.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] for classes that are too few or not different, and for a mean or deviation out of range.
    pub fn validate(&self) -> Result<()> {
        let refuse = |message: String| Err(Error::Checkpoint(message));
        let classes = self.classes();
        if classes.iter().collect::<HashSet<_>>().len() < classes.len() {
            return refuse(format!("expected different classes, got {classes:?}"));
        }
        match self {
            Self::Binary { classes } if !matches!(classes.len(), 0 | 2) => refuse(format!(
                "expected 2 classes of a binary task, or none, got {}",
                classes.len()
            )),
            Self::Multiclass { classes } if classes.len() < 2 => refuse(format!(
                "expected at least 2 classes, got {}",
                classes.len()
            )),
            Self::Regression { mean, std }
                if !(mean.is_finite() && std.is_finite() && *std > 0.) =>
            {
                refuse(format!(
                    "expected a finite mean and a positive standard deviation of the target, got {mean} and {std}"
                ))
            }
            _ => Ok(()),
        }
    }
}
