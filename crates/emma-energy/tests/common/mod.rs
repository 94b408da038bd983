//! Both ways to the potential energy: whatever one must do, the other must.
#![allow(dead_code)] // Each test file uses what it needs.

use candle_core::Tensor;
use emma_energy::{
    DenoisingAutoencoder, EnergyEstimator, Result, potential_energy, potential_energy_by_candle,
};

pub(crate) type Energy = fn(&DenoisingAutoencoder, &Tensor) -> Result<Tensor>;

/// What callers get (fused on the CPU in f32 and f64), and the definition.
pub(crate) const PATHS: [(&str, Energy); 2] = [
    ("potential_energy", potential_energy),
    ("potential_energy_by_candle", potential_energy_by_candle),
];

/// One of the ways as an estimator.
pub(crate) struct By(pub(crate) Energy, pub(crate) DenoisingAutoencoder);

impl EnergyEstimator for By {
    fn n_features(&self) -> usize {
        self.1.n_features()
    }

    fn energy(&self, rows: &Tensor) -> Result<Tensor> {
        self.0(&self.1, rows)
    }
}
