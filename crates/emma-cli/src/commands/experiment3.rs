//! `emma experiment3`.

use std::io::IsTerminal;
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use candle_core::Device;
use emma_data::CandidateTable;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::args::{Experiment3Args, GlobalArgs, seeds};
use crate::experiment::data::{headline, read_data};
use crate::experiment::folder::{RESULTS_FILE, prepare};
use crate::experiment::threads::pool;
use crate::experiment3::data::SeedData;
use crate::experiment3::results::Results;
use crate::experiment3::settings::Settings;
use crate::experiment3::{report, seed};
use crate::failure::{CommandResult, Failure};
use crate::progress::Progress;
use crate::{files, folders};

const MODELS_FOLDER: &str = "models";

pub(crate) fn run(args: &Experiment3Args, global: &GlobalArgs) -> CommandResult<()> {
    let start = Instant::now();
    let device = global.device.open()?;
    let seeds = seeds(args.seed, args.seeds, args.quick)?;
    let (table, data) = read_data(&args.data, args.data_dir.as_deref(), global)?;
    let mut settings = Settings::new(data, seeds);
    settings.training.n_epochs = args.epochs;
    settings.training.positive_weight = args.positive_weight;
    settings.threshold_rule = args.threshold_rule.into();
    settings.retrain = args.retrain;

    let folder = folders::results_folder(args.out.as_deref(), "experiment3");
    let headline = headline("experiment3", &settings.data, settings.seeds.len());
    // Whatever the table cannot do must be known before a folder is touched.
    SeedData::check_all(&table.samples, &settings.seeds, &settings.data.source)?;
    if !args.json {
        // A reader that goes away now still gets the folder filled.
        let _ = files::print(&headline);
    }
    let results = match prepare(&folder, &settings, &[MODELS_FOLDER], args.fresh)? {
        Some(finished) => finished,
        None => compute(&table, &settings, &folder, &device, global, start)?,
    };
    if !results.has(args.metric) {
        return Err(Failure::input(format!(
            "{}: expected the measure {}, it is not there: an earlier version wrote the file; start \
             anew with --fresh",
            folder.join(RESULTS_FILE).display(),
            args.metric
        )));
    }
    if args.json {
        let mut text =
            serde_json::to_string_pretty(&results).context("cannot print the results")?;
        text.push('\n');
        return files::print(&text);
    }
    files::print(&format!(
        "{}\nResults: {}\n",
        report::table(&results, args.metric),
        folder.join(RESULTS_FILE).display()
    ))
}

fn compute(
    table: &CandidateTable,
    settings: &Settings,
    folder: &Path,
    device: &Device,
    global: &GlobalArgs,
    start: Instant,
) -> CommandResult<Results> {
    let steps = seed::steps(settings, &table.samples) * settings.seeds.len() as u64;
    let progress = Progress::steps(steps, "epochs", global.quiet);
    let run_seed = |seed: &u64| {
        let folder = folder.join(MODELS_FOLDER).join(format!("seed{seed}"));
        let outcome = seed::run(settings, &table.samples, *seed, &folder, device, &progress)?;
        if !std::io::stderr().is_terminal() {
            progress.note(&format!("seed {seed} done"));
        }
        Ok(outcome)
    };
    let outcomes: CommandResult<Vec<_>> =
        pool(global, device)?.install(|| settings.seeds.par_iter().map(run_seed).collect());
    progress.finish();
    let results = Results::new(settings.clone(), &outcomes?, start.elapsed().as_secs_f64());
    files::write_json(&folder.join(RESULTS_FILE), &results)?;
    Ok(results)
}
