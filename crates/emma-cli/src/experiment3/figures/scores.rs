//! F1 of every model in every condition.

use emma_models::Metric;

use super::{Drawn, estimate, look_of, noise_axis, place_title, places};
use crate::experiment3::close_look::noise_conditions;
use crate::experiment3::conditions::{BOTH, FAULTS, UNCORRUPTED};
use crate::experiment3::report::models;
use crate::experiment3::results::{MEAN_OVER_CONDITIONS, Results};
use crate::failure::CommandResult;
use crate::figures::{Axis, Bars, Chart, Estimate, Figure, Line};

fn f1_axis() -> Axis {
    Axis::dimensionless("F_{1} of test rows")
}

/// Robustness generalization: a panel for each place of the noise, and the mean over all conditions.
pub(super) fn over_noise(results: &Results) -> CommandResult<Drawn> {
    let modes = &results.data.modes;
    let mut figure = Figure::new(
        "",
        "F1 of the test rows over the standard deviation of noise on ip, on dm and on both modes, one line a \
         model, beside the F1 of the models that see one mode alone. The last panel has the mean over all \
         conditions.",
    );
    for (index, place) in places(modes).enumerate() {
        if index > 0 && index % 2 == 0 {
            figure = figure.next_row();
        }
        let conditions = noise_conditions(place)?;
        let mut chart = Chart::new(noise_axis(), f1_axis().range(0., 1.)).title(place_title(place));
        for (name, model) in models(results) {
            let f1 = model.measures.get(Metric::F1);
            // What a model does not see does not touch it: a line across is all there is to draw.
            let unseen = modes.iter().any(|mode| *mode == place)
                && name.ends_with("_only")
                && name != format!("{place}_only");
            if unseen {
                if let Some(clean) = f1.get(UNCORRUPTED) {
                    chart = chart.horizontal_line(clean.mean, name.as_str());
                }
                continue;
            }
            let points = conditions
                .iter()
                .filter_map(|(level, name)| Some((*level, estimate(f1.get(name)?))));
            let look = look_of(&name, modes);
            chart = chart.line(Line::estimated(name, points).look(look));
        }
        if place == BOTH {
            for mode in modes {
                let name = format!("{mode}_only");
                let clean = results.models.get(&name);
                let clean = clean.and_then(|model| model.measures.get(Metric::F1).get(UNCORRUPTED));
                if let Some(clean) = clean {
                    chart = chart.horizontal_line(clean.mean, format!("{name}, clean"));
                }
            }
        }
        if let Some(oracle) = &results.oracle {
            let points = conditions
                .iter()
                .filter_map(|(level, name)| Some((*level, oracle.f1.get(name)?.mean)));
            let look = look_of("oracle", modes);
            chart = chart.line(Line::new("oracle", points).markers().look(look));
        }
        figure = figure.panel(chart);
    }
    figure = figure.panel(mean_over_conditions(results));
    let oracle = if results.oracle.is_some() {
        " Oracle: the better of two strong models trained on exactly that noise."
    } else {
        ""
    };
    Ok(Drawn {
        name: "robustness_over_noise",
        figure: figure.size(860., 830.),
        caption: format!(
            "Robustness generalization: F_{{1}} over noise, of models that learned with noise {} on one mode \
             at a time. Bands are 95 % intervals over seeds. Broken lines across: the limit of a single clean \
             mode.{oracle} Last panel: mean over {} conditions.",
            results.settings.noise_std,
            results.conditions.len()
        ),
    })
}

fn mean_over_conditions(results: &Results) -> Bars {
    let all = format!("all {}", results.conditions.len());
    let mut bars = Bars::new(
        Axis::dimensionless("conditions"),
        [all],
        Axis::dimensionless("F_{1}, mean over conditions"),
    )
    .title("mean over all conditions")
    .points();
    for (name, model) in models(results) {
        let mean = model.mean_over_conditions.get(Metric::F1.name());
        let mean = mean.map_or(Estimate::exact(f64::NAN), estimate);
        let look = look_of(&name, &results.data.modes);
        bars = bars.series_with_look(name, [mean], look);
    }
    let oracle = results.oracle.as_ref();
    if let Some(mean) = oracle.and_then(|oracle| oracle.f1.get(MEAN_OVER_CONDITIONS)) {
        bars = bars.horizontal_line(mean.mean, "oracle");
    }
    bars
}

/// The faults that are no Gaussian noise.
pub(super) fn other_faults(results: &Results) -> Drawn {
    let modes = &results.data.modes;
    let mut figure = Figure::new(
        "",
        "F1 of the test rows of every model where a mode is missing, shifted, has features dropped, has \
         outliers, or belongs to another row; one panel a mode.",
    );
    for (index, mode) in modes.iter().enumerate() {
        if index > 0 {
            figure = figure.next_row();
        }
        let titles = FAULTS.map(|fault| fault.replace(['_', ':'], " "));
        let fault = Axis::dimensionless(format!("fault of {mode}"));
        let mut bars = Bars::new(fault, titles, f1_axis().range(0., 1.)).title(mode.as_str());
        for (name, model) in models(results) {
            let f1 = model.measures.get(Metric::F1);
            let value = |fault: &str| {
                let figure = f1.get(&format!("{mode}:{fault}"));
                figure.map_or(Estimate::exact(f64::NAN), estimate)
            };
            let look = look_of(&name, modes);
            bars = bars.series_with_look(name, FAULTS.map(value), look);
        }
        figure = figure.panel(bars);
    }
    Drawn {
        name: "robustness_other_faults",
        figure: figure.size(860., 700.),
        caption: "F_{1} under faults that no model has learned from; error bars are 95 % intervals over seeds."
            .into(),
    }
}
