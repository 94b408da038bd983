//! `results.json`: scores of every model and condition over seeds.

use std::collections::BTreeMap;

use emma_models::Metric;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::outcome::{ModelOutcome, SeedOutcome};
use super::settings::{DataSettings, Settings};
use crate::experiment::over_seeds::OverSeeds;

/// Version of the layout of `results.json`.
const FORMAT_VERSION: u32 = 1;

/// A measure by test condition.
pub(crate) type ByCondition = BTreeMap<String, OverSeeds>;

/// Every measure, by test condition.
///
/// Results of earlier versions have F1, precision, recall and specificity, and differences of F1 only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measures {
    f1: ByCondition,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    precision: ByCondition,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    recall: ByCondition,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    specificity: ByCondition,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    g_mean: ByCondition,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    mcc: ByCondition,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    roc_auc: ByCondition,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pr_auc: ByCondition,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    recall_at_fpr_1pct: ByCondition,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    brier: ByCondition,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    ece: ByCondition,
}

impl Measures {
    fn of(measure: impl Fn(Metric) -> ByCondition) -> Self {
        Self {
            f1: measure(Metric::F1),
            precision: measure(Metric::Precision),
            recall: measure(Metric::Recall),
            specificity: measure(Metric::Specificity),
            g_mean: measure(Metric::GMean),
            mcc: measure(Metric::Mcc),
            roc_auc: measure(Metric::RocAuc),
            pr_auc: measure(Metric::PrAuc),
            recall_at_fpr_1pct: measure(Metric::RecallAtFpr1Pct),
            brier: measure(Metric::Brier),
            ece: measure(Metric::Ece),
        }
    }

    /// One measure; empty if an earlier version wrote the results.
    pub(crate) fn get(&self, metric: Metric) -> &ByCondition {
        match metric {
            Metric::F1 => &self.f1,
            Metric::Precision => &self.precision,
            Metric::Recall => &self.recall,
            Metric::Specificity => &self.specificity,
            Metric::GMean => &self.g_mean,
            Metric::Mcc => &self.mcc,
            Metric::RocAuc => &self.roc_auc,
            Metric::PrAuc => &self.pr_auc,
            Metric::RecallAtFpr1Pct => &self.recall_at_fpr_1pct,
            Metric::Brier => &self.brier,
            Metric::Ece => &self.ece,
        }
    }
}

/// All that one model reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ModelResults {
    #[serde(flatten)]
    pub(crate) measures: Measures,
    /// In the order of `seeds`, as all that follows.
    pub(crate) thresholds: Vec<f64>,
    pub(crate) validation_f1: Vec<f64>,
    pub(crate) hyperparameters: Vec<Map<String, Value>>,
    pub(crate) best_epochs: Vec<usize>,
    /// First values that were tried until the model learned anything.
    pub(crate) starts: Vec<usize>,
    /// Seconds of training, selection included.
    pub(crate) timing: Vec<f64>,
}

/// Every measure of one model less that of another, on the same rows of the same seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PairedDifference {
    pub(crate) model: String,
    pub(crate) baseline: String,
    #[serde(flatten)]
    pub(crate) measures: Measures,
}

/// Seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Timing {
    /// From start to end, of the run that finished the results.
    pub(crate) wall: f64,
    /// Stage two of all models of all seeds, added up.
    pub(crate) training: f64,
}

/// The whole file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) format_version: u32,
    pub(crate) experiment: String,
    pub(crate) data: DataSettings,
    pub(crate) seeds: Vec<u64>,
    pub(crate) models: BTreeMap<String, ModelResults>,
    pub(crate) paired_differences: Vec<PairedDifference>,
    pub(crate) settings: Settings,
    pub(crate) timing: Timing,
}

impl Results {
    /// Gathers the seeds' outcomes, given in the order of the settings' seeds.
    pub(crate) fn new(settings: Settings, outcomes: &[SeedOutcome], wall: f64) -> Self {
        let names = outcomes.first().map(|first| first.models.keys());
        let models: BTreeMap<String, ModelResults> = names
            .into_iter()
            .flatten()
            .map(|name| {
                let seeds: Vec<&ModelOutcome> = outcomes
                    .iter()
                    .filter_map(|outcome| outcome.models.get(name))
                    .collect();
                (name.clone(), ModelResults::new(&seeds))
            })
            .collect();
        let paired_differences = ["without", "alternative", "base"]
            .iter()
            .filter_map(|baseline| {
                let with = &models.get("with")?.measures;
                let without = &models.get(*baseline)?.measures;
                Some(PairedDifference {
                    model: "with".into(),
                    baseline: (*baseline).into(),
                    measures: Measures::of(|metric| {
                        difference(with.get(metric), without.get(metric))
                    }),
                })
            })
            .collect();
        let training = models.values().flat_map(|model| &model.timing).sum();
        Self {
            format_version: FORMAT_VERSION,
            experiment: settings.experiment.clone(),
            data: settings.data.clone(),
            seeds: settings.seeds.clone(),
            models,
            paired_differences,
            settings,
            timing: Timing { wall, training },
        }
    }
}

impl Results {
    /// Whether every model has the measure: results of earlier versions lack some.
    pub(crate) fn has(&self, metric: Metric) -> bool {
        let mut models = self.models.values();
        let mut differences = self.paired_differences.iter();
        models.all(|model| !model.measures.get(metric).is_empty())
            && differences.all(|difference| !difference.measures.get(metric).is_empty())
    }
}

impl ModelResults {
    fn new(seeds: &[&ModelOutcome]) -> Self {
        let measure = |metric: Metric| -> ByCondition {
            let conditions = seeds.first().map(|first| first.test.keys());
            conditions
                .into_iter()
                .flatten()
                .map(|condition| {
                    let per_seed = seeds
                        .iter()
                        .filter_map(|seed| seed.test.get(condition))
                        .map(|metrics| metric.of(metrics))
                        .collect();
                    (condition.clone(), OverSeeds::of(per_seed))
                })
                .collect()
        };
        Self {
            measures: Measures::of(measure),
            thresholds: seeds.iter().map(|seed| seed.threshold).collect(),
            validation_f1: seeds.iter().map(|seed| seed.validation_f1).collect(),
            hyperparameters: seeds
                .iter()
                .map(|seed| seed.hyperparameters.clone())
                .collect(),
            best_epochs: seeds.iter().map(|seed| seed.history.best_epoch).collect(),
            starts: seeds.iter().map(|seed| seed.starts).collect(),
            timing: seeds.iter().map(|seed| seed.training_seconds).collect(),
        }
    }
}

fn difference(model: &ByCondition, baseline: &ByCondition) -> ByCondition {
    model
        .iter()
        .filter_map(|(condition, model)| {
            let baseline = baseline.get(condition)?;
            let per_seed = model.per_seed.iter().zip(&baseline.per_seed);
            let per_seed = per_seed.map(|(model, baseline)| model - baseline).collect();
            Some((condition.clone(), OverSeeds::of(per_seed)))
        })
        .collect()
}
