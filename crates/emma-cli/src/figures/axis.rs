//! Axes: what a figure's numbers are, and where they lie.

/// Numbers beyond this, or nearer to 0 than its inverse on a logarithmic axis, are gaps as NaN is: no
/// quantity reaches them, and differences and ratios of the others stay finite.
pub(super) const LARGEST: f64 = 1e100;

/// How numbers are spread along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spacing {
    /// Equal differences are equal lengths.
    Linear,
    /// Equal ratios are equal lengths; numbers that are not above 0 are gaps.
    Logarithmic,
}

/// An axis: its quantity, its unit, its spacing and, if it is not to follow from the data, its range.
///
/// There is no axis without a quantity, and a quantity without a unit says so:
///
/// - `Axis::new("noise-to-signal ratio", "dB")` is labelled "noise-to-signal ratio \[dB\]",
/// - `Axis::dimensionless("F1 score")` is labelled "F1 score".
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    quantity: String,
    unit: Option<String>,
    pub(super) spacing: Spacing,
    pub(super) range: Option<(f64, f64)>,
}

impl Axis {
    /// A quantity with a unit.
    pub(crate) fn new(quantity: impl Into<String>, unit: impl Into<String>) -> Self {
        Self {
            unit: Some(unit.into()),
            ..Self::dimensionless(quantity)
        }
    }

    /// A quantity that is a pure number: a ratio, a score, a count.
    pub(crate) fn dimensionless(quantity: impl Into<String>) -> Self {
        Self {
            quantity: quantity.into(),
            unit: None,
            spacing: Spacing::Linear,
            range: None,
        }
    }

    /// The same with equal ratios at equal lengths.
    pub(crate) fn logarithmic(mut self) -> Self {
        self.spacing = Spacing::Logarithmic;
        self
    }

    /// The same from one number to a larger one, whatever the data; data beyond are cut off.
    pub(crate) fn range(mut self, from: f64, to: f64) -> Self {
        self.range = Some((from, to));
        self
    }

    /// "quantity \[unit\]".
    pub(super) fn label(&self) -> String {
        match &self.unit {
            Some(unit) => format!("{} [{unit}]", self.quantity),
            None => self.quantity.clone(),
        }
    }

    /// A number of the quantity in words: "longest step 0.12 m".
    pub(super) fn with_number(&self, number: &str) -> String {
        match &self.unit {
            Some(unit) => format!("{} {number} {unit}", self.quantity),
            None => format!("{} {number}", self.quantity),
        }
    }

    /// What is wrong with the axis, if anything is.
    pub(super) fn fault(&self) -> Option<AxisFault> {
        let blank = |text: &str| text.trim().is_empty();
        if blank(&self.quantity) || self.unit.as_deref().is_some_and(blank) {
            return Some(AxisFault::NoLabel);
        }
        let (from, to) = self.range?;
        let wide_enough = match self.spacing {
            Spacing::Linear => is_wide(from, to),
            Spacing::Logarithmic => to / from > 1. + LEAST_WIDTH,
        };
        let good =
            can_be_drawn(from, self.spacing) && can_be_drawn(to, self.spacing) && wide_enough;
        (!good).then_some(AxisFault::Range { from, to })
    }

    /// The axis over its own range or that of the data; none if no number can be drawn.
    ///
    /// `margin` is the share of the data's range that is added on both sides.
    pub(super) fn over(&self, numbers: impl IntoIterator<Item = f64>, margin: f64) -> Option<Span> {
        let spacing = self.spacing;
        if let Some((from, to)) = self.range {
            return Some(Span { spacing, from, to });
        }
        let mut drawn = numbers
            .into_iter()
            .filter(|&number| can_be_drawn(number, spacing));
        let first = drawn.next()?;
        let (low, high) = drawn.fold((first, first), |(low, high), number| {
            (low.min(number), high.max(number))
        });
        let (from, to) = match spacing {
            Spacing::Linear => {
                let size = low.abs().max(high.abs());
                if is_wide(low, high) {
                    let added = (high - low) * margin;
                    (low - added, high + added)
                } else if size > 1. / LARGEST {
                    (low - 0.1 * size, high + 0.1 * size)
                } else {
                    (-1., 1.)
                }
            }
            Spacing::Logarithmic => {
                if high / low > 1. + LEAST_WIDTH {
                    let added = (high / low).powf(margin);
                    (low / added, high * added)
                } else {
                    (low / 2., high * 2.)
                }
            }
        };
        Some(Span { spacing, from, to })
    }
}

/// The least width of a range in shares of its numbers: the digits of a double hardly hold less.
const LEAST_WIDTH: f64 = 1e-9;

fn is_wide(low: f64, high: f64) -> bool {
    let size = low.abs().max(high.abs());
    high - low > size * LEAST_WIDTH && high - low > 1. / LARGEST
}

/// Whether a number has a place on an axis at all.
pub(super) fn can_be_drawn(number: f64, spacing: Spacing) -> bool {
    match spacing {
        Spacing::Linear => (-LARGEST..=LARGEST).contains(&number),
        Spacing::Logarithmic => (1. / LARGEST..=LARGEST).contains(&number),
    }
}

/// Why an axis cannot be drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum AxisFault {
    NoLabel,
    Range { from: f64, to: f64 },
}

/// The numbers that an axis covers, from below to above.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    pub(super) spacing: Spacing,
    pub(super) from: f64,
    pub(super) to: f64,
}

impl Span {
    /// Where a number lies: 0 at the axis's beginning, 1 at its end, outside of them beyond. None for a
    /// gap.
    pub(super) fn share(&self, number: f64) -> Option<f64> {
        let share = match self.spacing {
            _ if !can_be_drawn(number, self.spacing) => return None,
            Spacing::Linear => (number - self.from) / (self.to - self.from),
            Spacing::Logarithmic => (number / self.from).ln() / (self.to / self.from).ln(),
        };
        share.is_finite().then_some(share)
    }

    pub(super) fn contains(&self, number: f64) -> bool {
        (self.from..=self.to).contains(&number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_name_quantity_and_unit() {
        assert_eq!(Axis::new("signal", "dB").label(), "signal [dB]");
        assert_eq!(Axis::dimensionless("F1 score").label(), "F1 score");
    }

    #[test]
    fn an_axis_without_a_label_is_at_fault() {
        for axis in [
            Axis::dimensionless(""),
            Axis::dimensionless(" \n"),
            Axis::new("", "dB"),
            Axis::new("signal", " "),
        ] {
            assert_eq!(axis.fault(), Some(AxisFault::NoLabel));
        }
        assert_eq!(Axis::new("signal", "dB").fault(), None);
    }

    #[test]
    fn a_range_that_is_none_is_at_fault() {
        let axis = || Axis::new("signal", "dB");
        for (from, to) in [
            (1., 1.),
            (2., 1.),
            (f64::NAN, 1.),
            (0., f64::NAN),
            (0., f64::INFINITY),
            (-1e101, 0.),
            (0., 1e-101),
            (1e12, 1e12 + 1.),
        ] {
            assert!(axis().range(from, to).fault().is_some(), "{from} to {to}");
        }
        assert_eq!(axis().range(0., 1.).fault(), None);
        assert!(axis().logarithmic().range(0., 1.).fault().is_some());
        assert_eq!(axis().logarithmic().range(0.1, 1.).fault(), None);
    }

    #[test]
    fn the_range_is_that_of_the_data_with_a_margin() {
        let axis = Axis::new("signal", "dB");
        let numbers = [3., f64::NAN, -1., f64::INFINITY, 7.];
        let span = axis.over(numbers, 0.25).unwrap();
        assert_eq!((span.from, span.to), (-3., 9.));
        let span = axis.logarithmic().over([10., -4., 1000., 0.], 0.5).unwrap();
        assert!((span.from - 1.).abs() < 1e-12 && (span.to - 1e4).abs() < 1e-8);
    }

    #[test]
    fn constant_data_lie_in_the_middle() {
        let axis = Axis::new("signal", "dB");
        for value in [0., 5., -5., 1e99, 1e-300, 1. + 1e-15] {
            let span = axis.over([value, value], 0.05).unwrap();
            assert!(span.from < value && value < span.to, "{span:?}");
            assert!((span.share(value).unwrap() - 0.5).abs() < 1e-6, "{span:?}");
        }
        let span = axis.logarithmic().over([10.], 0.05).unwrap();
        assert_eq!((span.from, span.to), (5., 20.));
    }

    #[test]
    fn no_data_have_no_range() {
        let axis = Axis::new("signal", "dB");
        assert_eq!(axis.over([], 0.05), None);
        assert_eq!(axis.over([f64::NAN, f64::NEG_INFINITY], 0.05), None);
        assert_eq!(axis.logarithmic().over([0., -1.], 0.05), None);
    }

    #[test]
    fn shares_run_from_zero_to_one() {
        let linear = Axis::new("signal", "dB").range(-2., 6.);
        let linear = linear.over([], 0.).unwrap();
        // All of them are sums of powers of two, so that nothing is rounded.
        let shares = [-2., 0., 6., 8.].map(|x| linear.share(x));
        assert_eq!(shares, [0., 0.25, 1., 1.25].map(Some));
        assert_eq!(linear.share(f64::NAN), None);
        let logarithmic = Axis::new("signal", "dB").logarithmic().range(1., 1e4);
        let logarithmic = logarithmic.over([], 0.).unwrap();
        assert!((logarithmic.share(100.).unwrap() - 0.5).abs() < 1e-15);
        assert_eq!(logarithmic.share(0.), None);
    }
}
