//! Steps 2 to 4 as one module.

use candle_core::{DType, Tensor};
use candle_nn::{Init, VarBuilder};
use emma_energy::transfer;
use serde::{Deserialize, Serialize};

use crate::attention::AttentionScores;
use crate::constraints::{
    CouplingExponent, CouplingLimit, project_into, symmetric_part, symmetrize,
};
use crate::coupling::{CouplingForm, OtherCoupling};
use crate::error::{Error, Result};
use crate::gate::{Gate, Stages};
use crate::importance::{Coldness, LogImportance};
use crate::modal_energy::ModalEnergies;
use crate::mode_mask::ModeMask;
use crate::potential::PotentialEnergies;
use crate::self_energy::SelfEnergies;

/// Shape and ranges of an [`Emma`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmmaConfig {
    /// Number of modes M, at least 2. Default 2.
    pub n_modes: usize,
    /// Coldness ρ. Default 0.1.
    pub coldness: Coldness,
    /// Whether coupling exponents are tied. Default free.
    pub coupling_exponent: CouplingExponent,
    /// Bound of the coupling weights. Default `1/(M − 1)`.
    pub coupling_limit: CouplingLimit,
    /// What shared energies are made like. Default the thesis's; the only one that model files, fused operations and
    /// exports know.
    #[serde(skip_serializing_if = "CouplingForm::is_default")]
    pub coupling_form: CouplingForm,
    /// Lower bound that training keeps the self-energy weights w_i above. Positive; default
    /// 0.001. Since corrected potentials are at least e and biases at least 0, self-energies stay
    /// positive.
    pub minimum_self_weight: f64,
}

impl Default for EmmaConfig {
    fn default() -> Self {
        Self {
            n_modes: 2,
            coldness: Coldness::default(),
            coupling_exponent: CouplingExponent::default(),
            coupling_limit: CouplingLimit::default(),
            coupling_form: CouplingForm::default(),
            minimum_self_weight: 1e-3,
        }
    }
}

impl EmmaConfig {
    fn validate(&self) -> Result<()> {
        if self.n_modes < 2 {
            return Err(Error::TooFewModes {
                found: self.n_modes,
            });
        }
        // An upper bound too: a floor that f32 cannot hold would be infinite in the model.
        if !(1e-30..=1e30).contains(&self.minimum_self_weight) {
            return Err(Error::InvalidSetting {
                name: "minimum_self_weight",
                expected: "between 1e-30 and 1e30",
                found: self.minimum_self_weight,
            });
        }
        Ok(())
    }
}

/// Energy-based multi-modal attention: from potential energies to weighted modes.
///
/// corrected potential → self-energy → shared and modal energy → importance → attention. What
/// goes in are the modes and their potential energies, from any estimator; what comes out are the
/// modes, each multiplied by its attention, for any network to go on with.
///
/// # Parameters
/// Under the path of the `VarBuilder`, with first values: `self_weight` (1) and `self_bias` (0)
/// `[M]`; `coupling_weight` (uniform within its limit) and `coupling_exponent` (0.5) `[M, M]`;
/// `gain` (1) and `attention_bias` (0) `[1]`. Other [`CouplingForm`]s have parameters of their own in the place of the two
/// of coupling.
///
/// # Source
/// Thesis chapter 5.
#[derive(Debug, Clone)]
pub struct Emma {
    config: EmmaConfig,
    minimum_potential: Tensor,
    self_weight: Tensor,
    self_bias: Tensor,
    coupling_weight: Tensor,
    coupling_exponent: Tensor,
    other_coupling: Option<OtherCoupling>,
    gain: Tensor,
    attention_bias: Tensor,
}

/// What [`Emma::forward`] knows about a batch.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EmmaOutput {
    /// The modes, each multiplied by its attention; shapes as they came in.
    pub weighted_modes: Vec<Tensor>,
    /// Self-energies e_i, `[rows, modes]`.
    pub self_energies: SelfEnergies,
    /// Modal energies E_i, `[rows, modes]`.
    pub modal_energies: ModalEnergies,
    /// Logarithm of the importance α_i, `[rows, modes]`.
    pub log_importance: LogImportance,
    /// Attention β_i, `[rows, modes]`.
    pub attention: AttentionScores,
    /// Total energy, `[rows]`: the higher, the less to trust the prediction.
    pub total_energy: Tensor,
}

/// What a batch is computed with.
#[derive(Clone, Copy)]
enum Operations {
    /// Fused ones, where there are some.
    Fused,
    /// candle's.
    Candle,
}

impl Emma {
    /// Takes the parameters from `vb`, drawing them if it can.
    ///
    /// # Shapes
    /// - `minimum_potential`: `[modes]`, the lowest potential of each mode on clean training rows
    ///   (see `emma_energy::lowest_energy`); a constant that training does not touch
    ///
    /// # Errors
    /// [`Error::TooFewModes`], [`Error::InvalidSetting`], [`Error::ModeCountMismatch`] if
    /// `minimum_potential` has another length; candle's if a stored tensor does not fit.
    pub fn new(config: &EmmaConfig, minimum_potential: &Tensor, vb: &VarBuilder) -> Result<Self> {
        config.validate()?;
        let n_modes = config.n_modes;
        if minimum_potential.dims() != [n_modes] {
            return Err(Error::ModeCountMismatch {
                expected: n_modes,
                found: minimum_potential.elem_count(),
                what: "the minimum potentials",
            });
        }
        let limit = config.coupling_limit.bound(n_modes);
        let square = (n_modes, n_modes);
        let coupling = Init::Uniform {
            lo: -limit,
            up: limit,
        };
        let one = Init::Const(config.minimum_self_weight.max(1.));
        let self_weight = vb.get_with_hints(n_modes, "self_weight", one)?;
        let self_bias = vb.get_with_hints(n_modes, "self_bias", Init::Const(0.))?;
        let other_coupling = OtherCoupling::new(config.coupling_form, n_modes, limit, vb)?;
        let (coupling_weight, coupling_exponent) = if other_coupling.is_none() {
            (
                vb.get_with_hints(square, "coupling_weight", coupling)?,
                vb.get_with_hints(square, "coupling_exponent", Init::Const(0.5))?,
            )
        } else {
            // No parameters: the thesis's shared energies are zero here.
            let zeros = Tensor::zeros(square, vb.dtype(), vb.device())?;
            (zeros.clone(), zeros)
        };
        Ok(Self {
            config: *config,
            minimum_potential: transfer(&minimum_potential.detach(), vb.dtype(), vb.device())?,
            self_weight,
            self_bias,
            coupling_weight,
            coupling_exponent,
            other_coupling,
            gain: vb.get_with_hints(1, "gain", Init::Const(1.))?,
            attention_bias: vb.get_with_hints(1, "attention_bias", Init::Const(0.))?,
        })
    }

    /// Weighs modes by attention.
    ///
    /// On the CPU, in f32 and f64, one fused operation computes energies, importance and attention, and
    /// their gradients (by [`emma_kernels::gate`]): in memory that grows with the number of modes, not
    /// with its square. Elsewhere, and where types are mixed, candle's operations do
    /// ([`forward_by_candle`](Self::forward_by_candle)). Both agree to rounding, on infinities and NaN
    /// as well.
    ///
    /// # Shapes
    /// - `modes`: one `[rows, …]` tensor a mode
    /// - `potentials`: `[rows, modes]`, raw (Ψ, before eq. 5.2)
    ///
    /// # Errors
    /// [`Error::ModeCountMismatch`], [`Error::RowCountMismatch`], and candle's.
    ///
    /// # Source
    /// Thesis eqs. 5.2 to 5.7.
    pub fn forward(&self, modes: &[Tensor], potentials: &PotentialEnergies) -> Result<EmmaOutput> {
        self.run(modes, potentials, Operations::Fused)
    }

    /// The readable definition of [`forward`](Self::forward), for every device and type: the functions of
    /// this crate one after the other, in candle's operations. What the fused operation is tested against.
    ///
    /// # Shapes
    /// As [`forward`](Self::forward); holds `[rows, modes, modes]` numbers on the way.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    ///
    /// # Source
    /// Thesis eqs. 5.2 to 5.7.
    pub fn forward_by_candle(
        &self,
        modes: &[Tensor],
        potentials: &PotentialEnergies,
    ) -> Result<EmmaOutput> {
        self.run(modes, potentials, Operations::Candle)
    }

    /// Weighs modes by attention where some are missing, as if the missing ones had never been.
    ///
    /// With P the modes that are there in a row:
    ///
    /// `E_i = e_i + Σ_{j∈P, j≠i} e_ij`,
    /// `α_i = exp(−ρ E_i) / Σ_{k∈P} exp(−ρ E_k)`,
    /// `β_i = max(0, tanh(g_a α_i − b_a))` for i in P;
    ///
    /// for all other modes the energies are 0, the importance is 0 (its logarithm −∞), the attention is exactly 0 and the
    /// weighted mode is exactly 0. The total energy is that of the modes in P. What a missing mode and its potential hold
    /// does not matter, NaN included. If all modes are there, the bits are those of
    /// [`forward_by_candle`](Self::forward_by_candle).
    ///
    /// # Shapes
    /// As [`forward`](Self::forward); `mask`: `[rows, modes]`. Holds `[rows, modes, modes]` numbers on the way.
    ///
    /// # Errors
    /// As [`forward`](Self::forward); [`Error::ModeCountMismatch`] and [`Error::RowCountMismatch`] also if the mask does not
    /// fit the potentials.
    ///
    /// # Source
    /// Ours: eqs. 5.3 to 5.7 of the thesis over the modes that are there. The thesis has no missing modes.
    pub fn forward_masked(
        &self,
        modes: &[Tensor],
        potentials: &PotentialEnergies,
        mask: &ModeMask,
    ) -> Result<EmmaOutput> {
        self.check_modes(potentials.n_modes(), "the potential energies")?;
        self.check_modes(mask.n_modes(), "the mask")?;
        self.check_modes(modes.len(), "the modes to weigh")?;
        let energies = potentials.as_tensor();
        if mask.n_rows() != potentials.n_rows() {
            return Err(Error::RowCountMismatch {
                expected: mask.n_rows(),
                mode_index: 0,
                found: energies.dims().to_vec(),
            });
        }
        if mask.n_rows() == 0 {
            // candle refuses choices among no numbers.
            return self.forward_by_candle(modes, potentials);
        }
        let present = mask.tensor(energies.device())?;
        let exponent = self.coupling_exponent()?;
        let stages = self.gate(&exponent).forward_masked(potentials, &present)?;
        let modes = modes
            .iter()
            .enumerate()
            .map(|(mode_index, mode)| {
                if mode.dims().first() != Some(&mask.n_rows()) {
                    return Err(Error::RowCountMismatch {
                        expected: mask.n_rows(),
                        mode_index,
                        found: mode.dims().to_vec(),
                    });
                }
                let mut shape = vec![1; mode.rank()];
                shape[0] = mask.n_rows();
                let present = present.narrow(1, mode_index, 1)?.reshape(shape)?;
                let present = present.broadcast_as(mode.dims())?.contiguous()?;
                Ok(present.where_cond(mode, &mode.zeros_like()?)?)
            })
            .collect::<Result<Vec<_>>>()?;
        let weighted_modes = stages.attention.weigh_by_candle(&modes)?;
        Self::output(stages, weighted_modes)
    }

    fn check_modes(&self, found: usize, what: &'static str) -> Result<()> {
        if found == self.config.n_modes {
            return Ok(());
        }
        Err(Error::ModeCountMismatch {
            expected: self.config.n_modes,
            found,
            what,
        })
    }

    fn gate<'a>(&'a self, coupling_exponent: &'a Tensor) -> Gate<'a> {
        Gate {
            minimum_potential: &self.minimum_potential,
            self_weight: &self.self_weight,
            self_bias: &self.self_bias,
            coupling_weight: &self.coupling_weight,
            coupling_exponent,
            other_coupling: self.other_coupling.as_ref(),
            gain: &self.gain,
            attention_bias: &self.attention_bias,
            coldness: self.config.coldness,
        }
    }

    fn output(stages: Stages, weighted_modes: Vec<Tensor>) -> Result<EmmaOutput> {
        Ok(EmmaOutput {
            weighted_modes,
            total_energy: stages.modal_energies.total()?,
            self_energies: stages.self_energies,
            modal_energies: stages.modal_energies,
            log_importance: stages.log_importance,
            attention: stages.attention,
        })
    }

    fn run(
        &self,
        modes: &[Tensor],
        potentials: &PotentialEnergies,
        operations: Operations,
    ) -> Result<EmmaOutput> {
        self.check_modes(potentials.n_modes(), "the potential energies")?;
        let exponent = self.coupling_exponent()?;
        let gate = self.gate(&exponent);
        let stages = match operations {
            Operations::Fused => gate.forward(potentials)?,
            Operations::Candle => gate.forward_by_candle(potentials)?,
        };
        let weighted_modes = match operations {
            Operations::Fused => stages.attention.weigh(modes)?,
            Operations::Candle => stages.attention.weigh_by_candle(modes)?,
        };
        Self::output(stages, weighted_modes)
    }

    /// Puts all parameters back into their ranges; call it after every optimizer step.
    ///
    /// w_i at least [`EmmaConfig::minimum_self_weight`]; b_i at least 0; `|w_ij|` within
    /// [`EmmaConfig::coupling_limit`]; γ_ij and b_a within [0, 1]; g_a at least 0; symmetric γ if
    /// so configured. Parameters that are no variables (loaded for inference) stay as they are.
    ///
    /// # Errors
    /// Only candle's own.
    ///
    /// # Source
    /// Thesis eqs. 5.3, 5.4 and 5.7.
    pub fn project(&self) -> Result<()> {
        let limit = self.config.coupling_limit.bound(self.config.n_modes);
        let highest = f64::from(f32::MAX);
        let lowest_weight = self.config.minimum_self_weight;
        project_into(&self.self_weight, lowest_weight, highest)?;
        project_into(&self.self_bias, 0., highest)?;
        project_into(&self.coupling_weight, -limit, limit)?;
        if let Some(coupling) = &self.other_coupling {
            coupling.project(limit)?;
        }
        if self.config.coupling_exponent == CouplingExponent::Symmetric {
            symmetrize(&self.coupling_exponent)?;
        }
        project_into(&self.coupling_exponent, 0., 1.)?;
        project_into(&self.gain, 0., highest)?;
        project_into(&self.attention_bias, 0., 1.)
    }

    /// The configuration it was built with.
    pub fn config(&self) -> &EmmaConfig {
        &self.config
    }

    /// All parameters as they are stored: self-energy weights and biases, coupling weights and exponents,
    /// gain, attention bias. With another [`CouplingForm`] than the thesis's those of coupling are zeros, and its own are not
    /// among them.
    pub fn parameters(&self) -> [&Tensor; 6] {
        [
            &self.self_weight,
            &self.self_bias,
            &self.coupling_weight,
            &self.coupling_exponent,
            &self.gain,
            &self.attention_bias,
        ]
    }

    /// Self-energy weights w_i, `[modes]`.
    pub fn self_weight(&self) -> &Tensor {
        &self.self_weight
    }

    /// Self-energy biases b_i, `[modes]`.
    pub fn self_bias(&self) -> &Tensor {
        &self.self_bias
    }

    /// Coupling weights w_ij, `[modes, modes]`; the diagonal means nothing.
    pub fn coupling_weight(&self) -> &Tensor {
        &self.coupling_weight
    }

    /// Coupling exponents γ_ij as they are applied, `[modes, modes]`: symmetric if so configured. The
    /// diagonal means nothing.
    ///
    /// # Errors
    /// Only candle's own.
    pub fn coupling_exponent(&self) -> Result<Tensor> {
        match self.config.coupling_exponent {
            CouplingExponent::Free => Ok(self.coupling_exponent.clone()),
            CouplingExponent::Symmetric => symmetric_part(&self.coupling_exponent),
        }
    }

    /// Gain g_a, `[1]`.
    pub fn gain(&self) -> &Tensor {
        &self.gain
    }

    /// Attention bias b_a, `[1]`.
    pub fn attention_bias(&self) -> &Tensor {
        &self.attention_bias
    }

    /// Lowest potential of each mode on clean training rows, `[modes]`.
    pub fn minimum_potential(&self) -> &Tensor {
        &self.minimum_potential
    }

    /// The type its parameters have.
    pub fn dtype(&self) -> DType {
        self.gain.dtype()
    }
}
