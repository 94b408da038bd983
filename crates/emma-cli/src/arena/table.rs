//! What the arena prints.

use std::fmt::Write as _;

use super::results::{RegimeResults, Results};
use super::standing::{gains, note, standings};
use crate::experiment3::conditions::UNCORRUPTED;
use crate::experiment3::results::MEAN_OVER_CONDITIONS;
use crate::text::align;

/// All learners, the best first, and what EMMA+ gains.
pub(crate) fn table(results: &Results) -> String {
    let mut text = String::new();
    for (regime, found) in &results.regimes {
        let _ = writeln!(
            text,
            "\n{regime} training: F1 over {} conditions, mean over seeds ± 95 % interval\n",
            results.conditions.len()
        );
        let mut rows = vec![
            [
                "learner",
                "mean F1",
                "of oracle",
                "rank",
                "clean",
                "parameters",
            ]
            .map(str::to_owned)
            .to_vec(),
        ];
        for learner in standings(found) {
            rows.push(vec![
                learner.name(),
                learner.mean().words(),
                learner.of_oracle(),
                learner.rank(),
                learner.f1[UNCORRUPTED].words(),
                learner.n_parameters(),
            ]);
        }
        align(&mut text, &rows);
        let _ = writeln!(text, "\nemma_plus gains, paired over seeds:\n");
        let mut rows = vec![["over", "mean F1", "p (Holm)"].map(str::to_owned).to_vec()];
        for (over, gain) in gains(found) {
            rows.push(vec![
                over,
                gain.difference.words(),
                format!("{:.4}", gain.p_holm),
            ]);
        }
        align(&mut text, &rows);
        if let Some(note) = note(found) {
            let _ = writeln!(text, "\n{note}");
        }
    }
    if let Some(mark) = upper_mark(results) {
        let _ = writeln!(text, "\n{mark}");
    }
    text
}

/// What a learner reaches that knows all test conditions, beside the oracle; none where it is not known.
pub(super) fn upper_mark(results: &Results) -> Option<String> {
    let oracle = results.oracle.as_ref()?;
    let mark = results.lightgbm_of_all_conditions.as_ref()?;
    Some(format!(
        "Upper marks, no rivals: the oracle's mean F1 is {}; that of LightGBM, trained by a script on all {} test \
         conditions at once, {}.",
        oracle.f1[MEAN_OVER_CONDITIONS].words(),
        results.conditions.len(),
        mark.f1[MEAN_OVER_CONDITIONS].words()
    ))
}

/// Names of the arena's own learners by mean F1, the best first.
pub(crate) fn by_mean(found: &RegimeResults) -> Vec<String> {
    let mut names: Vec<String> = found.learners.keys().cloned().collect();
    let mean = |name: &String| found.learners[name].f1[MEAN_OVER_CONDITIONS].mean;
    names.sort_by(|a, b| mean(b).total_cmp(&mean(a)));
    names
}
