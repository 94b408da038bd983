//! One seed: every learner in every regime, on the same rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use emma_data::Samples;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::fit::{density, fit};
use super::hyper::Hyper;
use super::learner::Learner;
use super::outcome::{LearnerOutcome, SeedOutcome};
use super::regime::Regime;
use super::rows::{Modes, SeedRows};
use super::settings::Settings;
use super::threshold::{best_threshold, f1};
use crate::experiment3::conditions::Condition;
use crate::failure::CommandResult;
use crate::progress::Progress;

/// A learner with its hyper-parameters in a regime.
pub(crate) type Entry = (Regime, Learner, Hyper);

/// All entries of the settings.
pub(crate) fn entries(settings: &Settings) -> Vec<Entry> {
    let of_regime = |&regime: &Regime| {
        let learners = settings.learners.iter();
        let learners = learners.filter(move |learner| learner.takes_part(regime));
        learners.map(move |&learner| (regime, learner, settings.hyper(regime, learner)))
    };
    settings.regimes.iter().flat_map(of_regime).collect()
}

/// Trains entries on one seed's rows; scores them on test rows unless they are only to be chosen from.
pub(crate) fn run(
    settings: &Settings,
    samples: &Samples,
    seed: u64,
    entries: &[Entry],
    with_test: bool,
    progress: &Progress,
) -> CommandResult<SeedOutcome> {
    let rows = SeedRows::new(samples, seed)?;
    let density = Arc::new(density(&rows, &settings.noise)?);
    let mut tests: Vec<(String, Modes)> = Vec::new();
    if with_test {
        for condition in Condition::all(&rows.mode_names)? {
            let modes = rows.test_in(&condition)?;
            tests.push((condition.name, modes));
        }
    }
    let copies: BTreeMap<Regime, Vec<Modes>> = settings
        .regimes
        .iter()
        .map(|&regime| Ok((regime, rows.validation_copies(regime)?)))
        .collect::<CommandResult<_>>()?;
    let learners = entries.par_iter().map(|&(regime, learner, hyper)| {
        let fitted = fit(learner, hyper, regime, &rows, &density, settings.n_epochs)?;
        let validation: Vec<Vec<f64>> = copies
            .get(&regime)
            .into_iter()
            .flatten()
            .map(|modes| fitted.probabilities(modes))
            .collect::<CommandResult<_>>()?;
        let labels = &rows.validation.labels;
        let threshold = best_threshold(&validation, labels);
        let validation_f1: f64 = validation
            .iter()
            .map(|probabilities| f1(probabilities, labels, threshold))
            .sum();
        let scored = tests.iter().map(|(name, modes)| {
            let probabilities = fitted.probabilities(modes)?;
            Ok((
                name.clone(),
                f1(&probabilities, &rows.test.labels, threshold),
            ))
        });
        let outcome = LearnerOutcome {
            regime,
            learner,
            hyper,
            threshold,
            n_parameters: fitted.n_parameters,
            validation_loss: fitted.validation_loss,
            validation_f1: validation_f1 / validation.len().max(1) as f64,
            f1: scored.collect::<CommandResult<_>>()?,
        };
        progress.advance(1);
        Ok(outcome)
    });
    let learners: CommandResult<Vec<LearnerOutcome>> = learners.collect();
    Ok(SeedOutcome {
        seed,
        split_sha256: rows.split_sha256.clone(),
        learners: learners?,
    })
}
