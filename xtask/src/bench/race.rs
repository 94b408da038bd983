//! Contestants of one work, taking turns.

use std::process::Command;

use super::contestant::{Process, Ready};
use super::statistics::Spread;
use super::work::{Contestant, Target, Work};

/// What one contestant did.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) name: &'static str,
    /// Microseconds of each round and what was said at the start, or why there are none.
    pub(crate) result: Result<(Vec<f64>, Ready), String>,
}

impl Outcome {
    /// Microseconds.
    pub(crate) fn time(&self) -> Option<Spread> {
        let (samples, _) = self.result.as_ref().ok()?;
        Spread::of(samples.iter().copied())
    }
}

/// A contestant on the way: its process, what it took so far, what it said at the start.
type Runner = Result<(Process, Vec<f64>, Ready), String>;

/// What all contestants of a work did; ours comes first.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Race {
    pub(crate) work: Work,
    pub(crate) outcomes: Vec<Outcome>,
}

/// Whether a wanted ratio was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    AimMet,
    Met,
    Missed,
    NotMeasured,
}

impl Race {
    /// Starts all contestants, then lets each do one round after the other.
    ///
    /// `command` makes the command of a contestant, or says why it cannot run.
    pub(crate) fn run(
        work: Work,
        n_rounds: usize,
        mut command: impl FnMut(&Work, &Contestant) -> Result<Command, String>,
        mut progress: impl FnMut(&str),
    ) -> Self {
        let mut runners: Vec<Runner> = Vec::new();
        for contestant in &work.contestants {
            progress(&format!("{}: {}", work.name, contestant.name));
            let started = command(&work, contestant)
                .and_then(|mut command| Process::start(&mut command))
                .map(|(process, ready)| (process, Vec::new(), ready));
            // Without ours there is nothing to agree with.
            let ours = runners.first().and_then(|ours| ours.as_ref().ok());
            let agrees = |ready: &Ready| match ours {
                Some((_, _, ours)) if contestant.agrees => ready.agrees_with(ours),
                _ => Ok(()),
            };
            let started = started.and_then(|runner| agrees(&runner.2).map(|()| runner));
            if let Err(reason) = &started {
                progress(&format!("{}: did not run: {reason}", contestant.name));
            }
            runners.push(started);
        }
        for round in 0..n_rounds {
            progress(&format!("{}: round {} of {n_rounds}", work.name, round + 1));
            for runner in &mut runners {
                let failed = match runner {
                    Ok((process, samples, _)) => {
                        process.round().map(|sample| samples.push(sample)).err()
                    }
                    Err(_) => None,
                };
                if let Some(reason) = failed {
                    progress(&reason);
                    *runner = Err(reason);
                }
            }
        }
        let outcomes = work
            .contestants
            .iter()
            .zip(runners)
            .map(|(contestant, runner)| Outcome {
                name: contestant.name,
                result: runner.map(|(_, samples, ready)| (samples, ready)),
            });
        Self {
            outcomes: outcomes.collect(),
            work,
        }
    }

    /// How many times ours takes what this one takes.
    pub(crate) fn ratio(&self, outcome: &Outcome) -> Option<Spread> {
        let (ours, _) = self.outcomes.first()?.result.as_ref().ok()?;
        let (samples, _) = outcome.result.as_ref().ok()?;
        Spread::of_ratios(samples, ours)
    }

    /// The ratio to the fastest of the target's contestants, which is named, if any of them ran.
    pub(crate) fn against(&self, target: &Target) -> Option<(&'static str, Spread)> {
        self.outcomes
            .iter()
            .filter(|outcome| target.contestants.contains(&outcome.name))
            .filter_map(|outcome| Some((outcome.name, self.ratio(outcome)?)))
            .min_by(|a, b| a.1.median.total_cmp(&b.1.median))
    }

    pub(crate) fn verdict(&self, target: &Target) -> Verdict {
        match self.against(target) {
            None => Verdict::NotMeasured,
            Some((_, ratio)) if ratio.median >= target.aim => Verdict::AimMet,
            Some((_, ratio)) if target.at_least.is_some_and(|least| ratio.median >= least) => {
                Verdict::Met
            }
            Some(_) => Verdict::Missed,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::work::Program;
    use super::*;

    pub(crate) fn race(outcomes: Vec<(&'static str, Result<Vec<f64>, &str>)>) -> Race {
        let contestants = outcomes.iter().map(|(name, _)| Contestant {
            name,
            program: Program::Torch,
            options: String::new(),
            agrees: true,
        });
        let work = Work {
            name: "work",
            title: "some work",
            unit: "a step",
            n_threads: 1,
            contestants: contestants.collect(),
            targets: vec![Target {
                against: "the peer at its best",
                contestants: &["peer", "better peer"],
                at_least: Some(2.),
                aim: 4.,
            }],
            memory_limit: None,
        };
        let outcomes = outcomes.into_iter().map(|(name, result)| Outcome {
            name,
            result: result
                .map(|samples| (samples, Ready::default()))
                .map_err(str::to_owned),
        });
        Race {
            outcomes: outcomes.collect(),
            work,
        }
    }

    #[test]
    fn a_target_is_held_against_the_fastest_that_ran() {
        let race = race(vec![
            ("ours", Ok(vec![1., 2., 1.])),
            ("peer", Ok(vec![9., 18., 9.])),
            ("better peer", Ok(vec![3., 6., 3.])),
        ]);
        let target = &race.work.targets[0];
        let (name, ratio) = race.against(target).expect("both ran");
        assert_eq!(name, "better peer");
        assert!((ratio.median - 3.).abs() < 1e-12, "{ratio:?}");
        assert_eq!(race.verdict(target), Verdict::Met);
    }

    #[test]
    fn verdicts_follow_the_median() {
        for (peer, expected) in [
            (1.9, Verdict::Missed),
            (2., Verdict::Met),
            (3.9, Verdict::Met),
            (4., Verdict::AimMet),
        ] {
            let race = race(vec![("ours", Ok(vec![1.])), ("peer", Ok(vec![peer]))]);
            assert_eq!(race.verdict(&race.work.targets[0]), expected, "{peer}");
        }
    }

    #[test]
    fn what_did_not_run_is_neither_met_nor_missed() {
        let race = race(vec![
            ("ours", Ok(vec![1.])),
            ("peer", Err("no compiler")),
            ("better peer", Err("no compiler")),
        ]);
        assert_eq!(race.verdict(&race.work.targets[0]), Verdict::NotMeasured);
    }

    #[cfg(unix)]
    #[test]
    fn contestants_take_turns_and_failures_stay_in_the_results() {
        let scripts = [
            ("ours", "0.5", "echo '{\"microseconds\": 2}'"),
            ("peer", "0.5", "echo '{\"microseconds\": 10}'"),
            ("broken", "0.5", "echo broken >&2; exit 1"),
            ("other work", "0.6", "echo '{\"microseconds\": 1}'"),
        ];
        let names = scripts.map(|(name, _, _)| (name, Ok(Vec::new())));
        let work = race(names.to_vec()).work;
        let command = |_: &Work, contestant: &Contestant| {
            let (_, check, body) = scripts
                .iter()
                .find(|(name, _, _)| *name == contestant.name)
                .expect("it has a script");
            // As slow as a round, so that a round is one sample.
            let script = format!(
                "echo '{{\"ready\": {{\"check\": [{check}]}}}}'; while read x; do sleep 0.31; {body}; done"
            );
            let mut command = Command::new("sh");
            command.args(["-c", &script]);
            Ok(command)
        };
        let race = Race::run(work, 2, command, |_| ());
        let reason = |number: usize| race.outcomes[number].result.as_ref().expect_err("failed");
        let ratio = race.ratio(&race.outcomes[1]).expect("it ran").median;
        assert!((ratio - 5.).abs() < 1e-12, "{ratio}");
        assert!(reason(2).ends_with("broken"), "{}", reason(2));
        assert!(reason(3).contains("other work"), "{}", reason(3));
    }
}
