//! What every energy estimator can do.

use candle_core::{DType, Device, Tensor};

use crate::error::{Error, Result};
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

impl<E: EnergyEstimator + ?Sized> EnergyEstimator for Box<E> {
    fn n_features(&self) -> usize {
        (**self).n_features()
    }

    fn energy(&self, rows: &Tensor) -> Result<Tensor> {
        (**self).energy(rows)
    }
}

/// Rows scored at once by [`lowest_energy`]: enough to keep a device busy, few enough that the
/// intermediate tensors of a wide mode stay small.
const ROWS_PER_CHUNK: usize = 4096;

/// Lowest energy of any of the rows, `Ψ_min` of eq. 5.2 when the rows are the clean training rows.
///
/// # Shapes
/// - `rows`: `[n, L]`, n at least 1
///
/// # Units
/// The estimator's.
///
/// # Errors
/// [`Error::NoRows`] for no rows, [`Error::NonFiniteEnergy`] if a row has no finite energy, and
/// the estimator's own.
///
/// # Source
/// Thesis section 5.3.
pub fn lowest_energy(estimator: &dyn EnergyEstimator, rows: &Tensor) -> Result<f64> {
    let n_rows = rows.dim(0)?;
    let mut lowest = f64::INFINITY;
    for start in (0..n_rows).step_by(ROWS_PER_CHUNK) {
        let chunk = rows.narrow(0, start, ROWS_PER_CHUNK.min(n_rows - start))?;
        let energies = estimator.energy(&chunk)?;
        let energies = transfer(&energies, DType::F64, &Device::Cpu)?.to_vec1::<f64>()?;
        for (offset, &energy) in energies.iter().enumerate() {
            if !energy.is_finite() {
                return Err(Error::NonFiniteEnergy {
                    row: start + offset,
                    value: energy,
                });
            }
            lowest = lowest.min(energy);
        }
    }
    if lowest.is_finite() {
        Ok(lowest)
    } else {
        Err(Error::NoRows {
            purpose: "the lowest energy",
        })
    }
}
