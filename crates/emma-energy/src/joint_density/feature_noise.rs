//! What noise on a mode does to features that are made of it.

use serde::{Deserialize, Serialize};

use crate::error::{Result, check_setting};

/// What one level of noise on a mode does to the features that stand for it in a density:
/// `x = gain · z + shift + std · ε`, feature by feature, with z the features of the clean mode and ε standard normal.
///
/// Where the features are the mode's own values, the gain is 1, the shift 0 and the standard deviation that of the
/// noise. Features of an autoencoder feel noise otherwise: some hardly at all, the reconstruction error strongly and in
/// one direction. [`ModeEncoder::feature_noise`](crate::ModeEncoder::feature_noise) measures it.
///
/// # Units
/// Those of the features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureNoise {
    /// What the clean features are multiplied by; finite.
    pub gain: Vec<f64>,
    /// What is added to them; finite.
    pub shift: Vec<f64>,
    /// Standard deviation of what else is added; positive and finite.
    pub std: Vec<f64>,
}

impl FeatureNoise {
    pub(super) fn validate(&self, n_features: usize) -> Result<()> {
        for (name, values) in [
            ("feature_noise gain", &self.gain),
            ("feature_noise shift", &self.shift),
            ("feature_noise std", &self.std),
        ] {
            check_setting(
                values.len() == n_features && values.iter().all(|value| value.is_finite()),
                name,
                "one finite number for each feature of the mode",
                format_args!("{values:?} for {n_features} features"),
            )?;
        }
        check_setting(
            self.std.iter().all(|&std| std > 0.),
            "feature_noise std",
            "positive",
            format_args!("{:?}", self.std),
        )
    }
}
