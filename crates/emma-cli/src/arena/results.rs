//! `results.json` of the arena.

use std::collections::BTreeMap;

use emma_models::statistics::holm;
use serde::{Deserialize, Serialize};

use super::outcome::SeedOutcome;
use super::peers::{Peers, ScriptedLearner};
use super::settings::Settings;
use crate::experiment::over_seeds::OverSeeds;
use crate::experiment3::comparisons::p_value;
use crate::experiment3::conditions::Condition;
use crate::experiment3::oracle::Oracle;
use crate::experiment3::results::{ByCondition, MEAN_OVER_CONDITIONS};
use crate::experiment3::settings::HTRU2;
use crate::failure::CommandResult;

const FORMAT_VERSION: u32 = 1;

/// A learner in a regime, over seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LearnerResults {
    /// By condition, and the mean over all.
    pub(crate) f1: ByCondition,
    /// Mean F1 over all conditions as a share of the oracle's, seed by seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) of_oracle: Option<OverSeeds>,
    /// Mean over conditions of the place among all learners of the regime by mean F1, 1 the best.
    pub(crate) mean_rank: f64,
    pub(crate) n_parameters: usize,
    pub(crate) validation_f1: OverSeeds,
}

/// EMMA+ less another learner of the same regime: mean F1 over all conditions, seed by seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Gain {
    pub(crate) over: String,
    #[serde(rename = "gain")]
    pub(crate) difference: OverSeeds,
    pub(crate) p_value: f64,
    pub(crate) p_holm: f64,
}

/// Learners of a regime that a script has trained: on the same splits, with other draws of the same faults.
///
/// They take no place among the ranks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FromScript {
    pub(crate) learners: BTreeMap<String, ScriptedLearner>,
    /// Adjusted among themselves; none where EMMA+ took no part.
    pub(crate) gains: Vec<Gain>,
}

/// A regime.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RegimeResults {
    pub(crate) learners: BTreeMap<String, LearnerResults>,
    pub(crate) gains: Vec<Gain>,
    /// Difference of mean ranks that chance exceeds once in twenty times, by Nemenyi's test.
    /// None for fewer than two learners or more than the table has.
    pub(crate) critical_difference: Option<f64>,
    /// Where they are known for the splits of all seeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from_script: Option<FromScript>,
}

/// The whole file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) format_version: u32,
    pub(crate) settings: Settings,
    pub(crate) conditions: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) oracle: Option<Oracle>,
    /// No rival: LightGBM, trained by a script on all test conditions at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lightgbm_of_all_conditions: Option<ScriptedLearner>,
    pub(crate) regimes: BTreeMap<String, RegimeResults>,
}

/// The learner whose gains are tested.
pub(crate) const OURS: &str = "emma_plus";

impl Results {
    pub(crate) fn new(settings: Settings, outcomes: &[SeedOutcome]) -> CommandResult<Self> {
        let conditions: Vec<String> = Condition::all(&settings.data.modes)?
            .into_iter()
            .map(|condition| condition.name)
            .collect();
        let splits = outcomes.iter();
        let splits = splits.map(|outcome| (outcome.seed, outcome.split_sha256.as_str()));
        let oracle = Oracle::of_splits(splits.clone(), &conditions);
        let mut peers = (settings.data.source == HTRU2)
            .then(|| Peers::of_splits(splits, &conditions, oracle.as_ref()))
            .flatten();
        let mut regimes = BTreeMap::new();
        for &regime in &settings.regimes {
            let mut learners = BTreeMap::new();
            let taking_part = settings.learners.iter();
            for &learner in taking_part.filter(|learner| learner.takes_part(regime)) {
                let of_seeds: Vec<_> = outcomes
                    .iter()
                    .filter_map(|outcome| {
                        let mut all = outcome.learners.iter();
                        all.find(|one| one.regime == regime && one.learner == learner)
                    })
                    .collect();
                let mut f1: ByCondition = conditions
                    .iter()
                    .map(|name| {
                        let per_seed = of_seeds.iter().map(|seed| seed.f1[name]).collect();
                        (name.clone(), OverSeeds::of(per_seed))
                    })
                    .collect();
                let mean = of_seeds
                    .iter()
                    .map(|seed| seed.f1.values().sum::<f64>() / seed.f1.len() as f64);
                let mean = OverSeeds::of(mean.collect());
                let of_oracle = oracle.as_ref().map(|oracle| of_oracle(&mean, oracle));
                f1.insert(MEAN_OVER_CONDITIONS.into(), mean);
                let validation = of_seeds.iter().map(|seed| seed.validation_f1).collect();
                let results = LearnerResults {
                    f1,
                    of_oracle,
                    mean_rank: f64::NAN,
                    n_parameters: of_seeds.first().map_or(0, |seed| seed.n_parameters),
                    validation_f1: OverSeeds::of(validation),
                };
                learners.insert(learner.name().to_owned(), results);
            }
            let mut found = compare(learners, &conditions)?;
            let scripted = peers.as_mut();
            let scripted = scripted.and_then(|peers| peers.regimes.remove(regime.name()));
            if let Some(learners) = scripted {
                let ours = found.learners.get(OURS).map(|ours| &ours.f1);
                let gains = ours
                    .map(|ours| gains(ours, scores(&learners)))
                    .transpose()?;
                found.from_script = Some(FromScript {
                    learners,
                    gains: gains.unwrap_or_default(),
                });
            }
            regimes.insert(regime.name().to_owned(), found);
        }
        Ok(Self {
            format_version: FORMAT_VERSION,
            settings,
            conditions,
            oracle,
            lightgbm_of_all_conditions: peers.map(|peers| peers.lightgbm_of_all_conditions),
            regimes,
        })
    }
}

/// A mean over all conditions as a share of the oracle's, seed by seed.
pub(super) fn of_oracle(mean: &OverSeeds, oracle: &Oracle) -> OverSeeds {
    let best = &oracle.f1[MEAN_OVER_CONDITIONS].per_seed;
    let ratios = mean.per_seed.iter().zip(best).map(|(own, best)| own / best);
    OverSeeds::of(ratios.collect())
}

fn scores(
    learners: &BTreeMap<String, ScriptedLearner>,
) -> impl Iterator<Item = (&String, &ByCondition)> {
    learners.iter().map(|(name, learner)| (name, &learner.f1))
}

/// What ours gains over each of the others; p-values are adjusted for all of these.
fn gains<'a>(
    ours: &ByCondition,
    others: impl Iterator<Item = (&'a String, &'a ByCondition)>,
) -> CommandResult<Vec<Gain>> {
    let ours = &ours[MEAN_OVER_CONDITIONS].per_seed;
    let mut gains: Vec<Gain> = others
        .map(|(name, other)| {
            let other = &other[MEAN_OVER_CONDITIONS].per_seed;
            let gain: Vec<f64> = ours.iter().zip(other).map(|(a, b)| a - b).collect();
            Ok(Gain {
                over: name.clone(),
                p_value: p_value(&gain)?,
                p_holm: 1.,
                difference: OverSeeds::of(gain),
            })
        })
        .collect::<CommandResult<_>>()?;
    let p_values: Vec<f64> = gains.iter().map(|gain| gain.p_value).collect();
    for (gain, p_holm) in gains.iter_mut().zip(holm(&p_values)?) {
        gain.p_holm = p_holm;
    }
    Ok(gains)
}

/// Ranks and tests.
fn compare(
    mut learners: BTreeMap<String, LearnerResults>,
    conditions: &[String],
) -> CommandResult<RegimeResults> {
    let mut ranks: BTreeMap<String, f64> = BTreeMap::new();
    for condition in conditions {
        let score = |one: &LearnerResults| one.f1[condition].mean;
        for (name, own) in &learners {
            let own = score(own);
            let above = learners.values().filter(|one| score(one) > own).count();
            let equal = learners
                .values()
                .filter(|one| score(one).total_cmp(&own).is_eq())
                .count();
            *ranks.entry(name.clone()).or_default() +=
                above as f64 + f64::midpoint(equal as f64, 1.);
        }
    }
    for (name, rank) in ranks {
        if let Some(results) = learners.get_mut(&name) {
            results.mean_rank = rank / conditions.len() as f64;
        }
    }
    let others = learners.iter().filter(|(name, _)| *name != OURS);
    let others = others.map(|(name, learner)| (name, &learner.f1));
    let gains = match learners.get(OURS) {
        Some(ours) => gains(&ours.f1, others)?,
        None => Vec::new(),
    };
    let n = learners.len();
    Ok(RegimeResults {
        critical_difference: critical_difference(n, conditions.len()),
        learners,
        gains,
        from_script: None,
    })
}

/// Nemenyi's critical difference at 5 % of the mean ranks of `n_learners` over conditions.
///
/// It takes conditions for independent data sets, which they are not: they have the same rows and trained
/// networks. The true difference that chance exceeds is larger.
///
/// # Source
/// J. Demšar, "Statistical comparisons of classifiers over multiple data sets" (2006), section 3.2.2 and
/// table 5: quantiles of the studentized range for infinite degrees of freedom, divided by √2.
fn critical_difference(n_learners: usize, n_conditions: usize) -> Option<f64> {
    const QUANTILES: [f64; 12] = [
        1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164, 3.219, 3.268, 3.313,
    ];
    let quantile = QUANTILES.get(n_learners.checked_sub(2)?)?;
    let k = n_learners as f64;
    Some(quantile * (k * (k + 1.) / (6. * n_conditions as f64)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_critical_difference_is_the_one_of_the_book() {
        // Demšar's example: four classifiers on fourteen data sets.
        assert!((critical_difference(4, 14).unwrap() - 1.25).abs() < 0.005);
        assert_eq!(critical_difference(1, 14), None);
        assert_eq!(critical_difference(20, 14), None);
    }
    #[test]
    fn gains_are_paired_by_seed_and_adjusted_for_one_another() {
        let mean = |values: &[f64]| {
            ByCondition::from([(
                MEAN_OVER_CONDITIONS.to_owned(),
                OverSeeds::of(values.to_vec()),
            )])
        };
        let ours = mean(&[0.5, 0.625, 0.75, 0.875, 0.5, 0.625]);
        let worse = mean(&[0.25, 0.5, 0.25, 0.25, 0.125, 0.125]);
        let names = ["equal".to_owned(), "worse".to_owned()];
        let found = gains(&ours, names.iter().zip([&ours, &worse])).unwrap();
        let [equal, better] = &found[..] else {
            panic!("{found:?}")
        };
        assert_eq!(better.over, "worse");
        let expected = [0.25, 0.125, 0.5, 0.625, 0.375, 0.5];
        for (gain, expected) in better.difference.per_seed.iter().zip(expected) {
            assert!((gain - expected).abs() < 1e-15, "{gain}");
        }
        assert!((better.difference.mean - 2.375 / 6.).abs() < 1e-15);
        // All six signs alike: 2 of 64 ways, times two comparisons. With ties the test may be approximate.
        assert!((0.025..0.05).contains(&better.p_value), "{better:?}");
        assert!((better.p_holm - 2. * better.p_value).abs() < 1e-15);
        assert!((equal.p_holm - 1.).abs() < 1e-15 && equal.difference.mean.abs() < 1e-15);
    }
    #[test]
    fn learners_of_a_script_are_compared_on_their_splits_of_htru2_alone() {
        use super::super::learner::Learner;
        use super::super::outcome::LearnerOutcome;
        use super::super::peers::split_of;
        use super::super::regime::Regime;
        use crate::experiment3::settings::DataSettings;

        let conditions = Condition::all(&["ip".into(), "dm".into()]).unwrap();
        let outcome = |seed: u64| SeedOutcome {
            seed,
            split_sha256: split_of(seed),
            learners: vec![LearnerOutcome {
                regime: Regime::Narrow,
                learner: Learner::EmmaPlus,
                hyper: super::super::hyper::Hyper::first(),
                threshold: 0.5,
                n_parameters: 1,
                validation_loss: 0.1,
                validation_f1: 0.9,
                f1: conditions
                    .iter()
                    .map(|condition| (condition.name.clone(), 0.875))
                    .collect(),
            }],
        };
        let of = |source: &str| {
            let data = DataSettings {
                source: source.into(),
                rows: 17_898,
                positives: 1_639,
                sha256: "ab".into(),
                modes: vec!["ip".into(), "dm".into()],
            };
            let mut settings = Settings::new(data, vec![100, 101]).unwrap();
            settings.learners = vec![Learner::EmmaPlus];
            settings.regimes = vec![Regime::Narrow];
            Results::new(settings, &[outcome(100), outcome(101)]).unwrap()
        };
        let results = of(HTRU2);
        assert!(results.lightgbm_of_all_conditions.is_some());
        let narrow = &results.regimes["narrow"];
        let script = narrow.from_script.as_ref().unwrap();
        assert_eq!(script.gains.len(), script.learners.len());
        for gain in &script.gains {
            let other = &script.learners[&gain.over].f1[MEAN_OVER_CONDITIONS];
            for (gain, other) in gain.difference.per_seed.iter().zip(&other.per_seed) {
                assert!((gain - (0.875 - other)).abs() < 1e-14);
            }
        }
        // No place among the ranks, and none among the learners on the same draws.
        assert_eq!(narrow.learners.len(), 1);
        assert!((narrow.learners[OURS].mean_rank - 1.).abs() < 1e-15);
        let results = of("simulated");
        assert_eq!(results.lightgbm_of_all_conditions, None);
        assert_eq!(results.regimes["narrow"].from_script, None);
    }
}
