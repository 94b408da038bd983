//! Sentences that say what the seeds show, chosen by the numbers: nothing is called better or worse without
//! an adjusted p-value below [`LEVEL`].

use emma_models::Metric;
use emma_models::statistics::{holm, wilcoxon_signed_rank};

use super::comparisons::{LEVEL, PairedDifference};
use super::grid::Grid;
use super::results::{CandidateResults, MEAN_OVER_CONDITIONS, Results};
use crate::experiment::over_seeds::OverSeeds;

/// What seeds show of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finding {
    Higher,
    Lower,
    /// Nothing, which is not to say that there is no difference.
    NotShown,
}

impl Finding {
    /// Of a difference's figure and whether its test is significant. A test on ranks may go against the
    /// mean: then it shows neither.
    fn of(difference: &OverSeeds, is_shown: bool) -> Self {
        let n_of_sign = |sign: f64| {
            let of_sign = |value: &&f64| **value * sign > 0.;
            difference.per_seed.iter().filter(of_sign).count()
        };
        let (n_up, n_down) = (n_of_sign(1.), n_of_sign(-1.));
        if is_shown && difference.mean > 0. && n_up > n_down {
            Self::Higher
        } else if is_shown && difference.mean < 0. && n_down > n_up {
            Self::Lower
        } else {
            Self::NotShown
        }
    }

    /// Of F1 in a condition, or of its mean over all; none if it was not compared.
    pub(super) fn of_f1(difference: &PairedDifference, condition: &str) -> Option<Self> {
        let figure = difference.figure(Metric::F1, condition)?;
        Some(Self::of(figure, difference.is_shown(Metric::F1, condition)))
    }

    /// In a cell of a table.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Higher => "better",
            Self::Lower => "worse",
            Self::NotShown => "open",
        }
    }
}

/// The comparison of two models.
pub(super) fn pair<'a>(
    results: &'a Results,
    model: &str,
    baseline: &str,
) -> Option<&'a PairedDifference> {
    let mut all = results.paired_differences.iter();
    all.find(|difference| difference.model == model && difference.baseline == baseline)
}

/// Whether so few seeds cannot show any difference, whatever it is: the smallest p-value of Wilcoxon's
/// test is 2 in 2^n, and Holm's adjustment multiplies it by the number of comparisons.
pub(super) fn can_show(n_seeds: usize, n_comparisons: usize) -> bool {
    let smallest = 2. * 0.5_f64.powi(i32::try_from(n_seeds).unwrap_or(i32::MAX));
    smallest * (n_comparisons as f64) < LEVEL
}

/// "+0.010 (95 % interval −0.004 to +0.024)".
pub(super) fn with_interval(figure: &OverSeeds) -> String {
    let text = match figure.ci95 {
        Some(half) => format!(
            "{:+.3} (95 % interval {:+.3} to {:+.3})",
            figure.mean,
            figure.mean - half,
            figure.mean + half
        ),
        None => format!("{:+.3} (one seed and no interval)", figure.mean),
    };
    true_minus(&text)
}

/// A text of numbers with the sign that is as wide as a plus.
pub(super) fn true_minus(text: &str) -> String {
    text.replace('-', "−")
}

/// Does EMMA increase the robustness compared to data augmentation?
pub(super) fn robustness(results: &Results) -> String {
    const CANNOT: &str = "These results cannot say: they hold no comparison over all conditions.";
    let Some(difference) = pair(results, "with", "without") else {
        return CANNOT.into();
    };
    let found = Finding::of_f1(difference, MEAN_OVER_CONDITIONS);
    let figure = difference.figure(Metric::F1, MEAN_OVER_CONDITIONS);
    let (Some(found), Some(figure)) = (found, figure) else {
        return CANNOT.into();
    };
    let test = difference.tests.get(Metric::F1.name());
    let test = test.and_then(|tests| tests.get(MEAN_OVER_CONDITIONS));
    let p = test.map_or_else(String::new, |test| {
        format!("; Holm-adjusted p = {}", p_value(test.p_holm))
    });
    let (n, less) = (results.conditions.len(), with_interval(figure));
    match found {
        Finding::Higher => format!(
            "Yes: the mean F_{{1}} over all {n} conditions is higher with EMMA than with data \
             augmentation alone, by {less}{p}."
        ),
        Finding::Lower => format!(
            "No, on the contrary: the mean F_{{1}} over all {n} conditions is lower with EMMA than with \
             data augmentation alone, by {less}{p}."
        ),
        Finding::NotShown if !can_show(results.seeds.len(), results.paired_differences.len()) => {
            format!(
                "This run cannot say: {} can show no difference; the mean F_{{1}} over all {n} \
                 conditions with EMMA less that with data augmentation alone is {less}.",
                seeds(results.seeds.len())
            )
        }
        Finding::NotShown => format!(
            "Not that these seeds can show: the mean F_{{1}} over all {n} conditions with EMMA less that \
             with data augmentation alone is {less}{p}."
        ),
    }
}

/// How many conditions EMMA wins and loses against a baseline.
pub(super) fn wins_and_losses(results: &Results, baseline: &str) -> Option<String> {
    let difference = pair(results, "with", baseline)?;
    let found: Vec<Finding> = results
        .conditions
        .iter()
        .filter_map(|condition| Finding::of_f1(difference, condition))
        .collect();
    let count = |wanted: Finding| found.iter().filter(|&&one| one == wanted).count();
    Some(format!(
        "Against `{baseline}`, EMMA is better in {} of {} conditions and worse in {}; in {} these seeds show no \
         difference.",
        count(Finding::Higher),
        found.len(),
        count(Finding::Lower),
        count(Finding::NotShown)
    ))
}

pub(super) fn seeds(n: usize) -> String {
    if n == 1 {
        "one seed".into()
    } else {
        format!("{n} seeds")
    }
}

pub(super) fn p_value(p: f64) -> String {
    if p < 0.001 {
        "below 0.001".into()
    } else {
        format!("{p:.3}")
    }
}

/// A regularizer's weight, against none.
pub(super) struct WeightEffect {
    /// `lambda_c` or `lambda_e`.
    pub(super) name: &'static str,
    pub(super) weight: f64,
    /// Validation F1 less that at weight 0, mean over all other hyper-parameters, by seed.
    pub(super) difference: OverSeeds,
    /// Of Wilcoxon's test, Holm-adjusted over all weights of both regularizers.
    pub(super) p_holm: f64,
    pub(super) finding: Finding,
}

/// The effect of each weight other than 0; empty if the grid has none.
pub(super) fn weight_effects(grid: &Grid, candidates: &[CandidateResults]) -> Vec<WeightEffect> {
    let mut found = Vec::new();
    for (name, weights) in [("lambda_c", &grid.lambda_c), ("lambda_e", &grid.lambda_e)] {
        let Some(none) = mean_where(candidates, name, 0.) else {
            continue;
        };
        for &weight in weights.iter().filter(|weight| **weight > 0.) {
            let Some(with) = mean_where(candidates, name, weight) else {
                continue;
            };
            let per_seed = with.per_seed.iter().zip(&none.per_seed);
            let difference = OverSeeds::of(per_seed.map(|(with, none)| with - none).collect());
            found.push((name, weight, difference));
        }
    }
    let p_values: Vec<f64> = found.iter().map(|(.., one)| signed_rank_p(one)).collect();
    let adjusted = holm(&p_values).unwrap_or_default();
    let effects = found.into_iter().zip(adjusted);
    effects
        .map(|((name, weight, difference), p_holm)| WeightEffect {
            name,
            weight,
            finding: Finding::of(&difference, p_holm < LEVEL),
            difference,
            p_holm,
        })
        .collect()
}

/// Mean validation F1 of all combinations with a value of one hyper-parameter, seed by seed.
pub(super) fn mean_where(
    candidates: &[CandidateResults],
    name: &str,
    value: f64,
) -> Option<OverSeeds> {
    let is_it = |candidate: &&CandidateResults| {
        let found = candidate.hyperparameters.get(name);
        // The grid's own numbers, written and read to the same bits.
        found.and_then(serde_json::Value::as_f64).map(f64::to_bits) == Some(value.to_bits())
    };
    let chosen: Vec<&OverSeeds> = candidates
        .iter()
        .filter(is_it)
        .map(|candidate| &candidate.validation_f1)
        .collect();
    let n_seeds = chosen.iter().map(|one| one.per_seed.len()).min()?;
    let mean = |seed: usize| {
        let of_seed = chosen.iter().map(|one| one.per_seed[seed]);
        of_seed.sum::<f64>() / chosen.len() as f64
    };
    Some(OverSeeds::of((0..n_seeds).map(mean).collect()))
}

/// Is the use of the two regularizers validated?
pub(super) fn regularizers(effects: &[WeightEffect], n_seeds: usize) -> String {
    if effects.is_empty() {
        return "This run cannot say: its grid leaves the regularizers out; `--grid thesis` does not.".into();
    }
    if !can_show(n_seeds, effects.len()) {
        let most = effects
            .iter()
            .max_by(|a, b| a.difference.mean.total_cmp(&b.difference.mean));
        let most = most.map_or_else(String::new, |effect| {
            format!(
                "; the largest gain of validation F_{{1}} is {}, by {}",
                with_interval(&effect.difference),
                effect.title()
            )
        });
        return format!(
            "This run cannot say: {} can show no effect of {} weights{most}.",
            seeds(n_seeds),
            effects.len()
        );
    }
    let of = |wanted: Finding| -> Vec<&WeightEffect> {
        let chosen = effects.iter().filter(|effect| effect.finding == wanted);
        chosen.collect()
    };
    let list = |chosen: &[&WeightEffect]| -> String {
        let one = |effect: &&WeightEffect| {
            format!("{} ({})", effect.title(), with_interval(&effect.difference))
        };
        let all: Vec<String> = chosen.iter().map(one).collect();
        all.join(", ")
    };
    let (better, worse) = (of(Finding::Higher), of(Finding::Lower));
    match (&better[..], &worse[..]) {
        ([], []) => format!(
            "Not that these seeds can show: none of {} weights changes validation F_{{1}} against none.",
            effects.len()
        ),
        ([], worse) => format!(
            "No: no weight raises validation F_{{1}} that these seeds can show, and it is lower with {}.",
            list(worse)
        ),
        (better, []) => format!("Yes: validation F_{{1}} is higher with {}.", list(better)),
        (better, worse) => format!(
            "In part: validation F_{{1}} is higher with {}, and lower with {}.",
            list(better),
            list(worse)
        ),
    }
}

impl WeightEffect {
    /// "λ_{e} = 0.01".
    pub(super) fn title(&self) -> String {
        let letter = self.name.trim_start_matches("lambda_");
        format!("λ_{{{letter}}} = {}", self.weight)
    }
}

/// A figure that means something unless it is 0, one of so many that are looked at together: by
/// Wilcoxon's signed-rank test over seeds, with Bonferroni's adjustment.
pub(super) fn against_zero(figure: &OverSeeds, n_figures: usize) -> Finding {
    Finding::of(figure, signed_rank_p(figure) * (n_figures as f64) < LEVEL)
}

/// By Wilcoxon's signed-rank test over seeds.
fn signed_rank_p(figure: &OverSeeds) -> f64 {
    // What has no test, since all are 0 or one is no number, shows nothing.
    wilcoxon_signed_rank(&figure.per_seed).map_or(1., |test| test.p_value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::grid::GridName;
    use super::super::settings::{DataSettings, Settings};
    use super::*;

    fn results(per_seed: &[f64], p_holm: f64) -> Results {
        let data = DataSettings {
            source: "htru2".into(),
            rows: 10,
            positives: 2,
            sha256: "ab".into(),
            modes: vec!["ip".into(), "dm".into()],
        };
        let figure = serde_json::to_value(OverSeeds::of(per_seed.to_vec())).unwrap();
        let test = json!({"p_value": p_holm / 10., "p_holm": p_holm});
        let difference = |baseline: &str| {
            json!({
                "model": "with", "baseline": baseline, "f1": {"uncorrupted": figure},
                "mean_over_conditions": {"f1": figure},
                "tests": {"f1": {"mean_over_conditions": test, "uncorrupted": test}},
            })
        };
        let all: Vec<_> = std::iter::once("without").chain(["other"; 9]).collect();
        let all: Vec<_> = all.into_iter().map(difference).collect();
        let seeds: Vec<u64> = (0..per_seed.len() as u64).collect();
        serde_json::from_value(json!({
            "format_version": 1, "experiment": "experiment3", "data": data, "seeds": seeds,
            "conditions": ["uncorrupted"], "models": {}, "paired_differences": all,
            "settings": Settings::new(data.clone(), seeds), "timing": {"wall": 0., "training": 0.},
        }))
        .unwrap()
    }

    /// Ten seeds around a mean.
    fn around(mean: f64) -> Vec<f64> {
        (0..10)
            .map(|seed| mean + 0.001 * (f64::from(seed) - 4.5))
            .collect()
    }

    #[test]
    fn nothing_is_better_or_worse_without_a_significant_test() {
        for (mean, p_holm, expected, win) in [
            (0.1, 0.02, "Yes: ", 1),
            (0.1, 0.05, "Not that these seeds can show: ", 0),
            (0.1, f64::NAN, "Not that these seeds can show: ", 0),
            (-0.1, 0.02, "No, on the contrary: ", 0),
            (-0.1, 0.9, "Not that these seeds can show: ", 0),
        ] {
            let mut results = results(&around(mean), 0.5);
            for difference in &mut results.paired_differences {
                for test in difference.tests.get_mut("f1").unwrap().values_mut() {
                    test.p_holm = p_holm;
                }
            }
            let sentence = robustness(&results);
            assert!(sentence.starts_with(expected), "{sentence}");
            let found = wins_and_losses(&results, "without").unwrap();
            let text = format!("is better in {win} of 1 conditions");
            assert!(found.contains(&text), "{found}");
        }
    }

    #[test]
    fn the_answer_has_its_interval_and_p() {
        let sentence = robustness(&results(&around(0.1), 0.02));
        let expected = "Yes: the mean F_{1} over all 1 conditions is higher with EMMA than with data \
            augmentation alone, by +0.100 (95 % interval +0.098 to +0.102); Holm-adjusted p = 0.020.";
        assert_eq!(sentence, expected);
    }

    #[test]
    fn too_few_seeds_say_so() {
        let sentence = robustness(&results(&[0.1, 0.2], 1.));
        assert!(
            sentence.starts_with("This run cannot say: 2 seeds can show no difference; "),
            "{sentence}"
        );
        assert!(can_show(9, 10) && !can_show(8, 10) && can_show(6, 1) && !can_show(5, 1));
        assert!(!can_show(0, 1));
    }

    #[test]
    fn a_test_that_goes_against_the_mean_shows_neither() {
        let mostly_up = OverSeeds::of(vec![-9., 1., 1., 1., 1., 1.]);
        assert_eq!(Finding::of(&mostly_up, true), Finding::NotShown);
        assert_eq!(
            Finding::of(&OverSeeds::of(vec![0.; 4]), true),
            Finding::NotShown
        );
    }

    /// Validation F1 of the thesis's grid by its weights, of ten seeds.
    fn candidates(f1: impl Fn(f64, f64, usize) -> f64) -> Vec<CandidateResults> {
        let grid = GridName::Thesis.grid();
        let mut all = Vec::new();
        for &lambda_c in &grid.lambda_c {
            for &lambda_e in &grid.lambda_e {
                let chosen = json!({"coldness": 0.1, "lambda_c": lambda_c, "lambda_e": lambda_e});
                let per_seed = (0..10).map(|seed| f1(lambda_c, lambda_e, seed)).collect();
                all.push(CandidateResults {
                    hyperparameters: chosen.as_object().unwrap().clone(),
                    validation_f1: OverSeeds::of(per_seed),
                    chosen_by: Vec::new(),
                });
            }
        }
        all
    }

    #[test]
    fn a_weight_is_compared_with_none_over_all_the_others() {
        let grid = GridName::Thesis.grid();
        let found = weight_effects(
            &grid,
            &candidates(|lambda_c, lambda_e, seed| {
                0.8 + lambda_e - 0.1 * f64::from(lambda_c > 0.01) + 0.01 * seed as f64
            }),
        );
        assert_eq!(found.len(), 8);
        for effect in &found {
            let expected = match (effect.name, effect.weight) {
                ("lambda_e", weight) => weight,
                (_, weight) if weight > 0.01 => -0.1,
                _ => 0.,
            };
            let difference = &effect.difference;
            assert!((difference.mean - expected).abs() < 1e-14);
        }
        let sentence = regularizers(&found, 10);
        assert!(
            sentence.starts_with("In part: ") && sentence.contains("λ_{c} = 0.1 (−0.100"),
            "{sentence}"
        );
        let nothing = weight_effects(&grid, &candidates(|_, _, seed| 0.1 * seed as f64));
        assert!(regularizers(&nothing, 10).starts_with("Not that these seeds can show: "));
        assert!(regularizers(&nothing, 3).starts_with("This run cannot say: 3 seeds "));
        let none = GridName::Small.grid();
        assert!(weight_effects(&none, &candidates(|_, _, _| 0.5)).is_empty());
        assert!(regularizers(&[], 10).starts_with("This run cannot say: its grid "));
    }

    #[test]
    fn a_figure_is_shown_by_a_test_that_counts_the_others() {
        assert_eq!(
            against_zero(&OverSeeds::of(around(0.1)), 4),
            Finding::Higher
        );
        assert_eq!(
            against_zero(&OverSeeds::of(around(-0.1)), 4),
            Finding::Lower
        );
        assert_eq!(
            against_zero(&OverSeeds::of(around(0.)), 4),
            Finding::NotShown
        );
        // Ten seeds of one sign: 2 in 1024, times 26 is above 0.05.
        assert_eq!(
            against_zero(&OverSeeds::of(around(0.1)), 26),
            Finding::NotShown
        );
        let few = OverSeeds::of(vec![-0.9, -0.91]);
        assert_eq!(against_zero(&few, 1), Finding::NotShown);
        assert_eq!(
            against_zero(&OverSeeds::of(vec![0.; 10]), 1),
            Finding::NotShown
        );
    }
}
