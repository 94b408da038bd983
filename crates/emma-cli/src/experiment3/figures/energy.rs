//! What the total energy is good for.

use super::{Drawn, Evidence, estimate_if_all, estimate_of, look_of, noise_axis, places};
use crate::experiment3::close_look::{EMMA, SeedLook, noise_conditions};
use crate::experiment3::refusal::{Refusal, coverages};
use crate::failure::CommandResult;
use crate::figures::{Axis, Chart, Figure, Line};

/// Energy generalization: total energy and F1 over noise.
pub(super) fn over_noise(evidence: &Evidence) -> CommandResult<Drawn> {
    let results = evidence.results;
    let modes = &results.data.modes;
    let axes = [
        Axis::dimensionless("total energy, mean over rows"),
        Axis::dimensionless("F_{1} of test rows").range(0., 1.),
    ];
    let [mut energy, mut f1] = axes.map(|axis| Chart::new(noise_axis(), axis));
    for (index, place) in places(modes).enumerate() {
        let conditions = noise_conditions(place)?;
        // Those of the models that see a mode alone stand for modes; both are EMMA's.
        let look = if index < modes.len() {
            super::look_of_mode(place, modes)
        } else {
            look_of(EMMA, modes)
        };
        let points = conditions.iter().filter_map(|(level, name)| {
            let of_seed = |seed: &SeedLook| Some(seed.conditions.get(name)?.total_energy);
            let mean = estimate_if_all(evidence.look.seeds.iter().map(of_seed))?;
            Some((*level, mean))
        });
        let label = format!("noise on {place}");
        energy = energy.line(Line::estimated(label.as_str(), points).markers().look(look));
        let model = results.models.get(EMMA);
        let points = conditions.iter().filter_map(|(level, name)| {
            let figure = model?.measures.get(emma_models::Metric::F1).get(name)?;
            Some((*level, super::estimate(figure)))
        });
        f1 = f1.line(Line::estimated(label, points).markers().look(look));
    }
    Ok(Drawn {
        name: "energy_over_noise",
        figure: Figure::new(
            "",
            "Left: the mean total energy of EMMA over noise on either mode and on both. Right: its F1 on the \
             same rows.",
        )
        .panel(energy)
        .panel(f1)
        .size(860., 400.),
        caption: "Energy generalization: total energy and F_{1} of `with` on the same rows; bands are 95 % \
                  intervals over seeds."
            .into(),
    })
}

type Refused = fn(&SeedLook) -> &Refusal;

/// What is left of the errors when rows are refused.
pub(super) fn risk_coverage(evidence: &Evidence) -> Drawn {
    let modes = &evidence.results.data.modes;
    let kept = || Axis::dimensionless("coverage: share of rows kept").range(0., 1.);
    // Where few seeds leave wide bands, the curves are still to be seen.
    let highest = evidence.look.seeds.iter().flat_map(|seed| {
        let refusals = [&seed.refused_by_energy, &seed.refused_by_probability];
        refusals
            .into_iter()
            .flat_map(|refusal| refusal.error.iter().copied())
    });
    let top = (1.1 * highest.fold(0., f64::max)).clamp(0.01, 1.);
    let risk = Axis::dimensionless("risk: share of wrong predictions").range(0., top);
    let mut error = Chart::new(kept(), risk);
    let mut f1 = Chart::new(
        kept(),
        Axis::dimensionless("F_{1} of rows kept").range(0., 1.),
    );
    let rules: [(&str, usize, Refused); 2] = [
        (
            "highest total energy refused",
            look_of(EMMA, modes),
            |seed| &seed.refused_by_energy,
        ),
        (
            "probability nearest to the threshold refused",
            look_of("without", modes),
            |seed| &seed.refused_by_probability,
        ),
    ];
    let seeds = &evidence.look.seeds;
    for (label, look, refusal) in rules {
        let points = coverages().enumerate().filter_map(|(index, coverage)| {
            let of_seed = |seed: &SeedLook| refusal(seed).error.get(index).copied();
            Some((coverage, estimate_if_all(seeds.iter().map(of_seed))?))
        });
        error = error.line(Line::estimated(label, points).look(look));
        let points = coverages().enumerate().filter_map(|(index, coverage)| {
            let of_seed = |seed: &SeedLook| refusal(seed).f1.get(index).copied().flatten();
            Some((coverage, estimate_if_all(seeds.iter().map(of_seed))?))
        });
        f1 = f1.line(Line::estimated(label, points).look(look));
    }
    let all = seeds
        .iter()
        .filter_map(|seed| seed.refused_by_energy.error_at(1.));
    let all = estimate_of(all);
    error = error.horizontal_line(all.value(), "at random");
    Drawn {
        name: "risk_coverage",
        figure: Figure::new(
            "",
            "Share of wrong predictions and F1 among the rows that are kept, over their share, when the rows \
             of the highest total energy are refused, and when those are whose probability is nearest to the \
             threshold.",
        )
        .panel(error)
        .panel(f1)
        .size(860., 420.),
        caption: format!(
            "Risk over coverage: the test rows of all {} conditions together, predicted by `with`; bands are \
             95 % intervals over seeds. What refusal by probability reaches needs no energies; \
             nearness is a share of the distance from the threshold to 0 or to 1.",
            evidence.results.conditions.len()
        ),
    }
}
