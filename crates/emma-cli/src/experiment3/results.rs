//! `results.json`: scores of every model and condition over seeds.

use std::collections::BTreeMap;

use emma_models::{Metric, ThresholdRule};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::comparisons::{PairedDifference, compare};
use super::conditions::Condition;
use super::oracle::{Oracle, mean_over};
use super::outcome::{ByRule, ModelOutcome, SeedOutcome, SweepOutcome};
use super::robustness::{Robustness, measure};
use super::settings::{DataSettings, HTRU2, Settings};
use crate::experiment::over_seeds::OverSeeds;
use crate::failure::CommandResult;

/// Version of the layout of `results.json`.
const FORMAT_VERSION: u32 = 1;

/// Stands beside the names of conditions for the mean over all of them.
pub(crate) const MEAN_OVER_CONDITIONS: &str = "mean_over_conditions";

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
    pub(crate) fn of(measure: impl Fn(Metric) -> ByCondition) -> Self {
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
    /// Mean over all conditions, by measure.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) mean_over_conditions: BTreeMap<String, OverSeeds>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) robustness: Option<Robustness>,
    /// Share of the oracle envelope's F1, by condition and of the mean over all.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) of_oracle: ByCondition,
    /// The same model with the thresholds of either rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) threshold_rules: Option<ByRule<RuleResults>>,
    /// All that the hyper-parameters were chosen from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) grid: Vec<CandidateResults>,
    /// EMMA without regularizers over the coldness.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) coldness_sweep: Vec<SweepResults>,
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

/// A model with the thresholds of one rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RuleResults {
    /// In the order of `seeds`.
    pub(crate) thresholds: Vec<f64>,
    /// By condition, and the mean over them ([`MEAN_OVER_CONDITIONS`]).
    pub(crate) f1: ByCondition,
}

/// One combination of hyper-parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CandidateResults {
    #[serde(flatten)]
    pub(crate) hyperparameters: Map<String, Value>,
    pub(crate) validation_f1: OverSeeds,
    /// Seeds that chose it.
    pub(crate) chosen_by: Vec<u64>,
}

/// EMMA without regularizers at one value of the coldness.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SweepResults {
    pub(crate) coldness: f64,
    pub(crate) validation_f1: OverSeeds,
    pub(crate) rectified_capacity: OverSeeds,
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
    /// All conditions that means are taken over, in order; a mode's name alone is another name of one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) conditions: Vec<String>,
    pub(crate) models: BTreeMap<String, ModelResults>,
    /// The oracle envelope, where it is known for these data and seeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) oracle: Option<Oracle>,
    pub(crate) paired_differences: Vec<PairedDifference>,
    pub(crate) settings: Settings,
    pub(crate) timing: Timing,
}

impl Results {
    /// Gathers the seeds' outcomes, given in the order of the settings' seeds.
    pub(crate) fn new(
        settings: Settings,
        outcomes: &[SeedOutcome],
        wall: f64,
    ) -> CommandResult<Self> {
        let modes = &settings.data.modes;
        let conditions: Vec<String> = Condition::all(modes)?
            .into_iter()
            .map(|condition| condition.name)
            .collect();
        let names = outcomes.first().map(|first| first.models.keys());
        let mut models: BTreeMap<String, ModelResults> = names
            .into_iter()
            .flatten()
            .map(|name| {
                let seeds: Vec<&ModelOutcome> = outcomes
                    .iter()
                    .filter_map(|outcome| outcome.models.get(name))
                    .collect();
                let results = ModelResults::new(&seeds, &settings.seeds, &conditions);
                (name.clone(), results)
            })
            .collect();
        let is_htru2 = settings.data.source == HTRU2;
        let oracle = is_htru2.then(|| Oracle::of_htru2(outcomes, &conditions));
        let oracle = oracle.flatten();
        let base = models.get("base").map(|base| base.measures.f1.clone());
        for model in models.values_mut() {
            if let Some(base) = &base {
                model.robustness = measure(&model.measures.f1, base, modes)?;
            }
            if let Some(oracle) = &oracle {
                let mean = model.mean_over_conditions.get(Metric::F1.name());
                model.of_oracle = oracle.ratios(&model.measures.f1, mean);
            }
        }
        let paired_differences = compare(&models, modes)?;
        let training = models.values().flat_map(|model| &model.timing).sum();
        Ok(Self {
            format_version: FORMAT_VERSION,
            experiment: settings.experiment.clone(),
            data: settings.data.clone(),
            seeds: settings.seeds.clone(),
            conditions,
            models,
            oracle,
            paired_differences,
            settings,
            timing: Timing { wall, training },
        })
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
    fn new(seeds: &[&ModelOutcome], numbers: &[u64], conditions: &[String]) -> Self {
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
        let measures = Measures::of(measure);
        let mean = |metric: Metric| {
            let mean = mean_over(measures.get(metric), conditions)?;
            Some((metric.name().to_owned(), mean))
        };
        let rule = |rule| RuleResults::new(seeds, rule, conditions);
        Self {
            mean_over_conditions: Metric::ALL.into_iter().filter_map(mean).collect(),
            measures,
            robustness: None,
            of_oracle: ByCondition::new(),
            threshold_rules: Some(ByRule {
                max_f1: rule(ThresholdRule::MaxF1),
                roc_corner: rule(ThresholdRule::RocCorner),
            }),
            grid: CandidateResults::all(seeds, numbers),
            coldness_sweep: SweepResults::all(seeds),
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

impl RuleResults {
    fn new(seeds: &[&ModelOutcome], rule: ThresholdRule, conditions: &[String]) -> Self {
        let of_rule = seeds
            .iter()
            .filter_map(|seed| seed.threshold_rules.get(rule));
        let figure = |condition: &String| {
            let per_seed = of_rule.clone().filter_map(|of| of.f1.get(condition));
            (
                condition.clone(),
                OverSeeds::of(per_seed.copied().collect()),
            )
        };
        let mut f1: ByCondition = conditions.iter().map(figure).collect();
        if let Some(mean) = mean_over(&f1, conditions) {
            f1.insert(MEAN_OVER_CONDITIONS.into(), mean);
        }
        Self {
            thresholds: of_rule.clone().map(|of| of.threshold).collect(),
            f1,
        }
    }
}

impl CandidateResults {
    /// In the order of the grid.
    fn all(seeds: &[&ModelOutcome], numbers: &[u64]) -> Vec<Self> {
        let grid = seeds.first().map(|first| &first.grid[..]);
        let candidates = grid.unwrap_or_default().iter().enumerate();
        let results = candidates.map(|(number, candidate)| {
            let scores = seeds.iter().filter_map(|seed| seed.grid.get(number));
            let chosen = seeds
                .iter()
                .zip(numbers)
                .filter(|(seed, _)| seed.hyperparameters == candidate.hyperparameters);
            Self {
                hyperparameters: candidate.hyperparameters.clone(),
                validation_f1: OverSeeds::of(scores.map(|of| of.validation_f1).collect()),
                chosen_by: chosen.map(|(_, number)| *number).collect(),
            }
        });
        results.collect()
    }
}

impl SweepResults {
    /// In the order of the coldness.
    fn all(seeds: &[&ModelOutcome]) -> Vec<Self> {
        let sweep = seeds.first().map(|first| &first.coldness_sweep[..]);
        let results = sweep.unwrap_or_default().iter().map(|point| {
            let figure = |of: fn(&SweepOutcome) -> f64| {
                let same =
                    |other: &&SweepOutcome| other.coldness.total_cmp(&point.coldness).is_eq();
                let found = seeds
                    .iter()
                    .filter_map(|seed| seed.coldness_sweep.iter().find(same));
                OverSeeds::of(found.map(of).collect())
            };
            Self {
                coldness: point.coldness,
                validation_f1: figure(|of| of.validation_f1),
                rectified_capacity: figure(|of| of.rectified_capacity),
            }
        });
        results.collect()
    }
}
