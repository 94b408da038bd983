//! Who takes part.

use serde::{Deserialize, Serialize};

/// A learner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Learner {
    /// A perceptron that has seen clean rows only.
    Base,
    /// The same on the thesis's noise, without missing modes. In broad training there is no such thing.
    Without,
    /// The same on all that the regime has: noise and missing modes.
    ModeDropout,
    /// A softmax over the modes, without energies (Shon et al. 2018).
    Alternative,
    /// EMMA as in the thesis.
    Emma,
    /// Energies and repair by a joint density.
    EmmaPlus,
}

impl Learner {
    pub(crate) const ALL: [Self; 6] = [
        Self::Base,
        Self::Without,
        Self::ModeDropout,
        Self::Alternative,
        Self::Emma,
        Self::EmmaPlus,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Without => "without",
            Self::ModeDropout => "mode_dropout",
            Self::Alternative => "alternative",
            Self::Emma => "emma",
            Self::EmmaPlus => "emma_plus",
        }
    }
}
