//! EMMA+ as a trained model: its settings in a file, and what it says about rows.

use candle_core::{DType, Device, Tensor};
use emma_attention::ModeMask;
use emma_energy::{JointDensity, JointDensityConfig, MlpAutoencoderConfig, ModeEncoder};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::by_candle::numbers;
use super::loader::Loader;
use super::missing_modes::NOTHING;
use super::prediction::saturate;
use super::row_scores::{RowEnergies, RowFault, RowScores};
use super::{ENSEMBLE_MLP, JOINT_DENSITY, TrainedModel, faults};
use crate::checkpoint::{Kind, ModelMetadata};
use crate::emma_plus::{EmmaPlus, EmmaPlusConfig};
use crate::encoded_density::EncodedDensity;
use crate::ensemble_mlp::{EnsembleMlp, EnsembleMlpConfig};
use crate::error::{Error, Result};
use crate::model::MultiModalModel;
use crate::task::Task;

/// Levels of noise in a file, at most: what is summed over grows with them, the file does not.
const MOST_NOISE_LEVELS: usize = 64;
/// Joint states in a file, at most; likewise.
const MOST_STATES: usize = 4096;

/// Units of a layer of an encoder in a file, at most.
const MOST_UNITS: usize = 1 << 16;

/// Keys of the energy that are settings of the density.
const DENSITY_KEYS: [&str; 5] = [
    "mode_widths",
    "n_components",
    "noise",
    "most_exact_states",
    "feature_noise",
];
/// Keys of the energy that are settings of what stands before the network.
const PLUS_KEYS: [&str; 3] = ["energy_ceiling", "gate", "evidence_limit"];
const NETWORK_KEYS: [&str; 6] = [
    "n_inputs",
    "hidden",
    "n_outputs",
    "n_members",
    "shared",
    "answer",
];

/// All settings of an EMMA+ in a model file.
///
/// They stand in the metadata: those of the density and of what stands before the network beside the
/// energy's kind `joint_density`, those of the network beside its kind `ensemble_mlp`.
#[derive(Debug, Clone, PartialEq)]
pub struct EmmaPlusSettings {
    /// The density.
    pub density: JointDensityConfig,
    /// The autoencoders of wide modes; one entry a mode, or none at all.
    pub encoders: Vec<Option<MlpAutoencoderConfig>>,
    /// Ceiling, gate, limit of the log-odds.
    pub plus: EmmaPlusConfig,
    /// The network.
    pub network: EnsembleMlpConfig,
}

/// How the encoders' sizes stand in the metadata.
#[derive(Default, Serialize, Deserialize)]
struct Encoders {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    encoders: Vec<Option<MlpAutoencoderConfig>>,
}

impl EmmaPlusSettings {
    /// Of a density, with what stands behind it.
    pub fn new(density: &EncodedDensity, plus: EmmaPlusConfig, network: EnsembleMlpConfig) -> Self {
        let encoders = density.encoders().iter();
        Self {
            density: density.density().config().clone(),
            encoders: encoders
                .map(|encoder| encoder.as_ref().map(|encoder| encoder.config().clone()))
                .collect(),
            plus,
            network,
        }
    }

    /// The energy and the network as metadata have them.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] for a number that JSON does not have.
    pub fn kinds(&self) -> Result<[Kind; 2]> {
        let mut energy = Kind::new(JOINT_DENSITY);
        energy.notes.extend(object(&self.density)?);
        energy.notes.extend(object(&Encoders {
            encoders: self.encoders.clone(),
        })?);
        energy.notes.extend(object(&self.plus)?);
        let mut network = Kind::new(ENSEMBLE_MLP);
        network.notes.extend(object(&self.network)?);
        Ok([energy, network])
    }

    /// From a model file's metadata; none if it is no EMMA+. Keys that are not known are passed over.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] for settings that contradict the modes or the task, or are no settings.
    pub fn from_metadata(metadata: &ModelMetadata) -> Result<Option<Self>> {
        let energy = metadata.energy.as_ref();
        let Some(energy) = energy.filter(|energy| energy.kind == JOINT_DENSITY) else {
            return Ok(None);
        };
        let settings = Self {
            density: known("energy", energy, &DENSITY_KEYS)?,
            encoders: known::<Encoders>("energy", energy, &["encoders"])?.encoders,
            plus: known("energy", energy, &PLUS_KEYS)?,
            network: known("network", &metadata.network, &NETWORK_KEYS)?,
        };
        settings.check(metadata)?;
        Ok(Some(settings))
    }

    fn check(&self, metadata: &ModelMetadata) -> Result<()> {
        let refuse = |message: String| Err(Error::Checkpoint(message));
        if !matches!(metadata.task, Task::Binary { .. }) {
            return refuse(format!(
                "expected a binary task with an energy of kind {JOINT_DENSITY}, got {}",
                metadata.task.kind()
            ));
        }
        let widths = metadata.modes.iter().map(|mode| mode.columns.len());
        let mut widths: Vec<usize> = widths.collect();
        if !self.encoders.is_empty() && self.encoders.len() != widths.len() {
            return refuse(format!(
                "expected an entry of encoders for each of {} modes, got {}",
                widths.len(),
                self.encoders.len()
            ));
        }
        for (width, encoder) in widths.iter_mut().zip(&self.encoders) {
            let Some(encoder) = encoder else { continue };
            if encoder.n_features != *width {
                return refuse(format!(
                    "expected an encoder of {width} values, got {}",
                    encoder.n_features
                ));
            }
            if encoder.hidden.iter().any(|&units| units > MOST_UNITS) {
                return refuse(format!(
                    "expected an encoder of layers of at most {MOST_UNITS} units, got {:?}",
                    encoder.hidden
                ));
            }
            // Its features, and its error.
            *width = encoder
                .hidden
                .iter()
                .min()
                .map_or(0, |narrowest| narrowest + 1);
        }
        if self.density.mode_widths != widths {
            return refuse(format!(
                "expected mode_widths {widths:?} of the energy, got {:?}",
                self.density.mode_widths
            ));
        }
        let n_classes = self.density.n_components.len();
        if n_classes != 2 {
            return refuse(format!(
                "expected n_components of 2 classes, got {n_classes}"
            ));
        }
        let n_levels = self.density.noise.noise_std.len();
        if n_levels > MOST_NOISE_LEVELS {
            return refuse(format!(
                "expected at most {MOST_NOISE_LEVELS} levels of noise, got {n_levels}"
            ));
        }
        let n_states = self.density.most_exact_states;
        if n_states > MOST_STATES {
            return refuse(format!(
                "expected most_exact_states of at most {MOST_STATES}, got {n_states}"
            ));
        }
        let n_outputs = self.network.n_outputs;
        if n_outputs != 1 {
            return refuse(format!("expected a network of 1 output, got {n_outputs}"));
        }
        Ok(())
    }

    /// Widths of the network's layers.
    fn widths(&self) -> Vec<usize> {
        let network = &self.network;
        let mut widths = vec![network.n_inputs];
        widths.extend(&network.hidden);
        widths.push(network.n_outputs);
        widths
    }

    /// Names and shapes of all tensors but the standardization's.
    fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        let (n_modes, n_features) = (self.density.mode_widths.len(), self.density.n_features());
        let mut shapes = vec![(
            "density.log_class_weights".to_owned(),
            vec![self.density.n_components.len()],
        )];
        for (class, &k) in self.density.n_components.iter().enumerate() {
            let mut add = |name: &str, shape: Vec<usize>| {
                shapes.push((format!("density.class.{class}.{name}"), shape));
            };
            add("log_weights", vec![k]);
            add("means", vec![k, n_features]);
            add("precision_cholesky", vec![k, n_features, n_features]);
        }
        for (mode, encoder) in self.encoders.iter().enumerate() {
            let Some(encoder) = encoder else { continue };
            let mut add = |name: &str, shape: Vec<usize>| {
                shapes.push((format!("density.encoders.{mode}.{name}"), shape));
            };
            let mut inputs = encoder.n_features;
            let outputs = encoder.hidden.iter().chain([&encoder.n_features]);
            for (layer, &outputs) in outputs.enumerate() {
                add(
                    &format!("autoencoder.layers.{layer}.weight"),
                    vec![outputs, inputs],
                );
                add(&format!("autoencoder.layers.{layer}.bias"), vec![outputs]);
                inputs = outputs;
            }
            for name in ["location", "scale"] {
                add(name, vec![self.density.mode_widths[mode]]);
            }
        }
        if self.plus.gate.is_some() {
            for (name, n) in [
                ("log_coldness", n_modes),
                ("gain", n_modes),
                ("bias", n_modes),
                ("coldness_factor", 1),
            ] {
                shapes.push((format!("gate.{name}"), vec![n]));
            }
        }
        let members = self.network.n_members;
        let widths = self.widths();
        for (layer, pair) in widths.windows(2).enumerate() {
            let (inputs, outputs) = (pair[0], pair[1]);
            let mut add = |name: &str, shape: Vec<usize>| {
                shapes.push((format!("network.{layer}.{name}"), shape));
            };
            if self.network.shared && layer + 2 < widths.len() {
                add("weight", vec![outputs, inputs]);
                add("input_adapter", vec![members, inputs]);
                add("output_adapter", vec![members, outputs]);
            } else {
                add("weight", vec![members, outputs, inputs]);
            }
            add("bias", vec![members, outputs]);
        }
        shapes
    }
}

/// The fields of settings.
fn object(settings: &impl Serialize) -> Result<Map<String, Value>> {
    match serde_json::to_value(settings) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(other) => Err(Error::Checkpoint(format!("expected settings, got {other}"))),
        Err(error) => Err(Error::Checkpoint(error.to_string())),
    }
}

/// Settings from the notes of a kind.
fn known<T: DeserializeOwned>(part: &str, kind: &Kind, keys: &[&str]) -> Result<T> {
    let fields = kind.notes.iter().filter(|(key, _)| keys.contains(&&***key));
    let fields: Map<String, Value> = fields
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    serde_json::from_value(Value::Object(fields)).map_err(|error| {
        Error::Checkpoint(format!(
            "invalid settings of the {part} of kind {}: {error}",
            kind.kind
        ))
    })
}

impl Loader<'_> {
    /// An EMMA+, with the widths of its network, after a check of all its tensors.
    pub(super) fn emma_plus(
        &self,
        settings: &EmmaPlusSettings,
    ) -> Result<(EmmaPlus<EnsembleMlp>, Vec<usize>)> {
        for (name, shape) in settings.shapes() {
            self.checkpoint.tensor(&name, &shape)?;
        }
        let vb = self.var_builder();
        let of_modes = settings.encoders.iter().enumerate();
        let encoders = of_modes
            .map(|(mode, encoder)| {
                let vb = vb.pp("density").pp("encoders").pp(mode);
                let encoder = encoder.as_ref();
                encoder
                    .map(|sizes| ModeEncoder::new(sizes, &vb))
                    .transpose()
            })
            .collect::<emma_energy::Result<Vec<_>>>()?;
        let density = JointDensity::new(&settings.density, &vb.pp("density"))?;
        let density = EncodedDensity::new(encoders, density)?;
        let expected = EmmaPlus::<EnsembleMlp>::n_inputs(&density);
        if settings.network.n_inputs != expected {
            return Err(Error::Checkpoint(format!(
                "expected a network of {expected} inputs, got {}",
                settings.network.n_inputs
            )));
        }
        let network = EnsembleMlp::new(&settings.network, &vb.pp("network"))?;
        let model = EmmaPlus::new(&settings.plus, density, network, &vb.pp("gate"))?;
        Ok((model, settings.widths()))
    }
}

/// Which features of rows may be missing.
#[derive(Clone, Copy)]
pub(super) enum Gaps<'a> {
    /// None.
    Refused,
    /// Any that is NaN.
    Nan,
    /// Those of the modes that a mask leaves out, and no others.
    Of(&'a ModeMask),
}

/// What EMMA+ says about rows, `[row][…]`.
struct Said {
    outputs: Vec<f64>,
    energies: Vec<Vec<f64>>,
    attention: Vec<Vec<f64>>,
    /// `[mode][row][feature]`, standard scores.
    repaired: Vec<Vec<Vec<f64>>>,
    log_odds: Vec<Vec<f64>>,
}

/// Repairs and evidence of rows by EMMA+.
pub(super) struct Repairs {
    /// `[mode][row][feature]`, standard scores.
    pub(super) repaired: Vec<Vec<Vec<f64>>>,
    /// `[row][subset]`.
    pub(super) log_odds: Vec<Vec<f64>>,
    /// `[row][mode]`.
    pub(super) attention: Vec<Vec<f64>>,
}

impl TrainedModel {
    /// Scores of standardized rows by EMMA+, those included that cannot be scored.
    pub(super) fn scores_by_plus(
        &self,
        model: &EmmaPlus<EnsembleMlp>,
        modes: &[Tensor],
        gaps: Gaps<'_>,
    ) -> Result<RowScores> {
        Ok(self.repairs_by_plus(model, modes, gaps)?.0)
    }

    /// As [`scores_by_plus`](Self::scores_by_plus), with what the density says.
    pub(super) fn repairs_by_plus(
        &self,
        model: &EmmaPlus<EnsembleMlp>,
        modes: &[Tensor],
        gaps: Gaps<'_>,
    ) -> Result<(RowScores, Repairs)> {
        let columns = &self.metadata.modes;
        if modes.len() != columns.len() {
            return Err(Error::ModeCount {
                expected: columns.len(),
                found: modes.len(),
            });
        }
        let modes = modes
            .iter()
            .map(|mode| self.adopt(mode))
            .collect::<Result<Vec<_>>>()?;
        let modes = match gaps {
            Gaps::Of(mask) => without_missing(&modes, mask)?,
            Gaps::Refused | Gaps::Nan => modes,
        };
        let features = modes.iter().map(numbers).collect::<Result<Vec<_>>>()?;
        let said = Said::new(self, model, &modes)?;
        let mut scores = RowScores {
            n_modes: columns.len(),
            n_outputs: 1,
            ..RowScores::default()
        };
        let mut energies = RowEnergies::default();
        for (row, &output) in said.outputs.iter().enumerate() {
            let checked = self
                .check_gaps(row, &features, gaps)
                .and_then(|()| faults::check_modal_energies(row, &said.energies[row], columns))
                .and_then(|()| faults::check_attention(row, &said.attention[row]))
                .and_then(|()| faults::check_outputs(row, &[output]));
            scores.faults.extend(checked.err());
            scores.outputs.push(saturate(output));
            energies
                .total
                .push(saturate(said.energies[row].iter().sum()));
            energies
                .energy
                .extend(said.energies[row].iter().copied().map(saturate));
            energies
                .attention
                .extend(said.attention[row].iter().copied().map(saturate));
        }
        let nothing = vec![f32::NAN; energies.energy.len()];
        energies.potential.clone_from(&nothing);
        energies.importance = nothing;
        scores.energies = Some(energies);
        let refused: Vec<usize> = scores.faults.iter().map(|fault| fault.row).collect();
        for row in refused {
            scores.refuse(row);
        }
        let repairs = Repairs {
            repaired: said.repaired,
            log_odds: said.log_odds,
            attention: said.attention,
        };
        Ok((scores, repairs))
    }

    fn check_gaps(
        &self,
        row: usize,
        features: &[Vec<Vec<f64>>],
        gaps: Gaps<'_>,
    ) -> std::result::Result<(), RowFault> {
        let present = match gaps {
            Gaps::Of(mask) => mask.rows().nth(row),
            Gaps::Refused | Gaps::Nan => None,
        };
        let mut is_anything_there = false;
        for (index, mode) in self.metadata.modes.iter().enumerate() {
            if present.is_some_and(|present| !present[index]) {
                continue;
            }
            let mut own = features[index][row].clone();
            if matches!(gaps, Gaps::Nan) {
                own.retain(|value| !value.is_nan());
            }
            faults::check_features(row, &own, mode)?;
            is_anything_there |= !own.is_empty();
        }
        if is_anything_there {
            return Ok(());
        }
        Err(RowFault::new(row, NOTHING.into()))
    }
}

impl Said {
    fn new(
        trained: &TrainedModel,
        model: &EmmaPlus<EnsembleMlp>,
        modes: &[Tensor],
    ) -> Result<Self> {
        let n_modes = modes.len();
        let n_rows = modes.first().map_or(Ok(0), |mode| mode.dim(0))?;
        // candle has no largest of no numbers.
        if n_rows == 0 {
            return Ok(Self {
                outputs: Vec::new(),
                energies: Vec::new(),
                attention: Vec::new(),
                repaired: vec![Vec::new(); n_modes],
                log_odds: Vec::new(),
            });
        }
        let prepared = model.prepare(modes)?;
        let (inputs, attention) = model.prepared().inputs(&prepared)?;
        let output = model.prepared().network().forward(&[inputs], None)?;
        let outputs = trained.outputs_of_task(&output)?;
        Ok(Self {
            outputs: outputs.into_iter().flatten().collect(),
            energies: numbers(&prepared[2 * n_modes + 1])?,
            attention: numbers(&attention)?,
            repaired: model
                .density()
                .decode(&prepared[n_modes..2 * n_modes])?
                .iter()
                .map(numbers)
                .collect::<Result<_>>()?,
            log_odds: numbers(&prepared[2 * n_modes])?,
        })
    }
}

/// NaN in place of what a mask leaves out.
fn without_missing(modes: &[Tensor], mask: &ModeMask) -> Result<Vec<Tensor>> {
    let of_mode = |(index, mode): (usize, &Tensor)| -> Result<Tensor> {
        let present: Vec<u8> = mask.rows().map(|row| u8::from(row[index])).collect();
        if mode.elem_count() == 0 || !present.contains(&0) {
            return Ok(mode.clone());
        }
        let present = Tensor::from_vec(present, (mask.n_rows(), 1), &Device::Cpu)?
            .to_device(mode.device())?
            .broadcast_as(mode.dims())?
            .contiguous()?;
        let nan = Tensor::new(f32::NAN, &Device::Cpu)?.to_dtype(DType::F32)?;
        let nan = nan.to_dtype(mode.dtype())?.to_device(mode.device())?;
        let nan = nan.broadcast_as(mode.dims())?.contiguous()?;
        Ok(present.where_cond(&mode.contiguous()?, &nan)?)
    };
    modes.iter().enumerate().map(of_mode).collect()
}
