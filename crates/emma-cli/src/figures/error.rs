//! What cannot be drawn, and the check that finds it before anything is.

use thiserror::Error;

use super::axis::{Axis, AxisFault, Spacing};
use super::chart::{Chart, Layer};
use super::{Bars, Figure, Matrix, Panel};
use crate::failure::Failure;

/// A figure that is described wrongly: a fault of the program, not of the data.
#[derive(Debug, Error)]
pub(crate) enum FigureError {
    #[error("expected a description of the figure {0:?} in words, got none")]
    NoDescription(String),
    #[error("expected a figure of 100 to 3000 pixels in both directions, got {0} × {1}")]
    Size(f64, f64),
    #[error("expected at least one panel in every row of the figure {0:?}, got none")]
    NoPanels(String),
    #[error("expected a quantity, and a unit if there is one, on the {axis} of {panel}, got none")]
    NoLabel { panel: String, axis: &'static str },
    #[error(
        "expected a range that ascends, within ±1e100 and above 0 on a logarithmic axis, for the \
         {axis} of {panel}, got {from} to {to}"
    )]
    Range {
        panel: String,
        axis: &'static str,
        from: f64,
        to: f64,
    },
    #[error("expected {expected} {what} in {panel}, got {got}")]
    Count {
        panel: String,
        what: String,
        expected: usize,
        got: usize,
    },
    #[error("expected linear axes below the color map of {panel}, got a logarithmic one")]
    LogarithmicHeatMap { panel: String },
    #[error("expected a name of a to z, 0 to 9, _ and - for a figure's files, got {0:?}")]
    Name(String),
    #[error("cannot encode the figure as PNG")]
    Encoding(#[from] png::EncodingError),
}

impl From<FigureError> for Failure {
    fn from(error: FigureError) -> Self {
        Self::Failed(error.into())
    }
}

impl Figure {
    pub(super) fn check(&self) -> Result<(), FigureError> {
        if self.description.trim().is_empty() {
            return Err(FigureError::NoDescription(self.title.clone()));
        }
        let (width, height) = self.extent();
        let is_drawable = |length: f64| (100. ..=3000.).contains(&length);
        if !is_drawable(width) || !is_drawable(height) {
            return Err(FigureError::Size(width, height));
        }
        if self.rows.iter().any(Vec::is_empty) {
            return Err(FigureError::NoPanels(self.title.clone()));
        }
        let panels = self.rows.iter().flatten();
        for (index, panel) in panels.enumerate() {
            let number = index + 1;
            let name = match panel.title() {
                "" => format!("panel {number} of the figure {:?}", self.title),
                title => format!("the panel {title:?}"),
            };
            panel.check(&name)?;
        }
        Ok(())
    }
}

impl Panel {
    fn title(&self) -> &str {
        match self {
            Self::Chart(chart) => &chart.title,
            Self::Bars(bars) => &bars.title,
            Self::Matrix(matrix) => &matrix.title,
        }
    }

    fn check(&self, panel: &str) -> Result<(), FigureError> {
        match self {
            Self::Chart(chart) => check_chart(chart, panel),
            Self::Bars(bars) => check_bars(bars, panel),
            Self::Matrix(matrix) => check_matrix(matrix, panel),
        }
    }
}

fn check_axis(axis: &Axis, which: &'static str, panel: &str) -> Result<(), FigureError> {
    let panel = panel.to_owned();
    match axis.fault() {
        None => Ok(()),
        Some(AxisFault::NoLabel) => Err(FigureError::NoLabel { panel, axis: which }),
        Some(AxisFault::Range { from, to }) => Err(FigureError::Range {
            panel,
            axis: which,
            from,
            to,
        }),
    }
}

fn check_count(
    what: impl Into<String>,
    expected: usize,
    got: usize,
    panel: &str,
) -> Result<(), FigureError> {
    if expected == got {
        return Ok(());
    }
    Err(FigureError::Count {
        panel: panel.to_owned(),
        what: what.into(),
        expected,
        got,
    })
}

fn check_chart(chart: &Chart, panel: &str) -> Result<(), FigureError> {
    check_axis(&chart.x, "horizontal axis", panel)?;
    check_axis(&chart.y, "upright axis", panel)?;
    for layer in &chart.layers {
        match layer {
            Layer::HeatMap(heat_map) => {
                check_axis(&heat_map.scale.axis, "color bar", panel)?;
                let grid = heat_map.grid;
                for (range, axis) in [(grid.x, "columns"), (grid.y, "rows")] {
                    let edges = Axis::dimensionless("cells").range(range.0, range.1);
                    check_axis(&edges, axis, panel)?;
                }
                if [&chart.x, &chart.y].map(|axis| axis.spacing) != [Spacing::Linear; 2] {
                    let panel = panel.to_owned();
                    return Err(FigureError::LogarithmicHeatMap { panel });
                }
                let n_cells = grid.n_cells().unwrap_or(usize::MAX);
                check_count("values of cells", n_cells, heat_map.values.len(), panel)?;
            }
            Layer::Arrows(arrows) => check_axis(&arrows.length, "length of the arrows", panel)?,
            Layer::Histogram(_) | Layer::Line(_) | Layer::Scatter(_) => {}
        }
    }
    Ok(())
}

fn check_bars(bars: &Bars, panel: &str) -> Result<(), FigureError> {
    let (categories, names) = &bars.categories;
    check_axis(categories, "horizontal axis", panel)?;
    check_axis(&bars.value, "upright axis", panel)?;
    for series in &bars.series {
        let what = format!("values of the series {:?}", series.label);
        check_count(what, names.len(), series.values.len(), panel)?;
    }
    Ok(())
}

fn check_matrix(matrix: &Matrix, panel: &str) -> Result<(), FigureError> {
    check_axis(&matrix.rows.0, "upright axis", panel)?;
    check_axis(&matrix.columns.0, "horizontal axis", panel)?;
    check_axis(&matrix.scale.axis, "color bar", panel)?;
    let n_cells = matrix.rows.1.len() * matrix.columns.1.len();
    check_count("values of cells", n_cells, matrix.values.len(), panel)
}
