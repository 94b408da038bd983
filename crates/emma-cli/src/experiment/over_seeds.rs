//! A figure over seeds, with its interval.

use emma_models::MeanInterval;
use serde::{Deserialize, Serialize};

/// A figure over seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct OverSeeds {
    pub(crate) mean: f64,
    /// Half-width of the Student-t 95 % interval of the mean; null for one seed.
    pub(crate) ci95: Option<f64>,
    /// In the order of `seeds`.
    pub(crate) per_seed: Vec<f64>,
}

impl OverSeeds {
    pub(crate) fn of(per_seed: Vec<f64>) -> Self {
        let interval = MeanInterval::of(&per_seed);
        Self {
            mean: interval.map_or(f64::NAN, |interval| interval.mean),
            ci95: interval.and_then(|interval| interval.ci95),
            per_seed,
        }
    }

    /// Mean and half-width of the interval, as they are printed.
    pub(crate) fn words(&self) -> String {
        match self.ci95 {
            Some(half_width) => format!("{:.3} ± {half_width:.3}", self.mean),
            None => format!("{:.3}", self.mean),
        }
    }
}

/// The options that ask for these seeds again.
pub(crate) fn seed_options(seeds: &[u64]) -> String {
    let first = seeds.first().copied().unwrap_or_default();
    let all = format!("--seeds {}", seeds.len());
    if first == 0 {
        all
    } else {
        format!("{all} --seed {first}")
    }
}
