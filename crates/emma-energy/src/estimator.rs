//! What every energy estimator can do.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};

use crate::error::{Error, Result};
use crate::estimator_config::EstimatorConfig;
use crate::transfer::transfer;

/// Anything that says how outlying a row of one mode is: low for likely rows, high for others.
///
/// EMMA needs no more than this trait, so an estimator of one's own (a mixture, a distance, a
/// network) plugs in wherever the thesis has the potential energy of an autoencoder.
///
/// An implementation promises that a row's energy depends on nothing but that row.
pub trait EnergyEstimator: Send + Sync {
    /// Features per row, L.
    fn n_features(&self) -> usize;

    /// Energy of every row.
    ///
    /// # Shapes
    /// - `rows`: `[n, L]`
    /// - returns `[n]`
    ///
    /// # Units
    /// The estimator's own; any real number.
    ///
    /// # Errors
    /// If the rows do not have L features, or the computation fails.
    fn energy(&self, rows: &Tensor) -> Result<Tensor>;
}

/// An estimator that is all in its parameters, so that it can be stored and loaded.
///
/// Every estimator of this crate is one. [`save_estimator`](crate::save_estimator) and
/// [`load_estimator`](crate::load_estimator) need no more; the loaded estimator gives the same
/// energies, bit for bit.
pub trait FittedEstimator: EnergyEstimator {
    /// Kind and sizes: with the [`tensors`](Self::tensors), all there is to know.
    fn config(&self) -> EstimatorConfig;

    /// Parameters by the paths under which [`EstimatorConfig::load`] asks for them. Their values
    /// are f32 numbers, whatever their type, because files hold those.
    fn tensors(&self) -> BTreeMap<String, Tensor>;
}

impl<E: EnergyEstimator + ?Sized> EnergyEstimator for Box<E> {
    fn n_features(&self) -> usize {
        (**self).n_features()
    }

    fn energy(&self, rows: &Tensor) -> Result<Tensor> {
        (**self).energy(rows)
    }
}

/// Rows scored at once by [`energies`]: enough to keep a device busy, few enough that the
/// intermediate tensors of a wide mode stay small.
const ROWS_PER_CHUNK: usize = 4096;

/// Energies of rows as numbers, scored in chunks, so that memory does not grow with the intermediate
/// tensors of all rows at once.
///
/// # Shapes
/// - `rows`: `[n, L]`
/// - returns n numbers
///
/// # Units
/// The estimator's.
///
/// # Errors
/// [`Error::NonFiniteEnergy`] if a row has no finite energy, and the estimator's own.
pub fn energies(estimator: &dyn EnergyEstimator, rows: &Tensor) -> Result<Vec<f64>> {
    let n_rows = rows.dim(0)?;
    let mut all = Vec::with_capacity(n_rows);
    for start in (0..n_rows).step_by(ROWS_PER_CHUNK) {
        let chunk = rows.narrow(0, start, ROWS_PER_CHUNK.min(n_rows - start))?;
        let energies = estimator.energy(&chunk)?;
        let energies = transfer(&energies, DType::F64, &Device::Cpu)?.to_vec1::<f64>()?;
        if let Some(row) = energies.iter().position(|energy| !energy.is_finite()) {
            return Err(Error::NonFiniteEnergy {
                row: start + row,
                value: energies[row],
            });
        }
        all.extend(energies);
    }
    Ok(all)
}

/// Lowest energy of any of the rows, `Ψ_min` of eq. 5.2 when the rows are the clean training rows.
///
/// # Shapes
/// - `rows`: `[n, L]`, n at least 1
///
/// # Units
/// The estimator's.
///
/// # Errors
/// [`Error::NoRows`] for no rows, and those of [`energies`].
///
/// # Source
/// Thesis section 5.3.
pub fn lowest_energy(estimator: &dyn EnergyEstimator, rows: &Tensor) -> Result<f64> {
    let energies = energies(estimator, rows)?;
    energies.into_iter().reduce(f64::min).ok_or(Error::NoRows {
        purpose: "the lowest energy",
    })
}
