//! Rows of one part of a split, as arrays and as tensors.

use candle_core::{Device, Tensor};
use emma_data::{Corruption, CorruptionRecord, Generator, Standardization, corrupt};
use emma_models::Batch;
use ndarray::Array2;

use crate::failure::CommandResult;

/// Rows of one part of a split, all modes.
pub(crate) struct Part {
    /// Raw values, one `[rows, features]` array a mode.
    raw: Vec<Array2<f32>>,
    /// Standard scores.
    pub(crate) standardized: Vec<Array2<f32>>,
    /// What is to be predicted: 0 or 1, a class's place, or a standardized number.
    pub(crate) targets: Vec<f32>,
    pub(crate) device: Device,
}

/// A part's rows with some modes of some of them corrupted.
pub(crate) struct CorruptedPart {
    pub(crate) modes: Vec<Array2<f32>>,
    pub(crate) record: CorruptionRecord,
    device: Device,
}

impl Part {
    /// Standardizes raw rows, one `[rows, features]` array a mode. Tensors will be made on `device`.
    pub(crate) fn new(
        raw: Vec<Array2<f32>>,
        targets: Vec<f32>,
        standardization: &[Standardization],
        device: &Device,
    ) -> CommandResult<Self> {
        let standardized = raw
            .iter()
            .zip(standardization)
            .map(|(mode, standardization)| standardization.apply(mode.view()))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            raw,
            standardized,
            targets,
            device: device.clone(),
        })
    }

    pub(crate) fn n_rows(&self) -> usize {
        self.targets.len()
    }

    /// The targets of a binary task as labels.
    #[expect(clippy::cast_sign_loss, reason = "0 or 1")]
    pub(crate) fn labels(&self) -> Vec<u8> {
        self.targets.iter().map(|&target| target as u8).collect()
    }

    /// The thesis's mixture: half of the rows clean, the rest shared among the modes.
    pub(crate) fn mixture(
        &self,
        corruption: Corruption,
        rng: &mut Generator,
    ) -> CommandResult<CorruptedPart> {
        let record = CorruptionRecord::mixture(self.n_rows(), self.standardized.len(), rng)?;
        self.corrupted(record, corruption, rng)
    }

    fn corrupted(
        &self,
        record: CorruptionRecord,
        corruption: Corruption,
        rng: &mut Generator,
    ) -> CommandResult<CorruptedPart> {
        Ok(CorruptedPart {
            modes: corrupt(&self.standardized, &record, &corruption, rng)?,
            record,
            device: self.device.clone(),
        })
    }

    /// Raw rows, one tensor a mode.
    pub(crate) fn raw_tensors(&self) -> CommandResult<Vec<Tensor>> {
        tensors(&self.raw, &self.device)
    }

    /// Standardized rows, one tensor a mode.
    pub(crate) fn tensors(&self) -> CommandResult<Vec<Tensor>> {
        tensors(&self.standardized, &self.device)
    }

    /// Clean standardized rows with their labels.
    pub(crate) fn batch(&self) -> CommandResult<Batch> {
        Ok(Batch::new(self.tensors()?, self.label_tensor()?)?)
    }

    /// Corrupted rows with this part's labels.
    pub(crate) fn corrupted_batch(&self, corrupted: &CorruptedPart) -> CommandResult<Batch> {
        let batch = Batch::new(corrupted.tensors()?, self.label_tensor()?)?;
        Ok(batch.with_corruption_sign(tensor(&corrupted.record.signs(), &self.device)?)?)
    }

    fn label_tensor(&self) -> CommandResult<Tensor> {
        Ok(Tensor::from_slice(
            &self.targets,
            self.n_rows(),
            &self.device,
        )?)
    }
}

impl CorruptedPart {
    /// Corrupted standardized rows, one tensor a mode.
    pub(crate) fn tensors(&self) -> CommandResult<Vec<Tensor>> {
        tensors(&self.modes, &self.device)
    }
}

/// One tensor a mode.
pub(crate) fn tensors(modes: &[Array2<f32>], device: &Device) -> CommandResult<Vec<Tensor>> {
    modes.iter().map(|mode| tensor(mode, device)).collect()
}

/// The same numbers as a tensor.
pub(crate) fn tensor(values: &Array2<f32>, device: &Device) -> CommandResult<Tensor> {
    let row_major: Vec<f32> = values.iter().copied().collect();
    Ok(Tensor::from_vec(row_major, values.dim(), device)?)
}
