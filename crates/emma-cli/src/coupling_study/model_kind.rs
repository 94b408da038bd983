//! The models that are compared.

use emma_attention::{CouplingExponent, CouplingForm};
use serde::{Deserialize, Serialize};

/// What stands before the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ModelKind {
    /// Nothing: the network alone, trained on the same rows.
    NoAttention,
    /// EMMA without shared energies, w_ij = 0.
    Uncoupled,
    /// The thesis's shared energies, γ_ij = γ_ji.
    Symmetric,
    /// The thesis's shared energies, γ_ij free.
    Free,
    /// Shared energies bilinear in log-energies.
    Bilinear,
    /// A self-attention layer over log-energies.
    SelfAttention,
}

impl ModelKind {
    pub(crate) const ALL: [Self; 6] = [
        Self::NoAttention,
        Self::Uncoupled,
        Self::Symmetric,
        Self::Free,
        Self::Bilinear,
        Self::SelfAttention,
    ];

    /// Name in files.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NoAttention => "no_attention",
            Self::Uncoupled => "uncoupled",
            Self::Symmetric => "symmetric",
            Self::Free => "free",
            Self::Bilinear => "bilinear",
            Self::SelfAttention => "self_attention",
        }
    }

    /// Name in tables and figures.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::NoAttention => "no attention",
            Self::Uncoupled => "uncoupled",
            Self::Symmetric => "thesis, symmetric",
            Self::Free => "thesis, free",
            Self::Bilinear => "bilinear",
            Self::SelfAttention => "self-attention",
        }
    }

    /// How EMMA is coupled in it, if it has EMMA.
    pub(crate) fn coupling(self) -> Option<(CouplingForm, CouplingExponent)> {
        let form = match self {
            Self::NoAttention => return None,
            Self::Uncoupled => CouplingForm::Uncoupled,
            Self::Symmetric => {
                return Some((CouplingForm::GeometricBlend, CouplingExponent::Symmetric));
            }
            Self::Free => CouplingForm::GeometricBlend,
            Self::Bilinear => CouplingForm::Bilinear,
            Self::SelfAttention => CouplingForm::SelfAttention,
        };
        Some((form, CouplingExponent::Free))
    }

    /// The model without what this one adds, if there is one to compare it with.
    pub(crate) fn reference(self) -> Option<Self> {
        (self != Self::Uncoupled).then_some(Self::Uncoupled)
    }
}
