//! Maps from numbers to colors, computed in OKLab.
//!
//! OKLab: B. Ottosson, "A perceptual color space for image processing" (2020). A distance in it is close
//! to a difference as people see it, so that equal steps along a curve are equal steps to the eye.

use super::axis::Axis;
use super::theme::Rgb;

/// Which colors a number takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Palette {
    /// From dark violet over teal to light yellow, ever lighter.
    Sequential,
    /// Blue below the middle, nearly white in it, red above; without a range of its own the middle is 0.
    Diverging,
}

/// The colors of a quantity with the axis of its color bar.
#[derive(Clone, Debug)]
pub(crate) struct ColorScale {
    pub(super) axis: Axis,
    pub(super) palette: Palette,
}

impl ColorScale {
    /// Colors for a quantity; a range of the axis is the range of the colors, and values beyond it
    /// take the last color.
    pub(crate) fn new(axis: Axis, palette: Palette) -> Self {
        Self { axis, palette }
    }
}

/// A color in OKLab: lightness from 0 to 1, green to red, blue to yellow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Oklab {
    pub(super) lightness: f64,
    pub(super) a: f64,
    pub(super) b: f64,
}

impl Oklab {
    const fn new(lightness: f64, a: f64, b: f64) -> Self {
        Self { lightness, a, b }
    }

    pub(super) fn distance(self, other: Self) -> f64 {
        let [lightness, a, b] = [
            self.lightness - other.lightness,
            self.a - other.a,
            self.b - other.b,
        ];
        (lightness * lightness + a * a + b * b).sqrt()
    }

    fn between(self, other: Self, share: f64) -> Self {
        let mix = |from: f64, to: f64| from + (to - from) * share;
        Self::new(
            mix(self.lightness, other.lightness),
            mix(self.a, other.a),
            mix(self.b, other.b),
        )
    }

    fn to_rgb(self) -> Rgb {
        let Self { lightness, a, b } = self;
        let cube = |x: f64| x * x * x;
        let long = cube(lightness + 0.396_337_777_4 * a + 0.215_803_757_3 * b);
        let medium = cube(lightness - 0.105_561_345_8 * a - 0.063_854_172_8 * b);
        let short = cube(lightness - 0.089_484_177_5 * a - 1.291_485_548_0 * b);
        [
            4.076_741_662_1 * long - 3.307_711_591_3 * medium + 0.230_969_929_2 * short,
            -1.268_438_004_6 * long + 2.609_757_401_1 * medium - 0.341_319_396_5 * short,
            -0.004_196_086_3 * long - 0.703_418_614_7 * medium + 1.707_614_701_0 * short,
        ]
        .map(from_linear)
    }
}

/// sRGB's transfer function (IEC 61966-2-1) backwards: eight bits to light from 0 to 1.
pub(super) fn to_linear(rgb: Rgb) -> [f64; 3] {
    rgb.map(|part| {
        let part = f64::from(part) / 255.;
        if part <= 0.040_45 {
            part / 12.92
        } else {
            ((part + 0.055) / 1.055).powf(2.4)
        }
    })
}

#[expect(clippy::cast_sign_loss, reason = "clamped to 0 to 1 before")]
fn from_linear(light: f64) -> u8 {
    let light = light.clamp(0., 1.);
    let part = if light <= 0.003_130_8 {
        12.92 * light
    } else {
        1.055 * light.powf(1. / 2.4) - 0.055
    };
    (part * 255.).round() as u8
}

#[cfg(test)]
pub(super) fn oklab_of_linear([red, green, blue]: [f64; 3]) -> Oklab {
    let long = 0.412_221_470_8 * red + 0.536_332_536_3 * green + 0.051_445_992_9 * blue;
    let medium = 0.211_903_498_2 * red + 0.680_699_545_1 * green + 0.107_396_956_6 * blue;
    let short = 0.088_302_461_9 * red + 0.281_718_837_6 * green + 0.629_978_700_5 * blue;
    let [long, medium, short] = [long, medium, short].map(f64::cbrt);
    Oklab::new(
        0.210_454_255_3 * long + 0.793_617_785_0 * medium - 0.004_072_046_8 * short,
        1.977_998_495_1 * long - 2.428_592_205_0 * medium + 0.450_593_709_9 * short,
        0.025_904_037_1 * long + 0.782_771_766_2 * medium - 0.808_675_766_0 * short,
    )
}

/// Colors between which a table does not interpolate any more: as many as eight bits tell apart.
const N_COLORS: usize = 256;

/// The corners of the sequential map's curve, a quadratic Bézier curve. Lightness rises in equal
/// steps; the corner in between keeps the curve away from gray and within sRGB.
const SEQUENTIAL: [Oklab; 3] = [
    Oklab::new(0.27, 0.05, -0.13),
    Oklab::new(0.60, -0.18, -0.08),
    Oklab::new(0.93, -0.045, 0.17),
];

/// Ends and middle of the diverging map; both ends are equally dark and equally far from the middle.
const DIVERGING: [Oklab; 3] = [
    Oklab::new(0.46, -0.044, -0.142),
    Oklab::new(0.96, 0., 0.),
    Oklab::new(0.46, 0.120, 0.088),
];

/// A palette's colors at equal steps from 0 to 1.
pub(super) struct ColorMap {
    colors: Vec<Rgb>,
}

impl ColorMap {
    pub(super) fn new(palette: Palette) -> Self {
        let curve = match palette {
            Palette::Sequential => equal_steps(|t| {
                let [first, corner, last] = SEQUENTIAL;
                first.between(corner, t).between(corner.between(last, t), t)
            }),
            Palette::Diverging => equal_steps(|t| {
                let [low, middle, high] = DIVERGING;
                if t < 0.5 {
                    low.between(middle, 2. * t)
                } else {
                    middle.between(high, 2. * t - 1.)
                }
            }),
        };
        Self {
            colors: curve.into_iter().map(Oklab::to_rgb).collect(),
        }
    }

    /// The color of a share from 0 to 1; beyond them the last color.
    #[expect(clippy::cast_sign_loss, reason = "clamped to 0 to 1 before")]
    pub(super) fn color(&self, share: f64) -> Rgb {
        let index = share.clamp(0., 1.) * (N_COLORS - 1) as f64;
        self.colors[index.round() as usize]
    }
}

/// Points on a curve whose distances along it are equal, by linear interpolation of its length.
fn equal_steps(curve: impl Fn(f64) -> Oklab) -> Vec<Oklab> {
    const N_PIECES: usize = 4096;
    let at = |piece: usize| piece as f64 / N_PIECES as f64;
    let mut lengths = vec![0.];
    let mut length = 0.;
    for piece in 0..N_PIECES {
        length += curve(at(piece)).distance(curve(at(piece + 1)));
        lengths.push(length);
    }
    (0..N_COLORS)
        .map(|index| {
            let wanted = length * index as f64 / (N_COLORS - 1) as f64;
            let after = lengths
                .partition_point(|&length| length < wanted)
                .clamp(1, N_PIECES);
            let (low, high) = (lengths[after - 1], lengths[after]);
            let share = (wanted - low) / (high - low);
            curve(at(after - 1) + share / N_PIECES as f64)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(palette: Palette) -> Vec<Oklab> {
        let map = ColorMap::new(palette);
        let colors = map.colors.iter();
        colors.map(|&rgb| oklab_of_linear(to_linear(rgb))).collect()
    }

    #[test]
    fn gray_has_the_lightness_of_its_definition() {
        // White is 1 and black 0 by definition; gray has no color. The coefficients have ten digits.
        let white = oklab_of_linear(to_linear([255; 3]));
        assert!(white.distance(Oklab::new(1., 0., 0.)) < 1e-6, "{white:?}");
        assert!(oklab_of_linear([0.; 3]).distance(Oklab::new(0., 0., 0.)) < 1e-12);
    }

    #[test]
    fn colors_survive_the_way_to_oklab_and_back() {
        for rgb in [
            [0, 0, 0],
            [255, 255, 255],
            [12, 200, 97],
            [255, 0, 1],
            [3, 2, 251],
        ] {
            assert_eq!(oklab_of_linear(to_linear(rgb)).to_rgb(), rgb);
        }
    }

    #[test]
    fn the_sequential_map_gets_ever_lighter() {
        let seen = seen(Palette::Sequential);
        for pair in seen.windows(2) {
            assert!(pair[0].lightness < pair[1].lightness, "{pair:?}");
        }
        assert!(seen[0].lightness < 0.3 && seen[N_COLORS - 1].lightness > 0.9);
    }

    #[test]
    fn the_diverging_map_is_as_light_on_both_sides() {
        let seen = seen(Palette::Diverging);
        for (low, high) in seen.iter().zip(seen.iter().rev()) {
            // Eight bits a part move the lightness by less than 0.004.
            assert!(
                (low.lightness - high.lightness).abs() < 0.008,
                "{low:?} {high:?}"
            );
        }
        for pair in seen[..N_COLORS / 2].windows(2) {
            assert!(pair[0].lightness < pair[1].lightness + 0.002, "{pair:?}");
        }
        assert!(seen[0].b < -0.1 && seen[N_COLORS - 1].a > 0.1);
    }

    #[test]
    fn equal_steps_look_equal() {
        for palette in [Palette::Sequential, Palette::Diverging] {
            let seen = seen(palette);
            // Over sixteen colors the rounding to eight bits no longer matters.
            let steps: Vec<_> = seen
                .iter()
                .zip(seen.iter().skip(16))
                .map(|(one, other)| one.distance(*other))
                .collect();
            let away_from_the_middle = steps.iter().enumerate().filter(|(index, _)| {
                palette == Palette::Sequential
                    || !(N_COLORS / 2 - 17..=N_COLORS / 2).contains(index)
            });
            let (mut least, mut most) = (f64::INFINITY, 0_f64);
            for (_, &step) in away_from_the_middle {
                (least, most) = (least.min(step), most.max(step));
            }
            // Eight bits a part move a color by up to 0.004, of steps of 0.05.
            assert!(most / least < 1.15, "{palette:?}: {least:.4} to {most:.4}");
        }
    }

    #[test]
    fn values_beyond_the_ends_take_the_last_color() {
        let map = ColorMap::new(Palette::Sequential);
        assert_eq!(map.color(-3.), map.color(0.));
        assert_eq!(map.color(7.), map.color(1.));
        assert_ne!(map.color(0.), map.color(1.));
    }
}
