//! Which differences between models the seeds can show.

use std::collections::BTreeMap;

use emma_models::Metric;
use emma_models::statistics::{holm, wilcoxon_signed_rank};
use serde::{Deserialize, Serialize};

use super::results::{ByCondition, MEAN_OVER_CONDITIONS, Measures, ModelResults};
use crate::experiment::over_seeds::OverSeeds;
use crate::failure::CommandResult;

/// A difference is one that these seeds show if its adjusted p-value is below this.
pub(crate) const LEVEL: f64 = 0.05;

/// Every measure of one model less that of another, on the same rows of the same seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PairedDifference {
    pub(crate) model: String,
    pub(crate) baseline: String,
    #[serde(flatten)]
    pub(crate) measures: Measures,
    /// Difference of the means over all conditions, by measure.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) mean_over_conditions: BTreeMap<String, OverSeeds>,
    /// By measure, then by condition or [`MEAN_OVER_CONDITIONS`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tests: BTreeMap<String, BTreeMap<String, Test>>,
}

/// Whether the model's and the baseline's scores differ, over seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Test {
    /// Wilcoxon's signed-rank test, two-sided.
    pub(crate) p_value: f64,
    /// The same after Holm's adjustment for all comparisons of the measure and condition.
    pub(crate) p_holm: f64,
}

/// Who is compared with whom: every model with `without` and with `base`, and `with` also with
/// `alternative`. These are the family of Holm's adjustment, for each measure and condition apart.
fn pairs(modes: &[String]) -> Vec<(String, &'static str)> {
    let mut pairs: Vec<(String, &'static str)> = vec![
        ("with".into(), "without"),
        ("with".into(), "alternative"),
        ("with".into(), "base"),
        ("alternative".into(), "without"),
        ("alternative".into(), "base"),
        ("without".into(), "base"),
    ];
    for mode in modes {
        let name = format!("{mode}_only");
        pairs.extend([(name.clone(), "without"), (name, "base")]);
    }
    pairs
}

/// All differences with their tests.
pub(crate) fn compare(
    models: &BTreeMap<String, ModelResults>,
    modes: &[String],
) -> CommandResult<Vec<PairedDifference>> {
    let mut differences: Vec<PairedDifference> = pairs(modes)
        .into_iter()
        .filter_map(|(model, baseline)| {
            let (minuend, subtrahend) = (models.get(&model)?, models.get(baseline)?);
            Some(PairedDifference {
                measures: Measures::of(|metric| {
                    let of = |model: &ModelResults| model.measures.get(metric).clone();
                    difference(&of(minuend), &of(subtrahend))
                }),
                mean_over_conditions: difference(
                    &minuend.mean_over_conditions,
                    &subtrahend.mean_over_conditions,
                ),
                tests: BTreeMap::new(),
                model,
                baseline: baseline.into(),
            })
        })
        .collect();
    for metric in Metric::ALL {
        for condition in names(&differences, metric) {
            test_family(&mut differences, metric, &condition)?;
        }
    }
    Ok(differences)
}

fn names(differences: &[PairedDifference], metric: Metric) -> Vec<String> {
    let conditions = differences.first().map(|first| first.measures.get(metric));
    let conditions = conditions
        .into_iter()
        .flat_map(|found| found.keys().cloned());
    conditions.chain([MEAN_OVER_CONDITIONS.into()]).collect()
}

/// Tests all pairs in one condition, and adjusts for there being so many.
fn test_family(
    differences: &mut [PairedDifference],
    metric: Metric,
    condition: &str,
) -> CommandResult<()> {
    let mut p_values = Vec::with_capacity(differences.len());
    for difference in &*differences {
        let Some(figure) = difference.figure(metric, condition) else {
            return Ok(());
        };
        p_values.push(p_value(&figure.per_seed)?);
    }
    let adjusted = holm(&p_values)?;
    for ((difference, p_value), p_holm) in differences.iter_mut().zip(p_values).zip(adjusted) {
        let tests = difference.tests.entry(metric.name().into()).or_default();
        tests.insert(condition.into(), Test { p_value, p_holm });
    }
    Ok(())
}

/// Where no seed differs there is nothing to rank, and nothing to tell apart.
pub(crate) fn p_value(differences: &[f64]) -> CommandResult<f64> {
    if differences.iter().all(|difference| difference.abs() <= 0.) {
        return Ok(1.);
    }
    Ok(wilcoxon_signed_rank(differences)?.p_value)
}

impl PairedDifference {
    /// A measure's difference in a condition, or that of the means over all conditions.
    pub(crate) fn figure(&self, metric: Metric, condition: &str) -> Option<&OverSeeds> {
        if condition == MEAN_OVER_CONDITIONS {
            return self.mean_over_conditions.get(metric.name());
        }
        self.measures.get(metric).get(condition)
    }

    /// Whether these seeds show the difference; nothing that they do not show is called better.
    pub(crate) fn is_shown(&self, metric: Metric, condition: &str) -> bool {
        let tests = self.tests.get(metric.name());
        let test = tests.and_then(|tests| tests.get(condition));
        test.is_some_and(|test| test.p_holm < LEVEL)
    }
}

fn difference(model: &ByCondition, baseline: &ByCondition) -> ByCondition {
    model
        .iter()
        .filter_map(|(condition, model)| {
            let baseline = baseline.get(condition)?;
            let per_seed = model.per_seed.iter().zip(&baseline.per_seed);
            let per_seed = per_seed.map(|(model, baseline)| model - baseline).collect();
            Some((condition.clone(), OverSeeds::of(per_seed)))
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // These results are exact.
mod tests {
    use super::*;

    #[test]
    fn every_model_is_compared_with_both_baselines_once() {
        let pairs = pairs(&["ip".into(), "dm".into()]);
        assert_eq!(pairs.len(), 10);
        for model in ["with", "alternative", "ip_only", "dm_only"] {
            for baseline in ["without", "base"] {
                let same = |pair: &&(String, &str)| pair.0 == model && pair.1 == baseline;
                assert_eq!(pairs.iter().filter(same).count(), 1, "{model} {baseline}");
            }
        }
        // Ten seeds can show a difference in a family of this size: all of one sign, 2 in 1024.
        assert!(pairs.len() as f64 * 2. / 1024. < LEVEL);
    }

    #[test]
    fn seeds_without_a_difference_show_none() {
        assert_eq!(p_value(&[0., -0., 0.]).unwrap(), 1.);
        assert_eq!(p_value(&[0.1; 10]).unwrap(), 2. / 1024.);
        assert_eq!(p_value(&[0.5]).unwrap(), 1.);
    }
}
