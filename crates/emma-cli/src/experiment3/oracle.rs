//! The oracle envelope: what a model trained on exactly one condition reaches there.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::outcome::SeedOutcome;
use super::results::{ByCondition, MEAN_OVER_CONDITIONS};
use super::robustness::ratio;
use crate::experiment::over_seeds::OverSeeds;

/// What `benches/peers/oracle.py` found on HTRU2.
const HTRU2_ENVELOPE: &str = include_str!("../../oracle/htru2.json");

/// The stored file, as far as it is needed.
#[derive(Debug, Deserialize)]
struct Envelope {
    seeds: BTreeMap<u64, EnvelopeOfSeed>,
}

#[derive(Debug, Deserialize)]
struct EnvelopeOfSeed {
    /// Of `split.json`: other rows would have another envelope.
    split_sha256: String,
    conditions: BTreeMap<String, EnvelopeOfCondition>,
}

#[derive(Debug, Deserialize)]
struct EnvelopeOfCondition {
    f1: f64,
}

/// The envelope of an experiment's seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Oracle {
    /// F1 by condition, and its mean over them ([`MEAN_OVER_CONDITIONS`]).
    pub(crate) f1: ByCondition,
}

impl Oracle {
    /// The envelope of HTRU2's splits; none if it is not known for every seed.
    pub(crate) fn of_htru2(outcomes: &[SeedOutcome], conditions: &[String]) -> Option<Self> {
        let splits = outcomes.iter();
        let splits = splits.map(|outcome| (outcome.seed, outcome.split_sha256.as_str()));
        Self::of_splits(splits, conditions)
    }

    /// The same of splits, given as seed and digest.
    pub(crate) fn of_splits<'a>(
        splits: impl Iterator<Item = (u64, &'a str)>,
        conditions: &[String],
    ) -> Option<Self> {
        let envelope: Envelope = serde_json::from_str(HTRU2_ENVELOPE).ok()?;
        let seeds: Vec<&EnvelopeOfSeed> = splits
            .map(|(seed, split_sha256)| {
                let known = envelope.seeds.get(&seed)?;
                (known.split_sha256 == split_sha256).then_some(known)
            })
            .collect::<Option<_>>()?;
        let f1_of = |name: &String| {
            let per_seed = seeds.iter().map(|seed| Some(seed.conditions.get(name)?.f1));
            Some((
                name.clone(),
                OverSeeds::of(per_seed.collect::<Option<_>>()?),
            ))
        };
        let mut f1: ByCondition = conditions.iter().map(f1_of).collect::<Option<_>>()?;
        let mean = mean_over(&f1, conditions)?;
        f1.insert(MEAN_OVER_CONDITIONS.into(), mean);
        Some(Self { f1 })
    }

    /// What share of the envelope a model reaches, seed by seed, by condition; of the means over all
    /// conditions, the ratio of the means.
    pub(crate) fn ratios(&self, f1: &ByCondition, mean: Option<&OverSeeds>) -> ByCondition {
        let of = |name: &String, oracle: &OverSeeds| {
            let own = if name == MEAN_OVER_CONDITIONS {
                mean?
            } else {
                f1.get(name)?
            };
            let per_seed = own.per_seed.iter().zip(&oracle.per_seed);
            let per_seed = per_seed.map(|(own, oracle)| ratio(*own, *oracle));
            Some((name.clone(), OverSeeds::of(per_seed.collect())))
        };
        let ratios = self.f1.iter().filter_map(|(name, oracle)| of(name, oracle));
        ratios.collect()
    }
}

/// Mean over conditions, seed by seed; none if one is not there.
pub(crate) fn mean_over(figures: &ByCondition, conditions: &[String]) -> Option<OverSeeds> {
    let all: Vec<&OverSeeds> = conditions
        .iter()
        .map(|condition| figures.get(condition))
        .collect::<Option<_>>()?;
    let n_seeds = all.iter().map(|figure| figure.per_seed.len()).min()?;
    let mean = |seed: usize| {
        let values = all.iter().map(|figure| figure.per_seed[seed]);
        values.sum::<f64>() / all.len() as f64
    };
    Some(OverSeeds::of((0..n_seeds).map(mean).collect()))
}

#[cfg(test)]
mod tests {
    use super::super::conditions::Condition;
    use super::*;

    fn conditions() -> Vec<String> {
        let all = Condition::all(&["ip".into(), "dm".into()]).unwrap();
        all.into_iter().map(|condition| condition.name).collect()
    }

    fn outcomes(envelope: &Envelope) -> Vec<SeedOutcome> {
        let outcome = |(seed, of_seed): (&u64, &EnvelopeOfSeed)| SeedOutcome {
            seed: *seed,
            split_sha256: of_seed.split_sha256.clone(),
            models: BTreeMap::new(),
        };
        envelope.seeds.iter().map(outcome).collect()
    }

    fn stored() -> Envelope {
        serde_json::from_str(HTRU2_ENVELOPE).unwrap()
    }

    #[test]
    fn the_stored_envelope_knows_every_condition_of_its_seeds() {
        let envelope = stored();
        let outcomes = outcomes(&envelope);
        assert!(outcomes.len() >= 2);
        let oracle = Oracle::of_htru2(&outcomes, &conditions()).unwrap();
        assert_eq!(oracle.f1.len(), 33);
        for figure in oracle.f1.values() {
            assert_eq!(figure.per_seed.len(), outcomes.len());
            assert!(figure.per_seed.iter().all(|f1| (0.2..0.96).contains(f1)));
        }
        // An independent study found .8056 on splits of its own; splits differ by .01.
        let mean = oracle.f1[MEAN_OVER_CONDITIONS].mean;
        assert!((mean - 0.8056).abs() < 0.01, "{mean}");
    }

    #[test]
    fn other_rows_and_other_seeds_have_no_known_envelope() {
        let envelope = stored();
        let mut other_rows = outcomes(&envelope);
        other_rows[0].split_sha256.push('0');
        assert_eq!(Oracle::of_htru2(&other_rows, &conditions()), None);
        let mut other_seed = outcomes(&envelope);
        other_seed[0].seed = 4_000_000;
        assert_eq!(Oracle::of_htru2(&other_seed, &conditions()), None);
    }

    #[test]
    fn ratios_are_taken_seed_by_seed() {
        let figure = |values: &[f64]| OverSeeds::of(values.to_vec());
        let by = |a: &[f64], b: &[f64]| {
            ByCondition::from([("a".to_owned(), figure(a)), ("b".to_owned(), figure(b))])
        };
        let mut f1 = by(&[0.8, 1.], &[0.4, 0.]);
        let names = ["a".to_owned(), "b".to_owned()];
        f1.insert(MEAN_OVER_CONDITIONS.into(), mean_over(&f1, &names).unwrap());
        let oracle = Oracle { f1 };
        let own = by(&[0.4, 0.5], &[0.4, 0.5]);
        let mean = mean_over(&own, &names).unwrap();
        let ratios = oracle.ratios(&own, Some(&mean));
        let expected = [
            ("a", [0.5, 0.5]),
            ("b", [1., 0.]),
            (MEAN_OVER_CONDITIONS, [0.4 / 0.6, 1.]),
        ];
        for (name, expected) in expected {
            for (found, expected) in ratios[name].per_seed.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-14, "{name}: {found}");
            }
        }
        assert_eq!(mean_over(&own, &["c".to_owned()]), None);
    }
}
