//! The study's figure.

use super::results::{NetworkResults, Results};
use super::rows::CONDITIONS;
use crate::figures::{Axis, Bars, Estimate, Figure};

/// File name.
pub(crate) const NAME: &str = "less_uncoupled";

/// What each form of coupling adds to none, by which modes are broken; a panel for each network.
pub(crate) fn figure(results: &Results) -> Figure {
    let mut figure = Figure::new(
        "",
        "Share of the known optimum less that of EMMA without shared energies, by which modes are broken, one mark a \
         form of coupling with its 95 % interval, one panel a network.",
    );
    for (index, (name, _)) in results.settings.networks.iter().enumerate() {
        let Some(network) = results.networks.get(name) else {
            continue;
        };
        if index > 0 {
            figure = figure.next_row();
        }
        figure = figure.panel(panel(results, name, network));
    }
    figure
}

fn panel(results: &Results, name: &str, network: &NetworkResults) -> Bars {
    let mut bars = Bars::new(
        Axis::dimensionless("broken modes"),
        CONDITIONS.map(|(name, _)| name),
        Axis::dimensionless("share of the optimum, less uncoupled"),
    )
    .title(format!("network: {name}"))
    .points()
    .horizontal_line(0., "uncoupled");
    // What is far below all would leave the others no room.
    let models = results.settings.models.iter();
    for kind in models.filter(|kind| kind.coupling().is_some()) {
        let Some(less) = network
            .models
            .get(kind.name())
            .and_then(|model| model.less_uncoupled_by_condition.as_ref())
        else {
            continue;
        };
        let estimates = CONDITIONS.iter().filter_map(|(condition, _)| {
            let own = less.get(*condition)?;
            Some(Estimate::with_half_width(own.mean, own.ci95.unwrap_or(0.)))
        });
        bars = bars.series(kind.title(), estimates);
    }
    bars
}
