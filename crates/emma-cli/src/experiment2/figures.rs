//! The figures of section 6.3.

use super::results::{EstimatorResults, Results};
use super::settings::Settings;
use crate::figures::{Axis, Chart, Estimate, Figure, Histogram, Line, bin_edges};

/// Bins of a histogram.
const BINS: usize = 50;

/// All figures by file name.
pub(crate) fn figures(results: &Results) -> Vec<(String, Figure)> {
    let mut figures = vec![("auc_over_noise".to_owned(), auc_over_noise(results))];
    for kind in &results.settings.estimators {
        let of_mode =
            |mode: &String| Some((mode.clone(), results.modes.get(mode)?.get(kind.name())?));
        let modes: Vec<(String, &EstimatorResults)> =
            results.data.modes.iter().filter_map(of_mode).collect();
        let figure = energies(kind.sentence_title(), &modes, &results.settings);
        figures.push((format!("energies_{}", kind.name()), figure));
    }
    figures
}

/// How well each estimator tells noisy rows, by the noise.
fn auc_over_noise(results: &Results) -> Figure {
    let mut figure = Figure::new(
        "",
        "Area under the ROC curve of telling clean rows from noisy ones, by the standard deviation of the \
         noise, one line an estimator and one panel a mode. All rise with the noise.",
    );
    for mode in &results.data.modes {
        let mut chart = Chart::new(
            Axis::new("noise", "standard deviations of a feature").logarithmic(),
            Axis::dimensionless("AUC, clean against noisy").range(0.5, 1.),
        )
        .title(mode.as_str());
        for (look, kind) in results.settings.estimators.iter().enumerate() {
            let Some(found) = results.modes.get(mode).and_then(|all| all.get(kind.name())) else {
                continue;
            };
            let points = found.auc.iter().filter_map(|(corruption, auc)| {
                let level: f64 = corruption.strip_prefix("noise:")?.parse().ok()?;
                Some((
                    level,
                    Estimate::with_half_width(auc.mean, auc.ci95.unwrap_or(0.)),
                ))
            });
            chart = chart.line(Line::estimated(kind.title(), points).markers().look(look));
        }
        figure = figure.panel(chart);
    }
    figure.size(860., 420.)
}

/// One estimator: rows of panels for what it thinks of noise and of foreign rows, one column a mode.
fn energies(title: &str, modes: &[(String, &EstimatorResults)], settings: &Settings) -> Figure {
    let energy = || Axis::dimensionless(title);
    let density = || Axis::dimensionless("density");
    let mut figure = Figure::new(
        "",
        format!(
            "{title} by mode. Above: its distribution for clean test rows and for rows with noise 0.5, which \
             lies to the right. Middle: its mean and the range of 80 % of the rows over the noise, rising. \
             Below: fitted to pulsars alone, its distribution for pulsars and for other candidates."
        ),
    );
    for (mode, found) in modes {
        figure = figure.panel(histograms(
            Chart::new(energy(), density()).title(format!("{mode}: clean and noisy rows")),
            [
                ("clean", &found.examples.clean),
                ("noise 0.5", &found.examples.noisy),
            ],
        ));
    }
    figure = figure.next_row();
    for (mode, found) in modes {
        let points = settings.noise_levels.iter().zip(&found.noise);
        let points = points.map(|(level, spread)| {
            (
                *level,
                Estimate::between(spread.mean, spread.low, spread.high),
            )
        });
        let noise = Axis::new("noise", "standard deviations of a feature");
        figure = figure.panel(
            Chart::new(noise, energy())
                .title(format!("{mode}: mean and 80 % of the rows"))
                .line(Line::estimated("", points).markers()),
        );
    }
    figure = figure.next_row();
    for (mode, found) in modes {
        figure = figure.panel(histograms(
            Chart::new(energy(), density()).title(format!("{mode}: fitted to pulsars alone")),
            [
                ("pulsars", &found.examples.positive),
                ("others", &found.examples.negative),
            ],
        ));
    }
    figure
}

/// Densities over a range that holds nearly all of the first and most of the second: energies have long
/// tails, and a few rows lie in ravines.
fn histograms(chart: Chart, [first, second]: [(&str, &Vec<f32>); 2]) -> Chart {
    let wide = |values: &[f32]| values.iter().copied().map(f64::from).collect::<Vec<_>>();
    let (first, second) = ((first.0, wide(first.1)), (second.0, wide(second.1)));
    let end = share_below(&first.1, 99).max(share_below(&second.1, 80));
    let start = share_below(&first.1, 1).min(share_below(&second.1, 1));
    let within = first
        .1
        .iter()
        .chain(&second.1)
        .filter(|energy| (start..=end).contains(*energy));
    let edges = bin_edges(within, BINS);
    let histogram = |(label, values): &(&str, Vec<f64>)| Histogram::new(*label, values, &edges);
    chart
        .histogram(histogram(&first))
        .histogram(histogram(&second))
}

/// The value that so many percent of the values lie below.
fn share_below(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = sorted.len().saturating_sub(1) * percent / 100;
    sorted.get(rank).copied().unwrap_or(f64::NAN)
}
