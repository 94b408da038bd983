//! Interference that follows the mains.

/// Period of the mains, seconds: 50 Hz, as at Parkes.
const MAINS_PERIOD_S: f64 = 0.02;

/// The mains' period over or times a whole number that is nearest, in that number, to `period_s`.
///
/// A machine on the mains sends at its frequency or a harmonic; a search also finds it at
/// subharmonics.
///
/// # Units
/// Seconds.
pub(super) fn mains_period(period_s: f64) -> f64 {
    if period_s < MAINS_PERIOD_S {
        MAINS_PERIOD_S / (MAINS_PERIOD_S / period_s).round()
    } else {
        MAINS_PERIOD_S * (period_s / MAINS_PERIOD_S).round()
    }
}

#[cfg(test)]
mod tests {
    use super::mains_period;

    #[test]
    fn periods_are_harmonics_and_subharmonics() {
        for (period, expected) in [
            (0.02, 0.02),
            (0.019, 0.02),
            (0.011, 0.01),
            (0.0064, 0.02 / 3.0),
            (0.029, 0.02),
            (0.031, 0.04),
            (0.1, 0.1),
        ] {
            assert!((mains_period(period) - expected).abs() < 1e-15);
        }
    }
}
