//! The marks of series: each has a color, a dash and a shape, so that color alone carries nothing.

use std::f64::consts::FRAC_PI_4;

use super::surface::{DASHES, Fill, Point, Stroke, Surface};
use super::theme::{Color, N_SERIES};

/// What a series looks like, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look(pub(super) usize);

impl Look {
    pub(super) fn color(self) -> Color {
        Color::Series(self.0)
    }

    pub(super) fn stroke(self, width: f64) -> Stroke {
        // Where the colors begin anew the dashes have moved on by one.
        let dash = (self.0 + self.0 / N_SERIES) % DASHES.len();
        Stroke {
            color: self.color(),
            width,
            dash,
        }
    }

    /// Draws the mark within a circle of about this radius.
    pub(super) fn mark(self, surface: &mut dyn Surface, at: Point, radius: f64, opacity: f64) {
        let fill = Fill {
            color: self.color(),
            opacity,
        };
        let corners = |n_corners: usize, first: f64, radius: f64| -> Vec<Point> {
            (0..n_corners)
                .map(|corner| {
                    let angle = first + std::f64::consts::TAU * corner as f64 / n_corners as f64;
                    Point::new(at.x + radius * angle.sin(), at.y - radius * angle.cos())
                })
                .collect()
        };
        let line = |surface: &mut dyn Surface, angle: f64| {
            let ends = corners(2, angle, radius * 1.2);
            surface.line(&ends, Stroke::new(self.color(), radius * 0.65));
        };
        match self.0 % 8 {
            0 => surface.disk(at, radius, fill),
            1 => surface.polygon(&corners(4, FRAC_PI_4, radius * 1.2), fill),
            2 => surface.polygon(&corners(3, 0., radius * 1.3), fill),
            3 => surface.polygon(&corners(4, 0., radius * 1.3), fill),
            4 => surface.polygon(&corners(3, 4. * FRAC_PI_4, radius * 1.3), fill),
            5 => {
                line(surface, FRAC_PI_4);
                line(surface, -FRAC_PI_4);
            }
            6 => {
                line(surface, 0.);
                line(surface, 2. * FRAC_PI_4);
            }
            _ => surface.polygon(&corners(6, 0., radius * 1.1), fill),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_of_the_first_series_share_color_and_dash() {
        let looks: Vec<_> = (0..4 * N_SERIES)
            .map(|index| (index % N_SERIES, Look(index).stroke(1.).dash))
            .collect();
        for (index, look) in looks.iter().enumerate() {
            assert!(!looks[..index].contains(look), "{index}: {look:?}");
        }
    }
}
