//! What a joint density says about rows.

use candle_core::{DType, Device, Tensor, WithDType};

use super::JointDensityConfig;
use super::inference::Inferred;
use crate::error::Result;
use crate::transfer::transfer;

/// What a [`JointDensity`](super::JointDensity) says about rows.
#[derive(Debug, Clone)]
pub struct JointPosterior {
    /// Expected clean features, one `[n, L_i]` a mode: the modes, repaired.
    pub expectation: Vec<Tensor>,
    /// `log p(x_S | c)`, `[n, subsets, C]`: of all modes together, then, if there are several, of each mode
    /// alone. 0 for modes of which nothing is there.
    pub log_likelihood: Tensor,
    /// `v_i = E[log(1 + 4σ_i) | x]`, `[n, M]`; that of a missing mode is
    /// [`NoiseModel::highest_energy`](super::NoiseModel::highest_energy).
    pub energies: Tensor,
}

impl JointPosterior {
    /// Subsets of modes that a log-likelihood is given for: all together, and each alone if there are several.
    pub fn n_subsets(n_modes: usize) -> usize {
        if n_modes > 1 { 1 + n_modes } else { 1 }
    }

    /// Log-likelihoods of the classes from the second on, less that of the first:
    /// `log p(x_S | c) − log p(x_S | 0)`, `[n, subsets · (C − 1)]`.
    ///
    /// # Errors
    /// Only candle's own.
    pub fn log_odds(&self) -> Result<Tensor> {
        let (n_rows, n_subsets, n_classes) = self.log_likelihood.dims3()?;
        let others = self.log_likelihood.narrow(2, 1, n_classes - 1)?;
        let odds = others.broadcast_sub(&self.log_likelihood.narrow(2, 0, 1)?)?;
        Ok(odds.reshape((n_rows, n_subsets * (n_classes - 1)))?)
    }
}

/// As tensors of a type on a device.
pub(super) fn tensors<R: WithDType>(
    inferred: &Inferred<R>,
    config: &JointDensityConfig,
    dtype: DType,
    device: &Device,
) -> Result<JointPosterior> {
    let n_rows = inferred.n_rows;
    let tensor = |values: &[R], width: usize| -> Result<Tensor> {
        let tensor = Tensor::from_slice(values, (n_rows, width), &Device::Cpu)?;
        Ok(transfer(&tensor, dtype, device)?)
    };
    let expectation = tensor(&inferred.expectation, config.n_features())?;
    let mut start = 0;
    let expectation = config
        .mode_widths
        .iter()
        .map(|&width| {
            let mode = expectation.narrow(1, start, width)?.contiguous()?;
            start += width;
            Ok(mode)
        })
        .collect::<Result<_>>()?;
    let (n_modes, n_classes) = (config.mode_widths.len(), config.n_components.len());
    let n_subsets = JointPosterior::n_subsets(n_modes);
    let log_likelihood = tensor(&inferred.log_likelihood, n_subsets * n_classes)?;
    Ok(JointPosterior {
        expectation,
        log_likelihood: log_likelihood.reshape((n_rows, n_subsets, n_classes))?,
        energies: tensor(&inferred.energies, n_modes)?,
    })
}
