//! A trained model, ready to score rows.

mod by_candle;
mod faults;
mod fused;
mod loader;
mod missing_modes;
mod plus;
mod prediction;
mod row_scores;
mod transform;

use candle_core::{DType, Device, Tensor};
use candle_nn::Module;
use emma_energy::transfer;

pub use missing_modes::MissingModes;
pub use plus::EmmaPlusSettings;
pub use prediction::{Answers, Explanation, Prediction, decided_class};
pub use row_scores::{RowEnergies, RowFault, RowScores};
pub use transform::RowTransforms;

use crate::baselines::{AlternativeAttention, Concatenation};
use crate::checkpoint::{Checkpoint, ModelMetadata};
use crate::coupled::Coupled;
use crate::emma_plus::EmmaPlus;
use crate::ensemble_mlp::EnsembleMlp;
use crate::error::{Error, Result};
use crate::network::Mlp;
use crate::standardize::Standardize;
use crate::task::Task;
use fused::{FusedModel, Wanted};
use loader::Loader;

/// The kind of energy estimator that a denoising autoencoder's potential is.
pub const DENOISING_AUTOENCODER: &str = "denoising_autoencoder";
/// The kind of network that is a plain multi-layer perceptron.
pub const MLP: &str = "mlp";
/// The kind of network that has a softmax over modes in front of its perceptron.
pub const ALTERNATIVE_ATTENTION: &str = "alternative_attention_mlp";
/// The kind of energies that a [`JointDensity`](emma_energy::JointDensity) gives, those of EMMA+.
pub const JOINT_DENSITY: &str = "joint_density";
/// The kind of network that is several perceptrons side by side, that of EMMA+.
pub const ENSEMBLE_MLP: &str = "ensemble_mlp";

/// A model made from a [`Checkpoint`]: standardization, then EMMA, EMMA+ or a baseline, then a network.
///
/// It computes in f64 from the stored f32 parameters, wherever the device has f64 (see
/// [`scoring_type`]). Energies grow with the square of a deviation and meet an exponential: in f32
/// a row far out costs digits or overflows, and those are the rows this crate is about.
///
/// On the CPU the fused kernels do it for binary classifiers ([`emma_kernels::Scorer`]), in parallel on the
/// current rayon pool; elsewhere, for other tasks and for EMMA+ candle's operations do.
pub struct TrainedModel {
    metadata: ModelMetadata,
    standardize: Vec<Standardize>,
    /// Means of all features in training, side by side.
    mean: Vec<f32>,
    /// Standard deviations, likewise.
    std: Vec<f32>,
    network_widths: Vec<usize>,
    predictor: Predictor,
    /// On the CPU.
    fused: Option<FusedModel>,
    device: Device,
}

enum Predictor {
    Concatenation(Concatenation<Mlp>),
    Alternative(AlternativeAttention<Mlp>),
    Emma(Box<Coupled<Mlp>>),
    Plus(Box<EmmaPlus<EnsembleMlp>>),
}

/// The type that a [`TrainedModel`] computes in on a device: f64, but f32 on Metal, which has no
/// f64.
///
/// In f32 probabilities and attention of ordinary rows agree with the CPU's to about five digits,
/// energies to f32's precision of their largest term. Rows whose energies go beyond f32
/// (deviations of more than about 1e19 standard deviations) are errors there, not scores.
pub fn scoring_type(device: &Device) -> DType {
    if device.is_metal() {
        DType::F32
    } else {
        DType::F64
    }
}

impl TrainedModel {
    /// Builds the model that a checkpoint describes.
    ///
    /// Needs only the tensors and keys that the format lists; sizes come from the tensors.
    ///
    /// # Errors
    /// [`Error::UnknownKind`], [`Error::MissingTensor`], [`Error::Shape`], [`Error::Checkpoint`].
    pub fn from_checkpoint(checkpoint: &Checkpoint, device: &Device) -> Result<Self> {
        let metadata = checkpoint.metadata().clone();
        let loader = Loader { checkpoint, device };
        if let Some(energy) = &metadata.energy {
            check_kind(
                "energy",
                &energy.kind,
                &[DENOISING_AUTOENCODER, JOINT_DENSITY],
            )?;
        }
        let energy = metadata.energy.as_ref().map(|energy| &*energy.kind);
        let networks: &[&str] = match energy {
            Some(JOINT_DENSITY) => &[ENSEMBLE_MLP],
            Some(_) => &[MLP],
            None => &[MLP, ALTERNATIVE_ATTENTION],
        };
        check_kind("network", &metadata.network.kind, networks)?;
        loader.check_standardization(&metadata)?;
        let plus = match EmmaPlusSettings::from_metadata(&metadata)? {
            Some(settings) => Some(loader.emma_plus(&settings)?),
            None => None,
        };
        let widths = match &plus {
            Some((_, widths)) => widths.clone(),
            None => loader.check_layout(&metadata)?,
        };
        let standardize = metadata
            .modes
            .iter()
            .map(|mode| loader.standardize(&mode.name))
            .collect::<Result<_>>()?;
        let of_modes = |part: &str| -> Result<Vec<f32>> {
            let modes = metadata.modes.iter().map(|mode| {
                let values = checkpoint.any_shape(&format!("standardize.{}.{part}", mode.name))?;
                Ok(values.to_vec1::<f32>()?)
            });
            Ok(modes.collect::<Result<Vec<_>>>()?.concat())
        };
        let (mean, std) = (of_modes("mean")?, of_modes("std")?);
        let has_softmax = metadata.network.kind == ALTERNATIVE_ATTENTION;
        // The kernels end in the sigmoid of one logit.
        let is_fused =
            device.is_cpu() && plus.is_none() && matches!(metadata.task, Task::Binary { .. });
        let fused = if is_fused {
            Some(FusedModel::new(
                checkpoint,
                &metadata,
                &widths,
                has_softmax,
            )?)
        } else {
            None
        };
        let predictor = if let Some((model, _)) = plus {
            Predictor::Plus(Box::new(model))
        } else {
            let network = loader.mlp(&widths)?;
            if metadata.energy.is_some() {
                Predictor::Emma(Box::new(loader.emma(&metadata, network)?))
            } else if has_softmax {
                Predictor::Alternative(loader.alternative(&metadata, network)?)
            } else {
                Predictor::Concatenation(Concatenation { network })
            }
        };
        Ok(Self {
            metadata,
            standardize,
            mean,
            std,
            network_widths: widths,
            predictor,
            fused,
            device: device.clone(),
        })
    }

    /// Everything about the model that is not a tensor.
    pub fn metadata(&self) -> &ModelMetadata {
        &self.metadata
    }

    /// Whether the model has the thesis's energies and attention.
    pub fn has_emma(&self) -> bool {
        matches!(self.predictor, Predictor::Emma(_))
    }

    /// Whether the model has energies and attention of either kind: those of EMMA or of EMMA+.
    pub fn has_energies(&self) -> bool {
        self.has_emma() || self.emma_plus().is_some()
    }

    /// Energies and attention, if the model has them.
    pub fn emma(&self) -> Option<&Coupled<Mlp>> {
        match &self.predictor {
            Predictor::Emma(coupled) => Some(coupled),
            _ => None,
        }
    }

    /// EMMA+, if the model is one.
    pub fn emma_plus(&self) -> Option<&EmmaPlus<EnsembleMlp>> {
        match &self.predictor {
            Predictor::Plus(model) => Some(model),
            _ => None,
        }
    }

    /// That something does without EMMA+.
    pub(crate) fn refuse_plus(&self, what: &'static str) -> Result<()> {
        if self.emma_plus().is_none() {
            return Ok(());
        }
        Err(Error::Unsupported {
            what,
            expected: "a model of the thesis's kinds",
            found: format!("EMMA+ (energy of kind {JOINT_DENSITY})"),
        })
    }

    /// Widths of the network's layers: all that it sees, hidden layers in order, outputs.
    pub fn network_widths(&self) -> &[usize] {
        &self.network_widths
    }

    /// Standard scores of raw modes.
    ///
    /// # Shapes
    /// - `modes`: one `[rows, features]` tensor a mode, in the table's units
    ///
    /// # Errors
    /// [`Error::ModeCount`]; candle's if features differ.
    pub fn standardize(&self, modes: &[Tensor]) -> Result<Vec<Tensor>> {
        if modes.len() != self.standardize.len() {
            return Err(Error::ModeCount {
                expected: self.standardize.len(),
                found: modes.len(),
            });
        }
        modes
            .iter()
            .zip(&self.standardize)
            .map(|(mode, layer)| Ok(layer.forward(&self.adopt(mode)?)?))
            .collect()
    }

    /// Scores raw rows.
    ///
    /// # Shapes
    /// - `modes`: one `[rows, features]` tensor a mode, in the table's units
    ///
    /// # Errors
    /// As [`predict_standardized`](Self::predict_standardized).
    pub fn predict(&self, modes: &[Tensor]) -> Result<Prediction> {
        self.score(modes, true, true)
    }

    /// Scores rows that are already standardized (and perhaps corrupted on purpose).
    ///
    /// A row's scores never depend on the other rows.
    ///
    /// # Shapes
    /// - `modes`: one `[rows, features]` tensor a mode, standard scores
    ///
    /// # Errors
    /// [`Error::ModeCount`]; [`Error::Row`] if a feature is not finite or the model gives the row
    /// an impossible energy.
    pub fn predict_standardized(&self, modes: &[Tensor]) -> Result<Prediction> {
        self.score(modes, false, true)
    }

    /// Probabilities of raw rows: [`predict`](Self::predict) without the cost of an explanation.
    ///
    /// # Errors
    /// As [`predict`](Self::predict); [`Error::TaskKind`] if the model is no binary classifier.
    pub fn probabilities(&self, modes: &[Tensor]) -> Result<Vec<f32>> {
        self.score(modes, true, false)?.answers.into_probabilities()
    }

    /// Probabilities of rows that are already standardized:
    /// [`predict_standardized`](Self::predict_standardized) without the cost of an explanation.
    ///
    /// # Errors
    /// As [`predict_standardized`](Self::predict_standardized); [`Error::TaskKind`] if the model is no binary
    /// classifier.
    pub fn probabilities_standardized(&self, modes: &[Tensor]) -> Result<Vec<f32>> {
        self.score(modes, false, false)?
            .answers
            .into_probabilities()
    }

    fn score(&self, modes: &[Tensor], standardize: bool, explain: bool) -> Result<Prediction> {
        self.scores(modes, standardize, explain)?
            .into_prediction(&self.metadata.task)
    }

    /// Scores of rows, those included that cannot be scored.
    fn scores(&self, modes: &[Tensor], standardize: bool, explain: bool) -> Result<RowScores> {
        match &self.fused {
            Some(fused) if fused.fits(modes) => {
                let wanted = Wanted {
                    standardize,
                    explain,
                };
                fused.predict(modes, &self.metadata, wanted)
            }
            // Also for what it says of modes that do not fit.
            _ if standardize => self.scores_by_candle(&self.standardize(modes)?),
            _ => self.scores_by_candle(modes),
        }
    }

    fn adopt(&self, mode: &Tensor) -> Result<Tensor> {
        let dtype = scoring_type(&self.device);
        Ok(transfer(mode, dtype, &self.device)?)
    }
}

fn check_kind(part: &'static str, found: &str, known: &[&str]) -> Result<()> {
    if known.contains(&found) {
        return Ok(());
    }
    Err(Error::UnknownKind {
        part,
        found: found.to_owned(),
        known: known.iter().map(|&kind| kind.to_owned()).collect(),
    })
}
