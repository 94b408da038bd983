//! Colors that have a meaning, in a light and a dark form.

use std::fmt::Write as _;

/// Eight bits of red, green and blue each, in sRGB.
pub(super) type Rgb = [u8; 3];

/// The background a figure is read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Theme {
    /// Dark text on white.
    Light,
    /// Light text on nearly black.
    Dark,
}

/// Colors of series, in the order in which they are given out: light and dark.
///
/// Start: the hues of Okabe and Ito, "Color Universal Design" (2008), whose own colors are too pale for
/// lines on white. Lightness, chroma and hue (within 0.3 rad) were then moved so that the smallest
/// distance in OKLab between any two, as seen with normal vision, protanopia and deuteranopia (Machado,
/// Oliveira and Fernandes 2009, severity 1), is as large as the search could make it, with a contrast of
/// at least 3:1 to the background. The tests below hold the figures.
const SERIES: [(Rgb, Rgb); N_SERIES] = [
    ([0x0E, 0x59, 0x9E], [0x54, 0xA4, 0xFC]), // blue
    ([0xAD, 0x43, 0x05], [0xDE, 0x93, 0x11]), // vermilion
    ([0x01, 0x76, 0x6A], [0x49, 0xBE, 0xA8]), // bluish green
    ([0x58, 0x19, 0x56], [0x96, 0x5A, 0x84]), // purple
    ([0xAC, 0x90, 0x01], [0xF5, 0xE3, 0x4E]), // yellow
    ([0x4F, 0x91, 0xE6], [0x2A, 0x6D, 0xE2]), // second blue
    ([0x93, 0x92, 0x92], [0xE4, 0xE4, 0xE4]), // gray
    ([0x5D, 0x30, 0x00], [0xB1, 0x60, 0x00]), // brown
];

/// Colors before they repeat.
pub(super) const N_SERIES: usize = 8;

const BACKGROUND: (Rgb, Rgb) = ([0xFF, 0xFF, 0xFF], [0x16, 0x18, 0x1D]);
const TEXT: (Rgb, Rgb) = ([0x1F, 0x23, 0x28], [0xE6, 0xE8, 0xEB]);
const MUTED: (Rgb, Rgb) = ([0x5B, 0x63, 0x6B], [0xA3, 0xAA, 0xB3]);
const GRID: (Rgb, Rgb) = ([0xE3, 0xE6, 0xE9], [0x32, 0x36, 0x3C]);

/// What a stroke, an area or a text is painted with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Color {
    Background,
    Text,
    /// Frames, tick labels, reference lines.
    Muted,
    Grid,
    /// The color of a series; past the last one they repeat.
    Series(usize),
    /// The same on every background: cells of color maps and what is written on them.
    Fixed(Rgb),
}

impl Color {
    /// Both forms.
    fn forms(self) -> (Rgb, Rgb) {
        match self {
            Self::Background => BACKGROUND,
            Self::Text => TEXT,
            Self::Muted => MUTED,
            Self::Grid => GRID,
            Self::Series(index) => SERIES[index % N_SERIES],
            Self::Fixed(rgb) => (unlike_themed(rgb), unlike_themed(rgb)),
        }
    }

    pub(super) fn rgb(self, theme: Theme) -> Rgb {
        let (light, dark) = self.forms();
        match theme {
            Theme::Light => light,
            Theme::Dark => dark,
        }
    }

    /// Every color that has two forms.
    fn themed() -> impl Iterator<Item = Self> {
        let others = [Self::Background, Self::Text, Self::Muted, Self::Grid];
        others.into_iter().chain((0..N_SERIES).map(Self::Series))
    }
}

/// A color that the style sheet would exchange, moved by the least step, so that it is not.
fn unlike_themed(mut rgb: Rgb) -> Rgb {
    while Color::themed().any(|color| color.forms().0 == rgb) {
        rgb[2] ^= 1;
        if Color::themed().any(|color| color.forms().0 == rgb) {
            rgb[1] ^= 1;
        }
    }
    rgb
}

/// The style sheet of figures: their font, and the dark colors.
pub(crate) fn style_sheet() -> String {
    // Cells side by side would show seams, were their edges smoothed.
    let rectangles = ".emma-figure rect { shape-rendering: crispEdges }\n";
    super::font::rule() + rectangles + &dark_style()
}

/// The part of the style sheet that exchanges the light colors of a figure for the dark ones.
///
/// It goes by the colors that are written in the file; so a viewer that knows no style sheets shows the
/// light figure. Paper stays white.
fn dark_style() -> String {
    let mut style = String::from("@media screen and (prefers-color-scheme: dark) {\n");
    for color in Color::themed() {
        let (light, dark) = color.forms();
        let (light, dark) = (hexadecimal(light), hexadecimal(dark));
        for what in ["fill", "stroke"] {
            let _ = writeln!(
                style,
                ".emma-figure [{what}=\"{light}\"] {{ {what}: {dark} }}"
            );
        }
    }
    style.push_str("}\n");
    style
}

/// `#RRGGBB`, as plotters writes it.
pub(super) fn hexadecimal([red, green, blue]: Rgb) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}

/// The relative luminance of WCAG 2.2: 0 for black, 1 for white.
pub(super) fn luminance(rgb: Rgb) -> f64 {
    let [red, green, blue] = super::color_map::to_linear(rgb);
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

/// The contrast ratio of WCAG 2.2: `(L1 + 0.05) / (L2 + 0.05)`, from 1 to 21.
pub(super) fn contrast(one: Rgb, other: Rgb) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::color_map::{Oklab, oklab_of_linear, to_linear};

    const THEMES: [Theme; 2] = [Theme::Light, Theme::Dark];

    /// Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision
    /// Deficiency" (2009), table for severity 1; on linear red, green and blue.
    const NORMAL: [[f64; 3]; 3] = [[1., 0., 0.], [0., 1., 0.], [0., 0., 1.]];
    const PROTANOPIA: [[f64; 3]; 3] = [
        [0.152_286, 1.052_583, -0.204_868],
        [0.114_503, 0.786_281, 0.099_216],
        [-0.003_882, -0.048_116, 1.051_998],
    ];
    const DEUTERANOPIA: [[f64; 3]; 3] = [
        [0.367_322, 0.860_646, -0.227_968],
        [0.280_085, 0.672_501, 0.047_413],
        [-0.011_820, 0.042_940, 0.968_881],
    ];

    fn seen_with(vision: &[[f64; 3]; 3], rgb: Rgb) -> Oklab {
        let linear = to_linear(rgb);
        let seen = vision.map(|row| {
            let sum: f64 = row
                .iter()
                .zip(linear)
                .map(|(weight, part)| weight * part)
                .sum();
            sum.clamp(0., 1.)
        });
        oklab_of_linear(seen)
    }

    #[test]
    fn contrast_is_that_of_the_standard() {
        // Both from the definition: the lightest and the darkest, and the gray #777777, known as
        // the one that just misses 4.5:1 on white.
        assert!((contrast([255; 3], [0; 3]) - 21.).abs() < 1e-12);
        assert!((contrast([0x77; 3], [255; 3]) - 4.48).abs() < 0.005);
    }

    #[test]
    fn series_stand_out_from_the_background_by_three_to_one() {
        for theme in THEMES {
            let background = Color::Background.rgb(theme);
            for index in 0..N_SERIES {
                let ratio = contrast(Color::Series(index).rgb(theme), background);
                assert!(ratio >= 3., "{theme:?} series {index}: {ratio:.2}");
            }
        }
    }

    #[test]
    fn text_can_be_read_by_four_and_a_half_to_one() {
        for theme in THEMES {
            let background = Color::Background.rgb(theme);
            for color in [Color::Text, Color::Muted] {
                let ratio = contrast(color.rgb(theme), background);
                assert!(ratio >= 4.5, "{theme:?} {color:?}: {ratio:.2}");
            }
        }
    }

    #[test]
    fn series_differ_for_normal_and_color_blind_eyes() {
        // In OKLab, where 0.02 is about the least difference that is seen side by side.
        for (theme, least) in [(Theme::Light, 0.12), (Theme::Dark, 0.15)] {
            for vision in [NORMAL, PROTANOPIA, DEUTERANOPIA] {
                for one in 0..N_SERIES {
                    for other in 0..one {
                        let [a, b] = [one, other]
                            .map(|index| seen_with(&vision, Color::Series(index).rgb(theme)));
                        let distance = a.distance(b);
                        assert!(
                            distance >= least,
                            "{theme:?} {other} and {one}: {distance:.3}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn every_light_color_stands_for_one_dark_color() {
        let mut light: Vec<_> = Color::themed()
            .map(|color| color.rgb(Theme::Light))
            .collect();
        let n_colors = light.len();
        light.sort_unstable();
        light.dedup();
        assert_eq!(light.len(), n_colors);
    }

    #[test]
    fn fixed_colors_are_never_exchanged() {
        for color in Color::themed() {
            let light = color.rgb(Theme::Light);
            let fixed = Color::Fixed(light).rgb(Theme::Light);
            assert!(Color::themed().all(|color| color.rgb(Theme::Light) != fixed));
            let moved = light.iter().zip(fixed).map(|(a, b)| a.abs_diff(b));
            assert!(moved.max() <= Some(1), "{light:?} became {fixed:?}");
            assert_eq!(Color::Fixed(light).rgb(Theme::Dark), fixed);
        }
        assert_eq!(Color::Fixed([1, 2, 3]).rgb(Theme::Light), [1, 2, 3]);
    }
}
