//! Which mode gets EMMA's attention.

use super::{Drawn, Evidence, estimate_if_all, look_of_mode};
use crate::experiment3::close_look::{ByMode, CELLS, DECIBELS};
use crate::experiment3::conditions::{UNCORRUPTED, noise_name};
use crate::failure::CommandResult;
use crate::figures::{
    Axis, Bars, Chart, ColorScale, Estimate, Figure, Grid, HeatMap, Line, Palette,
};

/// Noise of the attention shift.
const SHIFT_LEVELS: [f64; 2] = [0.5, 2.];

fn attention_axis() -> Axis {
    Axis::dimensionless("attention β").range(0., 1.)
}

fn decibel_axis(mode: &str) -> Axis {
    let (from, to) = DECIBELS;
    Axis::new(format!("noise-to-signal ratio of {mode}"), "dB").range(from, to)
}

/// What attention shifts between, with their titles: clean rows, and noise on each mode.
pub(crate) fn shift_conditions(modes: &[String]) -> CommandResult<Vec<(String, String)>> {
    let mut conditions = vec![("clean".to_owned(), UNCORRUPTED.to_owned())];
    for mode in modes {
        for level in SHIFT_LEVELS {
            conditions.push((format!("{mode} {level}"), noise_name(mode, level)?));
        }
    }
    Ok(conditions)
}

/// Importance and attention by mode, clean and noisy.
pub(super) fn shift(evidence: &Evidence) -> CommandResult<Drawn> {
    let modes = &evidence.results.data.modes;
    let conditions = shift_conditions(modes)?;
    let mut figure = Figure::new(
        "",
        "Mean importance and mean attention of each mode: for clean test rows, and with noise 0.5 and 2 on \
         either mode.",
    );
    let measures: [(&str, ByMode); 2] = [
        ("importance α", |look| &look.importance),
        ("attention β", |look| &look.attention),
    ];
    for (row, (title, measure)) in measures.into_iter().enumerate() {
        if row > 0 {
            figure = figure.next_row();
        }
        let names = conditions.iter().map(|(name, _)| name.as_str());
        let noisy = Axis::dimensionless("noisy mode and standard deviation of its noise");
        let mut bars = Bars::new(noisy, names, Axis::dimensionless(title).range(0., 1.));
        for (index, mode) in modes.iter().enumerate() {
            let value = |(_, condition): &(String, String)| {
                let per_seed = evidence.look.seeds.iter().map(|seed| {
                    let look = seed.conditions.get(condition)?;
                    measure(look).get(index).copied()
                });
                estimate_if_all(per_seed).unwrap_or(Estimate::exact(f64::NAN))
            };
            let values = conditions.iter().map(value);
            let look = look_of_mode(mode, modes);
            bars = bars.series_with_look(mode.as_str(), values, look);
        }
        figure = figure.panel(bars);
    }
    Ok(Drawn {
        name: "attention_shift",
        figure: figure.size(860., 640.),
        caption: "Attention shift: importance and attention by mode, means over test rows; error bars are 95 % \
                  intervals over seeds."
            .into(),
    })
}

/// Attention along the noise of one mode, first seed.
pub(super) fn along_noise(evidence: &Evidence) -> Option<Drawn> {
    let modes = &evidence.results.data.modes;
    let along = evidence.look.seeds.first()?.along_noise.as_ref()?;
    let mut figure = Figure::new(
        "",
        "Mean attention to each mode as the noise on one of them grows from -20 to 5 dB, one panel a noisy \
         mode.",
    );
    for noisy in modes {
        let mut chart =
            Chart::new(decibel_axis(noisy), attention_axis()).title(format!("noise on {noisy}"));
        for (index, mode) in modes.iter().enumerate() {
            let means = along.attention.get(noisy)?;
            let points = along.levels.iter().zip(means);
            let points = points.filter_map(|(level, means)| Some((*level, *means.get(index)?)));
            let line = Line::new(format!("attention to {mode}"), points).markers();
            chart = chart.line(line.look(look_of_mode(mode, modes)));
        }
        let trained = 20. * evidence.results.settings.noise_std.log10();
        figure = figure.panel(chart.vertical_line(trained, "training"));
    }
    Some(Drawn {
        name: "attention_along_noise",
        figure: figure.size(860., 380.),
        caption: format!(
            "Attention along noise: mean over {} test rows of seed {} (coldness {}), 20 log_{{10}} of the noise's \
             standard deviation.",
            along.rows,
            evidence.first.seed,
            evidence.look.seeds.first()?.learned.coldness
        ),
    })
}

/// Attention over noise on both modes, first seed.
pub(super) fn surface(evidence: &Evidence) -> Option<Drawn> {
    let modes = &evidence.results.data.modes;
    let along = evidence.look.seeds.first()?.along_noise.as_ref()?;
    let [first, second, ..] = &modes[..] else {
        return None;
    };
    let mut figure = Figure::new(
        "",
        "Mean attention to each mode over the noise on ip and the noise on dm, one panel a mode.",
    );
    // One scale for all, of the data: attention may change so little that it would show nothing else.
    let all = || along.surface.iter().flatten().copied();
    let lowest = all().fold(f64::INFINITY, f64::min);
    let highest = all().fold(f64::NEG_INFINITY, f64::max);
    let (middle, half) = (
        f64::midpoint(lowest, highest),
        f64::max(0.025, 0.5 * (highest - lowest)),
    );
    for (mode, cells) in modes.iter().zip(&along.surface) {
        let grid = Grid {
            x: DECIBELS,
            y: DECIBELS,
            n_columns: CELLS,
            n_rows: CELLS,
        };
        let attention = attention_axis().range(middle - half, middle + half);
        let scale = ColorScale::new(attention, Palette::Sequential);
        let chart = Chart::new(decibel_axis(first), decibel_axis(second))
            .title(format!("attention to {mode}"))
            .equal_axes()
            .heat_map(HeatMap::new(grid, cells.clone(), scale));
        figure = figure.panel(chart);
    }
    Some(Drawn {
        name: "attention_surface",
        figure: figure.size(860., 400.),
        caption: format!(
            "Attention surface: mean attention over noise on both modes, {} test rows of seed {}; colors cover the \
             range that it takes.",
            along.rows, evidence.first.seed
        ),
    })
}
