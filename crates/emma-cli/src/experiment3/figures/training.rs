//! How training went, and what the models confuse, first seed.

use super::{Drawn, Evidence, look_of};
use crate::experiment3::conditions::UNCORRUPTED;
use crate::figures::{Axis, Chart, ColorScale, Figure, Line, Matrix, Palette};
use crate::text::thousands;

/// Loss over epochs.
pub(super) fn losses(evidence: &Evidence) -> Drawn {
    let modes = &evidence.results.data.modes;
    let chart = |title: &str| {
        Chart::new(
            Axis::dimensionless("epoch"),
            Axis::new("loss", "nats").logarithmic(),
        )
        .title(title)
    };
    let (mut training, mut validation) = (chart("training rows"), chart("validation rows"));
    for (name, _) in crate::experiment3::report::models(evidence.results) {
        let Some(model) = evidence.first.models.get(&name) else {
            continue;
        };
        let look = look_of(&name, modes);
        let epochs = &model.history.epochs;
        let points = epochs
            .iter()
            .map(|epoch| (epoch.epoch as f64, epoch.training));
        training = training.line(Line::new(name.as_str(), points).look(look));
        let points = epochs
            .iter()
            .map(|epoch| (epoch.epoch as f64, epoch.validation));
        validation = validation.line(Line::new(name, points).look(look));
    }
    Drawn {
        name: "training",
        figure: Figure::new(
            "",
            "Loss of every model over the epochs of training, on training and on validation rows.",
        )
        .panel(training)
        .panel(validation)
        .size(860., 420.),
        caption: format!(
            "Training curves of seed {}. Models that learn from corrupted rows are validated on such rows, so \
             that losses compare within the clean and within the corrupted models alone.",
            evidence.first.seed
        ),
    }
}

/// Confusion matrices of `with` and `base`, clean and with noise on the first mode.
pub(super) fn confusion(evidence: &Evidence) -> Drawn {
    let noisy = evidence.results.data.modes.first();
    let mut conditions = vec![(UNCORRUPTED, "uncorrupted".to_owned())];
    conditions.extend(noisy.map(|mode| (mode.as_str(), format!("{mode} noisy"))));
    let classes = || ["other", "pulsar"];
    let mut figure = Figure::new(
        "",
        "Counts of test rows by their class and the predicted class, of with and base, uncorrupted and with \
         noise on the first mode.",
    );
    for (index, (condition, title)) in conditions.iter().enumerate() {
        if index > 0 {
            figure = figure.next_row();
        }
        for name in ["base", "with"] {
            let counts = evidence.first.models.get(name);
            let Some(counts) = counts.and_then(|model| model.test.get(*condition)) else {
                continue;
            };
            let counts = counts.counts;
            let cells = [
                (counts.true_negatives, counts.false_positives),
                (counts.false_negatives, counts.true_positives),
            ];
            let shares = cells.iter().flat_map(|&(other, pulsar)| {
                let all = (other + pulsar) as f64;
                [other as f64 / all, pulsar as f64 / all]
            });
            let scale = ColorScale::new(
                Axis::dimensionless("share of the class").range(0., 1.),
                Palette::Sequential,
            );
            let names = cells
                .iter()
                .zip(classes())
                .map(|((other, pulsar), class)| format!("{class}, {}", thousands(other + pulsar)));
            figure = figure.panel(
                Matrix::new(
                    (Axis::dimensionless("class"), names),
                    (Axis::dimensionless("predicted"), classes()),
                    shares.collect(),
                    scale,
                )
                .decimals(3)
                .title(format!("{name}, {title}")),
            );
        }
    }
    Drawn {
        name: "confusion",
        figure: figure.size(860., 430.),
        caption: format!(
            "Confusion matrices of seed {}: shares of the test rows of a class; how many there are stands beside \
             it. Noise of standard deviation {}.",
            evidence.first.seed, evidence.results.settings.noise_std
        ),
    }
}
