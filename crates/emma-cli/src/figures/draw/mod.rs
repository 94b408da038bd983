//! Drawing a figure: its title, and its panels in a grid whose axes line up.

mod axes;
mod bars;
mod chart;
mod color_bar;
mod legend;
mod matrix;
mod names;
mod reference;

use super::label::Label;
use super::surface::{Anchor, Area, Fill, Point, Surface, TextStyle, text};
use super::theme::Color;
use super::{Figure, Panel};

/// Sizes of text in pixels of the page.
const TITLE: f64 = 15.;
const PANEL_TITLE: f64 = 13.;
const LABEL: f64 = 12.;
const TICK: f64 = 11.;

/// Around the figure and between panels.
const EDGE: f64 = 12.;
const GAP: f64 = 22.;

/// Room that a panel needs around its plot for all that is written there.
#[derive(Clone, Copy, Debug)]
struct Margins {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Margins {
    /// The plot within what a panel has.
    fn inside(&self, outer: &Area) -> Area {
        // A plot that has no room left keeps a little: it then covers what is beside it.
        let left = outer.left + self.left.min(outer.width() - 8.).max(0.);
        let top = outer.top + self.top.min(outer.height() - 8.).max(0.);
        Area {
            left,
            top,
            right: (outer.right - self.right).max(left + 4.),
            bottom: (outer.bottom - self.bottom).max(top + 4.),
        }
    }
}

/// What a panel does, whatever it shows.
trait Draw {
    /// What it needs around a plot of this size.
    fn margins(&self, width: f64, height: f64) -> Margins;

    /// Draws it, its plot in this place, its title and legend below `top` and the rest around.
    fn draw(&self, surface: &mut dyn Surface, plot: Area, top: f64);
}

impl Panel {
    fn as_draw(&self) -> &dyn Draw {
        match self {
            Self::Chart(chart) => chart,
            Self::Bars(bars) => bars,
            Self::Matrix(matrix) => matrix,
        }
    }
}

/// Draws a figure that [`Figure::check`] found to be in order.
pub(super) fn figure(figure: &Figure, surface: &mut dyn Surface) {
    let (width, height) = figure.extent();
    let whole = Area {
        left: 0.,
        top: 0.,
        right: width,
        bottom: height,
    };
    surface.rectangle(whole, Fill::new(Color::Background));
    let title = Label::new(&figure.title).cut(TITLE, width - 2. * EDGE);
    let mut top = EDGE;
    if !title.is_empty() {
        let at = Point::new(EDGE, top + 0.9 * TITLE);
        let style = TextStyle::new(TITLE, Color::Text, Anchor::Start);
        text(surface, &title, at, style);
        top += TITLE + 12.;
    }
    let n_rows = figure.rows.len() as f64;
    let row_height = (height - EDGE - top - GAP * (n_rows - 1.)) / n_rows;
    let place = |row: usize, column: usize, n_columns: usize| {
        let width = width - 2. * EDGE - GAP * (n_columns as f64 - 1.);
        let width = width / n_columns as f64;
        let left = EDGE + column as f64 * (width + GAP);
        let top = top + row as f64 * (row_height + GAP);
        Area {
            left,
            top,
            right: left + width,
            bottom: top + row_height,
        }
    };
    let rows: Vec<Vec<(&dyn Draw, Area)>> = (0..)
        .zip(&figure.rows)
        .map(|(row, panels)| {
            let panel = |(column, panel): (usize, _)| {
                (Panel::as_draw(panel), place(row, column, panels.len()))
            };
            panels.iter().enumerate().map(panel).collect()
        })
        .collect();
    let fits: Vec<Vec<Margins>> = rows
        .iter()
        .map(|panels| {
            panels
                .iter()
                .map(|(panel, outer)| fitting(*panel, outer))
                .collect()
        })
        .collect();
    for panels in &rows {
        // Axes of one column stand below each other where rows have as many panels, and those of one
        // row beside each other.
        let mut margins = Vec::with_capacity(panels.len());
        for (column, (panel, outer)) in panels.iter().enumerate() {
            let same = fits.iter().filter(|others| others.len() == panels.len());
            let (left, right) = same.fold((0_f64, 0_f64), |(left, right), others| {
                let other = others[column];
                (left.max(other.left), right.max(other.right))
            });
            let width = (outer.width() - left - right).max(1.);
            let fitting = fitting_with_width(*panel, outer, width);
            margins.push(Margins {
                left,
                right,
                ..fitting
            });
        }
        let (top, bottom) = margins
            .iter()
            .fold((0_f64, 0_f64), |(top, bottom), margins| {
                (top.max(margins.top), bottom.max(margins.bottom))
            });
        for ((panel, outer), margins) in panels.iter().zip(margins) {
            let margins = Margins {
                top,
                bottom,
                ..margins
            };
            panel.draw(surface, margins.inside(outer), outer.top);
        }
    }
}

/// The margins of a panel whose plot's width is fixed.
fn fitting_with_width(panel: &dyn Draw, outer: &Area, width: f64) -> Margins {
    let margins = panel.margins(width, 0.7 * outer.height());
    let height = (outer.height() - margins.top - margins.bottom).max(1.);
    panel.margins(width, height)
}

/// The margins of a panel: the plot's size follows from them, and the room for its ticks from its size.
fn fitting(panel: &dyn Draw, outer: &Area) -> Margins {
    let mut plot = Area {
        right: outer.left + 0.8 * outer.width(),
        bottom: outer.top + 0.8 * outer.height(),
        ..*outer
    };
    let mut margins = panel.margins(plot.width(), plot.height());
    for _ in 0..2 {
        plot = margins.inside(outer);
        margins = panel.margins(plot.width(), plot.height());
    }
    margins
}

/// Room above a plot for its title and its legend.
fn head(title: &str, legend: &legend::Legend, width: f64) -> f64 {
    let title = if title.is_empty() {
        0.
    } else {
        PANEL_TITLE + 8.
    };
    title + legend.height(width) + 6.
}

/// Draws title and legend above a plot, from `top` downwards.
fn draw_head(
    surface: &mut dyn Surface,
    title: &str,
    legend: &legend::Legend,
    plot: &Area,
    mut top: f64,
) {
    let width = plot.width();
    if !title.is_empty() {
        let title = Label::new(title).cut(PANEL_TITLE, width.max(120.));
        let at = Point::new(plot.left, top + 0.9 * PANEL_TITLE);
        let style = TextStyle::new(PANEL_TITLE, Color::Text, Anchor::Start);
        text(surface, &title, at, style);
        top += PANEL_TITLE + 8.;
    }
    legend.draw(surface, plot.left, top, width);
}

/// Says that there is nothing to be drawn.
fn draw_no_data(surface: &mut dyn Surface, plot: &Area) {
    let at = plot.center();
    let style = TextStyle::new(LABEL, Color::Muted, Anchor::Middle);
    let label = Label::new("no data").cut(LABEL, plot.width());
    text(
        surface,
        &label,
        Point::new(at.x, at.y + 0.35 * LABEL),
        style,
    );
}
