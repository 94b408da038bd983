//! Every learner's model, before it has learned.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use emma_attention::{Coldness, ModeGate, ModeGateConfig, Regularizers};
use emma_energy::{AutoencoderTraining, SeededVarMap};
use emma_models::{
    AlternativeAttention, Concatenation, EmbraceNet, EmbraceNetConfig, EmmaPlus, EmmaPlusConfig,
    EncodedDensity, EnsembleMlp, EnsembleMlpConfig, MixtureOfExperts, MixtureOfExpertsConfig, Mlp,
    MlpConfig, PredictiveDynamicFusion, PredictiveDynamicFusionConfig, Prepared,
    QualityAwareFusion, QualityAwareFusionConfig, TrustedMultiView, TrustedMultiViewConfig,
};
use ndarray::{ArrayBase, ArrayViewMut1};

use super::hyper::Hyper;
use super::learner::Learner;
use super::regime::Regime;
use super::rows::{Modes, SeedRows};
use crate::energies::{Energies, TrainedAutoencoder};
use crate::failure::CommandResult;
use crate::networks::{Candidate, DynModel, Front, Shape, build};
use crate::part::tensors;

/// Hidden widths of networks: 4,801 parameters on HTRU2.
const HIDDEN: [usize; 2] = [64, 64];
/// Hidden widths of each of EMMA+'s four members: 5,868 parameters on HTRU2 with the density; the largest rival has 4,945
/// after narrow and 6,145 after broad training.
const MEMBER_HIDDEN: [usize; 2] = [22, 22];
/// The same where modes are wide, and the networks of some rivals larger than EMMA+ altogether.
const MEMBER_HIDDEN_OF_WIDE_MODES: [usize; 2] = [28, 28];

/// Rows of a mini-batch where candle's operations train.
const BATCH_SIZE: usize = 128;

/// What of a row a model sees.
pub(super) enum View {
    /// 0 where a value is missing.
    Zeros,
    /// NaN where a whole mode is missing, 0 where a single value is.
    Absent,
    /// What a density says.
    Density(Arc<EncodedDensity>),
}

impl View {
    pub(super) fn of(&self, modes: &Modes) -> CommandResult<Vec<Tensor>> {
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
            Self::Density(density) => Ok(density.prepare(&tensors(modes, &Device::Cpu)?)?),
        }
    }
}

/// Zeros in the place of missing values, if any value is there.
fn fill_unless_absent(mut row: ArrayViewMut1<'_, f32>) {
    if row.iter().any(|value| !value.is_nan()) {
        row.mapv_inplace(|value| if value.is_nan() { 0. } else { value });
    }
}

/// A model to be trained.
pub(super) struct Constructed {
    pub(super) model: Box<DynModel>,
    pub(super) view: View,
    /// Of the thesis's EMMA.
    pub(super) energies: Option<Energies>,
    /// A gate that is to be cooled from epoch to epoch.
    pub(super) annealed: Option<ModeGate>,
    pub(super) batch_size: usize,
    /// Parameters that were fitted before: of a density, of autoencoders.
    pub(super) n_fitted: usize,
}

impl Constructed {
    /// A model that sees zeros for missing values.
    fn of(model: Box<DynModel>) -> Self {
        Self {
            model,
            view: View::Zeros,
            energies: None,
            annealed: None,
            batch_size: BATCH_SIZE,
            n_fitted: 0,
        }
    }
}

/// Weights, means and covariances of all components, and all of the encoders.
fn n_parameters(density: &EncodedDensity) -> usize {
    let config = density.density().config();
    let n_features = config.n_features();
    let n_components: usize = config.n_components.iter().sum();
    let encoders = density.encoders().iter().flatten();
    let tensors = encoders.flat_map(|encoder| encoder.tensors().into_values());
    n_components * (1 + n_features + n_features * (n_features + 1) / 2)
        + tensors.map(|tensor| tensor.elem_count()).sum::<usize>()
}

/// All that a model is made from.
pub(super) struct Construction<'a> {
    pub(super) hyper: Hyper,
    pub(super) regime: Regime,
    pub(super) rows: &'a SeedRows,
    pub(super) density: &'a Arc<EncodedDensity>,
    pub(super) variables: &'a SeededVarMap,
}

impl Construction<'_> {
    pub(super) fn construct(&self, learner: Learner) -> CommandResult<Constructed> {
        match learner {
            Learner::Base | Learner::Without | Learner::ModeDropout => self.perceptron(),
            Learner::Alternative => self.alternative(),
            Learner::Emma => self.emma(),
            Learner::EmmaPlus => self.emma_plus(),
            Learner::EmbraceNet => self.embrace_net(),
            Learner::MixtureOfExperts => self.mixture_of_experts(),
            Learner::QualityAwareFusion => self.quality_aware_fusion(),
            Learner::PredictiveDynamicFusion => self.predictive_dynamic_fusion(),
            Learner::TrustedMultiView => self.trusted_multi_view(),
        }
    }

    fn vb(&self) -> VarBuilder<'_> {
        self.variables.var_builder(DType::F32, &Device::Cpu)
    }

    fn mode_widths(&self) -> Vec<usize> {
        self.rows.train.modes.iter().map(ArrayBase::ncols).collect()
    }

    /// The learner's own hyper-parameter.
    fn own<T: Clone>(&self, values: &[T; 3]) -> T {
        values[self.hyper.variant.min(2)].clone()
    }

    fn network(&self) -> CommandResult<Mlp> {
        let config = MlpConfig {
            n_inputs: self.mode_widths().iter().sum(),
            hidden: HIDDEN.to_vec(),
            n_outputs: 1,
        };
        Ok(Mlp::new(&config, &self.vb().pp("network"))?)
    }

    fn perceptron(&self) -> CommandResult<Constructed> {
        let network = self.network()?;
        Ok(Constructed {
            batch_size: self.own(&[32, 64, 128]),
            ..Constructed::of(Box::new(Concatenation { network }))
        })
    }

    fn alternative(&self) -> CommandResult<Constructed> {
        let widths = self.mode_widths();
        let (n_modes, n_features) = (widths.len(), widths.iter().sum());
        let vb = self.vb().pp("alternative");
        let model = AlternativeAttention::new(n_modes, n_features, self.network()?, &vb)?;
        Ok(Constructed {
            batch_size: self.own(&[32, 64, 128]),
            ..Constructed::of(Box::new(model))
        })
    }

    fn emma(&self) -> CommandResult<Constructed> {
        let rows = self.rows;
        let clean = tensors(&rows.train.modes, &Device::Cpu)?;
        let training = AutoencoderTraining {
            batch_size: 32,
            ..AutoencoderTraining::default()
        };
        let autoencoders = clean
            .iter()
            .zip(&rows.mode_names)
            .map(|(mode, name)| TrainedAutoencoder::train(name, mode, 12, &training, rows.seed));
        let energies = Energies::new(autoencoders.collect::<CommandResult<_>>()?)?;
        let candidate = Candidate {
            coldness: Coldness::new(self.own(&[0.01, 0.1, 1.]))?,
            regularizers: Regularizers::default(),
        };
        let shape = Shape {
            mode_widths: self.mode_widths(),
            hidden: HIDDEN.to_vec(),
            n_outputs: 1,
            minimum_self_weight: 1.,
        };
        let front = Front::Emma(candidate);
        let model = build(front, &shape, &energies, self.variables, &Device::Cpu)?;
        let fitted = energies.tensors.values();
        Ok(Constructed {
            n_fitted: fitted.map(Tensor::elem_count).sum(),
            energies: Some(energies),
            batch_size: 32,
            ..Constructed::of(model)
        })
    }

    fn embrace_net(&self) -> CommandResult<Constructed> {
        let config = EmbraceNetConfig {
            n_features: self.mode_widths(),
            docking_hidden: vec![32],
            n_embedding: self.own(&[16, 32, 48]),
            terminal_hidden: vec![32, 32],
        };
        let model = EmbraceNet::new(&config, self.rows.seed, &self.vb())?;
        Ok(Constructed {
            view: View::Absent,
            ..Constructed::of(Box::new(model))
        })
    }

    fn mixture_of_experts(&self) -> CommandResult<Constructed> {
        let config = MixtureOfExpertsConfig {
            n_features: self.mode_widths(),
            expert_hidden: vec![32, 32],
            gate_hidden: self.own(&[vec![16], vec![16], vec![32]]),
            joint_expert: self.own(&[false, true, true]),
        };
        let model = MixtureOfExperts::new(&config, &self.vb())?;
        Ok(Constructed::of(Box::new(model)))
    }

    fn quality_aware_fusion(&self) -> CommandResult<Constructed> {
        let config = QualityAwareFusionConfig {
            n_features: self.mode_widths(),
            hidden: vec![48, 32],
            ranking_weight: self.own(&[0.01, 0.1, 1.]),
            ..QualityAwareFusionConfig::default()
        };
        let model = QualityAwareFusion::new(&config, &self.vb())?;
        Ok(Constructed::of(Box::new(model)))
    }

    fn predictive_dynamic_fusion(&self) -> CommandResult<Constructed> {
        let config = PredictiveDynamicFusionConfig {
            n_features: self.mode_widths(),
            hidden: vec![48, 32],
            confidence_hidden: vec![16],
            confidence_weight: self.own(&[0.3, 1., 3.]),
        };
        let model = PredictiveDynamicFusion::new(&config, &self.vb())?;
        Ok(Constructed::of(Box::new(model)))
    }

    fn trusted_multi_view(&self) -> CommandResult<Constructed> {
        let config = TrustedMultiViewConfig {
            n_features: self.mode_widths(),
            hidden: vec![48, 32],
            annealing_steps: self.own(&[300, 1_000, 3_000]),
        };
        let model = TrustedMultiView::new(&config, &self.vb())?;
        Ok(Constructed::of(Box::new(model)))
    }

    /// Without a gate, with one, or with one that is annealed.
    fn emma_plus(&self) -> CommandResult<Constructed> {
        let vb = self.vb();
        let config = EmmaPlusConfig {
            energy_ceiling: (self.regime == Regime::Narrow).then_some(1.5),
            gate: self.own(&[false, true, true]).then(ModeGateConfig::default),
            ..EmmaPlusConfig::default()
        };
        let hidden = if self.density.encoders().is_empty() {
            MEMBER_HIDDEN
        } else {
            MEMBER_HIDDEN_OF_WIDE_MODES
        };
        let network = EnsembleMlpConfig {
            n_inputs: EmmaPlus::<EnsembleMlp>::n_inputs(self.density),
            hidden: hidden.to_vec(),
            ..EnsembleMlpConfig::default()
        };
        let network = EnsembleMlp::new(&network, &vb.pp("network"))?;
        let model = EmmaPlus::new(
            &config,
            EncodedDensity::clone(self.density),
            network,
            &vb.pp("gate"),
        )?;
        let prepared: Prepared<EnsembleMlp> = model.prepared().clone();
        let annealed = if self.own(&[false, false, true]) {
            prepared.gate().cloned()
        } else {
            None
        };
        Ok(Constructed {
            n_fitted: n_parameters(self.density),
            view: View::Density(self.density.clone()),
            annealed,
            ..Constructed::of(Box::new(prepared))
        })
    }
}
