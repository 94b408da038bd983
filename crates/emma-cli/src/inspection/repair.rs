//! What there is to know about an EMMA+ beside its network.

use std::fmt::Write as _;

use emma_energy::NoiseModel;
use emma_models::{EmmaPlus, EnsembleMlp};
use serde::Serialize;

use super::numbers;
use super::text::{cells, counted};
use crate::failure::CommandResult;
use crate::text::{align, number};

/// Density, noise and gate.
#[derive(Debug, Serialize)]
pub(super) struct Repair {
    /// Of the mixture of each class.
    n_components: Vec<usize>,
    noise: NoiseModel,
    /// Energy of a mode that is missing, or says nothing.
    highest_energy: f64,
    /// Null without one.
    energy_ceiling: Option<f64>,
    evidence_limit: f64,
    n_members: usize,
    /// Null where the network sees the repairs alone.
    gate: Option<Gate>,
}

/// One number a mode.
#[derive(Debug, Serialize)]
struct Gate {
    coldness: Vec<f64>,
    gain: Vec<f64>,
    bias: Vec<f64>,
}

impl Repair {
    pub(super) fn of(model: &EmmaPlus<EnsembleMlp>) -> CommandResult<Self> {
        let density = model.density().density().config();
        let prepared = model.prepared();
        let gate = match prepared.gate() {
            Some(gate) => Some(Gate {
                coldness: numbers(&gate.coldness()?)?,
                gain: numbers(gate.gain())?,
                bias: numbers(gate.bias())?,
            }),
            None => None,
        };
        Ok(Self {
            n_components: density.n_components.clone(),
            noise: density.noise.clone(),
            highest_energy: density.noise.highest_energy(),
            energy_ceiling: prepared.energy_ceiling(),
            evidence_limit: prepared.evidence_limit(),
            n_members: prepared.network().n_members(),
            gate,
        })
    }

    pub(super) fn write(&self, text: &mut String, modes: &[&str]) {
        let components: Vec<String> = self.n_components.iter().map(ToString::to_string).collect();
        let _ = writeln!(
            text,
            "\nEMMA+: a density of all modes together, with {} components for class 0 and 1, repairs each mode",
            components.join(" and ")
        );
        let levels: Vec<String> = self
            .noise
            .noise_std
            .iter()
            .map(|&std| number(std))
            .collect();
        let _ = writeln!(
            text,
            "  A mode is clean with probability {}, or has noise of {} standard deviations, or says nothing.",
            number(self.noise.clean_probability),
            levels.join(", ")
        );
        let _ = match self.energy_ceiling {
            Some(ceiling) => writeln!(
                text,
                "  Energy: expected log(1 + 4 noise), {} if missing; from {} up a mode is replaced by its repair.",
                number(self.highest_energy),
                number(ceiling)
            ),
            None => writeln!(
                text,
                "  Energy: expected log(1 + 4 noise), {} if missing; no ceiling.",
                number(self.highest_energy)
            ),
        };
        let _ = writeln!(
            text,
            "  Log-odds count within ± {}; {} answer together.",
            number(self.evidence_limit),
            counted(self.n_members, "perceptron")
        );
        let Some(gate) = &self.gate else {
            text.push_str("  No gate: the network sees the repaired modes alone.\n");
            return;
        };
        text.push_str(
            "\nGate: attention × mode + (1 − attention) × repair; attention = max(0, tanh(M gain × importance − bias))\n\n",
        );
        let mut rows = vec![cells(["mode", "coldness", "gain", "bias"])];
        for (index, mode) in modes.iter().enumerate() {
            rows.push(cells([
                mode,
                &number(gate.coldness[index]),
                &number(gate.gain[index]),
                &number(gate.bias[index]),
            ]));
        }
        align(text, &rows);
    }
}
