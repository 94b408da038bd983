//! `report.html` of the arena.

use std::fmt::Write as _;

use super::figures::figures;
use super::results::{OURS, RegimeResults, Results};
use super::settings::tuning_command;
use super::standing::{self, Standing, standings};
use super::table::{by_mean, upper_mark};
use crate::experiment::data::describe;
use crate::experiment::over_seeds::seed_options;
use crate::experiment3::results::{ByCondition, MEAN_OVER_CONDITIONS};
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
         the same rows and the same number of combinations to choose from; how many parameters each has is in the \
         tables.",
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
                if results.oracle.is_some() {
                    "F1 over the noise; bands are 95 % intervals over seeds. Oracle: the better of two strong models \
                     trained on exactly that condition."
                } else {
                    "F1 over the noise; bands are 95 % intervals over seeds."
                },
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
                .command(tuning_command(&settings.data.source)),
        ))
}

fn best(results: &Results, found: &RegimeResults) -> String {
    let order = by_mean(found);
    let Some(first) = order.first() else {
        return "Nobody took part.".into();
    };
    let words = |name: &str| found.learners[name].f1[MEAN_OVER_CONDITIONS].words();
    let among = if found.from_script.is_some() {
        "of the learners on the same draws, "
    } else {
        ""
    };
    let mut text = format!(
        "{} has, {among}the highest mean F1 over all {} conditions, {}",
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
    if let Some(script) = &found.from_script {
        for gain in &script.gains {
            let _ = write!(
                text,
                " EMMA+ less {}, which a script has trained: {}.",
                gain.over.replace('_', " "),
                gain.difference.words()
            );
        }
    }
    if let Some(mark) = upper_mark(results) {
        let _ = write!(text, " {mark}");
    }
    text
}

/// What a table is about, with the meaning of its marks.
fn caption(text: &str, found: &RegimeResults) -> String {
    match standing::note(found) {
        Some(note) => format!("{text} {note}."),
        None => text.into(),
    }
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
        caption("Mean over seeds ± half-width of the 95 % interval.", found),
        columns,
    );
    for learner in standings(found) {
        table = table.row([
            Cell::from(learner.name().replace('_', " ")),
            Cell::from(learner.mean().words()),
            Cell::from(learner.of_oracle()),
            Cell::from(learner.rank()),
            Cell::from(learner.validation_f1()),
            Cell::from(learner.n_parameters()),
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
        caption(
            "Paired differences of the mean F1 over all conditions; Wilcoxon's signed-rank test over seeds, adjusted \
             for all learners of the same kind, those of the arena and those of a script apart.",
            found,
        ),
        columns,
    )
    .meanings("", "p below .05 after Holm's adjustment");
    for (over, gain) in standing::gains(found) {
        let difference = Cell::from(gain.difference.words());
        let difference = if gain.p_holm < LEVEL {
            difference.significant()
        } else {
            difference
        };
        table = table.row([
            Cell::from(over.replace('_', " ")),
            difference,
            Cell::from(format!("{:.4}", gain.p_holm)),
        ]);
    }
    table
}

fn conditions(results: &Results, found: &RegimeResults) -> Table {
    let order = standings(found);
    let marks = [
        ("oracle", results.oracle.as_ref().map(|oracle| &oracle.f1)),
        (
            "LightGBM of all conditions",
            results
                .lightgbm_of_all_conditions
                .as_ref()
                .map(|mark| &mark.f1),
        ),
    ];
    let marks: Vec<_> = marks
        .into_iter()
        .filter_map(|(name, f1)| Some((name, f1?)))
        .collect();
    let columns: Vec<Column> = std::iter::once(Column::words("condition"))
        .chain(marks.iter().map(|(name, _)| Column::numbers(*name)))
        .chain(
            order
                .iter()
                .map(|learner| Column::numbers(learner.name().replace('_', " "))),
        )
        .collect();
    let about = caption("F1 by condition, mean over seeds.", found);
    let mut table = Table::new(about, columns).meanings("the highest of the row", "");
    for condition in &results.conditions {
        let of = |learner: &Standing<'_>| learner.f1[condition].mean;
        let highest = order.iter().map(of).fold(f64::NEG_INFINITY, f64::max);
        let mut cells = vec![Cell::from(condition.as_str())];
        cells.extend(marks.iter().map(|(_, f1)| mean_cell(f1, condition)));
        cells.extend(order.iter().map(|learner| {
            let printed = format!("{:.3}", of(learner));
            let is_best = printed == format!("{highest:.3}");
            let cell = Cell::from(printed);
            if is_best { cell.best() } else { cell }
        }));
        table = table.row(cells);
    }
    let f1s = marks.iter().map(|(_, f1)| *f1);
    let f1s = f1s.chain(order.iter().map(|learner| learner.f1));
    let cells = f1s.map(|f1| mean_cell(f1, MEAN_OVER_CONDITIONS));
    table.row(std::iter::once(Cell::from("mean")).chain(cells))
}

fn mean_cell(f1: &ByCondition, condition: &str) -> Cell {
    Cell::from(format!("{:.3}", f1[condition].mean))
}
