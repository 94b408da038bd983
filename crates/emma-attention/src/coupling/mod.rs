//! Other forms that shared energies can have than the thesis's, to be compared with it.

mod bilinear;
mod self_attention;

use candle_core::{DType, Tensor};
use candle_nn::{Init, VarBuilder};
use serde::{Deserialize, Serialize};

pub use bilinear::bilinear_energies;
pub use self_attention::{HEAD_WIDTH, SelfAttention, self_attention_energies};

use crate::constraints::project_into;
use crate::error::Result;
use crate::self_energy::SelfEnergies;

/// How the energy that one mode shares with another is made of both.
///
/// Model files hold the thesis's form alone; the others are there to be measured (`emma coupling-study`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CouplingForm {
    /// `w_ij e_i^γ_ij e_j^(1 − γ_ij)`, the thesis's ([`shared_energies`](crate::shared_energies)); 2 M (M − 1) parameters.
    #[default]
    GeometricBlend,
    /// None: `E_i = e_i`; no parameters.
    Uncoupled,
    /// Bilinear in log-energies ([`bilinear_energies`]); M (M − 1) + 4 parameters.
    Bilinear,
    /// A self-attention layer over log-energies ([`self_attention_energies`]); `(2 D + 1)(M + 1)` parameters for heads of
    /// width D.
    SelfAttention,
}

impl CouplingForm {
    // By reference, as serde asks for it.
    #[allow(clippy::trivially_copy_pass_by_ref)]
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A form of coupling that is not the thesis's, with its parameters.
#[derive(Debug, Clone)]
pub(crate) enum OtherCoupling {
    Uncoupled,
    Bilinear { weight: Tensor, form: Tensor },
    SelfAttention(SelfAttention),
}

impl OtherCoupling {
    /// Takes the parameters from `vb`, drawing them if it can; none for the thesis's form.
    pub(crate) fn new(
        form: CouplingForm,
        n_modes: usize,
        limit: f64,
        vb: &VarBuilder,
    ) -> Result<Option<Self>> {
        Ok(match form {
            CouplingForm::GeometricBlend => None,
            CouplingForm::Uncoupled => Some(Self::Uncoupled),
            CouplingForm::Bilinear => {
                let within = Init::Uniform {
                    lo: -limit,
                    up: limit,
                };
                Some(Self::Bilinear {
                    weight: vb.get_with_hints((n_modes, n_modes), "coupling_weight", within)?,
                    form: vb.get_with_hints((2, 2), "bilinear_form", Init::Const(0.5))?,
                })
            }
            CouplingForm::SelfAttention => {
                Some(Self::SelfAttention(SelfAttention::new(n_modes, vb)?))
            }
        })
    }

    /// Shared energies, `[rows, modes, modes]`; with a mask `[rows, modes]` of unsigned bytes, those of modes that
    /// are there alone matter, and what others are said to share is to be dropped.
    pub(crate) fn shared_energies(
        &self,
        self_energies: &SelfEnergies,
        present: Option<&Tensor>,
    ) -> Result<Tensor> {
        match self {
            Self::Uncoupled => {
                let (n_rows, n_modes) = self_energies.as_tensor().dims2()?;
                let tensor = self_energies.as_tensor();
                let (dtype, device): (DType, _) = (tensor.dtype(), tensor.device());
                Ok(Tensor::zeros((n_rows, n_modes, n_modes), dtype, device)?)
            }
            Self::Bilinear { weight, form } => bilinear_energies(self_energies, weight, form),
            Self::SelfAttention(layer) => layer.energies(self_energies, present),
        }
    }

    /// Puts coupling weights back into their range.
    pub(crate) fn project(&self, limit: f64) -> Result<()> {
        match self {
            Self::Bilinear { weight, .. } => project_into(weight, -limit, limit),
            Self::Uncoupled | Self::SelfAttention(_) => Ok(()),
        }
    }
}
