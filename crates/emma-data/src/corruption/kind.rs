//! The kinds of corruption, for lists and messages.

use serde::Serialize;

use super::Corruption;

/// A kind of corruption as it is written and what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CorruptionKind {
    /// Name, what stands before the colon.
    pub name: &'static str,
    /// How it is written, with a letter for the level.
    pub form: &'static str,
    /// What the level is, with its range; none if there is no level.
    pub level: Option<&'static str>,
    /// One of this kind.
    pub example: &'static str,
    /// What it does to a mode of a row, in one sentence without a period.
    pub summary: &'static str,
}

impl Corruption {
    /// Every kind, in the order of the documentation.
    pub const KINDS: [CorruptionKind; 13] = [
        CorruptionKind {
            name: "noise",
            form: "noise:S",
            level: Some("standard deviation, from 0"),
            example: "noise:0.5",
            summary: "adds Gaussian white noise of standard deviation S to every feature",
        },
        CorruptionKind {
            name: "student_t",
            form: "student_t:S",
            level: Some("factor, from 0"),
            example: "student_t:0.5",
            summary: "adds S times Student's t with two degrees of freedom to every feature: noise with outliers",
        },
        CorruptionKind {
            name: "offset",
            form: "offset:S",
            level: Some("shift, any number"),
            example: "offset:0.5",
            summary: "adds S to every feature",
        },
        CorruptionKind {
            name: "scale",
            form: "scale:S",
            level: Some("factor, any number"),
            example: "scale:0.5",
            summary: "multiplies every feature by S",
        },
        CorruptionKind {
            name: "drop",
            form: "drop:P",
            level: Some("probability, 0 to 1"),
            example: "drop:0.5",
            summary: "sets each feature to 0, the mean of a standard score, with probability P",
        },
        CorruptionKind {
            name: "missing",
            form: "missing",
            level: None,
            example: "missing",
            summary: "takes the mode away: a mask says so, and no number stands in for it",
        },
        CorruptionKind {
            name: "swap",
            form: "swap",
            level: None,
            example: "swap",
            summary: "gives the mode the values of another corrupted row, each row's to one other",
        },
        CorruptionKind {
            name: "stuck",
            form: "stuck",
            level: None,
            example: "stuck",
            summary: "gives the mode the values of one drawn row, the same in every corrupted row",
        },
        CorruptionKind {
            name: "quantize",
            form: "quantize:BITS",
            level: Some("bits, whole, 1 to 16"),
            example: "quantize:4",
            summary: "rounds every feature to one of 2^BITS levels between -4 and 4",
        },
        CorruptionKind {
            name: "clip",
            form: "clip:S",
            level: Some("bound, from 0"),
            example: "clip:0.5",
            summary: "limits every feature to -S to S",
        },
        CorruptionKind {
            name: "spikes",
            form: "spikes:P",
            level: Some("probability, 0 to 1"),
            example: "spikes:0.05",
            summary: "adds 10 or -10, equally likely, to each feature with probability P",
        },
        CorruptionKind {
            name: "adversarial_mean",
            form: "adversarial_mean:A",
            level: Some("share, 0 to 1; 1 if left out"),
            example: "adversarial_mean:0.5",
            summary: "moves the mode by the share A of the way to its mean over the rows of the other class",
        },
        CorruptionKind {
            name: "drift",
            form: "drift:S",
            level: Some("last shift, any number"),
            example: "drift:0.5",
            summary: "adds a shift to every feature that grows evenly with the row, to S in the last row",
        },
    ];
}

/// The kind whose name takes the fewest edits to be `name`; the first of several.
pub(super) fn nearest_kind(name: &str) -> Option<CorruptionKind> {
    let name = start(name).to_lowercase();
    Corruption::KINDS
        .into_iter()
        .min_by_key(|kind| strsim::damerau_levenshtein(&name, kind.name))
}

/// What of a text is compared with names: comparing takes the time of both lengths multiplied, and
/// names are short while texts need not be.
pub(super) fn start(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::Corruption;

    #[test]
    fn every_example_is_a_corruption_of_its_kind() {
        for kind in Corruption::KINDS {
            let corruption: Corruption = kind.example.parse().unwrap();
            assert_eq!(corruption.kind(), kind.name);
            assert_eq!(corruption.to_string(), kind.example);
            let (name, symbol) = match kind.form.split_once(':') {
                Some((name, symbol)) => (name, Some(symbol)),
                None => (kind.form, None),
            };
            assert_eq!(name, kind.name);
            assert_eq!(symbol.is_some(), kind.level.is_some());
            if let Some(symbol) = symbol {
                assert!(kind.summary.contains(symbol));
            }
        }
    }

    #[test]
    fn the_front_page_lists_every_kind() {
        let front_page = include_str!("../../README.md");
        for kind in Corruption::KINDS {
            let level = kind
                .level
                .map_or(String::new(), |level| format!("{level} "));
            let row = format!("| `{}` | {level}| {} |", kind.form, kind.summary);
            assert!(front_page.contains(&row), "{row}");
        }
    }
}
