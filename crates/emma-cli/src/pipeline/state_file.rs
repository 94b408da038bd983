//! A training that is not finished, as a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::Tensor;
use emma_energy::tensor_file::{self, TensorReader};
use emma_models::{TrainingHistory, TrainingState};
use serde::{Deserialize, Serialize};

use crate::failure::{CommandResult, Failure};
use crate::files;
use crate::networks::Tensors;

/// The file's name in the folder of a training.
pub(crate) const STATE_FILE: &str = "unfinished.safetensors";

/// Its metadata key.
const METADATA_KEY: &str = "emma_training";

/// How far a training has come. Everything that it needs beside its configuration and its table is here;
/// the tensors stand beside it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Modes whose autoencoders are trained, with the mean loss of every epoch.
    pub(crate) energies: Vec<(String, Vec<f64>)>,
    /// `base`, if it is trained and something starts from it.
    pub(crate) base: Option<TrainingHistory>,
    /// What is being trained.
    pub(crate) stage: Option<StageProgress>,
}

/// A stage between two of its epochs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StageProgress {
    /// Its name.
    pub(crate) name: String,
    /// First values tried so far, the ones being trained included.
    pub(crate) attempt: usize,
    /// What the best of the earlier attempts came to.
    pub(crate) best: Option<TrainingHistory>,
    /// Of each model.
    pub(crate) histories: Vec<TrainingHistory>,
    /// The optimizer's steps, of each model.
    pub(crate) n_steps: Vec<u64>,
    /// Where the generator of the order of rows stands, in words; a number too large for JSON.
    pub(crate) generator_position: String,
}

/// Progress and tensors.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    pub(crate) progress: Progress,
    /// Trained autoencoders, under the names of the model file.
    pub(crate) energies: Tensors,
    /// Values of `base`.
    pub(crate) base: Tensors,
    /// Values of the best of earlier attempts.
    pub(crate) best: Tensors,
    /// Of the stage's models, as [`TrainingState::tensors`] names them.
    pub(crate) models: Vec<BTreeMap<String, Tensor>>,
}

impl State {
    /// The models of the stage, if one is under way.
    pub(crate) fn training_states(&self) -> Vec<TrainingState> {
        let Some(stage) = &self.progress.stage else {
            return Vec::new();
        };
        let histories = stage.histories.iter().zip(&stage.n_steps);
        let models = self.models.iter().zip(histories);
        models
            .map(|(tensors, (history, &n_steps))| {
                TrainingState::from_tensors(tensors, history.clone(), n_steps)
            })
            .collect()
    }

    /// The file's bytes.
    fn to_bytes(&self) -> CommandResult<Vec<u8>> {
        let mut tensors = Tensors::new();
        let mut add = |prefix: &str, named: &Tensors| -> CommandResult<()> {
            for (name, tensor) in named {
                let name = format!("{prefix}/{name}");
                let tensor = tensor_file::stored(&name, tensor)?;
                tensors.insert(name, tensor);
            }
            Ok(())
        };
        add("energies", &self.energies)?;
        add("base", &self.base)?;
        add("best", &self.best)?;
        for (index, model) in self.models.iter().enumerate() {
            add(&format!("model{index}"), model)?;
        }
        let metadata =
            serde_json::to_string(&self.progress).map_err(|error| Failure::Failed(error.into()))?;
        Ok(tensor_file::to_bytes(&tensors, METADATA_KEY, metadata)?)
    }

    fn read(path: &Path) -> CommandResult<Self> {
        let refuse = |error: String| {
            Failure::input(format!(
                "{}: expected an unfinished training: {error}; start anew with --fresh",
                path.display()
            ))
        };
        let mut reader =
            TensorReader::open(path, METADATA_KEY).map_err(|error| refuse(error.to_string()))?;
        let metadata = reader
            .take_metadata(METADATA_KEY)
            .map_err(|error| refuse(error.to_string()))?;
        let progress: Progress =
            serde_json::from_str(&metadata).map_err(|error| refuse(error.to_string()))?;
        let tensors = reader
            .tensors()
            .map_err(|error| refuse(error.to_string()))?;
        let n_models = progress
            .stage
            .as_ref()
            .map_or(0, |stage| stage.histories.len());
        let mut state = Self {
            progress,
            models: vec![Tensors::new(); n_models],
            ..Self::default()
        };
        for (name, tensor) in tensors {
            let (prefix, rest) = name.split_once('/').unwrap_or_default();
            let rest = rest.to_owned();
            let index = prefix.strip_prefix("model").map(str::parse::<usize>);
            match (prefix, index) {
                ("energies", _) => state.energies.insert(rest, tensor),
                ("base", _) => state.base.insert(rest, tensor),
                ("best", _) => state.best.insert(rest, tensor),
                (_, Some(Ok(index))) if index < n_models => {
                    state.models[index].insert(rest, tensor)
                }
                _ => return Err(refuse(format!("tensor {name:?} belongs to nothing"))),
            };
        }
        Ok(state)
    }
}

/// Where a training keeps its state.
pub(crate) struct StateFile {
    path: PathBuf,
}

impl StateFile {
    pub(crate) fn of_folder(folder: &Path) -> Self {
        Self {
            path: folder.join(STATE_FILE),
        }
    }

    pub(crate) fn exists(&self) -> bool {
        self.path.exists()
    }

    /// What an earlier run left, or the beginning.
    pub(crate) fn read(&self) -> CommandResult<State> {
        if self.exists() {
            State::read(&self.path)
        } else {
            Ok(State::default())
        }
    }

    /// Puts a state in the place of the one before: a killed program leaves the one or the other.
    pub(crate) fn write(&self, state: &State) -> CommandResult<()> {
        files::write(&self.path, &state.to_bytes()?)
    }

    /// Removes it; what cannot be removed does no harm.
    pub(crate) fn remove(&self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
