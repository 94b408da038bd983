//! `results.json` of experiment 2.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::outcome::{EstimatorOutcome, Examples, SeedOutcome, Spread};
use super::settings::Settings;
use crate::experiment::over_seeds::OverSeeds;
use crate::experiment3::settings::DataSettings;

/// Version of the layout.
const FORMAT_VERSION: u32 = 1;

/// One estimator on one mode, over seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct EstimatorResults {
    /// By corruption.
    pub(crate) auc: BTreeMap<String, OverSeeds>,
    pub(crate) out_of_distribution_auc: OverSeeds,
    pub(crate) below_missing: OverSeeds,
    /// Energies over noise levels, of the first seed.
    pub(crate) noise: Vec<Spread>,
    /// Energies of some test rows, of the first seed.
    pub(crate) examples: Examples,
    /// Seconds of the fit, in the order of `seeds`.
    pub(crate) timing: Vec<f64>,
}

/// The whole file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) format_version: u32,
    pub(crate) experiment: String,
    pub(crate) data: DataSettings,
    pub(crate) seeds: Vec<u64>,
    /// By mode, by estimator.
    pub(crate) modes: BTreeMap<String, BTreeMap<String, EstimatorResults>>,
    pub(crate) settings: Settings,
}

impl Results {
    /// Gathers the seeds' outcomes, given in the order of the settings' seeds.
    pub(crate) fn new(settings: Settings, outcomes: &[SeedOutcome]) -> Self {
        let of_mode = |mode: &String| {
            settings
                .estimators
                .iter()
                .filter_map(|kind| {
                    let seeds: Option<Vec<&EstimatorOutcome>> = outcomes
                        .iter()
                        .map(|outcome| outcome.modes.get(mode)?.get(kind.name()))
                        .collect();
                    let results = EstimatorResults::new(&seeds?)?;
                    Some((kind.name().to_owned(), results))
                })
                .collect()
        };
        let modes = settings.data.modes.iter();
        Self {
            format_version: FORMAT_VERSION,
            experiment: settings.experiment.clone(),
            data: settings.data.clone(),
            seeds: settings.seeds.clone(),
            modes: modes.map(|mode| (mode.clone(), of_mode(mode))).collect(),
            settings,
        }
    }
}

impl EstimatorResults {
    fn new(seeds: &[&EstimatorOutcome]) -> Option<Self> {
        let first = seeds.first()?;
        let over = |measure: &dyn Fn(&EstimatorOutcome) -> f64| {
            OverSeeds::of(seeds.iter().map(|seed| measure(seed)).collect())
        };
        let auc = first.auc.keys().map(|corruption| {
            let auc = |seed: &EstimatorOutcome| seed.auc.get(corruption).copied();
            (
                corruption.clone(),
                over(&|seed| auc(seed).unwrap_or(f64::NAN)),
            )
        });
        Some(Self {
            auc: auc.collect(),
            out_of_distribution_auc: over(&|seed| seed.out_of_distribution_auc),
            below_missing: over(&|seed| seed.below_missing),
            noise: first.noise.clone(),
            examples: first.examples.clone(),
            timing: seeds.iter().map(|seed| seed.seconds).collect(),
        })
    }
}
