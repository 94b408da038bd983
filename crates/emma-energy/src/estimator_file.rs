//! One estimator in one file.

use std::path::Path;

use candle_core::{DType, Device};
use candle_nn::VarBuilder;

use crate::error::{Error, Result};
use crate::estimator::FittedEstimator;
use crate::estimator_config::EstimatorConfig;
use crate::tensor_file::{self, TensorReader};

/// The only metadata key of the file.
const METADATA_KEY: &str = "emma_energy";

/// The bytes of a safetensors file that holds the estimator alone: its
/// [config](FittedEstimator::config) as JSON under the metadata key `emma_energy`, its
/// [tensors](FittedEstimator::tensors) as f32. Equal estimators give equal bytes.
///
/// # Errors
/// [`Error::TensorFile`] if a parameter is not finite.
pub fn estimator_to_bytes(estimator: &dyn FittedEstimator) -> Result<Vec<u8>> {
    let config = serde_json::to_string(&estimator.config())
        .map_err(|error| Error::TensorFile(error.to_string()))?;
    let tensors = estimator
        .tensors()
        .into_iter()
        .map(|(name, tensor)| {
            let tensor = tensor_file::stored(&name, &tensor)?;
            Ok((name, tensor))
        })
        .collect::<Result<_>>()?;
    tensor_file::to_bytes(&tensors, METADATA_KEY, config)
}

/// Writes an estimator to a file of its own, as [`estimator_to_bytes`] makes it.
///
/// # Errors
/// Those of [`estimator_to_bytes`]; [`Error::Write`] if the file cannot be written.
pub fn save_estimator(estimator: &dyn FittedEstimator, path: impl AsRef<Path>) -> Result<()> {
    let bytes = estimator_to_bytes(estimator)?;
    std::fs::write(path, bytes).map_err(Error::Write)
}

/// Reads an estimator that [`save_estimator`] wrote, of whatever kind, without trusting the file.
///
/// # Errors
/// [`Error::Open`], [`Error::TensorFile`] if it is no such file or of a kind that this version does
/// not know, and those of [`EstimatorConfig::load`].
pub fn load_estimator(
    path: impl AsRef<Path>,
    dtype: DType,
    device: &Device,
) -> Result<Box<dyn FittedEstimator>> {
    let mut reader = TensorReader::open(path.as_ref(), METADATA_KEY)?;
    let config: EstimatorConfig = serde_json::from_str(&reader.take_metadata(METADATA_KEY)?)
        .map_err(|error| Error::TensorFile(format!("invalid metadata: {error}")))?;
    let tensors = reader.tensors()?.into_iter().collect();
    config.load(&VarBuilder::from_tensors(tensors, dtype, device))
}
