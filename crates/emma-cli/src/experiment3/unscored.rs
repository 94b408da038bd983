//! Models that are trained and not yet scored on test rows, kept in files: what a killed run or a
//! shard leaves for the run that finishes the seed.

use std::path::{Path, PathBuf};

use anyhow::Context;
use emma_models::{Checkpoint, TrainingHistory};
use serde::{Deserialize, Serialize};

use super::outcome::ByRule;
use crate::failure::CommandResult;
use crate::files;

/// Folder of a seed's unscored models, in the seed's folder; gone when the seed is finished.
pub(crate) const FOLDER: &str = "unscored";

/// What training found, beside the model itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Training {
    /// F1 on the validation rows that the threshold was chosen on.
    pub(crate) validation_f1: f64,
    pub(crate) thresholds: ByRule<f64>,
    /// Of the attention that EMMA learned; no other model has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rectified_capacity: Option<f64>,
    pub(crate) starts: usize,
    pub(crate) history: TrainingHistory,
    pub(crate) seconds: f64,
}

/// The unscored models of one seed.
pub(crate) struct Unscored {
    folder: PathBuf,
}

impl Unscored {
    /// Those in a seed's folder.
    pub(crate) fn of_seed(seed_folder: &Path) -> Self {
        Self {
            folder: seed_folder.join(FOLDER),
        }
    }

    /// Makes their folder, and frees it of what a killed run was writing.
    pub(crate) fn prepare(&self) -> CommandResult<()> {
        std::fs::create_dir_all(&self.folder)
            .with_context(|| format!("cannot create {}", self.folder.display()))?;
        files::remove_unfinished(&self.folder);
        Ok(())
    }

    fn model_file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.safetensors"))
    }

    fn training_file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }

    /// Keeps a model. What training found comes last: where it is, the model is.
    pub(crate) fn keep(
        &self,
        name: &str,
        checkpoint: &Checkpoint,
        training: &Training,
    ) -> CommandResult<()> {
        files::write(&self.model_file(name), &checkpoint.to_bytes()?)?;
        files::write_json(&self.training_file(name), training)
    }

    /// Whether a model is there, and can be read.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.training(name).is_some() && self.checkpoint(name).is_ok()
    }

    /// What training found, if it is there.
    pub(crate) fn training(&self, name: &str) -> Option<Training> {
        let text = std::fs::read_to_string(self.training_file(name)).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// The model itself.
    pub(crate) fn checkpoint(&self, name: &str) -> CommandResult<Checkpoint> {
        Ok(Checkpoint::load(self.model_file(name))?)
    }

    /// Takes over the files of a model, unless they are there.
    pub(crate) fn take_from(&self, other: &Self, name: &str) -> CommandResult<()> {
        if self.has(name) {
            return Ok(());
        }
        for file in [Self::model_file, Self::training_file] {
            let source = file(other, name);
            let bytes = std::fs::read(&source)
                .with_context(|| format!("cannot read {}", source.display()))?;
            files::write(&file(self, name), &bytes)?;
        }
        Ok(())
    }

    /// Removes them all; what cannot be removed does no harm.
    pub(crate) fn remove(&self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
