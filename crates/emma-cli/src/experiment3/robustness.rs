//! How much of its score a model keeps as noise grows, in one number.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::conditions::{BOTH, NOISE_LEVELS, UNCORRUPTED, noise_name};
use super::results::ByCondition;
use crate::experiment::over_seeds::OverSeeds;
use crate::failure::CommandResult;

/// Area measures of a model, by where the noise is: a mode, or `both`.
///
/// With F1(σ) the F1 of test rows with noise of standard deviation σ there, F1(0) that of
/// uncorrupted rows and σ_max = 4, the mean over the range of noise is
///
/// `A = 1/σ_max ∫ F1(σ) dσ` from 0 to σ_max, by the trapezoid rule on 0, 0.25, 0.5, 1, 1.5, 2, 3, 4.
///
/// # Units
/// `relative`: a share; `effective`: F1.
///
/// # Source
/// `effective` follows Taori et al., "Measuring Robustness to Natural Distribution Shifts in Image
/// Classification" (NeurIPS 2020), section 2: accuracy under shift beyond what accuracy without
/// shift predicts.
/// Deviation: they fit the prediction to many models; here it is proportional, through the one model
/// that learned from clean rows, `base`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Robustness {
    /// `A / F1(0)`: 1 if noise does not matter; 0 where F1(0) is 0.
    pub(crate) relative: BTreeMap<String, OverSeeds>,
    /// `A − F1(0) · A_base / F1_base(0)`: what is gained beyond a model that loses the same share as
    /// `base` does. 0 for `base` itself.
    pub(crate) effective: BTreeMap<String, OverSeeds>,
}

/// Measures a model; none if a condition is not there.
pub(crate) fn measure(
    model: &ByCondition,
    base: &ByCondition,
    modes: &[String],
) -> CommandResult<Option<Robustness>> {
    let mut found = Robustness {
        relative: BTreeMap::new(),
        effective: BTreeMap::new(),
    };
    for place in modes.iter().map(String::as_str).chain([BOTH]) {
        let (Some(own), Some(base)) = (areas(model, place)?, areas(base, place)?) else {
            return Ok(None);
        };
        let relative = own.iter().map(|own| ratio(own.mean, own.clean));
        let relative = OverSeeds::of(relative.collect());
        found.relative.insert(place.into(), relative);
        let effective = own
            .iter()
            .zip(&base)
            .map(|(own, base)| own.mean - own.clean * ratio(base.mean, base.clean));
        let effective = OverSeeds::of(effective.collect());
        found.effective.insert(place.into(), effective);
    }
    Ok(Some(found))
}

/// F1 of one seed over noise.
struct Area {
    /// F1(0).
    clean: f64,
    /// A.
    mean: f64,
}

/// One a seed.
fn areas(model: &ByCondition, place: &str) -> CommandResult<Option<Vec<Area>>> {
    let mut curve = Vec::with_capacity(NOISE_LEVELS.len() + 1);
    for (level, name) in std::iter::once(Ok((0., UNCORRUPTED.to_owned())))
        .chain(NOISE_LEVELS.map(|level| Ok((level, noise_name(place, level)?))))
        .collect::<CommandResult<Vec<_>>>()?
    {
        let Some(figure) = model.get(&name) else {
            return Ok(None);
        };
        curve.push((level, &figure.per_seed));
    }
    let n_seeds = curve.iter().map(|(_, f1)| f1.len()).min().unwrap_or(0);
    let area = |seed: usize| {
        let points: Vec<(f64, f64)> = curve.iter().map(|(level, f1)| (*level, f1[seed])).collect();
        Area {
            clean: points[0].1,
            mean: mean_over_levels(&points),
        }
    };
    Ok(Some((0..n_seeds).map(area).collect()))
}

/// Mean height of straight lines through points of ascending levels.
fn mean_over_levels(points: &[(f64, f64)]) -> f64 {
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return 0.;
    };
    let pieces = points.windows(2);
    let area: f64 = pieces
        .map(|piece| (piece[1].0 - piece[0].0) * f64::midpoint(piece[0].1, piece[1].1))
        .sum();
    ratio(area, last.0 - first.0)
}

/// 0 where the denominator is.
pub(crate) fn ratio(numerator: f64, denominator: f64) -> f64 {
    if denominator > 0. {
        numerator / denominator
    } else {
        0.
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same curve everywhere, for one seed a factor.
    fn by_condition(f1: impl Fn(f64) -> f64, factors: &[f64]) -> ByCondition {
        let figure =
            |level: f64| OverSeeds::of(factors.iter().map(|factor| factor * f1(level)).collect());
        let mut found = ByCondition::from([(UNCORRUPTED.to_owned(), figure(0.))]);
        for place in ["ip", "dm", BOTH] {
            for level in NOISE_LEVELS {
                found.insert(noise_name(place, level).unwrap(), figure(level));
            }
        }
        found
    }

    fn measured(model: &ByCondition, base: &ByCondition) -> Robustness {
        let modes = ["ip".to_owned(), "dm".to_owned()];
        measure(model, base, &modes).unwrap().unwrap()
    }

    fn close(found: &OverSeeds, expected: &[f64]) {
        assert_eq!(found.per_seed.len(), expected.len());
        for (found, expected) in found.per_seed.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-14, "{found} {expected}");
        }
    }

    #[test]
    fn straight_lines_have_the_areas_worked_by_hand() {
        // From 0.8 down to 0.4 at noise 4: mean 0.6, of 0.8 three quarters.
        let base = by_condition(|level| 0.8 - 0.1 * level, &[1., 0.5]);
        let robust = by_condition(|level| 0.8 - 0.05 * level, &[1., 0.5]);
        let own = measured(&base, &base);
        let other = measured(&robust, &base);
        for place in ["ip", "dm", BOTH] {
            close(&own.relative[place], &[0.75, 0.75]);
            close(&own.effective[place], &[0., 0.]);
            close(&other.relative[place], &[0.875, 0.875]);
            close(&other.effective[place], &[0.1, 0.05]);
        }
    }

    #[test]
    fn a_better_clean_score_alone_is_no_robustness() {
        let base = by_condition(|level| 0.8 - 0.1 * level, &[0.9]);
        let better = by_condition(|level| 0.8 - 0.1 * level, &[1.]);
        close(&measured(&better, &base).effective["ip"], &[0.]);
    }

    #[test]
    fn a_model_that_finds_nothing_keeps_nothing() {
        let base = by_condition(|_| 0., &[1.]);
        close(&measured(&base, &base).relative["ip"], &[0.]);
        let mut incomplete = base.clone();
        incomplete.remove("dm:noise:3");
        assert_eq!(measure(&incomplete, &base, &["dm".into()]).unwrap(), None);
    }

    #[test]
    fn uneven_levels_weigh_by_their_distance() {
        let points = [(0., 1.), (1., 0.), (4., 0.)];
        assert!((mean_over_levels(&points) - 0.125).abs() < 1e-15);
    }
}
