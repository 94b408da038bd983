//! `results.json` of the arena.

use std::collections::BTreeMap;

use emma_models::statistics::holm;
use serde::{Deserialize, Serialize};

use super::outcome::SeedOutcome;
use super::settings::Settings;
use crate::experiment::over_seeds::OverSeeds;
use crate::experiment3::comparisons::p_value;
use crate::experiment3::conditions::Condition;
use crate::experiment3::oracle::Oracle;
use crate::experiment3::results::MEAN_OVER_CONDITIONS;
use crate::failure::CommandResult;

const FORMAT_VERSION: u32 = 1;

/// A learner in a regime, over seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LearnerResults {
    /// By condition, and the mean over all.
    pub(crate) f1: BTreeMap<String, OverSeeds>,
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

/// A regime.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RegimeResults {
    pub(crate) learners: BTreeMap<String, LearnerResults>,
    pub(crate) gains: Vec<Gain>,
    /// Difference of mean ranks that chance exceeds once in twenty times, by Nemenyi's test.
    /// None for fewer than two learners or more than the table has.
    pub(crate) critical_difference: Option<f64>,
}

/// The whole file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) format_version: u32,
    pub(crate) settings: Settings,
    pub(crate) conditions: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) oracle: Option<Oracle>,
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
        let oracle = Oracle::of_splits(splits, &conditions);
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
                let mut f1: BTreeMap<String, OverSeeds> = conditions
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
                let of_oracle = oracle.as_ref().map(|oracle| {
                    let best = &oracle.f1[MEAN_OVER_CONDITIONS].per_seed;
                    let ratios = mean.per_seed.iter().zip(best).map(|(own, best)| own / best);
                    OverSeeds::of(ratios.collect())
                });
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
            regimes.insert(regime.name().to_owned(), compare(learners, &conditions)?);
        }
        Ok(Self {
            format_version: FORMAT_VERSION,
            settings,
            conditions,
            oracle,
            regimes,
        })
    }
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
    let mut gains = Vec::new();
    if let Some(ours) = learners.get(OURS) {
        let ours = &ours.f1[MEAN_OVER_CONDITIONS].per_seed;
        for (name, other) in learners.iter().filter(|(name, _)| *name != OURS) {
            let other = &other.f1[MEAN_OVER_CONDITIONS].per_seed;
            let gain: Vec<f64> = ours.iter().zip(other).map(|(a, b)| a - b).collect();
            gains.push(Gain {
                over: name.clone(),
                p_value: p_value(&gain)?,
                p_holm: 1.,
                difference: OverSeeds::of(gain),
            });
        }
    }
    let p_values: Vec<f64> = gains.iter().map(|gain| gain.p_value).collect();
    for (gain, p_holm) in gains.iter_mut().zip(holm(&p_values)?) {
        gain.p_holm = p_holm;
    }
    let n = learners.len();
    Ok(RegimeResults {
        critical_difference: critical_difference(n, conditions.len()),
        learners,
        gains,
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
}
