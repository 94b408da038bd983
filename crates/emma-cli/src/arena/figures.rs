//! The arena's figures.

use super::results::{LearnerResults, OURS, RegimeResults, Results};
use super::table::by_mean;
use crate::experiment3::conditions::{BOTH, NOISE_LEVELS, UNCORRUPTED, noise_name};
use crate::failure::CommandResult;
use crate::figures::{Axis, Bars, Chart, Estimate, Figure, Line};

/// Learners that are drawn over noise, beside ours and the best other.
const ALWAYS_DRAWN: [&str; 2] = ["base", "emma"];

/// Panels side by side, at most.
const MOST_IN_A_ROW: usize = 3;

/// All figures by file name.
pub(crate) fn figures(results: &Results) -> CommandResult<Vec<(String, Figure)>> {
    let mut figures = vec![(
        "critical_difference".to_owned(),
        critical_difference(results),
    )];
    for (regime, found) in &results.regimes {
        let name = format!("f1_over_noise_{regime}");
        figures.push((name, f1_over_noise(results, regime, found)?));
    }
    Ok(figures)
}

/// Mean ranks; learners whose bars do not overlap differ by more than the critical difference.
fn critical_difference(results: &Results) -> Figure {
    let mut figure = Figure::new(
        "",
        "Mean rank of every learner over conditions, 1 the best, one panel a training regime. Bars are \
         half of Nemenyi's critical difference to either side: learners whose bars overlap are not told apart.",
    );
    for (place, (regime, found)) in results.regimes.iter().enumerate() {
        if place > 0 {
            figure = figure.next_row();
        }
        let mut names: Vec<&String> = found.learners.keys().collect();
        let rank = |name: &str| found.learners[name].mean_rank;
        names.sort_by(|a, b| rank(a).total_cmp(&rank(b)));
        let half = found.critical_difference.map_or(0., |whole| whole / 2.);
        let ranks: Vec<Estimate> = names
            .iter()
            .map(|name| Estimate::with_half_width(rank(name), half))
            .collect();
        let bars = Bars::new(
            Axis::dimensionless("learner"),
            names.into_iter().map(|name| name.replace('_', " ")),
            Axis::dimensionless("mean rank (1 is best)"),
        )
        .title(format!("{regime} training"))
        .points()
        .series("mean rank", ranks);
        figure = figure.panel(bars);
    }
    figure.size(1000., 420. * results.regimes.len() as f64)
}

/// F1 over noise on each mode and on all, of a few learners and the oracle.
fn f1_over_noise(results: &Results, regime: &str, found: &RegimeResults) -> CommandResult<Figure> {
    let mut drawn = vec![OURS.to_owned()];
    let best_other = by_mean(found).into_iter().find(|name| name != OURS);
    drawn.extend(best_other);
    for name in ALWAYS_DRAWN {
        if !drawn.iter().any(|drawn| drawn == name) {
            drawn.push(name.to_owned());
        }
    }
    let mut figure = Figure::new(
        "",
        format!(
            "F1 on test rows over the noise, after {regime} training, one panel for noise on each mode and one for \
             noise on all."
        ),
    );
    let places: Vec<&str> = results
        .settings
        .data
        .modes
        .iter()
        .map(String::as_str)
        .chain([BOTH])
        .collect();
    let n_rows = places.len().div_ceil(MOST_IN_A_ROW);
    for (number, place) in places.into_iter().enumerate() {
        if number > 0 && number.is_multiple_of(MOST_IN_A_ROW) {
            figure = figure.next_row();
        }
        let mut chart = Chart::new(
            Axis::new("noise", "standard deviations of a feature"),
            Axis::dimensionless("F1"),
        )
        .title(format!(
            "noise on {}",
            if place == BOTH { "all modes" } else { place }
        ));
        for (look, name) in drawn.iter().enumerate() {
            let Some(learner) = found.learners.get(name) else {
                continue;
            };
            let line = Line::estimated(name.replace('_', " "), over_noise(learner, place)?);
            chart = chart.line(line.markers().look(look));
        }
        if let Some(oracle) = &results.oracle {
            let mut points = vec![(0., oracle.f1[UNCORRUPTED].mean)];
            for level in NOISE_LEVELS {
                points.push((level, oracle.f1[&noise_name(place, level)?].mean));
            }
            chart = chart.line(Line::new("oracle", points).look(drawn.len()));
        }
        figure = figure.panel(chart);
    }
    Ok(figure.size(1100., 420. * n_rows as f64))
}

fn over_noise(learner: &LearnerResults, place: &str) -> CommandResult<Vec<(f64, Estimate)>> {
    let estimate = |name: &str| {
        let f1 = &learner.f1[name];
        Estimate::with_half_width(f1.mean, f1.ci95.unwrap_or(0.))
    };
    let mut points = vec![(0., estimate(UNCORRUPTED))];
    for level in NOISE_LEVELS {
        points.push((level, estimate(&noise_name(place, level)?)));
    }
    Ok(points)
}
