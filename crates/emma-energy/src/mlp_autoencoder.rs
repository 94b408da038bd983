//! Autoencoder of several layers with weights of their own.

use std::collections::BTreeMap;

use candle_core::{D, DType, Tensor};
use candle_nn::{Module, VarBuilder};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::affine::{Affine, FARTHEST_SEEN};
use crate::error::{Result, check_features, check_setting};
use crate::estimator::{EnergyEstimator, FittedEstimator};
use crate::estimator_config::EstimatorConfig;
use crate::seeded_var_map::SeededVarMap;
use crate::training::{AutoencoderTraining, minimize_denoising_loss};
use crate::training_rows::check_training_rows;
use crate::transfer::transfer;

/// Sizes of an [`MlpAutoencoder`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MlpAutoencoderConfig {
    /// Features per row, L. Default 4 (one mode of HTRU2); at least 1.
    pub n_features: usize,
    /// Units of the hidden layers, encoder and decoder, in order. Default 8, 2 and 8; at least one
    /// layer, each of at least 1. If the narrowest has fewer units than there are features, it is
    /// a bottleneck and the autoencoder undercomplete.
    pub hidden: Vec<usize>,
}

impl Default for MlpAutoencoderConfig {
    fn default() -> Self {
        Self {
            n_features: 4,
            hidden: vec![8, 2, 8],
        }
    }
}

/// Autoencoder of any number of hidden layers, untied weights, hyperbolic tangents and a linear
/// output.
///
/// `h_0 = x`, `h_k = tanh(W_k h_(k−1) + b_k)` for every hidden layer, `r(x) = W_K h_(K−1) + b_K`.
///
/// With a bottleneck, it is a nonlinear principal component analysis: it can only reproduce rows
/// near a surface of as many dimensions as the bottleneck has units. Without one and trained to
/// denoise, it is the stacked denoising autoencoder. Its field `r(x) − x` has no potential: its
/// Jacobian is not symmetric (thesis section 4.4). Where that matters, use an
/// [`IntegrableEnergy`](crate::IntegrableEnergy).
///
/// # Parameters
/// Under the path of the `VarBuilder`: `layers.{k}.weight` `[out, in]` and `layers.{k}.bias`
/// `[out]` for k = 0, 1, …; fresh ones are uniform within `±1/sqrt(in)`.
///
/// # Source
/// Thesis section 4.1; Scholz, Fraunholz and Selbig, "Nonlinear principal component analysis:
/// neural network models and applications" (2008).
/// Deviation: several hidden layers, and tanh for the thesis's h. One sigmoid layer narrower than
/// the row spans little more than linear principal components.
#[derive(Debug, Clone)]
pub struct MlpAutoencoder {
    config: MlpAutoencoderConfig,
    layers: Vec<Affine>,
}

impl MlpAutoencoder {
    /// Takes the parameters from `vb`, drawing them if it can.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`](crate::Error::InvalidSetting) for a size of zero or no hidden layer; candle's if a stored tensor
    /// is missing or has another shape.
    pub fn new(config: &MlpAutoencoderConfig, vb: &VarBuilder) -> Result<Self> {
        let MlpAutoencoderConfig { n_features, hidden } = config;
        check_setting(*n_features > 0, "n_features", "at least 1", n_features)?;
        check_setting(
            !hidden.is_empty() && !hidden.contains(&0),
            "hidden",
            "at least one layer of at least 1 unit",
            format!("{hidden:?}"),
        )?;
        let mut layers = Vec::new();
        let mut inputs = *n_features;
        for &outputs in hidden.iter().chain([n_features]) {
            let vb = vb.pp("layers").pp(layers.len());
            layers.push(Affine::new(inputs, outputs, &vb)?);
            inputs = outputs;
        }
        Ok(Self {
            config: config.clone(),
            layers,
        })
    }

    /// Its sizes.
    pub fn config(&self) -> &MlpAutoencoderConfig {
        &self.config
    }

    /// Its parameters by the names that [`new`](Self::new) asks for.
    pub fn tensors(&self) -> BTreeMap<String, Tensor> {
        let mut tensors = BTreeMap::new();
        for (k, layer) in self.layers.iter().enumerate() {
            layer.insert_tensors(&format!("layers.{k}"), &mut tensors);
        }
        tensors
    }

    /// Reconstruction r(x). Readings beyond a million are seen as a million.
    ///
    /// # Shapes
    /// - `rows`: `[n, L]`
    /// - returns `[n, L]`
    ///
    /// # Units
    /// Those of the rows.
    ///
    /// # Errors
    /// [`Error::FeatureCount`](crate::Error::FeatureCount) for rows of another width.
    pub fn reconstruct(&self, rows: &Tensor) -> Result<Tensor> {
        self.decode(&self.encode(rows)?)
    }

    /// Units of the narrowest hidden layer, the first of equals.
    pub fn n_encoded(&self) -> usize {
        self.config.hidden[self.bottleneck()]
    }

    /// Place of the narrowest hidden layer, the first of equals.
    fn bottleneck(&self) -> usize {
        let hidden = &self.config.hidden;
        (0..hidden.len())
            .min_by_key(|&layer| hidden[layer])
            .unwrap_or(0)
    }

    /// What the units of the narrowest hidden layer k are given, before their tanh: `W_k h_(k−1) + b_k`. Readings
    /// beyond a million are seen as a million.
    ///
    /// # Shapes
    /// - `rows`: `[n, L]`
    /// - returns `[n, units]`, as many as [`n_encoded`](Self::n_encoded) says
    ///
    /// # Errors
    /// [`Error::FeatureCount`](crate::Error::FeatureCount) for rows of another width.
    pub fn encode(&self, rows: &Tensor) -> Result<Tensor> {
        check_features(rows, self.config.n_features)?;
        let layers = &self.layers[..=self.bottleneck()];
        through(layers, rows.clamp(-FARTHEST_SEEN, FARTHEST_SEEN)?)
    }

    /// The row that the units of the narrowest hidden layer stand for.
    ///
    /// # Shapes
    /// - `encoded`: `[n, units]`, as [`encode`](Self::encode) gives them
    /// - returns `[n, L]`
    ///
    /// # Errors
    /// [`Error::FeatureCount`](crate::Error::FeatureCount) for another number of units.
    pub fn decode(&self, encoded: &Tensor) -> Result<Tensor> {
        check_features(encoded, self.n_encoded())?;
        through(&self.layers[self.bottleneck() + 1..], encoded.tanh()?)
    }

    /// Squared reconstruction error `|r(x) − x|²` of every row. The reconstruction is bounded, so a
    /// row far enough out has more than any other.
    ///
    /// # Shapes
    /// - `rows`: `[n, L]`
    /// - returns `[n]`
    ///
    /// # Units
    /// Squared units of the rows.
    ///
    /// # Errors
    /// [`Error::FeatureCount`](crate::Error::FeatureCount) for rows of another width.
    ///
    /// # Source
    /// Thesis section 4.1: on clean rows, its mean is the loss of an undercomplete autoencoder.
    pub fn reconstruction_error(&self, rows: &Tensor) -> Result<Tensor> {
        Ok((self.reconstruct(rows)? - rows)?.sqr()?.sum(D::Minus1)?)
    }
}

/// Through several layers, with a tanh between two.
fn through(layers: &[Affine], mut values: Tensor) -> Result<Tensor> {
    for (k, layer) in layers.iter().enumerate() {
        if k > 0 {
            values = values.tanh()?;
        }
        values = layer.forward(&values)?;
    }
    Ok(values)
}

impl Module for MlpAutoencoder {
    /// The reconstruction, as [`MlpAutoencoder::reconstruct`].
    fn forward(&self, rows: &Tensor) -> candle_core::Result<Tensor> {
        self.reconstruct(rows).map_err(candle_core::Error::wrap)
    }
}

/// The [squared reconstruction error](MlpAutoencoder::reconstruction_error) as an
/// [`EnergyEstimator`].
#[derive(Debug, Clone)]
pub struct MlpReconstructionError(pub MlpAutoencoder);

impl EnergyEstimator for MlpReconstructionError {
    fn n_features(&self) -> usize {
        self.0.config.n_features
    }

    fn energy(&self, rows: &Tensor) -> Result<Tensor> {
        self.0.reconstruction_error(rows)
    }
}

impl FittedEstimator for MlpReconstructionError {
    fn config(&self) -> EstimatorConfig {
        EstimatorConfig::MlpReconstructionError(self.0.config.clone())
    }

    fn tensors(&self) -> BTreeMap<String, Tensor> {
        self.0.tensors()
    }
}

/// How an [`MlpAutoencoder`] is made from clean rows.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use emma_energy::{EnergyEstimator, MlpAutoencoderFit};
/// use rand::SeedableRng;
///
/// # fn main() -> emma_energy::Result<()> {
/// // Clean rows on a line in the plane.
/// let rows: Vec<Vec<f32>> = (0..200u8).map(|i| vec![f32::from(i) / 100. - 1.; 2]).collect();
/// let mut fit = MlpAutoencoderFit {
///     hidden: vec![8, 1, 8],
///     ..MlpAutoencoderFit::default()
/// };
/// fit.training.learning_rate = 1e-2;
/// let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(1);
/// let estimator = fit.fit(&Tensor::new(rows, &Device::Cpu)?, rng)?;
/// let probes = Tensor::new(&[[0.5f32, 0.5], [0.5, -0.5]], &Device::Cpu)?;
/// let energies = estimator.energy(&probes)?.to_vec1::<f32>()?;
/// assert!(energies[0] < energies[1]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MlpAutoencoderFit {
    /// Units of the hidden layers, as in [`MlpAutoencoderConfig::hidden`].
    pub hidden: Vec<usize>,
    /// How it is trained. Default as for a denoising autoencoder, but with `noise_std` 0: an
    /// undercomplete autoencoder learns from clean rows (section 4.1). Positive noise makes it a
    /// stacked denoising autoencoder.
    pub training: AutoencoderTraining,
}

impl Default for MlpAutoencoderFit {
    fn default() -> Self {
        Self {
            hidden: MlpAutoencoderConfig::default().hidden,
            training: AutoencoderTraining {
                noise_std: 0.,
                ..AutoencoderTraining::default()
            },
        }
    }
}

impl MlpAutoencoderFit {
    /// Trains an autoencoder on clean rows, in f32, by the mean over rows of `|r(x̃) − x|²`, and gives
    /// its reconstruction error in the rows' type.
    ///
    /// # Shapes
    /// - `rows`: `[n, L]`, clean and standardized
    ///
    /// # Errors
    /// [`Error::InvalidSetting`](crate::Error::InvalidSetting), [`Error::NoRows`](crate::Error::NoRows), [`Error::NonFiniteRow`](crate::Error::NonFiniteRow), and candle's.
    pub fn fit(&self, rows: &Tensor, rng: &mut impl Rng) -> Result<MlpReconstructionError> {
        check_training_rows(rows)?;
        let (_, n_features) = rows.dims2()?;
        let config = MlpAutoencoderConfig {
            n_features,
            hidden: self.hidden.clone(),
        };
        let variables = SeededVarMap::new(ChaCha8Rng::from_rng(rng));
        let vb = variables.var_builder(DType::F32, rows.device());
        let autoencoder = MlpAutoencoder::new(&config, &vb)?;
        let single = transfer(rows, DType::F32, rows.device())?;
        let loss = |clean: &Tensor, corrupted: &Tensor| {
            let residual = (autoencoder.reconstruct(corrupted)? - clean)?;
            Ok(residual.sqr()?.sum(D::Minus1)?.mean(0)?)
        };
        minimize_denoising_loss(loss, &variables, &single, &self.training, rng)?;
        let vb = variables.constants(rows.dtype(), rows.device())?;
        Ok(MlpReconstructionError(MlpAutoencoder::new(&config, &vb)?))
    }
}
