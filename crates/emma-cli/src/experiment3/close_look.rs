//! A close look at EMMA on test rows: which mode gets its attention, and what its total energy is good for.
//!
//! All that figures need of models and rows, so that they can be drawn again from the results folder.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use candle_core::{Device, Tensor};
use emma_attention::{capacity, masking_gap, rectified_capacity};
use emma_data::{Corruption, ModeCorruption, NoiseStd, Samples};
use emma_models::trained::Explanation;
use emma_models::{Checkpoint, Prediction, TrainedModel};
use serde::{Deserialize, Serialize};

use super::conditions::{BOTH, Condition, NOISE_LEVELS, UNCORRUPTED, noise_name};
use super::data::SeedData;
use super::outcome::SeedOutcome;
use super::refusal::{Judged, Refusal, rank_correlation};
use super::robustness::ratio;
use super::seed::model_file;
use super::settings::Settings;
use crate::failure::CommandResult;
use crate::inspection::{numbers, off_diagonal};

/// Its file in the results folder.
pub(crate) const CLOSE_LOOK_FILE: &str = "close_look.json";

/// The model that is looked at.
pub(crate) const EMMA: &str = "with";

/// Most test rows that attention is followed with along noise.
const MOST_ROWS: usize = 1000;

/// Noise-to-signal ratios in dB, `20 log10 σ`: from, to, and steps along a line and a side of the surface.
pub(crate) const DECIBELS: (f64, f64) = (-20., 5.);
const STEPS_ALONG: u32 = 10;
pub(crate) const CELLS: usize = 10;

/// Every seed, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CloseLook {
    pub(crate) seeds: Vec<SeedLook>,
}

/// One seed's `with` on all of its test rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SeedLook {
    pub(crate) seed: u64,
    pub(crate) learned: Learned,
    pub(crate) conditions: BTreeMap<String, ConditionLook>,
    /// Spearman's, of the mean total energy and F1 over noise: clean and every level in every place.
    /// Null if either does not vary.
    pub(crate) rank_correlation: Option<f64>,
    /// The rows of all conditions together.
    pub(crate) refused_by_energy: Refusal,
    /// The same with rows refused whose probability is nearest to the threshold, in shares of the distance
    /// from the threshold to 0 or to 1: what can be had without energies.
    pub(crate) refused_by_probability: Refusal,
    /// Of the first seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) along_noise: Option<AlongNoise>,
}

/// Parameters after training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Learned {
    pub(crate) coldness: f64,
    pub(crate) gain: f64,
    pub(crate) attention_bias: f64,
    pub(crate) capacity: f64,
    pub(crate) rectified_capacity: f64,
    /// How far a mode's energy may lie above the others' before it is masked; null if there is no such
    /// number.
    pub(crate) masking_gap: Option<f64>,
    /// `w_ij` at `[i][j]`, null on the diagonal.
    pub(crate) coupling_weight: Vec<Vec<Option<f64>>>,
    /// `γ_ij` likewise.
    pub(crate) coupling_exponent: Vec<Vec<Option<f64>>>,
}

/// One measure of a condition, by mode.
pub(crate) type ByMode = fn(&ConditionLook) -> &Vec<f64>;

/// One condition; lists are by mode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ConditionLook {
    /// Mean over rows.
    pub(crate) importance: Vec<f64>,
    /// Mean over rows.
    pub(crate) attention: Vec<f64>,
    /// Share of rows whose mode gets no attention at all.
    pub(crate) masked: Vec<f64>,
    /// Mean over rows.
    pub(crate) total_energy: f64,
}

/// Mean attention by the noise, of some test rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct AlongNoise {
    pub(crate) rows: usize,
    /// Levels in dB.
    pub(crate) levels: Vec<f64>,
    /// By the noisy mode, then by level, then by mode.
    pub(crate) attention: BTreeMap<String, Vec<Vec<f64>>>,
    /// By mode: the middles of equal cells over noise on the first mode (across) and the second (up),
    /// row by row from below.
    pub(crate) surface: Vec<Vec<f64>>,
}

/// Looks at one finished seed.
pub(crate) fn look(
    settings: &Settings,
    samples: &Samples,
    outcome: &SeedOutcome,
    folder: &Path,
    device: &Device,
) -> CommandResult<SeedLook> {
    let checkpoint = Checkpoint::load(folder.join(model_file(EMMA)))?;
    let looking = Looking {
        settings,
        data: SeedData::new(samples, outcome.seed, settings, device)?,
        model: TrainedModel::from_checkpoint(&checkpoint, device)?,
    };
    let threshold = checkpoint.metadata().threshold;
    let is_first = settings.seeds.first() == Some(&outcome.seed);
    let mut conditions = BTreeMap::new();
    let (mut rows, mut energies, mut doubts) = (Vec::new(), Vec::new(), Vec::new());
    for condition in Condition::all(&settings.data.modes)? {
        let test = looking.data.corrupted_test(&condition, settings)?;
        let prediction = looking.model.predict_standardized(&test)?;
        let explanation = explanation(&prediction)?;
        let probabilities = prediction.answers.clone().into_probabilities()?;
        for (probability, label) in probabilities.into_iter().zip(looking.data.test.labels()) {
            let probability = f64::from(probability);
            rows.push(Judged {
                is_positive: label == 1,
                is_predicted: probability >= threshold,
            });
            doubts.push(doubt(probability, threshold));
        }
        energies.extend(explanation.total_energy.iter().copied().map(f64::from));
        conditions.insert(condition.name, ConditionLook::of(explanation));
    }
    Ok(SeedLook {
        seed: outcome.seed,
        learned: looking.learned()?,
        rank_correlation: correlation_over_noise(settings, &conditions, outcome)?,
        conditions,
        refused_by_energy: Refusal::by(&energies, &rows),
        refused_by_probability: Refusal::by(&doubts, &rows),
        along_noise: is_first.then(|| looking.along_noise()).transpose()?,
    })
}

struct Looking<'a> {
    settings: &'a Settings,
    data: SeedData,
    model: TrainedModel,
}

impl Looking<'_> {
    fn learned(&self) -> CommandResult<Learned> {
        let emma = &self.model.emma().context("a model without EMMA")?.emma;
        let (gain, bias) = (numbers(emma.gain())?[0], numbers(emma.attention_bias())?[0]);
        let config = emma.config();
        let gap = masking_gap(config.coldness, gain, bias, config.n_modes);
        Ok(Learned {
            coldness: config.coldness.value(),
            gain,
            attention_bias: bias,
            capacity: capacity(gain, bias),
            rectified_capacity: rectified_capacity(gain, bias),
            masking_gap: gap.is_finite().then_some(gap),
            coupling_weight: off_diagonal(emma.coupling_weight())?,
            coupling_exponent: off_diagonal(&emma.coupling_exponent()?)?,
        })
    }

    fn along_noise(&self) -> CommandResult<AlongNoise> {
        let (from, to) = DECIBELS;
        let levels: Vec<f64> = (0..=STEPS_ALONG)
            .map(|step| from + (to - from) * f64::from(step) / f64::from(STEPS_ALONG))
            .collect();
        let modes = &self.settings.data.modes;
        let mut attention = BTreeMap::new();
        for mode in modes {
            let of_level = |&level: &f64| self.attention(&[(mode, level)]);
            let of_mode: CommandResult<Vec<_>> = levels.iter().map(of_level).collect();
            attention.insert(mode.clone(), of_mode?);
        }
        let mut surface = vec![Vec::with_capacity(CELLS * CELLS); modes.len()];
        if let [first, second, ..] = &modes[..] {
            let middle = |cell: usize| from + (to - from) * (cell as f64 + 0.5) / CELLS as f64;
            for row in 0..CELLS {
                for column in 0..CELLS {
                    let faults = [(first, middle(column)), (second, middle(row))];
                    let means = self.attention(&faults)?;
                    for (cells, mean) in surface.iter_mut().zip(means) {
                        cells.push(mean);
                    }
                }
            }
        }
        Ok(AlongNoise {
            rows: self.some_rows(&[])?[0].dim(0)?,
            levels,
            attention,
            surface,
        })
    }

    /// Mean attention by mode with noise on some modes, each of so many dB.
    fn attention(&self, noise: &[(&String, f64)]) -> CommandResult<Vec<f64>> {
        let fault = |&(mode, level): &(&String, f64)| {
            let std = NoiseStd::new(10f64.powf(level / 20.))?;
            ModeCorruption::new(mode.as_str(), Corruption::Noise(std))
        };
        let faults = noise.iter().map(fault).collect::<Result<Vec<_>, _>>()?;
        let prediction = self.model.predict_standardized(&self.some_rows(&faults)?)?;
        Ok(means(&explanation(&prediction)?.attention))
    }

    /// One stream for all levels: the same noise, larger and larger.
    fn some_rows(&self, faults: &[ModeCorruption]) -> CommandResult<Vec<Tensor>> {
        let data = &self.data;
        data.some_test_rows(
            MOST_ROWS,
            faults,
            "noise along which attention goes",
            self.settings,
        )
    }
}

impl ConditionLook {
    fn of(explanation: &Explanation) -> Self {
        let is_masked = |row: &Vec<f32>| -> Vec<f32> {
            let of_mode = |&attention: &f32| if attention > 0. { 0. } else { 1. };
            row.iter().map(of_mode).collect()
        };
        let masked: Vec<Vec<f32>> = explanation.attention.iter().map(is_masked).collect();
        let energies = &explanation.total_energy;
        let total: f64 = energies.iter().copied().map(f64::from).sum();
        Self {
            importance: means(&explanation.importance),
            attention: means(&explanation.attention),
            masked: means(&masked),
            total_energy: total / energies.len().max(1) as f64,
        }
    }
}

fn explanation(prediction: &Prediction) -> CommandResult<&Explanation> {
    let explanation = prediction.explanation.as_ref();
    Ok(explanation.context("a model without EMMA")?)
}

/// How near a probability is to the threshold: from −1, as far as it can be on its side, to 0. Without regard
/// to sides, a threshold of 0.3 would take all that is near 0 for less certain than what is near 1.
fn doubt(probability: f64, threshold: f64) -> f64 {
    if probability < threshold {
        -ratio(threshold - probability, threshold)
    } else {
        -ratio(probability - threshold, 1. - threshold)
    }
}

/// Means of columns.
fn means(rows: &[Vec<f32>]) -> Vec<f64> {
    let mut sums = vec![0.; rows.first().map_or(0, Vec::len)];
    for row in rows {
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += f64::from(value);
        }
    }
    sums.iter().map(|sum| sum / rows.len() as f64).collect()
}

/// Names of all conditions with noise and of the clean one, by place: a mode, or [`BOTH`].
pub(crate) fn noise_conditions(place: &str) -> CommandResult<Vec<(f64, String)>> {
    let clean = std::iter::once(Ok((0., UNCORRUPTED.to_owned())));
    let noisy = NOISE_LEVELS.map(|level| Ok((level, noise_name(place, level)?)));
    clean.chain(noisy).collect()
}

fn correlation_over_noise(
    settings: &Settings,
    conditions: &BTreeMap<String, ConditionLook>,
    outcome: &SeedOutcome,
) -> CommandResult<Option<f64>> {
    let model = outcome.models.get(EMMA).context("a seed without EMMA")?;
    let mut names = vec![UNCORRUPTED.to_owned()];
    for place in settings.data.modes.iter().map(String::as_str).chain([BOTH]) {
        let noisy = noise_conditions(place)?.into_iter().skip(1);
        names.extend(noisy.map(|(_, name)| name));
    }
    let pair = |name: &String| {
        let energy = conditions.get(name)?.total_energy;
        Some((energy, model.test.get(name)?.f1))
    };
    let (energies, f1): (Vec<f64>, Vec<f64>) = names.iter().filter_map(pair).unzip();
    Ok(rank_correlation(&energies, &f1))
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // These results are exact.
mod tests {
    use super::*;

    #[test]
    fn both_classes_can_be_beyond_doubt() {
        assert_eq!(doubt(0., 0.25), -1.);
        assert_eq!(doubt(1., 0.25), -1.);
        assert_eq!(doubt(0.25, 0.25), 0.);
        assert_eq!(doubt(0.125, 0.25), -0.5);
        assert_eq!(doubt(0.625, 0.25), -0.5);
        // Where there is no room on a side.
        assert_eq!(doubt(1., 1.), 0.);
        assert_eq!(doubt(0., 0.), 0.);
    }

    #[test]
    fn means_are_those_of_columns() {
        assert_eq!(means(&[vec![1., 2.], vec![3., 6.]]), [2., 4.]);
        assert!(means(&[]).is_empty());
    }
}
