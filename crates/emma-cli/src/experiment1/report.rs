//! `report.html` of experiment 1.

use super::results::Results;
use crate::experiment::estimators::EstimatorKind;
use crate::experiment::over_seeds::{OverSeeds, seed_options};
use crate::figures::Figure;
use crate::html_report::{Cell, Column, Report, Section, Table};

/// The page. `figures` are taken by their file names.
pub(crate) fn report(results: &Results, figures: &[(String, Figure)]) -> Report {
    let settings = &results.settings;
    let command = format!(
        "cargo xtask experiment1 {} --samples {}",
        seed_options(&results.seeds),
        settings.n_samples
    );
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
    let words =
        |figure: Option<OverSeeds>| figure.map_or("unknown".into(), |figure| figure.words());
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
    .fact(
        "Integrable energy",
        format!(
            "{} epochs, batches of {}, noise {:?}, Adam {}",
            settings.setup.integrable.n_epochs,
            settings.setup.integrable.batch_size,
            settings.setup.integrable.noise_stds,
            settings.setup.integrable.learning_rate
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
        .map(|(name, found)| format!("{} for the {name}", found.field_alignment.words()))
        .collect();
    let section = Section::new("Does the reconstruction point back to the curve?").answer(format!(
        "The mean cosine between r(x) − x and the way to the nearest point of the curve is {} (mean over \
         seeds ± half-width of its 95 % interval).",
        alignments.join(", ")
    ));
    let caption =
        "What the autoencoder of the first seed moves points by. Where arrows point away \
                   from a place and are short around it lies a source."
            .to_owned();
    report = report.section(with_figure(section, "fields", caption));

    let mut section = Section::new("Which estimator is fooled by the center of the circle?")
        .answer(format!(
            "{} The depth of the false sink is {} for the reconstruction error and {} for the potential, where \
             1 is as low as the curve itself and 0 is no sink.",
            verdict(
                sink(EstimatorKind::ReconstructionError),
                sink(EstimatorKind::PotentialEnergy)
            ),
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

/// Which of the two has the false sink, as far as the depths show it.
fn verdict(reconstruction: Option<OverSeeds>, potential: Option<OverSeeds>) -> &'static str {
    let [reconstruction, potential] =
        [reconstruction, potential].map(|depth| depth.map_or(f64::NAN, |depth| depth.mean));
    if reconstruction > 0.5 && potential < 0.1 {
        "The reconstruction error is, the potential is not."
    } else if reconstruction > potential {
        "The reconstruction error more than the potential."
    } else {
        "Not the reconstruction error more than the potential, as the thesis has it."
    }
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
                Cell::from(estimator.auc.words()),
                Cell::from(estimator.negative.words()),
                Cell::from(
                    estimator
                        .false_sink
                        .as_ref()
                        .map_or("–".into(), OverSeeds::words),
                ),
            ]);
        }
    }
    table
}
