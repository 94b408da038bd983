//! Choosing every learner's hyper-parameters, all with the same effort.

use std::collections::BTreeMap;

use emma_data::Samples;

use super::hyper::Hyper;
use super::run::{Entry, run};
use super::settings::{Settings, Tuned};
use crate::failure::CommandResult;
use crate::progress::Progress;

/// Every learner with each of the same number of combinations.
pub(crate) fn entries(settings: &Settings) -> Vec<Entry> {
    let mut all = Vec::new();
    for &regime in &settings.regimes {
        let learners = settings.learners.iter();
        for &learner in learners.filter(|learner| learner.takes_part(regime)) {
            all.extend(
                Hyper::all()
                    .into_iter()
                    .map(|hyper| (regime, learner, hyper)),
            );
        }
    }
    all
}

/// The combination of the highest mean F1 on validation copies over the seeds, for each learner and regime. No
/// test row is looked at.
pub(crate) fn tune(
    settings: &Settings,
    samples: &Samples,
    progress: &Progress,
) -> CommandResult<Tuned> {
    let entries = entries(settings);
    let mut totals = vec![0.; entries.len()];
    for &seed in &settings.seeds {
        let outcome = run(settings, samples, seed, &entries, false, progress)?;
        for (total, learner) in totals.iter_mut().zip(&outcome.learners) {
            *total += learner.validation_f1;
        }
    }
    let mut best: BTreeMap<_, BTreeMap<_, (f64, Hyper)>> = BTreeMap::new();
    for (&(regime, learner, hyper), &total) in entries.iter().zip(&totals) {
        let of_regime = best.entry(regime).or_default();
        let entry = of_regime.entry(learner).or_insert((total, hyper));
        if total > entry.0 {
            *entry = (total, hyper);
        }
    }
    let chosen = best.into_iter().map(|(regime, learners)| {
        let learners = learners.into_iter();
        (
            regime,
            learners
                .map(|(learner, (_, hyper))| (learner, hyper))
                .collect(),
        )
    });
    Ok(chosen.collect())
}
