//! `emma coupling-study`.

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::args::{CouplingStudyArgs, GlobalArgs};
use crate::coupling_study::figure::{self, figure};
use crate::coupling_study::results::Results;
use crate::coupling_study::settings::Settings;
use crate::coupling_study::{seed, table};
use crate::experiment::folder::{RESULTS_FILE, prepare};
use crate::failure::CommandResult;
use crate::progress::Progress;
use crate::threads::pool;
use crate::{files, folders};

/// What a run leaves beside its settings and results.
const OUTPUTS: [&str; 1] = ["figures"];

pub(crate) fn run(args: &CouplingStudyArgs, global: &GlobalArgs) -> CommandResult<()> {
    let device = global.device.open()?;
    let settings = Settings::new(args.run.seeds()?, args.n_rows(), args.run.is_quick());
    let folder = folders::results_folder(args.run.out.as_deref(), &settings.experiment);
    if !args.run.json {
        // A reader that goes away now still gets the folder filled.
        let _ = files::print(&table::headline(settings.data.n_rows, settings.seeds.len()));
    }
    let finished: Option<Results> = prepare(&folder, &settings, &OUTPUTS, args.run.fresh, |_| ())?;
    let results = if let Some(finished) = finished {
        finished
    } else {
        let steps = seed::steps(&settings) * settings.seeds.len() as u64;
        let progress = Progress::steps(steps, "trainings", global.quiet);
        let run_seed = |&own: &u64| seed::run(&settings, own, &device, &progress);
        let outcomes: CommandResult<Vec<_>> =
            pool(global, &device)?.install(|| settings.seeds.par_iter().map(run_seed).collect());
        progress.finish();
        let results = Results::new(settings, &outcomes?);
        figure(&results).write(&folder, figure::NAME)?;
        files::write_json(&folder.join(RESULTS_FILE), &results)?;
        results
    };
    if args.run.json {
        return files::print_json(&results);
    }
    files::print(&format!(
        "{}\nResults: {}\n",
        table::table(&results),
        folder.join(RESULTS_FILE).display()
    ))
}
