//! `emma experiment1`.

use std::collections::BTreeMap;

use emma_data::Manifold;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::args::{Experiment1Args, GlobalArgs};
use crate::experiment::folder::{RESULTS_FILE, prepare};
use crate::experiment1::figures::figures;
use crate::experiment1::report::report;
use crate::experiment1::results::Results;
use crate::experiment1::run::Outcome;
use crate::experiment1::settings::Settings;
use crate::experiment1::table::table;
use crate::failure::CommandResult;
use crate::progress::Progress;
use crate::threads::pool;
use crate::{files, folders};

/// What a run leaves beside its settings and results.
const OUTPUTS: [&str; 2] = ["figures", "report.html"];

pub(crate) fn run(args: &Experiment1Args, global: &GlobalArgs) -> CommandResult<()> {
    let device = global.device.open()?;
    if args.data.is_some() && !global.quiet {
        files::tell("note: experiment1 draws its own wave and circle; --data changes nothing");
    }
    let settings = Settings::new(args.run.seeds()?, args.samples);
    let folder = folders::results_folder(args.run.out.as_deref(), &settings.experiment);
    let finished: Option<Results> = prepare(&folder, &settings, &OUTPUTS, args.run.fresh, |_| ())?;
    let results = if let Some(finished) = finished {
        finished
    } else {
        let units: Vec<(Manifold, u64)> = Manifold::ALL
            .iter()
            .flat_map(|&manifold| settings.seeds.iter().map(move |&seed| (manifold, seed)))
            .collect();
        let progress = Progress::steps(units.len() as u64, "fits", global.quiet);
        let run_unit = |&(manifold, seed): &(Manifold, u64)| {
            let outcome = Outcome::of(manifold, &settings, seed, &device)?;
            progress.advance(1);
            Ok((manifold, outcome))
        };
        let outcomes: CommandResult<Vec<_>> =
            pool(global, &device)?.install(|| units.par_iter().map(run_unit).collect());
        progress.finish();
        let mut by_manifold: BTreeMap<String, Vec<Outcome>> = BTreeMap::new();
        for (manifold, outcome) in outcomes? {
            let name = manifold.name().to_owned();
            by_manifold.entry(name).or_default().push(outcome);
        }
        let first: Vec<(Manifold, &Outcome)> = Manifold::ALL
            .iter()
            .filter_map(|&manifold| Some((manifold, by_manifold.get(manifold.name())?.first()?)))
            .collect();
        let figures = figures(&settings, &first, &device)?;
        let results = Results::new(settings, &by_manifold);
        for (name, figure) in &figures {
            figure.write(&folder, name)?;
        }
        report(&results, &figures).write(&folder)?;
        files::write_json(&folder.join(RESULTS_FILE), &results)?;
        results
    };
    if args.run.json {
        return files::print_json(&results);
    }
    files::print(&format!(
        "{}\nResults: {}\nReport: {}\n",
        table(&results),
        folder.join(RESULTS_FILE).display(),
        folder.join("report.html").display()
    ))
}
