//! One seed's rows: split, standardized, corrupted.

use candle_core::{Device, Tensor};
use emma_data::{
    CorruptedModes, Corruption, CorruptionRecord, ModeCorruption, NoiseStd, Samples, Split,
    SplitFractions, Standardization, generator, stratified_split,
};
use emma_models::Batch;
use ndarray::{Array2, Axis};

use super::conditions::Condition;
use super::settings::Settings;
use crate::failure::{CommandResult, Failure};
use crate::part::{CorruptedPart, Part, tensors};

/// Everything random about the data of one seed.
pub(crate) struct SeedData {
    pub(crate) split: Split,
    pub(crate) standardization: Vec<Standardization>,
    pub(crate) train: Part,
    pub(crate) validation: Part,
    pub(crate) test: Part,
    /// Validation rows, half clean, the rest with one mode corrupted: several draws.
    pub(crate) corrupted_validation: Vec<CorruptedPart>,
    noise: Corruption,
    seed: u64,
}

impl SeedData {
    /// Arrays are on the CPU; the tensors made of them are on `device`.
    pub(crate) fn new(
        samples: &Samples,
        seed: u64,
        settings: &Settings,
        device: &Device,
    ) -> CommandResult<Self> {
        let (split, training_rows, standardization) = split_and_fit(samples, seed)?;
        let train = part(&training_rows, &standardization, device)?;
        let part = |rows: &[usize]| part(&samples.select(rows)?, &standardization, device);
        let validation = part(&split.validation)?;
        let test = part(&split.test)?;
        let noise = Corruption::Noise(NoiseStd::new(settings.noise_std)?);
        let corrupted_validation = (0..settings.validation_draws)
            .map(|draw| {
                let mut rng = generator(seed, &format!("validation noise {draw}"));
                validation.mixture(noise, &mut rng)
            })
            .collect::<CommandResult<_>>()?;
        Ok(Self {
            split,
            standardization,
            train,
            validation,
            test,
            corrupted_validation,
            noise,
            seed,
        })
    }
}

impl SeedData {
    /// Whether the rows can be split and standardized for every seed, without making anything else of
    /// them; `source` is what they are called if they cannot.
    pub(crate) fn check_all(samples: &Samples, seeds: &[u64], source: &str) -> CommandResult<()> {
        seeds.iter().try_for_each(|&seed| {
            Self::check(samples, seed)
                .map_err(|failure| failure.context(format!("{source}, seed {seed}")))
        })
    }

    fn check(samples: &Samples, seed: u64) -> CommandResult<()> {
        let (split, training_rows, standardization) = split_and_fit(samples, seed)?;
        check_scores(&training_rows, &split.train, &standardization)?;
        for rows in [&split.validation, &split.test] {
            check_scores(&samples.select(rows)?, rows, &standardization)?;
        }
        Ok(())
    }

    /// Training rows, half clean, the rest with one mode corrupted: the noise number `draw`, the
    /// same for every model.
    pub(crate) fn corrupted_train(&self, draw: usize) -> CommandResult<Batch> {
        let mut rng = generator(self.seed, &format!("training noise {draw}"));
        let corrupted = self.train.mixture(self.noise, &mut rng)?;
        self.train.corrupted_batch(&corrupted)
    }

    /// Standardized test rows, half clean, the rest with one mode corrupted as in training.
    pub(super) fn leaked_test(&self) -> CommandResult<Vec<Tensor>> {
        let mut rng = generator(self.seed, "leaked test noise");
        self.test.mixture(self.noise, &mut rng)?.tensors()
    }

    /// Standardized test rows in a condition, one tensor a mode.
    ///
    /// A missing mode is 0, the mean of a standard score: no model here takes a mask.
    pub(crate) fn corrupted_test(
        &self,
        condition: &Condition,
        settings: &Settings,
    ) -> CommandResult<Vec<Tensor>> {
        let stream = condition.stream(settings.noise_std);
        let rows = &self.test.standardized;
        self.faulty(rows, &condition.corruptions, &stream, settings)
    }

    /// At most so many standardized test rows, evenly spread over all of them, with faults drawn from a
    /// stream: one tensor a mode.
    pub(crate) fn some_test_rows(
        &self,
        most: usize,
        faults: &[ModeCorruption],
        stream: &str,
        settings: &Settings,
    ) -> CommandResult<Vec<Tensor>> {
        let step = self.test.n_rows().div_ceil(most.max(1)).max(1);
        let every: Vec<usize> = (0..self.test.n_rows()).step_by(step).collect();
        let rows: Vec<Array2<f32>> = self
            .test
            .standardized
            .iter()
            .map(|mode| mode.select(Axis(0), &every))
            .collect();
        self.faulty(&rows, faults, stream, settings)
    }

    fn faulty(
        &self,
        rows: &[Array2<f32>],
        faults: &[ModeCorruption],
        stream: &str,
        settings: &Settings,
    ) -> CommandResult<Vec<Tensor>> {
        let mut rng = generator(self.seed, stream);
        let modes = &settings.data.modes;
        let n_rows = rows.first().map_or(0, Array2::nrows);
        let all = CorruptionRecord::all(n_rows, modes.len())?;
        let corrupted = CorruptedModes::of(rows)?.then_each(modes, &all, faults, &mut rng)?;
        let (mut values, missing) = corrupted.into_masked();
        for ((row, mode_index), &missing) in missing.indexed_iter() {
            if missing {
                values[mode_index].row_mut(row).fill(0.);
            }
        }
        tensors(&values, &self.test.device)
    }
}

/// Whether all standard scores are finite, said by data row and column if one is not.
fn check_scores(
    part: &Samples,
    data_rows: &[usize],
    standardization: &[Standardization],
) -> CommandResult<()> {
    for (mode, fitted) in part.modes().iter().zip(standardization) {
        fitted
            .apply(mode.values.view())
            .map_err(|error| match error {
                emma_data::Error::StandardizedValue {
                    row,
                    column,
                    value,
                    found,
                } => Failure::input(format!(
                    "data row {}: mode {}: expected a value of {} that is finite when standardized, \
                     got {value}, which becomes {found}",
                    data_rows[row], mode.name, mode.columns[column]
                )),
                error => error.into(),
            })?;
    }
    Ok(())
}

fn split_and_fit(
    samples: &Samples,
    seed: u64,
) -> CommandResult<(Split, Samples, Vec<Standardization>)> {
    let split = stratified_split(
        samples.labels(),
        &SplitFractions::default(),
        &mut generator(seed, "split"),
    )?;
    let training_rows = samples.select(&split.train)?;
    let standardization = training_rows
        .modes()
        .iter()
        .map(|mode| Standardization::fit(&mode.name, &mode.columns, mode.values.view()))
        .collect::<Result<Vec<_>, _>>()?;
    Ok((split, training_rows, standardization))
}

fn part(
    samples: &Samples,
    standardization: &[Standardization],
    device: &Device,
) -> CommandResult<Part> {
    let modes = samples.modes().iter();
    let raw = modes.map(|mode| mode.values.clone()).collect();
    let targets = samples.labels().iter().map(|&label| label.into());
    Part::new(raw, targets.collect(), standardization, device)
}

#[cfg(test)]
mod tests {
    use emma_data::{corrupt, read_candidates};

    use super::super::settings::DataSettings;
    use super::*;

    fn seed_data() -> (SeedData, Settings) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("candidates.csv");
        let text = emma_testkit::candidates::csv(300, true, &mut emma_testkit::rng(1));
        std::fs::write(&path, text).unwrap();
        let table = read_candidates(&path).unwrap();
        let data = DataSettings {
            source: "candidates.csv".into(),
            rows: 300,
            positives: 60,
            sha256: table.sha256,
            modes: vec!["ip".into(), "dm".into()],
        };
        let settings = Settings::new(data, vec![3]);
        let seed_data = SeedData::new(&table.samples, 3, &settings, &Device::Cpu).unwrap();
        (seed_data, settings)
    }

    fn rows(seed_data: &SeedData, settings: &Settings, name: &str) -> [Vec<Vec<f32>>; 2] {
        let all = Condition::all(&settings.data.modes).unwrap();
        let condition = all.iter().find(|one| one.name == name).unwrap();
        let modes = seed_data.corrupted_test(condition, settings).unwrap();
        [0, 1].map(|mode| modes[mode].to_vec2().unwrap())
    }

    /// The rows that versions with three conditions scored.
    #[test]
    fn noise_as_in_training_is_drawn_from_its_old_stream() {
        let (seed_data, settings) = seed_data();
        let test = &seed_data.test;
        for (mode_index, mode) in ["ip", "dm"].into_iter().enumerate() {
            let rng = &mut generator(3, &format!("test noise on {mode}"));
            let record = CorruptionRecord::all_rows(test.n_rows(), 2, mode_index).unwrap();
            let expected = corrupt(&test.standardized, &record, &seed_data.noise, rng).unwrap();
            let found = rows(&seed_data, &settings, &format!("{mode}:noise:0.5"));
            for (found, expected) in found.iter().zip(&expected) {
                let expected: Vec<Vec<f32>> =
                    expected.outer_iter().map(|row| row.to_vec()).collect();
                assert_eq!(*found, expected);
            }
        }
    }

    #[test]
    fn a_condition_touches_its_modes_alone() {
        let (seed_data, settings) = seed_data();
        let clean = rows(&seed_data, &settings, "uncorrupted");
        for condition in Condition::all(&settings.data.modes).unwrap() {
            let found = rows(&seed_data, &settings, &condition.name);
            for (mode_index, mode) in ["ip", "dm"].into_iter().enumerate() {
                let touched = condition.name.starts_with(mode)
                    || condition.name.starts_with(super::super::conditions::BOTH);
                let same = found[mode_index] == clean[mode_index];
                assert_eq!(same, !touched, "{} {mode}", condition.name);
            }
        }
    }

    #[test]
    fn a_missing_mode_is_zero() {
        let (seed_data, settings) = seed_data();
        let found = rows(&seed_data, &settings, "dm:missing");
        let expected = vec![vec![0f32; 4]; seed_data.test.n_rows()];
        assert_eq!(found[1], expected);
    }
}
