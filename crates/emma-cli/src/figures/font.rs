//! The embedded font: registered with plotters, and measured.

use std::sync::Once;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use plotters::style::{FontDesc, FontFamily, FontStyle, register_font};

/// The font under the name that plotters knows it by and writes into SVG: the embedded one, then others
/// with the same widths. `font/README.md` says where it comes from.
pub(super) const FAMILY: &str = "EMMA Sans, Liberation Sans, Arimo, Arial, Helvetica, sans-serif";

/// The rule of a style sheet that brings the font along.
pub(super) fn rule() -> String {
    let font = STANDARD.encode(include_bytes!("font/emma-sans.woff2"));
    format!(
        "@font-face {{ font-family: \"EMMA Sans\"; src: url(data:font/woff2;base64,{font}) format(\"woff2\") }}\n"
    )
}

/// The distance from the top of a line to its bottom in shares of the size; what plotters calls the
/// size of a font is this distance. It stands in the font's table `hhea`.
pub(super) const LINE: f64 = (1854. + 434.) / 2048.;

/// Makes the font known to plotters, once.
pub(super) fn register() {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        let font = include_bytes!("font/emma-sans.ttf");
        // A test reads the embedded file, so this cannot fail; without it texts would be missing.
        let _ = register_font(FAMILY, FontStyle::Normal, font);
    });
}

/// Width of a text in shares of its size.
pub(super) fn width(text: &str) -> f64 {
    // Plotters measures in whole pixels; at this size they are a thousandth of the text's size.
    const SIZE: f64 = 1000.;
    register();
    let font = FontDesc::new(FontFamily::Name(FAMILY), SIZE * LINE, FontStyle::Normal);
    match font.layout_box(text) {
        Ok(((left, _), (right, _))) => f64::from(right - left) / SIZE,
        Err(_) => 0.5 * text.chars().count() as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_those_of_the_metrics() {
        // Advance widths in the font's table `hmtx`, of 2048 to the size: the same as Arial's.
        for (text, units) in [
            ("m", 1706.),
            ("i", 455.),
            ("0", 1139.),
            ("−", 1196.),
            ("", 0.),
        ] {
            let expected = units / 2048.;
            assert!(
                (width(text) - expected).abs() <= 0.001,
                "{text}: {}",
                width(text)
            );
        }
    }

    #[test]
    fn signs_of_the_formulas_are_in_the_font() {
        let missing = width("\u{4E00}");
        for sign in "αβγρψΨΣ∇∂∫∑√∞±×·−≤≥≈≠→←°′″…–—éßł".chars()
        {
            register();
            let font = FontDesc::new(FontFamily::Name(FAMILY), 40., FontStyle::Normal);
            let ink = |character: char| {
                let mut ink = Vec::new();
                let drawn = font.draw(&character.to_string(), (0, 0), |x, y, share| {
                    ink.push((x, y, share.to_bits()));
                    Ok::<(), ()>(())
                });
                assert!(matches!(drawn, Ok(Ok(()))));
                ink
            };
            assert!(
                ink(sign) != ink('\u{4E00}') && !ink(sign).is_empty(),
                "{sign}"
            );
        }
        assert!(missing > 0., "a missing sign has a box");
    }
}
