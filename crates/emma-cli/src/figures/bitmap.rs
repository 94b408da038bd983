//! Figures as PNG: plotters draws them several times too large, which takes the steps off slanted lines.

use plotters::backend::{BitMapBackend, DrawingBackend};
use plotters::style::{FontDesc, FontFamily, FontStyle, FontTransform, RGBAColor, ShapeStyle};

use super::font;
use super::surface::{Area, Cells, Direction, Fill, Point, Stroke, Surface, dashes};
use super::theme::{Color, Theme};

/// Pixels of the file for a pixel of the page.
const SCALE: usize = 2;

/// Pixels drawn for a pixel of the file, in both directions.
const FINER: usize = 3;

const DRAWN: f64 = (SCALE * FINER) as f64;

/// A color and a width as plotters takes them.
#[expect(clippy::cast_sign_loss, reason = "widths are not negative")]
pub(super) fn style(color: Color, theme: Theme, opacity: f64, width: f64) -> ShapeStyle {
    let [red, green, blue] = color.rgb(theme);
    ShapeStyle {
        color: RGBAColor(red, green, blue, opacity),
        filled: true,
        stroke_width: width.round().max(1.) as u32,
    }
}

/// A file of what is drawn on the theme's background.
pub(super) fn draw(
    width: f64,
    height: f64,
    theme: Theme,
    drawing: impl FnOnce(&mut dyn Surface),
) -> Result<Vec<u8>, png::EncodingError> {
    font::register();
    let [width, height] = [width, height].map(|length| whole(length).unsigned_abs() / FINER as u32);
    let fine = (width * FINER as u32, height * FINER as u32);
    let background = Color::Background.rgb(theme);
    let mut pixels = background.repeat(fine.0 as usize * fine.1 as usize);
    {
        let mut surface = BitmapSurface {
            backend: BitMapBackend::with_buffer(&mut pixels, fine),
            theme,
        };
        drawing(&mut surface);
        let _ = surface.backend.present();
    }
    encode(
        width,
        height,
        png::ColorType::Rgb,
        &reduce(&pixels, fine.0 as usize),
    )
}

/// The means of squares of [`FINER`] by [`FINER`] pixels of three bytes.
fn reduce(pixels: &[u8], width: usize) -> Vec<u8> {
    const N_PIXELS: usize = FINER * FINER;
    let mut reduced = Vec::with_capacity(pixels.len() / N_PIXELS);
    // Of columns first: the simplest loop goes over the most pixels.
    let mut columns = vec![0_u16; width * 3];
    for rows in pixels.chunks_exact(width * 3 * FINER) {
        columns.fill(0);
        for row in rows.chunks_exact(width * 3) {
            for (sum, &part) in columns.iter_mut().zip(row) {
                *sum += u16::from(part);
            }
        }
        for square in columns.chunks_exact(3 * FINER) {
            for part in 0..3 {
                let sum: usize = square[part..]
                    .iter()
                    .step_by(3)
                    .copied()
                    .map(usize::from)
                    .sum();
                reduced.push(((sum + N_PIXELS / 2) / N_PIXELS) as u8);
            }
        }
    }
    reduced
}

/// Cells as a file of its own, each so many pixels large that the picture has at least the size given:
/// viewers that smooth what they enlarge then smooth the edges of cells alone.
pub(super) fn of_cells(cells: &Cells, width: f64, height: f64) -> Vec<u8> {
    let times = |length: f64, n_cells: usize| {
        let times = (length / n_cells.max(1) as f64).ceil();
        // Not too many for a picture of few cells either.
        (times.clamp(1., 256.) as i32).unsigned_abs()
    };
    let (across, down) = (times(width, cells.n_columns), times(height, cells.n_rows));
    let mut pixels = Vec::new();
    for row in cells.colors.chunks(cells.n_columns.max(1)) {
        let mut line = Vec::new();
        for color in row {
            let pixel = color.map_or([0; 4], |[red, green, blue]| [red, green, blue, 255]);
            line.extend(pixel.repeat(across as usize));
        }
        pixels.extend(line.repeat(down as usize));
    }
    let width = cells.n_columns as u32 * across;
    let height = cells.n_rows as u32 * down;
    encode(width, height, png::ColorType::Rgba, &pixels).unwrap_or_default()
}

/// Eight bits a part, without a filter, which helps pictures of few colors little.
///
/// Not compressed by `png` itself: its strong levels go through flate2, whose backend another crate of
/// the program may exchange, and with it the bytes.
fn encode(
    width: u32,
    height: u32,
    color: png::ColorType,
    pixels: &[u8],
) -> Result<Vec<u8>, png::EncodingError> {
    const LEVEL: u8 = 6;
    const NO_FILTER: u8 = 0;
    let mut lines = Vec::with_capacity(pixels.len() + height as usize);
    for line in pixels.chunks((pixels.len() / height.max(1) as usize).max(1)) {
        lines.push(NO_FILTER);
        lines.extend(line);
    }
    let compressed = miniz_oxide::deflate::compress_to_vec_zlib(&lines, LEVEL);
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(color);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_chunk(png::chunk::IDAT, &compressed)?;
    writer.finish()?;
    Ok(file)
}

struct BitmapSurface<'a> {
    backend: BitMapBackend<'a>,
    theme: Theme,
}

impl BitmapSurface<'_> {
    fn filled(&self, fill: Fill) -> ShapeStyle {
        style(fill.color, self.theme, fill.opacity, 1.)
    }
}

fn whole(length: f64) -> i32 {
    (length * DRAWN).round() as i32
}

fn place(point: Point) -> (i32, i32) {
    (whole(point.x), whole(point.y))
}

// Drawing into memory cannot fail, so that plotters' results have nothing to say.
impl Surface for BitmapSurface<'_> {
    /// Piece by piece: as one polygon, which is what plotters makes of a thick line, it would have
    /// holes where it crosses itself and spikes where it turns.
    fn line(&mut self, points: &[Point], stroke: Stroke) {
        let fill = Fill::new(stroke.color);
        let half = 0.5 * stroke.width;
        for line in dashes(points, stroke) {
            for pair in line.windows(2) {
                let length = pair[0].distance(pair[1]);
                if length > 0. {
                    let across = Point::new(
                        (pair[0].y - pair[1].y) / length * half,
                        (pair[1].x - pair[0].x) / length * half,
                    );
                    let corner = |point: Point, side: f64| {
                        Point::new(point.x + side * across.x, point.y + side * across.y)
                    };
                    let corners = [
                        corner(pair[0], 1.),
                        corner(pair[1], 1.),
                        corner(pair[1], -1.),
                        corner(pair[0], -1.),
                    ];
                    self.polygon(&corners, fill);
                }
            }
            for joint in line.iter().skip(1).rev().skip(1) {
                self.disk(*joint, half, fill);
            }
        }
    }

    fn polygon(&mut self, corners: &[Point], fill: Fill) {
        let style = self.filled(fill);
        let places: Vec<_> = corners.iter().copied().map(place).collect();
        if places.len() > 2 {
            let _ = self.backend.fill_polygon(places, &style);
        }
    }

    fn rectangle(&mut self, area: Area, fill: Fill) {
        let style = self.filled(fill);
        let upper_left = place(Point::new(area.left, area.top));
        let lower_right = place(Point::new(area.right, area.bottom));
        let _ = self
            .backend
            .draw_rect(upper_left, lower_right, &style, true);
    }

    fn disk(&mut self, center: Point, radius: f64, fill: Fill) {
        let style = self.filled(fill);
        let radius = whole(radius).unsigned_abs();
        let _ = self
            .backend
            .draw_circle(place(center), radius, &style, true);
    }

    fn letters(&mut self, text: &str, size: f64, start: Point, direction: Direction, color: Color) {
        // Plotters has the base line half a line's height below the text's place.
        let below = 0.5 * size * font::LINE;
        let (top, transform) = match direction {
            Direction::Across => (Point::new(start.x, start.y - below), FontTransform::None),
            Direction::Up => (
                Point::new(start.x - below, start.y),
                FontTransform::Rotate270,
            ),
        };
        let font = FontDesc::new(
            FontFamily::Name(font::FAMILY),
            size * font::LINE * DRAWN,
            FontStyle::Normal,
        );
        let color = style(color, self.theme, 1., 1.).color;
        let style = font.transform(transform).color(&color);
        let _ = self.backend.draw_text(text, &style, place(top));
    }

    fn cells(&mut self, area: Area, cells: &Cells) {
        let left = |column: usize| {
            area.left + area.width() * column as f64 / cells.n_columns.max(1) as f64
        };
        let top = |row: usize| area.top + area.height() * row as f64 / cells.n_rows.max(1) as f64;
        for (index, color) in cells.colors.iter().enumerate() {
            let (row, column) = (index / cells.n_columns, index % cells.n_columns);
            if let Some(rgb) = color {
                let cell = Area {
                    left: left(column),
                    right: left(column + 1),
                    top: top(row),
                    bottom: top(row + 1),
                };
                self.rectangle(cell, Fill::new(Color::Fixed(*rgb)));
            }
        }
    }
}
