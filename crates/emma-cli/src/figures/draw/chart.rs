//! Drawing charts.

use super::axes::{self, Side};
use super::color_bar::ScaledColors;
use super::legend::{Legend, Sample};
use super::reference::{LabelPlaces, points_along};
use super::{Draw, Margins, draw_head, draw_no_data, head};
use crate::figures::axis::{Axis, Spacing, Span, can_be_drawn};
use crate::figures::chart::{
    Arrows, Chart, Estimate, HeatMap, Histogram, Layer, Line, Scatter, Uncertainty,
};
use crate::figures::clip::{clip_line, clip_polygon};
use crate::figures::marker::Look;
use crate::figures::surface::{Area, Fill, Point, Stroke, Surface};
use crate::figures::theme::Color;

/// Widths of lines.
const LINE: f64 = 2.;
const ERROR_BAR: f64 = 1.3;

impl Draw for Chart {
    fn margins(&self, width: f64, height: f64) -> Margins {
        let (x, y) = self.spans();
        let x_ticks = axes::ticks_across(x.as_ref(), width);
        let y_ticks = axes::ticks_up(y.as_ref(), height);
        let beyond = axes::right_of(x.as_ref(), &x_ticks, width);
        let color_bar = self.colors().map_or(0., |(_, colors)| colors.width(height));
        Margins {
            left: axes::beside(&y_ticks),
            right: beyond.max(color_bar),
            top: head(&self.title, &self.legend(), width),
            bottom: axes::BELOW,
        }
    }

    fn draw(&self, surface: &mut dyn Surface, plot: Area, top: f64) {
        let (x, y) = self.spans();
        let (plot, top) = match (&x, &y) {
            (Some(x), Some(y)) if self.has_equal_axes => {
                let smaller = with_equal_units(plot, x, y);
                (smaller, top + smaller.top - plot.top)
            }
            _ => (plot, top),
        };
        let x_ticks = axes::ticks_across(x.as_ref(), plot.width());
        let y_ticks = axes::ticks_up(y.as_ref(), plot.height());
        let colors = self.colors();
        if colors.is_none() {
            let (x, y) = ((x.as_ref(), &*x_ticks), (y.as_ref(), &*y_ticks));
            axes::draw_grid(surface, &plot, x, y);
        }
        if let (Some(x), Some(y)) = (x, y) {
            let frame = Frame { plot, x, y };
            if let Some((heat_map, colors)) = &colors {
                frame.draw_heat_map(surface, heat_map, colors);
            }
            self.draw_layers(surface, &frame, colors.is_some());
        } else {
            draw_no_data(surface, &plot);
        }
        axes::draw_lower_axis(surface, &plot, &self.x, x.as_ref(), &x_ticks);
        axes::draw_upright_axis(surface, &plot, Side::Left, &self.y, y.as_ref(), &y_ticks);
        if let Some((_, colors)) = &colors {
            colors.draw(surface, &plot);
        }
        draw_head(surface, &self.title, &self.legend(), &plot, top);
    }
}

/// The plot made smaller so that a unit has one length on both axes.
fn with_equal_units(plot: Area, x: &Span, y: &Span) -> Area {
    let units = |span: &Span| match span.spacing {
        Spacing::Linear => span.to - span.from,
        Spacing::Logarithmic => (span.to / span.from).log10(),
    };
    let unit = (plot.width() / units(x)).min(plot.height() / units(y));
    let width = (unit * units(x)).max(4.);
    let height = (unit * units(y)).max(4.);
    let spare = 0.5 * (plot.width() - width);
    Area {
        left: plot.left + spare,
        right: plot.left + spare + width,
        top: plot.bottom - height,
        ..plot
    }
}

impl Chart {
    /// The first color map with its colors.
    fn colors(&self) -> Option<(&HeatMap, ScaledColors<'_>)> {
        self.layers.iter().find_map(|layer| match layer {
            Layer::HeatMap(heat_map) => Some((
                heat_map,
                ScaledColors::new(&heat_map.scale, &heat_map.values),
            )),
            _ => None,
        })
    }

    /// The layers with their looks: the numbers they ask for, else the next ones.
    fn looks(&self) -> impl Iterator<Item = (&Layer, Look)> {
        let mut next = 0;
        self.layers.iter().map(move |layer| {
            let asked = match layer {
                Layer::HeatMap(_) | Layer::Arrows(_) => return (layer, Look(0)),
                Layer::Line(line) => line.look,
                Layer::Scatter(_) | Layer::Histogram(_) => None,
            };
            let number = asked.unwrap_or(next);
            next = number + 1;
            (layer, Look(number))
        })
    }

    fn legend(&self) -> Legend {
        let mut legend = Legend::default();
        for (layer, look) in self.looks() {
            match layer {
                Layer::Line(line) => {
                    let has_markers = line.has_markers;
                    legend.add(Sample::Line { look, has_markers }, &line.label);
                }
                Layer::Scatter(scatter) => legend.add(Sample::Mark(look), &scatter.label),
                Layer::Histogram(histogram) => legend.add(Sample::Patch(look), &histogram.label),
                Layer::Arrows(arrows) => {
                    if let Some(longest) = longest(arrows) {
                        let number = crate::text::number(longest);
                        let text = arrows.length.with_number(&number);
                        legend.add(Sample::Arrow, &format!("longest {text}"));
                    }
                }
                Layer::HeatMap(_) => {}
            }
        }
        legend
    }

    /// The ranges of both axes; none for both if there is nothing to draw.
    fn spans(&self) -> (Option<Span>, Option<Span>) {
        let mut x = Vec::new();
        let mut y = Vec::new();
        let (mut from_zero, mut has_cells, mut has_marks) = (false, false, false);
        let mut add = |at: f64, values: &mut dyn Iterator<Item = f64>| {
            let values: Vec<_> = values
                .filter(|&value| can_be_drawn(value, self.y.spacing))
                .collect();
            if can_be_drawn(at, self.x.spacing) && !values.is_empty() {
                x.push(at);
                y.extend(values);
            }
        };
        for layer in &self.layers {
            match layer {
                Layer::HeatMap(heat_map) => {
                    has_cells = true;
                    let grid = heat_map.grid;
                    if heat_map.values.iter().any(|value| value.is_finite()) {
                        add(grid.x.0, &mut [grid.y.0].into_iter());
                        add(grid.x.1, &mut [grid.y.1].into_iter());
                    }
                }
                Layer::Histogram(histogram) => {
                    from_zero = true;
                    for (height, edges) in histogram.heights.iter().zip(histogram.edges.windows(2))
                    {
                        add(edges[0], &mut [*height, 0.].into_iter());
                        add(edges[1], &mut [*height, 0.].into_iter());
                    }
                }
                Layer::Line(line) => {
                    from_zero |= line.is_filled;
                    has_marks |= line.has_markers;
                    for (at, estimate) in &line.points {
                        add(*at, &mut estimate.numbers());
                    }
                }
                Layer::Scatter(scatter) => {
                    has_marks = true;
                    for &(at, value) in &scatter.points {
                        add(at, &mut [value].into_iter());
                    }
                }
                Layer::Arrows(arrows) => {
                    has_marks = true;
                    for &[at, value, ..] in &arrows.arrows {
                        add(at, &mut [value].into_iter());
                    }
                }
            }
        }
        if x.is_empty() {
            return (None, None);
        }
        for reference in &self.references {
            if reference.is_horizontal {
                y.push(reference.at);
            } else {
                x.push(reference.at);
            }
        }
        let marks = if has_marks { 0.04 } else { 0.01 };
        let (x_margin, y_margin) = if has_cells { (0., 0.) } else { (marks, 0.06) };
        let x = self.x.over(x, x_margin);
        let y = if from_zero {
            over_from_zero(&self.y, y, y_margin)
        } else {
            self.y.over(y, y_margin)
        };
        match (x, y) {
            (Some(x), Some(y)) => (Some(x), Some(y)),
            _ => (None, None),
        }
    }

    fn draw_layers(&self, surface: &mut dyn Surface, frame: &Frame, is_on_colors: bool) {
        for (layer, look) in self.looks() {
            match layer {
                Layer::Histogram(histogram) => frame.draw_histogram(surface, histogram, look),
                Layer::Line(line) => frame.draw_below_line(surface, line, look),
                Layer::HeatMap(_) | Layer::Scatter(_) | Layer::Arrows(_) => {}
            }
        }
        for reference in &self.references {
            reference.draw(surface, frame);
        }
        for (layer, look) in self.looks() {
            match layer {
                Layer::Line(line) => frame.draw_line(surface, line, look),
                Layer::Scatter(scatter) => frame.draw_scatter(surface, scatter, look),
                Layer::Arrows(arrows) => frame.draw_arrows(surface, arrows, is_on_colors),
                Layer::HeatMap(_) | Layer::Histogram(_) => {}
            }
        }
        let labels = LabelPlaces::new(frame.plot, self.ink(frame));
        labels.draw(surface, frame, &self.references);
    }
}

impl Chart {
    /// Where the layers draw, as points: what labels had better not cover.
    fn ink(&self, frame: &Frame) -> Vec<Point> {
        let mut ink = Vec::new();
        for layer in &self.layers {
            match layer {
                Layer::Line(line) => {
                    let points = line.points.iter();
                    for run in runs(points.map(|(x, estimate)| frame.point(*x, estimate.value))) {
                        for part in clip_line(&run, &frame.plot) {
                            ink.extend(points_along(&part));
                        }
                    }
                    for (x, estimate) in &line.points {
                        let (low, high) = estimate.interval.unwrap_or((f64::NAN, f64::NAN));
                        let ends = [low, high].map(|end| frame.interval_end(*x, end));
                        if let [Some(low), Some(high)] = ends {
                            ink.extend(points_along(
                                &clip_line(&[low, high], &frame.plot).concat(),
                            ));
                        }
                    }
                }
                Layer::Histogram(histogram) => {
                    let base = frame.base();
                    for (height, edges) in histogram.heights.iter().zip(histogram.edges.windows(2))
                    {
                        let middle = f64::midpoint(edges[0], edges[1]);
                        if let Some(top) = frame.interval_end(middle, *height) {
                            let up = [Point::new(top.x, base), top];
                            ink.extend(points_along(&clip_line(&up, &frame.plot).concat()));
                        }
                    }
                }
                Layer::Scatter(scatter) => {
                    ink.extend(
                        scatter
                            .points
                            .iter()
                            .filter_map(|&(x, y)| frame.point(x, y)),
                    );
                }
                Layer::Arrows(arrows) => {
                    let starts = arrows.arrows.iter();
                    ink.extend(starts.filter_map(|&[x, y, ..]| frame.point(x, y)));
                }
                Layer::HeatMap(_) => {}
            }
        }
        ink
    }
}

/// An axis over numbers and 0: without a margin on the side of 0.
pub(super) fn over_from_zero(axis: &Axis, numbers: Vec<f64>, margin: f64) -> Option<Span> {
    let drawn = numbers
        .iter()
        .filter(|&&number| can_be_drawn(number, axis.spacing));
    let (mut is_above, mut is_below) = (true, true);
    let mut is_zero = true;
    for &number in drawn {
        is_above &= number >= 0.;
        is_below &= number <= 0.;
        is_zero &= number == 0.;
    }
    let mut span = axis.over(numbers.into_iter().chain([0.]), margin)?;
    if axis.spacing == Spacing::Linear && axis.range.is_none() {
        if is_zero {
            (span.from, span.to) = (0., 1.);
        } else if is_above {
            span.from = 0.;
        } else if is_below {
            span.to = 0.;
        }
    }
    Some(span)
}

/// The plot and the ranges of its axes.
pub(super) struct Frame {
    pub(super) plot: Area,
    pub(super) x: Span,
    pub(super) y: Span,
}

impl Frame {
    /// Where a point is, in pixels; none for a gap. Far away is not farther than a million plots, so that
    /// differences stay exact enough.
    pub(super) fn point(&self, x: f64, y: f64) -> Option<Point> {
        Some(self.at(self.x.share(x)?, self.y.share(y)?))
    }

    pub(super) fn at(&self, across: f64, up: f64) -> Point {
        const FARTHEST: f64 = 1e6;
        Point::new(
            self.plot.left + across.clamp(-FARTHEST, FARTHEST) * self.plot.width(),
            self.plot.bottom - up.clamp(-FARTHEST, FARTHEST) * self.plot.height(),
        )
    }

    /// Where the end of an interval is, which may lie beyond what the axis can show at all.
    pub(super) fn interval_end(&self, x: f64, end: f64) -> Option<Point> {
        let up = match self.y.share(end) {
            Some(share) => share,
            None if end.is_nan() => return None,
            None if end > 0. => f64::INFINITY,
            None => f64::NEG_INFINITY,
        };
        Some(self.at(self.x.share(x)?, up))
    }

    /// The upright place of 0, or of the edge next to it where 0 is not on the axis.
    pub(super) fn base(&self) -> f64 {
        let share = self.y.share(0.).unwrap_or(0.).clamp(0., 1.);
        self.at(0., share).y
    }

    fn draw_heat_map(&self, surface: &mut dyn Surface, map: &HeatMap, colors: &ScaledColors) {
        let grid = map.grid;
        let corners = (
            self.point(grid.x.0, grid.y.1),
            self.point(grid.x.1, grid.y.0),
        );
        let (Some(upper_left), Some(lower_right)) = corners else {
            return;
        };
        if map.values.is_empty() {
            return;
        }
        let rows = map.values.chunks(grid.n_columns).rev().flatten();
        let cells = colors.cells(grid.n_columns, rows.copied());
        let area = Area {
            left: upper_left.x,
            top: upper_left.y,
            right: lower_right.x,
            bottom: lower_right.y,
        };
        if self.is_within(&area) {
            surface.cells(area, &cells);
        } else {
            self.draw_cells_within(surface, &area, &cells);
        }
    }

    fn is_within(&self, area: &Area) -> bool {
        // Rounding must not matter.
        const ROUNDING: f64 = 1e-6;
        let plot = &self.plot;
        area.left >= plot.left - ROUNDING
            && area.right <= plot.right + ROUNDING
            && area.top >= plot.top - ROUNDING
            && area.bottom <= plot.bottom + ROUNDING
    }

    /// Cells of which some lie outside the plot, one by one.
    fn draw_cells_within(
        &self,
        surface: &mut dyn Surface,
        area: &Area,
        cells: &crate::figures::surface::Cells,
    ) {
        let plot = &self.plot;
        for (index, color) in cells.colors.iter().enumerate() {
            let (row, column) = (index / cells.n_columns, index % cells.n_columns);
            let x = |column: usize| {
                let x = area.left + area.width() * column as f64 / cells.n_columns as f64;
                x.clamp(plot.left, plot.right)
            };
            let y = |row: usize| {
                let y = area.top + area.height() * row as f64 / cells.n_rows as f64;
                y.clamp(plot.top, plot.bottom)
            };
            let cell = Area {
                left: x(column),
                right: x(column + 1),
                top: y(row),
                bottom: y(row + 1),
            };
            if let (Some(rgb), true) = (color, cell.width() > 0. && cell.height() > 0.) {
                surface.rectangle(cell, Fill::new(Color::Fixed(*rgb)));
            }
        }
    }

    fn draw_histogram(&self, surface: &mut dyn Surface, histogram: &Histogram, look: Look) {
        let base = self.base();
        let bins = histogram.heights.iter().zip(histogram.edges.windows(2));
        let mut outline: Vec<Point> = Vec::new();
        for (height, edges) in bins {
            let ends = (
                self.interval_end(edges[0], *height),
                self.interval_end(edges[1], *height),
            );
            // Empty bins have no outline: it would lie on the axis.
            if let ((Some(left), Some(right)), true) = (ends, *height != 0.) {
                if outline.last().is_none_or(|last| last.x < left.x) {
                    self.draw_outline(surface, &mut outline, base, look);
                    outline.push(Point::new(left.x, base));
                }
                outline.extend([left, right]);
            } else {
                self.draw_outline(surface, &mut outline, base, look);
            }
        }
        self.draw_outline(surface, &mut outline, base, look);
    }

    /// Fills what is below an outline, draws it and begins a new one.
    fn draw_outline(
        &self,
        surface: &mut dyn Surface,
        outline: &mut Vec<Point>,
        base: f64,
        look: Look,
    ) {
        let mut points = std::mem::take(outline);
        if let Some(last) = points.last() {
            points.push(Point::new(last.x, base));
            self.fill(surface, &points, look, 0.25);
            for part in clip_line(&points, &self.plot) {
                surface.line(&part, look.stroke(1.5));
            }
        }
    }

    fn fill(&self, surface: &mut dyn Surface, corners: &[Point], look: Look, opacity: f64) {
        let corners = clip_polygon(corners, &self.plot);
        if corners.len() > 2 {
            let color = look.color();
            surface.polygon(&corners, Fill { color, opacity });
        }
    }

    /// The bands of intervals and the filled area.
    fn draw_below_line(&self, surface: &mut dyn Surface, line: &Line, look: Look) {
        if line.uncertainty == Uncertainty::Band {
            let ends = line.points.iter().map(|(x, estimate)| {
                let (low, high) = estimate.interval?;
                Some((self.interval_end(*x, low)?, self.interval_end(*x, high)?))
            });
            for run in runs(ends) {
                let lower = run.iter().map(|(low, _)| *low);
                let upper = run.iter().rev().map(|(_, high)| *high);
                let corners: Vec<_> = lower.chain(upper).collect();
                self.fill(surface, &corners, look, 0.2);
            }
        }
        if line.is_filled {
            let base = self.base();
            let points = line.points.iter();
            for mut run in runs(points.map(|(x, estimate)| self.point(*x, estimate.value))) {
                if let (Some(first), Some(last)) = (run.first().copied(), run.last().copied()) {
                    run.push(Point::new(last.x, base));
                    run.push(Point::new(first.x, base));
                    self.fill(surface, &run, look, 0.2);
                }
            }
        }
    }

    fn draw_line(&self, surface: &mut dyn Surface, line: &Line, look: Look) {
        let points = || {
            let points = line.points.iter();
            points.map(|(x, estimate)| self.point(*x, estimate.value))
        };
        for run in runs(points()) {
            for part in clip_line(&run, &self.plot) {
                surface.line(&part, look.stroke(LINE));
            }
            // A point alone would not be seen.
            if let ([point], false) = (&*run, line.has_markers)
                && self.plot.contains(*point)
            {
                surface.disk(*point, LINE, Fill::new(look.color()));
            }
        }
        if line.uncertainty == Uncertainty::Bars {
            for (x, estimate) in &line.points {
                let stroke = Stroke::new(look.color(), ERROR_BAR);
                self.draw_error_bar(surface, *x, estimate, 3., stroke);
            }
        }
        if line.has_markers {
            for point in points().flatten() {
                if self.plot.contains(point) {
                    look.mark(surface, point, 3.5, 1.);
                }
            }
        }
    }

    /// An interval with caps of this half-width where its ends are within the plot.
    pub(super) fn draw_error_bar(
        &self,
        surface: &mut dyn Surface,
        x: f64,
        estimate: &Estimate,
        cap: f64,
        stroke: Stroke,
    ) {
        let Some((low, high)) = estimate.interval else {
            return;
        };
        let ends = (self.interval_end(x, low), self.interval_end(x, high));
        let (Some(low), Some(high)) = ends else {
            return;
        };
        for part in clip_line(&[low, high], &self.plot) {
            surface.line(&part, stroke);
        }
        for end in [low, high] {
            if self.plot.contains(end) {
                let cap = [
                    Point::new(end.x - cap, end.y),
                    Point::new(end.x + cap, end.y),
                ];
                surface.line(&cap, stroke);
            }
        }
    }

    fn draw_scatter(&self, surface: &mut dyn Surface, scatter: &Scatter, look: Look) {
        // The more points, the smaller and the more transparent.
        let (radius, opacity) = match scatter.points.len() {
            0..60 => (4., 0.9),
            60..400 => (3., 0.8),
            400..2000 => (2.2, 0.65),
            2000..8000 => (1.7, 0.5),
            _ => (1.3, 0.4),
        };
        let points = scatter.points.iter();
        for point in points.filter_map(|&(x, y)| self.point(x, y)) {
            if self.plot.contains(point) {
                look.mark(surface, point, radius, opacity);
            }
        }
    }

    fn draw_arrows(&self, surface: &mut dyn Surface, arrows: &Arrows, is_on_colors: bool) {
        let Some(longest) = longest(arrows) else {
            return;
        };
        // Arrows on a regular grid lie about this far apart.
        let n_arrows = arrows.arrows.len() as f64;
        let room = 0.85 * (self.plot.width() * self.plot.height() / n_arrows).sqrt();
        let room = room.clamp(6., 60.);
        for &[x, y, dx, dy] in &arrows.arrows {
            let Some(start) = self.point(x, y) else {
                continue;
            };
            let Some((across, up)) = self.direction([x, y, dx, dy]) else {
                continue;
            };
            // What is no length to be drawn is longer than the longest.
            let length = room * (dx.hypot(dy) / longest);
            let size = across.hypot(up);
            if !(self.plot.contains(start) && size > 0. && (0.3..=room).contains(&length)) {
                continue;
            }
            let end = Point::new(
                start.x + length * across / size,
                start.y - length * up / size,
            );
            if is_on_colors {
                // Black on white is seen on any color.
                let [white, black] = [[255; 3], [0; 3]].map(Color::Fixed);
                arrow(surface, [start, end], Stroke::new(white, 3.));
                arrow(surface, [start, end], Stroke::new(black, 1.2));
            } else {
                arrow(surface, [start, end], Stroke::new(Color::Text, 1.2));
            }
        }
    }

    /// Where an arrow points, in pixels to the right and up.
    fn direction(&self, [x, y, dx, dy]: [f64; 4]) -> Option<(f64, f64)> {
        let along = |span: &Span, at: f64, step: f64| {
            let direction = match span.spacing {
                Spacing::Linear => step / (span.to - span.from),
                // The derivative of the logarithm.
                Spacing::Logarithmic => step / at / (span.to / span.from).ln(),
            };
            direction.is_finite().then_some(direction)
        };
        let across = along(&self.x, x, dx)? * self.plot.width();
        let up = along(&self.y, y, dy)? * self.plot.height();
        // The larger one becomes 1, so that squares neither vanish nor overflow.
        let size = across.abs().max(up.abs());
        (size > 0.).then(|| (across / size, up / size))
    }
}

/// An arrow between two points; short ones have a small head.
pub(super) fn arrow(surface: &mut dyn Surface, [start, end]: [Point; 2], stroke: Stroke) {
    let length = start.distance(end);
    if length <= 0. {
        return;
    }
    let head = (0.4 * length).min(5.5) + 0.6 * stroke.width;
    let [along_x, along_y] = [(end.x - start.x) / length, (end.y - start.y) / length];
    // The halo around a head is as wide as that around the shaft.
    let tip = Point::new(
        end.x + along_x * 0.5 * stroke.width,
        end.y + along_y * 0.5 * stroke.width,
    );
    let corner = |side: f64| {
        Point::new(
            tip.x - head * along_x - side * 0.42 * head * along_y,
            tip.y - head * along_y + side * 0.42 * head * along_x,
        )
    };
    let neck = Point::new(tip.x - 0.8 * head * along_x, tip.y - 0.8 * head * along_y);
    surface.line(&[start, neck], stroke);
    surface.polygon(&[tip, corner(1.), corner(-1.)], Fill::new(stroke.color));
}

/// The length of the longest arrow.
fn longest(arrows: &Arrows) -> Option<f64> {
    let lengths = arrows.arrows.iter().map(|[_, _, dx, dy]| dx.hypot(*dy));
    let drawn = lengths.filter(|&length| can_be_drawn(length, Spacing::Linear) && length > 0.);
    drawn.reduce(f64::max)
}

/// Runs of what is there, between gaps.
fn runs<T>(items: impl Iterator<Item = Option<T>>) -> Vec<Vec<T>> {
    let mut runs = vec![Vec::new()];
    for item in items {
        match (item, runs.last_mut()) {
            (Some(item), Some(run)) => run.push(item),
            _ => runs.push(Vec::new()),
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}
