//! Denoising autoencoder with tied weights.

use std::collections::BTreeMap;

use candle_core::{D, Tensor};
use candle_nn::{Init, Module, VarBuilder};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, check_setting};
use crate::row_affine::row_affine;

/// Sizes of a [`DenoisingAutoencoder`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AutoencoderConfig {
    /// Features per row, L. Default 4 (one mode of HTRU2); at least 1.
    pub n_features: usize,
    /// Hidden units, U. Default 12 (thesis section 6.3); at least 1. More than L makes the
    /// autoencoder overcomplete, which the potential needs to be a useful energy.
    pub n_hidden: usize,
}

impl Default for AutoencoderConfig {
    fn default() -> Self {
        Self {
            n_features: 4,
            n_hidden: 12,
        }
    }
}

/// First weights are uniform within this over the square root of the number of features.
///
/// Small, so that the potential starts as a plain quadratic bowl and takes only the curvature that
/// the rows ask for. Tied weights of the usual size (1) start with twelve ridges of their own,
/// some of which stay: on HTRU2's validation rows the area under the ROC curve of clean against
/// noisy rows is then lower and differs more between seeds.
const FIRST_WEIGHTS: f64 = 0.1;

/// Autoencoder of one hidden layer with tied weights, sigmoid units and a linear decoder.
///
/// `f(x) = sigmoid(W x + b_f)`, `r(x) = Wᵀ f(x) + b_g`. Trained to undo small Gaussian noise
/// (eq. 4.1), `r(x) − x` points towards likelier rows; because the weights are tied it is the
/// gradient of a scalar, whose negative is the [potential energy](crate::potential_energy()).
///
/// # Parameters
/// Under the path of the `VarBuilder`: `weight` `[U, L]`, `encoder_bias` `[U]`, `decoder_bias`
/// `[L]`. Fresh weights are uniform within `±0.1/sqrt(L)`, fresh biases zero.
///
/// # Source
/// Thesis section 4.1; Kamyshanska and Memisevic, "The potential energy of an autoencoder" (2014).
#[derive(Debug, Clone)]
pub struct DenoisingAutoencoder {
    weight: Tensor,
    encoder_bias: Tensor,
    decoder_bias: Tensor,
}

impl DenoisingAutoencoder {
    /// Takes the three parameters from `vb`, drawing them if it can.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for a size of zero; candle's if a stored tensor is missing or
    /// has another shape.
    pub fn new(config: &AutoencoderConfig, vb: &VarBuilder) -> Result<Self> {
        let AutoencoderConfig {
            n_features,
            n_hidden,
        } = *config;
        check_setting(n_features > 0, "n_features", "at least 1", n_features)?;
        check_setting(n_hidden > 0, "n_hidden", "at least 1", n_hidden)?;
        let bound = FIRST_WEIGHTS / (n_features as f64).sqrt();
        let weights = Init::Uniform {
            lo: -bound,
            up: bound,
        };
        let zero = Init::Const(0.);
        Ok(Self {
            weight: vb.get_with_hints((n_hidden, n_features), "weight", weights)?,
            encoder_bias: vb.get_with_hints(n_hidden, "encoder_bias", zero)?,
            decoder_bias: vb.get_with_hints(n_features, "decoder_bias", zero)?,
        })
    }

    /// Its sizes.
    pub fn config(&self) -> AutoencoderConfig {
        AutoencoderConfig {
            n_features: self.n_features(),
            n_hidden: self.n_hidden(),
        }
    }

    /// Its three parameters by the names that [`new`](Self::new) asks for.
    pub fn tensors(&self) -> BTreeMap<String, Tensor> {
        BTreeMap::from([
            ("weight".to_owned(), self.weight.clone()),
            ("encoder_bias".to_owned(), self.encoder_bias.clone()),
            ("decoder_bias".to_owned(), self.decoder_bias.clone()),
        ])
    }

    /// Features per row, L.
    pub fn n_features(&self) -> usize {
        self.decoder_bias.elem_count()
    }

    /// Hidden units, U.
    pub fn n_hidden(&self) -> usize {
        self.encoder_bias.elem_count()
    }

    /// Tied weights W, `[U, L]`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// Bias of the hidden layer b_f, `[U]`.
    pub fn encoder_bias(&self) -> &Tensor {
        &self.encoder_bias
    }

    /// Bias of the reconstruction b_g, `[L]`.
    pub fn decoder_bias(&self) -> &Tensor {
        &self.decoder_bias
    }

    /// Input of the hidden units, `W x + b_f`.
    ///
    /// # Shapes
    /// - `rows`: `[n, L]`
    /// - returns `[n, U]`
    ///
    /// # Errors
    /// [`Error::FeatureCount`] for rows of another width.
    pub fn pre_activation(&self, rows: &Tensor) -> Result<Tensor> {
        self.check_rows(rows)?;
        Ok(row_affine(rows, &self.weight, &self.encoder_bias)?)
    }

    /// Reconstruction `r(x) = Wᵀ sigmoid(W x + b_f) + b_g`.
    ///
    /// # Shapes
    /// - `rows`: `[n, L]`
    /// - returns `[n, L]`
    ///
    /// # Units
    /// Those of the rows (standard scores, if the rows are standardized).
    ///
    /// # Errors
    /// [`Error::FeatureCount`] for rows of another width.
    ///
    /// # Source
    /// Thesis section 4.1.
    pub fn reconstruct(&self, rows: &Tensor) -> Result<Tensor> {
        let hidden = candle_nn::ops::sigmoid(&self.pre_activation(rows)?)?;
        Ok(row_affine(&hidden, &self.weight.t()?, &self.decoder_bias)?)
    }

    /// Squared reconstruction error `|r(x) − x|²` of every row, the estimator that the potential
    /// energy replaces: it is small at sources of the field as well as at sinks.
    ///
    /// # Shapes
    /// - `rows`: `[n, L]`
    /// - returns `[n]`
    ///
    /// # Units
    /// Squared units of the rows.
    ///
    /// # Errors
    /// [`Error::FeatureCount`] for rows of another width.
    ///
    /// # Source
    /// Thesis section 4.2.
    pub fn reconstruction_error(&self, rows: &Tensor) -> Result<Tensor> {
        Ok((self.reconstruct(rows)? - rows)?.sqr()?.sum(D::Minus1)?)
    }

    /// The same autoencoder outside the reach of training: its parameters are constants.
    #[must_use]
    pub fn frozen(&self) -> Self {
        Self {
            weight: self.weight.detach(),
            encoder_bias: self.encoder_bias.detach(),
            decoder_bias: self.decoder_bias.detach(),
        }
    }

    pub(crate) fn check_rows(&self, rows: &Tensor) -> Result<()> {
        if rows.rank() == 2 && rows.dims()[1] == self.n_features() {
            return Ok(());
        }
        Err(Error::FeatureCount {
            expected: self.n_features(),
            found: rows.dims().to_vec(),
        })
    }
}

impl Module for DenoisingAutoencoder {
    /// The reconstruction, as [`DenoisingAutoencoder::reconstruct`].
    fn forward(&self, rows: &Tensor) -> candle_core::Result<Tensor> {
        self.reconstruct(rows).map_err(candle_core::Error::wrap)
    }
}
