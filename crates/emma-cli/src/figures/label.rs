//! Text of figures: raised and lowered parts, measured and cut to length.

use super::font;

/// Where a part of a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    Normal,
    Raised,
    Lowered,
}

impl Script {
    /// Size in shares of the text's.
    pub(super) fn size(self) -> f64 {
        match self {
            Self::Normal => 1.,
            Self::Raised | Self::Lowered => 0.72,
        }
    }

    /// How far above the base line, in shares of the text's size.
    pub(super) fn rise(self) -> f64 {
        match self {
            Self::Normal => 0.,
            Self::Raised => 0.36,
            Self::Lowered => -0.17,
        }
    }
}

/// A text on one line.
///
/// `^{…}` raises and `_{…}` lowers what stands in the braces; the raised and lowered digits of Unicode
/// (`10⁻³`) do the same. Whatever is no letter to be shown (line feeds, control characters) is a space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Label {
    pub(super) runs: Vec<(String, Script)>,
}

impl Label {
    pub(super) fn new(text: &str) -> Self {
        let mut label = Self { runs: Vec::new() };
        let mut inside = Script::Normal;
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '^' | '_' if inside == Script::Normal && characters.peek() == Some(&'{') => {
                    characters.next();
                    inside = if character == '^' {
                        Script::Raised
                    } else {
                        Script::Lowered
                    };
                }
                '}' if inside != Script::Normal => inside = Script::Normal,
                _ => {
                    let (character, script) = plain(character, inside);
                    label.push(character, script);
                }
            }
        }
        label
    }

    /// A power of ten times a number that is already text, which may be empty for 1.
    pub(super) fn scientific(factor: &str, exponent: i32) -> Self {
        let before = if factor.is_empty() {
            "10".to_owned()
        } else {
            format!("{factor}×10")
        };
        let exponent = exponent.to_string().replace('-', "−");
        Self {
            runs: vec![(before, Script::Normal), (exponent, Script::Raised)],
        }
    }

    fn push(&mut self, character: char, script: Script) {
        match self.runs.last_mut() {
            Some((text, last)) if *last == script => text.push(character),
            _ => self.runs.push((character.to_string(), script)),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Width at a size of the text, in the unit of the size.
    pub(super) fn width(&self, size: f64) -> f64 {
        let widths = self
            .runs
            .iter()
            .map(|(text, script)| font::width(text) * script.size());
        size * widths.sum::<f64>()
    }

    /// The longest beginning that is no wider than this, with an ellipsis where something is missing.
    pub(super) fn cut(self, size: f64, width: f64) -> Self {
        if self.width(size) <= width {
            return self;
        }
        let mut shorter = self;
        while let Some((text, _)) = shorter.runs.last_mut() {
            text.pop();
            if text.is_empty() {
                shorter.runs.pop();
                continue;
            }
            let mut candidate = shorter.clone();
            candidate.push('…', Script::Normal);
            if candidate.width(size) <= width {
                return candidate;
            }
        }
        shorter
    }
}

/// A character as it is drawn: Unicode's raised and lowered signs are ordinary ones, moved.
fn plain(character: char, inside: Script) -> (char, Script) {
    const RAISED: &str = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ";
    const LOWERED: &str = "₀₁₂₃₄₅₆₇₈₉₊₋ₙ";
    const PLAIN: &str = "0123456789+−n";
    let find = |signs: &str| {
        let position = signs.chars().position(|sign| sign == character)?;
        PLAIN.chars().nth(position)
    };
    if let Some(sign) = find(RAISED) {
        (sign, Script::Raised)
    } else if let Some(sign) = find(LOWERED) {
        (sign, Script::Lowered)
    } else if can_be_shown(character) {
        (character, inside)
    } else {
        (' ', inside)
    }
}

/// Whether XML allows the character and it is no break of line or of order.
pub(super) fn can_be_shown(character: char) -> bool {
    let changes_order = matches!(character,
        '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    !(character.is_control() || changes_order || matches!(character, '\u{FFFE}' | '\u{FFFF}'))
}

/// A text as it can be read aloud: without the marks of raised and lowered parts.
pub(crate) fn spoken(text: &str) -> String {
    let runs = Label::new(text).runs;
    runs.into_iter().map(|(text, _)| text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(text: &str) -> Vec<(String, Script)> {
        Label::new(text).runs
    }

    fn run(text: &str, script: Script) -> (String, Script) {
        (text.to_owned(), script)
    }

    #[test]
    fn parts_are_raised_and_lowered() {
        use Script::{Lowered, Normal, Raised};
        let expected = [
            run("w", Normal),
            run("ij", Lowered),
            run(" [s", Normal),
            run("−1", Raised),
            run("]", Normal),
        ];
        assert_eq!(runs("w_{ij} [s^{−1}]"), expected);
        assert_eq!(runs("w_{ij} [s⁻¹]"), expected);
        assert_eq!(runs("ip_mean ^ x}"), [run("ip_mean ^ x}", Normal)]);
        assert_eq!(runs("x^{2"), [run("x", Normal), run("2", Raised)]);
        assert_eq!(runs(""), []);
    }

    #[test]
    fn what_cannot_be_shown_is_a_space() {
        assert_eq!(
            runs("a\nb\u{0}c\u{202E}d\u{FFFF}"),
            [run("a b c d ", Script::Normal)]
        );
    }

    #[test]
    fn powers_of_ten_have_a_true_minus() {
        use Script::{Normal, Raised};
        assert_eq!(
            Label::scientific("", -3).runs,
            [run("10", Normal), run("−3", Raised)]
        );
        assert_eq!(
            Label::scientific("2.5", 12).runs,
            [run("2.5×10", Normal), run("12", Raised)]
        );
    }

    #[test]
    fn long_texts_are_cut_with_an_ellipsis() {
        let label = Label::new("noise-to-signal ratio x^{2}");
        let whole = label.width(10.);
        assert_eq!(label.clone().cut(10., whole), label);
        for width in [0., 1., 10., 30., 60., whole - 0.1] {
            let cut = label.clone().cut(10., width);
            assert!(cut.width(10.) <= width, "{width}: {cut:?}");
            assert!(cut.is_empty() || cut.runs.last().unwrap().0.ends_with('…'));
        }
        assert_eq!(label.cut(10., 0.), Label::new(""));
    }

    #[test]
    fn raised_parts_are_narrower() {
        let normal = Label::new("x2").width(10.);
        let raised = Label::new("x²").width(10.);
        let two = Label::new("2").width(10.);
        assert!((normal - raised - 0.28 * two).abs() < 1e-9);
    }
}
