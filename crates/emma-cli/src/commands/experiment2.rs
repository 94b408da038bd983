//! `emma experiment2`.

use std::io::IsTerminal;

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::args::{Experiment2Args, GlobalArgs};
use crate::experiment::data::{headline, read_data};
use crate::experiment::folder::{RESULTS_FILE, prepare};
use crate::experiment2::results::Results;
use crate::experiment2::settings::Settings;
use crate::experiment2::{figures, report, run, table};
use crate::experiment3::data::SeedData;
use crate::failure::{CommandResult, Failure};
use crate::progress::Progress;
use crate::threads::pool;
use crate::{files, folders};

/// Fewer leave too few for training to have five neighbors.
const FEWEST_PULSARS: usize = 10;
/// Folder of what each seed found.
const SEEDS_FOLDER: &str = "seeds";
/// What a run leaves beside its settings and results.
const OUTPUTS: [&str; 3] = [SEEDS_FOLDER, "figures", "report.html"];

pub(crate) fn run(args: &Experiment2Args, global: &GlobalArgs) -> CommandResult<()> {
    let device = global.device.open()?;
    let seeds = args.run.seeds()?;
    let (candidates, data) = read_data(&args.source.data, args.source.data_dir.as_deref(), global)?;
    let settings = Settings::new(data, seeds);
    let folder = folders::results_folder(args.run.out.as_deref(), &settings.experiment);
    SeedData::check_all(&candidates.samples, &settings.seeds, &settings.data.source)?;
    if settings.data.positives < FEWEST_PULSARS {
        return Err(Failure::input(format!(
            "{}: expected at least {FEWEST_PULSARS} pulsars, to fit energies to some of them, got {}",
            settings.data.source, settings.data.positives
        )));
    }
    if !args.run.json {
        // A reader that goes away now still gets the folder filled.
        let _ = files::print(&headline(
            "experiment2",
            &settings.data,
            settings.seeds.len(),
        ));
    }
    let finished: Option<Results> = prepare(&folder, &settings, &OUTPUTS, args.run.fresh, |_| ())?;
    let results = if let Some(finished) = finished {
        finished
    } else {
        let steps = run::steps(&settings, &candidates.samples) * settings.seeds.len() as u64;
        let progress = Progress::steps(steps, "estimators", global.quiet);
        let run_seed = |&seed: &u64| {
            let (samples, seeds_folder) = (&candidates.samples, folder.join(SEEDS_FOLDER));
            let outcome = run::run(&settings, samples, seed, &seeds_folder, &device, &progress)?;
            if !std::io::stderr().is_terminal() {
                progress.note(&format!("seed {seed} done"));
            }
            Ok(outcome)
        };
        let outcomes: CommandResult<Vec<_>> =
            pool(global, &device)?.install(|| settings.seeds.par_iter().map(run_seed).collect());
        progress.finish();
        let results = Results::new(settings.clone(), &outcomes?);
        for (name, figure) in figures::figures(&results) {
            figure.write(&folder, &name)?;
        }
        report::report(&results).write(&folder)?;
        files::write_json(&folder.join(RESULTS_FILE), &results)?;
        results
    };
    if args.run.json {
        return files::print_json(&results);
    }
    files::print(&format!(
        "{}\nResults: {}\nReport: {}\n",
        table::table(&results),
        folder.join(RESULTS_FILE).display(),
        folder.join("report.html").display()
    ))
}
