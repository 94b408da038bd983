//! The receiver: what limits resolution in time and in dispersion measure.

use serde::{Deserialize, Serialize};

use super::parameters::check;
use crate::error::Result;

/// Smearing of one channel, in milliseconds, by a dispersion measure of 1 pc cm⁻³ in 1 MHz at 1 GHz.
const SMEARING_MS: f64 = 8.3e-3;

/// Delay, in milliseconds, by a dispersion measure of 1 pc cm⁻³ at 1 GHz.
const DELAY_MS: f64 = 4.149;

/// The receiver and its backend.
///
/// The default is the backend of the High Time Resolution Universe survey that HTRU2 comes from.
///
/// # Source
/// M. J. Keith et al., MNRAS 409:619 (2010): 1,352 MHz, 340 MHz that are usable of 400 MHz in 1,024
/// channels, a sample each 64 µs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Receiver {
    /// Center frequency, GHz. Default 1.352; from 0.01 to 100.
    pub frequency_ghz: f64,
    /// Usable bandwidth, MHz. Default 340; from 0.001 to 100,000.
    pub bandwidth_mhz: f64,
    /// Width of a channel, MHz. Default 400/1,024; from 0.000001 to 1,000.
    pub channel_mhz: f64,
    /// Time between samples, ms. Default 0.064; from 0.000001 to 1,000.
    pub sampling_ms: f64,
}

impl Default for Receiver {
    fn default() -> Self {
        Self {
            frequency_ghz: 1.352,
            bandwidth_mhz: 340.0,
            channel_mhz: 400.0 / 1024.0,
            sampling_ms: 0.064,
        }
    }
}

impl Receiver {
    /// How long one channel smears a pulse out, in milliseconds.
    ///
    /// `8.3e-3 · DM · channel_MHz / frequency_GHz³`, DM in pc cm⁻³.
    ///
    /// # Source
    /// D. R. Lorimer and M. Kramer, *Handbook of Pulsar Astronomy* (2005).
    pub fn channel_smearing_ms(&self, dispersion_measure: f64) -> f64 {
        SMEARING_MS * dispersion_measure * self.channel_mhz / self.frequency_ghz.powi(3)
    }

    /// The shortest pulse that is seen as it is, in milliseconds: sample and channel smearing in
    /// quadrature.
    pub fn resolution_ms(&self, dispersion_measure: f64) -> f64 {
        self.sampling_ms
            .hypot(self.channel_smearing_ms(dispersion_measure))
    }

    /// How much later a signal arrives at `frequency_ghz` than at an infinite frequency, in milliseconds.
    ///
    /// `4.149 · DM / frequency_GHz²`, DM in pc cm⁻³; so a band is swept from its top to its bottom.
    ///
    /// # Source
    /// D. R. Lorimer and M. Kramer, *Handbook of Pulsar Astronomy* (2005), equation 4.7.
    pub fn dispersion_delay_ms(dispersion_measure: f64, frequency_ghz: f64) -> f64 {
        DELAY_MS * dispersion_measure / frequency_ghz.powi(2)
    }

    /// Center of each of `N` equal parts of the band, from the lowest, GHz.
    ///
    /// A band that would reach below a hundredth of its center frequency counts as starting there.
    pub(super) fn part_frequencies_ghz<const N: usize>(&self) -> [f64; N] {
        std::array::from_fn(|part| {
            let place = (part as f64 + 0.5) / N as f64 - 0.5;
            (self.frequency_ghz + place * self.bandwidth_mhz / 1000.0)
                .max(self.frequency_ghz / 100.0)
        })
    }

    pub(super) fn check(&self) -> Result<()> {
        check(
            "receiver.frequency_ghz",
            self.frequency_ghz,
            0.01..=100.0,
            "from 0.01 to 100",
        )?;
        check(
            "receiver.bandwidth_mhz",
            self.bandwidth_mhz,
            1e-3..=1e5,
            "from 0.001 to 100000",
        )?;
        check(
            "receiver.channel_mhz",
            self.channel_mhz,
            1e-6..=1e3,
            "from 0.000001 to 1000",
        )?;
        check(
            "receiver.sampling_ms",
            self.sampling_ms,
            1e-6..=1e3,
            "from 0.000001 to 1000",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Receiver;

    #[test]
    fn smearing_is_worked_by_hand() {
        let receiver = Receiver::default();
        // 8.3e-3 · 100 · 0.390625 / 1.352³, and with 0.064 ms in quadrature.
        let smearing = 0.324_218_75 / 2.471_326_208;
        assert!((receiver.channel_smearing_ms(100.0) - smearing).abs() < 1e-12);
        assert!((receiver.resolution_ms(0.0) - 0.064).abs() < 1e-15);
        // 4.149 · (1/1.182² − 1/1.522²) over the usable band.
        let sweep =
            Receiver::dispersion_delay_ms(1.0, 1.182) - Receiver::dispersion_delay_ms(1.0, 1.522);
        assert!((sweep - 1.178_596).abs() < 1e-5, "{sweep}");
        let parts = receiver.part_frequencies_ghz::<2>();
        assert!((parts[0] - 1.267).abs() < 1e-12 && (parts[1] - 1.437).abs() < 1e-12);
        let both = (smearing * smearing + 0.064 * 0.064_f64).sqrt();
        assert!((receiver.resolution_ms(100.0) - both).abs() < 1e-12);
    }
}
