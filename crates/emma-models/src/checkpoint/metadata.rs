//! Everything about a model that is not a tensor.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{FORMAT_VERSION, NEWEST_FORMAT_VERSION};
use crate::error::{Error, Result};
use crate::nearest::nearest;
use crate::task::Task;
use crate::trained::{DENOISING_AUTOENCODER, JOINT_DENSITY};

/// A mode: its name and the table columns it is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeColumns {
    /// Name, of lower-case letters, digits and underscores.
    pub name: String,
    /// Columns, in the order of the features.
    pub columns: Vec<String>,
}

/// A part of a model by kind, with whatever else its writer noted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kind {
    /// What it is; readers refuse kinds they do not know.
    pub kind: String,
    /// Notes for people, which readers do not need; of EMMA+ its
    /// [settings](crate::trained::EmmaPlusSettings), which they do.
    #[serde(flatten)]
    pub notes: Map<String, Value>,
}

impl Kind {
    /// A kind without notes.
    pub fn new(kind: &str) -> Self {
        Self {
            kind: kind.into(),
            notes: Map::new(),
        }
    }

    /// Adds a note.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.notes.insert(key.into(), value.into());
        self
    }
}

/// Everything about a model that is not a tensor.
///
/// Unknown keys are ignored when reading; keys are written in this order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelMetadata {
    /// Version of the file format.
    pub format_version: u64,
    /// What the model is called, such as `with` or `base`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Modes, in order.
    pub modes: Vec<ModeColumns>,
    /// Name of the label column.
    pub label: String,
    /// Coldness ρ; none for models without EMMA, and for EMMA+.
    #[serde(deserialize_with = "Option::deserialize")] // Null, but not absent.
    pub coldness: Option<f64>,
    /// Energy estimator; none for models without EMMA.
    #[serde(deserialize_with = "Option::deserialize")] // Null, but not absent.
    pub energy: Option<Kind>,
    /// Prediction network.
    pub network: Kind,
    /// Probability from which a row counts as positive; without meaning for other tasks than the binary one.
    pub threshold: f64,
    /// What the model predicts; a binary label of 0 and 1 if the file does not say.
    #[serde(default, skip_serializing_if = "Task::is_default")]
    pub task: Task,
    /// Which rows and which score it may abstain by, for [`Abstention`](crate::Abstention), which alone reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abstention: Option<Value>,
    /// How the model was trained, for people.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub training: Map<String, Value>,
}

/// Keys without which a model cannot be understood.
const REQUIRED: [&str; 7] = [
    "format_version",
    "modes",
    "label",
    "coldness",
    "energy",
    "network",
    "threshold",
];

/// What the model predicts, of which only the kind is looked at.
#[derive(Deserialize)]
struct TaskKind {
    task: Kind,
}

/// The one key whose meaning no version may change.
#[derive(Deserialize)]
struct Version {
    format_version: u64,
}

impl ModelMetadata {
    /// Reads metadata as they stand in a file.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let invalid = |error| Error::Checkpoint(format!("invalid metadata: {error}"));
        // Values are passed over here, so that a later version's need not be understood.
        #[expect(
            clippy::zero_sized_map_values,
            reason = "an object does not deserialize into a set"
        )]
        let keys: BTreeMap<Cow<'_, str>, IgnoredAny> =
            serde_json::from_str(text).map_err(invalid)?;
        match serde_json::from_str(text) {
            Ok(Version { format_version })
                if !(FORMAT_VERSION..=NEWEST_FORMAT_VERSION).contains(&format_version) =>
            {
                return Err(Error::FormatVersion {
                    found: format_version,
                    supported: NEWEST_FORMAT_VERSION,
                });
            }
            Err(_) if keys.contains_key("format_version") => {
                return Err(Error::Checkpoint(
                    "expected a whole number format_version in the metadata".into(),
                ));
            }
            _ => {}
        }
        for key in REQUIRED {
            if !keys.contains_key(key) {
                let unknown = keys.keys().map(AsRef::as_ref);
                let unknown = unknown.filter(|found| !REQUIRED.contains(found));
                return Err(Error::Checkpoint(format!(
                    "expected key {key} in the metadata, it is missing{}",
                    nearest(key, unknown)
                        .map_or_else(String::new, |found| format!(" (is {found} meant for it?)"))
                )));
            }
        }
        let has_task = keys.contains_key("task");
        drop(keys);
        if has_task
            && let Ok(TaskKind { task }) = serde_json::from_str(text)
            && !Task::KINDS.contains(&task.kind.as_str())
        {
            return Err(Error::UnknownKind {
                part: "task",
                found: task.kind,
                known: Task::KINDS.map(str::to_owned).into(),
            });
        }
        let metadata: Self = serde_json::from_str(text).map_err(invalid)?;
        metadata.validate()?;
        Ok(metadata)
    }

    pub(super) fn validate(&self) -> Result<()> {
        let refuse = |message: String| Err(Error::Checkpoint(message));
        if self.modes.is_empty() {
            return refuse("expected at least one mode, got none".into());
        }
        let mut names = HashSet::new();
        let mut columns = HashSet::new();
        for mode in &self.modes {
            let valid = !mode.name.is_empty()
                && mode
                    .name
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
            if !valid {
                return refuse(format!(
                    "expected mode names of a-z, 0-9 and _, got {:?}",
                    mode.name
                ));
            }
            if !names.insert(&mode.name) {
                return refuse(format!("mode {} is there twice", mode.name));
            }
            if mode.columns.is_empty() {
                return refuse(format!("mode {} has no columns", mode.name));
            }
            for column in &mode.columns {
                if !columns.insert(column) {
                    return refuse(format!(
                        "column {column:?} is there twice (mode {})",
                        mode.name
                    ));
                }
            }
        }
        if !self.threshold.is_finite() {
            return refuse(format!(
                "expected a finite threshold, got {}",
                self.threshold
            ));
        }
        self.task.validate()?;
        if self.format_version < self.task.format_version() {
            return refuse(format!(
                "expected format_version {} with a task of kind {}, got {}",
                self.task.format_version(),
                self.task.kind(),
                self.format_version
            ));
        }
        // Kinds that are not the thesis's have no coldness; readers that do not know one say so later.
        let kind = self.energy.as_ref().map(|energy| &*energy.kind);
        if kind == Some(JOINT_DENSITY) && self.format_version < NEWEST_FORMAT_VERSION {
            return refuse(format!(
                "expected format_version {NEWEST_FORMAT_VERSION} with an energy of kind {JOINT_DENSITY}, got {}",
                self.format_version
            ));
        }
        let energy = kind.filter(|kind| *kind == DENOISING_AUTOENCODER);
        if energy.is_some() && self.modes.len() < 2 {
            return refuse("expected at least 2 modes for EMMA, got 1".into());
        }
        match (energy, self.coldness) {
            (Some(_), None) => refuse("expected a coldness beside the energy, got null".into()),
            (Some(_), Some(coldness)) if !(0. ..=f64::MAX).contains(&coldness) => refuse(format!(
                "expected a finite coldness of at least 0, got {coldness}"
            )),
            _ => Ok(()),
        }
    }

    /// Features of all modes together.
    pub fn n_features(&self) -> usize {
        self.modes.iter().map(|mode| mode.columns.len()).sum()
    }
}
