//! The figures of section 4.3, from the first seed.

use candle_core::Device;
use emma_data::Manifold;
use emma_energy::energies;

use super::plane::{Point, curve, rows};
use super::run::Outcome;
use super::settings::Settings;
use crate::failure::CommandResult;
use crate::figures::{
    Arrows, Axis, Chart, ColorScale, Figure, Grid, HeatMap, Line, Palette, Scatter,
};

/// Samples of each manifold that are shown, as many as in the thesis.
const SHOWN: usize = 200;
/// Arrows a side, cells of a color map a side.
const ARROWS: usize = 17;
const CELLS: usize = 80;

/// All figures by file name. `outcomes` holds each manifold's first seed.
pub(crate) fn figures(
    settings: &Settings,
    outcomes: &[(Manifold, &Outcome)],
    device: &Device,
) -> CommandResult<Vec<(String, Figure)>> {
    let half = settings.half_width;
    let grid = |n: usize| Grid {
        x: (-half, half),
        y: (-half, half),
        n_columns: n,
        n_rows: n,
    };
    let middles = |n: usize| -> Vec<Point> { grid(n).middles().map(|(x, y)| [x, y]).collect() };
    let chart = |title: &str| {
        let axis = |name: &str| Axis::dimensionless(name).range(-half, half);
        Chart::new(axis("x₁"), axis("x₂")).title(title).equal_axes()
    };
    let line = |manifold: Manifold| {
        let mut points = curve(manifold, 400);
        if manifold == Manifold::Circle {
            points.extend(curve(manifold, 400).first().copied());
        }
        Line::new("", points.into_iter().map(|[x, y]| (x, y)))
    };

    let mut samples = Figure::new(
        "",
        format!("{SHOWN} samples of the wave, left, and of the circle, right."),
    )
    .size(860., 400.);
    let mut fields = Figure::new(
        "",
        "Arrows of what the autoencoder moves points by. Everywhere they point to the manifold; in the \
         middle of the circle they point away from one place, a source.",
    )
    .size(860., 420.);
    for (manifold, outcome) in outcomes {
        let shown = outcome.samples.rows().into_iter().take(SHOWN);
        let shown = shown.map(|row| (f64::from(row[0]), f64::from(row[1])));
        samples = samples.panel(chart(manifold.name()).scatter(Scatter::new("", shown)));
        let points = middles(ARROWS);
        let field = outcome.field(&points, device)?;
        let arrows = points
            .iter()
            .zip(field)
            .map(|([x, y], [dx, dy])| [*x, *y, dx, dy]);
        fields = fields.panel(
            chart(manifold.name())
                .line(line(*manifold))
                .arrows(Arrows::new(Axis::dimensionless("r(x) − x"), arrows)),
        );
    }
    let mut figures = vec![
        ("samples".to_owned(), samples),
        ("fields".to_owned(), fields),
    ];
    for (index, kind) in settings.estimators.iter().enumerate() {
        let mut figure = Figure::new(
            "",
            format!(
                "The {} over the plane, of the wave, left, and of the circle, right.",
                kind.sentence_title()
            ),
        )
        .size(860., 400.);
        for (manifold, outcome) in outcomes {
            let rows = rows(&middles(CELLS), outcome.dtype, device)?;
            let values = energies(&*outcome.estimators[index].1, &rows)?;
            let scale = ColorScale::new(
                Axis::dimensionless(kind.sentence_title()),
                Palette::Sequential,
            );
            figure = figure.panel(chart(manifold.name()).heat_map(HeatMap::new(
                grid(CELLS),
                values,
                scale,
            )));
        }
        figures.push((format!("energy_{}", kind.name()), figure));
    }
    Ok(figures)
}
