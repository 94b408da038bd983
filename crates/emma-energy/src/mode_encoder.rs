//! Few features of a wide mode, for densities that could not have all of it.

use std::collections::BTreeMap;

use candle_core::{D, DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_nn::ops::log_softmax;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use crate::affine::Affine;
use crate::error::{Error, Result, check_features, check_setting};
use crate::joint_density::FeatureNoise;
use crate::mlp_autoencoder::{MlpAutoencoder, MlpAutoencoderConfig};
use crate::seeded_var_map::SeededVarMap;
use crate::training::{AutoencoderTraining, minimize_denoising_loss};
use crate::training_rows::check_training_rows;
use crate::transfer::transfer;

/// How often missing values are filled in with what the autoencoder makes of the row.
const N_FILLINGS: usize = 4;

/// Least standard deviation of a feature, and of what noise adds to it, in units of the features.
const LEAST_STD: f64 = 1e-3;

/// Least mean squared error whose logarithm is taken.
const LEAST_ERROR: f64 = 1e-12;

/// From a mode to few features and back: what its autoencoder makes of it, and how badly.
///
/// With `z = encode(x)` the K units of the narrowest hidden layer before their tanh and r(x) the reconstruction,
/// the features are, each less its mean over clean rows and divided by its standard deviation there,
///
/// `z_1, …, z_K, log(|r(x) − x|² / L) / 2`.
///
/// The last of them is what sets a noisy mode apart: noise hardly moves the others, since the bottleneck cannot pass
/// it, and leaves just as little room for a row that is far from all that it was trained on.
///
/// # Missing values
/// NaN. They begin as 0 and are then filled in with the reconstruction, four times over; the error is the mean over
/// the values that are there. All features of a row of which nothing is there are NaN.
///
/// # Invariants
/// Features of a row do not depend on other rows.
///
/// # Source
/// This implementation.
#[derive(Debug, Clone)]
pub struct ModeEncoder {
    autoencoder: MlpAutoencoder,
    /// Mean and standard deviation of the raw features over clean rows, `[K + 1]` each.
    location: Tensor,
    scale: Tensor,
}

impl ModeEncoder {
    /// Takes the parameters from `vb`: `autoencoder` as [`MlpAutoencoder::new`], `location` and `scale`
    /// `[K + 1]`.
    ///
    /// # Errors
    /// Those of [`MlpAutoencoder::new`]; [`Error::InvalidSetting`] for a location that is not finite and a scale that is
    /// not positive and finite.
    pub fn new(config: &MlpAutoencoderConfig, vb: &VarBuilder) -> Result<Self> {
        let autoencoder = MlpAutoencoder::new(config, &vb.pp("autoencoder"))?;
        let n_features = autoencoder.n_encoded() + 1;
        let (location, scale) = (
            vb.get(n_features, "location")?,
            vb.get(n_features, "scale")?,
        );
        for (name, values, is_valid) in [
            ("location", &location, f64::is_finite as fn(f64) -> bool),
            ("scale", &scale, |value| value.is_finite() && value > 0.),
        ] {
            let values = transfer(values, DType::F64, &Device::Cpu)?.to_vec1::<f64>()?;
            check_setting(
                values.iter().all(|&value| is_valid(value)),
                name,
                "finite numbers, those of a scale positive",
                format_args!("{values:?}"),
            )?;
        }
        Ok(Self {
            autoencoder,
            location,
            scale,
        })
    }

    /// Sizes of its autoencoder.
    pub fn config(&self) -> &MlpAutoencoderConfig {
        self.autoencoder.config()
    }

    /// Its parameters by the names that [`new`](Self::new) asks for.
    pub fn tensors(&self) -> BTreeMap<String, Tensor> {
        let autoencoder = self.autoencoder.tensors().into_iter();
        let mut tensors: BTreeMap<String, Tensor> = autoencoder
            .map(|(name, tensor)| (format!("autoencoder.{name}"), tensor))
            .collect();
        tensors.insert("location".into(), self.location.clone());
        tensors.insert("scale".into(), self.scale.clone());
        tensors
    }

    /// Values of the mode, L.
    pub fn width(&self) -> usize {
        self.config().n_features
    }

    /// Features that stand for it, K + 1.
    pub fn n_features(&self) -> usize {
        self.autoencoder.n_encoded() + 1
    }

    /// The features of rows, computed where the encoder's parameters are.
    ///
    /// # Shapes
    /// - `rows`: `[n, L]`; NaN where a value is missing
    /// - returns `[n, K + 1]`
    ///
    /// # Errors
    /// [`Error::FeatureCount`] for rows of another width.
    pub fn features(&self, rows: &Tensor) -> Result<Tensor> {
        let here = transfer(rows, rows.dtype(), self.location.device())?;
        let raw = raw_features(&self.autoencoder, &here)?;
        let features = raw
            .broadcast_sub(&self.location)?
            .broadcast_div(&self.scale)?;
        Ok(transfer(&features, rows.dtype(), rows.device())?)
    }

    /// The mode that features stand for; the last feature, the error, says nothing of it.
    ///
    /// # Shapes
    /// - `features`: `[n, K + 1]`
    /// - returns `[n, L]`
    ///
    /// # Errors
    /// [`Error::FeatureCount`] for another number of features.
    pub fn decode(&self, features: &Tensor) -> Result<Tensor> {
        check_features(features, self.n_features())?;
        let raw = transfer(features, features.dtype(), self.location.device())?
            .broadcast_mul(&self.scale)?
            .broadcast_add(&self.location)?;
        let encoded = raw.narrow(1, 0, self.autoencoder.n_encoded())?;
        let decoded = self.autoencoder.decode(&encoded)?;
        Ok(transfer(&decoded, features.dtype(), features.device())?)
    }

    /// What noise about each level on the mode does to its features: the straight line through noisy against clean
    /// features by least squares, and the standard deviation about it.
    ///
    /// Each row has noise of a standard deviation of its own, drawn evenly on a logarithmic axis from halfway to the level
    /// below to halfway to the level above: the error of a wide mode tells levels of noise apart so sharply that noise between
    /// two levels would otherwise be like neither.
    ///
    /// # Shapes
    /// - `rows`: `[n, L]`, clean
    /// - `noise_std`: levels, in units of the rows, ascending and positive
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for levels that do not ascend; [`Error::NoRows`], [`Error::NonFiniteRow`],
    /// [`Error::FeatureCount`].
    pub fn feature_noise(
        &self,
        rows: &Tensor,
        noise_std: &[f64],
        rng: &mut impl Rng,
    ) -> Result<Vec<FeatureNoise>> {
        check_training_rows(rows)?;
        let clean = columns(&self.features(rows)?)?;
        if clean.iter().any(Vec::is_empty) {
            return Err(Error::NoRows {
                purpose: "measuring noise",
            });
        }
        check_setting(
            noise_std.is_sorted_by(|a, b| a < b)
                && noise_std.iter().all(|&std| std > 0. && std.is_finite()),
            "noise_std",
            "positive and ascending",
            format_args!("{noise_std:?}"),
        )?;
        let of_level = |(low, high): (f64, f64)| {
            let mut noise = Vec::with_capacity(rows.elem_count());
            for _ in 0..rows.dim(0)? {
                let std = low * (high / low).powf(rng.random());
                let deviates = StandardNormal.sample_iter(&mut *rng).take(self.width());
                noise.extend(deviates.map(|deviate: f64| std * deviate));
            }
            let noise = Tensor::from_vec(noise, rows.shape(), &Device::Cpu)?;
            let noise = transfer(&noise, rows.dtype(), rows.device())?;
            let noisy = columns(&self.features(&(rows + noise)?)?)?;
            let lines = clean.iter().zip(&noisy).map(|(z, x)| line(z, x));
            let mut found = FeatureNoise {
                gain: Vec::new(),
                shift: Vec::new(),
                std: Vec::new(),
            };
            for (gain, shift, std) in lines {
                found.gain.push(gain);
                found.shift.push(shift);
                found.std.push(std.max(LEAST_STD));
            }
            Ok(found)
        };
        around(noise_std).into_iter().map(of_level).collect()
    }
}

/// For each of ascending levels, from halfway to the one below to halfway to the one above on a logarithmic axis; the
/// lowest reaches as far below as above, the highest as far above as below, one alone by half an octave.
fn around(levels: &[f64]) -> Vec<(f64, f64)> {
    let steps: Vec<f64> = levels
        .windows(2)
        .map(|pair| (pair[1] / pair[0]).sqrt())
        .collect();
    let alone = std::f64::consts::SQRT_2;
    let of_level = |(k, &level): (usize, &f64)| {
        let below = k.checked_sub(1).and_then(|k| steps.get(k));
        let above = steps.get(k);
        let low = below.or(above).unwrap_or(&alone);
        let high = above.or(below).unwrap_or(&alone);
        (level / low, level * high)
    };
    levels.iter().enumerate().map(of_level).collect()
}

/// `z_1, …, z_K, log(|r(x) − x|² / L) / 2`, NaN where nothing of a row is there.
fn raw_features(autoencoder: &MlpAutoencoder, rows: &Tensor) -> Result<Tensor> {
    check_features(rows, autoencoder.config().n_features)?;
    if rows.dim(0)? == 0 {
        let shape = (0, autoencoder.n_encoded() + 1);
        return Ok(Tensor::zeros(shape, rows.dtype(), rows.device())?);
    }
    let rows = rows.contiguous()?;
    let is_there = rows.eq(&rows)?;
    let zeros = rows.zeros_like()?;
    let n_there = is_there.to_dtype(rows.dtype())?.sum_keepdim(1)?;
    let mut filled = is_there.where_cond(&rows, &zeros)?;
    let n_missing = rows.elem_count() as f64
        - n_there
            .to_dtype(DType::F64)?
            .sum_all()?
            .to_scalar::<f64>()?;
    if n_missing > 0. {
        for _ in 0..N_FILLINGS {
            let reconstruction = autoencoder.reconstruct(&filled)?;
            filled = is_there.where_cond(&rows, &reconstruction)?;
        }
    }
    let encoded = autoencoder.encode(&filled)?;
    let difference = (autoencoder.decode(&encoded)? - &filled)?.sqr()?;
    let difference = is_there.where_cond(&difference, &zeros)?;
    // 0 / 0 makes what it is to be where nothing is there.
    let error = (difference.sum_keepdim(1)? / &n_there)?;
    let error = ((error + LEAST_ERROR)?.log()? * 0.5)?;
    let nothing = (error.zeros_like()? / &n_there)?;
    let encoded = encoded.broadcast_add(&nothing)?;
    Ok(Tensor::cat(&[encoded, error], 1)?)
}

/// Columns of a matrix as numbers.
fn columns(rows: &Tensor) -> Result<Vec<Vec<f64>>> {
    let columns = transfer(&rows.t()?, DType::F64, &Device::Cpu)?;
    Ok(columns.contiguous()?.to_vec2()?)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Gain, shift and standard deviation about it of the line through x against z.
fn line(z: &[f64], x: &[f64]) -> (f64, f64, f64) {
    let (mean_z, mean_x) = (mean(z), mean(x));
    let pairs = || z.iter().zip(x).map(|(z, x)| (z - mean_z, x - mean_x));
    let variance: f64 = pairs().map(|(z, _)| z * z).sum();
    let covariance: f64 = pairs().map(|(z, x)| z * x).sum();
    let gain = if variance > 0. {
        covariance / variance
    } else {
        0.
    };
    let about: f64 = pairs().map(|(z, x)| (x - gain * z).powi(2)).sum();
    let std = (about / z.len() as f64).sqrt();
    (gain, mean_x - gain * mean_z, std)
}

/// How a [`ModeEncoder`] is made from clean rows.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use emma_energy::ModeEncoderFit;
/// use rand::SeedableRng;
///
/// // Waves of sixteen samples that differ in height alone.
/// let wave = |row: usize, at: usize| (row as f32 / 50.).cos() * (at as f32 / 2.).sin();
/// let values = (0..200 * 16).map(|i| wave(i / 16, i % 16)).collect();
/// let rows = Tensor::from_vec(values, (200, 16), &Device::Cpu)?;
/// let fit = ModeEncoderFit { hidden: vec![8, 1, 8], ..ModeEncoderFit::default() };
/// let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
/// let encoder = fit.fit(&rows, None, &mut rng)?;
/// assert_eq!(encoder.features(&rows)?.dims(), [200, 2]);
/// // Noise is seen in the error, the last feature.
/// let noise = encoder.feature_noise(&rows, &[1.], &mut rng)?;
/// assert!(noise[0].shift[1] > 1.);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModeEncoderFit {
    /// Units of the autoencoder's hidden layers; the narrowest are the features. Default 32, 6 and 32.
    pub hidden: Vec<usize>,
    /// How it is trained. Default noise of 2 standard deviations on every value: a wide mode has so many that their
    /// sums say through it what they said before, and what cannot be seen through it is not learned by heart.
    pub training: AutoencoderTraining,
    /// Where labels are given: what the cross-entropy of classes guessed from the features by a linear layer weighs
    /// beside the mean squared error of a value. Default 3; finite, not negative. An autoencoder alone keeps what
    /// most of the variance is of, which need not be what tells classes apart.
    pub label_weight: f64,
}

impl Default for ModeEncoderFit {
    fn default() -> Self {
        Self {
            hidden: vec![32, 6, 32],
            training: AutoencoderTraining {
                noise_std: 2.,
                ..AutoencoderTraining::default()
            },
            label_weight: 3.,
        }
    }
}

impl ModeEncoderFit {
    /// Trains an autoencoder on clean rows, in f32, by the mean over rows of `|r(x̃) − x|² / L`, to which labels,
    /// where given, add `label_weight` times the cross-entropy of a linear layer on `tanh(encode(x̃))`, which is then dropped.
    ///
    /// # Shapes
    /// - `rows`: `[n, L]`, clean and standardized
    /// - `labels`: n classes from 0 on, and how many classes there are
    ///
    /// # Errors
    /// [`Error::InvalidSetting`], also for another number of labels or such as are no class; [`Error::NoRows`],
    /// [`Error::NonFiniteRow`], and candle's.
    ///
    /// # Source
    /// L. Le, A. Patterson and M. White, "Supervised autoencoders" (2018).
    pub fn fit(
        &self,
        rows: &Tensor,
        labels: Option<(&[u32], usize)>,
        rng: &mut impl Rng,
    ) -> Result<ModeEncoder> {
        check_training_rows(rows)?;
        check_setting(
            self.label_weight.is_finite() && self.label_weight >= 0.,
            "label_weight",
            "finite and not negative",
            self.label_weight,
        )?;
        let (n_rows, n_features) = rows.dims2()?;
        let config = MlpAutoencoderConfig {
            n_features,
            hidden: self.hidden.clone(),
        };
        let variables = SeededVarMap::new(ChaCha8Rng::from_rng(rng));
        let vb = variables.var_builder(DType::F32, rows.device());
        let autoencoder = MlpAutoencoder::new(&config, &vb.pp("autoencoder"))?;
        let single = transfer(rows, DType::F32, rows.device())?;
        let error = |values: &Tensor, clean: &Tensor| -> Result<Tensor> {
            let residual = (autoencoder.decode(values)? - clean)?;
            Ok(residual.sqr()?.mean(D::Minus1)?.mean(0)?)
        };
        if let Some((labels, n_classes)) = labels {
            let valid =
                labels.len() == n_rows && labels.iter().all(|&label| (label as usize) < n_classes);
            check_setting(
                valid,
                "labels",
                "one class a row",
                format_args!("{} labels for {n_rows} rows", labels.len()),
            )?;
            let head = Affine::new(autoencoder.n_encoded(), n_classes, &vb.pp("head"))?;
            // Labels go along as columns, so that they are shuffled with their rows.
            let one_hot = one_hot(labels, n_classes, rows.device())?;
            let with_labels = Tensor::cat(&[single, one_hot], 1)?;
            let loss = |clean: &Tensor, corrupted: &Tensor| -> Result<Tensor> {
                let encoded = autoencoder.encode(&corrupted.narrow(1, 0, n_features)?)?;
                let log_probabilities = log_softmax(&head.forward(&encoded.tanh()?)?, D::Minus1)?;
                let one_hot = clean.narrow(1, n_features, n_classes)?;
                let entropy = (log_probabilities * one_hot)?.sum(1)?.mean(0)?.neg()?;
                let error = error(&encoded, &clean.narrow(1, 0, n_features)?)?;
                Ok((error + (entropy * self.label_weight)?)?)
            };
            minimize_denoising_loss(loss, &variables, &with_labels, &self.training, rng)?;
        } else {
            let loss =
                |clean: &Tensor, corrupted: &Tensor| error(&autoencoder.encode(corrupted)?, clean);
            minimize_denoising_loss(loss, &variables, &single, &self.training, rng)?;
        }
        let vb = variables.constants(rows.dtype(), rows.device())?;
        let autoencoder = MlpAutoencoder::new(&config, &vb.pp("autoencoder"))?;
        let raw = columns(&raw_features(&autoencoder, rows)?)?;
        let location: Vec<f64> = raw.iter().map(|values| mean(values)).collect();
        let scale: Vec<f64> = raw
            .iter()
            .zip(&location)
            .map(|(values, mean)| {
                let squares = values.iter().map(|value| (value - mean).powi(2));
                (squares.sum::<f64>() / n_rows as f64).sqrt().max(LEAST_STD)
            })
            .collect();
        let rounded = |values: Vec<f64>| -> Result<Tensor> {
            let n = values.len();
            // As a file will hold them.
            let values = Tensor::from_vec(values, n, &Device::Cpu)?.to_dtype(DType::F32)?;
            Ok(transfer(&values, rows.dtype(), rows.device())?)
        };
        Ok(ModeEncoder {
            autoencoder,
            location: rounded(location)?,
            scale: rounded(scale)?,
        })
    }
}

fn one_hot(labels: &[u32], n_classes: usize, device: &Device) -> Result<Tensor> {
    let mut values = vec![0f32; labels.len() * n_classes];
    for (row, &label) in values.chunks_exact_mut(n_classes.max(1)).zip(labels) {
        if let Some(value) = row.get_mut(label as usize) {
            *value = 1.;
        }
    }
    let values = Tensor::from_vec(values, (labels.len(), n_classes), &Device::Cpu)?;
    Ok(transfer(&values, DType::F32, device)?)
}
