//! `report.html` of experiment 2.

use super::figures::figures;
use super::results::{EstimatorResults, Results};
use super::settings::NOISE;
use crate::experiment::data::describe;
use crate::experiment::estimators::EstimatorKind;
use crate::experiment::over_seeds::{OverSeeds, seed_options};
use crate::experiment3::settings::HTRU2;
use crate::html_report::{Cell, Column, Report, Section, Table};

/// The page, with the figures that go into files of their own.
pub(crate) fn report(results: &Results) -> Report {
    let settings = &results.settings;
    let data = match settings.data.source.as_str() {
        "htru2" | "simulated" => settings.data.source.clone(),
        path => format!("'{path}'"),
    };
    let command = format!(
        "cargo xtask experiment2 --data {data} {}",
        seed_options(&results.seeds)
    );
    let report = Report::new(
        "Experiment 2: energies of modes",
        "Section 6.3 of the thesis: can the energy of a mode tell clean rows from noisy, foreign and missing \
         ones, and which energy does it best?",
    );
    let mut report = describe(report, &settings.data)
        .fact("Seeds", format!("{:?}", results.seeds))
        .fact("emma", settings.version.clone());

    let figures = figures(results);
    let figure = |name: &str| figures.iter().find(|(known, _)| known == name);
    let mut section = Section::new("Which energy knows noise best?").answer(best_at_noise(results));
    if let Some((_, figure)) = figure("auc_over_noise") {
        section = section.figure(
            figure.clone(),
            "AUC of telling clean test rows from the same rows with noise, over the noise's standard \
             deviation; bands are 95 % intervals over seeds.",
        );
    }
    report = report.section(section.table(summary(results)));

    let mut section = Section::new("Which faults does each energy know?").answer(
        "Of each corruption the table has every estimator's AUC; 0.5 is guessing. Swapped rows are the clean \
         ones in another order, which no energy of one mode can tell.",
    );
    for mode in &results.data.modes {
        section = section.table(corruptions(results, mode));
    }
    let section = section.note(
        "A missing mode is zeros here, the mean of the training rows, because an energy needs numbers; with \
         skewed features that is no likely place. Spikes hit a third of the rows, so that no estimator can \
         exceed about 0.67. Out of distribution: fitted to pulsars alone, telling other candidates from \
         pulsars.",
    );
    report = report.section(section);

    for kind in &settings.estimators {
        if let Some((_, figure)) = figure(&format!("energies_{}", kind.name())) {
            let section = Section::new(format!("How does the {} spread?", kind.sentence_title()))
                .answer(missing(results, *kind))
                .figure(
                    figure.clone(),
                    "Energies of test rows, first seed: clean and noisy; mean and the middle 80 % over the \
                     noise; fitted to pulsars alone. The longest tails lie outside.",
                );
            report = report.section(section);
        }
    }
    report.section(
        Section::new("How can I check this?")
            .answer("One command makes everything again, to the same figures.")
            .command(command),
    )
}

fn found<'a>(
    results: &'a Results,
    mode: &str,
    kind: EstimatorKind,
) -> Option<&'a EstimatorResults> {
    results.modes.get(mode)?.get(kind.name())
}

/// A sentence a mode.
fn best_at_noise(results: &Results) -> String {
    let mut sentences = Vec::new();
    for mode in &results.data.modes {
        let auc = |kind: &EstimatorKind| found(results, mode, *kind)?.auc.get(NOISE);
        let best = results
            .settings
            .estimators
            .iter()
            .filter_map(|kind| Some((kind, auc(kind)?)))
            .max_by(|a, b| a.1.mean.total_cmp(&b.1.mean));
        let thesis = auc(&EstimatorKind::PotentialEnergy);
        if let (Some((kind, best)), Some(thesis)) = (best, thesis) {
            sentences.push(format!(
                "On {mode} at noise 0.5 the {} is best, AUC {}; the thesis's potential energy reaches {}.",
                kind.sentence_title(),
                best.words(),
                thesis.words()
            ));
        }
    }
    sentences.join(" ")
}

/// AUC at the summary's noise of every estimator, beside an independent study's on HTRU2.
fn summary(results: &Results) -> Table {
    let mut columns = vec![Column::words("estimator")];
    for mode in &results.data.modes {
        columns.push(Column::numbers(mode.as_str()));
    }
    let beside = results.data.source == HTRU2 && results.data.modes == ["ip", "dm"];
    if beside {
        columns.extend(["ip, study", "dm, study"].map(Column::numbers));
    }
    let caption = "AUC of clean against noise 0.5, mean over seeds ± half-width of the 95 % interval; study: \
                   an independent implementation in Python on other splits.";
    let mut table = Table::new(caption, columns);
    for kind in &results.settings.estimators {
        let mut cells = vec![Cell::from(kind.title())];
        for mode in &results.data.modes {
            let auc = found(results, mode, *kind).and_then(|found| found.auc.get(NOISE));
            cells.push(auc.map_or_else(|| "–".into(), OverSeeds::words).into());
        }
        if beside {
            let (ip, dm) = kind.independent_study().unzip();
            let text = |auc: Option<f64>| auc.map_or_else(|| "–".to_owned(), |auc| auc.to_string());
            cells.extend([ip, dm].map(|auc| Cell::from(text(auc))));
        }
        table = table.row(cells);
    }
    table
}

/// AUC of every estimator for every corruption of a mode.
fn corruptions(results: &Results, mode: &str) -> Table {
    let kinds = &results.settings.estimators;
    let mut columns = vec![Column::words("corruption")];
    columns.extend(kinds.iter().map(|kind| Column::numbers(kind.title())));
    let mut table = Table::new(
        format!("AUC of corrupted rows, {mode}: mean over seeds."),
        columns,
    )
    .meanings("the highest of the row", "");
    let row = |name: &str, of: &dyn Fn(&EstimatorResults) -> Option<f64>| {
        let values: Vec<Option<f64>> = kinds
            .iter()
            .map(|kind| of(found(results, mode, *kind)?))
            .collect();
        let printed = |value: f64| format!("{value:.3}");
        let highest = values
            .iter()
            .flatten()
            .copied()
            .fold(f64::NEG_INFINITY, f64::max);
        let cell = |value: &Option<f64>| match value {
            // As printed: what looks equal is equally good.
            Some(value) if printed(*value) == printed(highest) => {
                Cell::from(printed(*value)).best()
            }
            Some(value) => Cell::from(printed(*value)),
            None => Cell::from("–"),
        };
        let cells: Vec<Cell> = std::iter::once(Cell::from(name))
            .chain(values.iter().map(cell))
            .collect();
        cells
    };
    for corruption in &results.settings.corruptions {
        table = table.row(row(corruption, &|found| {
            Some(found.auc.get(corruption)?.mean)
        }));
    }
    table.row(row("out of distribution", &|found| {
        Some(found.out_of_distribution_auc.mean)
    }))
}

fn missing(results: &Results, kind: EstimatorKind) -> String {
    let shares: Vec<String> = results
        .data
        .modes
        .iter()
        .filter_map(|mode| {
            let below = &found(results, mode, kind)?.below_missing;
            Some(format!(
                "{:.0} % of the clean rows of {mode}",
                100. * below.mean
            ))
        })
        .collect();
    format!(
        "A missing mode, taken for zeros, has more energy than {}.",
        shares.join(" and than ")
    )
}
