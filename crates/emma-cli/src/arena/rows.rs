//! One seed's rows: clean, augmented for training, faulty for validation and test.

use anyhow::Context;
use emma_data::{
    Augmentation, CorruptedModes, CorruptionRecord, EpochAugmentation, Samples, SplitFractions,
    Standardization, generator, stratified_split,
};
use ndarray::Array2;

use super::regime::{NARROW_NOISE, Regime};
use crate::digest;
use crate::experiment3::conditions::Condition;
use crate::failure::CommandResult;

/// Modes of rows, one `[rows, features]` array each; NaN where a value is missing.
pub(crate) type Modes = Vec<Array2<f32>>;

/// Rows of one part of a split, standardized.
pub(crate) struct CleanRows {
    pub(crate) modes: Modes,
    pub(crate) labels: Vec<u8>,
}

/// Everything about the data of one seed.
pub(crate) struct SeedRows {
    pub(crate) seed: u64,
    pub(crate) mode_names: Vec<String>,
    /// Digest of the split, as experiment 3 writes it.
    pub(crate) split_sha256: String,
    pub(crate) train: CleanRows,
    pub(crate) validation: CleanRows,
    pub(crate) test: CleanRows,
}

impl SeedRows {
    pub(crate) fn new(samples: &Samples, seed: u64) -> CommandResult<Self> {
        let split = stratified_split(
            samples.labels(),
            &SplitFractions::default(),
            &mut generator(seed, "split"),
        )?;
        let training = samples.select(&split.train)?;
        let standardization = training
            .modes()
            .iter()
            .map(|mode| Standardization::fit(&mode.name, &mode.columns, mode.values.view()))
            .collect::<Result<Vec<_>, _>>()?;
        let part = |rows: &[usize]| -> CommandResult<CleanRows> {
            let part = samples.select(rows)?;
            let modes = part.modes().iter().zip(&standardization);
            let modes = modes.map(|(mode, fitted)| fitted.apply(mode.values.view()));
            Ok(CleanRows {
                modes: modes.collect::<Result<_, _>>()?,
                labels: part.labels().to_vec(),
            })
        };
        Ok(Self {
            seed,
            mode_names: samples
                .modes()
                .iter()
                .map(|mode| mode.name.clone())
                .collect(),
            split_sha256: digest::of_bytes(
                &serde_json::to_vec(&split).context("cannot write the split")?,
            ),
            train: part(&split.train)?,
            validation: part(&split.validation)?,
            test: part(&split.test)?,
        })
    }

    pub(crate) fn n_modes(&self) -> usize {
        self.mode_names.len()
    }

    /// Training rows of an epoch.
    pub(crate) fn augmented(
        &self,
        augmentation: Box<dyn Augmentation>,
        regime: &str,
        epoch: usize,
    ) -> CommandResult<Modes> {
        let epochs = EpochAugmentation::new(augmentation, self.seed, format!("arena {regime}"));
        let (modes, _) = epochs.of_epoch(&self.train.modes, epoch)?.into_masked();
        Ok(modes)
    }

    /// Test rows in a condition: the draws of experiment 3.
    pub(crate) fn test_in(&self, condition: &Condition) -> CommandResult<Modes> {
        let stream = condition.stream(NARROW_NOISE);
        self.faulty(&self.test, condition, &stream)
    }

    /// Validation copies of a regime, one a condition that training knows.
    pub(crate) fn validation_copies(&self, regime: Regime) -> CommandResult<Vec<Modes>> {
        let conditions = regime.validation_conditions(&self.mode_names)?;
        conditions
            .iter()
            .map(|condition| {
                let stream = format!("arena validation {}", condition.name);
                self.faulty(&self.validation, condition, &stream)
            })
            .collect()
    }

    fn faulty(
        &self,
        rows: &CleanRows,
        condition: &Condition,
        stream: &str,
    ) -> CommandResult<Modes> {
        let mut rng = generator(self.seed, stream);
        let all = CorruptionRecord::all(rows.labels.len(), self.n_modes())?;
        let corrupted = CorruptedModes::of(&rows.modes)?.then_each(
            &self.mode_names,
            &all,
            &condition.corruptions,
            &mut rng,
        )?;
        let (mut values, missing) = corrupted.into_masked();
        for ((row, mode_index), &missing) in missing.indexed_iter() {
            if missing {
                values[mode_index].row_mut(row).fill(f32::NAN);
            }
        }
        // A dropped feature is one that is not there.
        if condition.name.contains(":drop:") {
            for (mode, clean) in values.iter_mut().zip(&rows.modes) {
                mode.zip_mut_with(clean, |value, clean| {
                    if *value == 0. && value.to_bits() != clean.to_bits() {
                        *value = f32::NAN;
                    }
                });
            }
        }
        Ok(values)
    }
}
