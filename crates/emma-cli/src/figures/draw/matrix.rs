//! Drawing matrices.

use super::color_bar::ScaledColors;
use super::legend::Legend;
use super::names::{self, Names};
use super::{Draw, LABEL, Margins, TICK, axes, draw_head, draw_no_data, head};
use crate::figures::label::Label;
use crate::figures::matrix::Matrix;
use crate::figures::surface::{Anchor, Area, Fill, Point, Surface, TextStyle, text};
use crate::figures::theme::{Color, contrast};
use crate::figures::ticks::minus;

/// The largest cell, and the line between cells.
const LARGEST: (f64, f64) = (110., 62.);
const BETWEEN: f64 = 1.5;
/// The longest name of a row.
const LONGEST_NAME: f64 = 150.;

impl Draw for Matrix {
    fn margins(&self, width: f64, height: f64) -> Margins {
        let (width, height) = self.size_within(width, height);
        let names = Names::new(&self.columns.1, width / self.columns.1.len().max(1) as f64);
        Margins {
            left: names::DISTANCE + self.widest_row_name() + 12. + LABEL,
            right: self.colors().width(height),
            top: head(&self.title, &Legend::default(), width),
            bottom: names::DISTANCE + names.height() + 8. + LABEL + 4.,
        }
    }

    fn draw(&self, surface: &mut dyn Surface, plot: Area, top: f64) {
        let (width, height) = self.size_within(plot.width(), plot.height());
        let spare = 0.5 * (plot.width() - width);
        let plot = Area {
            left: plot.left + spare,
            right: plot.left + spare + width,
            bottom: plot.top + height,
            ..plot
        };
        let colors = self.colors();
        if self.values.is_empty() {
            draw_no_data(surface, &plot);
        } else {
            self.draw_cells(surface, &plot, &colors);
        }
        self.draw_row_names(surface, &plot);
        let slot = plot.width() / self.columns.1.len().max(1) as f64;
        let names = Names::new(&self.columns.1, slot);
        let centers =
            (0..self.columns.1.len()).map(|index| plot.left + slot * (index as f64 + 0.5));
        let below = plot.bottom + names::DISTANCE;
        names.draw(surface, &centers.collect::<Vec<_>>(), below);
        let base = below + names.height() + 8. + 0.76 * LABEL;
        axes::draw_name_across(surface, &plot, &self.columns.0, base);
        colors.draw(surface, &plot);
        draw_head(surface, &self.title, &Legend::default(), &plot, top);
    }
}

impl Matrix {
    fn colors(&self) -> ScaledColors<'_> {
        ScaledColors::new(&self.scale, &self.values)
    }

    /// The size of all cells in what room there is.
    fn size_within(&self, width: f64, height: f64) -> (f64, f64) {
        let [n_columns, n_rows] = [&self.columns, &self.rows].map(|(_, names)| names.len().max(2));
        (
            width.min(LARGEST.0 * n_columns as f64),
            height.min(LARGEST.1 * n_rows as f64),
        )
    }

    fn row_names(&self) -> impl Iterator<Item = Label> {
        let names = self.rows.1.iter();
        names.map(|name| Label::new(name).cut(TICK, LONGEST_NAME))
    }

    fn widest_row_name(&self) -> f64 {
        let widths = self.row_names().map(|name| name.width(TICK));
        widths.fold(0., f64::max)
    }

    fn draw_row_names(&self, surface: &mut dyn Surface, plot: &Area) {
        let slot = plot.height() / self.rows.1.len().max(1) as f64;
        let style = TextStyle::new(TICK, Color::Muted, Anchor::End);
        for (index, name) in self.row_names().enumerate() {
            let middle = plot.top + slot * (index as f64 + 0.5);
            let at = Point::new(plot.left - names::DISTANCE, middle + 0.35 * TICK);
            text(surface, &name, at, style);
        }
        let x = plot.left - names::DISTANCE - self.widest_row_name() - 12.;
        axes::draw_name_up(surface, plot, &self.rows.0, x);
    }

    fn draw_cells(&self, surface: &mut dyn Surface, plot: &Area, colors: &ScaledColors) {
        let n_columns = self.columns.1.len();
        let cells = colors.cells(n_columns, self.values.iter().copied());
        let width = plot.width() / n_columns as f64;
        let height = plot.height() / cells.n_rows as f64;
        for (index, (color, &value)) in cells.colors.iter().zip(&self.values).enumerate() {
            let left = plot.left + width * (index % n_columns) as f64;
            let top = plot.top + height * (index / n_columns) as f64;
            let cell = Area {
                left: left + 0.5 * BETWEEN,
                top: top + 0.5 * BETWEEN,
                right: left + width - 0.5 * BETWEEN,
                bottom: top + height - 0.5 * BETWEEN,
            };
            let ink = if let Some(rgb) = *color {
                surface.rectangle(cell, Fill::new(Color::Fixed(rgb)));
                let [white, black] = [[255; 3], [0; 3]];
                let is_dark = contrast(rgb, white) > contrast(rgb, black);
                Color::Fixed(if is_dark { white } else { black })
            } else {
                let fill = Fill::new(Color::Grid);
                surface.rectangle(cell, fill);
                Color::Text
            };
            let number = if value.is_finite() {
                minus(format!("{value:.*}", self.decimals))
            } else {
                "–".to_owned()
            };
            let label = Label::new(&number);
            let fitting = TICK.min(TICK * (cell.width() - 4.) / label.width(TICK));
            let size = fitting.min(0.8 * cell.height());
            if size > 4. {
                let at = cell.center();
                let at = Point::new(at.x, at.y + 0.35 * size);
                text(
                    surface,
                    &label,
                    at,
                    TextStyle::new(size, ink, Anchor::Middle),
                );
            }
        }
    }
}
