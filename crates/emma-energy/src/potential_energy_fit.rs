//! From clean rows to their potential energy in one call.

use candle_core::{DType, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::autoencoder::{AutoencoderConfig, DenoisingAutoencoder};
use crate::error::Result;
use crate::potential_energy::PotentialEnergy;
use crate::seeded_var_map::SeededVarMap;
use crate::training::{AutoencoderTraining, train_autoencoder};
use crate::training_rows::check_training_rows;
use crate::transfer::transfer;

/// How a [`PotentialEnergy`] is made from clean rows.
///
/// [`SeededVarMap`], [`DenoisingAutoencoder::new`] and [`train_autoencoder`] do the same step by
/// step.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use emma_energy::{EnergyEstimator, PotentialEnergyFit};
/// use rand::SeedableRng;
///
/// # fn main() -> emma_energy::Result<()> {
/// let rows: Vec<Vec<f32>> = (0..200u8).map(|i| vec![f32::from(i) / 100. - 1.; 2]).collect();
/// let mut fit = PotentialEnergyFit::default();
/// fit.training.noise_std = 0.1;
/// fit.training.n_epochs = 100;
/// let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(1);
/// let estimator = fit.fit(&Tensor::new(rows, &Device::Cpu)?, rng)?;
/// let probes = Tensor::new(&[[0.5f32, 0.5], [0.5, -0.5]], &Device::Cpu)?;
/// let energies = estimator.energy(&probes)?.to_vec1::<f32>()?;
/// assert!(energies[0] < energies[1]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PotentialEnergyFit {
    /// Hidden units, as in [`AutoencoderConfig::n_hidden`].
    pub n_hidden: usize,
    /// How the autoencoder is trained.
    pub training: AutoencoderTraining,
}

impl Default for PotentialEnergyFit {
    fn default() -> Self {
        Self {
            n_hidden: AutoencoderConfig::default().n_hidden,
            training: AutoencoderTraining::default(),
        }
    }
}

impl PotentialEnergyFit {
    /// Trains a denoising autoencoder on clean rows, in f32, and gives its potential energy in the
    /// rows' type.
    ///
    /// # Shapes
    /// - `rows`: `[n, L]`, clean and standardized
    ///
    /// # Errors
    /// [`Error::InvalidSetting`](crate::Error::InvalidSetting),
    /// [`Error::NoRows`](crate::Error::NoRows),
    /// [`Error::NonFiniteRow`](crate::Error::NonFiniteRow), and candle's.
    ///
    /// # Source
    /// Thesis section 5.6, phase 1.
    pub fn fit(&self, rows: &Tensor, rng: &mut impl Rng) -> Result<PotentialEnergy> {
        check_training_rows(rows)?;
        let (_, n_features) = rows.dims2()?;
        let config = AutoencoderConfig {
            n_features,
            n_hidden: self.n_hidden,
        };
        let variables = SeededVarMap::new(ChaCha8Rng::from_rng(rng));
        let vb = variables.var_builder(DType::F32, rows.device());
        let autoencoder = DenoisingAutoencoder::new(&config, &vb)?;
        let single = transfer(rows, DType::F32, rows.device())?;
        train_autoencoder(&autoencoder, &variables, &single, &self.training, rng)?;
        let vb = variables.constants(rows.dtype(), rows.device())?;
        Ok(PotentialEnergy(DenoisingAutoencoder::new(&config, &vb)?))
    }
}
