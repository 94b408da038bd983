//! What the study prints.

use std::fmt::Write as _;

use super::results::{ByGroup, NetworkResults, Results};
use crate::experiment::over_seeds::OverSeeds;
use crate::text::{align, thousands};

const GROUPS: [&str; 4] = ["none broken", "one broken", "two broken", "all seven"];

/// The first lines: what the figures are made of.
pub(crate) fn headline(n_rows: usize, n_seeds: usize) -> String {
    let seeds = if n_seeds == 1 { "seed" } else { "seeds" };
    format!(
        "coupling-study on three simulated modes in a chain, where B takes over for A and C for B: {} rows a seed, \
         {n_seeds} {seeds}\n",
        thousands(n_rows)
    )
}

/// The figures of every model, as text.
pub(crate) fn table(results: &Results) -> String {
    let mut text = String::from(
        "Accuracy beyond guessing as a share of the known optimum's, mean ± half-width of the 95 % interval over seeds;\n\
         beneath, differences paired by seed. Two modes are never broken in training rows.\n",
    );
    for (name, _) in &results.settings.networks {
        let Some(network) = results.networks.get(name) else {
            continue;
        };
        let _ = writeln!(text, "\nnetwork: {name}\n");
        let header = |first: &str, last: &[&str]| {
            let names = [first]
                .into_iter()
                .chain(GROUPS)
                .chain(last.iter().copied());
            names.map(str::to_owned).collect::<Vec<_>>()
        };
        let mut rows = vec![header("", &["parameters"])];
        rows.extend(models(results, network));
        align(&mut text, &rows);
        text.push('\n');
        let mut rows = vec![header("less uncoupled", &[])];
        rows.extend(differences(results, network));
        rows.push(signed_row(
            "free less symmetric",
            &network.free_less_symmetric,
        ));
        align(&mut text, &rows);
    }
    text.push_str(
        "\n* The 95 % interval leaves 0 out. None is adjusted for there being many of them: one in twenty leaves 0 out by \
         chance.\n",
    );
    text
}

fn models<'a>(
    results: &'a Results,
    network: &'a NetworkResults,
) -> impl Iterator<Item = Vec<String>> + 'a {
    results.settings.models.iter().filter_map(|kind| {
        let model = network.models.get(kind.name())?;
        let mut row = vec![kind.title().to_owned()];
        row.extend(model.share.all().map(OverSeeds::words));
        row.push(model.n_parameters.to_string());
        Some(row)
    })
}

fn differences<'a>(
    results: &'a Results,
    network: &'a NetworkResults,
) -> impl Iterator<Item = Vec<String>> + 'a {
    results.settings.models.iter().filter_map(|kind| {
        let less = network.models.get(kind.name())?.less_uncoupled.as_ref()?;
        Some(signed_row(kind.title(), less))
    })
}

fn signed_row(name: &str, by_group: &ByGroup) -> Vec<String> {
    let signed = |difference: &OverSeeds| match difference.ci95 {
        Some(half_width) => {
            let star = if difference.mean.abs() > half_width {
                "*"
            } else {
                " "
            };
            format!("{:+.3} ± {half_width:.3}{star}", difference.mean)
        }
        None => format!("{:+.3} ", difference.mean),
    };
    let mut row = vec![name.to_owned()];
    row.extend(by_group.all().map(signed));
    row
}
