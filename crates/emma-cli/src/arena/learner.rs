//! Who takes part.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::regime::Regime;

/// A learner.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
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
    /// Embedding components each from a mode drawn at random (Choi and Lee 2019).
    EmbraceNet,
    /// An expert a mode and one for all, mixed by a gate (Jacobs et al. 1991).
    MixtureOfExperts,
    /// Decisions weighed by confidence (QMF, Zhang et al. 2023).
    QualityAwareFusion,
    /// Decisions weighed by predicted confidence (PDF, Cao et al. 2024).
    PredictiveDynamicFusion,
    /// Opinions with their uncertainty, combined (TMC, Han et al. 2021).
    TrustedMultiView,
    /// Energies and repair by a joint density.
    EmmaPlus,
}

impl Learner {
    pub(crate) const ALL: [Self; 11] = [
        Self::Base,
        Self::Without,
        Self::ModeDropout,
        Self::Alternative,
        Self::Emma,
        Self::EmbraceNet,
        Self::MixtureOfExperts,
        Self::QualityAwareFusion,
        Self::PredictiveDynamicFusion,
        Self::TrustedMultiView,
        Self::EmmaPlus,
    ];

    /// Whether a regime has something for it to learn that no other learner has.
    pub(crate) fn takes_part(self, regime: Regime) -> bool {
        !(self == Self::Without && regime == Regime::Broad)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Without => "without",
            Self::ModeDropout => "mode_dropout",
            Self::Alternative => "alternative",
            Self::Emma => "emma",
            Self::EmbraceNet => "embrace_net",
            Self::MixtureOfExperts => "mixture_of_experts",
            Self::QualityAwareFusion => "quality_aware_fusion",
            Self::PredictiveDynamicFusion => "predictive_dynamic_fusion",
            Self::TrustedMultiView => "trusted_multi_view",
            Self::EmmaPlus => "emma_plus",
        }
    }
}
