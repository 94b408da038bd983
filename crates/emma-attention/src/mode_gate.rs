//! A gate whose every mode has a coldness, a gain and a bias of its own.

use candle_core::{D, DType, Tensor, Var};
use candle_nn::{Init, VarBuilder};
use serde::{Deserialize, Serialize};

use crate::constraints::project_into;
use crate::error::{Error, Result};
use crate::rectify::rectify;

/// What a mode's importance is multiplied by, besides its gain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GainScale {
    /// The number of modes: equal importances, `1/M`, then give the same attention at any M.
    #[default]
    Modes,
    /// 1, as in the thesis: with many modes all attention is near 0.
    One,
}

/// Settings of a [`ModeGate`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModeGateConfig {
    /// Number of modes, M. Default 2; at least 1.
    pub n_modes: usize,
    /// First coldness of every mode. Default 2; positive.
    pub coldness: f64,
    /// Scale of the gains.
    pub gain_scale: GainScale,
}

impl Default for ModeGateConfig {
    fn default() -> Self {
        Self {
            n_modes: 2,
            coldness: 2.,
            gain_scale: GainScale::default(),
        }
    }
}

/// Steps 3 and 4 with parameters for each mode, for energies on one scale.
///
/// `α_i = exp(−τ_i e_i) / Σ_j exp(−τ_j e_j)` over the modes that are open, and
/// `a_i = max(0, tanh(g_i s α_i − b_i))`, with coldness τ_i = f exp(θ_i), gain g_i and bias b_i of the
/// mode and s the [scale](GainScale). A mode that is closed has attention 0 exactly, and no part in the
/// sum; so has a missing one, and one whose energy is beyond what training has seen.
///
/// f is the factor of [annealing](ColdnessAnnealing), 1 without. It is kept among the parameters, so
/// that the parameters of an epoch are taken up with the factor they were learned under, but no
/// optimizer moves it.
///
/// # Parameters
/// Under the path of the `VarBuilder`: `log_coldness` θ, `gain`, `bias` `[M]` and `coldness_factor` `[1]`.
///
/// # Units
/// Coldness in inverse units of the energies; all else dimensionless.
///
/// # Source
/// Thesis sections 5.4, 5.5 and 8.3.
/// Deviation: there one coldness, gain and bias serve all modes, and the coldness is not learned.
#[derive(Debug, Clone)]
pub struct ModeGate {
    config: ModeGateConfig,
    log_coldness: Tensor,
    gain: Tensor,
    bias: Tensor,
    coldness_factor: Tensor,
}

impl ModeGate {
    /// Takes the parameters from `vb`: fresh gains are 1, biases 0.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`]; candle's if a stored tensor does not fit.
    pub fn new(config: &ModeGateConfig, vb: &VarBuilder) -> Result<Self> {
        if config.n_modes == 0 {
            return Err(Error::TooFewModes { found: 0 });
        }
        if !(1e-30..=1e30).contains(&config.coldness) {
            return Err(Error::InvalidSetting {
                name: "coldness",
                expected: "between 1e-30 and 1e30",
                found: config.coldness,
            });
        }
        let n_modes = config.n_modes;
        let constant =
            |name: &str, n: usize, value: f64| vb.get_with_hints(n, name, Init::Const(value));
        Ok(Self {
            config: *config,
            log_coldness: constant("log_coldness", n_modes, config.coldness.ln())?,
            gain: constant("gain", n_modes, 1.)?,
            bias: constant("bias", n_modes, 0.)?,
            coldness_factor: constant("coldness_factor", 1, 1.)?,
        })
    }

    /// Its settings.
    pub fn config(&self) -> &ModeGateConfig {
        &self.config
    }

    /// Attention of every mode.
    ///
    /// # Shapes
    /// - `energies`: `[n, M]`, finite where open
    /// - `open`: `[n, M]`, unsigned bytes; 0 closes a mode
    /// - returns `[n, M]`, in [0, 1)
    ///
    /// # Errors
    /// [`Error::ModeCountMismatch`]; candle's if shapes differ.
    pub fn attention(&self, energies: &Tensor, open: &Tensor) -> Result<Tensor> {
        let importance = self.importance(energies, open)?;
        let scale = match self.config.gain_scale {
            GainScale::Modes => self.config.n_modes as f64,
            GainScale::One => 1.,
        };
        let argument =
            (importance.broadcast_mul(&self.gain)? * scale)?.broadcast_sub(&self.bias)?;
        let attention = rectify(&argument.tanh()?)?;
        let zero = attention.zeros_like()?;
        Ok(open.where_cond(&attention, &zero)?)
    }

    /// Importance of every mode: a row sums to one over its open modes, if it has any.
    ///
    /// # Shapes
    /// As [`attention`](Self::attention).
    ///
    /// # Errors
    /// As [`attention`](Self::attention).
    pub fn importance(&self, energies: &Tensor, open: &Tensor) -> Result<Tensor> {
        let (n_rows, n_modes) = energies.dims2()?;
        if n_modes != self.config.n_modes {
            return Err(Error::ModeCountMismatch {
                expected: self.config.n_modes,
                found: n_modes,
                what: "the energies",
            });
        }
        if n_rows == 0 {
            // candle refuses choices among no numbers.
            return Ok(energies.zeros_like()?);
        }
        let zero = energies.zeros_like()?;
        // What a closed mode holds, infinity or no number, must not reach the sum.
        let energies = open.where_cond(energies, &zero)?;
        let coldness = self
            .log_coldness
            .exp()?
            .broadcast_mul(&self.coldness_factor.detach())?;
        let exponents = energies.broadcast_mul(&coldness)?.neg()?;
        let closed = zero.affine(0., -1e30)?;
        let exponents = open.where_cond(&exponents, &closed)?;
        let highest = exponents.detach().max_keepdim(D::Minus1)?;
        let weights = exponents.broadcast_sub(&highest)?.exp()?;
        let weights = open.where_cond(&weights, &zero)?;
        // A row without an open mode has no weights at all: 0 of 1.
        let sum = weights.sum_keepdim(D::Minus1)?;
        let none = sum.eq(0.)?;
        let sum = none.where_cond(&sum.ones_like()?, &sum)?;
        Ok(weights.broadcast_div(&sum)?)
    }

    /// Coldness τ of every mode, `[M]`.
    ///
    /// # Errors
    /// Only candle's own.
    pub fn coldness(&self) -> Result<Tensor> {
        let coldness = self.log_coldness.exp()?;
        Ok(coldness.broadcast_mul(&self.coldness_factor)?)
    }

    /// Gain of every mode, `[M]`.
    pub fn gain(&self) -> &Tensor {
        &self.gain
    }

    /// Bias of every mode, `[M]`.
    pub fn bias(&self) -> &Tensor {
        &self.bias
    }

    /// Sets the factor of annealing, if the parameters are variables.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for a factor that is not from 0 to 1.
    pub fn set_coldness_factor(&self, factor: f64) -> Result<()> {
        if !(0. ..=1.).contains(&factor) {
            return Err(Error::InvalidSetting {
                name: "coldness_factor",
                expected: "from 0 to 1",
                found: factor,
            });
        }
        if self.coldness_factor.is_variable() {
            let var = Var::from_tensor(&self.coldness_factor)?;
            var.set(&var.as_detached_tensor().affine(0., factor)?)?;
        }
        Ok(())
    }

    /// Puts parameters back into their ranges, after an optimizer step: gains at least 0, biases from 0 to
    /// 1, logarithms of coldness from −20 to 20.
    ///
    /// # Errors
    /// Only candle's own.
    pub fn project(&self) -> Result<()> {
        project_into(&self.log_coldness, -20., 20.)?;
        project_into(&self.gain, 0., f64::from(f32::MAX))?;
        project_into(&self.bias, 0., 1.)
    }

    /// Type of its parameters.
    pub fn dtype(&self) -> DType {
        self.gain.dtype()
    }
}

/// A schedule that starts hot, with all modes alike, and cools: the coldness is multiplied by
/// `start^(1 − k/n)` in epoch k = 0, …, n − 1, and by 1 from then on.
///
/// ```
/// use emma_attention::ColdnessAnnealing;
///
/// let annealing = ColdnessAnnealing { start: 0.01, n_epochs: 4 };
/// let factors: Vec<f64> = (0..6).map(|epoch| annealing.factor(epoch)).collect();
/// assert!(factors.iter().zip([0.01, 0.0316, 0.1, 0.316, 1., 1.]).all(|(a, b)| (a - b).abs() < 1e-3));
/// ```
///
/// # Source
/// Thesis section 8.3, which proposes it without a formula.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColdnessAnnealing {
    /// Factor of the first epoch; above 0, at most 1.
    pub start: f64,
    /// Epochs until the factor is 1.
    pub n_epochs: usize,
}

impl ColdnessAnnealing {
    /// Factor of an epoch, from 0.
    pub fn factor(&self, epoch: usize) -> f64 {
        if epoch >= self.n_epochs {
            return 1.;
        }
        let left = 1. - epoch as f64 / self.n_epochs as f64;
        self.start.clamp(f64::MIN_POSITIVE, 1.).powf(left)
    }
}
