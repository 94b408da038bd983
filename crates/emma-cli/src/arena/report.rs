//! `report.html` of the arena.

use std::fmt::Write as _;

use super::figures::{figures, mean_f1};
use super::results::{OURS, RegimeResults, Results};
use super::table::by_mean;
use crate::experiment::data::describe;
use crate::experiment::over_seeds::{OverSeeds, seed_options};
use crate::experiment3::results::MEAN_OVER_CONDITIONS;
use crate::failure::CommandResult;
use crate::html_report::{Cell, Column, Report, Section, Table};

/// A difference is one that these seeds show if its adjusted p-value is below this.
const LEVEL: f64 = 0.05;

/// The page.
pub(crate) fn report(results: &Results) -> CommandResult<Report> {
    let settings = &results.settings;
    let report = Report::new(
        "Arena: EMMA+ and its rivals under faults",
        "Which way to fuse modes keeps predictions right under faults that nobody trained for? All learners have \
         the same rows, about the same number of parameters, and the same number of combinations to choose \
         from.",
    );
    let mut report = describe(report, &settings.data)
        .fact("Seeds", format!("{:?}", settings.seeds))
        .fact("emma", settings.version.clone());
    let figures = figures(results)?;
    let figure = |name: &str| {
        let found = figures.iter().find(|(known, _)| known == name);
        found.map(|(_, figure)| figure.clone())
    };
    for (regime, found) in &results.regimes {
        let mut section = Section::new(format!("Who is best after {regime} training?"))
            .answer(best(results, found))
            .table(learners(found))
            .table(gains(found));
        if let Some(figure) = figure(&format!("f1_over_noise_{regime}")) {
            section = section.figure(
                figure,
                "F1 over the noise; bands are 95 % intervals over seeds. Oracle: the better of two strong models \
                 trained on exactly that condition.",
            );
        }
        report = report.section(section.table(conditions(results, found)));
    }
    let mut section = Section::new("Who differs from whom?").answer(
        "Learners whose bars overlap are not told apart by Nemenyi's test. It takes the conditions for independent data sets, which \
         they are not, so that bars that just part prove little; the paired tests over seeds above are the better ones.",
    );
    if let Some(figure) = figure("critical_difference") {
        section = section.figure(figure, "Mean ranks over conditions.");
    }
    Ok(report
        .section(section)
        .section(
            Section::new("How is it made again?")
                .answer("By one command; hyper-parameters are those that the other chose on validation rows.")
                .command(format!(
                    "cargo xtask arena --data {} {}",
                    settings.data.source,
                    seed_options(&settings.seeds)
                ))
                .command("cargo xtask arena --seeds 2 tune"),
        ))
}

fn best(results: &Results, found: &RegimeResults) -> String {
    let order = by_mean(found);
    let Some(first) = order.first() else {
        return "Nobody took part.".into();
    };
    let words = |name: &str| found.learners[name].f1[MEAN_OVER_CONDITIONS].words();
    let mut text = format!(
        "{} has the highest mean F1 over all {} conditions, {}",
        first.replace('_', " "),
        results.conditions.len(),
        words(first)
    );
    if let Some(ratio) = &found.learners[first].of_oracle {
        let _ = write!(text, ", {} of the oracle's", ratio.words());
    }
    text += ".";
    let rival = order.iter().find(|name| *name != OURS);
    if let Some(rival) = rival
        && let Some(gain) = found.gains.iter().find(|gain| gain.over == *rival)
    {
        let _ = write!(
            text,
            " EMMA+ less the best other learner, {}: {}.",
            rival.replace('_', " "),
            gain.difference.words()
        );
    }
    text
}

fn learners(found: &RegimeResults) -> Table {
    let columns = [
        "mean F1",
        "of oracle",
        "mean rank",
        "validation F1",
        "parameters",
    ];
    let columns = std::iter::once(Column::words("learner"))
        .chain(columns.map(Column::numbers))
        .collect::<Vec<_>>();
    let mut table = Table::new(
        "Mean over seeds ± half-width of the 95 % interval.",
        columns,
    );
    for name in by_mean(found) {
        let learner = &found.learners[&name];
        let ratio = learner.of_oracle.as_ref().map(OverSeeds::words);
        table = table.row([
            Cell::from(name.replace('_', " ")),
            Cell::from(learner.f1[MEAN_OVER_CONDITIONS].words()),
            Cell::from(ratio.unwrap_or_else(|| "–".into())),
            Cell::from(format!("{:.2}", learner.mean_rank)),
            Cell::from(learner.validation_f1.words()),
            Cell::from(learner.n_parameters.to_string()),
        ]);
    }
    table
}

fn gains(found: &RegimeResults) -> Table {
    let columns = vec![
        Column::words("EMMA+ less"),
        Column::numbers("mean F1"),
        Column::numbers("p, Holm"),
    ];
    let mut table = Table::new(
        "Paired differences of the mean F1 over all conditions; Wilcoxon's signed-rank test over seeds, adjusted \
         for all rivals.",
        columns,
    )
    .meanings("", "p below .05 after Holm's adjustment");
    for gain in &found.gains {
        let difference = Cell::from(gain.difference.words());
        let difference = if gain.p_holm < LEVEL {
            difference.significant()
        } else {
            difference
        };
        table = table.row([
            Cell::from(gain.over.replace('_', " ")),
            difference,
            Cell::from(format!("{:.4}", gain.p_holm)),
        ]);
    }
    table
}

fn conditions(results: &Results, found: &RegimeResults) -> Table {
    let order = by_mean(found);
    let mut columns = vec![Column::words("condition")];
    if results.oracle.is_some() {
        columns.push(Column::numbers("oracle"));
    }
    columns.extend(
        order
            .iter()
            .map(|name| Column::numbers(name.replace('_', " "))),
    );
    let mut table = Table::new("F1 by condition, mean over seeds.", columns)
        .meanings("the highest of the row", "");
    for condition in &results.conditions {
        let of = |name: &String| found.learners[name].f1[condition].mean;
        let highest = order.iter().map(of).fold(f64::NEG_INFINITY, f64::max);
        let mut cells = vec![Cell::from(condition.as_str())];
        if let Some(oracle) = &results.oracle {
            cells.push(Cell::from(format!("{:.3}", oracle.f1[condition].mean)));
        }
        cells.extend(order.iter().map(|name| {
            let printed = format!("{:.3}", of(name));
            let is_best = printed == format!("{highest:.3}");
            let cell = Cell::from(printed);
            if is_best { cell.best() } else { cell }
        }));
        table = table.row(cells);
    }
    let mut cells = vec![Cell::from("mean")];
    if let Some(oracle) = &results.oracle {
        cells.push(Cell::from(format!(
            "{:.3}",
            oracle.f1[MEAN_OVER_CONDITIONS].mean
        )));
    }
    cells.extend(
        order
            .iter()
            .map(|name| Cell::from(format!("{:.3}", mean_f1(&found.learners[name])))),
    );
    table.row(cells)
}
