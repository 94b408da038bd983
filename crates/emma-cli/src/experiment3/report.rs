//! The final tables.

use std::fmt::Write as _;

use emma_models::Metric;

use super::comparisons::{LEVEL, PairedDifference};
use super::conditions::{BOTH, NOISE_LEVELS, UNCORRUPTED};
use super::results::{MEAN_OVER_CONDITIONS, ModelResults, Results};
use super::settings::SIMULATED;
use crate::experiment::over_seeds::OverSeeds;
use crate::text::align;

/// A measure of every model by condition, how EMMA compares, and how models generalize, as text.
pub(crate) fn table(results: &Results, metric: Metric) -> String {
    let noise = results.settings.noise_std;
    let conditions = conditions(results);
    let mut text = format!(
        "{} on test rows{}, mean ± half-width of the 95 % interval over seeds.{}\n\
         Noisy: that mode of every test row, noise of standard deviation {noise}.\n\n",
        metric.title(),
        if results.data.source == SIMULATED {
            " of a SIMULATED survey"
        } else {
            ""
        },
        if metric.lower_is_better() {
            " Lower is better."
        } else {
            ""
        }
    );
    let mut rows = vec![header("model", &conditions)];
    for (name, model) in models(results) {
        let scores = model.measures.get(metric);
        let figures = conditions.iter().map(|condition| scores.get(condition));
        rows.push(row(name, figures, |score| format_score(score, metric)));
    }
    align(&mut text, &rows);
    if !results.paired_differences.is_empty() {
        let _ = writeln!(
            text,
            "\n{} of EMMA (with) less that of a model without it, paired by seed:\n",
            metric.title()
        );
        let mut rows = vec![header("with less", &conditions)];
        let of_emma = |difference: &&PairedDifference| difference.model == "with";
        for difference in results.paired_differences.iter().filter(of_emma) {
            let mut row = vec![difference.baseline.clone()];
            row.extend(
                conditions
                    .iter()
                    .map(|condition| format_difference(difference, metric, condition)),
            );
            rows.push(row);
        }
        align(&mut text, &rows);
        text.push_str(&footnote(results));
    }
    generalization(&mut text, results, metric);
    if metric == Metric::F1 {
        robustness(&mut text, results);
        threshold_rules(&mut text, results);
    }
    text
}

/// What a star means; without tests, as in results of earlier versions, what an interval does.
fn footnote(results: &Results) -> String {
    let differences = &results.paired_differences;
    if differences
        .iter()
        .all(|difference| difference.tests.is_empty())
    {
        return "\nAn interval that holds 0 is no difference that these seeds can show.\n".into();
    }
    format!(
        "\n* p < {LEVEL} by Wilcoxon's signed-rank test, Holm-adjusted for the {} pairs of models compared.\n\
         Without a star it is no difference that these seeds can show.\n",
        differences.len()
    )
}

/// The mean over all conditions.
fn generalization(text: &mut String, results: &Results, metric: Metric) {
    let n_conditions = results.conditions.len();
    if n_conditions == 0 {
        return;
    }
    let _ = writeln!(
        text,
        "\n{}, mean over {n_conditions} conditions: uncorrupted, noise to {} on each mode and on both,\n\
         and each mode missing, shifted, with features dropped, with outliers, swapped:\n",
        metric.title(),
        NOISE_LEVELS.into_iter().fold(0., f64::max),
    );
    let shows_oracle = metric == Metric::F1 && results.oracle.is_some();
    let baselines = ["without", "base"];
    let mut header = vec!["model".to_owned(), "all conditions".to_owned()];
    if shows_oracle {
        header.push("of oracle".into());
    }
    header.extend(baselines.map(|baseline| format!("less {baseline}")));
    let mut rows = vec![header];
    for (name, model) in models(results) {
        let mean = model.mean_over_conditions.get(metric.name());
        let mut figures = vec![mean];
        if shows_oracle {
            figures.push(model.of_oracle.get(MEAN_OVER_CONDITIONS));
        }
        let mut row = row(name.clone(), figures.into_iter(), |score| {
            format_score(score, metric)
        });
        for baseline in baselines {
            let pair = |difference: &&PairedDifference| {
                difference.model == name && difference.baseline == baseline
            };
            let difference = results.paired_differences.iter().find(pair);
            row.push(difference.map_or_else(String::new, |difference| {
                format_difference(difference, metric, MEAN_OVER_CONDITIONS)
            }));
        }
        rows.push(row);
    }
    align(text, &rows);
    if let Some(oracle) = results.oracle.as_ref().filter(|_| shows_oracle)
        && let Some(mean) = oracle.f1.get(MEAN_OVER_CONDITIONS)
    {
        let _ = writeln!(
            text,
            "\nOracle: {}, the better of LightGBM and an MLP trained on each condition alone.",
            format_score(mean, metric)
        );
    }
}

/// Areas under F1 over noise.
fn robustness(text: &mut String, results: &Results) {
    let mut places: Vec<&str> = results.data.modes.iter().map(String::as_str).collect();
    places.push(BOTH);
    let mut header = vec!["model".to_owned()];
    for kind in ["relative", "effective"] {
        header.extend(places.iter().map(|place| format!("{kind} {place}")));
    }
    let mut rows = vec![header];
    for (name, model) in models(results) {
        let Some(found) = &model.robustness else {
            return;
        };
        let mut row = vec![name];
        for (figures, signed) in [(&found.relative, false), (&found.effective, true)] {
            row.extend(places.iter().map(|place| match figures.get(*place) {
                Some(figure) if signed => format!("{:+.3}{}", figure.mean, half_width(figure, 3)),
                Some(figure) => format_score(figure, Metric::F1),
                None => String::new(),
            }));
        }
        rows.push(row);
    }
    text.push_str(
        "\nRobustness to noise from 0 to 4. Relative: mean F1 over that range, as a share of uncorrupted F1.\n\
         Effective: mean F1 beyond what uncorrupted F1 predicts from base.\n\n",
    );
    align(text, &rows);
}

/// The same models with other thresholds.
fn threshold_rules(text: &mut String, results: &Results) {
    let columns = [
        (UNCORRUPTED, UNCORRUPTED),
        (MEAN_OVER_CONDITIONS, "all conditions"),
    ];
    let mut header = vec!["model".to_owned()];
    for (_, title) in columns {
        header.extend(["max_f1", "roc_corner"].map(|rule| format!("{title}, {rule}")));
    }
    let mut rows = vec![header];
    for (name, model) in models(results) {
        let Some(rules) = &model.threshold_rules else {
            return;
        };
        let figures = columns.iter().flat_map(|(condition, _)| {
            [&rules.max_f1, &rules.roc_corner].map(|rule| rule.f1.get(*condition))
        });
        rows.push(row(name, figures, |score| format_score(score, Metric::F1)));
    }
    text.push_str("\nF1 of the same models with thresholds of either rule:\n\n");
    align(text, &rows);
}

/// Uncorrupted first, then the modes.
fn conditions(results: &Results) -> Vec<String> {
    std::iter::once(UNCORRUPTED.to_owned())
        .chain(results.data.modes.iter().cloned())
        .collect()
}

/// Single modes first, EMMA last.
pub(super) fn models(results: &Results) -> impl Iterator<Item = (String, &ModelResults)> {
    let single_modes = results.data.modes.iter().map(|mode| format!("{mode}_only"));
    let others = ["base", "without", "alternative", "with"];
    let names = single_modes.chain(others.map(str::to_owned));
    names.filter_map(|name| {
        let model = results.models.get(&name)?;
        Some((name, model))
    })
}

fn header(first: &str, conditions: &[String]) -> Vec<String> {
    let mut row = vec![first.to_owned()];
    for condition in conditions {
        row.push(if condition == UNCORRUPTED {
            condition.clone()
        } else {
            format!("{condition} noisy")
        });
    }
    row
}

fn row<'a>(
    name: String,
    figures: impl Iterator<Item = Option<&'a OverSeeds>>,
    format: impl Fn(&OverSeeds) -> String,
) -> Vec<String> {
    let mut row = vec![name];
    row.extend(figures.map(|figure| figure.map_or_else(String::new, &format)));
    row
}

/// Mean and interval. Brier scores and calibration errors are small: they get a digit more.
pub(super) fn format_score(score: &OverSeeds, metric: Metric) -> String {
    let digits = digits(metric);
    format!("{:.digits$}{}", score.mean, half_width(score, digits))
}

/// Mean and interval of a difference, with a star if these seeds show it.
pub(super) fn format_difference(
    difference: &PairedDifference,
    metric: Metric,
    condition: &str,
) -> String {
    let Some(figure) = difference.figure(metric, condition) else {
        return String::new();
    };
    let digits = digits(metric);
    let star = if difference.is_shown(metric, condition) {
        "*"
    } else {
        " "
    };
    format!(
        "{:+.digits$}{}{star}",
        figure.mean,
        half_width(figure, digits)
    )
}

fn digits(metric: Metric) -> usize {
    if metric.lower_is_better() { 4 } else { 3 }
}

fn half_width(score: &OverSeeds, digits: usize) -> String {
    match score.ci95 {
        Some(half_width) => format!(" ± {half_width:.digits$}"),
        None => String::new(),
    }
}
