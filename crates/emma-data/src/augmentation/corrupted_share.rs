//! A named corruption of some of the rows.

use rand::{Rng, RngCore};

use super::{Augmentation, AugmentedModes, probability};
use crate::corruption::{Corruption, ModeCorruption};
use crate::error::{Error, Result};

/// A corruption of one mode, such as `ip:spikes:0.1`, in a share of the rows, each drawn independently.
///
/// A row that lacks the mode stays as it is. So does a row that alone is to `swap` its values, which at
/// times is drawn from few rows. `stuck`, `adversarial_mean` and `drift` look at all rows, whether they are
/// corrupted or not, in the state that earlier augmentations left them in.
///
/// # Order of draws
/// One number a row, in the order of the rows, then those of
/// [`CorruptedModes`](crate::CorruptedModes#order-of-draws).
#[derive(Debug, Clone, PartialEq)]
pub struct CorruptedShare {
    fault: ModeCorruption,
    mode_index: usize,
    share: f64,
    labels: Option<Vec<u8>>,
}

impl CorruptedShare {
    /// A corruption of one of the modes with these names, in order.
    ///
    /// # Errors
    /// [`Error::UnknownMode`] and [`Error::NoModes`] as [`ModeCorruption::mode_index`];
    /// [`Error::Probability`] for a share outside `[0, 1]` or NaN.
    pub fn new<S: AsRef<str>>(fault: &ModeCorruption, modes: &[S], share: f64) -> Result<Self> {
        Ok(Self {
            mode_index: fault.mode_index(modes)?,
            fault: fault.clone(),
            share: probability("the share of corrupted rows", share)?,
            labels: None,
        })
    }

    /// The same with the classes of all rows, which `adversarial_mean` needs.
    ///
    /// # Shapes
    /// - `labels`: `[rows]`, 0 or 1; checked when rows are augmented
    #[must_use]
    pub fn with_labels(mut self, labels: Vec<u8>) -> Self {
        self.labels = Some(labels);
        self
    }
}

impl Augmentation for CorruptedShare {
    /// # Errors
    /// [`Error::ModeIndex`] if there are fewer modes than there were names; [`Error::CorruptionFailed`] around
    /// those of [`CorruptedModes::then`](crate::CorruptedModes::then) and of wrong labels.
    fn augment(
        &self,
        modes: &mut AugmentedModes,
        rows: &[usize],
        rng: &mut dyn RngCore,
    ) -> Result<()> {
        let (mode_index, n_modes) = (self.mode_index, modes.n_modes());
        if mode_index >= n_modes {
            return Err(Error::ModeIndex {
                mode_index,
                n_modes,
            });
        }
        let drawn = rows.iter().filter(|_| rng.random::<f64>() < self.share);
        let drawn: Vec<usize> = drawn.copied().collect();
        let there = |&row: &usize| modes.missing().get([row, mode_index]) == Some(&false);
        let corrupted: Vec<usize> = drawn.into_iter().filter(there).collect();
        let corruption = self.fault.corruption();
        let too_few = usize::from(*corruption == Corruption::Swap);
        if corrupted.len() <= too_few {
            return Ok(());
        }
        modes
            .corrupt(
                mode_index,
                &corrupted,
                corruption,
                self.labels.as_deref(),
                rng,
            )
            .map_err(|source| Error::CorruptionFailed {
                corruption: self.fault.to_string(),
                source: Box::new(source),
            })
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::CorruptedShare;
    use crate::{Augmentation, AugmentedModes, Corruption, augment, generator};

    fn share(text: &str, share: f64) -> CorruptedShare {
        CorruptedShare::new(&text.parse().unwrap(), &["ip", "dm"], share).unwrap()
    }

    #[test]
    fn every_kind_can_be_done() {
        let modes = [
            array![[1.0_f32, 9.0], [2.0, 8.0], [3.0, 7.0]],
            array![[5.0], [f32::NAN], [6.0]],
        ];
        for kind in Corruption::KINDS {
            let fault = format!("dm:{}", kind.example);
            let augmentation = share(&fault, 1.0).with_labels(vec![0, 1, 1]);
            let augmented = augment(&modes, &augmentation, &mut generator(1, "faults")).unwrap();
            assert_eq!(augmented.modes()[0], modes[0], "{fault}");
            assert!(augmented.modes()[1][[1, 0]].is_nan(), "{fault}");
            assert_eq!(
                augmented.record().flags(),
                array![[false, true], [false, false], [false, true]],
                "{fault}"
            );
            let is_missing = kind.name == "missing";
            assert_eq!(
                augmented.missing(),
                array![[false, is_missing], [false, true], [false, is_missing]],
                "{fault}"
            );
        }
    }

    #[test]
    fn a_single_row_swaps_with_nobody() {
        let modes = [array![[1.0_f32]], array![[2.0]]];
        let rng = &mut generator(1, "faults");
        let augmented = augment(&modes, &share("dm:swap", 1.0), rng).unwrap();
        assert_eq!(augmented.modes(), modes);
        assert!(!augmented.record().flags()[[0, 1]]);
    }

    #[test]
    fn rows_that_were_not_given_stay() {
        let modes = [array![[1.0_f32], [2.0], [3.0]], array![[0.0], [0.0], [0.0]]];
        let mut augmented = AugmentedModes::of(&modes).unwrap();
        let rng = &mut generator(1, "faults");
        let fault = share("ip:offset:1", 1.0);
        fault.augment(&mut augmented, &[0, 2], rng).unwrap();
        assert_eq!(augmented.modes()[0], array![[2.0], [2.0], [4.0]]);
    }

    #[test]
    fn what_cannot_be_done_is_said_with_its_fault() {
        let modes = [array![[1.0_f32]], array![[2.0]]];
        let rng = &mut generator(1, "faults");
        let fault = share("dm:adversarial_mean", 1.0);
        let error = augment(&modes, &fault, rng).unwrap_err();
        assert!(error.to_string().starts_with("dm:adversarial_mean"));
        let error = augment(&modes[..1], &share("dm:missing", 0.5), rng).unwrap_err();
        assert_eq!(error.to_string(), "expected a mode index below 1, found 1");
        let fault = "dm:missing".parse().unwrap();
        assert!(CorruptedShare::new(&fault, &["ip"], 0.5).is_err());
        for share in [-0.5, 1.5, f64::NAN] {
            let error = CorruptedShare::new(&fault, &["dm"], share).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("expected the share of corrupted rows between 0 and 1, found {share}")
            );
        }
    }
}
