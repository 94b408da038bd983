//! A joint density that sees wide modes through features of their autoencoders.

use std::collections::BTreeMap;

use candle_core::Tensor;
use emma_energy::{
    ComponentChoice, GaussianMixtureFit, JointDensity, JointDensityFit, JointPosterior,
    ModeEncoder, ModeEncoderFit,
};
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A [`JointDensity`] of modes some of which are too wide for it: a mixture of Gaussians over a thousand values has
/// covariances of a million. Such a mode stands in the density as few features of its autoencoder
/// ([`ModeEncoder`]), and what noise does to the features is measured
/// ([`JointDensityConfig::feature_noise`](emma_energy::JointDensityConfig::feature_noise)), so that energies remain
/// about the noise of the mode itself.
///
/// # Source
/// This implementation.
#[derive(Debug, Clone)]
pub struct EncodedDensity {
    /// One entry a mode, none where the density has it as it is; empty where it has all so.
    encoders: Vec<Option<ModeEncoder>>,
    density: JointDensity,
}

impl From<JointDensity> for EncodedDensity {
    /// All modes as they are.
    fn from(density: JointDensity) -> Self {
        Self {
            encoders: Vec::new(),
            density,
        }
    }
}

impl EncodedDensity {
    /// Puts encoders in front of a density of their features.
    ///
    /// # Errors
    /// [`Error::ModeCount`] unless there is an entry for each mode or none at all; [`Error::InvalidSetting`] if an
    /// encoder has another number of features than the density has for the mode.
    pub fn new(encoders: Vec<Option<ModeEncoder>>, density: JointDensity) -> Result<Self> {
        let widths = &density.config().mode_widths;
        if !encoders.is_empty() && encoders.len() != widths.len() {
            return Err(Error::ModeCount {
                expected: widths.len(),
                found: encoders.len(),
            });
        }
        for (encoder, &width) in encoders.iter().zip(widths) {
            if let Some(encoder) = encoder
                && encoder.n_features() != width
            {
                return Err(Error::InvalidSetting {
                    name: "encoders",
                    expected: "as many features as the density has",
                    found: format!("{} for {width}", encoder.n_features()),
                });
            }
        }
        Ok(Self { encoders, density })
    }

    /// The encoder of every mode that has one, in order; empty where no mode has.
    pub fn encoders(&self) -> &[Option<ModeEncoder>] {
        &self.encoders
    }

    /// The density of what [`features`](Self::features) gives.
    pub fn density(&self) -> &JointDensity {
        &self.density
    }

    fn encoder(&self, mode: usize) -> Option<&ModeEncoder> {
        self.encoders.get(mode).and_then(Option::as_ref)
    }

    /// Modes as the density has them: features of those with an encoder, the others as they are.
    ///
    /// # Shapes
    /// - `modes`: one `[n, L_i]` a mode; NaN where a value is missing
    /// - returns `[n, K_i + 1]` for a mode with an encoder, else the mode
    ///
    /// # Errors
    /// [`Error::ModeCount`], and those of [`ModeEncoder::features`].
    pub fn features(&self, modes: &[Tensor]) -> Result<Vec<Tensor>> {
        let expected = self.density.config().mode_widths.len();
        if modes.len() != expected {
            return Err(Error::ModeCount {
                expected,
                found: modes.len(),
            });
        }
        let modes = modes.iter().enumerate();
        modes
            .map(|(index, mode)| match self.encoder(index) {
                Some(encoder) => Ok(encoder.features(mode)?),
                None => Ok(mode.clone()),
            })
            .collect()
    }

    /// From what the density has of the modes, such as [`JointPosterior::expectation`], to the modes themselves.
    ///
    /// # Shapes
    /// - `features`: as [`features`](Self::features) gives them
    /// - returns one `[n, L_i]` a mode
    ///
    /// # Errors
    /// Those of [`ModeEncoder::decode`].
    pub fn decode(&self, features: &[Tensor]) -> Result<Vec<Tensor>> {
        let features = features.iter().enumerate();
        features
            .map(|(index, features)| match self.encoder(index) {
                Some(encoder) => Ok(encoder.decode(features)?),
                None => Ok(features.clone()),
            })
            .collect()
    }

    /// What the density says about rows; its expectation is one of features.
    ///
    /// # Errors
    /// Those of [`features`](Self::features) and [`JointDensity::posterior`].
    pub fn posterior(&self, modes: &[Tensor]) -> Result<JointPosterior> {
        Ok(self.density.posterior(&self.features(modes)?)?)
    }

    /// What EMMA+'s network is given of rows: modes, repaired modes, log-odds, energies, the modes as the density has
    /// them; nothing of it is NaN.
    ///
    /// # Shapes
    /// - `modes`: one `[n, L_i]` a mode, standardized; NaN where a value is missing
    ///
    /// # Errors
    /// Those of [`posterior`](Self::posterior).
    pub fn prepare(&self, modes: &[Tensor]) -> Result<Vec<Tensor>> {
        let modes = self.features(modes)?;
        let posterior = self.density.posterior(&modes)?;
        let mut prepared = Vec::with_capacity(2 * modes.len() + 2);
        for (mode, repaired) in modes.iter().zip(&posterior.expectation) {
            prepared.push(filled(mode, repaired)?);
        }
        prepared.extend(posterior.expectation.iter().cloned());
        prepared.push(posterior.log_odds()?);
        prepared.push(posterior.energies);
        Ok(prepared)
    }

    /// All parameters by name: the density's, and under `encoders.{mode}` those of each encoder.
    pub fn tensors(&self) -> BTreeMap<String, Tensor> {
        let mut tensors = self.density.tensors();
        for (mode, encoder) in self.encoders.iter().enumerate() {
            let own = encoder.iter().flat_map(ModeEncoder::tensors);
            tensors.extend(own.map(|(name, tensor)| (format!("encoders.{mode}.{name}"), tensor)));
        }
        tensors
    }
}

/// The mode where it is there, its repair where not.
fn filled(mode: &Tensor, repaired: &Tensor) -> Result<Tensor> {
    if mode.elem_count() == 0 {
        return Ok(mode.clone());
    }
    let mode = mode.contiguous()?;
    Ok(mode.eq(&mode)?.where_cond(&mode, repaired)?)
}

/// How an [`EncodedDensity`] is fitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EncodedDensityFit {
    /// Modes of more values than this get an encoder. Default 16.
    pub widest_mode: usize,
    /// How encoders are trained.
    pub encoder: ModeEncoderFit,
    /// How the density is fitted; its [`classes`](JointDensityFit::classes) where no mode has an encoder, else
    /// [`encoded_classes`](Self::encoded_classes). Components are as many as these say, or fewer where rows are few.
    pub density: JointDensityFit,
    /// The mixture of each class where any mode has an encoder; the last goes for all classes from there on. Default 20
    /// components for class 0 and 8 for all others, with a covariance floor of 1e-3: lower ones did worse on validation
    /// rows of the simulated survey, perhaps because encoders know the rows that the density is fitted to.
    pub encoded_classes: Vec<GaussianMixtureFit>,
    /// Rows of a class for each component, at least. Default 25.
    pub rows_per_component: usize,
    /// Rows of a class for each component and feature, at least. Default 5.
    pub rows_per_feature: usize,
}

impl Default for EncodedDensityFit {
    fn default() -> Self {
        let of = |n_components| GaussianMixtureFit {
            components: ComponentChoice::Fixed(n_components),
            n_starts: 1,
            ..GaussianMixtureFit::default()
        };
        Self {
            widest_mode: 16,
            encoder: ModeEncoderFit::default(),
            density: JointDensityFit::default(),
            encoded_classes: vec![of(20), of(8)],
            rows_per_component: 25,
            rows_per_feature: 5,
        }
    }
}

impl EncodedDensityFit {
    /// Trains the encoders of wide modes, measures what noise does to their features, and fits a density to the features
    /// of clean rows.
    ///
    /// # Shapes
    /// - `modes`: one `[n, L_i]` a mode, clean, finite and standardized
    /// - `labels`: n classes, 0 to `n_classes` − 1
    ///
    /// # Errors
    /// Those of [`ModeEncoderFit::fit`] and [`JointDensityFit::fit`].
    pub fn fit(
        &self,
        modes: &[Tensor],
        labels: &[u32],
        n_classes: usize,
        rng: &mut impl Rng,
    ) -> Result<EncodedDensity> {
        let mut density = self.density.clone();
        let mut encoders = Vec::with_capacity(modes.len());
        let mut features = Vec::with_capacity(modes.len());
        let mut feature_noise = Vec::with_capacity(modes.len());
        for mode in modes {
            if mode.dim(1)? <= self.widest_mode {
                encoders.push(None);
                features.push(mode.clone());
                feature_noise.push(Vec::new());
                continue;
            }
            let encoder = self.encoder.fit(mode, Some((labels, n_classes)), rng)?;
            feature_noise.push(encoder.feature_noise(mode, &density.noise.noise_std, rng)?);
            features.push(encoder.features(mode)?);
            encoders.push(Some(encoder));
        }
        if encoders.iter().any(Option::is_some) {
            density.feature_noise = feature_noise;
            density.classes.clone_from(&self.encoded_classes);
            if density.classes.is_empty() {
                return Err(Error::InvalidSetting {
                    name: "encoded_classes",
                    expected: "at least one",
                    found: "none".to_owned(),
                });
            }
        } else {
            encoders.clear();
        }
        let n_features: usize = features
            .iter()
            .map(|mode| mode.dim(1))
            .sum::<candle_core::Result<_>>()?;
        let rows_each = self
            .rows_per_component
            .max(self.rows_per_feature * n_features)
            .max(1);
        if let Some(last) = density.classes.last().copied() {
            density
                .classes
                .resize(n_classes.max(density.classes.len()), last);
        }
        for (class, mixture) in density.classes.iter_mut().enumerate() {
            let n_rows = labels.iter().filter(|&&label| label as usize == class);
            if let ComponentChoice::Fixed(n_components) = &mut mixture.components {
                *n_components = (n_rows.count() / rows_each).clamp(1, (*n_components).max(1));
            }
        }
        let density = density.fit(&features, labels, n_classes, rng)?;
        EncodedDensity::new(encoders, density)
    }
}
