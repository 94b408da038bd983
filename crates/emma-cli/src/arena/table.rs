//! What the arena prints.

use std::fmt::Write as _;

use super::results::{RegimeResults, Results};
use crate::experiment::over_seeds::OverSeeds;
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
        for name in by_mean(found) {
            let learner = &found.learners[&name];
            rows.push(vec![
                name.clone(),
                learner.f1[MEAN_OVER_CONDITIONS].words(),
                learner
                    .of_oracle
                    .as_ref()
                    .map_or_else(|| "-".into(), OverSeeds::words),
                format!("{:.2}", learner.mean_rank),
                learner.f1["uncorrupted"].words(),
                learner.n_parameters.to_string(),
            ]);
        }
        align(&mut text, &rows);
        let _ = writeln!(text, "\nemma_plus gains, paired over seeds:\n");
        let mut rows = vec![["over", "mean F1", "p (Holm)"].map(str::to_owned).to_vec()];
        for gain in &found.gains {
            rows.push(vec![
                gain.over.clone(),
                gain.difference.words(),
                format!("{:.4}", gain.p_holm),
            ]);
        }
        align(&mut text, &rows);
    }
    text
}

/// Names of the learners by mean F1, the best first.
pub(crate) fn by_mean(found: &RegimeResults) -> Vec<String> {
    let mut names: Vec<String> = found.learners.keys().cloned().collect();
    let mean = |name: &String| found.learners[name].f1[MEAN_OVER_CONDITIONS].mean;
    names.sort_by(|a, b| mean(b).total_cmp(&mean(a)));
    names
}
