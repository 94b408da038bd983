//! Sharing out rows between training, validation and test, class by class.

use rand::Rng;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::samples::check_labels;

/// Which share of each class goes to training, validation and test.
///
/// | part | default | range |
/// |---|---|---|
/// | train | 0.67 | above 0 |
/// | validation | 0.165 | above 0 |
/// | test | 0.165 | above 0; the three sum to 1 (to 1e-9) |
///
/// # Source
/// The default is close to the thesis's experiments on HTRU2: two thirds for training, the rest halved.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fractions")]
pub struct SplitFractions {
    train: f64,
    validation: f64,
    test: f64,
}

/// Fractions as they are read, not yet checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fractions {
    train: f64,
    validation: f64,
    test: f64,
}

impl SplitFractions {
    /// The three fractions, checked.
    ///
    /// # Errors
    /// [`Error::SplitFractions`] if one is not above 0 or they do not sum to 1 within 1e-9.
    pub fn new(train: f64, validation: f64, test: f64) -> Result<Self> {
        let all_positive = [train, validation, test]
            .iter()
            .all(|&fraction| fraction > 0.0);
        // Written so that NaN and infinity fail.
        let sums_to_one = ((train + validation + test) - 1.0).abs() <= 1e-9;
        if !(all_positive && sums_to_one) {
            return Err(Error::SplitFractions {
                train,
                validation,
                test,
            });
        }
        Ok(Self {
            train,
            validation,
            test,
        })
    }

    /// Share of training rows.
    pub fn train(&self) -> f64 {
        self.train
    }

    /// Share of validation rows.
    pub fn validation(&self) -> f64 {
        self.validation
    }

    /// Share of test rows.
    pub fn test(&self) -> f64 {
        self.test
    }
}

impl Default for SplitFractions {
    fn default() -> Self {
        Self {
            train: 0.67,
            validation: 0.165,
            test: 0.165,
        }
    }
}

impl TryFrom<Fractions> for SplitFractions {
    type Error = Error;

    fn try_from(raw: Fractions) -> Result<Self> {
        Self::new(raw.train, raw.validation, raw.test)
    }
}

/// Which rows belong to which part: row numbers from 0, sorted.
///
/// Serialized as `{"train": [...], "validation": [...], "test": [...]}`, the form of `split.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// Training rows, ascending.
    pub train: Vec<usize>,
    /// Validation rows, ascending.
    pub validation: Vec<usize>,
    /// Test rows, ascending.
    pub test: Vec<usize>,
}

/// Shares out the rows of each class at random.
///
/// A class of `n` rows gives `round(train fraction · n)` rows to training, `round(validation
/// fraction · n)` to validation and the remainder to test, after a shuffle. So the parts hold the
/// classes in the proportions of the table, which matters when one row in eleven is positive.
/// HTRU2 gives 11,992 / 2,953 / 2,953 rows with the default fractions.
///
/// Class 0 is shuffled first, then class 1.
///
/// # Shapes
/// - `labels`: `[rows]`, each 0 or 1
/// - returns row numbers below `rows`, each in exactly one part
///
/// # Errors
/// [`Error::LabelValue`] for a label that is neither 0 nor 1; [`Error::ClassMissing`] if a part would
/// have no row of a class.
///
/// # Source
/// This implementation; the thesis splits without saying how.
pub fn stratified_split(
    labels: &[u8],
    fractions: &SplitFractions,
    rng: &mut impl Rng,
) -> Result<Split> {
    check_labels(labels)?;
    split_classes(labels.iter().map(|&label| label.into()), 2, fractions, rng)
}

/// The same for any number of classes, in their order.
///
/// With a single class it is a plain random split.
///
/// # Shapes
/// - `classes`: `[rows]`, each below `n_classes`
///
/// # Errors
/// [`Error::ClassMissing`] if a part would have no row of a class; [`Error::ClassRange`] for a class that
/// is not below `n_classes`.
pub fn stratified_split_of_classes(
    classes: &[u32],
    n_classes: u32,
    fractions: &SplitFractions,
    rng: &mut impl Rng,
) -> Result<Split> {
    if let Some(row) = classes.iter().position(|&class| class >= n_classes) {
        return Err(Error::ClassRange {
            row,
            n_classes,
            found: classes[row],
        });
    }
    split_classes(classes.iter().copied(), n_classes, fractions, rng)
}

fn split_classes(
    classes: impl Iterator<Item = u32>,
    n_classes: u32,
    fractions: &SplitFractions,
    rng: &mut impl Rng,
) -> Result<Split> {
    let mut rows_of: Vec<Vec<usize>> = vec![Vec::new(); n_classes as usize];
    for (row, class) in classes.enumerate() {
        rows_of[class as usize].push(row);
    }
    let mut split = Split::default();
    for (class, mut rows) in (0..n_classes).zip(rows_of) {
        rows.shuffle(rng);
        let n_rows = rows.len();
        let n_train = share(fractions.train(), n_rows).min(n_rows);
        let n_validation = share(fractions.validation(), n_rows).min(n_rows - n_train);
        let (train, rest) = rows.split_at(n_train);
        let (validation, test) = rest.split_at(n_validation);
        for (part, rows, all) in [
            ("train", train, &mut split.train),
            ("validation", validation, &mut split.validation),
            ("test", test, &mut split.test),
        ] {
            if rows.is_empty() {
                return Err(Error::ClassMissing {
                    class,
                    part,
                    n_rows,
                });
            }
            all.extend_from_slice(rows);
        }
    }
    split.train.sort_unstable();
    split.validation.sort_unstable();
    split.test.sort_unstable();
    Ok(split)
}

/// `round(fraction · n)` for a fraction between 0 and 1.
#[expect(
    clippy::cast_sign_loss,
    reason = "a fraction above 0 of a count is never negative"
)]
fn share(fraction: f64, n_rows: usize) -> usize {
    (fraction * n_rows as f64).round() as usize
}

#[cfg(test)]
mod tests {
    use super::{Split, SplitFractions, stratified_split, stratified_split_of_classes};
    use crate::generator;

    fn labels(n_negative: usize, n_positive: usize) -> Vec<u8> {
        let mut labels = vec![0; n_negative];
        labels.resize(n_negative + n_positive, 1);
        labels
    }

    #[test]
    fn htru2_counts_are_those_of_the_contract() {
        let labels = labels(16_259, 1_639);
        let fractions = SplitFractions::default();
        let split = stratified_split(&labels, &fractions, &mut generator(0, "split")).unwrap();
        let sizes = [split.train.len(), split.validation.len(), split.test.len()];
        assert_eq!(sizes, [11_992, 2_953, 2_953]);
        let n_positive = |rows: &[usize]| rows.iter().filter(|&&row| labels[row] == 1).count();
        assert_eq!(n_positive(&split.train), 1_098);
        assert_eq!(n_positive(&split.validation), 270);
        assert_eq!(n_positive(&split.test), 271);
    }

    #[test]
    fn several_classes_keep_their_proportions_and_two_are_split_as_labels() {
        let fractions = SplitFractions::default();
        let classes: Vec<u32> = (0..600).map(|row| row % 6 / 2 % 3).collect();
        let mut rng = generator(1, "split");
        let split = stratified_split_of_classes(&classes, 3, &fractions, &mut rng).unwrap();
        for class in 0..3 {
            let n_rows = |rows: &[usize]| rows.iter().filter(|&&row| classes[row] == class).count();
            assert_eq!([n_rows(&split.train), n_rows(&split.test)], [134, 33]);
        }
        let labels = labels(60, 40);
        let classes: Vec<u32> = labels.iter().map(|&label| label.into()).collect();
        let [mut one, mut other] = [0, 0].map(|seed| generator(seed, "split"));
        assert_eq!(
            stratified_split_of_classes(&classes, 2, &fractions, &mut one).unwrap(),
            stratified_split(&labels, &fractions, &mut other).unwrap()
        );
        let error = stratified_split_of_classes(&[0, 3], 3, &fractions, &mut one).unwrap_err();
        assert_eq!(
            error.to_string(),
            "row 1: expected a class below 3, found 3"
        );
    }

    #[test]
    fn a_split_is_pinned() {
        let split = stratified_split(
            &labels(6, 4),
            &SplitFractions::new(0.5, 0.25, 0.25).unwrap(),
            &mut generator(0, "split"),
        )
        .unwrap();
        // Another version of `rand` may shuffle differently; then published splits change too.
        let pinned = Split {
            train: vec![2, 3, 5, 8, 9],
            validation: vec![1, 4, 6],
            test: vec![0, 7],
        };
        assert_eq!(split, pinned);
    }

    #[test]
    fn other_seeds_give_other_splits() {
        let labels = labels(100, 100);
        let split = |seed| {
            let mut rng = generator(seed, "split");
            stratified_split(&labels, &SplitFractions::default(), &mut rng).unwrap()
        };
        assert_eq!(split(0), split(0));
        assert_ne!(split(0), split(1));
    }

    #[test]
    fn a_split_serializes_as_split_json() {
        let split = Split {
            train: vec![0, 3],
            validation: vec![1],
            test: vec![2],
        };
        let text = r#"{"train":[0,3],"validation":[1],"test":[2]}"#;
        assert_eq!(serde_json::to_string(&split).unwrap(), text);
        assert_eq!(serde_json::from_str::<Split>(text).unwrap(), split);
    }

    #[test]
    fn fractions_are_checked_when_deserialized() {
        let default: SplitFractions =
            serde_json::from_str(r#"{"train":0.67,"validation":0.165,"test":0.165}"#).unwrap();
        assert_eq!(default, SplitFractions::default());
        let text = r#"{"train":0.9,"validation":0.165,"test":0.165}"#;
        let error = serde_json::from_str::<SplitFractions>(text).unwrap_err();
        assert!(error.to_string().starts_with(
            "expected three fractions above 0 that sum to 1, found train 0.9, validation 0.165"
        ));
    }

    #[test]
    fn bad_fractions_are_refused() {
        for (train, validation, test) in [
            (0.5, 0.5, 0.0),
            (0.5, 0.5, 0.5),
            (1.5, -0.25, -0.25),
            (f64::NAN, 0.5, 0.5),
            (f64::INFINITY, 0.5, 0.5),
        ] {
            let error = SplitFractions::new(train, validation, test).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "expected three fractions above 0 that sum to 1, found train {train}, \
                     validation {validation}, test {test}"
                )
            );
        }
    }

    #[test]
    fn a_class_too_rare_for_every_part_is_refused() {
        let fractions = SplitFractions::default();
        let error = |labels: &[u8]| {
            stratified_split(labels, &fractions, &mut generator(0, "split"))
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            error(&labels(100, 2)),
            "expected rows of class 1 in the validation part of the split, found none \
             (the table has 2 rows of that class)"
        );
        assert_eq!(
            error(&labels(0, 100)),
            "expected rows of class 0 in the train part of the split, found none \
             (the table has 0 rows of that class)"
        );
        assert_eq!(
            error(&[0, 1, 2]),
            "row 2: expected the label 0 or 1, found 2"
        );
    }
}
