//! Which modes of a row are suspect, at a chosen rate of false alarms.

use emma_attention::ModeMask;

use crate::calibration::Calibration;
use crate::error::{Error, Result};
use crate::statistics::holm;

/// Fewest clean rows that are a distribution.
const FEWEST_ROWS: usize = 2;

/// How often an ordinary row may be called suspect by mistake.
///
/// All rates are above 0 and below 1.
#[derive(Debug, Clone, PartialEq)]
pub enum FalseAlarms {
    /// Each mode of an ordinary row with at most this probability: `p_i ≤ a`.
    EachMode(f64),
    /// Each mode with a rate of its own, `[modes]`: `p_i ≤ a_i`.
    PerMode(Vec<f64>),
    /// Any of the M modes of an ordinary row with at most this probability, by Bonferroni: `M p_i ≤ a`.
    Bonferroni(f64),
    /// The same by Holm's step-down procedure, which calls suspect what Bonferroni does and more. The bound holds for the
    /// modes that are ordinary also where others are not.
    Holm(f64),
}

/// Calls modes of a row suspect by their conformal p-values, and masks them.
///
/// The p-value of mode i says how ordinary its potential `v_i` is among those of n clean rows:
///
/// `p_i = (1 + number of clean rows of at least v_i) / (n + 1)`
///
/// Ties count as at least, nothing is drawn, and thinned potentials only make it larger ([`Calibration`]): all of it
/// errs towards ordinary.
///
/// # Guarantee
/// For a row drawn as the clean rows were, the probability that a mode is called suspect is at most its rate, whatever
/// the distribution; with [`FalseAlarms::Bonferroni`] and [`FalseAlarms::Holm`] the probability that any is. It is
/// one over rows and calibrations: a single calibration's own rate scatters about it, with standard deviation
/// `√(a (1 − a) / n)` or so.
///
/// # Values that are no numbers
/// `+∞` is as outlying as can be and `−∞` as ordinary. NaN is a mode that is missing: it has no p-value (NaN), is not
/// suspect, and is left out of the mask.
///
/// # Source
/// V. Vovk, A. Gammerman and G. Shafer, "Algorithmic learning in a random world" (2005); S. Bates et al., "Testing for
/// outliers with conformal p-values" (2023). That such a row goes on without its suspect modes is ours.
///
/// ```
/// use emma_models::{Calibration, ConformalGate, FalseAlarms};
///
/// // Potentials of 199 clean rows: 0 to 1.98 in one mode, 0 in the other.
/// let clean: Vec<Vec<f32>> = (0..199).map(|row| vec![row as f32 / 100., 0.]).collect();
/// let calibration = Calibration::new(&["ip", "dm"], &clean)?;
/// let gate = ConformalGate::new(calibration, FalseAlarms::EachMode(0.01))?;
/// assert_eq!(gate.suspects(&[2.5, 0.])?, [true, false]);
/// // A row of each, for `Emma::forward_masked` or `TrainedModel::predict_masked`.
/// let mask = gate.mask(&[2.5, 0., 0.5, 0.])?;
/// assert_eq!(mask.rows().collect::<Vec<_>>(), [[false, true], [true, true]]);
/// # Ok::<(), emma_models::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ConformalGate {
    calibration: Calibration,
    false_alarms: FalseAlarms,
}

impl ConformalGate {
    /// From potentials of clean rows that the energies were not trained on.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for a rate that is not above 0 and below 1; [`Error::ModeCount`] for as many rates as there
    /// are not modes; [`Error::TooFewRows`] for fewer than two clean rows, or so few that nothing could ever be called
    /// suspect: the smallest p-value, `1 / (n + 1)`, has to reach the rate (of M modes together, its M-th part).
    pub fn new(calibration: Calibration, false_alarms: FalseAlarms) -> Result<Self> {
        let n_modes = calibration.n_modes();
        let (rates, n_shares) = match &false_alarms {
            FalseAlarms::EachMode(rate) => (vec![*rate], 1),
            FalseAlarms::PerMode(rates) if rates.len() == n_modes => (rates.clone(), 1),
            FalseAlarms::PerMode(rates) => {
                return Err(Error::ModeCount {
                    expected: n_modes,
                    found: rates.len(),
                });
            }
            FalseAlarms::Bonferroni(rate) | FalseAlarms::Holm(rate) => (vec![*rate], n_modes),
        };
        for rate in rates {
            if !(rate > 0. && rate < 1.) {
                return Err(Error::InvalidSetting {
                    name: "false-alarm rate",
                    expected: "above 0 and below 1",
                    found: rate.to_string(),
                });
            }
            // As the modes are compared, so that both round alike.
            let n_rows = calibration.n_rows();
            let reaches = n_shares as f64 * calibration.smallest_p_value() <= rate;
            if !reaches || n_rows < FEWEST_ROWS {
                #[expect(clippy::cast_sign_loss, reason = "a quotient of positive numbers")]
                let needed = (n_shares as f64 / rate).ceil() as usize;
                return Err(Error::TooFewRows {
                    what: "clean rows to call modes suspect by",
                    expected: needed.saturating_sub(1).max(FEWEST_ROWS),
                    found: n_rows,
                });
            }
        }
        Ok(Self {
            calibration,
            false_alarms,
        })
    }

    /// What it compares with.
    pub fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// How often it may err.
    pub fn false_alarms(&self) -> &FalseAlarms {
        &self.false_alarms
    }

    /// Conformal p-values of a row, before any adjustment; NaN for a mode that is missing.
    ///
    /// # Shapes
    /// - `potentials`: `[modes]`, NaN for a mode that is missing
    /// - returns `[modes]`
    ///
    /// # Errors
    /// [`Error::ModeCount`].
    pub fn p_values(&self, potentials: &[f32]) -> Result<Vec<f64>> {
        if potentials.len() != self.calibration.n_modes() {
            return Err(Error::ModeCount {
                expected: self.calibration.n_modes(),
                found: potentials.len(),
            });
        }
        let of_mode = |(mode, &potential)| self.calibration.p_value(mode, potential);
        Ok(potentials.iter().enumerate().map(of_mode).collect())
    }

    /// Which modes of a row are suspect.
    ///
    /// # Shapes
    /// - `potentials`: `[modes]`, NaN for a mode that is missing
    /// - returns `[modes]`
    ///
    /// # Errors
    /// [`Error::ModeCount`].
    pub fn suspects(&self, potentials: &[f32]) -> Result<Vec<bool>> {
        self.suspects_of(&self.p_values(potentials)?)
    }

    /// Which modes of rows are there and not suspect: what [`Emma::forward_masked`](emma_attention::Emma::forward_masked)
    /// and [`TrainedModel::predict_masked`](crate::TrainedModel::predict_masked) go on with.
    ///
    /// A row whose modes are all suspect keeps those of the largest p-value, since something has to answer; its total
    /// energy says how far to trust it ([`SelectivePrediction`](crate::SelectivePrediction)).
    ///
    /// # Shapes
    /// - `potentials`: `[rows, modes]`, row-major, NaN for a mode that is missing
    ///
    /// # Errors
    /// [`Error::Shape`] if `potentials` is no whole number of rows; an attention error for the first row of which all
    /// modes are missing.
    pub fn mask(&self, potentials: &[f32]) -> Result<ModeMask> {
        let n_modes = self.calibration.n_modes();
        if n_modes == 0 || !potentials.len().is_multiple_of(n_modes) {
            return Err(Error::Shape {
                what: "potentials".into(),
                expected: format!("a multiple of {n_modes} numbers"),
                found: vec![potentials.len()],
            });
        }
        let mut present = Vec::with_capacity(potentials.len());
        for row in potentials.chunks_exact(n_modes) {
            let p_values = self.p_values(row)?;
            let suspects = self.suspects_of(&p_values)?;
            let is_kept = |(p, suspect): (&f64, &bool)| !p.is_nan() && !suspect;
            let kept: Vec<bool> = p_values.iter().zip(&suspects).map(is_kept).collect();
            if kept.contains(&true) {
                present.extend(kept);
            } else {
                // NaN where all are missing, which nothing is at least.
                let largest = p_values.iter().copied().fold(f64::NAN, f64::max);
                present.extend(p_values.iter().map(|&p| p >= largest));
            }
        }
        Ok(ModeMask::new(present, n_modes)?)
    }

    /// Which modes are suspect, given their p-values.
    fn suspects_of(&self, p_values: &[f64]) -> Result<Vec<bool>> {
        // No comparison with NaN holds.
        Ok(match &self.false_alarms {
            FalseAlarms::EachMode(rate) => p_values.iter().map(|p| p <= rate).collect(),
            FalseAlarms::PerMode(rates) => {
                let of_mode = p_values.iter().zip(rates);
                of_mode.map(|(p, rate)| p <= rate).collect()
            }
            FalseAlarms::Bonferroni(rate) => {
                let n_modes = p_values.len() as f64;
                p_values.iter().map(|p| n_modes * p <= *rate).collect()
            }
            FalseAlarms::Holm(rate) => {
                // A missing mode counts as one that is ordinary, as it does for Bonferroni.
                let filled: Vec<f64> = p_values
                    .iter()
                    .map(|&p| if p.is_nan() { 1. } else { p })
                    .collect();
                holm(&filled)?.iter().map(|p| p <= rate).collect()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clean rows 0 to n − 1 in the first mode, −2 times that in the second.
    fn calibration(n_rows: usize) -> Calibration {
        let clean: Vec<Vec<f32>> = (0..n_rows)
            .map(|row| vec![row as f32, -2. * row as f32])
            .collect();
        Calibration::new(&["a", "b"], &clean).unwrap()
    }

    fn gate(n_rows: usize, false_alarms: FalseAlarms) -> ConformalGate {
        ConformalGate::new(calibration(n_rows), false_alarms).unwrap()
    }

    #[test]
    fn p_values_are_those_counted_by_hand() {
        let gate = gate(9, FalseAlarms::EachMode(0.2));
        // Of 0..9 in a: 8 alone is at least 8, and counts though it is equal. In b all are at least −16.
        assert_eq!(gate.p_values(&[8., -16.]).unwrap(), [0.2, 1.]);
        assert_eq!(gate.p_values(&[8.5, 0.5]).unwrap(), [0.1, 0.1]);
        // At the rate is suspect, above it is not.
        assert_eq!(gate.suspects(&[8., -16.]).unwrap(), [true, false]);
        assert_eq!(gate.suspects(&[7., 0.5]).unwrap(), [false, true]);
    }

    #[test]
    fn infinite_energies_are_extremes_and_nan_is_missing() {
        let gate = gate(9, FalseAlarms::EachMode(0.2));
        let (infinite, nan) = (f32::INFINITY, f32::NAN);
        assert_eq!(gate.p_values(&[infinite, -infinite]).unwrap(), [0.1, 1.]);
        assert!(gate.p_values(&[nan, 0.]).unwrap()[0].is_nan());
        assert_eq!(gate.suspects(&[nan, 1.]).unwrap(), [false, true]);
        // The one that is there answers, suspect or not.
        let mask = gate.mask(&[nan, 1., 0., -infinite]).unwrap();
        assert_eq!(
            mask.rows().collect::<Vec<_>>(),
            [[false, true], [true, true]]
        );
        assert_eq!(
            gate.mask(&[0., 0., nan, nan]).unwrap_err().to_string(),
            "expected at least one mode in row 1, got none"
        );
    }

    #[test]
    fn a_row_of_suspect_modes_keeps_the_least_suspect() {
        let gate = gate(9, FalseAlarms::EachMode(0.5));
        // p-values .2 and .1; and twice .1, which nothing tells apart.
        let mask = gate.mask(&[8., 1., 9., 1.]).unwrap();
        assert_eq!(
            mask.rows().collect::<Vec<_>>(),
            [[true, false], [true, true]]
        );
    }

    #[test]
    fn modes_together_are_judged_by_bonferroni_or_by_holm() {
        let row = [96., 1.];
        // p-values .04 and .01 among 99 rows.
        let suspects = |control| gate(99, control).suspects(&row).unwrap();
        assert_eq!(suspects(FalseAlarms::EachMode(0.04)), [true, true]);
        assert_eq!(suspects(FalseAlarms::Bonferroni(0.04)), [false, true]);
        assert_eq!(suspects(FalseAlarms::Bonferroni(0.08)), [true, true]);
        // 2 · .01 at most the rate, and then 1 · .04.
        assert_eq!(suspects(FalseAlarms::Holm(0.04)), [true, true]);
        assert_eq!(suspects(FalseAlarms::Holm(0.03)), [false, true]);
        let uneven = FalseAlarms::PerMode(vec![0.05, 0.01]);
        assert_eq!(suspects(uneven), [true, true]);
        let uneven = FalseAlarms::PerMode(vec![0.03, 0.01]);
        assert_eq!(suspects(uneven), [false, true]);
        // A missing mode makes the others no more suspect.
        let holm = gate(99, FalseAlarms::Holm(0.04));
        assert_eq!(holm.suspects(&[96., f32::NAN]).unwrap(), [false, false]);
    }

    #[test]
    fn gates_that_could_not_keep_their_word_are_refused() {
        let error = |n_rows: usize, control| {
            let gate = ConformalGate::new(calibration(n_rows), control);
            gate.unwrap_err().to_string()
        };
        for rate in [0., 1., -0.1, f64::NAN, f64::INFINITY] {
            for control in [
                FalseAlarms::EachMode(rate),
                FalseAlarms::PerMode(vec![0.5, rate]),
                FalseAlarms::Bonferroni(rate),
                FalseAlarms::Holm(rate),
            ] {
                assert_eq!(
                    error(99, control),
                    format!("false-alarm rate must be above 0 and below 1, got {rate}")
                );
            }
        }
        // No clean rows at all are no calibration.
        assert!(Calibration::new(&["a"], &[]).is_err());
        let few = |expected: usize, found: usize| {
            format!("expected at least {expected} clean rows to call modes suspect by, got {found}")
        };
        assert_eq!(error(1, FalseAlarms::EachMode(0.9)), few(2, 1));
        assert_eq!(error(98, FalseAlarms::EachMode(0.01)), few(99, 98));
        assert_eq!(error(99, FalseAlarms::Holm(0.01)), few(199, 99));
        assert_eq!(
            error(9, FalseAlarms::PerMode(vec![0.5])),
            "expected 2 modes, got 1"
        );
        gate(99, FalseAlarms::EachMode(0.01));
        gate(199, FalseAlarms::Bonferroni(0.01));
        let gate = gate(9, FalseAlarms::EachMode(0.5));
        assert_eq!(
            gate.p_values(&[1.]).unwrap_err().to_string(),
            "expected 2 modes, got 1"
        );
        assert_eq!(
            gate.mask(&[1.; 3]).unwrap_err().to_string(),
            "expected potentials of shape a multiple of 2 numbers, got [3]"
        );
    }
}
