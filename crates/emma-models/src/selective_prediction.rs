//! Answering only where the answers can be vouched for.

use statrs::function::beta::beta_reg;

use crate::error::{Error, Result};
use crate::risk_coverage::check_rows;

/// Thresholds that are tried.
const N_THRESHOLDS: usize = 50;

/// Places in the sequence of thresholds at which testing begins.
const N_STARTS: usize = 5;

/// One row in so many tells where thresholds may lie; the others are tested on.
const THRESHOLDS_FROM_EVERY: usize = 4;

/// What is to be vouched for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RiskLimit {
    /// Largest share of errors among the rows that are answered, above 0 and below 1.
    pub risk: f64,
    /// Probability, over draws of the calibration rows, that this holds; above 0 and below 1.
    pub confidence: f64,
}

impl RiskLimit {
    fn check(self) -> Result<()> {
        for (name, value) in [("risk", self.risk), ("confidence", self.confidence)] {
            if !(value > 0. && value < 1.) {
                return Err(Error::InvalidSetting {
                    name,
                    expected: "above 0 and below 1",
                    found: value.to_string(),
                });
            }
        }
        Ok(())
    }

    /// Level of each of so many sequences of tests.
    fn level(self, n_starts: usize) -> f64 {
        (1. - self.confidence) / n_starts.max(1) as f64
    }
}

/// Labelled rows of one kind: clean ones, say, or such with faults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoredRows<'a> {
    /// High for rows that are not to be trusted, `[rows]`.
    pub scores: &'a [f32],
    /// Whether the row's answer is wrong, `[rows]`.
    pub errors: &'a [bool],
}

impl ScoredRows<'_> {
    fn n_rows(&self) -> usize {
        self.scores.len()
    }
}

/// What became of the tested rows of one kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TestedRows {
    /// Rows that the threshold was tested on.
    pub n_tested: usize,
    /// Those of them that are answered.
    pub n_answered: usize,
    /// Errors among these.
    pub n_errors: usize,
    /// Upper Clopper-Pearson bound of the risk, at the level at which the threshold was tested.
    pub risk_bound: f64,
}

impl TestedRows {
    /// Share of the tested rows that are answered.
    pub fn coverage(&self) -> f64 {
        self.n_answered as f64 / self.n_tested as f64
    }

    /// Share of errors among the tested rows that are answered.
    pub fn risk(&self) -> f64 {
        self.n_errors as f64 / self.n_answered as f64
    }
}

/// A threshold of a score, such as the total energy, up to which rows are answered, so that the share of errors among
/// the answered ones is at most a stated one, with a stated confidence.
///
/// # How the threshold is chosen
/// Thresholds `λ_1 < … < λ_J` are fixed without looking at the rows that they are tested on. The hypothesis
/// `R(λ_j) > r`, with `R(λ)` the probability of an error given a score of at most λ, is rejected where the upper
/// Clopper-Pearson bound of `R(λ_j)` is at most r. Testing begins at K places in the sequence, evenly spread, the
/// last of them at `λ_J`; from each it goes on to larger thresholds as long as it rejects, at the level `(1 − confidence) / K`.
/// The largest threshold that was rejected is taken.
///
/// # Several kinds of rows
/// The hypothesis is then that `R(λ_j) > r` for any one of the kinds, and it is rejected where it is for each of them
/// (an intersection-union test: no level is lost, and the kinds' rows may depend on each other). The risk of a mixture of
/// kinds is a mean of theirs, weighted by how many rows of each are answered. So with clean rows and rows of which half are
/// corrupted the limit holds for every share of corrupted rows from none to half.
///
/// # Guarantee
/// For rows drawn alike and independently, those to be answered as those calibrated on:
/// `P(R(threshold) ≤ risk) ≥ confidence` wherever one is chosen; of the sequences, each errs first at its first true
/// hypothesis, with a probability of at most its level. It says nothing of rows that are drawn otherwise, such as
/// those of a fault that the calibration rows did not have.
///
/// # Scores that are no numbers
/// NaN and `+∞` are never answered; `−∞` is.
///
/// # Source
/// A. N. Angelopoulos, S. Bates, E. J. Candès, M. I. Jordan and L. Lei, "Learn then test" (2021), arXiv:2110.01052,
/// fixed-sequence testing with several starts; Y. Geifman and R. El-Yaniv, "Selective classification for deep neural
/// networks" (2017); C. J. Clopper and E. S. Pearson (1934); R. L. Berger, "Multiparameter hypothesis testing and acceptance
/// sampling" (1982), intersection-union tests.
///
/// ```
/// use emma_models::{RiskLimit, SelectivePrediction};
///
/// // Every answer is right up to a score of 600, every second one beyond.
/// let scores: Vec<f32> = (0..1000).map(|row| ((row * 7) % 1000) as f32).collect();
/// let errors: Vec<bool> = scores.iter().map(|&score| score > 600. && score % 2. < 1.).collect();
/// let limit = RiskLimit { risk: 0.05, confidence: 0.9 };
/// let selective = SelectivePrediction::calibrate(&scores, &errors, limit)?.expect("some are sure");
/// assert!(selective.answers(500.) && !selective.answers(900.));
/// assert!(selective.risk_bound() <= 0.05);
/// # Ok::<(), emma_models::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct SelectivePrediction {
    threshold: f32,
    limit: RiskLimit,
    tested: Vec<TestedRows>,
}

impl SelectivePrediction {
    /// Chooses a threshold on labelled rows that neither energies nor network were trained on; none if no coverage
    /// that is tried keeps to the limit.
    ///
    /// Every fourth row tells, by its score alone, where thresholds may lie (fifty, at even shares of the rows); the
    /// others are tested on, by [`among`](Self::among). The rows' order must mean nothing.
    ///
    /// # Shapes
    /// - `scores`: `[rows]`, high for rows that are not to be trusted
    /// - `errors`: `[rows]`, whether the row's answer is wrong
    ///
    /// # Errors
    /// [`Error::NoRows`], [`Error::LabelCount`], [`Error::InvalidSetting`] for a limit outside its range;
    /// [`Error::TooFewRows`] if there are so few rows that not even answers without an error would do.
    pub fn calibrate(scores: &[f32], errors: &[bool], limit: RiskLimit) -> Result<Option<Self>> {
        Self::calibrate_on_each(&[ScoredRows { scores, errors }], limit)
    }

    /// The same for several kinds of rows, each of which the limit is kept for. Every fourth row of each kind tells where
    /// thresholds may lie.
    ///
    /// # Errors
    /// As [`calibrate`](Self::calibrate), also for a single kind; [`Error::NoRows`] without any kind.
    pub fn calibrate_on_each(kinds: &[ScoredRows<'_>], limit: RiskLimit) -> Result<Option<Self>> {
        check_kinds(kinds)?;
        limit.check()?;
        for rows in kinds {
            let n_tested = rows.n_rows() - rows.n_rows().div_ceil(THRESHOLDS_FROM_EVERY);
            // (1 − risk)^n ≤ level.
            let fewest = limit.level(N_STARTS).ln() / (-limit.risk).ln_1p();
            if (n_tested as f64) < fewest {
                #[expect(clippy::cast_sign_loss, reason = "a quotient of negative numbers")]
                let fewest = fewest.ceil() as usize;
                return Err(Error::TooFewRows {
                    what: "rows to vouch for a risk by",
                    expected: (fewest * THRESHOLDS_FROM_EVERY).div_ceil(THRESHOLDS_FROM_EVERY - 1),
                    found: rows.n_rows(),
                });
            }
        }
        let tested: Vec<Tested> = kinds.iter().map(Tested::of).collect();
        let tested: Vec<ScoredRows<'_>> = tested.iter().map(Tested::rows).collect();
        Self::among_for_each(&thresholds(kinds), &tested, limit)
    }

    /// Chooses among thresholds that were fixed without looking at these rows; none if no one keeps to the limit.
    ///
    /// # Shapes
    /// - `thresholds`: ascending
    /// - `scores`, `errors`: `[rows]`, as for [`calibrate`](Self::calibrate)
    ///
    /// # Errors
    /// As [`calibrate`](Self::calibrate), but for too few rows; [`Error::Row`] for a threshold that is not finite or not above
    /// the one before.
    pub fn among(
        thresholds: &[f32],
        scores: &[f32],
        errors: &[bool],
        limit: RiskLimit,
    ) -> Result<Option<Self>> {
        Self::among_for_each(thresholds, &[ScoredRows { scores, errors }], limit)
    }

    /// The same for several kinds of rows, each of which the limit is kept for.
    ///
    /// # Errors
    /// As [`among`](Self::among); [`Error::NoRows`] without any kind.
    pub fn among_for_each(
        thresholds: &[f32],
        kinds: &[ScoredRows<'_>],
        limit: RiskLimit,
    ) -> Result<Option<Self>> {
        check_kinds(kinds)?;
        limit.check()?;
        for (index, threshold) in thresholds.iter().enumerate() {
            let ascends = index == 0 || thresholds[index - 1] < *threshold;
            if !threshold.is_finite() || !ascends {
                return Err(Error::Row {
                    row: index,
                    message: format!("expected finite, ascending thresholds, got {threshold}"),
                });
            }
        }
        let level = limit.level(N_STARTS.min(thresholds.len()));
        let keeps = |threshold: f32| {
            kinds.iter().all(|rows| {
                let (n_answered, n_errors) = answered(rows, threshold);
                probability_of_at_most(n_errors, n_answered, limit.risk) <= level
            })
        };
        let last_kept = starts(thresholds.len()).filter_map(|first| {
            let later = thresholds[first..].iter();
            let n_kept = later.take_while(|&&threshold| keeps(threshold)).count();
            (first + n_kept)
                .checked_sub(1)
                .filter(|&last| last >= first)
        });
        Ok(last_kept.max().map(|index| {
            let threshold = thresholds[index];
            let of_kind = |rows: &ScoredRows<'_>| {
                let (n_answered, n_errors) = answered(rows, threshold);
                TestedRows {
                    n_tested: rows.n_rows(),
                    n_answered,
                    n_errors,
                    risk_bound: upper_bound(n_errors, n_answered, level),
                }
            };
            Self {
                threshold,
                limit,
                tested: kinds.iter().map(of_kind).collect(),
            }
        }))
    }

    /// The least risk for which [`calibrate_on_each`](Self::calibrate_on_each) chooses a threshold on these rows, with a
    /// confidence: of the places at which testing begins, the lowest upper bound of the risk. 1 if no row could be answered.
    ///
    /// Who asks for a risk because it is the least has chosen it by the rows: the confidence is then a little less.
    ///
    /// # Errors
    /// As [`calibrate_on_each`](Self::calibrate_on_each), but for too few rows.
    pub fn least_risk(kinds: &[ScoredRows<'_>], confidence: f64) -> Result<f64> {
        check_kinds(kinds)?;
        // Any risk: what is checked is the confidence.
        let limit = RiskLimit {
            risk: 0.5,
            confidence,
        };
        limit.check()?;
        let tested: Vec<Tested> = kinds.iter().map(Tested::of).collect();
        let thresholds = thresholds(kinds);
        // With fewer thresholds than starts this is a little too high, never too low.
        let level = limit.level(N_STARTS);
        let bounds = starts(thresholds.len()).map(|first| {
            let of_kind = |tested: &Tested| {
                let (n_answered, n_errors) = answered(&tested.rows(), thresholds[first]);
                upper_bound(n_errors, n_answered, level)
            };
            tested.iter().map(of_kind).fold(0., f64::max)
        });
        Ok(bounds.fold(1., f64::min))
    }

    /// Whether a row of this score is answered.
    pub fn answers(&self, score: f32) -> bool {
        score <= self.threshold
    }

    /// The highest score that is answered.
    pub fn threshold(&self) -> f32 {
        self.threshold
    }

    /// What it vouches for.
    pub fn limit(&self) -> RiskLimit {
        self.limit
    }

    /// What became of the tested rows, kind by kind in their order.
    pub fn tested(&self) -> &[TestedRows] {
        &self.tested
    }

    /// Share of the tested rows that it answers; the smallest of the kinds'.
    pub fn coverage(&self) -> f64 {
        let all = self.tested.iter().map(TestedRows::coverage);
        all.fold(1., f64::min)
    }

    /// Share of errors among the tested rows that it answers; the largest of the kinds'.
    pub fn risk(&self) -> f64 {
        self.tested.iter().map(TestedRows::risk).fold(0., f64::max)
    }

    /// Upper Clopper-Pearson bound of the risk, at the level at which the threshold was tested, the largest of the kinds';
    /// at most the risk of the limit.
    pub fn risk_bound(&self) -> f64 {
        let all = self.tested.iter().map(|rows| rows.risk_bound);
        all.fold(0., f64::max)
    }
}

/// The rows of a kind that are tested on: all but every fourth.
struct Tested {
    scores: Vec<f32>,
    errors: Vec<bool>,
}

impl Tested {
    fn of(rows: &ScoredRows<'_>) -> Self {
        let tested = || (0..rows.n_rows()).filter(|row| !row.is_multiple_of(THRESHOLDS_FROM_EVERY));
        Self {
            scores: tested().map(|row| rows.scores[row]).collect(),
            errors: tested().map(|row| rows.errors[row]).collect(),
        }
    }

    fn rows(&self) -> ScoredRows<'_> {
        ScoredRows {
            scores: &self.scores,
            errors: &self.errors,
        }
    }
}

/// At even shares of every fourth row, all kinds together; ascending.
fn thresholds(kinds: &[ScoredRows<'_>]) -> Vec<f32> {
    let every = |rows: &ScoredRows<'_>| -> Vec<f32> {
        let apart = rows.scores.iter().step_by(THRESHOLDS_FROM_EVERY);
        apart.copied().filter(|score| score.is_finite()).collect()
    };
    let mut apart: Vec<f32> = kinds.iter().flat_map(every).collect();
    apart.sort_by(f32::total_cmp);
    let n = apart.len();
    let n_thresholds = N_THRESHOLDS.min(n);
    let mut thresholds: Vec<f32> = (1..=n_thresholds)
        .map(|k| apart[(k * n).div_ceil(n_thresholds) - 1])
        .collect();
    thresholds.dedup();
    thresholds
}

/// Where testing begins in a sequence of thresholds.
fn starts(n_thresholds: usize) -> impl Iterator<Item = usize> {
    let n_starts = N_STARTS.min(n_thresholds);
    (1..=n_starts).map(move |start| start * n_thresholds / n_starts - 1)
}

/// How many rows are answered up to a threshold, and how many of them wrongly.
fn answered(rows: &ScoredRows<'_>, threshold: f32) -> (usize, usize) {
    let own = rows.scores.iter().zip(rows.errors);
    let own = own.filter(|(score, _)| **score <= threshold);
    own.fold((0, 0), |(n, wrong), (_, &is_error)| {
        (n + 1, wrong + usize::from(is_error))
    })
}

fn check_kinds(kinds: &[ScoredRows<'_>]) -> Result<()> {
    if kinds.is_empty() {
        return Err(Error::NoRows {
            what: "scores and errors",
        });
    }
    kinds
        .iter()
        .try_for_each(|rows| check_rows(rows.scores, rows.errors))
}

/// `P(X ≤ k)` for X binomial of n trials of probability q: `I_(1−q)(n − k, k + 1)`.
fn probability_of_at_most(k: usize, n: usize, q: f64) -> f64 {
    if k >= n {
        return 1.;
    }
    beta_reg((n - k) as f64, k as f64 + 1., 1. - q)
}

/// The probability at which so few errors are as unlikely as the level (C. J. Clopper and E. S. Pearson, 1934).
fn upper_bound(n_errors: usize, n_answered: usize, level: f64) -> f64 {
    if n_errors >= n_answered {
        return 1.;
    }
    let (mut low, mut high) = (0., 1.);
    // As many halvings as f64 has digits, and some.
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if probability_of_at_most(n_errors, n_answered, middle) > level {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: RiskLimit = RiskLimit {
        risk: 0.1,
        confidence: 0.9,
    };

    #[test]
    fn bounds_are_those_in_closed_form() {
        // No error in n: 1 − level^(1/n). All but none: k = n − 1 has 1 − q^n = level.
        for (n, level) in [(10u16, 0.05), (1000, 0.1)] {
            let exact = 1. - f64::powf(level, 1. / f64::from(n));
            let bound = upper_bound(0, usize::from(n), level);
            // Errors of the incomplete beta function.
            assert!((bound - exact).abs() < 1e-12, "{bound} {exact}");
            let exact = f64::powf(1. - level, 1. / f64::from(n));
            let bound = upper_bound(usize::from(n) - 1, usize::from(n), level);
            assert!((bound - exact).abs() < 1e-12, "{bound} {exact}");
        }
        assert!(upper_bound(3, 3, 0.1) >= 1.);
        // (1 + 5) / 2^5 for at most one head of five.
        assert!((probability_of_at_most(1, 5, 0.5) - 6. / 32.).abs() < 1e-14);
        assert!(probability_of_at_most(0, 0, 0.5) >= 1.);
    }

    #[test]
    fn testing_goes_on_from_every_start_until_it_fails() {
        // Thresholds 0 to 9, a hundred rows at each, so starts at 1, 3, 5, 7, 9.
        let thresholds: Vec<f32> = (0..10u8).map(f32::from).collect();
        let scores: Vec<f32> = (0..1000u16).map(|row| f32::from(row / 100)).collect();
        let chosen = |is_wrong: fn(f32, usize) -> bool| {
            let errors: Vec<bool> = (0..1000).map(|row| is_wrong(scores[row], row)).collect();
            let found = SelectivePrediction::among(&thresholds, &scores, &errors, LIMIT);
            found.unwrap().map(|selective| selective.threshold())
        };
        assert_eq!(chosen(|_, _| false), Some(9.));
        assert_eq!(chosen(|_, _| true), None);
        // Wrong from 4 on: with 40 of 540 and more errors the bound is passed at 4.
        assert_eq!(chosen(|score, _| score >= 4.), Some(3.));
        // Wrong at 0 alone: a fifth up to 1, which the first start fails at; 100 of 1000 is what the limit is, and
        // has no margin, so nothing is vouched for.
        assert_eq!(chosen(|score, _| score < 1.), None);
        // Half of them wrong: 50 of 1000 at the end will do, though the first start fails.
        assert_eq!(chosen(|score, row| score < 1. && row % 2 == 0), Some(9.));
    }

    #[test]
    fn every_kind_of_rows_keeps_the_limit() {
        let scores: Vec<f32> = (0..1000u16).map(|row| f32::from(row * 7 % 1000)).collect();
        let wrong_from = |first: f32| -> Vec<bool> {
            let errors = scores.iter().map(|&score| score >= first);
            errors.collect()
        };
        let (few, many) = (wrong_from(900.), wrong_from(500.));
        let rows = |errors| ScoredRows {
            scores: &scores,
            errors,
        };
        let chosen = |kinds: &[ScoredRows<'_>]| {
            let found = SelectivePrediction::calibrate_on_each(kinds, LIMIT).unwrap();
            found.unwrap()
        };
        let (alone, worse) = (chosen(&[rows(&few)]), chosen(&[rows(&many)]));
        assert!(alone.threshold() > 900. && worse.threshold() < 600.);
        for both in [[rows(&few), rows(&many)], [rows(&many), rows(&few)]] {
            let both = chosen(&both);
            assert_eq!(Some(both.threshold()), Some(worse.threshold()));
            assert_eq!(Some(both.risk_bound()), Some(worse.risk_bound()));
            assert_eq!(both.tested().len(), 2);
            let few = both.tested().iter().find(|rows| rows.n_errors == 0);
            assert!(few.unwrap().risk_bound < both.risk_bound());
        }
        assert!(SelectivePrediction::calibrate_on_each(&[], LIMIT).is_err());
    }

    #[test]
    fn the_least_risk_is_the_least_that_a_threshold_is_found_for() {
        // One error in thirty, wherever; and rows that are all wrong.
        let scores: Vec<f32> = (0..500u16).map(|row| f32::from(row * 7 % 500)).collect();
        let errors: Vec<bool> = (0..500).map(|row| row % 30 == 1).collect();
        let kinds = [ScoredRows {
            scores: &scores,
            errors: &errors,
        }];
        let least = SelectivePrediction::least_risk(&kinds, 0.9).unwrap();
        let found = |risk: f64| {
            let limit = RiskLimit {
                risk,
                confidence: 0.9,
            };
            let found = SelectivePrediction::calibrate_on_each(&kinds, limit);
            found.unwrap().is_some()
        };
        assert!(least > 0.03 && least < 0.1, "{least}");
        assert!(found(least) && !found(least - 1e-9));
        // Of few rows without an error it is what so many can vouch for: 1 − .02^(1/38).
        let few = [ScoredRows {
            scores: &[0.; 51],
            errors: &[false; 51],
        }];
        let least = SelectivePrediction::least_risk(&few, 0.9).unwrap();
        assert!((least - (1. - f64::powf(0.02, 1. / 38.))).abs() < 1e-12);
        let all = [ScoredRows {
            scores: &scores,
            errors: &[true; 500],
        }];
        assert!(SelectivePrediction::least_risk(&all, 0.9).unwrap() >= 1.);
        assert!(SelectivePrediction::least_risk(&all, 1.5).is_err());
    }

    #[test]
    fn scores_that_are_no_numbers_are_not_answered() {
        let mut scores = vec![0f32; 200];
        let mut errors = vec![false; 200];
        for (row, odd) in [f32::NAN, f32::INFINITY].into_iter().enumerate() {
            scores[2 * row + 1] = odd;
            errors[2 * row + 1] = true;
        }
        scores[5] = f32::NEG_INFINITY;
        let selective = SelectivePrediction::calibrate(&scores, &errors, LIMIT)
            .unwrap()
            .unwrap();
        assert!(!selective.answers(f32::NAN) && !selective.answers(f32::INFINITY));
        assert!(selective.answers(f32::NEG_INFINITY) && selective.answers(0.));
        assert!(selective.risk() <= 0.);
        // One division of whole numbers.
        assert!((selective.coverage() - 148. / 150.).abs() < 1e-15);
        // No number at all: nothing to choose from.
        let none = SelectivePrediction::calibrate(&[f32::NAN; 200], &errors, LIMIT);
        assert_eq!(none.unwrap(), None);
    }

    #[test]
    fn what_cannot_be_vouched_for_is_refused() {
        let error = |risk: f64, confidence: f64, n_rows: usize| {
            let limit = RiskLimit { risk, confidence };
            let (scores, errors) = (vec![0.; n_rows], vec![false; n_rows]);
            let found = SelectivePrediction::calibrate(&scores, &errors, limit);
            found.unwrap_err().to_string()
        };
        for value in [0., 1., -1., f64::NAN] {
            let expected = format!("must be above 0 and below 1, got {value}");
            assert_eq!(error(value, 0.9, 500), format!("risk {expected}"));
            assert_eq!(error(0.1, value, 500), format!("confidence {expected}"));
        }
        assert_eq!(
            error(0.1, 0.9, 0),
            "expected at least one row of scores and errors, got none"
        );
        // .9^n ≤ .02 from n = 38 on, which 51 rows leave.
        assert_eq!(
            error(0.1, 0.9, 50),
            "expected at least 51 rows to vouch for a risk by, got 50"
        );
        let least = SelectivePrediction::calibrate(&[0.; 51], &[false; 51], LIMIT);
        assert!(least.unwrap().is_some());
        for thresholds in [&[1., 1.][..], &[f32::NAN], &[2., 1.]] {
            let found = SelectivePrediction::among(thresholds, &[0.], &[false], LIMIT);
            let message = found.unwrap_err().to_string();
            assert!(message.contains("ascending thresholds"), "{message}");
        }
        assert_eq!(
            SelectivePrediction::among(&[], &[0.], &[false], LIMIT).unwrap(),
            None
        );
    }
}
