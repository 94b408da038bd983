//! What the hyper-parameters change, on validation rows.

use super::{Drawn, estimate};
use crate::experiment3::close_look::EMMA;
use crate::experiment3::findings::mean_where;
use crate::experiment3::results::{CandidateResults, Results};
use crate::figures::{Axis, Bars, Chart, Estimate, Figure, Line};

fn candidates(results: &Results) -> &[CandidateResults] {
    results
        .models
        .get(EMMA)
        .map_or(&[], |model| &model.grid[..])
}

fn f1_axis() -> Axis {
    Axis::dimensionless("F_{1} of validation rows")
}

/// The Yerkes-Dodson curve: over the coldness. None if the grid has one value.
pub(super) fn coldness(results: &Results) -> Option<Drawn> {
    let values = &results.settings.coldness;
    if values.len() < 2 {
        return None;
    }
    let points = values.iter().filter_map(|&coldness| {
        let mean = mean_where(candidates(results), "coldness", coldness)?;
        Some((coldness, estimate(&mean)))
    });
    let chart = Chart::new(Axis::dimensionless("coldness ρ").logarithmic(), f1_axis())
        .line(Line::estimated("", points).error_bars().markers());
    Some(Drawn {
        name: "coldness",
        figure: Figure::new(
            "",
            "F1 of the validation rows over the coldness of EMMA, with intervals.",
        )
        .panel(chart)
        .size(640., 380.),
        caption: "Yerkes-Dodson: F_{1} on validation rows over the coldness, mean over the other \
                  hyper-parameters of the grid; bars are 95 % intervals over seeds."
            .into(),
    })
}

/// The influence of each regularizer. None if the grid has none.
pub(super) fn regularizers(results: &Results) -> Option<Drawn> {
    let grid = &results.settings.grid;
    if grid.lambda_c.len() < 2 && grid.lambda_e.len() < 2 {
        return None;
    }
    let mut figure = Figure::new(
        "",
        "F1 of the validation rows by the weight of the capacity regularizer, and by that of the energy \
         regularizer, with intervals.",
    );
    for (name, title, weights) in [
        ("lambda_c", "capacity weight λ_{c}", &grid.lambda_c),
        ("lambda_e", "energy weight λ_{e}", &grid.lambda_e),
    ] {
        let names = weights.iter().map(|weight| {
            if *weight > 0. {
                weight.to_string()
            } else {
                "none".into()
            }
        });
        let value = |&weight: &f64| {
            let mean = mean_where(candidates(results), name, weight);
            mean.map_or(Estimate::exact(f64::NAN), |mean| estimate(&mean))
        };
        let bars = Bars::new(Axis::dimensionless(title), names, f1_axis()).points();
        figure = figure.panel(bars.series("", weights.iter().map(value)));
    }
    Some(Drawn {
        name: "regularizers",
        figure: figure.size(860., 360.),
        caption: "Influence of the regularizers: F_{1} on validation rows, mean over the other \
                  hyper-parameters of the grid; bars are 95 % intervals over seeds."
            .into(),
    })
}
