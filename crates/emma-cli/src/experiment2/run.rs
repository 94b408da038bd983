//! One seed: split, fit every estimator to every mode, look at test rows.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use candle_core::{Device, Tensor};
use emma_data::{
    CorruptedModes, Corruption, CorruptionRecord, NoiseStd, Samples, SplitFractions,
    Standardization, generator, stratified_split,
};
use emma_energy::{FittedEstimator, energies, in_type, transfer};
use emma_models::scoring_type;
use ndarray::{Array2, Axis};

use super::outcome::{EstimatorOutcome, Examples, SeedOutcome, Spread};
use super::settings::{NOISE, Settings};
use crate::experiment::energy_auc::auc_of_energies;
use crate::experiment::estimators::{EstimatorKind, Fits};
use crate::failure::CommandResult;
use crate::files;
use crate::progress::Progress;

/// Most energies that are kept of one kind of rows.
const MOST_EXAMPLES: usize = 1000;

/// Runs one seed, or reads what an earlier run found.
pub(crate) fn run(
    settings: &Settings,
    samples: &Samples,
    seed: u64,
    folder: &Path,
    device: &Device,
    progress: &Progress,
) -> CommandResult<SeedOutcome> {
    let path = folder.join(format!("seed{seed}.json"));
    let earlier = std::fs::read_to_string(&path).ok();
    let earlier = earlier.and_then(|text| serde_json::from_str::<SeedOutcome>(&text).ok());
    if let Some(outcome) = earlier.filter(|outcome| outcome.seed == seed) {
        progress.advance(steps(settings, samples));
        return Ok(outcome);
    }
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    let split = stratified_split(
        samples.labels(),
        &SplitFractions::default(),
        &mut generator(seed, "split"),
    )?;
    let (train, test) = (samples.select(&split.train)?, samples.select(&split.test)?);
    let mut modes = BTreeMap::new();
    for (fitted, mode) in train.modes().iter().zip(test.modes()) {
        let standardization =
            Standardization::fit(&mode.name, &mode.columns, fitted.values.view())?;
        let clean = standardization.apply(fitted.values.view())?;
        let positives = tensor(&of_class(&clean, train.labels(), 1), device)?;
        let clean = tensor(&clean, device)?;
        let (all_name, positives_name) = (mode.name.clone(), format!("{} positives", mode.name));
        let setup = &settings.setup;
        let look = Look {
            settings,
            seed,
            device,
            mode: &mode.name,
            all: Fits::new(&clean, setup, seed, &all_name),
            positives: Fits::new(&positives, setup, seed, &positives_name),
            test: standardization.apply(mode.values.view())?,
            test_labels: test.labels(),
        };
        let mut outcomes = BTreeMap::new();
        for kind in &settings.estimators {
            outcomes.insert(kind.name().to_owned(), look.at(*kind)?);
            progress.advance(1);
        }
        modes.insert(mode.name.clone(), outcomes);
    }
    let outcome = SeedOutcome { seed, modes };
    files::write_json(&path, &outcome)?;
    Ok(outcome)
}

/// Progress steps (estimators of modes) of one seed.
pub(crate) fn steps(settings: &Settings, samples: &Samples) -> u64 {
    (settings.estimators.len() * samples.n_modes()) as u64
}

/// One mode of one seed's rows, standardized.
struct Look<'a> {
    settings: &'a Settings,
    seed: u64,
    device: &'a Device,
    mode: &'a str,
    /// Fits to all clean training rows, and to the positive ones.
    all: Fits<'a>,
    positives: Fits<'a>,
    test: Array2<f32>,
    test_labels: &'a [u8],
}

impl Look<'_> {
    fn at(&self, kind: EstimatorKind) -> CommandResult<EstimatorOutcome> {
        let start = Instant::now();
        let estimator = self.fit(&self.all, kind)?;
        let seconds = start.elapsed().as_secs_f64();
        let energies = |rows: &Array2<f32>| self.energies(&*estimator, rows);
        let clean = energies(&self.test)?;
        let mut examples = Examples {
            clean: thinned(&clean),
            ..Examples::default()
        };
        let mut auc = BTreeMap::new();
        for name in &self.settings.corruptions {
            let corrupted = energies(&self.corrupted(&name.parse()?, name)?)?;
            auc.insert(name.clone(), auc_of_energies(&clean, &corrupted)?);
            if name == NOISE {
                examples.noisy = thinned(&corrupted);
            }
        }
        let noise = self
            .settings
            .noise_levels
            .iter()
            .map(|&level| {
                let noise = Corruption::Noise(NoiseStd::new(level)?);
                // One stream for all levels: the same noise, larger and larger.
                Ok(Spread::of(&energies(
                    &self.corrupted(&noise, "noise levels")?,
                )?))
            })
            .collect::<CommandResult<_>>()?;
        let zeros = energies(&Array2::zeros((1, self.test.ncols())))?;
        let below = clean.iter().filter(|&&energy| energy < zeros[0]).count();

        let estimator = self.fit(&self.positives, kind)?;
        let of_class =
            |class| self.energies(&*estimator, &of_class(&self.test, self.test_labels, class));
        let (positive, negative) = (of_class(1)?, of_class(0)?);
        examples.positive = thinned(&positive);
        examples.negative = thinned(&negative);
        Ok(EstimatorOutcome {
            auc,
            noise,
            out_of_distribution_auc: auc_of_energies(&positive, &negative)?,
            below_missing: below as f64 / clean.len() as f64,
            examples,
            seconds,
        })
    }

    /// Fits, and converts to the type that scores.
    fn fit(&self, fits: &Fits, kind: EstimatorKind) -> CommandResult<Box<dyn FittedEstimator>> {
        let fitted = fits.fit(kind)?;
        Ok(in_type(&*fitted, scoring_type(self.device), self.device)?)
    }

    fn energies(
        &self,
        estimator: &dyn FittedEstimator,
        rows: &Array2<f32>,
    ) -> CommandResult<Vec<f64>> {
        let rows = transfer(
            &tensor(rows, &Device::Cpu)?,
            scoring_type(self.device),
            self.device,
        )?;
        Ok(energies(estimator, &rows)?)
    }

    /// Every test row corrupted; a missing mode becomes zeros, the mean of the training rows, because
    /// an energy needs numbers.
    fn corrupted(&self, corruption: &Corruption, stream: &str) -> CommandResult<Array2<f32>> {
        let record = CorruptionRecord::all(self.test.nrows(), 1)?;
        let rng = &mut generator(self.seed, &format!("{} {stream}", self.mode));
        let corrupted = CorruptedModes::of(&[self.test.view()])?
            .with_labels(self.test_labels)?
            .then(&record, corruption, rng)?;
        let (mut modes, missing) = corrupted.into_masked();
        let mut rows = modes.swap_remove(0);
        for (row, missing) in missing.column(0).iter().enumerate() {
            if *missing {
                rows.row_mut(row).fill(0.);
            }
        }
        Ok(rows)
    }
}

fn tensor(rows: &Array2<f32>, device: &Device) -> CommandResult<Tensor> {
    let tensor = Tensor::from_iter(rows.iter().copied(), &Device::Cpu)?.reshape(rows.dim())?;
    Ok(tensor.to_device(device)?)
}

fn of_class(rows: &Array2<f32>, labels: &[u8], class: u8) -> Array2<f32> {
    let of_class: Vec<usize> = (0..labels.len())
        .filter(|&row| labels[row] == class)
        .collect();
    rows.select(Axis(0), &of_class)
}

/// Every n-th energy, so that there are not too many; those beyond f32 become its largest, because JSON
/// knows no infinity.
fn thinned(energies: &[f64]) -> Vec<f32> {
    let step = energies.len().div_ceil(MOST_EXAMPLES).max(1);
    energies
        .iter()
        .step_by(step)
        .map(|&energy| (energy as f32).clamp(f32::MIN, f32::MAX))
        .collect()
}
