//! The figures of chapter 6 and of sections 5.4 and 5.5.

pub(crate) mod attention;
mod energy;
mod grid;
mod learned;
mod scores;
mod training;

use super::close_look::CloseLook;
use super::conditions::BOTH;
use super::outcome::SeedOutcome;
use super::results::Results;
use crate::experiment::over_seeds::OverSeeds;
use crate::failure::CommandResult;
use crate::figures::{Axis, Estimate, Figure};

/// A figure with its file's name and its caption in the report.
pub(crate) struct Drawn {
    pub(crate) name: &'static str,
    pub(crate) figure: Figure,
    pub(crate) caption: String,
}

/// What figures are drawn of.
pub(crate) struct Evidence<'a> {
    pub(crate) results: &'a Results,
    pub(crate) look: &'a CloseLook,
    /// The first seed's.
    pub(crate) first: &'a SeedOutcome,
}

/// All figures that the results can show, in the order of the report.
pub(crate) fn figures(evidence: &Evidence) -> CommandResult<Vec<Drawn>> {
    let results = evidence.results;
    let mut drawn = Vec::new();
    if !results.conditions.is_empty() {
        drawn.push(scores::over_noise(results)?);
        drawn.push(scores::other_faults(results));
    }
    drawn.extend(grid::regularizers(results));
    drawn.push(attention::shift(evidence)?);
    drawn.extend(attention::along_noise(evidence));
    drawn.extend(attention::surface(evidence));
    drawn.push(energy::over_noise(evidence)?);
    drawn.push(energy::risk_coverage(evidence));
    drawn.extend(learned::functions(evidence));
    drawn.extend(learned::coupling(evidence));
    drawn.extend(grid::coldness(results));
    drawn.push(training::losses(evidence));
    drawn.push(training::confusion(evidence));
    Ok(drawn)
}

/// One look a model, in all figures.
fn look_of(model: &str, modes: &[String]) -> usize {
    const OTHERS: [&str; 4] = ["with", "without", "base", "alternative"];
    let single = || {
        let mode = model.strip_suffix("_only")?;
        modes.iter().position(|name| name == mode)
    };
    let known = OTHERS.iter().position(|name| *name == model);
    known.unwrap_or_else(|| OTHERS.len() + single().unwrap_or(modes.len()))
}

/// The look of a mode is that of the model that sees it alone.
fn look_of_mode(mode: &str, modes: &[String]) -> usize {
    look_of(&format!("{mode}_only"), modes)
}

/// Where noise can be: each mode, and all of them.
fn places(modes: &[String]) -> impl Iterator<Item = &str> {
    modes.iter().map(String::as_str).chain([BOTH])
}

fn place_title(place: &str) -> String {
    if place == BOTH {
        "noise on both modes".into()
    } else {
        format!("noise on {place}")
    }
}

fn noise_axis() -> Axis {
    Axis::new("standard deviation of the noise", "standard deviations")
}

/// A mean with its interval, if there is one.
fn estimate(figure: &OverSeeds) -> Estimate {
    match figure.ci95 {
        Some(half_width) => Estimate::with_half_width(figure.mean, half_width),
        None => Estimate::exact(figure.mean),
    }
}

/// The same of one number a seed.
fn estimate_of(per_seed: impl Iterator<Item = f64>) -> Estimate {
    estimate(&OverSeeds::of(per_seed.collect()))
}

/// The same, none where a seed has no number.
fn estimate_if_all(per_seed: impl Iterator<Item = Option<f64>>) -> Option<Estimate> {
    let all: Option<Vec<f64>> = per_seed.collect();
    Some(estimate(&OverSeeds::of(all?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_has_a_look_of_its_own() {
        let modes = ["ip".to_owned(), "dm".to_owned()];
        let models = [
            "with",
            "without",
            "base",
            "alternative",
            "ip_only",
            "dm_only",
        ];
        let looks = models.map(|model| look_of(model, &modes));
        assert_eq!(looks, [0, 1, 2, 3, 4, 5]);
        assert_eq!(look_of_mode("dm", &modes), 5);
    }
}
