//! What the hyper-parameters change, on validation rows.

use super::{Drawn, estimate};
use crate::experiment::over_seeds::OverSeeds;
use crate::experiment3::close_look::EMMA;
use crate::experiment3::findings::mean_where;
use crate::experiment3::results::{CandidateResults, Results, SweepResults};
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

/// The Yerkes-Dodson curve, and the capacity: over the coldness, without regularizers. None for results of
/// versions that had no sweep.
pub(super) fn coldness(results: &Results) -> Option<Drawn> {
    let sweep = &results.models.get(EMMA)?.coldness_sweep;
    if sweep.len() < 2 {
        return None;
    }
    let chart = |y: Axis, figure: fn(&SweepResults) -> &OverSeeds| {
        let points = sweep
            .iter()
            .map(|point| (point.coldness, estimate(figure(point))));
        Chart::new(Axis::dimensionless("coldness ρ").logarithmic(), y)
            .line(Line::estimated("", points).error_bars().markers())
    };
    let figure = Figure::new(
        "",
        "F1 of the validation rows, and the capacity that was learned, over the coldness of EMMA, with \
         intervals.",
    );
    Some(Drawn {
        name: "coldness",
        figure: figure
            .panel(chart(f1_axis(), |point| &point.validation_f1))
            .panel(chart(Axis::dimensionless("capacity"), |point| {
                &point.rectified_capacity
            }))
            .size(860., 360.),
        caption: "Yerkes-Dodson: F_{1} on validation rows over the coldness (left), and the capacity that \
                  training leaves the attention function, its integral over all importances (right); without \
                  regularizers, bars are 95 % intervals over seeds."
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
