//! What experiment 2 prints.

use std::fmt::Write as _;

use super::results::{EstimatorResults, Results};
use super::settings::NOISE;
use crate::experiment::over_seeds::OverSeeds;
use crate::text::align;

/// The figures of every estimator by mode and corruption, as text.
pub(crate) fn table(results: &Results) -> String {
    let mut text = String::from(
        "AUC of telling clean test rows from the same rows corrupted, mean over seeds. 0.5 is guessing. Below \
         each column stand\nhalf-widths of 95 % intervals.\n",
    );
    for mode in &results.data.modes {
        let Some(estimators) = results.modes.get(mode) else {
            continue;
        };
        let _ = writeln!(text, "\n{mode}:\n");
        let columns: Vec<&EstimatorResults> = results
            .settings
            .estimators
            .iter()
            .filter_map(|kind| estimators.get(kind.name()))
            .collect();
        let mut header = vec![String::new()];
        header.extend(
            results
                .settings
                .estimators
                .iter()
                .map(|kind| kind.title().to_owned()),
        );
        let mut rows = vec![header];
        let row = |name: &str, figure: &dyn Fn(&EstimatorResults) -> Option<f64>| {
            let cells = columns.iter().map(|column| {
                figure(column).map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
            });
            std::iter::once(name.to_owned())
                .chain(cells)
                .collect::<Vec<_>>()
        };
        for corruption in &results.settings.corruptions {
            rows.push(row(corruption, &|column| {
                Some(column.auc.get(corruption)?.mean)
            }));
        }
        rows.push(row("out of distribution", &|column| {
            Some(column.out_of_distribution_auc.mean)
        }));
        rows.push(row(&format!("± of {NOISE}"), &|column| {
            column.auc.get(NOISE)?.ci95
        }));
        rows.push(row("largest ±", &|column| {
            let all = column.auc.values().chain([&column.out_of_distribution_auc]);
            all.filter_map(|figure: &OverSeeds| figure.ci95)
                .reduce(f64::max)
        }));
        align(&mut text, &rows);
    }
    let _ = writeln!(
        text,
        "\nOut of distribution: fitted to pulsars alone, telling other candidates from pulsars. A missing mode \
         is zeros, the\nmean of the training rows. Swapped rows are the clean ones in another order.\n"
    );
    text
}
