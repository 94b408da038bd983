//! Fitting a joint density.

use candle_core::Tensor;
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::{
    FeatureNoise, JointDensity, JointDensityConfig, NoiseModel, log_class_weights,
    most_exact_states,
};
use crate::error::{Error, Result, check_setting};
use crate::gaussian_mixture::{ComponentChoice, GaussianMixture, GaussianMixtureFit};

/// How a [`JointDensity`] is fitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JointDensityFit {
    /// How the mixture of each class is fitted; the last goes for all classes from there on. Default 40
    /// components for class 0 and 16 for all others, one start each, and a covariance floor of 2e-5, chosen on HTRU2: features
    /// of one of its modes are nearly functions of each other, and what a mode says when the others are gone is how they
    /// deviate from that, which a floor of 1e-3 blurs. Features that take few values want a higher floor, so that no
    /// component shrinks onto one of them; a few hundred rows want fewer components.
    pub classes: Vec<GaussianMixtureFit>,
    /// What is believed of the modes' noise.
    pub noise: NoiseModel,
    /// See [`JointDensityConfig::most_exact_states`].
    pub most_exact_states: usize,
    /// See [`JointDensityConfig::feature_noise`].
    pub feature_noise: Vec<Vec<FeatureNoise>>,
}

impl Default for JointDensityFit {
    fn default() -> Self {
        let of = |n_components| GaussianMixtureFit {
            components: ComponentChoice::Fixed(n_components),
            covariance_floor: 2e-5,
            n_starts: 1,
            ..GaussianMixtureFit::default()
        };
        Self {
            classes: vec![of(40), of(16)],
            noise: NoiseModel::default(),
            most_exact_states: most_exact_states(),
            feature_noise: Vec::new(),
        }
    }
}

impl JointDensityFit {
    /// Fits a mixture to the clean rows of each class.
    ///
    /// # Shapes
    /// - `modes`: one `[n, L_i]` a mode, finite
    /// - `labels`: n classes, 0 to `n_classes` − 1; one class says nothing of classes and is fine
    ///
    /// # Errors
    /// [`Error::InvalidSetting`], also for labels that are no class; [`Error::NoRows`] for a class without
    /// rows; [`Error::NonFiniteRow`], numbered within its class; candle's if the modes' rows differ.
    pub fn fit(
        &self,
        modes: &[Tensor],
        labels: &[u32],
        n_classes: usize,
        rng: &mut impl Rng,
    ) -> Result<JointDensity> {
        let (Some(first), Some(last)) = (modes.first(), self.classes.last()) else {
            let name = if modes.is_empty() { "modes" } else { "classes" };
            check_setting(false, name, "at least one", "none")?;
            return Err(Error::NoRows {
                purpose: "a joint density",
            });
        };
        let rows = Tensor::cat(modes, 1)?;
        let n_rows = rows.dim(0)?;
        check_setting(
            labels.len() == n_rows,
            "labels",
            "one a row",
            format_args!("{} for {n_rows} rows", labels.len()),
        )?;
        let highest = labels.iter().max().map_or(0, |&label| label as usize);
        check_setting(
            highest < n_classes,
            "labels",
            "below the number of classes",
            format_args!("{highest} of {n_classes}"),
        )?;
        let mut classes = Vec::with_capacity(n_classes);
        let mut counts = Vec::with_capacity(n_classes);
        for class in 0..n_classes {
            let members: Vec<u32> = (0u32..)
                .zip(labels)
                .filter(|&(_, &label)| label as usize == class)
                .map(|(row, _)| row)
                .collect();
            if members.is_empty() {
                return Err(Error::NoRows {
                    purpose: "a class of a joint density",
                });
            }
            counts.push(members.len());
            let members = Tensor::from_vec(members, counts[class], rows.device())?;
            let fit = self.classes.get(class).unwrap_or(last);
            classes.push(fit.fit(&rows.index_select(&members, 0)?, rng)?);
        }
        let config = JointDensityConfig {
            mode_widths: modes
                .iter()
                .map(|mode| mode.dim(1))
                .collect::<candle_core::Result<_>>()?,
            n_components: classes.iter().map(GaussianMixture::n_components).collect(),
            noise: self.noise.clone(),
            most_exact_states: self.most_exact_states,
            feature_noise: self.feature_noise.clone(),
        };
        config.validate()?;
        let weights = log_class_weights(&counts, first.dtype(), first.device())?;
        JointDensity::from_classes(config, classes, &weights)
    }
}
