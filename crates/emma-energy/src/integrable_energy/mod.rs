//! Energy of a deep network, whose reconstruction field has a potential by construction.

mod activation;
mod architecture;
mod fit;
mod grid;
mod layer;

use std::collections::BTreeMap;

use candle_core::{D, Tensor};
use candle_nn::{Init, VarBuilder};
use serde::{Deserialize, Serialize};

use crate::affine::{FARTHEST_SEEN, first_values, row_linear};
use crate::error::{Error, Result};
use crate::estimator::{EnergyEstimator, FittedEstimator};
use crate::estimator_config::EstimatorConfig;

pub use activation::Activation;
pub use architecture::Architecture;
pub use fit::{IntegrableEnergyFit, score_matching_loss};

use architecture::Convolutions;
use layer::Layer;

/// Sizes of an [`IntegrableEnergy`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IntegrableEnergyConfig {
    /// Features per row, L. Default 4 (one mode of HTRU2); at least 1.
    pub n_features: usize,
    /// The network's layers. Default two dense ones of 64 units.
    pub architecture: Architecture,
    /// What its units make of their input. Default tanh.
    pub activation: Activation,
}

impl Default for IntegrableEnergyConfig {
    fn default() -> Self {
        Self {
            n_features: 4,
            architecture: Architecture::default(),
            activation: Activation::default(),
        }
    }
}

/// Numbers that scoring holds of one layer at once: 32 MiB in f64.
const WORKING_SIZE: usize = 1 << 22;

/// Energy whose gradient a deep network gives: a potential of any depth, dense or convolutional.
///
/// `Φ(x) = |x − c|² / 2 + N(x)`, with N a network of one output:
/// `N(x) = v · h_K`, `h_k = a(A_k h_(k−1) + b_k)`, `h_0 = x`, a the [`Activation`] and A_k dense or
/// convolutional.
///
/// The thesis's potential needs tied weights and one hidden layer; deeper autoencoders have fields
/// without a potential (section 4.4). Here the order is turned around: the scalar comes first,
/// and its field `r(x) − x = −∂Φ/∂x` has a potential because it is made of one. It is trained
/// like a denoising autoencoder ([`IntegrableEnergyFit`]), to reconstruct `r(x̃) = x̃ − ∂Φ/∂x̃`
/// close to x. The gradient is written out layer by layer, because candle does not differentiate
/// gradients: `r(x) = c − A_1ᵀ(a′_1 ⊙ A_2ᵀ(a′_2 ⊙ … A_Kᵀ(a′_K ⊙ v)))`, with a′_k the activation's
/// slopes on the way forward.
///
/// One softplus layer with `v = −1` is the thesis's eq. 4.7.
///
/// # Far rows
/// N sees a reading no farther out than a million, where its input is clipped. So N is bounded, and
/// `Φ(x) ≥ |x − c|² / 2 − constant`: a row far enough out has more energy than any other, whatever
/// the parameters are.
///
/// # Parameters
/// Under the path of the `VarBuilder`: `center` `[L]` (c), `layers.{k}.weight` and
/// `layers.{k}.bias` for k = 0, 1, … (`[out, in]` and `[out]`; of a convolution
/// `[channels, kernel places · channels before]`), `output_weight` `[1, units]` (v). Fresh ones
/// are uniform within `±1/sqrt(in)`, the center is zero.
///
/// # Source
/// Vincent, "A connection between score matching and denoising autoencoders" (2011), section 4.3,
/// for the energy behind the autoencoder; Saremi, Mehrjou, Schölkopf and Hyvärinen, "Deep energy
/// estimator networks" (2018), for any depth.
#[derive(Debug, Clone)]
pub struct IntegrableEnergy {
    config: IntegrableEnergyConfig,
    center: Tensor,
    layers: Vec<Layer>,
    output_weight: Tensor,
}

impl IntegrableEnergy {
    /// Takes the parameters from `vb`, drawing them if it can.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for sizes out of their ranges; candle's if a stored tensor is
    /// missing or has another shape.
    pub fn new(config: &IntegrableEnergyConfig, vb: &VarBuilder) -> Result<Self> {
        let n_features = config.n_features;
        let architecture = &config.architecture;
        architecture.validate(n_features)?;
        let center = vb.get_with_hints(n_features, "center", Init::Const(0.))?;
        let layers_vb = vb.pp("layers");
        let mut layers = Vec::new();
        let mut width = n_features;
        if let Some(convolutions) = architecture.convolutions(n_features) {
            let Convolutions {
                mut grid,
                kernel,
                stride,
                channels,
            } = convolutions;
            let mut before = 1;
            for &channels in channels {
                let vb = layers_vb.pp(layers.len());
                let channels_of = (before, channels);
                layers.push(Layer::convolution(grid, kernel, stride, channels_of, &vb)?);
                grid = grid.strided(stride);
                before = channels;
            }
            width = grid.n_places() * before;
        }
        for &units in architecture.hidden() {
            let vb = layers_vb.pp(layers.len());
            layers.push(Layer::dense(width, units, &vb)?);
            width = units;
        }
        Ok(Self {
            config: config.clone(),
            center,
            layers,
            output_weight: vb.get_with_hints((1, width), "output_weight", first_values(width))?,
        })
    }

    /// Its sizes.
    pub fn config(&self) -> &IntegrableEnergyConfig {
        &self.config
    }

    /// Its parameters by the names that [`new`](Self::new) asks for.
    pub fn tensors(&self) -> BTreeMap<String, Tensor> {
        let mut tensors = BTreeMap::from([
            ("center".to_owned(), self.center.clone()),
            ("output_weight".to_owned(), self.output_weight.clone()),
        ]);
        for (k, layer) in self.layers.iter().enumerate() {
            layer.insert_tensors(&format!("layers.{k}"), &mut tensors);
        }
        tensors
    }

    /// Energy Φ(x) of every row. Its gradient is `−field(x)`.
    ///
    /// # Shapes
    /// - `rows`: `[n, L]`
    /// - returns `[n]`; a row's value never depends on the other rows, bit for bit on the CPU
    ///
    /// # Units
    /// Squared units of the rows. Up to a constant, which is why it may be negative.
    ///
    /// # Errors
    /// [`Error::FeatureCount`] for rows of another width.
    pub fn energy(&self, rows: &Tensor) -> Result<Tensor> {
        self.in_chunks(rows, |rows| {
            let mut values = rows.clamp(-FARTHEST_SEEN, FARTHEST_SEEN)?;
            for layer in &self.layers {
                values = self.config.activation.value(&layer.forward(&values)?)?;
            }
            let network = row_linear(&values, &self.output_weight)?.squeeze(1)?;
            let deviation = rows.broadcast_sub(&self.center)?;
            let quadratic = (deviation.sqr()?.sum(D::Minus1)? * 0.5)?;
            Ok((quadratic + network)?)
        })
    }

    /// Reconstruction `r(x) = x − ∂Φ/∂x`: where the row would be, were it a likelier one.
    ///
    /// # Shapes
    /// - `rows`: `[n, L]`
    /// - returns `[n, L]`
    ///
    /// # Units
    /// Those of the rows.
    ///
    /// # Errors
    /// [`Error::FeatureCount`] for rows of another width.
    pub fn reconstruct(&self, rows: &Tensor) -> Result<Tensor> {
        self.in_chunks(rows, |rows| {
            let mut values = rows.clamp(-FARTHEST_SEEN, FARTHEST_SEEN)?;
            let mut slopes = Vec::new();
            for layer in &self.layers {
                let input = layer.forward(&values)?;
                let (value, slope) = self.config.activation.value_and_slope(&input)?;
                values = value;
                slopes.push(slope);
            }
            // Backwards: what the network's output gains per unit of each layer's output.
            let mut gradient = self.output_weight.broadcast_as(values.shape())?;
            for (layer, slope) in self.layers.iter().zip(&slopes).rev() {
                gradient = layer.transposed(&(slope * gradient)?)?;
            }
            // Where the input is clipped the network is constant.
            let seen = rows.abs()?.le(FARTHEST_SEEN)?.to_dtype(rows.dtype())?;
            Ok((gradient * seen)?.neg()?.broadcast_add(&self.center)?)
        })
    }

    /// Reconstruction field `r(x) − x = −∂Φ/∂x`: the force towards likelier rows.
    ///
    /// # Shapes
    /// - `rows`: `[n, L]`
    /// - returns `[n, L]`
    ///
    /// # Units
    /// Those of the rows.
    ///
    /// # Errors
    /// [`Error::FeatureCount`] for rows of another width.
    ///
    /// # Source
    /// Thesis eq. 4.4 and 4.5, for a network of any depth.
    pub fn field(&self, rows: &Tensor) -> Result<Tensor> {
        Ok((self.reconstruct(rows)? - rows)?)
    }

    /// The function of all rows, computed for so many at a time that a convolution's intermediate
    /// tensors stay small.
    fn in_chunks(
        &self,
        rows: &Tensor,
        function: impl Fn(&Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        if rows.rank() != 2 || rows.dims()[1] != self.config.n_features {
            return Err(Error::FeatureCount {
                expected: self.config.n_features,
                found: rows.dims().to_vec(),
            });
        }
        let n_rows = rows.dim(0)?;
        let sizes = self.layers.iter().map(Layer::working_size);
        let chunk = (WORKING_SIZE / sizes.max().unwrap_or(1).max(1)).max(1);
        if n_rows <= chunk {
            return function(rows);
        }
        let results = (0..n_rows)
            .step_by(chunk)
            .map(|start| function(&rows.narrow(0, start, chunk.min(n_rows - start))?))
            .collect::<Result<Vec<_>>>()?;
        Ok(Tensor::cat(&results, 0)?)
    }
}

impl EnergyEstimator for IntegrableEnergy {
    fn n_features(&self) -> usize {
        self.config.n_features
    }

    fn energy(&self, rows: &Tensor) -> Result<Tensor> {
        self.energy(rows)
    }
}

impl FittedEstimator for IntegrableEnergy {
    fn config(&self) -> EstimatorConfig {
        EstimatorConfig::IntegrableEnergy(self.config.clone())
    }

    fn tensors(&self) -> BTreeMap<String, Tensor> {
        self.tensors()
    }
}
