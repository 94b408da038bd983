//! The final table.

use std::fmt::Write as _;

use emma_models::Metric;

use super::data::UNCORRUPTED;
use super::results::{ByCondition, Results};
use super::settings::SIMULATED;
use crate::experiment::over_seeds::OverSeeds;
use crate::text::align;

/// A measure of every model by condition, and how EMMA compares, as text.
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
    for name in order(results) {
        if let Some(model) = results.models.get(&name) {
            let scores = model.measures.get(metric);
            rows.push(row(name, scores, &conditions, |score| {
                format_score(score, metric)
            }));
        }
    }
    align(&mut text, &rows);
    if !results.paired_differences.is_empty() {
        let _ = writeln!(
            text,
            "\n{} of EMMA (with) less that of a model without it, paired by seed:\n",
            metric.title()
        );
        let mut rows = vec![header("with less", &conditions)];
        for difference in &results.paired_differences {
            let name = difference.baseline.clone();
            let scores = difference.measures.get(metric);
            rows.push(row(name, scores, &conditions, |score| {
                format_difference(score, metric)
            }));
        }
        align(&mut text, &rows);
        text.push_str("\nAn interval that holds 0 is no difference that these seeds can show.\n");
    }
    text
}

/// Uncorrupted first, then the modes.
fn conditions(results: &Results) -> Vec<String> {
    std::iter::once(UNCORRUPTED.to_owned())
        .chain(results.data.modes.iter().cloned())
        .collect()
}

/// Single modes first, EMMA last.
fn order(results: &Results) -> Vec<String> {
    let single_modes = results.data.modes.iter().map(|mode| format!("{mode}_only"));
    let others = ["base", "without", "alternative", "with"];
    single_modes.chain(others.map(str::to_owned)).collect()
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

fn row(
    name: String,
    scores: &ByCondition,
    conditions: &[String],
    format: impl Fn(&OverSeeds) -> String,
) -> Vec<String> {
    let mut row = vec![name];
    for condition in conditions {
        row.push(scores.get(condition).map_or_else(String::new, &format));
    }
    row
}

/// Mean and interval. Brier scores and calibration errors are small: they get a digit more.
fn format_score(score: &OverSeeds, metric: Metric) -> String {
    let digits = digits(metric);
    format!("{:.digits$}{}", score.mean, half_width(score, digits))
}

fn format_difference(score: &OverSeeds, metric: Metric) -> String {
    let digits = digits(metric);
    format!("{:+.digits$}{}", score.mean, half_width(score, digits))
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
