//! How much a measure depends on the rows it was taken on.

use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Percentile bootstrap of a statistic of rows.
///
/// Rows are drawn with replacement, as many as there are, and the statistic is taken of them; that
/// many times over. The interval runs from quantile `(1 − level) / 2` to quantile `(1 + level) / 2`
/// of the values, with straight lines between the order statistics `0, 1/(B−1), …, 1`.
///
/// It says how the figure would vary with other test rows, for one trained model. How it varies with
/// other training runs is another question, which [`MeanInterval`](super::MeanInterval) over seeds
/// answers.
///
/// | field | default | range |
/// | --- | --- | --- |
/// | `n_resamples` | 2000 | 1 to 10,000,000 |
/// | `level` | 0.95 | above 0, below 1 |
///
/// # Source
/// B. Efron and R. Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.
///
/// ```
/// use emma_models::metrics::roc_auc;
/// use emma_models::statistics::{Bootstrap, Resampling};
/// use rand::SeedableRng;
///
/// # fn main() -> emma_models::Result<()> {
/// let (scores, labels) = ([0.9f32, 0.8, 0.4, 0.6, 0.3, 0.2, 0.1], [1u8, 1, 1, 0, 0, 0, 0]);
/// let auc = |rows: &[usize]| {
///     let scores: Vec<f32> = rows.iter().map(|&row| scores[row]).collect();
///     let labels: Vec<u8> = rows.iter().map(|&row| labels[row]).collect();
///     roc_auc(&scores, &labels)
/// };
/// let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
/// let interval = Bootstrap::default().interval(Resampling::Stratified(&labels), auc, &mut rng)?;
/// assert!(interval.lower < interval.estimate && interval.upper == 1.);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bootstrap {
    /// How often rows are drawn anew.
    pub n_resamples: usize,
    /// Share of the values inside the interval.
    pub level: f64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self {
            n_resamples: 2000,
            level: 0.95,
        }
    }
}

/// What rows a resample may consist of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resampling<'a> {
    /// So many rows, drawn from all.
    Rows(usize),
    /// As many rows of each class as there are, drawn within the class: one label a row. A resample
    /// then never lacks a class, however rare, and the share of positives does not vary.
    Stratified(&'a [u8]),
}

/// Result of [`Bootstrap::interval`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BootstrapInterval {
    /// The statistic of the rows themselves.
    pub estimate: f64,
    /// Lower end.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
}

/// More resamples than this are a mistake.
const MOST_RESAMPLES: usize = 10_000_000;

impl Bootstrap {
    /// The interval of a statistic. The same generator state gives the same bits.
    ///
    /// # Shapes
    /// - `statistic`: takes row numbers from 0, as many as there are rows, some of them repeatedly.
    ///   First come all rows once, in order, for the estimate.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for a field outside its range or a statistic that is NaN,
    /// [`Error::NoRows`] without rows, and those of the statistic.
    pub fn interval(
        &self,
        resampling: Resampling,
        mut statistic: impl FnMut(&[usize]) -> Result<f64>,
        rng: &mut impl Rng,
    ) -> Result<BootstrapInterval> {
        let all = self.intervals(resampling, |rows| Ok(vec![statistic(rows)?]), rng)?;
        let only = all.into_iter().next();
        only.ok_or(Error::NoRows {
            what: "the bootstrap",
        })
    }

    /// The intervals of several statistics, all taken of the same resamples, in their order.
    ///
    /// # Shapes
    /// - `statistics`: takes row numbers as in [`interval`](Self::interval), gives as many numbers each time
    ///
    /// # Errors
    /// Those of [`interval`](Self::interval).
    pub fn intervals(
        &self,
        resampling: Resampling,
        mut statistics: impl FnMut(&[usize]) -> Result<Vec<f64>>,
        rng: &mut impl Rng,
    ) -> Result<Vec<BootstrapInterval>> {
        self.check()?;
        let strata = resampling.strata();
        let n_rows = strata.iter().map(Vec::len).sum();
        if n_rows == 0 {
            return Err(Error::NoRows {
                what: "the bootstrap",
            });
        }
        let mut rows: Vec<usize> = (0..n_rows).collect();
        let estimates = statistics(&rows)?;
        let mut values = vec![Vec::new(); estimates.len()];
        for _ in 0..self.n_resamples {
            rows.clear();
            for stratum in &strata {
                let draw = |_| stratum[rng.random_range(0..stratum.len())];
                rows.extend((0..stratum.len()).map(draw));
            }
            for (values, value) in values.iter_mut().zip(statistics(&rows)?) {
                values.push(number(value)?);
            }
        }
        let interval = |(estimate, mut values): (f64, Vec<f64>)| {
            values.sort_by(f64::total_cmp);
            Ok(BootstrapInterval {
                estimate: number(estimate)?,
                lower: quantile(&values, (1. - self.level) / 2.),
                upper: quantile(&values, f64::midpoint(1., self.level)),
            })
        };
        estimates.into_iter().zip(values).map(interval).collect()
    }

    fn check(&self) -> Result<()> {
        if !(1..=MOST_RESAMPLES).contains(&self.n_resamples) {
            return Err(Error::InvalidSetting {
                name: "number of resamples",
                expected: "from 1 to 10000000",
                found: self.n_resamples.to_string(),
            });
        }
        if !(self.level > 0. && self.level < 1.) {
            return Err(Error::InvalidSetting {
                name: "level",
                expected: "above 0 and below 1",
                found: self.level.to_string(),
            });
        }
        Ok(())
    }
}

impl Resampling<'_> {
    /// Rows that are drawn among each other; no stratum is empty.
    fn strata(self) -> Vec<Vec<usize>> {
        match self {
            Self::Rows(n_rows) => vec![(0..n_rows).collect()],
            Self::Stratified(labels) => (0..=u8::MAX)
                .map(|class| {
                    let of_class = |&row: &usize| labels[row] == class;
                    (0..labels.len()).filter(of_class).collect()
                })
                .filter(|stratum: &Vec<usize>| !stratum.is_empty())
                .collect(),
        }
    }
}

fn number(value: f64) -> Result<f64> {
    if value.is_nan() {
        return Err(Error::InvalidSetting {
            name: "statistic of a resample",
            expected: "a number",
            found: value.to_string(),
        });
    }
    Ok(value)
}

/// Quantile of at least one ascending value, linear between neighbours.
#[expect(
    clippy::cast_sign_loss,
    reason = "a share from 0 to 1 of a count is never negative"
)]
fn quantile(ascending: &[f64], share: f64) -> f64 {
    let last = ascending.len() - 1;
    let position = share * last as f64;
    let below = (position.floor() as usize).min(last);
    let above = (below + 1).min(last);
    let (low, high) = (ascending[below], ascending[above]);
    if low.total_cmp(&high).is_eq() {
        return low; // Infinities too.
    }
    let part = position - below as f64;
    if part <= 0. {
        return low;
    }
    // Neither difference nor product of the two ends: either may overflow.
    low * (1. - part) + high * part
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // The same operations give the same bits.
mod tests {
    use super::*;

    fn mean(values: &[f64]) -> impl Fn(&[usize]) -> Result<f64> {
        |rows| Ok(rows.iter().map(|&row| values[row]).sum::<f64>() / rows.len() as f64)
    }

    #[test]
    fn the_same_generator_gives_the_same_bits_and_another_others() -> Result<()> {
        let values: Vec<f64> = (0..50).map(|i| f64::from(i).sin()).collect();
        let interval = |seed| {
            let rng = &mut emma_testkit::rng(seed);
            Bootstrap::default().interval(Resampling::Rows(50), mean(&values), rng)
        };
        assert_eq!(interval(1)?, interval(1)?);
        assert_ne!(interval(1)?, interval(2)?);
        Ok(())
    }

    #[test]
    fn a_stratified_resample_has_as_many_of_each_class() -> Result<()> {
        let labels = [0u8, 0, 1, 0, 0, 0, 7, 1];
        let mut seen = std::collections::BTreeSet::new();
        let statistic = |rows: &[usize]| {
            for class in [0, 1, 7] {
                let count = |rows: &mut dyn Iterator<Item = usize>| {
                    rows.filter(|&row| labels[row] == class).count()
                };
                let expected = count(&mut (0..labels.len()));
                assert_eq!(count(&mut rows.iter().copied()), expected);
            }
            seen.extend(rows.iter().copied());
            Ok(0.)
        };
        let rng = &mut emma_testkit::rng(1);
        Bootstrap::default().interval(Resampling::Stratified(&labels), statistic, rng)?;
        assert_eq!(seen.len(), labels.len(), "every row is drawn some time");
        Ok(())
    }

    #[test]
    fn a_higher_level_gives_a_wider_interval() -> Result<()> {
        let values: Vec<f64> = (0..30).map(|i| f64::from(i).cos()).collect();
        let width = |level| {
            let bootstrap = Bootstrap {
                level,
                ..Bootstrap::default()
            };
            let rng = &mut emma_testkit::rng(1);
            let interval = bootstrap.interval(Resampling::Rows(30), mean(&values), rng)?;
            assert!(interval.lower <= interval.estimate && interval.estimate <= interval.upper);
            Ok::<_, Error>(interval.upper - interval.lower)
        };
        assert!(width(0.5)? < width(0.9)? && width(0.9)? < width(0.99)?);
        Ok(())
    }

    #[test]
    fn quantiles_lie_on_straight_lines_between_values() {
        let values = [1., 2., 4., 8.];
        for (share, expected) in [(0., 1.), (0.5, 3.), (0.75, 5.), (1., 8.)] {
            assert_eq!(quantile(&values, share), expected);
        }
        assert_eq!(quantile(&[3.], 0.975), 3.);
        assert_eq!(quantile(&[f64::INFINITY; 3], 0.3), f64::INFINITY);
        assert_eq!(quantile(&[1., f64::INFINITY], 0.), 1.);
        assert_eq!(quantile(&[1., f64::INFINITY], 0.5), f64::INFINITY);
        assert_eq!(quantile(&[f64::MIN, f64::MAX], 0.5), 0.);
    }

    #[test]
    fn what_cannot_be_resampled_is_an_error() {
        let interval = |n_resamples, level, resampling, value: Result<f64>| {
            let mut value = Some(value);
            Bootstrap { n_resamples, level }
                .interval(
                    resampling,
                    |_| value.take().unwrap_or(Ok(0.)),
                    &mut emma_testkit::rng(1),
                )
                .unwrap_err()
                .to_string()
        };
        let rows = Resampling::Rows(3);
        for n in [0, usize::MAX] {
            assert_eq!(
                interval(n, 0.95, rows, Ok(1.)),
                format!("number of resamples must be from 1 to 10000000, got {n}")
            );
        }
        for level in [0., 1., f64::NAN] {
            assert_eq!(
                interval(10, level, rows, Ok(1.)),
                format!("level must be above 0 and below 1, got {level}")
            );
        }
        for none in [Resampling::Rows(0), Resampling::Stratified(&[])] {
            assert_eq!(
                interval(10, 0.95, none, Ok(1.)),
                "expected at least one row of the bootstrap, got none"
            );
        }
        assert_eq!(
            interval(10, 0.95, rows, Ok(f64::NAN)),
            "statistic of a resample must be a number, got NaN"
        );
        let own = Error::NoRows { what: "mine" };
        assert_eq!(
            interval(10, 0.95, rows, Err(own)),
            "expected at least one row of mine, got none"
        );
    }
}
