//! Rows of the three modes, some of them broken, and what can be known of them.

use candle_core::{Device, Tensor};
use emma_data::{
    CorruptedModes, Corruption, CorruptionRecord, Coupling, Generator, NoiseStd, Standardization,
};
use emma_models::Batch;
use ndarray::Array2;

use crate::failure::CommandResult;

/// Number of modes.
pub(crate) const N_MODES: usize = 3;

/// Which of A, B and C are broken, and what that is called. The last three are in no training row.
pub(crate) const CONDITIONS: [(&str, [bool; N_MODES]); 7] = [
    ("none", [false, false, false]),
    ("A", [true, false, false]),
    ("B", [false, true, false]),
    ("C", [false, false, true]),
    ("A and B", [true, true, false]),
    ("A and C", [true, false, true]),
    ("B and C", [false, true, true]),
];

/// Rows as they were made, `[rows, columns]` a mode.
pub(crate) struct RawRows {
    pub(crate) modes: Vec<Array2<f32>>,
    pub(crate) labels: Vec<u8>,
}

impl RawRows {
    pub(crate) fn n_rows(&self) -> usize {
        self.labels.len()
    }

    /// The same with noise on the modes that are recorded.
    pub(crate) fn broken(
        &self,
        record: &CorruptionRecord,
        noise_std: f64,
        rng: &mut Generator,
    ) -> CommandResult<Self> {
        let noise = Corruption::Noise(NoiseStd::new(noise_std)?);
        let modes = CorruptedModes::of(&self.modes)?
            .then(record, &noise, rng)?
            .into_complete()?;
        Ok(Self {
            modes,
            labels: self.labels.clone(),
        })
    }

    /// These modes broken in every row.
    pub(crate) fn all_broken(
        &self,
        broken: [bool; N_MODES],
        noise_std: f64,
        rng: &mut Generator,
    ) -> CommandResult<Self> {
        let flags = Array2::from_shape_fn((self.n_rows(), N_MODES), |(_, mode)| broken[mode]);
        self.broken(&CorruptionRecord::from_flags(flags), noise_std, rng)
    }

    /// Standardized, as tensors.
    pub(crate) fn batch(
        &self,
        standardization: &[Standardization],
        device: &Device,
    ) -> CommandResult<Batch> {
        let modes = self
            .modes
            .iter()
            .zip(standardization)
            .map(|(mode, standardization)| tensor(&standardization.apply(mode.view())?, device))
            .collect::<CommandResult<_>>()?;
        let labels: Vec<f32> = self.labels.iter().copied().map(f32::from).collect();
        let labels = Tensor::new(labels, device)?;
        Ok(Batch::new(modes, labels)?)
    }

    /// Share of the rows that the best decision gets right that knows which modes are broken.
    pub(crate) fn optimum(
        &self,
        coupling: &Coupling,
        broken: [bool; N_MODES],
        noise_std: f64,
    ) -> CommandResult<f64> {
        let noise = broken.map(|is_broken| if is_broken { noise_std } else { 0. });
        let mut n_right = 0usize;
        for (row, &label) in self.labels.iter().enumerate() {
            let values: Vec<Vec<f32>> = self
                .modes
                .iter()
                .map(|mode| mode.row(row).to_vec())
                .collect();
            let [a, b, c] = &values[..] else {
                return Err(
                    anyhow::anyhow!("expected {N_MODES} modes, got {}", values.len()).into(),
                );
            };
            let odds = coupling.noisy_log_odds([a, b, c], noise)?;
            let odds =
                odds.ok_or_else(|| anyhow::anyhow!("modes in conflict have no optimum here"))?;
            n_right += usize::from((odds > 0.) == (label == 1));
        }
        Ok(n_right as f64 / self.n_rows() as f64)
    }
}

/// Half of the rows, a quarter, and a quarter: every row is drawn by itself, so their order means nothing.
pub(crate) fn draw(coupling: &Coupling) -> CommandResult<[RawRows; 3]> {
    let (samples, _) = coupling.samples()?;
    let n = samples.n_rows();
    let part = |rows: std::ops::Range<usize>| -> CommandResult<RawRows> {
        let part = samples.select(&rows.collect::<Vec<_>>())?;
        Ok(RawRows {
            modes: part
                .modes()
                .iter()
                .map(|mode| mode.values.clone())
                .collect(),
            labels: part.labels().to_vec(),
        })
    };
    Ok([
        part(0..n / 2)?,
        part(n / 2..n * 3 / 4)?,
        part(n * 3 / 4..n)?,
    ])
}

pub(crate) fn tensor(rows: &Array2<f32>, device: &Device) -> CommandResult<Tensor> {
    let tensor = Tensor::from_iter(rows.iter().copied(), &Device::Cpu)?.reshape(rows.dim())?;
    Ok(tensor.to_device(device)?)
}
