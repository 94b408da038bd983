//! What learners see in training: few kinds of faults, or many.

use emma_data::{Augmentation, BroadShares, broad, narrow};
use serde::{Deserialize, Serialize};

use crate::experiment3::conditions::{BOTH, Condition, UNCORRUPTED};
use crate::failure::CommandResult;

/// Standard deviation of the noise of narrow training.
pub(crate) const NARROW_NOISE: f64 = 0.5;
/// Share of the rows of narrow training that lose a mode.
const DROPOUT: f64 = 0.2;
/// Largest standard deviation of the noise of broad training.
const BROAD_NOISE: f64 = 4.;
/// Rows without fault, and those that lack a mode, of broad training; of the rest, those of which all modes are noisy.
const BROAD_SHARES: BroadShares = BroadShares {
    clean: 0.2,
    missing: 0.12,
    all_modes: 0.3,
};
/// Levels of the noise of validation copies of broad training.
const BROAD_LEVELS: [f64; 6] = [0.25, 0.5, 1., 2., 3., 4.];

/// Faults that training knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Regime {
    /// Noise of 0.5 on one mode of half of the rows; a fifth of all rows lose a mode.
    Narrow,
    /// Noise up to 4 on one mode or all, and missing modes.
    Broad,
}

impl Regime {
    pub(crate) const ALL: [Self; 2] = [Self::Narrow, Self::Broad];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Narrow => "narrow",
            Self::Broad => "broad",
        }
    }

    /// What training rows go through, afresh in every epoch.
    pub(crate) fn augmentation(self, n_modes: usize) -> CommandResult<Box<dyn Augmentation>> {
        Ok(match self {
            Self::Narrow => narrow(n_modes, NARROW_NOISE, DROPOUT)?.boxed(),
            Self::Broad => broad(n_modes, BROAD_NOISE, &BROAD_SHARES)?.boxed(),
        })
    }

    /// Noise alone, as the thesis trains; for narrow training.
    pub(crate) fn noise_alone(n_modes: usize) -> CommandResult<Box<dyn Augmentation>> {
        Ok(narrow(n_modes, NARROW_NOISE, 0.)?.boxed())
    }

    /// The conditions of which each validation copy has one: those that training knows.
    pub(crate) fn validation_conditions(self, modes: &[String]) -> CommandResult<Vec<Condition>> {
        let known = |name: &str| {
            name == UNCORRUPTED
                || name.ends_with(":missing")
                || match (self, name.split_once(":noise:")) {
                    (Self::Narrow, Some((place, level))) => place != BOTH && level == "0.5",
                    (Self::Broad, Some((_, level))) => level.parse().is_ok_and(|level: f64| {
                        BROAD_LEVELS.iter().any(|own| own.total_cmp(&level).is_eq())
                    }),
                    (_, None) => false,
                }
        };
        let all = Condition::all(modes)?;
        Ok(all.into_iter().filter(|one| known(&one.name)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validation_knows_what_training_knows_and_nothing_else() {
        let modes = ["ip".to_owned(), "dm".to_owned()];
        let names = |regime: Regime| -> Vec<String> {
            let all = regime.validation_conditions(&modes).unwrap();
            all.into_iter().map(|one| one.name).collect()
        };
        assert_eq!(
            names(Regime::Narrow),
            [
                "uncorrupted",
                "ip:noise:0.5",
                "dm:noise:0.5",
                "ip:missing",
                "dm:missing"
            ]
        );
        let broad = names(Regime::Broad);
        assert_eq!(broad.len(), 21);
        assert!(
            !broad
                .iter()
                .any(|name| name.contains("swap") || name.contains("student"))
        );
    }
}
