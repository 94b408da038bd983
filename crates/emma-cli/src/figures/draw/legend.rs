//! Legends: above the plot, in as many lines as they need, so that they never cover data.

use super::LABEL;
use crate::figures::label::Label;
use crate::figures::marker::Look;
use crate::figures::surface::{Anchor, Area, Fill, Point, Stroke, Surface, TextStyle, text};
use crate::figures::theme::Color;

/// What stands before a label.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sample {
    Line { look: Look, has_markers: bool },
    Mark(Look),
    Patch(Look),
    Arrow,
}

/// Labels with samples of what they name.
#[derive(Debug, Default)]
pub(super) struct Legend {
    entries: Vec<(Sample, Label)>,
}

/// Width of a sample, and the distances after it and after its label.
const SAMPLE: f64 = 24.;
const AFTER_SAMPLE: f64 = 6.;
const AFTER_LABEL: f64 = 16.;
const LINE_HEIGHT: f64 = 17.;

impl Legend {
    /// Adds an entry, unless its label is empty.
    pub(super) fn add(&mut self, sample: Sample, label: &str) {
        if !label.trim().is_empty() {
            self.entries.push((sample, Label::new(label)));
        }
    }

    pub(super) fn height(&self, width: f64) -> f64 {
        let n_lines = self.places(width).last().map_or(0, |&(line, _)| line + 1);
        LINE_HEIGHT * n_lines as f64
    }

    /// Line and distance from the left of every entry.
    fn places(&self, width: f64) -> Vec<(usize, f64)> {
        let (mut line, mut left) = (0, 0.);
        let place = |(_, label): &(Sample, Label)| {
            let entry = SAMPLE + AFTER_SAMPLE + label.width(LABEL);
            if left > 0. && left + entry > width {
                (line, left) = (line + 1, 0.);
            }
            let place = (line, left);
            left += entry + AFTER_LABEL;
            place
        };
        self.entries.iter().map(place).collect()
    }

    pub(super) fn draw(&self, surface: &mut dyn Surface, left: f64, top: f64, width: f64) {
        for ((sample, label), (line, along)) in self.entries.iter().zip(self.places(width)) {
            let middle = top + LINE_HEIGHT * (line as f64 + 0.5);
            let start = left + along;
            sample.draw(surface, start, middle);
            let room = (width - SAMPLE - AFTER_SAMPLE).max(60.);
            let at = Point::new(start + SAMPLE + AFTER_SAMPLE, middle + 0.35 * LABEL);
            let style = TextStyle::new(LABEL, Color::Text, Anchor::Start);
            text(surface, &label.clone().cut(LABEL, room), at, style);
        }
    }
}

impl Sample {
    fn draw(self, surface: &mut dyn Surface, left: f64, middle: f64) {
        let center = Point::new(left + 0.5 * SAMPLE, middle);
        let ends = [Point::new(left, middle), Point::new(left + SAMPLE, middle)];
        match self {
            Self::Line { look, has_markers } => {
                surface.line(&ends, look.stroke(2.));
                if has_markers {
                    look.mark(surface, center, 3.5, 1.);
                }
            }
            Self::Mark(look) => look.mark(surface, center, 4., 1.),
            Self::Patch(look) => {
                let patch = Area {
                    left: left + 4.,
                    top: middle - 5.,
                    right: left + SAMPLE - 4.,
                    bottom: middle + 5.,
                };
                look.patch(surface, patch);
            }
            Self::Arrow => super::chart::arrow(surface, ends, Stroke::new(Color::Text, 1.3)),
        }
    }
}

/// An area of a series with its outline.
impl Look {
    pub(super) fn patch(self, surface: &mut dyn Surface, area: Area) {
        let fill = Fill {
            color: self.color(),
            opacity: 0.3,
        };
        surface.rectangle(area, fill);
        let corners = [
            Point::new(area.left, area.bottom),
            Point::new(area.left, area.top),
            Point::new(area.right, area.top),
            Point::new(area.right, area.bottom),
            Point::new(area.left, area.bottom),
        ];
        surface.line(&corners, Stroke::new(self.color(), 1.5));
    }
}
