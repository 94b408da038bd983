//! `results.json` of experiment 1.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::measures::Measures;
use super::run::Outcome;
use super::settings::Settings;
use crate::experiment::over_seeds::OverSeeds;

/// Version of the layout.
const FORMAT_VERSION: u32 = 1;

/// [`Measures`] over seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct EstimatorResults {
    pub(crate) auc: OverSeeds,
    pub(crate) negative: OverSeeds,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) false_sink: Option<OverSeeds>,
}

/// One manifold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ManifoldResults {
    /// Mean cosine between the autoencoder's field and the way to the manifold.
    pub(crate) field_alignment: OverSeeds,
    /// By name of the estimator.
    pub(crate) estimators: BTreeMap<String, EstimatorResults>,
    /// Seconds of fitting all estimators, in the order of `seeds`.
    pub(crate) timing: Vec<f64>,
}

/// The whole file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) format_version: u32,
    pub(crate) experiment: String,
    pub(crate) seeds: Vec<u64>,
    /// By name of the manifold.
    pub(crate) manifolds: BTreeMap<String, ManifoldResults>,
    pub(crate) settings: Settings,
}

impl Results {
    /// Gathers outcomes, each manifold's in the order of the seeds.
    pub(crate) fn new(settings: Settings, outcomes: &BTreeMap<String, Vec<Outcome>>) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            experiment: settings.experiment.clone(),
            seeds: settings.seeds.clone(),
            manifolds: outcomes
                .iter()
                .map(|(name, outcomes)| (name.clone(), ManifoldResults::new(outcomes)))
                .collect(),
            settings,
        }
    }
}

impl ManifoldResults {
    fn new(outcomes: &[Outcome]) -> Self {
        let names = outcomes.first().map(|first| first.measures.keys());
        let estimators = names
            .into_iter()
            .flatten()
            .map(|name| {
                let seeds: Vec<&Measures> = outcomes
                    .iter()
                    .filter_map(|outcome| outcome.measures.get(name))
                    .collect();
                (name.clone(), EstimatorResults::new(&seeds))
            })
            .collect();
        let field_alignment = outcomes.iter().map(|outcome| outcome.field_alignment);
        Self {
            field_alignment: OverSeeds::of(field_alignment.collect()),
            estimators,
            timing: outcomes.iter().map(|outcome| outcome.seconds).collect(),
        }
    }
}

impl EstimatorResults {
    fn new(seeds: &[&Measures]) -> Self {
        let over = |measure: fn(&Measures) -> f64| {
            OverSeeds::of(seeds.iter().map(|seed| measure(seed)).collect())
        };
        let sinks: Option<Vec<f64>> = seeds.iter().map(|seed| seed.false_sink).collect();
        Self {
            auc: over(|measures| measures.auc),
            negative: over(|measures| measures.negative),
            false_sink: sinks.map(OverSeeds::of),
        }
    }
}
