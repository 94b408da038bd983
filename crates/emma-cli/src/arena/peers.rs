//! Learners that a Python script has trained on the arena's splits: LightGBM and scikit-learn's MLP.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::results::of_oracle;
use crate::experiment::over_seeds::OverSeeds;
use crate::experiment3::oracle::{Oracle, mean_over};
use crate::experiment3::results::{ByCondition, MEAN_OVER_CONDITIONS};

/// What `benches/peers/arena.py` found on HTRU2.
const HTRU2_PEERS: &str = include_str!("../../arena/peers.json");
/// What the file calls training on all test conditions at once, and the learner that had it.
const UPPER_MARK: (&str, &str) = ("all_conditions", "lightgbm");

/// The stored file, as far as it is needed.
#[derive(Debug, Deserialize)]
struct Stored {
    seeds: BTreeMap<u64, StoredSeed>,
}

#[derive(Debug, Deserialize)]
struct StoredSeed {
    /// Of the split: on other rows they would score otherwise.
    split_sha256: String,
    /// Scores by regime and learner.
    regimes: BTreeMap<String, BTreeMap<String, StoredScores>>,
}

#[derive(Debug, Deserialize)]
struct StoredScores {
    validation_f1: f64,
    /// On test rows, by condition.
    f1: BTreeMap<String, f64>,
}

/// A learner that a script has trained, over seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ScriptedLearner {
    /// By condition, and the mean over all.
    pub(crate) f1: ByCondition,
    /// Mean F1 over all conditions as a share of the oracle's, seed by seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) of_oracle: Option<OverSeeds>,
    pub(crate) validation_f1: OverSeeds,
}

/// All that the script knows of a run's seeds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Peers {
    /// Rivals by regime and name.
    pub(crate) regimes: BTreeMap<String, BTreeMap<String, ScriptedLearner>>,
    /// No rival: it has learned from all test conditions at once.
    pub(crate) lightgbm_of_all_conditions: ScriptedLearner,
}

impl Peers {
    /// Those of splits of HTRU2, given as seed and digest; none unless every one of them is known.
    pub(crate) fn of_splits<'a>(
        splits: impl Iterator<Item = (u64, &'a str)>,
        conditions: &[String],
        oracle: Option<&Oracle>,
    ) -> Option<Self> {
        let stored: Stored = serde_json::from_str(HTRU2_PEERS).ok()?;
        let seeds: Vec<&StoredSeed> = splits
            .map(|(seed, split_sha256)| {
                let known = stored.seeds.get(&seed)?;
                (known.split_sha256 == split_sha256).then_some(known)
            })
            .collect::<Option<_>>()?;
        let mut regimes: BTreeMap<String, BTreeMap<String, ScriptedLearner>> = BTreeMap::new();
        for (regime, learners) in &seeds.first()?.regimes {
            let of_regime = regimes.entry(regime.clone()).or_default();
            for name in learners.keys() {
                let scores: Vec<&StoredScores> = seeds
                    .iter()
                    .map(|seed| seed.regimes.get(regime)?.get(name))
                    .collect::<Option<_>>()?;
                of_regime.insert(name.clone(), over_seeds(&scores, conditions, oracle)?);
            }
        }
        let (regime, learner) = UPPER_MARK;
        let lightgbm_of_all_conditions = regimes.remove(regime)?.remove(learner)?;
        Some(Self {
            regimes,
            lightgbm_of_all_conditions,
        })
    }
}

/// A learner's scores put together; none if one lacks a condition.
fn over_seeds(
    scores: &[&StoredScores],
    conditions: &[String],
    oracle: Option<&Oracle>,
) -> Option<ScriptedLearner> {
    let of_condition = |name: &String| {
        let per_seed = scores.iter().map(|seed| seed.f1.get(name).copied());
        Some((
            name.clone(),
            OverSeeds::of(per_seed.collect::<Option<_>>()?),
        ))
    };
    let mut f1: ByCondition = conditions.iter().map(of_condition).collect::<Option<_>>()?;
    let mean = mean_over(&f1, conditions)?;
    let of_oracle = oracle.map(|oracle| of_oracle(&mean, oracle));
    f1.insert(MEAN_OVER_CONDITIONS.into(), mean);
    let validation = scores.iter().map(|seed| seed.validation_f1);
    Some(ScriptedLearner {
        f1,
        of_oracle,
        validation_f1: OverSeeds::of(validation.collect()),
    })
}

#[cfg(test)]
pub(super) use tests::split_of;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::regime::Regime;
    use crate::experiment3::conditions::Condition;

    fn conditions() -> Vec<String> {
        let all = Condition::all(&["ip".into(), "dm".into()]).unwrap();
        all.into_iter().map(|condition| condition.name).collect()
    }

    fn stored() -> Stored {
        serde_json::from_str(HTRU2_PEERS).unwrap()
    }

    /// The digest of a seed's split.
    pub(crate) fn split_of(seed: u64) -> String {
        stored().seeds[&seed].split_sha256.clone()
    }

    /// Seeds on which no choice was made, with the digests of their splits.
    fn held_out(stored: &Stored) -> Vec<(u64, &str)> {
        let seeds = 100..110;
        seeds
            .map(|seed| (seed, stored.seeds[&seed].split_sha256.as_str()))
            .collect()
    }

    #[test]
    fn both_are_known_in_every_regime_and_condition_of_the_seeds_100_to_109() {
        let stored = stored();
        let splits = held_out(&stored);
        let oracle = Oracle::of_splits(splits.iter().copied(), &conditions());
        assert!(oracle.is_some());
        let peers = Peers::of_splits(splits.into_iter(), &conditions(), oracle.as_ref()).unwrap();
        let regimes: Vec<&str> = peers.regimes.keys().map(String::as_str).collect();
        let mut expected = Regime::ALL.map(Regime::name);
        expected.sort_unstable();
        assert_eq!(regimes, expected);
        for learners in peers.regimes.values() {
            let names: Vec<&str> = learners.keys().map(String::as_str).collect();
            assert_eq!(names, ["lightgbm", "mlp_sklearn"]);
        }
        let all = peers.regimes.values().flat_map(BTreeMap::values);
        for learner in all.chain([&peers.lightgbm_of_all_conditions]) {
            assert_eq!(learner.f1.len(), 33);
            for figure in learner.f1.values() {
                assert_eq!(figure.per_seed.len(), 10);
                assert!(figure.per_seed.iter().all(|f1| (0. ..0.96).contains(f1)));
            }
            assert!((0.8..0.92).contains(&learner.f1["uncorrupted"].mean));
            // Nothing that serves all conditions at once reaches what serves each one alone.
            let share = learner.of_oracle.as_ref().unwrap().mean;
            assert!((0.6..1.).contains(&share), "{share}");
            let mark = &peers.lightgbm_of_all_conditions.f1[MEAN_OVER_CONDITIONS];
            assert!(learner.f1[MEAN_OVER_CONDITIONS].mean <= mark.mean);
        }
    }

    #[test]
    fn other_rows_other_seeds_and_other_conditions_have_none() {
        let stored = stored();
        let of = |splits: &[(u64, &str)], conditions: &[String]| {
            Peers::of_splits(splits.iter().copied(), conditions, None)
        };
        let splits = held_out(&stored);
        let found = of(&splits, &conditions()).unwrap();
        assert_eq!(found.lightgbm_of_all_conditions.of_oracle, None);
        let mut other_rows = splits.clone();
        other_rows[3].1 = "0";
        assert_eq!(of(&other_rows, &conditions()), None);
        let mut other_seed = splits.clone();
        other_seed[3].0 = 4_000_000;
        assert_eq!(of(&other_seed, &conditions()), None);
        assert_eq!(of(&[], &conditions()), None);
        assert_eq!(of(&splits, &["ip:noise:7".to_owned()]), None);
    }

    #[test]
    fn means_are_taken_over_conditions_and_shares_seed_by_seed() {
        let scores = |clean: f64, noisy: f64| StoredScores {
            validation_f1: clean,
            f1: BTreeMap::from([("clean".to_owned(), clean), ("noisy".to_owned(), noisy)]),
        };
        let conditions = ["clean".to_owned(), "noisy".to_owned()];
        let oracle = Oracle {
            f1: ByCondition::from([(
                MEAN_OVER_CONDITIONS.to_owned(),
                OverSeeds::of(vec![1., 0.5]),
            )]),
        };
        let seeds = [&scores(0.75, 0.25), &scores(0.5, 0.25)];
        let found = over_seeds(&seeds, &conditions, Some(&oracle)).unwrap();
        assert_eq!(found.f1[MEAN_OVER_CONDITIONS].per_seed, [0.5, 0.375]);
        assert_eq!(found.of_oracle.unwrap().per_seed, [0.5, 0.75]);
        assert_eq!(found.validation_f1.per_seed, [0.75, 0.5]);
        let lacking = StoredScores {
            validation_f1: 0.5,
            f1: BTreeMap::new(),
        };
        assert_eq!(over_seeds(&[&lacking], &conditions, None), None);
    }
}
