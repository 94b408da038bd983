//! All that the figures of experiment 2 depend on.

use emma_energy::{IntegrableEnergyFit, PotentialEnergyFit};
use serde::{Deserialize, Serialize};

use crate::experiment::estimators::{EstimatorKind, Setup};
use crate::experiment3::settings::DataSettings;

/// Everything that can change a figure. Threads, devices and folders are not among it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Always `experiment2`: marks a folder as this experiment's.
    pub(crate) experiment: String,
    /// Another version of the program may compute other bits.
    pub(crate) version: String,
    pub(crate) data: DataSettings,
    pub(crate) seeds: Vec<u64>,
    pub(crate) estimators: Vec<EstimatorKind>,
    pub(crate) setup: Setup,
    /// Standard deviations of the noise that energies are followed over.
    pub(crate) noise_levels: Vec<f64>,
    /// What clean test rows are told from, as `KIND:LEVEL`.
    pub(crate) corruptions: Vec<String>,
}

/// What the summary shows.
pub(crate) const NOISE: &str = "noise:0.5";

impl Settings {
    /// The thesis's setup, and what it left open.
    pub(crate) fn new(data: DataSettings, seeds: Vec<u64>) -> Self {
        let corruptions = [
            "noise:0.25",
            NOISE,
            "noise:1",
            "noise:2",
            "student_t:0.5",
            "offset:1",
            "offset:2",
            "scale:2",
            "drop:0.5",
            "missing",
            "swap",
            "stuck",
            "quantize:2",
            "clip:1",
            "spikes:0.1",
            "adversarial_mean:1",
            "drift:2",
        ];
        Self {
            experiment: "experiment2".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            data,
            seeds,
            estimators: EstimatorKind::ALL.to_vec(),
            // The thesis's autoencoder is the default.
            setup: Setup {
                autoencoder: PotentialEnergyFit::default(),
                integrable: IntegrableEnergyFit::default(),
            },
            noise_levels: (0..=8).map(|step| f64::from(step) / 4.).collect(),
            corruptions: corruptions.map(str::to_owned).to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use emma_data::Corruption;

    use super::*;

    #[test]
    fn every_kind_of_corruption_is_looked_at() {
        let data = DataSettings {
            source: "htru2".into(),
            rows: 10,
            positives: 2,
            sha256: "ab".into(),
            modes: vec!["ip".into(), "dm".into()],
        };
        let settings = Settings::new(data, vec![0]);
        let kinds: Vec<&str> = settings
            .corruptions
            .iter()
            .map(|text| text.parse::<Corruption>().unwrap().kind())
            .collect();
        for kind in Corruption::KINDS {
            assert!(kinds.contains(&kind.name), "{}", kind.name);
        }
    }
}
