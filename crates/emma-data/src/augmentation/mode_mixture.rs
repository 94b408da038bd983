//! Rows shared out among several augmentations.

use rand::{Rng, RngCore};

use super::{Augmentation, AugmentedModes, probability};
use crate::error::{Error, Result};

/// Each row takes exactly one of several branches, independently of the others.
///
/// What the probabilities leave of 1 is the share of the rows that stay as they are.
///
/// # Order of draws
/// One number a row, in the order of the rows; then the branches in their order, each for its rows.
#[derive(Debug)]
pub struct ModeMixture {
    branches: Vec<(f64, Box<dyn Augmentation>)>,
}

impl ModeMixture {
    /// Branches with their probabilities.
    ///
    /// # Errors
    /// [`Error::Probability`] for one outside `[0, 1]` or NaN; [`Error::ProbabilitySum`] if they add up to
    /// more than 1 and what rounding explains.
    pub fn new(branches: Vec<(f64, Box<dyn Augmentation>)>) -> Result<Self> {
        for &(share, _) in &branches {
            probability("the probability of a branch", share)?;
        }
        let found: f64 = branches.iter().map(|&(share, _)| share).sum();
        // Each addition errs by half a unit in the last place of a sum of about 1.
        let rounding = branches.len() as f64 * f64::EPSILON;
        if found > 1.0 + rounding {
            return Err(Error::ProbabilitySum { found });
        }
        Ok(Self { branches })
    }
}

impl Augmentation for ModeMixture {
    fn augment(
        &self,
        modes: &mut AugmentedModes,
        rows: &[usize],
        rng: &mut dyn RngCore,
    ) -> Result<()> {
        let mut rows_of_branch = vec![Vec::new(); self.branches.len()];
        for &row in rows {
            let mut rest = rng.random::<f64>();
            for ((share, _), rows) in self.branches.iter().zip(&mut rows_of_branch) {
                if rest < *share {
                    rows.push(row);
                    break;
                }
                rest -= share;
            }
        }
        for ((_, branch), rows) in self.branches.iter().zip(&rows_of_branch) {
            branch.augment(modes, rows, rng)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::ModeMixture;
    use crate::{Augmentation, Unchanged};

    fn message(shares: &[f64]) -> String {
        let branches = shares.iter().map(|&share| (share, Unchanged.boxed()));
        ModeMixture::new(branches.collect())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn what_are_no_probabilities_is_refused() {
        for share in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert_eq!(
                message(&[0.2, share]),
                format!("expected the probability of a branch between 0 and 1, found {share}")
            );
        }
        assert_eq!(
            message(&[0.5, 0.75]),
            "expected probabilities of branches that add up to at most 1, found 1.25"
        );
    }

    #[test]
    fn ten_tenths_are_one() {
        for n_branches in [3_u32, 10, 11, 49] {
            let share = 1.0 / f64::from(n_branches);
            let branches = (0..n_branches).map(|_| (share, Unchanged.boxed()));
            assert!(ModeMixture::new(branches.collect()).is_ok());
        }
    }
}
