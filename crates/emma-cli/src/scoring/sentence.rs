//! One sentence about a row: what is suspect in it, and what the prediction rests on.

use std::fmt::Write as _;

use emma_models::{Calibration, ModelMetadata};

use crate::text::thousands;

/// A mode is called suspect where its conformal p-value is below this, unless another limit is asked for: of a hundred
/// clean rows, at most one is.
pub(crate) const SUSPECT: f64 = 0.01;

/// Says of rows why they are scored as they are.
pub(crate) struct Sentences {
    modes: Vec<String>,
    calibration: Option<Calibration>,
    suspect: f64,
}

impl Sentences {
    /// For the modes of a model; without a calibration nothing is called suspect.
    pub(crate) fn new(
        model: &ModelMetadata,
        calibration: Option<Calibration>,
        suspect: f64,
    ) -> Self {
        Self {
            modes: model.modes.iter().map(|mode| mode.name.clone()).collect(),
            calibration,
            suspect,
        }
    }

    /// The sentence of a row; the potential of a missing mode is NaN.
    ///
    /// # Shapes
    /// - `potential`, `attention`: `[modes]`
    pub(crate) fn of(&self, potential: &[f32], attention: &[f32]) -> String {
        let mut parts = Vec::new();
        for (index, (mode, &energy)) in self.modes.iter().zip(potential).enumerate() {
            if energy.is_nan() {
                parts.push(format!("{mode} missing"));
            } else if let Some(calibration) = &self.calibration
                && calibration.p_value(index, energy) < self.suspect
            {
                parts.push(format!(
                    "{mode} suspect: potential {}, beyond {} clean rows",
                    short(energy),
                    share(calibration, index, energy)
                ));
            }
        }
        if parts.is_empty() && self.calibration.is_some() {
            parts.push("no mode suspect".to_owned());
        }
        parts.push(self.carrier(attention));
        if self.calibration.is_none() {
            let mut potentials = String::from("potential");
            for (mode, &energy) in self.modes.iter().zip(potential) {
                if !energy.is_nan() {
                    let comma = if potentials.ends_with("potential") {
                        ""
                    } else {
                        ","
                    };
                    let _ = write!(potentials, "{comma} {mode} {}", short(energy));
                }
            }
            parts.push(potentials);
        }
        parts.join("; ")
    }

    /// Which mode has the largest share of the attention.
    fn carrier(&self, attention: &[f32]) -> String {
        let sum: f64 = attention.iter().copied().map(f64::from).sum();
        let mut largest: Option<(&String, f32)> = None;
        for (mode, &attention) in self.modes.iter().zip(attention) {
            if largest.is_none_or(|(_, most)| attention > most) {
                largest = Some((mode, attention));
            }
        }
        match largest {
            Some((mode, attention)) if attention > 0. => {
                format!(
                    "{mode} carries {:.2} of the attention",
                    f64::from(attention) / sum
                )
            }
            _ => "no mode gets attention".to_owned(),
        }
    }
}

/// The share of clean rows that lie below, rounded down so that only all is all.
fn share(calibration: &Calibration, mode: usize, energy: f32) -> String {
    let share = calibration.share_below(mode, energy);
    if share >= 1. {
        return format!("all {}", thousands(calibration.n_rows()));
    }
    format!("{:.2} % of", (share * 10_000.).floor() / 100.)
}

/// Three significant digits, or all those before the point.
fn short(value: f32) -> String {
    match value.abs() {
        size if size >= 1e7 => format!("{value:.2e}"),
        size if size >= 100. => format!("{value:.0}"),
        size if size >= 10. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentences(n_clean: usize) -> Sentences {
        let clean: Vec<Vec<f32>> = (0..n_clean)
            .map(|row| vec![row as f32 / 100., -(row as f32) / 100.])
            .collect();
        let modes = ["ip", "dm"];
        Sentences {
            modes: modes.map(str::to_owned).into(),
            calibration: (n_clean > 0).then(|| Calibration::new(&modes, &clean).unwrap()),
            suspect: SUSPECT,
        }
    }

    #[test]
    fn a_suspect_mode_is_named_with_the_share_of_clean_rows_below_it() {
        let sentences = sentences(2000);
        assert_eq!(
            sentences.of(&[3., -0.0006], &[0.91, 0.09]),
            "dm suspect: potential -0.00, beyond 99.95 % of clean rows; ip carries 0.91 of the attention"
        );
        assert_eq!(
            sentences.of(&[3e9, 1234.], &[0., 0.]),
            "ip suspect: potential 3.00e9, beyond all 2,000 clean rows; \
             dm suspect: potential 1234, beyond all 2,000 clean rows; no mode gets attention"
        );
    }

    #[test]
    fn where_nothing_is_suspect_it_says_what_carries_the_attention() {
        assert_eq!(
            sentences(2000).of(&[3., -3.], &[0.3, 0.7]),
            "no mode suspect; dm carries 0.70 of the attention"
        );
        assert_eq!(
            sentences(2000).of(&[3., f32::NAN], &[0.5, 0.]),
            "dm missing; ip carries 1.00 of the attention"
        );
    }

    /// Suspect is what has a p-value below the limit, not at it.
    #[test]
    fn a_mode_becomes_suspect_below_the_limit() {
        let sentences = sentences(999);
        // 10 of 1,000: exactly the limit.
        let at = |rank: usize| sentences.of(&[rank as f32 / 100., -5.], &[1., 0.]);
        assert!(at(990).starts_with("no mode suspect"), "{}", at(990));
        assert!(
            at(991).starts_with("ip suspect: potential 9.91, beyond 99.19 %"),
            "{}",
            at(991)
        );
    }

    #[test]
    fn without_a_calibration_potentials_are_told_and_nothing_is_suspect() {
        assert_eq!(
            sentences(0).of(&[1.234, 56.78], &[0.91, 0.09]),
            "ip carries 0.91 of the attention; potential ip 1.23, dm 56.8"
        );
        assert_eq!(
            sentences(0).of(&[f32::NAN, 56.78], &[0., 0.09]),
            "ip missing; dm carries 1.00 of the attention; potential dm 56.8"
        );
    }
}
