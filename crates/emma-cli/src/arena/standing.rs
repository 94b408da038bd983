//! Who stands in a regime's tables: the arena's learners and those that a script has trained.

use super::results::{Gain, RegimeResults};
use crate::experiment::over_seeds::OverSeeds;
use crate::experiment3::results::{ByCondition, MEAN_OVER_CONDITIONS};

/// What stands where a learner of a script has no figure.
const NONE: &str = "-";
/// Follows the names of learners that a script has trained.
const MARK: &str = " †";

/// A learner of either kind.
pub(super) struct Standing<'a> {
    name: &'a str,
    pub(super) f1: &'a ByCondition,
    of_oracle: Option<&'a OverSeeds>,
    validation_f1: &'a OverSeeds,
    /// Rank and parameters; none of a script's.
    own: Option<(f64, usize)>,
}

impl Standing<'_> {
    /// The mean over all conditions.
    pub(super) fn mean(&self) -> &OverSeeds {
        &self.f1[MEAN_OVER_CONDITIONS]
    }

    /// Its name, marked if a script has trained it.
    pub(super) fn name(&self) -> String {
        let mark = if self.own.is_some() { "" } else { MARK };
        format!("{}{mark}", self.name)
    }

    pub(super) fn of_oracle(&self) -> String {
        self.of_oracle.map_or_else(|| NONE.into(), OverSeeds::words)
    }

    pub(super) fn validation_f1(&self) -> String {
        self.validation_f1.words()
    }

    pub(super) fn rank(&self) -> String {
        self.own
            .map_or_else(|| NONE.into(), |(rank, _)| format!("{rank:.2}"))
    }

    pub(super) fn n_parameters(&self) -> String {
        self.own
            .map_or_else(|| NONE.into(), |(_, parameters)| parameters.to_string())
    }
}

/// All of a regime by mean F1, the best first.
pub(super) fn standings(found: &RegimeResults) -> Vec<Standing<'_>> {
    let own = found.learners.iter().map(|(name, learner)| Standing {
        name,
        f1: &learner.f1,
        of_oracle: learner.of_oracle.as_ref(),
        validation_f1: &learner.validation_f1,
        own: Some((learner.mean_rank, learner.n_parameters)),
    });
    let scripted = found.from_script.iter().flat_map(|script| &script.learners);
    let scripted = scripted.map(|(name, learner)| Standing {
        name,
        f1: &learner.f1,
        of_oracle: learner.of_oracle.as_ref(),
        validation_f1: &learner.validation_f1,
        own: None,
    });
    let mut all: Vec<Standing<'_>> = own.chain(scripted).collect();
    all.sort_by(|a, b| b.mean().mean.total_cmp(&a.mean().mean));
    all
}

/// Gains over all of a regime with the rival's name, marked where a script has trained it.
pub(super) fn gains(found: &RegimeResults) -> impl Iterator<Item = (String, &Gain)> {
    let own = found.gains.iter().map(|gain| (gain.over.clone(), gain));
    let scripted = found.from_script.iter().flat_map(|script| &script.gains);
    let scripted = scripted.map(|gain| (format!("{}{MARK}", gain.over), gain));
    own.chain(scripted)
}

/// What the mark means; none where nothing is marked.
pub(super) fn note(found: &RegimeResults) -> Option<String> {
    found.from_script.as_ref().map(|_| {
        format!(
            "{}: trained by benches/peers/arena.py on the same splits, with other draws of the same faults; \
             without rank, p adjusted among themselves",
            MARK.trim()
        )
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::peers::ScriptedLearner;
    use super::super::results::{FromScript, LearnerResults};
    use super::*;

    #[test]
    fn learners_of_a_script_stand_among_the_others_marked_and_without_rank() {
        let figure = |mean: f64| OverSeeds::of(vec![mean]);
        let f1 = |mean: f64| ByCondition::from([(MEAN_OVER_CONDITIONS.to_owned(), figure(mean))]);
        let own = |mean: f64, mean_rank: f64| LearnerResults {
            f1: f1(mean),
            of_oracle: None,
            mean_rank,
            n_parameters: 12,
            validation_f1: figure(mean),
        };
        let lightgbm = ScriptedLearner {
            f1: f1(0.75),
            of_oracle: Some(figure(0.875)),
            validation_f1: figure(0.75),
        };
        let gain = |over: &str| Gain {
            over: over.into(),
            difference: figure(0.25),
            p_value: 1.,
            p_holm: 1.,
        };
        let mut found = RegimeResults {
            learners: BTreeMap::from([
                ("base".to_owned(), own(0.5, 2.)),
                ("emma_plus".to_owned(), own(1., 1.)),
            ]),
            gains: vec![gain("base")],
            critical_difference: None,
            from_script: Some(FromScript {
                learners: BTreeMap::from([("lightgbm".to_owned(), lightgbm)]),
                gains: vec![gain("lightgbm")],
            }),
        };
        let rows = |found: &RegimeResults| -> Vec<[String; 4]> {
            let all = standings(found).into_iter();
            all.map(|one| [one.name(), one.rank(), one.n_parameters(), one.of_oracle()])
                .collect()
        };
        assert_eq!(
            rows(&found),
            [
                ["emma_plus", "1.00", "12", "-"],
                ["lightgbm †", "-", "-", "0.875"],
                ["base", "2.00", "12", "-"],
            ]
        );
        let over: Vec<String> = gains(&found).map(|(over, _)| over).collect();
        assert_eq!(over, ["base", "lightgbm †"]);
        assert!(note(&found).is_some());
        found.from_script = None;
        assert_eq!(rows(&found).len(), 2);
        assert_eq!(gains(&found).count(), 1);
        assert_eq!(note(&found), None);
    }
}
