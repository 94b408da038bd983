//! Color bars: which color is which number.

use super::axes::{self, Side};
use crate::figures::axis::{Axis, Spacing, Span};
use crate::figures::color_map::{ColorMap, ColorScale, Palette};
use crate::figures::surface::{Area, Cells, Surface};

/// From the plot to the bar, and the bar's width.
const DISTANCE: f64 = 14.;
const WIDTH: f64 = 12.;

/// A scale over the range of its numbers.
pub(super) struct ScaledColors<'a> {
    axis: &'a Axis,
    span: Option<Span>,
    map: ColorMap,
}

impl<'a> ScaledColors<'a> {
    pub(super) fn new(scale: &'a ColorScale, values: &[f64]) -> Self {
        let axis = &scale.axis;
        let mut span = axis.over(values.iter().copied(), 0.);
        if let (Palette::Diverging, None, Some(found)) = (scale.palette, axis.range, &mut span) {
            // As far to one side of the middle as to the other.
            match axis.spacing {
                Spacing::Linear => {
                    let size = found.from.abs().max(found.to.abs());
                    (found.from, found.to) = (-size, size);
                }
                Spacing::Logarithmic => {
                    let ratio = found.from.recip().max(found.to);
                    (found.from, found.to) = (ratio.recip(), ratio);
                }
            }
        }
        Self {
            axis,
            span,
            map: ColorMap::new(scale.palette),
        }
    }

    /// The cells of values in rows from above.
    pub(super) fn cells(&self, n_columns: usize, values: impl Iterator<Item = f64>) -> Cells {
        let colors = values.map(|value| {
            let share = self.span.and_then(|span| span.share(value));
            share.map(|share| self.map.color(share))
        });
        Cells::new(n_columns, colors.collect())
    }

    /// Room to the right of a plot of this height.
    pub(super) fn width(&self, height: f64) -> f64 {
        let ticks = axes::ticks_up(self.span.as_ref(), height);
        DISTANCE + WIDTH + axes::beside(&ticks) + 4.
    }

    pub(super) fn draw(&self, surface: &mut dyn Surface, plot: &Area) {
        let bar = Area {
            left: plot.right + DISTANCE,
            right: plot.right + DISTANCE + WIDTH,
            ..*plot
        };
        if self.span.is_some() {
            const N_STEPS: usize = 128;
            let colors = (0..N_STEPS)
                .map(|step| 1. - (step as f64 + 0.5) / N_STEPS as f64)
                .map(|share| Some(self.map.color(share)));
            surface.cells(bar, &Cells::new(1, colors.collect()));
        }
        let ticks = axes::ticks_up(self.span.as_ref(), plot.height());
        axes::draw_upright_axis(
            surface,
            &bar,
            Side::Right,
            self.axis,
            self.span.as_ref(),
            &ticks,
        );
    }
}
