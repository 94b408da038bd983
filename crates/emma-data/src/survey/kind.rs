//! What a candidate is.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a simulated candidate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CandidateKind {
    /// A pulsar: pulses that interstellar space has dispersed.
    Pulsar,
    /// Interference over the whole band, from nearby, so without dispersion: its curve peaks at the
    /// dispersion measure 0.
    BroadbandInterference,
    /// Interference in a small part of the band: no trial dispersion measure smears it much, so its
    /// curve is nearly flat.
    NarrowbandInterference,
    /// Interference that follows the mains: its period is the mains' over or times a whole number.
    PeriodicInterference,
    /// A peak of the receiver noise that the search took for a source.
    Noise,
}

impl CandidateKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [
        Self::Pulsar,
        Self::BroadbandInterference,
        Self::NarrowbandInterference,
        Self::PeriodicInterference,
        Self::Noise,
    ];

    /// The class: 1 for a pulsar, 0 for anything else.
    pub fn label(self) -> u8 {
        u8::from(self == Self::Pulsar)
    }

    /// The name that files have: `pulsar`, `broadband_interference` and so on.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pulsar => "pulsar",
            Self::BroadbandInterference => "broadband_interference",
            Self::NarrowbandInterference => "narrowband_interference",
            Self::PeriodicInterference => "periodic_interference",
            Self::Noise => "noise",
        }
    }
}

impl fmt::Display for CandidateKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::CandidateKind;

    #[test]
    fn kinds_are_written_as_they_are_named() {
        for kind in CandidateKind::ALL {
            assert_eq!(
                serde_json::to_string(&kind).unwrap(),
                format!("{:?}", kind.to_string())
            );
        }
    }

    #[test]
    fn only_pulsars_are_positive() {
        let labels = CandidateKind::ALL.map(CandidateKind::label);
        assert_eq!(labels, [1, 0, 0, 0, 0]);
    }
}
