//! A machine with three sensors, to try things out on.

use rand::Rng;
use rand_distr::StandardNormal;

use crate::random::{Generator, generator};

/// What a pump is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MachineState {
    /// Nothing is wrong.
    Sound,
    /// Its bearing is worn: it shakes, in knocks, and runs a little slower and warmer.
    Worn,
    /// Its seal leaks: it pumps less than it should, and its oil gets hot.
    Leaking,
}

impl MachineState {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sound => "sound",
            Self::Worn => "worn",
            Self::Leaking => "leaking",
        }
    }
}

/// One observation of a simulated pump.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MachineRow {
    /// Values of [`Machine::COLUMNS`].
    pub features: [f32; 9],
    /// What the pump is truly like.
    pub state: MachineState,
}

/// Observations of a pump by three sensors: vibration, temperature, motor current.
///
/// The pump's load drives all three, so that each sensor knows something of the others; wear and leaks show in
/// all of them, in each with noise of its own. Of the rows about 80 % are sound, 12 % worn, 8 % leaking.
///
/// It is made up: plausible sizes, linear effects, Gaussian noise. It is there to learn the tools with, not about
/// pumps.
///
/// ```
/// use emma_data::Machine;
///
/// let rows: Vec<_> = Machine::new(7).take(100).collect();
/// assert_eq!(rows, Machine::new(7).take(100).collect::<Vec<_>>());
/// ```
#[derive(Debug, Clone)]
pub struct Machine {
    rng: Generator,
}

impl Machine {
    /// Names of the columns, mode by mode: millimeters a second, a pure number, hertz; degrees Celsius;
    /// amperes, amperes, a share.
    pub const COLUMNS: [&'static str; 9] = [
        "vibration_rms",
        "vibration_kurtosis",
        "vibration_peak_hz",
        "temperature_case",
        "temperature_oil",
        "temperature_rise",
        "current_mean",
        "current_ripple",
        "current_imbalance",
    ];

    /// A pump that is observed for ever; the same seed gives the same rows.
    pub fn new(seed: u64) -> Self {
        Self {
            rng: generator(seed, "machine"),
        }
    }
}

impl Iterator for Machine {
    type Item = MachineRow;

    fn next(&mut self) -> Option<MachineRow> {
        let rng = &mut self.rng;
        let state = match rng.random::<f64>() {
            share if share < 0.80 => MachineState::Sound,
            share if share < 0.92 => MachineState::Worn,
            _ => MachineState::Leaking,
        };
        let mut normal = || rng.sample::<f64, _>(StandardNormal);
        // How far a fault has come; a sound pump has a little of both.
        let little = [normal(), normal()].map(|draw| 0.06 * draw.abs());
        let much = (0.6 + 0.15 * normal()).max(0.2);
        let (wear, leak) = match state {
            MachineState::Sound => (little[0], little[1]),
            MachineState::Worn => (much, little[1]),
            MachineState::Leaking => (little[0], much),
        };
        let ambient = 20. + 4. * normal();
        let load = (0.65 + 0.18 * normal()).clamp(0.1, 1.2);
        let mut noisy = |value: f64, noise: f64| (value + noise * normal()) as f32;
        let features = [
            noisy(1.2 + 1.5 * load + 2. * wear, 0.3),
            noisy(3. + 3. * wear, 0.4),
            noisy(49.5 - 1.2 * load - 1.2 * wear, 0.25),
            noisy(ambient + 18. * load + 7. * wear + 5. * leak, 1.5),
            noisy(ambient + 25. * load + 4. * wear + 13. * leak, 1.5),
            noisy(0.2 + 0.3 * wear + 0.8 * leak, 0.15),
            noisy(4. + 9. * load - 2.2 * leak + 0.8 * wear, 0.35),
            noisy(0.2 + 0.4 * wear + 0.35 * leak, 0.07),
            noisy(0.02 + 0.04 * wear, 0.01),
        ];
        Some(MachineRow { features, state })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_as_frequent_as_stated_and_sensors_know_of_each_other() {
        let rows: Vec<MachineRow> = Machine::new(1).take(20_000).collect();
        for (state, share) in [
            (MachineState::Sound, 0.80),
            (MachineState::Worn, 0.12),
            (MachineState::Leaking, 0.08),
        ] {
            let found = rows.iter().filter(|row| row.state == state).count() as f64 / 20_000.;
            // Four standard deviations are at most 0.011.
            assert!((found - share).abs() < 0.0115, "{}: {found}", state.name());
        }
        let mean = |column: usize| {
            rows.iter()
                .map(|row| f64::from(row.features[column]))
                .sum::<f64>()
                / 20_000.
        };
        // Oil temperature and current both follow the load.
        let (oil, current) = (mean(4), mean(6));
        let products = rows
            .iter()
            .map(|row| (f64::from(row.features[4]) - oil) * (f64::from(row.features[6]) - current));
        assert!(products.sum::<f64>() / 20_000. > 3.);
    }
}
