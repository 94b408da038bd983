//! From rows to a learner that predicts.

use candle_core::{DType, Device, Tensor};
use emma_attention::{Coldness, ColdnessAnnealing, ModeGateConfig, Regularizers};
use emma_data::generator;
use emma_energy::{AutoencoderTraining, JointDensity, JointDensityFit, NoiseModel, SeededVarMap};
use emma_models::{
    AlternativeAttention, Batch, Concatenation, EmbraceNet, EmbraceNetConfig, EmmaPlus,
    EmmaPlusConfig, EnsembleMlp, EnsembleMlpConfig, MixtureOfExperts, MixtureOfExpertsConfig, Mlp,
    MlpConfig, MultiModalModel, PredictiveDynamicFusion, PredictiveDynamicFusionConfig, Prepared,
    QualityAwareFusion, QualityAwareFusionConfig, Trainee, TrainingConfig, TrainingRows,
    TrustedMultiView, TrustedMultiViewConfig, emma_plus, train_together,
};
use ndarray::ArrayViewMut1;
use serde::{Deserialize, Serialize};

use super::learner::Learner;
use super::regime::Regime;
use super::rows::{Modes, SeedRows};
use crate::energies::{Energies, TrainedAutoencoder};
use crate::failure::CommandResult;
use crate::networks::{Candidate, DynModel, Front, Shape, build};
use crate::part::tensors;

/// Hidden widths of networks: 4,801 parameters on HTRU2.
const HIDDEN: [usize; 2] = [64, 64];
/// Hidden widths of each of four members: as many parameters together.
const MEMBER_HIDDEN: [usize; 2] = [28, 28];

/// What is chosen for a learner by `arena tune`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Hyper {
    pub(crate) learning_rate: f64,
    /// One of three values of the learner's own hyper-parameter, 0 to 2.
    pub(crate) variant: usize,
}

impl Hyper {
    /// What a learner has that was not tuned.
    pub(crate) fn first() -> Self {
        Self {
            learning_rate: 1e-3,
            variant: 0,
        }
    }

    /// What every learner may choose from.
    pub(crate) fn all() -> Vec<Self> {
        let rates = [1e-3, 3e-3];
        rates
            .into_iter()
            .flat_map(|learning_rate| {
                (0..3).map(move |variant| Self {
                    learning_rate,
                    variant,
                })
            })
            .collect()
    }
}

/// What of a row a model sees.
enum View {
    /// 0 where a value is missing.
    Zeros,
    /// NaN where a whole mode is missing, 0 where a single value is.
    Absent,
    /// What a density says.
    Density(JointDensity),
}

impl View {
    fn of(&self, modes: &Modes) -> CommandResult<Vec<Tensor>> {
        match self {
            Self::Zeros => {
                let filled: Modes = modes
                    .iter()
                    .map(|mode| mode.mapv(|value| if value.is_nan() { 0. } else { value }))
                    .collect();
                tensors(&filled, &Device::Cpu)
            }
            Self::Absent => {
                let mut filled = modes.clone();
                for row in filled.iter_mut().flat_map(|mode| mode.rows_mut()) {
                    fill_unless_absent(row);
                }
                tensors(&filled, &Device::Cpu)
            }
            Self::Density(density) => {
                let modes = tensors(modes, &Device::Cpu)?;
                Ok(emma_plus::prepare(density, &modes)?)
            }
        }
    }
}

/// Zeros in the place of missing values, if any value is there.
fn fill_unless_absent(mut row: ArrayViewMut1<'_, f32>) {
    if row.iter().any(|value| !value.is_nan()) {
        row.mapv_inplace(|value| if value.is_nan() { 0. } else { value });
    }
}

/// A learner that has learned.
pub(crate) struct Fitted {
    view: View,
    /// Their mean probability is the answer.
    members: Vec<Box<DynModel>>,
    pub(crate) n_parameters: usize,
    pub(crate) validation_loss: f64,
}

impl Fitted {
    /// Probability of label 1 of every row.
    pub(crate) fn probabilities(&self, modes: &Modes) -> CommandResult<Vec<f64>> {
        let modes = self.view.of(modes)?;
        let mut mean = vec![0.; modes[0].dim(0)?];
        for member in &self.members {
            let probabilities = member.forward(&modes, None)?.probabilities()?;
            let probabilities = probabilities.to_dtype(DType::F64)?.to_vec1::<f64>()?;
            for (mean, probability) in mean.iter_mut().zip(probabilities) {
                *mean += probability / self.members.len() as f64;
            }
        }
        Ok(mean)
    }
}

/// What is fitted once for a seed, whatever the regime.
pub(crate) struct Shared {
    pub(crate) density: JointDensity,
}

impl Shared {
    pub(crate) fn new(rows: &SeedRows, noise: &NoiseModel) -> CommandResult<Self> {
        let labels: Vec<u32> = rows
            .train
            .labels
            .iter()
            .map(|&label| label.into())
            .collect();
        let fit = JointDensityFit {
            noise: noise.clone(),
            ..JointDensityFit::default()
        };
        let modes = tensors(&rows.train.modes, &Device::Cpu)?;
        let mut rng = generator(rows.seed, "arena joint density");
        Ok(Self {
            density: fit.fit(&modes, &labels, 2, &mut rng)?,
        })
    }
}

/// Training rows of a learner.
struct Lesson<'a> {
    rows: &'a SeedRows,
    regime: Regime,
    learner: Learner,
    view: &'a View,
    energies: Option<&'a Energies>,
    annealing: Option<(
        ColdnessAnnealing,
        &'a dyn Fn(f64) -> emma_models::Result<()>,
    )>,
}

impl Lesson<'_> {
    fn modes(&self, epoch: usize) -> CommandResult<Modes> {
        let n_modes = self.rows.n_modes();
        match self.learner {
            Learner::Base => Ok(self.rows.train.modes.clone()),
            Learner::Without if self.regime == Regime::Narrow => {
                let noise = Regime::noise_alone(n_modes)?;
                self.rows.augmented(noise, "noise alone", epoch)
            }
            _ => {
                let augmentation = self.regime.augmentation(n_modes)?;
                self.rows.augmented(augmentation, self.regime.name(), epoch)
            }
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
        if let Some((annealing, set)) = &self.annealing {
            set(annealing.factor(epoch.saturating_sub(1)))?;
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
    shared: &Shared,
    n_epochs: usize,
) -> CommandResult<Fitted> {
    let name = format!("arena {} {}", regime.name(), learner.name());
    let stream = |purpose: &str| generator(rows.seed, &format!("{name} {purpose}"));
    let variables = SeededVarMap::new(stream("first values"));
    let vb = variables.var_builder(DType::F32, &Device::Cpu);
    let mode_widths: Vec<usize> = rows.train.modes.iter().map(|mode| mode.ncols()).collect();
    let (n_modes, n_features) = (mode_widths.len(), mode_widths.iter().sum());
    let perceptron = || MlpConfig {
        n_inputs: n_features,
        hidden: HIDDEN.to_vec(),
        n_outputs: 1,
    };
    let mut config = TrainingConfig {
        n_epochs,
        learning_rate: hyper.learning_rate,
        batch_size: 32,
        patience: Some(10),
        ..TrainingConfig::default()
    };
    let mut view = View::Zeros;
    let mut energies = None;
    let mut plus = None;
    let model: Box<DynModel> = match learner {
        Learner::Base | Learner::Without | Learner::ModeDropout => {
            config.batch_size = [32, 64, 128][hyper.variant];
            let network = Mlp::new(&perceptron(), &vb.pp("network"))?;
            Box::new(Concatenation { network })
        }
        Learner::Alternative => {
            config.batch_size = [32, 64, 128][hyper.variant];
            let network = Mlp::new(&perceptron(), &vb.pp("network"))?;
            let vb = vb.pp("alternative");
            Box::new(AlternativeAttention::new(
                n_modes, n_features, network, &vb,
            )?)
        }
        Learner::Emma => {
            let clean = tensors(&rows.train.modes, &Device::Cpu)?;
            let training = AutoencoderTraining {
                batch_size: 32,
                ..AutoencoderTraining::default()
            };
            let autoencoders = clean.iter().zip(&rows.mode_names).map(|(mode, name)| {
                TrainedAutoencoder::train(name, mode, 12, &training, rows.seed)
            });
            let fitted = Energies::new(autoencoders.collect::<CommandResult<_>>()?)?;
            let candidate = Candidate {
                coldness: Coldness::new([0.01, 0.1, 1.][hyper.variant])?,
                regularizers: Regularizers::default(),
            };
            let shape = Shape {
                mode_widths,
                hidden: HIDDEN.to_vec(),
                n_outputs: 1,
                minimum_self_weight: 1.,
            };
            let model = build(
                Front::Emma(candidate),
                &shape,
                &fitted,
                &variables,
                &Device::Cpu,
            )?;
            energies = Some(fitted);
            model
        }
        Learner::EmbraceNet => {
            config.batch_size = 128;
            view = View::Absent;
            let network = EmbraceNetConfig {
                n_features: mode_widths,
                docking_hidden: vec![32],
                n_embedding: [16, 32, 48][hyper.variant],
                terminal_hidden: vec![32, 32],
            };
            Box::new(EmbraceNet::new(&network, rows.seed, &vb)?)
        }
        Learner::MixtureOfExperts => {
            config.batch_size = 128;
            let network = MixtureOfExpertsConfig {
                n_features: mode_widths,
                expert_hidden: vec![32, 32],
                gate_hidden: [vec![16], vec![16], vec![32]][hyper.variant].clone(),
                joint_expert: hyper.variant > 0,
            };
            Box::new(MixtureOfExperts::new(&network, &vb)?)
        }
        Learner::QualityAwareFusion => {
            config.batch_size = 128;
            let network = QualityAwareFusionConfig {
                n_features: mode_widths,
                hidden: vec![48, 32],
                ranking_weight: [0.01, 0.1, 1.][hyper.variant],
                ..QualityAwareFusionConfig::default()
            };
            Box::new(QualityAwareFusion::new(&network, &vb)?)
        }
        Learner::PredictiveDynamicFusion => {
            config.batch_size = 128;
            let network = PredictiveDynamicFusionConfig {
                n_features: mode_widths,
                hidden: vec![48, 32],
                confidence_hidden: vec![16],
                confidence_weight: [0.3, 1., 3.][hyper.variant],
            };
            Box::new(PredictiveDynamicFusion::new(&network, &vb)?)
        }
        Learner::TrustedMultiView => {
            config.batch_size = 128;
            let network = TrustedMultiViewConfig {
                n_features: mode_widths,
                hidden: vec![48, 32],
                annealing_steps: [300, 1_000, 3_000][hyper.variant],
            };
            Box::new(TrustedMultiView::new(&network, &vb)?)
        }
        Learner::EmmaPlus => {
            config.batch_size = 128;
            view = View::Density(shared.density.clone());
            let gate = ModeGateConfig::default();
            let plus_config = EmmaPlusConfig {
                energy_ceiling: (regime == Regime::Narrow).then_some(1.5),
                gate: (hyper.variant > 0).then_some(gate),
                ..EmmaPlusConfig::default()
            };
            let network = EnsembleMlp::new(
                &EnsembleMlpConfig {
                    n_inputs: EmmaPlus::<EnsembleMlp>::n_inputs(&shared.density),
                    hidden: MEMBER_HIDDEN.to_vec(),
                    ..EnsembleMlpConfig::default()
                },
                &vb.pp("network"),
            )?;
            let model = EmmaPlus::new(
                &plus_config,
                shared.density.clone(),
                network,
                &vb.pp("gate"),
            )?;
            let prepared: Prepared<EnsembleMlp> = model.prepared().clone();
            plus = (hyper.variant == 2).then(|| prepared.clone());
            Box::new(prepared)
        }
    };
    let set = |factor: f64| -> emma_models::Result<()> {
        if let Some(gate) = plus.as_ref().and_then(Prepared::gate) {
            gate.set_coldness_factor(factor)?;
        }
        Ok(())
    };
    let annealing = plus.as_ref().map(|_| {
        let annealing = ColdnessAnnealing {
            start: 0.05,
            n_epochs: 10,
        };
        (annealing, &set as &dyn Fn(f64) -> emma_models::Result<()>)
    });
    let lesson = Lesson {
        rows,
        regime,
        learner,
        view: &view,
        energies: energies.as_ref(),
        annealing,
    };
    let validation = stopping_rows(&lesson, energies.as_ref())?;
    let trainee = Trainee {
        model: &*model,
        variables: &variables,
    };
    let histories = train_together(
        &[trainee],
        lesson,
        &validation,
        &config,
        &mut stream("order"),
        |_, _| {},
    )?;
    let validation_loss = histories[0].best_validation_loss();
    let n_parameters = variables
        .named_vars()
        .iter()
        .map(|(_, var)| var.elem_count())
        .sum();
    Ok(Fitted {
        view,
        members: vec![model],
        n_parameters,
        validation_loss,
    })
}

/// Validation rows as training rows are made: what stops the training.
fn stopping_rows(lesson: &Lesson<'_>, energies: Option<&Energies>) -> CommandResult<Batch> {
    let rows = lesson.rows;
    let n_modes = rows.n_modes();
    let validation = &rows.validation;
    if lesson.learner == Learner::Base {
        return labelled(lesson.view.of(&validation.modes)?, &validation.labels);
    }
    let augmentation = match lesson.learner {
        Learner::Without if lesson.regime == Regime::Narrow => Regime::noise_alone(n_modes)?,
        _ => lesson.regime.augmentation(n_modes)?,
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
