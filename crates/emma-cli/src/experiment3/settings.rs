//! All that the scores depend on.

use emma_attention::Regularizers;
use emma_energy::AutoencoderTraining;
use emma_models::{ThresholdRule, TrainingConfig};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::grid::{COLDNESS_SWEEP, Grid, GridName};
use super::shard::Shard;
use crate::experiment::folder::first_difference;
use crate::failure::CommandResult;
use crate::networks::Candidate;

/// Source of data: HTRU2, told by its digest.
pub(crate) const HTRU2: &str = "htru2";
/// Source of data: the simulated survey.
pub(crate) const SIMULATED: &str = "simulated";
/// Source of data: the raw modes of a smaller simulated survey.
pub(crate) const RAW: &str = "raw";

/// The table an experiment runs on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DataSettings {
    /// [`HTRU2`], [`SIMULATED`], [`RAW`], or the path as it was given.
    pub(crate) source: String,
    pub(crate) rows: usize,
    pub(crate) positives: usize,
    pub(crate) sha256: String,
    /// Names of the modes, in order.
    pub(crate) modes: Vec<String>,
}

/// Everything that can change a score. Threads, devices and folders are not among it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// `experiment3`, or that of the study `--as-published`: marks a folder as this experiment's.
    pub(crate) experiment: String,
    /// Another version of the program may compute other bits.
    pub(crate) version: String,
    pub(crate) data: DataSettings,
    pub(crate) seeds: Vec<u64>,
    /// Standard deviation of the noise, in training and in the noisy test conditions.
    pub(crate) noise_std: f64,
    /// Independent draws of noise on the validation rows: stopping, thresholds and the coldness are
    /// chosen on all of them together, so that the luck of one draw decides less.
    pub(crate) validation_draws: usize,
    /// Whether training noise is drawn afresh for every epoch, or once.
    pub(crate) noise_each_epoch: bool,
    pub(crate) autoencoder_hidden: usize,
    pub(crate) autoencoder_training: AutoencoderTraining,
    /// Hidden widths of networks that see all modes.
    pub(crate) network_hidden: Vec<usize>,
    /// Hidden widths of networks that see one mode.
    pub(crate) single_mode_hidden: Vec<usize>,
    pub(crate) training: TrainingConfig,
    /// Coldness values that `with` chooses from by validation F1.
    pub(crate) coldness: Vec<f64>,
    /// What the regularizers are; their weights come from the grid.
    pub(crate) regularizers: Regularizers,
    /// The other hyper-parameters that `with` chooses from.
    #[serde(default)]
    pub(crate) grid: Grid,
    /// Lower bound of the self-energy weights in training.
    pub(crate) minimum_self_weight: f64,
    pub(crate) threshold_rule: ThresholdRule,
    pub(crate) retrain: bool,
    /// The share of the work that a folder is for, if not for all of it. No score depends on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shard: Option<Shard>,
}

impl Settings {
    /// The protocol of the thesis, with its faults mended; see `docs/experiment3.md`.
    pub(crate) fn new(data: DataSettings, seeds: Vec<u64>) -> Self {
        Self {
            experiment: "experiment3".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            data,
            seeds,
            noise_std: 0.5,
            validation_draws: 4,
            noise_each_epoch: true,
            autoencoder_hidden: 12,
            autoencoder_training: AutoencoderTraining {
                batch_size: 32,
                ..AutoencoderTraining::default()
            },
            network_hidden: vec![8, 4],
            single_mode_hidden: vec![2],
            training: TrainingConfig::default(),
            coldness: GridName::default().coldness(),
            regularizers: Regularizers::default(),
            grid: Grid::default(),
            minimum_self_weight: 1.,
            threshold_rule: ThresholdRule::default(),
            retrain: false,
            shard: None,
        }
    }

    /// Takes another grid.
    pub(crate) fn set_grid(&mut self, name: GridName) {
        self.coldness = name.coldness();
        self.grid = name.grid();
    }

    /// The combinations that `with` is trained with.
    pub(crate) fn candidates(&self) -> CommandResult<Vec<Candidate>> {
        self.grid.candidates(&self.coldness, self.regularizers)
    }

    /// What the coldness sweep needs beyond the combinations that `with` chooses from.
    pub(crate) fn rest_of_sweep(&self) -> CommandResult<Vec<Candidate>> {
        let candidates = self.candidates()?;
        let in_grid = |coldness: f64| {
            let mut plain = candidates.iter().filter(|candidate| candidate.is_plain());
            plain.any(|candidate| candidate.coldness.value().total_cmp(&coldness).is_eq())
        };
        let missing = COLDNESS_SWEEP.into_iter().filter(|&value| !in_grid(value));
        let without = Grid {
            lambda_c: vec![0.],
            lambda_e: vec![0.],
            ..self.grid.clone()
        };
        without.candidates(&missing.collect::<Vec<_>>(), self.regularizers)
    }

    /// Completes the settings of an earlier version.
    pub(crate) fn upgrade(earlier: &mut Value) {
        if let Value::Object(members) = earlier {
            // Versions without a choice of grids had the one that is the default.
            members.entry("grid").or_insert(json!(Grid::default()));
        }
    }

    /// The first setting in which an earlier run differs: its name, then, now.
    pub(crate) fn difference(&self, earlier: &Value) -> Option<(String, String, String)> {
        let now = serde_json::to_value(self).ok()?;
        let mut earlier = earlier.clone();
        Self::upgrade(&mut earlier);
        first_difference(&earlier, &now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        let data = DataSettings {
            source: "htru2".into(),
            rows: 10,
            positives: 2,
            sha256: "ab".into(),
            modes: vec!["ip".into(), "dm".into()],
        };
        Settings::new(data, vec![0, 1])
    }

    #[test]
    fn the_setting_that_differs_is_named_with_both_values() {
        let earlier = serde_json::to_value(settings()).unwrap();
        assert_eq!(settings().difference(&earlier), None);
        let mut other = settings();
        other.training.n_epochs = 3;
        assert_eq!(
            other.difference(&earlier),
            Some(("training.n_epochs".into(), "35".into(), "3".into()))
        );
        let mut other = settings();
        other.seeds = vec![0];
        assert_eq!(
            other.difference(&earlier),
            Some(("seeds".into(), "[0,1]".into(), "[0]".into()))
        );
        let mut other = settings();
        other.shard = Some(Shard { index: 1, of: 4 });
        assert_eq!(
            other.difference(&earlier),
            Some(("shard".into(), "null".into(), "\"1/4\"".into()))
        );
    }

    #[test]
    fn settings_without_a_grid_had_the_default_one() {
        let mut earlier = serde_json::to_value(settings()).unwrap();
        earlier.as_object_mut().unwrap().remove("grid");
        assert_eq!(settings().difference(&earlier), None);
        let read: Settings = serde_json::from_value(earlier.clone()).unwrap();
        assert_eq!(read, settings());
        let mut other = settings();
        other.set_grid(GridName::None);
        let (name, ..) = other.difference(&earlier).unwrap();
        assert_eq!(name, "coldness");
    }
}
