//! A trained model, ready to score rows.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use candle_nn::{Module, VarBuilder};
use emma_attention::{Coldness, Emma, EmmaConfig, EmmaOutput, PotentialEnergies, Regularizers};
use emma_energy::{
    AutoencoderConfig, DenoisingAutoencoder, EnergyEstimator, PotentialEnergy, transfer,
};

use crate::baselines::{AlternativeAttention, Concatenation};
use crate::checkpoint::{Checkpoint, ModeColumns, ModelMetadata};
use crate::coupled::Coupled;
use crate::error::{Error, Result};
use crate::model::{ModelOutput, MultiModalModel};
use crate::network::{Mlp, MlpConfig};
use crate::standardize::Standardize;

/// The kind of energy estimator that a denoising autoencoder's potential is.
pub const DENOISING_AUTOENCODER: &str = "denoising_autoencoder";
/// The kind of network that is a plain multi-layer perceptron.
pub const MLP: &str = "mlp";
/// The kind of network that has a softmax over modes in front of its perceptron.
pub const ALTERNATIVE_ATTENTION: &str = "alternative_attention_mlp";

/// A model made from a [`Checkpoint`]: standardization, then EMMA or a baseline, then a network.
///
/// It computes in f64 from the stored f32 parameters, wherever the device has f64 (see
/// [`scoring_type`]). Energies grow with the square of a deviation and meet an exponential: in f32
/// a row far out costs digits or overflows, and those are the rows this crate is about.
pub struct TrainedModel {
    metadata: ModelMetadata,
    standardize: Vec<Standardize>,
    network_widths: Vec<usize>,
    predictor: Predictor,
    device: Device,
}

enum Predictor {
    Concatenation(Concatenation<Mlp>),
    Alternative(AlternativeAttention<Mlp>),
    Emma(Box<Coupled<Mlp>>),
}

/// What a [`TrainedModel`] says about rows.
#[derive(Debug, Clone)]
pub struct Prediction {
    /// Probability of label 1, one a row.
    pub probabilities: Vec<f32>,
    /// What EMMA saw, if the model has it.
    pub explanation: Option<Explanation>,
}

/// Energies and attention behind a [`Prediction`], in f32 (finite: larger numbers saturate).
#[derive(Debug, Clone)]
pub struct Explanation {
    /// Total energy, one a row.
    pub total_energy: Vec<f32>,
    /// Potential energy Ψ_i before any correction, `[row][mode]`.
    pub potential: Vec<Vec<f32>>,
    /// Modal energy E_i, `[row][mode]`.
    pub energy: Vec<Vec<f32>>,
    /// Importance α_i, `[row][mode]`.
    pub importance: Vec<Vec<f32>>,
    /// Attention β_i, `[row][mode]`.
    pub attention: Vec<Vec<f32>>,
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
            check_kind("energy", &energy.kind, &[DENOISING_AUTOENCODER])?;
        }
        let networks: &[&str] = if metadata.energy.is_some() {
            &[MLP]
        } else {
            &[MLP, ALTERNATIVE_ATTENTION]
        };
        check_kind("network", &metadata.network.kind, networks)?;
        let widths = loader.check_layout(&metadata)?;
        let standardize = metadata
            .modes
            .iter()
            .map(|mode| loader.standardize(&mode.name))
            .collect::<Result<_>>()?;
        let network = loader.mlp(&widths)?;
        let predictor = if metadata.energy.is_some() {
            Predictor::Emma(Box::new(loader.emma(&metadata, network)?))
        } else if metadata.network.kind == ALTERNATIVE_ATTENTION {
            Predictor::Alternative(loader.alternative(&metadata, network)?)
        } else {
            Predictor::Concatenation(Concatenation { network })
        };
        Ok(Self {
            metadata,
            standardize,
            network_widths: widths,
            predictor,
            device: device.clone(),
        })
    }

    /// Everything about the model that is not a tensor.
    pub fn metadata(&self) -> &ModelMetadata {
        &self.metadata
    }

    /// Whether the model has energies and attention.
    pub fn has_emma(&self) -> bool {
        matches!(self.predictor, Predictor::Emma(_))
    }

    /// Energies and attention, if the model has them.
    pub fn emma(&self) -> Option<&Coupled<Mlp>> {
        match &self.predictor {
            Predictor::Emma(coupled) => Some(coupled),
            _ => None,
        }
    }

    /// Widths of the network's layers: all features, hidden layers in order, 1.
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
        self.predict_standardized(&self.standardize(modes)?)
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
        let modes = modes
            .iter()
            .map(|mode| self.adopt(mode))
            .collect::<Result<Vec<_>>>()?;
        self.check_finite(&modes)?;
        match &self.predictor {
            Predictor::Concatenation(model) => without_explanation(model, &modes),
            Predictor::Alternative(model) => without_explanation(model, &modes),
            Predictor::Emma(model) => {
                let potentials = model.potentials(&modes)?;
                let output = model.forward(&modes, Some(&potentials))?;
                let explanation = match &output.emma {
                    Some(emma) => Some(self.explain(&potentials, emma)?),
                    None => None,
                };
                Ok(Prediction {
                    probabilities: probabilities(&output)?,
                    explanation,
                })
            }
        }
    }

    fn explain(&self, potentials: &PotentialEnergies, emma: &EmmaOutput) -> Result<Explanation> {
        let self_energies = numbers(emma.self_energies.as_tensor())?;
        for (row, energies) in self_energies.iter().enumerate() {
            for (energy, mode) in energies.iter().zip(&self.metadata.modes) {
                // Not positive, or NaN.
                if !(*energy > 0. && energy.is_finite()) {
                    return Err(Error::Row {
                        row,
                        message: format!(
                            "expected a positive, finite self-energy of mode {}, got {energy}",
                            mode.name
                        ),
                    });
                }
            }
        }
        let modal_energies = numbers(emma.modal_energies.as_tensor())?;
        for (row, energies) in modal_energies.iter().enumerate() {
            for (energy, mode) in energies.iter().zip(&self.metadata.modes) {
                if !energy.is_finite() {
                    return Err(Error::Row {
                        row,
                        message: format!(
                            "expected a finite modal energy of mode {}, got {energy}",
                            mode.name
                        ),
                    });
                }
            }
        }
        let importance = rows_of(&emma.log_importance.importance()?)?;
        if let Some(row) = importance
            .iter()
            .position(|row| row.iter().any(|a| a.is_nan()))
        {
            return Err(Error::Row {
                row,
                message: "the importance of its modes is not a number".into(),
            });
        }
        Ok(Explanation {
            total_energy: on_cpu(&emma.total_energy)?
                .to_vec1()?
                .into_iter()
                .map(saturate)
                .collect(),
            potential: rows_of(potentials.as_tensor())?,
            energy: rows_of(emma.modal_energies.as_tensor())?,
            importance,
            attention: rows_of(emma.attention.as_tensor())?,
        })
    }

    /// candle's ReLU turns NaN into 0, so that a network's output need not betray it.
    fn check_finite(&self, modes: &[Tensor]) -> Result<()> {
        for (mode, columns) in modes.iter().zip(&self.metadata.modes) {
            for (row, features) in numbers(mode)?.iter().enumerate() {
                if let Some(value) = features.iter().find(|value| !value.is_finite()) {
                    return Err(Error::Row {
                        row,
                        message: format!(
                            "expected finite features in mode {}, got {value}",
                            columns.name
                        ),
                    });
                }
            }
        }
        Ok(())
    }

    fn adopt(&self, mode: &Tensor) -> Result<Tensor> {
        let dtype = scoring_type(&self.device);
        Ok(transfer(mode, dtype, &self.device)?)
    }
}

fn without_explanation(model: &impl MultiModalModel, modes: &[Tensor]) -> Result<Prediction> {
    Ok(Prediction {
        probabilities: probabilities(&model.forward(modes, None)?)?,
        explanation: None,
    })
}

fn probabilities(output: &ModelOutput) -> Result<Vec<f32>> {
    let probabilities: Vec<f64> = on_cpu(&output.probabilities()?)?.to_vec1()?;
    probabilities
        .into_iter()
        .enumerate()
        .map(|(row, value)| {
            if value.is_nan() {
                return Err(Error::Row {
                    row,
                    message: "the network's output is not a number".into(),
                });
            }
            Ok(value as f32)
        })
        .collect()
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

fn rows_of(tensor: &Tensor) -> Result<Vec<Vec<f32>>> {
    Ok(numbers(tensor)?
        .into_iter()
        .map(|row| row.into_iter().map(saturate).collect())
        .collect())
}

fn numbers(tensor: &Tensor) -> Result<Vec<Vec<f64>>> {
    Ok(on_cpu(tensor)?.to_vec2()?)
}

fn on_cpu(tensor: &Tensor) -> Result<Tensor> {
    Ok(transfer(tensor, DType::F64, &Device::Cpu)?)
}

/// Nearest f32 that is finite; NaN stays NaN.
fn saturate(value: f64) -> f32 {
    value.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}

struct Loader<'a> {
    checkpoint: &'a Checkpoint,
    device: &'a Device,
}

impl Loader<'_> {
    /// Checks that all tensors are there in their shapes, before any is converted: a file that lacks
    /// one costs no memory. Returns the widths of the network's layers.
    fn check_layout(&self, metadata: &ModelMetadata) -> Result<Vec<usize>> {
        let expect = |name: String, shape: &[usize]| self.checkpoint.tensor(&name, shape);
        let (n_modes, n_features) = (metadata.modes.len(), metadata.n_features());
        for mode in &metadata.modes {
            let name = format!("standardize.{}.std", mode.name);
            let std = expect(name.clone(), &[mode.columns.len()])?;
            let smallest = std.min(0)?.to_scalar::<f32>()?;
            if smallest <= 0. {
                return Err(Error::Checkpoint(format!(
                    "expected positive numbers in tensor {name}, got {smallest}"
                )));
            }
            expect(
                format!("standardize.{}.mean", mode.name),
                &[mode.columns.len()],
            )?;
        }
        let widths = self.network_widths(n_features)?;
        for (layer, width) in widths.iter().skip(1).enumerate() {
            expect(format!("network.{layer}.bias"), &[*width])?;
        }
        let n_outputs = widths.last().copied().unwrap_or(0);
        if n_outputs != 1 {
            return Err(Error::Checkpoint(format!(
                "expected a last layer with 1 output, got {n_outputs}"
            )));
        }
        if metadata.network.kind == ALTERNATIVE_ATTENTION {
            expect("alternative.weight".into(), &[n_modes, n_features])?;
            expect("alternative.bias".into(), &[n_modes])?;
        }
        if metadata.energy.is_some() {
            for mode in &metadata.modes {
                let prefix = format!("energy.{}", mode.name);
                let n_hidden = self.n_hidden(mode)?;
                expect(format!("{prefix}.encoder_bias"), &[n_hidden])?;
                expect(format!("{prefix}.decoder_bias"), &[mode.columns.len()])?;
            }
            for name in ["self_weight", "self_bias", "minimum_potential"] {
                expect(format!("attention.{name}"), &[n_modes])?;
            }
            for name in ["coupling_weight", "coupling_exponent"] {
                expect(format!("attention.{name}"), &[n_modes, n_modes])?;
            }
            for name in ["gain", "attention_bias"] {
                expect(format!("attention.{name}"), &[1])?;
            }
        }
        Ok(widths)
    }

    /// Widths of the network's layers, inputs first, read off the stored tensors.
    fn network_widths(&self, n_inputs: usize) -> Result<Vec<usize>> {
        let mut widths = vec![n_inputs];
        loop {
            let layer = widths.len() - 1;
            let name = format!("network.{layer}.weight");
            if layer > 0 && !self.checkpoint.tensors().contains_key(&name) {
                return Ok(widths);
            }
            widths.push(self.checkpoint.n_rows_of(&name, widths[layer])?);
        }
    }

    /// Hidden units of a mode's autoencoder.
    fn n_hidden(&self, mode: &ModeColumns) -> Result<usize> {
        let name = format!("energy.{}.weight", mode.name);
        self.checkpoint.n_rows_of(&name, mode.columns.len())
    }

    /// A stored tensor on the model's device, in the type it scores in.
    fn tensor(&self, name: &str) -> Result<Tensor> {
        let tensor = self.checkpoint.any_shape(name)?;
        Ok(transfer(tensor, scoring_type(self.device), self.device)?)
    }

    fn standardize(&self, mode: &str) -> Result<Standardize> {
        Standardize::new(
            self.tensor(&format!("standardize.{mode}.mean"))?,
            self.tensor(&format!("standardize.{mode}.std"))?,
        )
    }

    fn mlp(&self, widths: &[usize]) -> Result<Mlp> {
        let config = MlpConfig {
            n_inputs: widths[0],
            hidden: widths[1..widths.len() - 1].to_vec(),
            n_outputs: widths[widths.len() - 1],
        };
        Mlp::new(&config, &self.var_builder().pp("network"))
    }

    fn alternative(
        &self,
        metadata: &ModelMetadata,
        network: Mlp,
    ) -> Result<AlternativeAttention<Mlp>> {
        let (n_modes, n_features) = (metadata.modes.len(), metadata.n_features());
        let vb = self.var_builder().pp("alternative");
        AlternativeAttention::new(n_modes, n_features, network, &vb)
    }

    fn emma(&self, metadata: &ModelMetadata, network: Mlp) -> Result<Coupled<Mlp>> {
        let n_modes = metadata.modes.len();
        let vb = self.var_builder();
        let mut estimators: Vec<Box<dyn EnergyEstimator>> = Vec::with_capacity(n_modes);
        for mode in &metadata.modes {
            let config = AutoencoderConfig {
                n_features: mode.columns.len(),
                n_hidden: self.n_hidden(mode)?,
            };
            let vb = vb.pp("energy").pp(&mode.name);
            let autoencoder = DenoisingAutoencoder::new(&config, &vb)?;
            estimators.push(Box::new(PotentialEnergy(autoencoder)));
        }
        let minimum = self.tensor("attention.minimum_potential")?;
        let config = EmmaConfig {
            n_modes,
            coldness: Coldness::new(metadata.coldness.unwrap_or_default())?,
            ..EmmaConfig::default()
        };
        let emma = Emma::new(&config, &minimum, &vb.pp("attention"))?;
        Coupled::new(estimators, emma, Regularizers::default(), network)
    }

    fn var_builder(&self) -> VarBuilder<'static> {
        let tensors: HashMap<String, Tensor> = self
            .checkpoint
            .tensors()
            .iter()
            .map(|(name, tensor)| (name.clone(), tensor.clone()))
            .collect();
        VarBuilder::from_tensors(tensors, scoring_type(self.device), self.device)
    }
}
