//! Elements of SVG: plotters writes them, and pictures, which it does not write, are put in between.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use plotters::backend::{DrawingBackend, SVGBackend};
use plotters::style::{FontDesc, FontFamily, FontStyle, FontTransform, ShapeStyle};

use super::surface::{Area, Cells, Direction, Fill, Point, Stroke, Surface, dashes};
use super::theme::{Color, Theme};
use super::{bitmap, font};

/// Plotters draws in whole numbers; so many of them are a pixel of the page.
pub(super) const SCALE: f64 = 10.;

/// The share of the size by which plotters puts the base line below a text's place.
const TOP_TO_BASE_LINE: f64 = 0.76;

/// Plotters divides sizes of fonts by this before it writes them.
const FONT_SIZE_DIVISOR: f64 = 1.24;

/// Elements in the light colors, in [`SCALE`] times the pixels of the page.
#[derive(Default)]
pub(super) struct SvgSurface {
    elements: String,
    /// What the circles of the group that is open have in common, as attributes.
    group: Option<String>,
}

impl SvgSurface {
    pub(super) fn new() -> Self {
        font::register();
        Self::default()
    }

    /// What was drawn, one element a line.
    pub(super) fn into_elements(mut self) -> String {
        self.close_group();
        self.elements
    }

    fn close_group(&mut self) {
        if self.group.take().is_some() {
            self.elements.push_str("</g>\n");
        }
    }

    fn add(&mut self, draw: impl FnOnce(&mut SVGBackend)) {
        let element = element(draw);
        self.close_group();
        self.elements.push_str(&element);
    }
}

/// What plotters writes, without the file around it.
fn element(draw: impl FnOnce(&mut SVGBackend)) -> String {
    let mut file = String::new();
    draw(&mut SVGBackend::with_string(&mut file, (0, 0)));
    let inside = file.split_once('\n').map_or("", |(_head, inside)| inside);
    inside.trim_end_matches("</svg>\n").to_owned()
}

fn whole(length: f64) -> i32 {
    (length * SCALE).round() as i32
}

fn place(point: Point) -> (i32, i32) {
    (whole(point.x), whole(point.y))
}

fn filled(fill: Fill) -> ShapeStyle {
    bitmap::style(fill.color, Theme::Light, fill.opacity, 0.)
}

// Writing to memory cannot fail, so that plotters' results have nothing to say.
impl Surface for SvgSurface {
    fn line(&mut self, points: &[Point], stroke: Stroke) {
        let style = bitmap::style(stroke.color, Theme::Light, 1., stroke.width * SCALE);
        for line in dashes(points, stroke) {
            let mut places: Vec<_> = line.into_iter().map(place).collect();
            places.dedup();
            if places.len() > 1 {
                self.add(|backend| {
                    let _ = backend.draw_path(places, &style);
                });
            }
        }
    }

    fn polygon(&mut self, corners: &[Point], fill: Fill) {
        let places: Vec<_> = corners.iter().copied().map(place).collect();
        self.add(|backend| {
            let _ = backend.fill_polygon(places, &filled(fill));
        });
    }

    fn rectangle(&mut self, area: Area, fill: Fill) {
        let upper_left = place(Point::new(area.left, area.top));
        let lower_right = place(Point::new(area.right, area.bottom));
        self.add(|backend| {
            let _ = backend.draw_rect(upper_left, lower_right, &filled(fill), true);
        });
    }

    fn disk(&mut self, center: Point, radius: f64, fill: Fill) {
        let radius = whole(radius).unsigned_abs();
        let circle = element(|backend| {
            let _ = backend.draw_circle(place(center), radius, &filled(fill), true);
        });
        // Thousands of points look the same: what they have in common stands once.
        let parts = circle
            .strip_suffix("/>\n")
            .and_then(|circle| circle.split_once(" opacity="));
        let Some((circle, look)) = parts else {
            return;
        };
        if self.group.as_deref() != Some(look) {
            self.close_group();
            let _ = writeln!(self.elements, "<g fill-opacity={look}>");
            self.group = Some(look.to_owned());
        }
        let _ = writeln!(self.elements, "{circle}/>");
    }

    fn letters(&mut self, text: &str, size: f64, start: Point, direction: Direction, color: Color) {
        let below = TOP_TO_BASE_LINE * size;
        let (top, transform) = match direction {
            Direction::Across => (Point::new(start.x, start.y - below), FontTransform::None),
            Direction::Up => (
                Point::new(start.x - below, start.y),
                FontTransform::Rotate270,
            ),
        };
        let wanted = (size * SCALE).round();
        let plotters_size = wanted * FONT_SIZE_DIVISOR;
        let font = FontDesc::new(
            FontFamily::Name(font::FAMILY),
            plotters_size,
            FontStyle::Normal,
        );
        let color = bitmap::style(color, Theme::Light, 1., 0.).color;
        let style = font.transform(transform).color(&color);
        let element = element(|backend| {
            let _ = backend.draw_text(text, &style, place(top));
        });
        // The way there and back leaves 119.99… of 120.
        let written = format!(" font-size=\"{}\"", plotters_size / FONT_SIZE_DIVISOR);
        let element = element.replacen(&written, &format!(" font-size=\"{wanted}\""), 1);
        self.close_group();
        self.elements.push_str(&element);
    }

    /// A picture, so that a viewer draws no seams between the cells.
    fn cells(&mut self, area: Area, cells: &Cells) {
        let picture = bitmap::of_cells(cells, 2. * area.width(), 2. * area.height());
        self.close_group();
        let _ = writeln!(
            self.elements,
            "<image x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" preserveAspectRatio=\"none\" \
             style=\"image-rendering:pixelated\" href=\"data:image/png;base64,{}\"/>",
            whole(area.left),
            whole(area.top),
            whole(area.width()),
            whole(area.height()),
            STANDARD.encode(picture),
        );
    }
}
