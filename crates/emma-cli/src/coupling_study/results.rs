//! `results.json` of the study.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::model_kind::ModelKind;
use super::rows::CONDITIONS;
use super::seed::{ModelOutcome, SeedOutcome};
use super::settings::Settings;
use crate::experiment::over_seeds::OverSeeds;

/// Version of the layout.
const FORMAT_VERSION: u32 = 1;

/// Accuracy of guessing between two equally frequent classes.
const GUESSING: f64 = 0.5;

/// A measure by group of conditions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ByGroup {
    /// No mode broken.
    pub(crate) clean: OverSeeds,
    /// Mean over one mode broken, as in training.
    pub(crate) one_broken: OverSeeds,
    /// Mean over two modes broken, which no training row has.
    pub(crate) two_broken: OverSeeds,
    /// Mean over all seven conditions.
    pub(crate) mean: OverSeeds,
}

/// One model with one network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ModelResults {
    /// Accuracy beyond guessing as a share of the known optimum's.
    pub(crate) share: ByGroup,
    /// That less the share of EMMA without shared energies, paired by seed.
    pub(crate) less_uncoupled: Option<ByGroup>,
    /// The same share by condition: which modes are broken.
    pub(crate) share_by_condition: BTreeMap<String, OverSeeds>,
    /// The same difference by condition.
    pub(crate) less_uncoupled_by_condition: Option<BTreeMap<String, OverSeeds>>,
    /// Share of test rows that it gets right, by condition.
    pub(crate) accuracy: BTreeMap<String, OverSeeds>,
    pub(crate) n_parameters: usize,
    /// Chosen on validation rows, in the order of `seeds`.
    pub(crate) coldness: Vec<Option<f64>>,
    pub(crate) validation_loss: OverSeeds,
}

/// All models with one network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct NetworkResults {
    /// By name of the model.
    pub(crate) models: BTreeMap<String, ModelResults>,
    /// What free exponents add to symmetric ones, paired by seed.
    pub(crate) free_less_symmetric: ByGroup,
}

/// The whole file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) format_version: u32,
    pub(crate) experiment: String,
    pub(crate) seeds: Vec<u64>,
    /// Share of the test rows that the best decision gets right that knows which modes are broken, by condition.
    pub(crate) optimum: BTreeMap<String, OverSeeds>,
    /// By name of the network.
    pub(crate) networks: BTreeMap<String, NetworkResults>,
    pub(crate) settings: Settings,
}

impl Results {
    /// Gathers outcomes in the order of the seeds.
    pub(crate) fn new(settings: Settings, outcomes: &[SeedOutcome]) -> Self {
        let networks = settings.networks.iter().enumerate();
        let networks = networks.map(|(index, (name, _))| {
            let found = NetworkResults::new(&settings, index, outcomes);
            (name.clone(), found)
        });
        Self {
            format_version: FORMAT_VERSION,
            experiment: settings.experiment.clone(),
            seeds: settings.seeds.clone(),
            optimum: by_condition(&seeds(outcomes, |seed| seed.optimum.clone())),
            networks: networks.collect(),
            settings,
        }
    }
}

impl NetworkResults {
    fn new(settings: &Settings, network: usize, outcomes: &[SeedOutcome]) -> Self {
        let place = |kind: ModelKind| settings.models.iter().position(|&own| own == kind);
        let model = |seed: &SeedOutcome, kind: ModelKind| -> Option<ModelOutcome> {
            seed.models.get(network)?.get(place(kind)?).cloned()
        };
        // Shares by seed and condition.
        let shares = |kind: ModelKind| {
            seeds(outcomes, |seed| {
                let accuracy = model(seed, kind).map(|model| model.accuracy);
                let pairs = accuracy.unwrap_or_default().into_iter().zip(&seed.optimum);
                let share = pairs.map(|(own, best)| (own - GUESSING) / (best - GUESSING));
                share.collect()
            })
        };
        let models = settings.models.iter().map(|&kind| {
            let own = shares(kind);
            let less = kind
                .reference()
                .map(|reference| difference(&own, &shares(reference)));
            let found: Vec<ModelOutcome> = outcomes
                .iter()
                .filter_map(|seed| model(seed, kind))
                .collect();
            let accuracy: Vec<Vec<f64>> = found.iter().map(|own| own.accuracy.clone()).collect();
            let losses = found.iter().map(|own| own.validation_loss).collect();
            let results = ModelResults {
                share: ByGroup::of(&own),
                less_uncoupled: less.as_deref().map(ByGroup::of),
                share_by_condition: by_condition(&own),
                less_uncoupled_by_condition: less.as_deref().map(by_condition),
                accuracy: by_condition(&accuracy),
                n_parameters: found.first().map_or(0, |own| own.n_parameters),
                coldness: found.iter().map(|own| own.coldness).collect(),
                validation_loss: OverSeeds::of(losses),
            };
            (kind.name().to_owned(), results)
        });
        let models = models.collect();
        let free = difference(&shares(ModelKind::Free), &shares(ModelKind::Symmetric));
        Self {
            models,
            free_less_symmetric: ByGroup::of(&free),
        }
    }
}

impl ByGroup {
    /// Of numbers by seed and condition.
    fn of(values: &[Vec<f64>]) -> Self {
        let mean = |n_broken: Option<usize>| {
            let of_seed = |seed: &Vec<f64>| {
                let count = |index: usize| CONDITIONS[index].1.iter().filter(|&&own| own).count();
                let own = seed.iter().enumerate();
                let own = own.filter(|(index, _)| n_broken.is_none_or(|n| count(*index) == n));
                let own: Vec<f64> = own.map(|(_, value)| *value).collect();
                own.iter().sum::<f64>() / own.len() as f64
            };
            OverSeeds::of(values.iter().map(of_seed).collect())
        };
        Self {
            clean: mean(Some(0)),
            one_broken: mean(Some(1)),
            two_broken: mean(Some(2)),
            mean: mean(None),
        }
    }

    /// The four, in the order of the table.
    pub(crate) fn all(&self) -> [&OverSeeds; 4] {
        [&self.clean, &self.one_broken, &self.two_broken, &self.mean]
    }
}

fn seeds(outcomes: &[SeedOutcome], of: impl Fn(&SeedOutcome) -> Vec<f64>) -> Vec<Vec<f64>> {
    outcomes.iter().map(of).collect()
}

fn difference(own: &[Vec<f64>], other: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let of_seed = |(own, other): (&Vec<f64>, &Vec<f64>)| -> Vec<f64> {
        own.iter()
            .zip(other)
            .map(|(own, other)| own - other)
            .collect()
    };
    own.iter().zip(other).map(of_seed).collect()
}

fn by_condition(values: &[Vec<f64>]) -> BTreeMap<String, OverSeeds> {
    let of_condition = |(index, (name, _)): (usize, &(&str, _))| {
        let per_seed = values.iter().filter_map(|seed| seed.get(index).copied());
        ((*name).to_owned(), OverSeeds::of(per_seed.collect()))
    };
    CONDITIONS.iter().enumerate().map(of_condition).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_paired_differences_worked_by_hand() {
        let mut settings = Settings::new(vec![0, 1], 400, true);
        settings.networks.truncate(1);
        settings.models = vec![ModelKind::Uncoupled, ModelKind::Symmetric, ModelKind::Free];
        let model = |accuracy: f64| ModelOutcome {
            coldness: Some(1.),
            n_parameters: 5,
            validation_loss: 0.25,
            accuracy: vec![accuracy; CONDITIONS.len()],
        };
        let seed = |accuracies: [f64; 3]| SeedOutcome {
            optimum: vec![0.75; CONDITIONS.len()],
            models: vec![accuracies.map(model).into()],
        };
        let outcomes = [seed([0.625, 0.625, 0.6875]), seed([0.5, 0.75, 0.625])];
        let results = Results::new(settings, &outcomes);
        let network = &results.networks["linear"];
        // All of it is exact in binary.
        let share = |name: &str| network.models[name].share.two_broken.per_seed.clone();
        assert_eq!(share("uncoupled"), [0.5, 0.]);
        assert_eq!(share("free"), [0.75, 0.5]);
        let less = network.models["free"].less_uncoupled.as_ref().unwrap();
        assert_eq!(less.mean.per_seed, [0.25, 0.5]);
        assert_eq!(network.models["uncoupled"].less_uncoupled, None);
        assert_eq!(network.free_less_symmetric.clean.per_seed, [0.25, -0.5]);
        assert_eq!(results.optimum["B and C"].per_seed, [0.75, 0.75]);
    }
}
