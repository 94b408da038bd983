//! All that the scores depend on.

use emma_attention::Regularizers;
use emma_energy::AutoencoderTraining;
use emma_models::{ThresholdRule, TrainingConfig};
use serde::{Deserialize, Serialize};

/// Source of data: HTRU2, told by its digest.
pub(crate) const HTRU2: &str = "htru2";
/// Source of data: the simulated survey.
pub(crate) const SIMULATED: &str = "simulated";

/// The table an experiment runs on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DataSettings {
    /// [`HTRU2`], [`SIMULATED`], or the path as it was given.
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
    /// Always `experiment3`: marks a folder as this experiment's.
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
    pub(crate) regularizers: Regularizers,
    /// Lower bound of the self-energy weights in training.
    pub(crate) minimum_self_weight: f64,
    pub(crate) threshold_rule: ThresholdRule,
    pub(crate) retrain: bool,
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
            coldness: vec![0.01, 0.1, 1.],
            regularizers: Regularizers::default(),
            minimum_self_weight: 1.,
            threshold_rule: ThresholdRule::default(),
            retrain: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::folder::difference;

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
        let json = |settings: &Settings| serde_json::to_value(settings).unwrap();
        let earlier = json(&settings());
        assert_eq!(difference("", &earlier, &json(&settings())), None);
        let mut other = settings();
        other.training.n_epochs = 3;
        assert_eq!(
            difference("", &earlier, &json(&other)),
            Some(("training.n_epochs".into(), "35".into(), "3".into()))
        );
        let mut other = settings();
        other.seeds = vec![0];
        assert_eq!(
            difference("", &earlier, &json(&other)),
            Some(("seeds".into(), "[0,1]".into(), "[0]".into()))
        );
    }
}
