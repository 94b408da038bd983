//! Scoring by the kernels: f64, on the CPU, in parallel over rows.

use candle_core::{CpuStorage, DType, Device, Storage, Tensor};
use emma_energy::transfer;
use emma_kernels::gate::{Gate, N_OUTPUTS};
use emma_kernels::potential::Autoencoder;
use emma_kernels::{Front, Network, Scorer, Scores};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::faults;
use super::prediction::saturate;
use super::row_scores::{RowEnergies, RowFault, RowScores};
use crate::checkpoint::{Checkpoint, ModelMetadata};
use crate::error::Result;

/// Rows that one thread scores at a time.
const ROWS_PER_CHUNK: usize = 1024;

/// A model's parameters as the kernels take them.
pub(super) struct FusedModel {
    /// Mean and standard deviation of all features, side by side.
    mean: Vec<f64>,
    std: Vec<f64>,
    mode_widths: Vec<usize>,
    front: OwnedFront,
    network: Network,
    network_parameters: Vec<f64>,
}

enum OwnedFront {
    Open,
    Softmax(Vec<f64>),
    Emma {
        autoencoders: Vec<OwnedAutoencoder>,
        gate: Vec<f64>,
        minimum_potential: Vec<f64>,
        coldness: f64,
    },
}

struct OwnedAutoencoder {
    weight: Vec<f64>,
    encoder_bias: Vec<f64>,
    decoder_bias: Vec<f64>,
}

/// What is wanted of a model.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    /// Rows are still in the table's units.
    pub(super) standardize: bool,
    /// Energies and attention beside probabilities.
    pub(super) explain: bool,
}

impl FusedModel {
    /// From a checkpoint whose layout has been checked.
    pub(super) fn new(
        checkpoint: &Checkpoint,
        metadata: &ModelMetadata,
        widths: &[usize],
        has_softmax: bool,
    ) -> Result<Self> {
        let values = |name: &str| -> Result<Vec<f64>> {
            let tensor = transfer(checkpoint.any_shape(name)?, DType::F64, &Device::Cpu)?;
            Ok(tensor.flatten_all()?.to_vec1()?)
        };
        let all = |names: &[&str]| -> Result<Vec<f64>> {
            let parts = names.iter().map(|name| values(name));
            Ok(parts.collect::<Result<Vec<_>>>()?.concat())
        };
        let of_modes = |part: &str| -> Result<Vec<f64>> {
            let modes = metadata.modes.iter();
            let parts = modes.map(|mode| values(&format!("standardize.{}.{part}", mode.name)));
            Ok(parts.collect::<Result<Vec<_>>>()?.concat())
        };
        let front = if metadata.energy.is_some() {
            let autoencoder = |mode: &str| -> Result<OwnedAutoencoder> {
                let part = |part: &str| values(&format!("energy.{mode}.{part}"));
                Ok(OwnedAutoencoder {
                    weight: part("weight")?,
                    encoder_bias: part("encoder_bias")?,
                    decoder_bias: part("decoder_bias")?,
                })
            };
            let modes = metadata.modes.iter();
            OwnedFront::Emma {
                autoencoders: modes
                    .map(|mode| autoencoder(&mode.name))
                    .collect::<Result<_>>()?,
                gate: all(&[
                    "attention.self_weight",
                    "attention.self_bias",
                    "attention.coupling_weight",
                    "attention.coupling_exponent",
                    "attention.gain",
                    "attention.attention_bias",
                ])?,
                minimum_potential: values("attention.minimum_potential")?,
                coldness: metadata.coldness.unwrap_or_default(),
            }
        } else if has_softmax {
            OwnedFront::Softmax(all(&["alternative.weight", "alternative.bias"])?)
        } else {
            OwnedFront::Open
        };
        let mut network_parameters = Vec::new();
        for layer in 0..widths.len() - 1 {
            network_parameters.extend(values(&format!("network.{layer}.weight"))?);
            network_parameters.extend(values(&format!("network.{layer}.bias"))?);
        }
        Ok(Self {
            mean: of_modes("mean")?,
            std: of_modes("std")?,
            mode_widths: metadata
                .modes
                .iter()
                .map(|mode| mode.columns.len())
                .collect(),
            front,
            network: Network {
                widths: widths.to_vec(),
            },
            network_parameters,
        })
    }

    /// Whether the rows are those of the model's modes.
    pub(super) fn fits(&self, modes: &[Tensor]) -> bool {
        let n_rows = modes.first().and_then(|mode| mode.dims().first());
        modes.len() == self.mode_widths.len()
            && modes.iter().zip(&self.mode_widths).all(|(mode, &width)| {
                mode.rank() == 2 && mode.dims().first() == n_rows && mode.dims()[1] == width
            })
    }

    /// Scores of rows that fit.
    pub(super) fn predict(
        &self,
        modes: &[Tensor],
        metadata: &ModelMetadata,
        wanted: Wanted,
    ) -> Result<RowScores> {
        let modes = modes.iter().map(plain).collect::<Result<Vec<_>>>()?;
        let storages: Vec<_> = modes.iter().map(Tensor::storage_and_layout).collect();
        let columns: Vec<Values<'_>> = storages
            .iter()
            .map(|(storage, layout)| Values::of(storage, layout.start_offset()))
            .collect();
        let n_rows = modes.first().map_or(0, |mode| mode.dims()[0]);
        Ok(self.score_all(&Rows::ByMode(columns), n_rows, metadata, wanted))
    }

    /// Scores and explanation of raw rows, the features of all modes side by side.
    pub(super) fn score_rows(&self, rows: &[f32], metadata: &ModelMetadata) -> RowScores {
        let wanted = Wanted {
            standardize: true,
            explain: true,
        };
        let n_rows = rows.len() / self.mean.len();
        self.score_all(&Rows::SideBySide(rows), n_rows, metadata, wanted)
    }

    fn score_all(
        &self,
        rows: &Rows<'_>,
        n_rows: usize,
        metadata: &ModelMetadata,
        wanted: Wanted,
    ) -> RowScores {
        let scorer = self.scorer();
        let chunks: Vec<RowScores> = (0..n_rows.div_ceil(ROWS_PER_CHUNK))
            .into_par_iter()
            .map(|chunk| {
                let first = chunk * ROWS_PER_CHUNK;
                let range = first..(first + ROWS_PER_CHUNK).min(n_rows);
                self.score(&scorer, rows, range, metadata, wanted)
            })
            .collect();
        let has_energies = matches!(self.front, OwnedFront::Emma { .. }) && wanted.explain;
        let mut scores = RowScores {
            n_modes: self.mode_widths.len(),
            n_outputs: 1,
            energies: has_energies.then(RowEnergies::default),
            ..RowScores::default()
        };
        for chunk in chunks {
            scores.extend(chunk);
        }
        scores
    }

    fn scorer(&self) -> Scorer<'_, f64> {
        Scorer {
            mode_widths: self.mode_widths.clone(),
            front: match &self.front {
                OwnedFront::Open => Front::Open,
                OwnedFront::Softmax(parameters) => Front::Softmax { parameters },
                OwnedFront::Emma {
                    autoencoders,
                    gate,
                    minimum_potential,
                    coldness,
                } => Front::Emma {
                    autoencoders: autoencoders
                        .iter()
                        .map(|owned| Autoencoder {
                            weight: &owned.weight,
                            encoder_bias: &owned.encoder_bias,
                            decoder_bias: &owned.decoder_bias,
                        })
                        .collect(),
                    gate: Gate {
                        parameters: gate,
                        minimum_potential,
                        coldness: *coldness,
                    },
                },
            },
            network: self.network.clone(),
            network_parameters: &self.network_parameters,
        }
    }

    /// Scores some rows; of those that cannot be scored it says why.
    fn score(
        &self,
        scorer: &Scorer<'_, f64>,
        source: &Rows<'_>,
        range: std::ops::Range<usize>,
        metadata: &ModelMetadata,
        wanted: Wanted,
    ) -> RowScores {
        let (n_rows, n_modes) = (range.len(), self.mode_widths.len());
        let mut rows = self.side_by_side(source, range.clone(), wanted.standardize);
        let mut faults = Vec::new();
        for (row, features) in range.clone().zip(rows.chunks_exact_mut(self.mean.len())) {
            if let Err(fault) = self.check_features(row, features, metadata) {
                faults.push(fault);
                features.fill(0.);
            }
        }
        let has_emma = matches!(self.front, OwnedFront::Emma { .. });
        let n_energies = if has_emma { n_rows * n_modes } else { 0 };
        let mut probabilities = vec![0.; n_rows];
        let mut potentials = vec![0.; n_energies];
        let mut gate = vec![0.; n_energies * N_OUTPUTS];
        let scores = Scores {
            probabilities: &mut probabilities,
            potentials: &mut potentials,
            gate: &mut gate,
        };
        scorer.scores(&rows, scores);
        let mut found = RowScores {
            n_modes,
            n_outputs: 1,
            ..RowScores::default()
        };
        let part = |part: usize| gate.get(part * n_energies..(part + 1) * n_energies);
        let [self_energy, energy, log_importance, attention] =
            [0, 1, 2, 3].map(|index| part(index).unwrap_or_default());
        for (index, row) in range.clone().enumerate().filter(|_| has_emma) {
            let own = index * n_modes..(index + 1) * n_modes;
            let checked =
                faults::check_self_energies(row, &self_energy[own.clone()], &metadata.modes)
                    .and_then(|()| {
                        let energy = &energy[own.clone()];
                        faults::check_modal_energies(row, energy, &metadata.modes)
                    })
                    .and_then(|()| faults::check_importance(row, &log_importance[own]));
            faults.extend(checked.err());
        }
        for (row, &probability) in range.clone().zip(&probabilities) {
            faults.extend(faults::check_outputs(row, &[probability]).err());
            found.outputs.push(saturate(probability));
        }
        if has_emma && wanted.explain {
            let saturated = |values: &[f64]| values.iter().copied().map(saturate).collect();
            let sums = energy.chunks_exact(n_modes).map(|row| row.iter().sum());
            found.energies = Some(RowEnergies {
                total: sums.map(saturate).collect(),
                potential: saturated(&potentials),
                energy: saturated(energy),
                importance: log_importance
                    .iter()
                    .map(|log| saturate(log.exp()))
                    .collect(),
                attention: saturated(attention),
            });
        }
        // Of a row's faults the first that was found: features before energies before the probability.
        faults.sort_by_key(|fault| fault.row);
        faults.dedup_by_key(|fault| fault.row);
        for fault in &faults {
            found.refuse(fault.row - range.start);
        }
        found.faults = faults;
        found
    }

    fn check_features(
        &self,
        row: usize,
        features: &[f64],
        metadata: &ModelMetadata,
    ) -> std::result::Result<(), RowFault> {
        let mut rest = features;
        for (mode, &width) in metadata.modes.iter().zip(&self.mode_widths) {
            let (own, others) = rest.split_at(width);
            rest = others;
            faults::check_features(row, own, mode)?;
        }
        Ok(())
    }

    /// Features of all modes side by side, `[rows, all features]`.
    fn side_by_side(
        &self,
        source: &Rows<'_>,
        range: std::ops::Range<usize>,
        standardize: bool,
    ) -> Vec<f64> {
        let n_features = self.mean.len();
        let mut rows = vec![0.; range.len() * n_features];
        match source {
            Rows::SideBySide(values) => {
                let values = &values[range.start * n_features..range.end * n_features];
                for (place, &value) in rows.iter_mut().zip(values) {
                    *place = f64::from(value);
                }
            }
            Rows::ByMode(columns) => {
                for (place, row) in rows.chunks_exact_mut(n_features).zip(range) {
                    let mut rest = place;
                    for (values, &width) in columns.iter().zip(&self.mode_widths) {
                        let (own, others) = rest.split_at_mut(width);
                        rest = others;
                        values.copy_row(row, own);
                    }
                }
            }
        }
        if standardize {
            for row in rows.chunks_exact_mut(n_features) {
                for ((value, mean), std) in row.iter_mut().zip(&self.mean).zip(&self.std) {
                    *value = (*value - mean) / std;
                }
            }
        }
        rows
    }
}

/// Rows to score.
enum Rows<'a> {
    /// Of each mode its own.
    ByMode(Vec<Values<'a>>),
    /// The features of all modes one after the other, row-major.
    SideBySide(&'a [f32]),
}

/// A mode's numbers, row by row.
enum Values<'a> {
    Single(&'a [f32]),
    Double(&'a [f64]),
    /// Not on the CPU, or of another type: cannot be, see [`plain`].
    None,
}

impl<'a> Values<'a> {
    fn of(storage: &'a Storage, start: usize) -> Self {
        match storage {
            Storage::Cpu(CpuStorage::F32(values)) => Self::Single(&values[start..]),
            Storage::Cpu(CpuStorage::F64(values)) => Self::Double(&values[start..]),
            _ => Self::None,
        }
    }

    fn copy_row(&self, row: usize, target: &mut [f64]) {
        let own = row * target.len()..(row + 1) * target.len();
        match self {
            Self::Single(values) => {
                for (target, &value) in target.iter_mut().zip(&values[own]) {
                    *target = f64::from(value);
                }
            }
            Self::Double(values) => target.copy_from_slice(&values[own]),
            Self::None => target.fill(f64::NAN),
        }
    }
}

/// The same numbers, contiguous, f32 or f64, on the CPU.
fn plain(mode: &Tensor) -> Result<Tensor> {
    let mode = match mode.dtype() {
        DType::F32 | DType::F64 => mode.to_device(&Device::Cpu)?,
        _ => transfer(mode, DType::F64, &Device::Cpu)?,
    };
    Ok(mode.contiguous()?)
}
