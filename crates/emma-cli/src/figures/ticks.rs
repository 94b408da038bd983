//! Where an axis is marked: at 1, 2 and 5 times powers of ten, and at powers of ten.

use super::axis::{Spacing, Span};
use super::label::Label;

/// A mark on an axis.
#[derive(Clone, Debug)]
pub(super) struct Tick {
    pub(super) number: f64,
    /// What is written beside it; empty beside the small marks of a logarithmic axis.
    pub(super) label: Label,
}

/// More labels than this are too many however long the axis is.
const MOST_LABELS: usize = 9;

/// The finest marks whose labels have room, as `fits` judges.
pub(super) fn ticks(span: &Span, fits: impl Fn(&[Tick]) -> bool) -> Vec<Tick> {
    match span.spacing {
        Spacing::Linear => linear(span, fits),
        Spacing::Logarithmic => logarithmic(span, fits),
    }
}

fn linear(span: &Span, fits: impl Fn(&[Tick]) -> bool) -> Vec<Tick> {
    let size = span.to - span.from;
    let finest = (size / (MOST_LABELS as f64 * 5.)).log10().floor();
    let mut step = Step {
        factor: 1,
        exponent: finest as i32,
    };
    loop {
        let ticks = step.ticks(span);
        // A single mark is kept whether it has room or not: there is nothing coarser.
        if ticks.len() <= 1 || ticks.len() <= MOST_LABELS && fits(&ticks) {
            return ticks;
        }
        step = step.next();
    }
}

/// A distance between marks: `factor · 10^exponent`, factor 1, 2 or 5.
#[derive(Clone, Copy)]
struct Step {
    factor: u8,
    exponent: i32,
}

impl Step {
    fn next(self) -> Self {
        let (factor, exponent) = match self.factor {
            1 => (2, self.exponent),
            2 => (5, self.exponent),
            _ => (1, self.exponent + 1),
        };
        Self { factor, exponent }
    }

    /// `count` times the step, rounded once.
    fn times(self, count: f64) -> f64 {
        let count = count * f64::from(self.factor);
        if self.exponent < 0 {
            count / power_of_ten(-self.exponent)
        } else {
            count * power_of_ten(self.exponent)
        }
    }

    /// The multiples of the step on an axis; none if there are far too many of them.
    fn ticks(self, span: &Span) -> Vec<Tick> {
        // A mark that misses the end by rounding alone belongs to it.
        const ROUNDING: f64 = 1e-6;
        let step = self.times(1.);
        let first = (span.from / step - ROUNDING).ceil();
        let last = (span.to / step + ROUNDING).floor();
        let n_ticks = last - first + 1.;
        if !(0. ..=200.).contains(&n_ticks) {
            return (0..=MOST_LABELS).map(|_| unlabelled(span.from)).collect();
        }
        let largest = self.times(first.abs().max(last.abs()));
        (0..n_ticks as i32)
            .map(|index| {
                let count = first + f64::from(index);
                let number = self.times(count);
                let label = if count == 0. {
                    Label::new("0")
                } else {
                    self.label(number, largest)
                };
                Tick { number, label }
            })
            .collect()
    }

    /// A number with the decimals that tell one mark from the next.
    fn label(self, number: f64, largest: f64) -> Label {
        let magnitude = largest.abs().log10().floor() as i32;
        // With so many digits a power of ten shortens nothing.
        let is_long = magnitude < 16 && magnitude - self.exponent > 4;
        let is_short = (-4..6).contains(&magnitude) && self.exponent >= -7;
        if is_short || magnitude >= 6 && is_long {
            let decimals = usize::try_from(-self.exponent).unwrap_or(0);
            return Label::new(&minus(format!("{number:.decimals$}")));
        }
        let decimals = usize::try_from(magnitude - self.exponent).unwrap_or(0);
        let factor = if magnitude < 0 {
            number * power_of_ten(-magnitude)
        } else {
            number / power_of_ten(magnitude)
        };
        Label::scientific(&minus(format!("{factor:.decimals$}")), magnitude)
    }
}

fn logarithmic(span: &Span, fits: impl Fn(&[Tick]) -> bool) -> Vec<Tick> {
    let first = span.from.log10().floor() as i32;
    let last = span.to.log10().ceil() as i32;
    let inside = |ticks: Vec<Tick>| -> Vec<Tick> {
        let inside = ticks.into_iter().filter(|tick| span.contains(tick.number));
        inside.collect()
    };
    let is_short = span.from > 0.5e-3 && span.to < 2e5;
    let n_decades = (first..=last)
        .filter(|&exponent| span.contains(power_of_ten(exponent)))
        .count();
    if n_decades < 2 {
        // Less than two powers of ten: marks at their multiples, or as on a linear axis.
        let multiples = inside(decades(first, last, &[1, 2, 5], is_short));
        if multiples.len() >= 3 && fits(&multiples) {
            return multiples;
        }
        return linear(span, fits)
            .into_iter()
            .filter(|tick| tick.number > 0.)
            .collect();
    }
    for stride in [1, 2, 5, 10, 20, 50, 100, 200] {
        let mut ticks = inside(decades(first, last, &[1], is_short));
        for tick in &mut ticks {
            let exponent = tick.number.log10().round() as i32;
            if exponent.rem_euclid(stride) != 0 {
                tick.label = Label::new("");
            }
        }
        let labelled: Vec<Tick> = ticks
            .iter()
            .filter(|tick| !tick.label.is_empty())
            .cloned()
            .collect();
        if labelled.len() > MOST_LABELS || !fits(&labelled) {
            continue;
        }
        if stride == 1 && n_decades <= 5 {
            let small = inside(decades(first, last, &[2, 3, 4, 5, 6, 7, 8, 9], is_short));
            ticks.extend(small.into_iter().map(|tick| unlabelled(tick.number)));
        } else if stride > 10 {
            ticks = labelled;
        }
        return ticks;
    }
    Vec::new()
}

/// Multiples of the powers of ten, labelled.
fn decades(first: i32, last: i32, factors: &[u8], is_short: bool) -> Vec<Tick> {
    (first..=last)
        .flat_map(|exponent| factors.iter().map(move |&factor| (factor, exponent)))
        .map(|(factor, exponent)| {
            let step = Step { factor, exponent };
            let number = step.times(1.);
            let label = if is_short {
                step.label(number, number)
            } else if factor == 1 {
                Label::scientific("", exponent)
            } else {
                Label::scientific(&factor.to_string(), exponent)
            };
            Tick { number, label }
        })
        .collect()
}

fn unlabelled(number: f64) -> Tick {
    Tick {
        number,
        label: Label::new(""),
    }
}

/// `10^exponent` for exponents from 0 and, rounded once, below 0.
fn power_of_ten(exponent: i32) -> f64 {
    // The parser rounds correctly; repeated multiplication would not.
    format!("1e{exponent}").parse().unwrap_or(f64::NAN)
}

/// A number with a true minus sign.
pub(super) fn minus(number: String) -> String {
    if number.starts_with('-') {
        number.replacen('-', "−", 1)
    } else {
        number
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::figures::axis::LARGEST;

    fn span(spacing: Spacing, from: f64, to: f64) -> Span {
        Span { spacing, from, to }
    }

    fn text(label: &Label) -> String {
        label.runs.iter().map(|(text, _)| text.as_str()).collect()
    }

    fn labels(spacing: Spacing, from: f64, to: f64, most: usize) -> Vec<String> {
        let ticks = ticks(&span(spacing, from, to), |ticks| ticks.len() <= most);
        let labels = ticks.iter().map(|tick| text(&tick.label));
        labels.filter(|label| !label.is_empty()).collect()
    }

    #[test]
    fn linear_marks_are_round_numbers() {
        let linear = |from, to, most| labels(Spacing::Linear, from, to, most);
        assert_eq!(
            linear(0., 1., 6),
            ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
                .map(|label| { if label == "0.0" { "0" } else { label } })
        );
        assert_eq!(linear(-13., 27., 5), ["−10", "0", "10", "20"]);
        assert_eq!(linear(0.83, 0.97, 4), ["0.85", "0.90", "0.95"]);
        assert_eq!(linear(0., 3e7, 4), ["0", "1×107", "2×107", "3×107"]);
        assert_eq!(linear(-2e-6, 2e-6, 3), ["−2×10−6", "0", "2×10−6"]);
        assert_eq!(linear(0., 17_898., 4), ["0", "5000", "10000", "15000"]);
    }

    #[test]
    fn logarithmic_marks_are_powers_of_ten() {
        let logarithmic = |from, to, most| labels(Spacing::Logarithmic, from, to, most);
        assert_eq!(
            logarithmic(0.01, 100., 9),
            ["0.01", "0.1", "1", "10", "100"]
        );
        assert_eq!(logarithmic(1e-9, 1e9, 6), ["10−5", "100", "105"]);
        assert_eq!(
            logarithmic(1e-3, 1e8, 9),
            ["10−2", "100", "102", "104", "106", "108"]
        );
        assert_eq!(logarithmic(3., 60., 9), ["5", "10", "20", "50"]);
        assert_eq!(
            logarithmic(3., 4., 9),
            ["3.0", "3.2", "3.4", "3.6", "3.8", "4.0"]
        );
    }

    #[test]
    fn small_marks_have_no_labels() {
        let span = span(Spacing::Logarithmic, 1., 100.);
        let ticks = ticks(&span, |_| true);
        let (labelled, small): (Vec<_>, Vec<_>) =
            ticks.into_iter().partition(|tick| !tick.label.is_empty());
        assert_eq!((labelled.len(), small.len()), (3, 16));
    }

    proptest! {
        #[test]
        fn marks_lie_on_the_axis_and_tell_numbers_apart(
            from in -1e6..1e6_f64,
            size in -12..90_i32,
            factor in 1.0..10.0_f64,
            most in 2..9_usize,
        ) {
            let size = factor * 10_f64.powi(size);
            prop_assume!(size > from.abs() * 1e-8);
            let span = span(Spacing::Linear, from, from + size);
            let ticks = ticks(&span, |ticks| ticks.len() <= most);
            prop_assert!(ticks.len() <= most);
            let mut texts: Vec<_> = ticks.iter().map(|tick| text(&tick.label)).collect();
            for tick in &ticks {
                let share = span.share(tick.number).unwrap();
                prop_assert!((-1e-5..=1. + 1e-5).contains(&share), "{tick:?} on {span:?}");
            }
            let n_texts = texts.len();
            texts.dedup();
            prop_assert_eq!(texts.len(), n_texts, "{:?}", ticks);
        }

        #[test]
        fn logarithmic_marks_lie_on_the_axis(low in -99..99_i32, decades in 0.01..150.0_f64) {
            let from = 10_f64.powi(low);
            let to = (from * 10_f64.powf(decades)).min(LARGEST);
            prop_assume!(to > from * 1.001);
            let span = span(Spacing::Logarithmic, from, to);
            let ticks = ticks(&span, |ticks| ticks.len() <= 6);
            for tick in &ticks {
                let share = span.share(tick.number).unwrap();
                prop_assert!((-1e-5..=1. + 1e-5).contains(&share), "{tick:?} on {span:?}");
            }
        }
    }
}
