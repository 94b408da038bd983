//! Names of categories below a plot: on one line, on two, or upwards where there is no room across.

use super::TICK;
use crate::figures::label::Label;
use crate::figures::surface::{Anchor, Point, Surface, TextStyle, text};
use crate::figures::theme::Color;

/// The longest that a name may be upwards.
const LONGEST: f64 = 120.;
/// From the plot to the names.
pub(super) const DISTANCE: f64 = 7.;
/// In slots as wide as this, names are cut rather than turned.
const WIDE_SLOT: f64 = 64.;
/// The most lines that a name takes.
const MOST_LINES: usize = 3;
const LINE_HEIGHT: f64 = 1.25 * TICK;

/// Names laid out for slots of one width.
pub(super) enum Names {
    Across(Vec<Vec<Label>>),
    Up(Vec<Label>),
}

impl Names {
    pub(super) fn new(names: &[String], slot: f64) -> Self {
        let room = slot - 6.;
        let lines: Option<Vec<_>> = names.iter().map(|name| lines_within(name, room)).collect();
        let lines = lines.or_else(|| {
            let cut = |name: &String| cut_lines_within(name, room);
            (slot >= WIDE_SLOT).then(|| names.iter().map(cut).collect())
        });
        if let Some(lines) = lines {
            Self::Across(lines)
        } else {
            let names = names.iter().map(|name| Label::new(name).cut(TICK, LONGEST));
            Self::Up(names.collect())
        }
    }

    pub(super) fn height(&self) -> f64 {
        match self {
            Self::Across(names) => {
                let n_lines = names.iter().map(Vec::len).max().unwrap_or(1);
                LINE_HEIGHT * n_lines as f64
            }
            Self::Up(names) => {
                let widths = names.iter().map(|name| name.width(TICK));
                widths.fold(TICK, f64::max)
            }
        }
    }

    /// Sets the names below `top`, each around its place.
    pub(super) fn draw(&self, surface: &mut dyn Surface, centers: &[f64], top: f64) {
        match self {
            Self::Across(names) => {
                let style = TextStyle::new(TICK, Color::Muted, Anchor::Middle);
                for (lines, &x) in names.iter().zip(centers) {
                    for (line, label) in lines.iter().enumerate() {
                        let base = top + 0.8 * TICK + LINE_HEIGHT * line as f64;
                        text(surface, label, Point::new(x, base), style);
                    }
                }
            }
            Self::Up(names) => {
                let style = TextStyle::new(TICK, Color::Muted, Anchor::End).up();
                for (label, &x) in names.iter().zip(centers) {
                    text(surface, label, Point::new(x + 0.35 * TICK, top), style);
                }
            }
        }
    }
}

/// A name on lines that are filled with as many words as have room, the last of them cut.
fn cut_lines_within(name: &str, room: f64) -> Vec<Label> {
    let mut lines: Vec<String> = vec![String::new()];
    for word in name.split_inclusive([' ', '_', '-']) {
        let is_last = lines.len() == MOST_LINES;
        if let Some(line) = lines.last_mut() {
            let longer = format!("{line}{word}");
            let fits = Label::new(longer.trim_end()).width(TICK) <= room;
            if line.is_empty() || fits || is_last {
                *line = longer;
            } else {
                lines.push(word.to_owned());
            }
        }
    }
    let lines = lines.iter().map(|line| Label::new(line.trim_end()));
    lines.map(|line| line.cut(TICK, room)).collect()
}

/// A name on one line, or on two divided as evenly as can be; none if neither has room.
fn lines_within(name: &str, room: f64) -> Option<Vec<Label>> {
    let whole = Label::new(name);
    if whole.width(TICK) <= room {
        return Some(vec![whole]);
    }
    let breaks = name
        .char_indices()
        .filter(|(_, sign)| matches!(sign, ' ' | '_' | '-'))
        .map(|(index, sign)| index + sign.len_utf8());
    let halves = breaks.map(|index| {
        let (first, second) = name.split_at(index);
        let labels = [first.trim_end(), second].map(Label::new);
        let width = labels
            .iter()
            .map(|label| label.width(TICK))
            .fold(0., f64::max);
        (width, labels)
    });
    let (width, labels) = halves.min_by(|one, other| one.0.total_cmp(&other.0))?;
    (width <= room).then(|| labels.to_vec())
}
