//! Reference lines, and places for their labels where little else is drawn.

use super::TICK;
use super::chart::Frame;
use crate::figures::chart::Reference;
use crate::figures::label::Label;
use crate::figures::surface::{Anchor, Area, Fill, Point, Stroke, Surface, TextStyle, text};
use crate::figures::theme::Color;

impl Reference {
    pub(super) fn draw(&self, surface: &mut dyn Surface, frame: &Frame) {
        if let Some(ends) = self.ends(frame) {
            let stroke = Stroke {
                color: Color::Muted,
                width: 1.2,
                dash: 1,
            };
            surface.line(&ends, stroke);
        }
    }

    /// The ends of the line if it is within the plot: left and right, or lower and upper one.
    fn ends(&self, frame: &Frame) -> Option<[Point; 2]> {
        let span = if self.is_horizontal {
            &frame.y
        } else {
            &frame.x
        };
        let share = span.share(self.at)?;
        if !(0. ..=1.).contains(&share) {
            return None;
        }
        let plot = &frame.plot;
        let at = frame.at(share, share);
        Some(if self.is_horizontal {
            [Point::new(plot.left, at.y), Point::new(plot.right, at.y)]
        } else {
            [Point::new(at.x, plot.bottom), Point::new(at.x, plot.top)]
        })
    }
}

/// Points along a line, near enough to each other that no label lies between them.
pub(super) fn points_along(line: &[Point]) -> Vec<Point> {
    const STEP: f64 = 5.;
    let mut points = Vec::new();
    for pair in line.windows(2) {
        let n_steps = (pair[0].distance(pair[1]) / STEP).ceil().clamp(1., 1000.);
        let steps = (0..n_steps as i32).map(|step| f64::from(step) / n_steps);
        points.extend(steps.map(|share| pair[0].towards(pair[1], share)));
    }
    points.extend(line.last());
    points
}

/// Where labels can go.
pub(super) struct LabelPlaces {
    plot: Area,
    ink: Vec<Point>,
}

/// From a line to its label, and from a label's edges to the plot's.
const FROM_LINE: f64 = 5.;
/// Heights of a label above and below its base line.
const ABOVE: f64 = 0.85 * TICK;
const BELOW: f64 = 0.28 * TICK;

impl LabelPlaces {
    /// Places in a plot where something is drawn at these points.
    pub(super) fn new(plot: Area, ink: Vec<Point>) -> Self {
        Self { plot, ink }
    }

    /// Sets the labels of all lines beside them.
    pub(super) fn draw(mut self, surface: &mut dyn Surface, frame: &Frame, lines: &[Reference]) {
        // Labels had better not stand on other lines either.
        let ends: Vec<_> = lines.iter().map(|line| line.ends(frame)).collect();
        for ends in ends.iter().flatten() {
            self.ink.extend(points_along(ends));
        }
        for (line, ends) in lines.iter().zip(ends) {
            let label = Label::new(&line.label).cut(TICK, 0.9 * self.plot.width());
            let Some(ends) = ends.filter(|_| !label.is_empty()) else {
                continue;
            };
            let width = label.width(TICK);
            let places = if line.is_horizontal {
                self.beside_horizontal(ends[0].y, width)
            } else {
                self.beside_upright(ends[0].x, width)
            };
            let Some(place) = self.emptiest(&places) else {
                continue;
            };
            let fill = Fill {
                color: Color::Background,
                opacity: 0.8,
            };
            surface.rectangle(place, fill);
            let style = TextStyle::new(TICK, Color::Text, Anchor::Start);
            let start = Point::new(place.left + 2., place.bottom - BELOW);
            text(surface, &label, start, style);
            // The next one must not cover this one.
            let middle = place.center().y;
            for y in [place.top, middle, place.bottom] {
                let ends = [Point::new(place.left, y), Point::new(place.right, y)];
                self.ink.extend(points_along(&ends));
            }
        }
    }

    fn place(left: f64, base: f64, width: f64) -> Area {
        Area {
            left: left - 2.,
            top: base - ABOVE,
            right: left + width + 2.,
            bottom: base + BELOW,
        }
    }

    /// Above and below, from the right to the left.
    fn beside_horizontal(&self, line: f64, width: f64) -> Vec<Area> {
        let plot = &self.plot;
        let room = plot.width() - width - 2. * FROM_LINE;
        let lefts = (0..5).map(|step| plot.left + FROM_LINE + room * (1. - 0.25 * f64::from(step)));
        let bases = [line - FROM_LINE, line + FROM_LINE + ABOVE - 2.];
        let places = lefts.flat_map(|left| bases.map(|base| Self::place(left, base, width)));
        places.collect()
    }

    /// To the right and to the left, from above to below.
    fn beside_upright(&self, line: f64, width: f64) -> Vec<Area> {
        let plot = &self.plot;
        let step = TICK + 5.;
        let n_steps = ((plot.height() - FROM_LINE) / step).floor().clamp(1., 100.);
        let bases =
            (0..n_steps as i32).map(|index| plot.top + ABOVE + 3. + step * f64::from(index));
        let lefts = [line + FROM_LINE, line - FROM_LINE - width];
        let places = bases.flat_map(|base| lefts.map(|left| Self::place(left, base, width)));
        places.collect()
    }

    /// The first of the places within the plot that cover the least.
    fn emptiest(&self, places: &[Area]) -> Option<Area> {
        let plot = &self.plot;
        let is_inside = |place: &&Area| {
            place.left >= plot.left
                && place.right <= plot.right
                && place.top >= plot.top
                && place.bottom <= plot.bottom
        };
        let covered = |place: &&Area| {
            let points = self.ink.iter();
            points.filter(|&&point| place.contains(point)).count()
        };
        let inside = places.iter().filter(is_inside);
        inside.min_by_key(covered).or(places.first()).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLOT: Area = Area {
        left: 0.,
        top: 0.,
        right: 300.,
        bottom: 200.,
    };

    fn line(from: (f64, f64), to: (f64, f64)) -> Vec<Point> {
        points_along(&[Point::new(from.0, from.1), Point::new(to.0, to.1)])
    }

    #[test]
    fn labels_stand_at_the_end_of_a_line_that_is_free() {
        let places = LabelPlaces::new(PLOT, Vec::new());
        let place = places
            .emptiest(&places.beside_horizontal(100., 50.))
            .unwrap();
        assert_eq!((place.left, place.right), (243., 297.));
        assert!(place.bottom < 100.);
        // Near the upper edge there is room below the line alone.
        let place = places.emptiest(&places.beside_horizontal(5., 50.)).unwrap();
        assert!(place.top > 5.);
        // Near the right edge there is room on the left alone.
        let place = places.emptiest(&places.beside_upright(280., 50.)).unwrap();
        assert!(place.right < 280. && place.top < 10.);
    }

    #[test]
    fn labels_avoid_what_is_drawn() {
        // Above the line at its right half, below it everywhere.
        let mut ink = line((150., 95.), (300., 90.));
        ink.extend(line((0., 107.), (300., 107.)));
        let places = LabelPlaces::new(PLOT, ink);
        let place = places
            .emptiest(&places.beside_horizontal(100., 50.))
            .unwrap();
        assert!(place.right < 150. && place.bottom < 100., "{place:?}");
        let ink = line((100., 8.), (300., 8.));
        let places = LabelPlaces::new(PLOT, ink);
        let place = places.emptiest(&places.beside_upright(100., 50.)).unwrap();
        assert!(place.right < 100., "{place:?}");
    }

    #[test]
    fn points_lie_close_to_each_other() {
        let points = line((0., 0.), (30., 40.));
        assert_eq!(points.len(), 11);
        assert!(
            points
                .windows(2)
                .all(|pair| pair[0].distance(pair[1]) < 5.01)
        );
        assert!(points_along(&[]).is_empty());
    }
}
