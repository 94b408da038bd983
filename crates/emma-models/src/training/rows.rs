//! Rows to learn from.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{Device, Tensor};
use emma_attention::PotentialEnergies;
use emma_kernels::{Batches, Rows};
use rand::Rng;
use rand::seq::SliceRandom;

use super::standard_form::{StandardForm, is_plain};
use crate::batch::Batch;
use crate::error::{Error, Result};

/// Rows to learn from, which may be drawn afresh for every epoch.
///
/// A fixed [`Batch`] is one; so is whatever corrupts clean rows anew each time it is asked.
pub trait TrainingRows {
    /// The rows of one epoch.
    ///
    /// # Errors
    /// [`Error::Rows`] if they cannot be made.
    fn of_epoch(&mut self, epoch: usize) -> Result<Batch>;
}

impl TrainingRows for &Batch {
    fn of_epoch(&mut self, _epoch: usize) -> Result<Batch> {
        // Tensors are shared, not copied.
        Ok((*self).clone())
    }
}

/// Rows in the order of an epoch, for any number of models: fused steps read them in columns, which are
/// laid out once for all models that look at the same modes.
pub(super) struct OrderedRows {
    batch: Batch,
    order: Vec<u32>,
    columns: Mutex<Vec<Columns>>,
}

/// Columns of these modes, in mini-batches of this size.
struct Columns {
    single_mode: Option<usize>,
    batch_size: usize,
    batches: Arc<Batches>,
}

impl OrderedRows {
    /// In random order.
    pub(super) fn shuffled(batch: Batch, what: &'static str, rng: &mut impl Rng) -> Result<Self> {
        let mut rows = Self::in_order(batch, what)?;
        rows.order.shuffle(rng);
        Ok(rows)
    }

    pub(super) fn in_order(batch: Batch, what: &'static str) -> Result<Self> {
        if batch.n_rows() == 0 {
            return Err(Error::NoRows { what });
        }
        let n_rows = u32::try_from(batch.n_rows()).map_err(candle_core::Error::wrap)?;
        Ok(Self {
            batch,
            order: (0..n_rows).collect(),
            columns: Mutex::default(),
        })
    }

    /// The rows as they came.
    pub(super) fn batch(&self) -> &Batch {
        &self.batch
    }

    /// Row numbers, `[rows]`.
    pub(super) fn order(&self) -> Result<Tensor> {
        let device = self.batch.labels().device();
        Ok(Tensor::from_slice(&self.order, self.order.len(), &Device::Cpu)?.to_device(device)?)
    }

    /// Columns for one form, shared with all forms that look at the same modes.
    pub(super) fn batches(
        &self,
        form: &StandardForm<'_>,
        mode_widths: &[usize],
        batch_size: usize,
    ) -> Result<Arc<Batches>> {
        // Whoever comes second waits for the first. A panic cannot leave an entry half-made.
        let mut columns = self.columns.lock().unwrap_or_else(PoisonError::into_inner);
        let found = columns.iter().find(|columns| {
            (columns.single_mode, columns.batch_size) == (form.single_mode, batch_size)
        });
        if let Some(found) = found {
            return Ok(Arc::clone(&found.batches));
        }
        let potentials = self.batch.potentials();
        let batches = Arc::new(self.lay_out(form, potentials, mode_widths, batch_size)?);
        columns.push(Columns {
            single_mode: form.single_mode,
            batch_size,
            batches: Arc::clone(&batches),
        });
        Ok(batches)
    }

    /// Columns with potentials of one's own.
    pub(super) fn lay_out(
        &self,
        form: &StandardForm<'_>,
        potentials: Option<&PotentialEnergies>,
        mode_widths: &[usize],
        batch_size: usize,
    ) -> Result<Batches> {
        let values = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f32>();
        let modes = form.modes(&self.batch).unwrap_or_default();
        // What a form does not look at may have any type and width, and is left out.
        let fits = |tensor: &&Tensor| {
            is_plain(tensor) && tensor.dims() == [self.batch.n_rows(), modes.len()]
        };
        let if_any = |tensor: Option<&Tensor>| match tensor.filter(fits) {
            Some(tensor) => values(tensor),
            None => Ok(Vec::new()),
        };
        let modes: Vec<Vec<f32>> = modes
            .iter()
            .map(values)
            .collect::<candle_core::Result<_>>()?;
        let rows = Rows {
            modes: modes.iter().map(Vec::as_slice).collect(),
            potentials: &if_any(potentials.map(PotentialEnergies::as_tensor))?,
            signs: &if_any(self.batch.corruption_sign())?,
            labels: &values(self.batch.labels())?,
        };
        let order = self.order.iter().map(|&row| row as usize);
        Ok(Batches::new(&rows, mode_widths, batch_size, order))
    }
}
