//! `emma arena`.

use std::io::IsTerminal;
use std::path::Path;

use emma_data::Samples;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::arena::outcome::SeedOutcome;
use crate::arena::results::Results;
use crate::arena::settings::Settings;
use crate::arena::{figures, report, run, table, tune};
use crate::args::{ArenaArgs, ArenaCommand, GlobalArgs};
use crate::experiment::data::{headline, read_modes};
use crate::experiment::folder::{RESULTS_FILE, prepare};
use crate::experiment3::data::SeedData;
use crate::failure::{CommandResult, Failure};
use crate::progress::Progress;
use crate::threads::pool;
use crate::{files, folders};

/// Folder of what each seed found.
const SEEDS_FOLDER: &str = "seeds";
/// What a run leaves beside its settings and results.
const OUTPUTS: [&str; 3] = [SEEDS_FOLDER, "figures", "report.html"];

pub(crate) fn run(args: &ArenaArgs, global: &GlobalArgs) -> CommandResult<()> {
    let device = global.device.open()?;
    if !device.is_cpu() {
        return Err(Failure::input(
            "--device: expected cpu, the arena trains on nothing else".to_owned(),
        ));
    }
    let seeds = args.run.seeds()?;
    let (samples, data) = read_modes(&args.data, args.data_dir.as_deref(), global)?;
    let mut settings = Settings::new(data, seeds)?;
    settings.n_epochs = args.epochs;
    if !args.learners.is_empty() {
        settings
            .learners
            .retain(|learner| args.learners.contains(learner));
    }
    if let Some(probability) = args.swap_probability {
        settings.noise.swap_probability = probability;
        let valid = settings.noise.validate();
        valid.map_err(|error| Failure::input(format!("--swap-probability: {error}")))?;
    }
    let samples = &samples;
    SeedData::check_all(samples, &settings.seeds, &settings.data.source)?;
    if let Some(ArenaCommand::Tune) = args.command {
        let steps = tune::entries(&settings).len() * settings.seeds.len();
        let progress = Progress::steps(steps as u64, "learners", global.quiet);
        let tuned = pool(global, &device)?.install(|| tune::tune(&settings, samples, &progress))?;
        progress.finish();
        return files::print_json(&tuned);
    }
    let folder = folders::results_folder(args.run.out.as_deref(), &settings.experiment);
    if !args.run.json {
        // A reader that goes away now still gets the folder filled.
        let _ = files::print(&headline("arena", &settings.data, settings.seeds.len()));
    }
    let finished: Option<Results> = prepare(&folder, &settings, &OUTPUTS, args.run.fresh, |_| ())?;
    let results = if let Some(finished) = finished {
        finished
    } else {
        let steps = run::entries(&settings).len() * settings.seeds.len();
        let progress = Progress::steps(steps as u64, "learners", global.quiet);
        let seed = |&seed: &u64| {
            let path = folder.join(SEEDS_FOLDER).join(format!("seed{seed}.json"));
            let outcome = of_seed(&settings, samples, seed, &path, &progress)?;
            if !std::io::stderr().is_terminal() {
                progress.note(&format!("seed {seed} done"));
            }
            Ok(outcome)
        };
        std::fs::create_dir_all(folder.join(SEEDS_FOLDER)).map_err(anyhow::Error::new)?;
        let outcomes: CommandResult<Vec<SeedOutcome>> =
            pool(global, &device)?.install(|| settings.seeds.par_iter().map(seed).collect());
        progress.finish();
        let results = Results::new(settings, &outcomes?)?;
        for (name, figure) in figures::figures(&results)? {
            figure.write(&folder, &name)?;
        }
        report::report(&results)?.write(&folder)?;
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

/// What an earlier run found, or what this one finds.
fn of_seed(
    settings: &Settings,
    samples: &Samples,
    seed: u64,
    path: &Path,
    progress: &Progress,
) -> CommandResult<SeedOutcome> {
    let entries = run::entries(settings);
    let earlier = std::fs::read_to_string(path).ok();
    let earlier = earlier.and_then(|text| serde_json::from_str::<SeedOutcome>(&text).ok());
    if let Some(outcome) = earlier.filter(|outcome| outcome.seed == seed) {
        progress.advance(entries.len() as u64);
        return Ok(outcome);
    }
    let outcome = run::run(settings, samples, seed, &entries, true, progress)?;
    files::write_json(path, &outcome)?;
    Ok(outcome)
}
