//! Stage one: training a denoising autoencoder on clean rows.

use candle_core::{D, DType, Device, Tensor};
use candle_nn::Optimizer;
use emma_kernels::{StageOne, StageOneConfig};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use crate::adam::Adam;
use crate::autoencoder::DenoisingAutoencoder;
use crate::error::{Error, Result, check_setting};
use crate::optimization::{mini_batches, shuffled_rows};
use crate::packed_variables::PackedVariables;
use crate::seeded_var_map::SeededVarMap;
use crate::transfer::{scalar, transfer};

/// How a [`DenoisingAutoencoder`] is trained.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AutoencoderTraining {
    /// Passes over the rows. Default 30 (thesis section 6.3); at least 1.
    pub n_epochs: usize,
    /// Rows a step. Default 64 (thesis section 6.3); at least 1.
    pub batch_size: usize,
    /// Adam's step size. Default 1e-3; positive.
    pub learning_rate: f64,
    /// Standard deviation of the noise that is to be undone, in units of the rows. Default 0.01;
    /// finite, not negative.
    pub noise_std: f64,
}

impl Default for AutoencoderTraining {
    fn default() -> Self {
        Self {
            n_epochs: 30,
            batch_size: 64,
            learning_rate: 1e-3,
            noise_std: 0.01,
        }
    }
}

impl AutoencoderTraining {
    fn validate(&self) -> Result<()> {
        check_setting(self.n_epochs > 0, "n_epochs", "at least 1", self.n_epochs)?;
        check_setting(
            self.batch_size > 0,
            "batch_size",
            "at least 1",
            self.batch_size,
        )?;
        check_setting(
            self.learning_rate.is_finite() && self.learning_rate > 0.,
            "learning_rate",
            "positive and finite",
            self.learning_rate,
        )?;
        check_setting(
            self.noise_std.is_finite() && self.noise_std >= 0.,
            "noise_std",
            "finite and not negative",
            self.noise_std,
        )
    }
}

/// Denoising loss `mean over rows of |r(x̃) − x|²`.
///
/// # Shapes
/// - `rows` (clean, x) and `corrupted_rows` (x̃): `[n, L]`
/// - returns a scalar
///
/// # Units
/// Squared units of the rows.
///
/// # Errors
/// [`Error::FeatureCount`] for rows of another width.
///
/// # Source
/// Thesis eq. 4.1.
pub fn denoising_loss(
    autoencoder: &DenoisingAutoencoder,
    rows: &Tensor,
    corrupted_rows: &Tensor,
) -> Result<Tensor> {
    let residual = (autoencoder.reconstruct(corrupted_rows)? - rows)?;
    Ok(residual.sqr()?.sum(D::Minus1)?.mean(0)?)
}

/// Trains the autoencoder whose parameters `variables` holds, with fresh noise in every epoch.
///
/// In f32 on the CPU, fused steps do it ([`emma_kernels::StageOne`]); elsewhere, if a parameter is no
/// variable of the map, and for fewer rows than a mini-batch has, candle's operations do
/// ([`train_autoencoder_by_candle`]). Order and noise of the rows are the same; losses and parameters agree to
/// rounding.
///
/// # Shapes
/// - `rows`: `[n, L]`, clean and standardized
/// - returns the mean [`denoising_loss`] of every epoch
///
/// # Errors
/// [`Error::InvalidSetting`], [`Error::NoRows`], [`Error::FeatureCount`], and candle's.
///
/// # Source
/// Thesis section 5.6, phase 1.
pub fn train_autoencoder(
    autoencoder: &DenoisingAutoencoder,
    variables: &SeededVarMap,
    rows: &Tensor,
    settings: &AutoencoderTraining,
    rng: &mut impl Rng,
) -> Result<Vec<f64>> {
    settings.validate()?;
    let fits = rows.dtype() == DType::F32
        && rows.device().is_cpu()
        && rows.dims2()?.1 == autoencoder.n_features()
        // Room is taken for whole mini-batches.
        && settings.batch_size <= rows.dims2()?.0;
    let parameters = [
        autoencoder.weight(),
        autoencoder.encoder_bias(),
        autoencoder.decoder_bias(),
    ];
    let packed = PackedVariables::find(variables, &parameters).filter(|_| fits);
    let Some(packed) = packed else {
        return train_autoencoder_by_candle(autoencoder, variables, rows, settings, rng);
    };
    let config = StageOneConfig {
        n_features: autoencoder.n_features(),
        n_hidden: autoencoder.n_hidden(),
        batch_size: settings.batch_size,
        learning_rate: settings.learning_rate,
    };
    let mut model = StageOne::new(config, &packed.read()?);
    let values = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f32>();
    let losses = each_epoch(rows, settings, rng, |clean, corrupted| {
        Ok(model.epoch(&values(clean)?, &values(corrupted)?))
    })?;
    packed.write(model.parameters())?;
    Ok(losses)
}

/// What [`train_autoencoder`] does, with candle's operations and gradients: on any device, in any type,
/// and the reference that the fused steps are tested against.
///
/// # Errors
/// As [`train_autoencoder`].
pub fn train_autoencoder_by_candle(
    autoencoder: &DenoisingAutoencoder,
    variables: &SeededVarMap,
    rows: &Tensor,
    settings: &AutoencoderTraining,
    rng: &mut impl Rng,
) -> Result<Vec<f64>> {
    let loss = |clean: &Tensor, corrupted: &Tensor| denoising_loss(autoencoder, clean, corrupted);
    minimize_denoising_loss(loss, variables, rows, settings, rng)
}

/// Minimizes a loss of clean and corrupted rows, whose parameters `variables` holds, with fresh
/// noise in every epoch; returns the mean loss of every epoch.
pub(crate) fn minimize_denoising_loss(
    loss: impl Fn(&Tensor, &Tensor) -> Result<Tensor>,
    variables: &SeededVarMap,
    rows: &Tensor,
    settings: &AutoencoderTraining,
    rng: &mut impl Rng,
) -> Result<Vec<f64>> {
    settings.validate()?;
    let mut optimizer = Adam::new(variables, settings.learning_rate)?;
    each_epoch(rows, settings, rng, |clean, corrupted| {
        let (n_rows, _) = clean.dims2()?;
        let mut total = 0.;
        for (start, length) in mini_batches(n_rows, settings.batch_size) {
            let loss = loss(
                &clean.narrow(0, start, length)?,
                &corrupted.narrow(0, start, length)?,
            )?;
            optimizer.backward_step(&loss)?;
            total += scalar(&loss)? * length as f64;
        }
        Ok(total / n_rows as f64)
    })
}

/// Calls `epoch` with the clean rows in random order and with noise, as often as the settings say; returns
/// what it did.
fn each_epoch(
    rows: &Tensor,
    settings: &AutoencoderTraining,
    rng: &mut impl Rng,
    mut epoch: impl FnMut(&Tensor, &Tensor) -> Result<f64>,
) -> Result<Vec<f64>> {
    let (n_rows, _) = rows.dims2()?;
    if n_rows == 0 {
        return Err(Error::NoRows {
            purpose: "training an autoencoder",
        });
    }
    // candle gathers from contiguous tensors alone.
    let rows = rows.contiguous()?;
    (0..settings.n_epochs)
        .map(|_| {
            let order = shuffled_rows(n_rows, rng, rows.device())?;
            let clean = rows.index_select(&order, 0)?;
            let corrupted = add_gaussian_noise(&clean, settings.noise_std, rng)?;
            epoch(&clean, &corrupted)
        })
        .collect()
}

fn add_gaussian_noise(rows: &Tensor, std: f64, rng: &mut impl Rng) -> Result<Tensor> {
    let noise: Vec<f64> = StandardNormal
        .sample_iter(&mut *rng)
        .take(rows.elem_count())
        .collect();
    let noise = Tensor::from_vec(noise, rows.shape(), &Device::Cpu)?;
    let noise = transfer(&noise, rows.dtype(), rows.device())?;
    Ok((rows + (noise * std)?)?)
}
