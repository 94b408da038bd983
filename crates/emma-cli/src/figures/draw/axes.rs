//! Frames with ticks, grid lines and the names of the axes.

use super::{LABEL, TICK};
use crate::figures::axis::{Axis, Span};
use crate::figures::label::Label;
use crate::figures::surface::{Anchor, Area, Point, Stroke, Surface, TextStyle, text};
use crate::figures::theme::Color;
use crate::figures::ticks::{Tick, ticks};

/// Length of a tick, and from there to its label.
const TICK_LENGTH: f64 = 4.;
const TO_LABEL: f64 = 4.;

/// Height of a tick's label and of an axis's.
pub(super) const BELOW: f64 = TICK_LENGTH + TO_LABEL + TICK + 8. + LABEL + 4.;

/// Which side of its plot an axis is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// Marks across a plot of this width.
pub(super) fn ticks_across(span: Option<&Span>, width: f64) -> Vec<Tick> {
    let Some(span) = span else {
        return Vec::new();
    };
    let position = |tick: &Tick| span.share(tick.number).unwrap_or(0.) * width;
    ticks(span, |ticks| {
        ticks.windows(2).all(|pair| {
            let room = position(&pair[1]) - position(&pair[0]);
            let widths = pair[0].label.width(TICK) + pair[1].label.width(TICK);
            room >= 0.5 * widths + 12.
        })
    })
}

/// Marks up a plot of this height.
pub(super) fn ticks_up(span: Option<&Span>, height: f64) -> Vec<Tick> {
    let Some(span) = span else {
        return Vec::new();
    };
    let position = |tick: &Tick| span.share(tick.number).unwrap_or(0.) * height;
    ticks(span, |ticks| {
        ticks
            .windows(2)
            .all(|pair| position(&pair[1]) - position(&pair[0]) >= 2.2 * TICK)
    })
}

fn widest(ticks: &[Tick]) -> f64 {
    let widths = ticks.iter().map(|tick| tick.label.width(TICK));
    widths.fold(0., f64::max)
}

/// Room for an upright axis beside its plot.
pub(super) fn beside(ticks: &[Tick]) -> f64 {
    TICK_LENGTH + TO_LABEL + widest(ticks) + 8. + LABEL
}

/// Room to the right of a plot for the half of its last tick's label that may stand out.
pub(super) fn right_of(span: Option<&Span>, ticks: &[Tick], width: f64) -> f64 {
    let Some(span) = span else {
        return 4.;
    };
    let beyond = ticks.iter().map(|tick| {
        let position = span.share(tick.number).unwrap_or(0.) * width;
        position + 0.5 * tick.label.width(TICK) - width
    });
    beyond.fold(4., f64::max)
}

fn x_of(span: &Span, plot: &Area, number: f64) -> Option<f64> {
    Some(plot.left + span.share(number)? * plot.width())
}

fn y_of(span: &Span, plot: &Area, number: f64) -> Option<f64> {
    Some(plot.bottom - span.share(number)? * plot.height())
}

/// Thin lines at the labelled marks.
pub(super) fn draw_grid(
    surface: &mut dyn Surface,
    plot: &Area,
    (x, x_ticks): (Option<&Span>, &[Tick]),
    (y, y_ticks): (Option<&Span>, &[Tick]),
) {
    let stroke = Stroke::new(Color::Grid, 1.);
    let labelled = |ticks: &[Tick]| -> Vec<f64> {
        let labelled = ticks.iter().filter(|tick| !tick.label.is_empty());
        labelled.map(|tick| tick.number).collect()
    };
    for number in labelled(x_ticks) {
        if let Some(x) = x.and_then(|span| x_of(span, plot, number)) {
            let ends = [Point::new(x, plot.top), Point::new(x, plot.bottom)];
            surface.line(&ends, stroke);
        }
    }
    for number in labelled(y_ticks) {
        if let Some(y) = y.and_then(|span| y_of(span, plot, number)) {
            let ends = [Point::new(plot.left, y), Point::new(plot.right, y)];
            surface.line(&ends, stroke);
        }
    }
}

/// The lower edge with its marks and the axis's name.
pub(super) fn draw_lower_axis(
    surface: &mut dyn Surface,
    plot: &Area,
    axis: &Axis,
    span: Option<&Span>,
    ticks: &[Tick],
) {
    let stroke = Stroke::new(Color::Muted, 1.);
    draw_lower_line(surface, plot);
    for tick in ticks {
        let Some(x) = span.and_then(|span| x_of(span, plot, tick.number)) else {
            continue;
        };
        let is_small = tick.label.is_empty();
        let length = if is_small {
            0.6 * TICK_LENGTH
        } else {
            TICK_LENGTH
        };
        let ends = [
            Point::new(x, plot.bottom),
            Point::new(x, plot.bottom + length),
        ];
        surface.line(&ends, stroke);
        let base = plot.bottom + TICK_LENGTH + TO_LABEL + 0.76 * TICK;
        let style = TextStyle::new(TICK, Color::Muted, Anchor::Middle);
        text(surface, &tick.label, Point::new(x, base), style);
    }
    let base = plot.bottom + TICK_LENGTH + TO_LABEL + TICK + 8. + 0.76 * LABEL;
    draw_name_across(surface, plot, axis, base);
}

/// The lower edge alone.
pub(super) fn draw_lower_line(surface: &mut dyn Surface, plot: &Area) {
    let ends = [
        Point::new(plot.left, plot.bottom),
        Point::new(plot.right, plot.bottom),
    ];
    surface.line(&ends, Stroke::new(Color::Muted, 1.));
}

/// An axis's name below its plot.
pub(super) fn draw_name_across(surface: &mut dyn Surface, plot: &Area, axis: &Axis, base: f64) {
    // It may stand out a little: a narrow plot has room on both sides.
    let name = Label::new(&axis.label()).cut(LABEL, plot.width().max(100.) + 40.);
    let style = TextStyle::new(LABEL, Color::Text, Anchor::Middle);
    text(surface, &name, Point::new(plot.center().x, base), style);
}

/// The left or right edge with its marks and the axis's name.
pub(super) fn draw_upright_axis(
    surface: &mut dyn Surface,
    plot: &Area,
    side: Side,
    axis: &Axis,
    span: Option<&Span>,
    ticks: &[Tick],
) {
    let stroke = Stroke::new(Color::Muted, 1.);
    let (edge, outwards, anchor) = match side {
        Side::Left => (plot.left, -1., Anchor::End),
        Side::Right => (plot.right, 1., Anchor::Start),
    };
    let ends = [Point::new(edge, plot.top), Point::new(edge, plot.bottom)];
    surface.line(&ends, stroke);
    for tick in ticks {
        let Some(y) = span.and_then(|span| y_of(span, plot, tick.number)) else {
            continue;
        };
        let is_small = tick.label.is_empty();
        let length = if is_small {
            0.6 * TICK_LENGTH
        } else {
            TICK_LENGTH
        };
        let ends = [Point::new(edge, y), Point::new(edge + outwards * length, y)];
        surface.line(&ends, stroke);
        let at = Point::new(edge + outwards * (TICK_LENGTH + TO_LABEL), y + 0.35 * TICK);
        text(
            surface,
            &tick.label,
            at,
            TextStyle::new(TICK, Color::Muted, anchor),
        );
    }
    let distance = TICK_LENGTH + TO_LABEL + widest(ticks) + 8.;
    let base = match side {
        Side::Left => edge - distance,
        Side::Right => edge + distance + 0.8 * LABEL,
    };
    draw_name_up(surface, plot, axis, base);
}

/// An axis's name beside its plot, its base line at `x`.
pub(super) fn draw_name_up(surface: &mut dyn Surface, plot: &Area, axis: &Axis, x: f64) {
    let name = Label::new(&axis.label()).cut(LABEL, plot.height().max(80.) + 40.);
    let style = TextStyle::new(LABEL, Color::Text, Anchor::Middle).up();
    text(surface, &name, Point::new(x, plot.center().y), style);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::axis::Spacing;

    #[test]
    fn labels_of_marks_stay_apart_however_narrow_the_plot() {
        for (from, to) in [(0., 1.), (-1e5, 1e5), (1.001, 1.002), (0., 3e-9)] {
            let spacing = Spacing::Linear;
            let span = Span { spacing, from, to };
            for width in [30., 60., 100., 200., 400., 900.] {
                let ticks = ticks_across(Some(&span), width);
                for pair in ticks.windows(2) {
                    let distance = (pair[1].number - pair[0].number) / (to - from) * width;
                    let widths = pair.iter().map(|tick| tick.label.width(TICK));
                    let between = distance - 0.5 * widths.sum::<f64>();
                    assert!(between >= 8., "{from} to {to} on {width}: {pair:?}");
                }
                assert!(width < 400. || ticks.len() > 2, "{from} to {to}: {ticks:?}");
            }
        }
    }

    #[test]
    fn labels_of_marks_stand_above_each_other() {
        let (spacing, from, to) = (Spacing::Linear, 0., 1.);
        let span = Span { spacing, from, to };
        for height in [20., 50., 100., 300.] {
            for pair in ticks_up(Some(&span), height).windows(2) {
                assert!((pair[1].number - pair[0].number) * height >= 2. * TICK);
            }
        }
    }
}
