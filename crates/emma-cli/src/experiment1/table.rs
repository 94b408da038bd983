//! What experiment 1 prints.

use std::fmt::Write as _;

use super::results::{EstimatorResults, Results};
use crate::experiment::over_seeds::OverSeeds;
use crate::text::align;

/// The figures of every estimator on every manifold, as text.
pub(crate) fn table(results: &Results) -> String {
    let n_seeds = results.seeds.len();
    let mut text = format!(
        "Energies on a wave and on a circle, mean ± half-width of the 95 % interval over {n_seeds} \
         {}.\n\n",
        if n_seeds == 1 { "seed" } else { "seeds" }
    );
    let mut rows = vec![
        ["manifold", "estimator", "AUC", "false sink"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for (manifold, found) in &results.manifolds {
        for (
            name,
            EstimatorResults {
                auc, false_sink, ..
            },
        ) in &found.estimators
        {
            rows.push(vec![
                manifold.clone(),
                name.clone(),
                auc.words(),
                false_sink.as_ref().map_or("-".into(), OverSeeds::words),
            ]);
        }
    }
    align(&mut text, &rows);
    let _ = writeln!(
        text,
        "\nAUC: telling points on the manifold from points of the square off it. False sink: how deep the \
         energy's hollow\nat the source of the circle's field is, from 0 (none) to 1 (as low as the \
         manifold).\n"
    );
    for (manifold, found) in &results.manifolds {
        let _ = writeln!(
            text,
            "The field points back to the {manifold}: mean cosine {}.",
            found.field_alignment.words()
        );
    }
    text
}
