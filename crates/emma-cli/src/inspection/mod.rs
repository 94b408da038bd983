//! What there is to know about a trained model.

mod abstention;
mod repair;
mod text;

use candle_core::{DType, Tensor};
use emma_attention::{Emma, capacity, masking_gap, rectified_capacity};
use emma_models::checkpoint::Kind;
use emma_models::{Abstention, Checkpoint, ModelMetadata, Task, TrainedModel};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::failure::CommandResult;
use abstention::AbstentionSummary;
use repair::Repair;

/// All of it; printed as it is by `--json`.
#[derive(Debug, Serialize)]
pub(crate) struct Inspection {
    format_version: u64,
    name: Option<String>,
    label: String,
    /// What is predicted.
    task: Task,
    /// Probability from which a row counts as 1.
    threshold: f64,
    /// Numbers that were learned; standardization and the lowest potentials are not among them.
    n_parameters: usize,
    modes: Vec<Mode>,
    energy: Option<Kind>,
    attention: Option<Attention>,
    /// Of EMMA+.
    #[serde(skip_serializing_if = "Option::is_none")]
    repair: Option<Repair>,
    network: Network,
    /// By what it may abstain, if its file says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    abstention: Option<AbstentionSummary>,
    /// How it was trained, as its file says.
    training: Map<String, Value>,
}

#[derive(Debug, Serialize)]
struct Mode {
    name: String,
    columns: Vec<Column>,
    #[serde(flatten)]
    energy: Option<ModeEnergy>,
}

#[derive(Debug, Serialize)]
struct Column {
    name: String,
    mean: f32,
    std: f32,
}

/// Of models with EMMA.
#[derive(Debug, Serialize)]
struct ModeEnergy {
    n_hidden: usize,
    minimum_potential: f64,
    self_weight: f64,
    self_bias: f64,
}

#[derive(Debug, Serialize)]
struct Attention {
    coldness: f64,
    gain: f64,
    #[serde(rename = "attention_bias")]
    bias: f64,
    /// Attention of a mode that has all the importance.
    most: f64,
    /// Integral of the attention function, without and with its rectification.
    capacity: f64,
    rectified_capacity: f64,
    masking: Masking,
    /// w_ij at `[i][j]`; null on the diagonal, which means nothing.
    coupling_weight: Vec<Vec<Option<f64>>>,
    /// γ_ij at `[i][j]`; likewise.
    coupling_exponent: Vec<Vec<Option<f64>>>,
}

/// When a mode gets no attention at all.
#[derive(Debug, Serialize)]
#[serde(tag = "when", rename_all = "snake_case")]
enum Masking {
    Never,
    Always,
    /// Training keeps the gain from this: the gate closes for modes that are important.
    GainIsNegative,
    /// If its importance is at most `importance`, that is if its energy is at least `gap` above the
    /// soft minimum of the others'.
    ByEnergy {
        importance: f64,
        gap: f64,
    },
}

#[derive(Debug, Serialize)]
struct Network {
    #[serde(flatten)]
    kind: Kind,
    /// All features, hidden layers in order, 1.
    widths: Vec<usize>,
}

impl Inspection {
    pub(crate) fn of(checkpoint: &Checkpoint, model: &TrainedModel) -> CommandResult<Self> {
        let metadata = checkpoint.metadata();
        let attention = match model.emma() {
            Some(coupled) => Some(Attention::of(&coupled.emma)?),
            None => None,
        };
        Ok(Self {
            format_version: metadata.format_version,
            name: metadata.name.clone(),
            label: metadata.label.clone(),
            task: metadata.task.clone(),
            threshold: metadata.threshold,
            n_parameters: n_parameters(checkpoint),
            modes: modes(checkpoint, metadata, model)?,
            energy: metadata.energy.clone(),
            attention,
            repair: model.emma_plus().map(Repair::of).transpose()?,
            network: Network {
                kind: without(&metadata.network, "widths"),
                widths: model.network_widths().to_vec(),
            },
            abstention: Abstention::from_checkpoint(checkpoint)?
                .as_ref()
                .map(AbstentionSummary::of)
                .transpose()?,
            training: metadata.training.clone(),
        })
    }
}

/// A kind without a note of this name, which would stand there twice.
fn without(kind: &Kind, note: &str) -> Kind {
    let mut kind = kind.clone();
    kind.notes.remove(note);
    kind
}

/// Numbers in the tensors that training changes.
fn n_parameters(checkpoint: &Checkpoint) -> usize {
    let learned = [
        "energy.",
        "attention.",
        "alternative.",
        "density.",
        "gate.",
        "network.",
    ];
    let n_modes = checkpoint.metadata().modes.len();
    checkpoint
        .tensors()
        .iter()
        .filter(|(name, _)| learned.iter().any(|prefix| name.starts_with(prefix)))
        .map(|(name, tensor)| match name.as_str() {
            "attention.minimum_potential" | "gate.coldness_factor" => 0,
            // Their diagonals are not used.
            "attention.coupling_weight" | "attention.coupling_exponent" => n_modes * (n_modes - 1),
            _ => tensor.elem_count(),
        })
        .sum()
}

fn modes(
    checkpoint: &Checkpoint,
    metadata: &ModelMetadata,
    model: &TrainedModel,
) -> CommandResult<Vec<Mode>> {
    let per_mode = match model.emma() {
        Some(coupled) => Some([
            numbers(coupled.emma.minimum_potential())?,
            numbers(coupled.emma.self_weight())?,
            numbers(coupled.emma.self_bias())?,
        ]),
        None => None,
    };
    metadata
        .modes
        .iter()
        .enumerate()
        .map(|(mode_index, mode)| {
            let moments = |part: &str| -> CommandResult<Vec<f32>> {
                let name = format!("standardize.{}.{part}", mode.name);
                Ok(checkpoint.tensor(&name, &[mode.columns.len()])?.to_vec1()?)
            };
            let moments = moments("mean")?.into_iter().zip(moments("std")?);
            let columns = mode.columns.iter().zip(moments);
            let energy = per_mode.as_ref().map(|[minimum, weight, bias]| ModeEnergy {
                n_hidden: checkpoint
                    .tensors()
                    .get(&format!("energy.{}.encoder_bias", mode.name))
                    .map_or(0, Tensor::elem_count),
                minimum_potential: minimum[mode_index],
                self_weight: weight[mode_index],
                self_bias: bias[mode_index],
            });
            Ok(Mode {
                name: mode.name.clone(),
                columns: columns
                    .map(|(name, (mean, std))| Column {
                        name: name.clone(),
                        mean,
                        std,
                    })
                    .collect(),
                energy,
            })
        })
        .collect()
}

impl Attention {
    fn of(emma: &Emma) -> CommandResult<Self> {
        let (gain, bias) = (numbers(emma.gain())?[0], numbers(emma.attention_bias())?[0]);
        let coldness = emma.config().coldness;
        let gap = masking_gap(coldness, gain, bias, emma.config().n_modes);
        let masking = if gain < 0. {
            Masking::GainIsNegative
        } else if gap.is_finite() {
            Masking::ByEnergy {
                importance: bias / gain,
                gap,
            }
        } else if gap > 0. {
            Masking::Never
        } else {
            Masking::Always
        };
        Ok(Self {
            coldness: coldness.value(),
            gain,
            bias,
            most: (gain - bias).tanh().max(0.),
            capacity: capacity(gain, bias),
            rectified_capacity: rectified_capacity(gain, bias),
            masking,
            coupling_weight: off_diagonal(emma.coupling_weight())?,
            coupling_exponent: off_diagonal(&emma.coupling_exponent()?)?,
        })
    }
}

/// All numbers of a tensor in order.
pub(crate) fn numbers(tensor: &Tensor) -> CommandResult<Vec<f64>> {
    Ok(tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
}

/// A square matrix whose diagonal means nothing.
pub(crate) fn off_diagonal(matrix: &Tensor) -> CommandResult<Vec<Vec<Option<f64>>>> {
    let n_modes = matrix.dim(0)?;
    let numbers = numbers(matrix)?;
    let row = |i: usize| (0..n_modes).map(move |j| (i != j).then_some(i * n_modes + j));
    let pick = |position: Option<usize>| position.map(|position| numbers[position]);
    Ok((0..n_modes).map(|i| row(i).map(pick).collect()).collect())
}
