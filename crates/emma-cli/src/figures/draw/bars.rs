//! Drawing grouped bars.

use super::axes::{self, Side};
use super::chart::{Frame, over_from_zero};
use super::legend::{Legend, Sample};
use super::names::{self, Names};
use super::reference::{LabelPlaces, points_along};
use super::{Draw, LABEL, Margins, draw_head, draw_no_data, head};
use crate::figures::axis::{Spacing, Span};
use crate::figures::bars::{Bars, Series};
use crate::figures::chart::{Estimate, Reference};
use crate::figures::clip::clip_line;
use crate::figures::marker::Look;
use crate::figures::surface::{Area, Stroke, Surface};
use crate::figures::theme::Color;

/// The share of a category's width that its bars take, and the widest a bar gets.
const FILLED: f64 = 0.76;
const WIDEST: f64 = 46.;

impl Draw for Bars {
    fn margins(&self, width: f64, height: f64) -> Margins {
        let ticks = axes::ticks_up(self.span().as_ref(), height);
        let names = Names::new(&self.categories.1, self.slot(width));
        Margins {
            left: axes::beside(&ticks),
            right: 4.,
            top: head(&self.title, &self.legend(), width),
            bottom: names::DISTANCE + names.height() + 8. + LABEL + 4.,
        }
    }

    fn draw(&self, surface: &mut dyn Surface, plot: Area, top: f64) {
        let span = self.span();
        let ticks = axes::ticks_up(span.as_ref(), plot.height());
        axes::draw_grid(surface, &plot, (None, &[]), (span.as_ref(), &ticks));
        match span {
            Some(y) => self.draw_series(surface, plot, y),
            None => draw_no_data(surface, &plot),
        }
        let names = Names::new(&self.categories.1, self.slot(plot.width()));
        let below = plot.bottom + names::DISTANCE;
        names.draw(surface, &self.centers(&plot), below);
        let base = below + names.height() + 8. + 0.76 * LABEL;
        axes::draw_name_across(surface, &plot, &self.categories.0, base);
        axes::draw_lower_line(surface, &plot);
        axes::draw_upright_axis(
            surface,
            &plot,
            Side::Left,
            &self.value,
            span.as_ref(),
            &ticks,
        );
        draw_head(surface, &self.title, &self.legend(), &plot, top);
    }
}

impl Bars {
    /// Width of a category.
    fn slot(&self, width: f64) -> f64 {
        width / self.categories.1.len().max(1) as f64
    }

    fn centers(&self, plot: &Area) -> Vec<f64> {
        let slot = self.slot(plot.width());
        let centers = (0..self.categories.1.len()).map(|index| index as f64 + 0.5);
        centers.map(|index| plot.left + slot * index).collect()
    }

    fn legend(&self) -> Legend {
        let mut legend = Legend::default();
        for series in &self.series {
            let look = Look(series.look);
            let sample = if self.has_points {
                Sample::Mark(look)
            } else {
                Sample::Patch(look)
            };
            legend.add(sample, &series.label);
        }
        legend
    }

    fn span(&self) -> Option<Span> {
        let estimates = self.series.iter().flat_map(|series| &series.values);
        let mut numbers: Vec<f64> = estimates.flat_map(Estimate::numbers).collect();
        // References alone are no data.
        self.value.over(numbers.iter().copied(), 0.)?;
        if !numbers.iter().any(|number| number.is_finite()) {
            return None;
        }
        numbers.extend(self.references.iter().map(|&(at, _)| at));
        if self.has_points {
            self.value.over(numbers, 0.08)
        } else {
            over_from_zero(&self.value, numbers, 0.06)
        }
    }

    fn draw_series(&self, surface: &mut dyn Surface, plot: Area, y: Span) {
        let n_series = self.series.len().max(1) as f64;
        let bar = (FILLED * self.slot(plot.width()) / n_series).min(WIDEST);
        // Places across are numbers of categories, the middles of which are whole.
        let x = Span {
            spacing: Spacing::Linear,
            from: -0.5,
            to: self.categories.1.len() as f64 - 0.5,
        };
        let frame = Frame { plot, x, y };
        let references: Vec<_> = self
            .references
            .iter()
            .map(|(at, label)| Reference {
                at: *at,
                label: label.clone(),
                is_horizontal: true,
            })
            .collect();
        for reference in &references {
            reference.draw(surface, &frame);
        }
        let mut ink = Vec::new();
        for (number, series) in self.series.iter().enumerate() {
            let shift = (number as f64 - 0.5 * (n_series - 1.)) * bar;
            self.draw_one_series(surface, &frame, series, shift, bar);
            for (category, estimate) in series.values.iter().enumerate() {
                let x = category as f64 + shift / self.slot(plot.width());
                let ends = estimate
                    .numbers()
                    .filter_map(|number| frame.interval_end(x, number));
                let ends: Vec<_> = ends.collect();
                ink.extend(
                    clip_line(&ends, &plot)
                        .iter()
                        .flat_map(|part| points_along(part)),
                );
            }
        }
        let labels = LabelPlaces::new(frame.plot, ink);
        labels.draw(surface, &frame, &references);
    }

    fn draw_one_series(
        &self,
        surface: &mut dyn Surface,
        frame: &Frame,
        series: &Series,
        shift: f64,
        bar: f64,
    ) {
        let plot = &frame.plot;
        let look = Look(series.look);
        let slot = self.slot(plot.width());
        for (category, estimate) in series.values.iter().enumerate() {
            let x = category as f64 + shift / slot;
            let Some(end) = frame.point(x, estimate.value) else {
                continue;
            };
            if !self.has_points {
                let (base, end) = (frame.base(), end.y.clamp(plot.top, plot.bottom));
                let center = plot.left + slot * (category as f64 + 0.5) + shift;
                let area = Area {
                    left: center - 0.5 * bar + 0.5,
                    right: center + 0.5 * bar - 0.5,
                    top: base.min(end),
                    bottom: base.max(end),
                };
                look.patch(surface, area);
            }
            let cap = (0.25 * bar).min(4.);
            let color = if self.has_points {
                look.color()
            } else {
                Color::Text
            };
            frame.draw_error_bar(surface, x, estimate, cap, Stroke::new(color, 1.4));
            if self.has_points && plot.contains(end) {
                look.mark(surface, end, 4., 1.);
            }
        }
    }
}
