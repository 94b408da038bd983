//! From rows to a learner that predicts.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use emma_attention::{ColdnessAnnealing, ModeGate};
use emma_data::{Augmentation, generator};
use emma_energy::{JointDensityFit, NoiseModel, SeededVarMap};
use emma_models::{
    Batch, EncodedDensity, EncodedDensityFit, MultiModalModel, Trainee, TrainingConfig,
    TrainingRows, train_together,
};

use super::construction::{Constructed, Construction, View};
use super::hyper::Hyper;
use super::learner::Learner;
use super::regime::Regime;
use super::rows::{Modes, SeedRows};
use crate::energies::Energies;
use crate::failure::CommandResult;
use crate::networks::DynModel;
use crate::part::tensors;

/// How a gate that anneals cools.
const ANNEALING: ColdnessAnnealing = ColdnessAnnealing {
    start: 0.05,
    n_epochs: 10,
};

/// A learner that has learned.
pub(crate) struct Fitted {
    view: View,
    model: Box<DynModel>,
    pub(crate) n_parameters: usize,
    pub(crate) validation_loss: f64,
}

impl Fitted {
    /// Probability of label 1 of every row.
    pub(crate) fn probabilities(&self, modes: &Modes) -> CommandResult<Vec<f64>> {
        let modes = self.view.of(modes)?;
        let probabilities = self.model.forward(&modes, None)?.probabilities()?;
        Ok(probabilities.to_dtype(DType::F64)?.to_vec1()?)
    }
}

/// What EMMA+ has of a seed's clean training rows, whatever the regime.
pub(super) fn density(rows: &SeedRows, noise: &NoiseModel) -> CommandResult<EncodedDensity> {
    let labels: Vec<u32> = rows
        .train
        .labels
        .iter()
        .map(|&label| label.into())
        .collect();
    let fit = EncodedDensityFit {
        density: JointDensityFit {
            noise: noise.clone(),
            ..JointDensityFit::default()
        },
        ..EncodedDensityFit::default()
    };
    let modes = tensors(&rows.train.modes, &Device::Cpu)?;
    let mut rng = generator(rows.seed, "arena joint density");
    Ok(fit.fit(&modes, &labels, 2, &mut rng)?)
}

/// Training rows of a learner.
struct Lesson<'a> {
    rows: &'a SeedRows,
    regime: Regime,
    learner: Learner,
    view: &'a View,
    energies: Option<&'a Energies>,
    /// A gate that is cooled from epoch to epoch.
    annealed: Option<&'a ModeGate>,
}

impl Lesson<'_> {
    /// What rows go through and the name of its draws; nothing for whoever learns from clean rows.
    fn augmentation(&self) -> CommandResult<Option<(Box<dyn Augmentation>, &'static str)>> {
        let n_modes = self.rows.n_modes();
        Ok(match self.learner {
            Learner::Base => None,
            Learner::Without => Some((Regime::noise_alone(n_modes)?, "noise alone")),
            _ => Some((self.regime.augmentation(n_modes)?, self.regime.name())),
        })
    }

    fn modes(&self, epoch: usize) -> CommandResult<Modes> {
        match self.augmentation()? {
            Some((augmentation, draws)) => self.rows.augmented(augmentation, draws, epoch),
            None => Ok(self.rows.train.modes.clone()),
        }
    }

    fn batch(&self, epoch: usize) -> CommandResult<Batch> {
        let batch = labelled(self.view.of(&self.modes(epoch)?)?, &self.rows.train.labels)?;
        match self.energies {
            Some(energies) => energies.annotate(batch),
            None => Ok(batch),
        }
    }
}

impl TrainingRows for Lesson<'_> {
    fn of_epoch(&mut self, epoch: usize) -> emma_models::Result<Batch> {
        if let Some(gate) = self.annealed {
            gate.set_coldness_factor(ANNEALING.factor(epoch.saturating_sub(1)))?;
        }
        self.batch(epoch)
            .map_err(|failure| emma_models::Error::Rows {
                epoch,
                source: failure.to_string().into(),
            })
    }
}

fn labelled(modes: Vec<Tensor>, labels: &[u8]) -> CommandResult<Batch> {
    let labels: Vec<f32> = labels.iter().map(|&label| label.into()).collect();
    let n_rows = labels.len();
    Ok(Batch::new(
        modes,
        Tensor::from_vec(labels, n_rows, &Device::Cpu)?,
    )?)
}

/// Trains a learner.
pub(crate) fn fit(
    learner: Learner,
    hyper: Hyper,
    regime: Regime,
    rows: &SeedRows,
    density: &Arc<EncodedDensity>,
    n_epochs: usize,
) -> CommandResult<Fitted> {
    let name = format!("arena {} {}", regime.name(), learner.name());
    let stream = |purpose: &str| generator(rows.seed, &format!("{name} {purpose}"));
    let variables = SeededVarMap::new(stream("first values"));
    let construction = Construction {
        hyper,
        regime,
        rows,
        density,
        variables: &variables,
    };
    let Constructed {
        model,
        view,
        energies,
        annealed,
        batch_size,
        n_fitted,
    } = construction.construct(learner)?;
    let config = TrainingConfig {
        n_epochs,
        learning_rate: hyper.learning_rate,
        batch_size,
        patience: Some(10),
        ..TrainingConfig::default()
    };
    let lesson = Lesson {
        rows,
        regime,
        learner,
        view: &view,
        energies: energies.as_ref(),
        annealed: annealed.as_ref(),
    };
    let validation = stopping_rows(&lesson, energies.as_ref())?;
    let trainee = Trainee {
        model: &*model,
        variables: &variables,
    };
    let history = train_together(
        &[trainee],
        lesson,
        &validation,
        &config,
        &mut stream("order"),
        |_, _| {},
    )?;
    let validation_loss = history[0].best_validation_loss();
    let parameters = variables.named_vars();
    Ok(Fitted {
        view,
        model,
        n_parameters: n_fitted
            + parameters
                .iter()
                .map(|(_, var)| var.elem_count())
                .sum::<usize>(),
        validation_loss,
    })
}

/// Validation rows as training rows are made: what stops the training.
fn stopping_rows(lesson: &Lesson<'_>, energies: Option<&Energies>) -> CommandResult<Batch> {
    let rows = lesson.rows;
    let validation = &rows.validation;
    let Some((augmentation, _)) = lesson.augmentation()? else {
        return labelled(lesson.view.of(&validation.modes)?, &validation.labels);
    };
    let mut rng = generator(
        rows.seed,
        &format!("arena stopping {}", lesson.regime.name()),
    );
    let mut all: Option<Batch> = None;
    for _ in 0..2 {
        let modes = emma_data::augment(&validation.modes, &augmentation, &mut rng)?;
        let (modes, _) = modes.into_masked();
        let batch = labelled(lesson.view.of(&modes)?, &validation.labels)?;
        all = Some(match all {
            Some(all) => all.followed_by(&batch)?,
            None => batch,
        });
    }
    let all = all.ok_or_else(|| anyhow::anyhow!("no validation rows"))?;
    match energies {
        Some(energies) => energies.annotate(all),
        None => Ok(all),
    }
}
