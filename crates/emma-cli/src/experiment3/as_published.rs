//! `--as-published`: what each fault of the program behind the thesis's tables does to the figures.
//!
//! Nothing else uses what is here: it is wrong on purpose. Models take the first values of their first start, whereas the
//! experiment gives a network that is born dead further ones.

use std::fmt::Write as _;

use anyhow::Context;
use candle_core::{D, Device, Tensor};
use emma_attention::PotentialEnergies;
use emma_data::Samples;
use emma_energy::optimization::mini_batches;
use emma_energy::{DenoisingAutoencoder, EnergyEstimator, SeededVarMap, softplus};
use emma_models::{Batch, ConfusionMatrix, ThresholdRule, Trainee, TrainingRows, train_together};
use serde::{Deserialize, Serialize};

use super::conditions::{Condition, UNCORRUPTED, short_names};
use super::data::SeedData;
use super::models::{ModelKind, Start};
use super::settings::{SIMULATED, Settings};
use crate::energies::{Energies, TrainedAutoencoder};
use crate::experiment::over_seeds::OverSeeds;
use crate::failure::CommandResult;
use crate::networks::{DynModel, Tensors};
use crate::progress::Progress;
use crate::text::align;

/// What marks a results folder as this study's.
pub(crate) const EXPERIMENT: &str = "experiment3-as-published";

/// Rows whose potentials the published program made one norm of.
const POLLUTED_BATCH: usize = 64;

/// Thresholds that the published program tried.
const GRID_POINTS: usize = 21;

/// A fault of the published program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The potential's quadratic term is summed over a batch of rows.
    BatchPotentials,
    /// The threshold is the point of a grid of 21 that is nearest to the corner of the ROC curve.
    GridCorner,
    /// Half of the rows that are taken for clean are corrupted.
    LeakingCorruption,
    /// Hyper-parameters are chosen by F1 on the test rows.
    RankingOnTest,
}

/// The faults one at a time and all together, by the names of the table.
const PROGRAMS: [(&str, &[Fault]); 6] = [
    ("no fault", &[]),
    ("batch potentials", &[Fault::BatchPotentials]),
    ("threshold at the grid's corner", &[Fault::GridCorner]),
    (
        "corruption leaks into clean rows",
        &[Fault::LeakingCorruption],
    ),
    ("ranking on test rows", &[Fault::RankingOnTest]),
    (
        "all four",
        &[
            Fault::BatchPotentials,
            Fault::GridCorner,
            Fault::LeakingCorruption,
            Fault::RankingOnTest,
        ],
    ),
];

const MODELS: [&str; 3] = ["base", "without", "with"];

/// F1 on test rows: by program, model and condition.
pub(crate) type SeedScores = Vec<[Vec<f64>; 3]>;

/// The study's results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct AsPublished {
    pub(crate) settings: Settings,
    /// Uncorrupted, then each mode noisy.
    conditions: Vec<String>,
    programs: Vec<ProgramResults>,
    /// What each program says that EMMA gains over `without`.
    gains: Vec<Gain>,
}

/// F1 of `with` less that of `without` by one program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Gain {
    program: String,
    /// Paired by seed, by condition.
    f1: Vec<OverSeeds>,
}

/// One program's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct ProgramResults {
    program: String,
    model: String,
    /// F1, by condition.
    f1: Vec<OverSeeds>,
    /// Less that of the program without faults, paired by seed, by condition.
    difference: Vec<OverSeeds>,
}

/// Progress steps (epochs) of one seed.
pub(crate) fn steps(settings: &Settings) -> CommandResult<u64> {
    let models = 2 + settings.candidates()?.len();
    Ok((PROGRAMS.len() * models * settings.training.n_epochs) as u64)
}

/// All programs on one seed's split.
pub(crate) fn run(
    settings: &Settings,
    samples: &Samples,
    seed: u64,
    device: &Device,
    progress: &Progress,
) -> CommandResult<SeedScores> {
    let data = SeedData::new(samples, seed, settings, device)?;
    let programs = PROGRAMS.iter().map(|&(_, faults)| {
        let program = Program {
            faults,
            settings,
            samples,
            seed,
            device,
            progress,
            data: &data,
        };
        program.scores()
    });
    programs.collect()
}

/// A program with faults, on one seed's split.
struct Program<'a> {
    faults: &'static [Fault],
    settings: &'a Settings,
    samples: &'a Samples,
    seed: u64,
    device: &'a Device,
    progress: &'a Progress,
    data: &'a SeedData,
}

/// Rows of one epoch after the other.
struct Lesson<'a> {
    program: &'a Program<'a>,
    /// Always these, or noise anew.
    fixed: Option<&'a Batch>,
    autoencoders: Option<&'a [DenoisingAutoencoder]>,
}

impl TrainingRows for Lesson<'_> {
    fn of_epoch(&mut self, epoch: usize) -> emma_models::Result<Batch> {
        if let Some(batch) = self.fixed {
            return Ok(batch.clone());
        }
        let batch = self.program.data.corrupted_train(epoch);
        let batch = batch.and_then(|batch| match self.autoencoders {
            Some(autoencoders) => self.program.annotate(batch, autoencoders),
            None => Ok(batch),
        });
        batch.map_err(|failure| emma_models::Error::Rows {
            epoch,
            source: failure.to_string().into(),
        })
    }
}

/// A model with the threshold chosen on its validation rows.
struct Fitted {
    model: Box<DynModel>,
    variables: SeededVarMap,
    threshold: f64,
    validation_f1: f64,
}

impl Program<'_> {
    /// F1 of each model in each condition.
    fn scores(&self) -> CommandResult<[Vec<f64>; 3]> {
        let leaks = self.faults.contains(&Fault::LeakingCorruption);
        let clean = if leaks {
            // A draw that no epoch has.
            self.data.corrupted_train(0)?
        } else {
            self.data.train.batch()?
        };
        let draws = &self.data.corrupted_validation;
        let validation_part = &self.data.validation;
        let clean_validation = match draws.first().filter(|_| leaks) {
            Some(draw) => validation_part.corrupted_batch(draw)?,
            None => validation_part.batch()?,
        };
        let mut corrupted = draws
            .iter()
            .map(|draw| validation_part.corrupted_batch(draw));
        let first = corrupted.next().context("no draw of validation noise")??;
        let corrupted_validation = corrupted.try_fold(first, |all, draw| {
            CommandResult::Ok(all.followed_by(&draw?)?)
        })?;

        let (energies, autoencoders) = self.energies(&clean)?;
        let lesson = |fixed, autoencoders| Lesson {
            program: self,
            fixed,
            autoencoders,
        };
        let none = Tensors::new();
        let no_energies = Energies::new(Vec::new())?;
        let base = self.fit(
            &[ModelKind::Base],
            &no_energies,
            lesson(Some(&clean), None),
            &clean_validation,
            &none,
        )?;
        let base = base.into_iter().next().context("base was not trained")?;
        let first_values = base.variables.snapshot()?;
        let without = self.fit(
            &[ModelKind::Without],
            &no_energies,
            lesson(None, None),
            &corrupted_validation,
            &first_values,
        )?;
        let candidates = self.settings.candidates()?;
        let kinds: Vec<ModelKind> = candidates.into_iter().map(ModelKind::With).collect();
        let with = self.fit(
            &kinds,
            &energies,
            lesson(None, Some(&autoencoders)),
            &self.annotate(corrupted_validation, &autoencoders)?,
            &first_values,
        )?;
        let on_test = |fitted: &Fitted, has_emma: bool| {
            self.test_scores(fitted, has_emma.then_some(autoencoders.as_slice()))
        };
        let mut best: Option<(f64, Vec<f64>)> = None;
        for candidate in &with {
            let scores = on_test(candidate, true)?;
            let rank = if self.faults.contains(&Fault::RankingOnTest) {
                scores.iter().sum()
            } else {
                candidate.validation_f1
            };
            if best.as_ref().is_none_or(|(highest, _)| rank > *highest) {
                best = Some((rank, scores));
            }
        }
        let (_, with) = best.context("no candidate was trained")?;
        let without = without.first().context("without was not trained")?;
        Ok([on_test(&base, false)?, on_test(without, false)?, with])
    }

    fn energies(&self, clean: &Batch) -> CommandResult<(Energies, Vec<DenoisingAutoencoder>)> {
        let modes = self.samples.modes().iter().zip(clean.modes());
        let trained: Vec<TrainedAutoencoder> = modes
            .map(|(mode, rows)| {
                let n_hidden = self.settings.autoencoder_hidden;
                let training = &self.settings.autoencoder_training;
                TrainedAutoencoder::train(&mode.name, rows, n_hidden, training, self.seed)
            })
            .collect::<CommandResult<_>>()?;
        let mut energies = Energies::new(trained)?;
        let autoencoders = energies.autoencoders().to_vec();
        if self.faults.contains(&Fault::BatchPotentials) {
            let potentials = self.potentials(clean.modes(), &autoencoders)?;
            energies.set_minimum_potential(&potentials.as_tensor().min(0)?)?;
        }
        Ok((energies, autoencoders))
    }

    fn potentials(
        &self,
        modes: &[Tensor],
        autoencoders: &[DenoisingAutoencoder],
    ) -> CommandResult<PotentialEnergies> {
        let estimators: Vec<Box<dyn EnergyEstimator>> = autoencoders
            .iter()
            .map(|autoencoder| self.estimator(autoencoder.clone()))
            .collect();
        Ok(PotentialEnergies::estimate(&estimators, modes)?)
    }

    fn estimator(&self, autoencoder: DenoisingAutoencoder) -> Box<dyn EnergyEstimator> {
        if self.faults.contains(&Fault::BatchPotentials) {
            Box::new(BatchPotential(autoencoder))
        } else {
            Box::new(emma_energy::PotentialEnergy(autoencoder))
        }
    }

    fn annotate(
        &self,
        batch: Batch,
        autoencoders: &[DenoisingAutoencoder],
    ) -> CommandResult<Batch> {
        let potentials = self.potentials(batch.modes(), autoencoders)?;
        Ok(batch.with_potentials(potentials)?)
    }

    /// Trains models of one name side by side, and chooses their thresholds.
    fn fit(
        &self,
        kinds: &[ModelKind],
        energies: &Energies,
        lesson: Lesson<'_>,
        validation: &Batch,
        first_values: &Tensors,
    ) -> CommandResult<Vec<Fitted>> {
        let Some(first) = kinds.first() else {
            return Ok(Vec::new());
        };
        let start = Start {
            seed: self.seed,
            attempt: 1,
            first_values,
        };
        let built = kinds
            .iter()
            .map(|kind| kind.begin(self.settings, self.samples, energies, &start, self.device))
            .collect::<CommandResult<Vec<_>>>()?;
        let trainees: Vec<Trainee<'_, _>> = built
            .iter()
            .map(|(model, variables)| Trainee { model, variables })
            .collect();
        train_together(
            &trainees,
            lesson,
            validation,
            &self.settings.training,
            &mut first.training_generator(self.samples, self.seed),
            |_, _| self.progress.advance(1),
        )?;
        let labels = labels(validation)?;
        built
            .into_iter()
            .map(|(model, variables)| {
                let probabilities =
                    probabilities(&model, validation.modes(), validation.potentials())?;
                let threshold = self.threshold(&probabilities, &labels)?;
                let counts = ConfusionMatrix::at_threshold(&probabilities, &labels, threshold)?;
                Ok(Fitted {
                    model,
                    variables,
                    threshold,
                    validation_f1: counts.f1(),
                })
            })
            .collect()
    }

    fn threshold(&self, probabilities: &[f32], labels: &[u8]) -> CommandResult<f64> {
        if !self.faults.contains(&Fault::GridCorner) {
            return Ok(ThresholdRule::MaxF1.choose(probabilities, labels)?);
        }
        let mut nearest = (f64::INFINITY, 0.);
        for point in 0..GRID_POINTS {
            let threshold = point as f64 / (GRID_POINTS - 1) as f64;
            let counts = ConfusionMatrix::at_threshold(probabilities, labels, threshold)?;
            let distance = (1. - counts.recall()).hypot(1. - counts.specificity());
            if distance < nearest.0 {
                nearest = (distance, threshold);
            }
        }
        Ok(nearest.1)
    }

    /// F1 uncorrupted and with each mode noisy.
    fn test_scores(
        &self,
        fitted: &Fitted,
        autoencoders: Option<&[DenoisingAutoencoder]>,
    ) -> CommandResult<Vec<f64>> {
        let labels = &self.data.test.labels();
        let conditions = conditions(self.settings)?;
        let scores = conditions.iter().map(|(_, condition)| {
            let rows = if condition.name == UNCORRUPTED
                && self.faults.contains(&Fault::LeakingCorruption)
            {
                self.data.leaked_test()?
            } else {
                self.data.corrupted_test(condition, self.settings)?
            };
            let potentials = autoencoders
                .map(|autoencoders| self.potentials(&rows, autoencoders))
                .transpose()?;
            let probabilities = probabilities(&fitted.model, &rows, potentials.as_ref())?;
            Ok(ConfusionMatrix::at_threshold(&probabilities, labels, fitted.threshold)?.f1())
        });
        scores.collect()
    }
}

/// The potential of a program that takes one norm over a whole batch: `½ Σ_rows |x − b_g|² − Σ softplus(W x + b_f)`.
///
/// Against what an estimator promises, a row's energy depends on the rows that happen to stand beside it.
struct BatchPotential(DenoisingAutoencoder);

impl EnergyEstimator for BatchPotential {
    fn n_features(&self) -> usize {
        self.0.n_features()
    }

    fn energy(&self, rows: &Tensor) -> emma_energy::Result<Tensor> {
        let softplus = softplus(&self.0.pre_activation(rows)?)?.sum(D::Minus1)?;
        let deviation = rows.broadcast_sub(self.0.decoder_bias())?.sqr()?;
        let batches = mini_batches(rows.dim(0)?, POLLUTED_BATCH).map(|(start, length)| {
            let quadratic = (deviation.narrow(0, start, length)?.sum_all()? * 0.5)?;
            quadratic.broadcast_sub(&softplus.narrow(0, start, length)?)
        });
        let batches = batches.collect::<candle_core::Result<Vec<_>>>()?;
        Ok(Tensor::cat(&batches, 0)?)
    }
}

fn probabilities(
    model: &DynModel,
    modes: &[Tensor],
    potentials: Option<&PotentialEnergies>,
) -> CommandResult<Vec<f32>> {
    let output = model.forward(modes, potentials)?;
    let on_cpu = output.probabilities()?.to_device(&Device::Cpu)?;
    Ok(on_cpu.detach().to_vec1()?)
}

fn labels(batch: &Batch) -> CommandResult<Vec<u8>> {
    let labels: Vec<f32> = batch.labels().to_device(&Device::Cpu)?.to_vec1()?;
    Ok(labels
        .into_iter()
        .map(|label| u8::from(label > 0.5))
        .collect())
}

/// Uncorrupted and each mode noisy, with their names in the table.
fn conditions(settings: &Settings) -> CommandResult<Vec<(String, Condition)>> {
    let modes = &settings.data.modes;
    let mut named = vec![(UNCORRUPTED.to_owned(), UNCORRUPTED.to_owned())];
    for (short, long) in short_names(modes, settings.noise_std)? {
        named.push((format!("{short} noisy"), long));
    }
    let all = Condition::all(modes)?;
    let found = named.into_iter().map(|(title, name)| {
        let condition = all.iter().find(|condition| condition.name == name);
        Ok((title, condition.context("a condition is missing")?.clone()))
    });
    found.collect()
}

impl AsPublished {
    /// Puts the seeds together.
    pub(crate) fn new(settings: Settings, seeds: &[SeedScores]) -> CommandResult<Self> {
        let conditions = conditions(&settings)?;
        let figures = |of_seed: &dyn Fn(&SeedScores, usize) -> f64| -> Vec<OverSeeds> {
            let of_condition = |condition| {
                let of_seeds = seeds.iter().map(|seed| of_seed(seed, condition));
                OverSeeds::of(of_seeds.collect())
            };
            (0..conditions.len()).map(of_condition).collect()
        };
        let (mut programs, mut gains) = (Vec::new(), Vec::new());
        for (number, (program, _)) in PROGRAMS.iter().enumerate() {
            let [_, without, with] = [0, 1, 2];
            gains.push(Gain {
                program: (*program).into(),
                f1: figures(&|seed, condition| {
                    seed[number][with][condition] - seed[number][without][condition]
                }),
            });
            for (index, model) in MODELS.iter().enumerate() {
                programs.push(ProgramResults {
                    program: (*program).into(),
                    model: (*model).into(),
                    f1: figures(&|seed, condition| seed[number][index][condition]),
                    difference: figures(&|seed, condition| {
                        seed[number][index][condition] - seed[0][index][condition]
                    }),
                });
            }
        }
        Ok(Self {
            conditions: conditions.into_iter().map(|(title, _)| title).collect(),
            programs,
            gains,
            settings,
        })
    }

    /// The table.
    pub(crate) fn table(&self) -> String {
        let mut text = format!(
            "F1 on test rows{}, mean ± half-width of the 95 % interval over seeds, and what each fault of the \
             published\nprogram changes in it, paired by seed. A model that a fault does not touch is left out.\n\n",
            if self.settings.data.source == SIMULATED {
                " of a SIMULATED survey"
            } else {
                ""
            }
        );
        let mut header = vec!["fault".to_owned(), "model".to_owned()];
        header.extend(self.conditions.iter().cloned());
        header.extend(self.conditions.iter().map(|_| "change".to_owned()));
        let mut rows = vec![header];
        for found in &self.programs {
            let first = found.program == PROGRAMS[0].0;
            let touched = found
                .difference
                .iter()
                .any(|difference| difference.per_seed.iter().any(|&change| change != 0.));
            if !first && !touched {
                continue;
            }
            let mut row = vec![found.program.clone(), found.model.clone()];
            row.extend(found.f1.iter().map(OverSeeds::words));
            if !first {
                row.extend(found.difference.iter().map(signed));
            }
            rows.push(row);
        }
        align(&mut text, &rows);
        text.push_str(
            "\nWhat each program says that EMMA gains, F1 of with less that of without:\n\n",
        );
        let mut header = vec!["fault".to_owned()];
        header.extend(self.conditions.iter().cloned());
        let mut rows = vec![header];
        for gain in &self.gains {
            let mut row = vec![gain.program.clone()];
            row.extend(gain.f1.iter().map(signed));
            rows.push(row);
        }
        align(&mut text, &rows);
        let _ = writeln!(
            text,
            "\nThe grid's corner: of {GRID_POINTS} thresholds the one nearest to the corner of the ROC curve. Batch \
             potentials: one norm over {POLLUTED_BATCH}\nrows. Leaks: half of the clean training, validation and test rows \
             have a mode with noise {}. Ranking: EMMA's hyper-\nparameters by F1 on the test rows ({} candidates).",
            self.settings.noise_std,
            self.settings.candidates().map_or(0, |all| all.len()),
        );
        text
    }
}

fn signed(difference: &OverSeeds) -> String {
    match difference.ci95 {
        Some(half_width) => format!("{:+.3} ± {half_width:.3}", difference.mean),
        None => format!("{:+.3}", difference.mean),
    }
}

#[cfg(test)]
mod tests {
    use candle_core::DType;
    use emma_energy::{AutoencoderConfig, PotentialEnergy};

    use super::*;

    #[test]
    fn a_batch_potential_depends_on_the_rows_beside_it() {
        let variables = SeededVarMap::new(emma_testkit::rng(1));
        let vb = variables.var_builder(DType::F64, &Device::Cpu);
        let config = AutoencoderConfig {
            n_features: 2,
            n_hidden: 3,
        };
        let autoencoder = DenoisingAutoencoder::new(&config, &vb).unwrap();
        let rows = Tensor::new(&[[1f64, 2.], [3., 4.]], &Device::Cpu).unwrap();
        let energies = |estimator: &dyn EnergyEstimator, rows: &Tensor| -> Vec<f64> {
            estimator.energy(rows).unwrap().to_vec1().unwrap()
        };
        let right = energies(&PotentialEnergy(autoencoder.clone()), &rows);
        let polluted = BatchPotential(autoencoder);
        let first = rows.narrow(0, 0, 1).unwrap();
        assert!((energies(&polluted, &first)[0] - right[0]).abs() < 1e-12);
        // The other row's half squared norm, 25/2, is added: first biases are zero.
        assert!((energies(&polluted, &rows)[0] - right[0] - 12.5).abs() < 1e-12);
        // A batch ends at 64 rows.
        let many = Tensor::cat(&vec![&first; POLLUTED_BATCH + 1], 0).unwrap();
        let many = energies(&polluted, &many);
        assert!((many[POLLUTED_BATCH] - right[0]).abs() < 1e-12);
        assert!((many[0] - right[0] - 63. * 2.5).abs() < 1e-10);
    }
}
