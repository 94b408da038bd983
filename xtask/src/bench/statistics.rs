//! Medians and ranges.

/// Lowest, median and highest of some numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) lowest: f64,
    pub(crate) median: f64,
    pub(crate) highest: f64,
}

impl Spread {
    /// Nothing if there are no numbers, or one of them is none.
    pub(crate) fn of(numbers: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut numbers: Vec<f64> = numbers.into_iter().collect();
        if numbers.iter().any(|number| number.is_nan()) {
            return None;
        }
        numbers.sort_by(f64::total_cmp);
        let middle = numbers.len() / 2;
        let median = if numbers.len() % 2 == 1 {
            numbers[middle]
        } else {
            f64::midpoint(*numbers.get(middle.checked_sub(1)?)?, numbers[middle])
        };
        Some(Self {
            lowest: *numbers.first()?,
            median,
            highest: *numbers.last()?,
        })
    }

    /// How many times ours takes what another takes, round by round.
    pub(crate) fn of_ratios(others: &[f64], ours: &[f64]) -> Option<Self> {
        Self::of(others.iter().zip(ours).map(|(other, ours)| other / ours))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(lowest: f64, median: f64, highest: f64) -> Spread {
        Spread {
            lowest,
            median,
            highest,
        }
    }

    #[test]
    fn the_median_is_the_middle_or_between_the_two_in_the_middle() {
        assert_eq!(Spread::of([3., 1., 2.]), Some(spread(1., 2., 3.)));
        assert_eq!(Spread::of([4., 1., 2., 3.]), Some(spread(1., 2.5, 4.)));
        assert_eq!(Spread::of([7.]), Some(spread(7., 7., 7.)));
    }

    #[test]
    fn no_numbers_have_no_spread() {
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([1., f64::NAN]), None);
    }

    /// Both slow down in the second round: the ratio does not notice.
    #[test]
    fn ratios_are_taken_within_a_round() {
        assert_eq!(
            Spread::of_ratios(&[10., 20., 10.], &[2., 4., 1.]),
            Some(spread(5., 5., 10.))
        );
    }
}
