//! `report.html` of experiment 1.

use super::results::Results;
use super::table::format;
use crate::experiment::estimators::EstimatorKind;
use crate::experiment::over_seeds::OverSeeds;
use crate::figures::Figure;
use crate::html_report::{Cell, Column, Report, Section, Table};

/// The page. `figures` are taken by their file names.
pub(crate) fn report(results: &Results, figures: &[(String, Figure)]) -> Report {
    let settings = &results.settings;
    let n_seeds = results.seeds.len();
    let command = format!("cargo xtask experiment1 --seeds {n_seeds}");
    let with_figure = |section: Section, name: &str, caption: String| match figures
        .iter()
        .find(|(known, _)| known == name)
    {
        Some((_, figure)) => section.figure(figure.clone(), caption),
        None => section,
    };
    let sink = |kind: EstimatorKind| {
        let circle = results.manifolds.get("circle")?;
        circle.estimators.get(kind.name())?.false_sink.clone()
    };
    let words = |figure: Option<OverSeeds>| figure.map_or("unknown".into(), |f| format(&f));
    let training = &settings.setup.autoencoder.training;
    let mut report = Report::new(
        "Experiment 1: energies on a wave and on a circle",
        "Section 4.3 of the thesis: a denoising autoencoder learns a curve in the plane; what do its two \
         estimators of outlyingness know of the curve?",
    )
    .fact("Seeds", format!("{:?}", results.seeds))
    .fact("Samples", format!("{} a manifold, without noise", settings.n_samples))
    .fact(
        "Autoencoder",
        format!(
            "{} hidden units; {} epochs, batches of {}, noise {}, Adam {}",
            settings.setup.autoencoder.n_hidden,
            training.n_epochs,
            training.batch_size,
            training.noise_std,
            training.learning_rate
        ),
    )
    .fact("emma", settings.version.clone());

    let section = Section::new("What is learned from?").answer(format!(
        "From {} points of each of two curves, of which {} are drawn here.",
        settings.n_samples, 200
    ));
    let caption = "200 of the samples, as in figure 4.5 of the thesis.".to_owned();
    report = report.section(with_figure(section, "samples", caption));

    let alignments: Vec<String> = results
        .manifolds
        .iter()
        .map(|(name, found)| format!("{} for the {name}", format(&found.field_alignment)))
        .collect();
    let section = Section::new("Does the reconstruction point back to the curve?").answer(format!(
        "The mean cosine between r(x) − x and the way to the nearest point of the curve is {} (mean over \
         seeds ± half-width of its 95 % interval).",
        alignments.join(", ")
    ));
    let caption =
        "What the autoencoder of the first seed moves points by. In the circle's centre lies a \
                   source: arrows point away from it and are short around it."
            .to_owned();
    report = report.section(with_figure(section, "fields", caption));

    let mut section = Section::new("Which estimator is fooled by the centre of the circle?")
        .answer(format!(
            "The reconstruction error is, the potential is not: the depth of the false sink is {} for the \
             one and {} for the other, where 1 is as low as the curve itself and 0 is no sink.",
            words(sink(EstimatorKind::ReconstructionError)),
            words(sink(EstimatorKind::PotentialEnergy))
        ))
        .table(table(results));
    for kind in &settings.estimators {
        let name = format!("energy_{}", kind.name());
        let caption = format!("{} over the plane, first seed.", kind.sentence_title());
        section = with_figure(section, &name, caption);
    }
    let section = section
        .note(
            "Depth of the false sink: how far energy must rise to leave the source of the field in the easiest \
             direction, as a share of how far that pass lies above the curve. AUC: telling \
             points on the curve from points of the mesh at least 0.25 away from it. Negative: share of points on \
             the curve whose energy is below zero, which the neglected constant of eq. 4.7 allows.",
        )
        .command(command);
    report.section(section)
}

fn table(results: &Results) -> Table {
    let columns = [
        Column::words("manifold"),
        Column::words("estimator"),
        Column::numbers("AUC"),
        Column::numbers("negative"),
        Column::numbers("false sink"),
    ];
    let caption = "Mean over seeds ± half-width of the 95 % interval.";
    let mut table = Table::new(caption, columns);
    for (manifold, found) in &results.manifolds {
        for kind in &results.settings.estimators {
            let Some(estimator) = found.estimators.get(kind.name()) else {
                continue;
            };
            table = table.row([
                Cell::from(manifold.as_str()),
                Cell::from(kind.title()),
                Cell::from(format(&estimator.auc)),
                Cell::from(format(&estimator.negative)),
                Cell::from(estimator.false_sink.as_ref().map_or("–".into(), format)),
            ]);
        }
    }
    table
}
