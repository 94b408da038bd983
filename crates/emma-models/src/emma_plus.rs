//! EMMA+: a gate between each mode and its repair.

use candle_core::Tensor;
use candle_nn::VarBuilder;
use emma_attention::{ModeGate, ModeGateConfig, PotentialEnergies};
use emma_energy::JointPosterior;
use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::encoded_density::EncodedDensity;
use crate::error::{Error, Result};
use crate::model::{ModelOutput, MultiModalModel};
use crate::training::TrainingConfig;

/// Settings of [`EmmaPlus`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmmaPlusConfig {
    /// Energies count as at most this; a mode that reaches it is closed. Default 1.5, for training with
    /// noise of 0.5: whatever is noisier than anything seen in training is then treated alike. `None` where
    /// training has seen the whole range. Positive.
    pub energy_ceiling: Option<f64>,
    /// The gate; `None` takes the repaired modes as they are. Its number of modes is the density's. Default
    /// none.
    pub gate: Option<ModeGateConfig>,
    /// Log-odds count as within ± this, in nats. Default 15; positive.
    pub evidence_limit: f64,
}

impl Default for EmmaPlusConfig {
    fn default() -> Self {
        Self {
            energy_ceiling: Some(1.5),
            gate: None,
            evidence_limit: 15.,
        }
    }
}

/// What a network sees of a row: each mode blended with its repair, the log-odds of the classes, the energies.
///
/// With x_i a mode, or what stands for it in an [`EncodedDensity`], r_i what the density expects it to be without noise, v_i its energy and a_i its
/// attention by a [`ModeGate`] on the energies,
///
/// `h_i = a_i x_i + (1 − a_i) r_i`,
///
/// and the network sees all h_i, the log-odds `log p(x_S | c) − log p(x_S | 0)` of all modes together and of each
/// alone, times 0.2, and all `min(v_i, ceiling)`. A mode whose energy reaches the ceiling, as that of a missing one does,
/// has attention 0 exactly: the network sees only its repair. Single missing features are filled in. Where EMMA shrinks a
/// bad mode to zero, which a network may take for a reading, this puts in its place what the other modes say it
/// should have been.
///
/// Everything before the network is constant but for the gate, and is computed once for rows that are
/// seen again: [`prepare`](Self::prepare) makes a batch that [`forward`](MultiModalModel::forward) of
/// [`Prepared`] takes.
///
/// # Source
/// This implementation.
#[derive(Debug, Clone)]
pub struct EmmaPlus<N> {
    density: EncodedDensity,
    prepared: Prepared<N>,
}

/// The trainable part of [`EmmaPlus`]: a model of prepared batches.
///
/// Its modes are, in order: M modes, M repaired modes, the log-odds, the energies.
#[derive(Debug, Clone)]
pub struct Prepared<N> {
    n_modes: usize,
    energy_ceiling: Option<f64>,
    /// Of a mode that says nothing or is missing.
    highest_energy: f64,
    evidence_limit: f64,
    gate: Option<ModeGate>,
    network: N,
}

/// What the log-odds are multiplied by: they are then of the size of standard scores.
const EVIDENCE_SCALE: f64 = 0.2;

impl<N> EmmaPlus<N> {
    /// Puts a density, a [`JointDensity`](emma_energy::JointDensity) or an [`EncodedDensity`], in front of a network of [`n_inputs`](Self::n_inputs) inputs; the gate's
    /// parameters come from `vb`.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`], and those of [`ModeGate::new`].
    pub fn new(
        config: &EmmaPlusConfig,
        density: impl Into<EncodedDensity>,
        network: N,
        vb: &VarBuilder,
    ) -> Result<Self> {
        let positive = |name, value: f64| {
            let valid = value > 0. && value.is_finite();
            valid.then_some(()).ok_or_else(|| Error::InvalidSetting {
                name,
                expected: "positive and finite",
                found: value.to_string(),
            })
        };
        if let Some(ceiling) = config.energy_ceiling {
            positive("energy_ceiling", ceiling)?;
        }
        positive("evidence_limit", config.evidence_limit)?;
        let density = density.into();
        let n_modes = density.density().config().mode_widths.len();
        let highest_energy = density.density().config().noise.highest_energy();
        let gate = config
            .gate
            .map(|gate| ModeGate::new(&ModeGateConfig { n_modes, ..gate }, vb))
            .transpose()?;
        Ok(Self {
            density,
            prepared: Prepared {
                n_modes,
                energy_ceiling: config.energy_ceiling,
                highest_energy,
                evidence_limit: config.evidence_limit,
                gate,
                network,
            },
        })
    }

    /// Inputs of the network: all features, the log-odds and one energy a mode.
    pub fn n_inputs(density: &EncodedDensity) -> usize {
        let config = density.density().config();
        let n_modes = config.mode_widths.len();
        let n_subsets = JointPosterior::n_subsets(n_modes);
        config.n_features() + n_subsets * (config.n_components.len() - 1) + n_modes
    }

    /// The density.
    pub fn density(&self) -> &EncodedDensity {
        &self.density
    }

    /// The part that is trained, on batches that [`prepare`](Self::prepare) made.
    pub fn prepared(&self) -> &Prepared<N> {
        &self.prepared
    }

    /// What the density says about rows, in the place of their modes.
    ///
    /// # Shapes
    /// - `modes`: one `[n, L_i]` a mode, standardized; NaN where a value is missing
    /// - returns M modes, M repaired modes, log-odds, energies; nothing of it is NaN
    ///
    /// # Errors
    /// Those of [`EncodedDensity::prepare`].
    pub fn prepare(&self, modes: &[Tensor]) -> Result<Vec<Tensor>> {
        self.density.prepare(modes)
    }
}

impl<N> Prepared<N> {
    /// The gate, if there is one.
    pub fn gate(&self) -> Option<&ModeGate> {
        self.gate.as_ref()
    }

    /// The highest energy that counts, if there is one.
    pub fn energy_ceiling(&self) -> Option<f64> {
        self.energy_ceiling
    }

    /// What log-odds count within, in nats.
    pub fn evidence_limit(&self) -> f64 {
        self.evidence_limit
    }

    /// The network.
    pub fn network(&self) -> &N {
        &self.network
    }

    /// Energies, at most the ceiling, `[n, M]`.
    fn energies(&self, modes: &[Tensor]) -> Result<Tensor> {
        let energies = &modes[2 * self.n_modes + 1];
        Ok(match self.energy_ceiling {
            Some(ceiling) => energies.minimum(&energies.affine(0., ceiling)?)?,
            None => energies.clone(),
        })
    }

    /// Attention of every mode, `[n, M]`: of a prepared batch.
    ///
    /// # Errors
    /// [`Error::ModeCount`] for modes that are no prepared batch.
    pub fn attention(&self, modes: &[Tensor]) -> Result<Tensor> {
        self.check(modes)?;
        let energies = self.energies(modes)?;
        let Some(gate) = &self.gate else {
            return Ok(energies.zeros_like()?);
        };
        if energies.elem_count() == 0 {
            return Ok(energies);
        }
        let highest = self.highest_energy;
        let closed_from = self.energy_ceiling.map_or(highest, |own| own.min(highest));
        let open = modes[2 * self.n_modes + 1].lt(closed_from)?;
        Ok(gate.attention(&energies, &open)?)
    }

    /// What the network sees, `[n, inputs]`, and the attention behind it.
    ///
    /// # Errors
    /// As [`attention`](Self::attention).
    pub fn inputs(&self, modes: &[Tensor]) -> Result<(Tensor, Tensor)> {
        let attention = self.attention(modes)?;
        let (raw, rest) = modes.split_at(self.n_modes);
        let mut inputs = Vec::with_capacity(self.n_modes + 2);
        for (mode, (x, repaired)) in raw.iter().zip(rest).enumerate() {
            inputs.push(if self.gate.is_some() {
                let attention = attention.narrow(1, mode, 1)?;
                (repaired + (x - repaired)?.broadcast_mul(&attention)?)?
            } else {
                repaired.clone()
            });
        }
        let evidence = &modes[2 * self.n_modes];
        let evidence = evidence.clamp(-self.evidence_limit, self.evidence_limit)?;
        inputs.push((evidence * EVIDENCE_SCALE)?);
        inputs.push(self.energies(modes)?);
        Ok((Tensor::cat(&inputs, 1)?, attention))
    }

    fn check(&self, modes: &[Tensor]) -> Result<()> {
        if modes.len() == 2 * self.n_modes + 2 {
            return Ok(());
        }
        Err(Error::ModeCount {
            expected: 2 * self.n_modes + 2,
            found: modes.len(),
        })
    }
}

impl<N: MultiModalModel> MultiModalModel for Prepared<N> {
    fn forward(&self, modes: &[Tensor], _: Option<&PotentialEnergies>) -> Result<ModelOutput> {
        let (inputs, _) = self.inputs(modes)?;
        self.network.forward(&[inputs], None)
    }

    fn training_loss(&self, batch: &Batch, config: &TrainingConfig) -> Result<Option<Tensor>> {
        let (inputs, _) = self.inputs(batch.modes())?;
        let batch = Batch::new(vec![inputs], batch.labels().clone())?;
        self.network.training_loss(&batch, config)
    }

    fn project(&self) -> Result<()> {
        if let Some(gate) = &self.gate {
            gate.project()?;
        }
        self.network.project()
    }
}

impl<N: MultiModalModel> MultiModalModel for EmmaPlus<N> {
    fn forward(&self, modes: &[Tensor], _: Option<&PotentialEnergies>) -> Result<ModelOutput> {
        self.prepared.forward(&self.prepare(modes)?, None)
    }

    fn training_loss(&self, batch: &Batch, config: &TrainingConfig) -> Result<Option<Tensor>> {
        let batch = Batch::new(self.prepare(batch.modes())?, batch.labels().clone())?;
        self.prepared.training_loss(&batch, config)
    }

    fn project(&self) -> Result<()> {
        self.prepared.project()
    }
}
