//! What figures are drawn on: lines, areas and texts, in pixels of the page.

use super::label::Label;
use super::theme::{Color, Rgb};

/// A place in pixels of the page, to the right and down from the upper left corner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

impl Point {
    pub(super) fn new(x: f64, y: f64) -> Self {
        Self { x, y }
    }

    pub(super) fn distance(self, other: Self) -> f64 {
        (other.x - self.x).hypot(other.y - self.y)
    }

    /// The place at a share of the way to another.
    pub(super) fn towards(self, other: Self, share: f64) -> Self {
        Self {
            x: self.x + (other.x - self.x) * share,
            y: self.y + (other.y - self.y) * share,
        }
    }
}

/// An upright rectangle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Area {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl Area {
    pub(super) fn width(&self) -> f64 {
        self.right - self.left
    }

    pub(super) fn height(&self) -> f64 {
        self.bottom - self.top
    }

    pub(super) fn center(&self) -> Point {
        Point::new(
            f64::midpoint(self.left, self.right),
            f64::midpoint(self.top, self.bottom),
        )
    }

    pub(super) fn contains(&self, point: Point) -> bool {
        (self.left..=self.right).contains(&point.x) && (self.top..=self.bottom).contains(&point.y)
    }
}

/// How a line is interrupted: lengths drawn and left out, in widths of the line.
pub(super) const DASHES: [&[f64]; 4] = [&[], &[5., 2.5], &[1.5, 1.8], &[7., 2., 1.5, 2.]];

#[derive(Clone, Copy, Debug)]
pub(super) struct Stroke {
    pub(super) color: Color,
    pub(super) width: f64,
    /// Which of [`DASHES`].
    pub(super) dash: usize,
}

impl Stroke {
    pub(super) fn new(color: Color, width: f64) -> Self {
        Self {
            color,
            width,
            dash: 0,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Fill {
    pub(super) color: Color,
    /// From 0, not there, to 1, opaque.
    pub(super) opacity: f64,
}

impl Fill {
    pub(super) fn new(color: Color) -> Self {
        Self { color, opacity: 1. }
    }
}

/// Which end of a text stands at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// To the right.
    Across,
    /// Upwards, turned to the left.
    Up,
}

/// Cells of a color map, row by row from the top.
pub(super) struct Cells {
    pub(super) n_columns: usize,
    pub(super) n_rows: usize,
    /// None where there is a gap.
    pub(super) colors: Vec<Option<Rgb>>,
}

impl Cells {
    pub(super) fn new(n_columns: usize, colors: Vec<Option<Rgb>>) -> Self {
        Self {
            n_columns,
            n_rows: colors.len().checked_div(n_columns).unwrap_or(0),
            colors,
        }
    }
}

/// A medium: a vector file or a picture of pixels.
pub(super) trait Surface {
    /// A line through points; joints are round and ends are flat.
    fn line(&mut self, points: &[Point], stroke: Stroke);

    fn polygon(&mut self, corners: &[Point], fill: Fill);

    fn rectangle(&mut self, area: Area, fill: Fill);

    fn disk(&mut self, center: Point, radius: f64, fill: Fill);

    /// Letters of one size from their beginning on the base line.
    fn letters(&mut self, text: &str, size: f64, start: Point, direction: Direction, color: Color);

    fn cells(&mut self, area: Area, cells: &Cells);
}

/// How a text is set.
#[derive(Clone, Copy, Debug)]
pub(super) struct TextStyle {
    pub(super) size: f64,
    pub(super) color: Color,
    pub(super) anchor: Anchor,
    pub(super) direction: Direction,
}

impl TextStyle {
    pub(super) fn new(size: f64, color: Color, anchor: Anchor) -> Self {
        Self {
            size,
            color,
            anchor,
            direction: Direction::Across,
        }
    }

    pub(super) fn up(self) -> Self {
        Self {
            direction: Direction::Up,
            ..self
        }
    }
}

/// Sets a text, its anchor on the base line at a place.
pub(super) fn text(surface: &mut dyn Surface, label: &Label, at: Point, style: TextStyle) {
    let mut along = match style.anchor {
        Anchor::Start => 0.,
        Anchor::Middle => -0.5 * label.width(style.size),
        Anchor::End => -label.width(style.size),
    };
    for (run, script) in &label.runs {
        let rise = style.size * script.rise();
        let size = style.size * script.size();
        // SVG leaves out spaces at the beginning.
        let shown = run.trim_start();
        along += super::font::width(&run[..run.len() - shown.len()]) * size;
        let start = match style.direction {
            Direction::Across => Point::new(at.x + along, at.y - rise),
            Direction::Up => Point::new(at.x - rise, at.y - along),
        };
        if !shown.is_empty() {
            surface.letters(shown, size, start, style.direction, style.color);
        }
        along += super::font::width(shown) * size;
    }
}

/// The dashes of a line as lines of their own.
pub(super) fn dashes(points: &[Point], stroke: Stroke) -> Vec<Vec<Point>> {
    let pattern = DASHES[stroke.dash % DASHES.len()];
    if pattern.is_empty() {
        return vec![points.to_vec()];
    }
    let mut lines: Vec<Vec<Point>> = Vec::new();
    let mut part = 0;
    let mut left = pattern[0] * stroke.width;
    let mut line = points.first().map(|&point| vec![point]).unwrap_or_default();
    for pair in points.windows(2) {
        let length = pair[0].distance(pair[1]);
        let mut done = 0.;
        while length - done > left {
            done += left;
            let here = pair[0].towards(pair[1], done / length);
            if part % 2 == 0 {
                line.push(here);
                lines.push(std::mem::take(&mut line));
            } else {
                line = vec![here];
            }
            part = (part + 1) % pattern.len();
            left = pattern[part] * stroke.width;
        }
        left -= length - done;
        if part % 2 == 0 {
            line.push(pair[1]);
        }
    }
    if line.len() > 1 {
        lines.push(line);
    }
    lines
}
