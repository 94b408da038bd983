//! `emma experiment3`.

use std::io::IsTerminal;
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use candle_core::Device;
use emma_data::{CandidateTable, read_candidates};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use serde_json::Value;

use crate::args::{Experiment3Args, GlobalArgs};
use crate::experiment3::data::SeedData;
use crate::experiment3::results::Results;
use crate::experiment3::settings::{DataSettings, HTRU2, SIMULATED, Settings};
use crate::experiment3::{report, seed};
use crate::failure::{CommandResult, Failure};
use crate::progress::Progress;
use crate::{files, folders, htru2_file, simulated};

const RESULTS_FILE: &str = "results.json";
const SETTINGS_FILE: &str = "settings.json";
const MODELS_FOLDER: &str = "models";

pub(crate) fn run(args: &Experiment3Args, global: &GlobalArgs) -> CommandResult<()> {
    let start = Instant::now();
    let device = global.device.open()?;
    let n_seeds = if args.quick { 2 } else { args.seeds } as u64;
    let end = args.seed.checked_add(n_seeds).ok_or_else(|| {
        Failure::input(format!("--seed {}: the last seed is too large", args.seed))
    })?;
    let seeds: Vec<u64> = (args.seed..end).collect();
    let (table, data) = read_data(args, global)?;
    let mut settings = Settings::new(data, seeds);
    settings.training.n_epochs = args.epochs;
    settings.training.positive_weight = args.positive_weight;
    settings.threshold_rule = args.threshold_rule.into();
    settings.retrain = args.retrain;

    let folder = folders::results_folder(args.out.as_deref(), "experiment3");
    let headline = report::headline(&settings.data, settings.seeds.len());
    // Whatever the table cannot do must be known before a folder is touched.
    for seed in &settings.seeds {
        SeedData::check(&table.samples, *seed).map_err(|failure| {
            let source = &settings.data.source;
            failure.context(format!("{source}, seed {seed}"))
        })?;
    }
    if !args.json {
        // A reader that goes away now still gets the folder filled.
        let _ = files::print(&format!("{headline}\n"));
    }
    let results = match prepare(&folder, &settings, args.fresh)? {
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

fn read_data(
    args: &Experiment3Args,
    global: &GlobalArgs,
) -> CommandResult<(CandidateTable, DataSettings)> {
    let folder = folders::data_folder(args.data_dir.as_deref());
    let (table, source) = match args.data.as_str() {
        SIMULATED => (simulated::candidates(global)?, SIMULATED),
        HTRU2 => (htru2_file::read_or_download(&folder, global.quiet)??, HTRU2),
        "auto" => match htru2_file::read_or_download(&folder, global.quiet)? {
            Ok(table) => (table, HTRU2),
            Err(failure) => {
                files::tell(&format!(
                    "warning: {failure}\nwarning: running on the SIMULATED survey instead; its scores say \
                     nothing of HTRU2"
                ));
                (simulated::candidates(global)?, SIMULATED)
            }
        },
        file => (read_candidates(file)?, file),
    };
    let labels = table.samples.labels();
    let data = DataSettings {
        source: source.to_owned(),
        rows: labels.len(),
        positives: labels.iter().map(|&label| usize::from(label)).sum(),
        sha256: table.sha256.clone(),
        modes: table
            .samples
            .modes()
            .iter()
            .map(|mode| mode.name.clone())
            .collect(),
    };
    Ok((table, data))
}

/// Makes the folder ready to be filled or continued; returns its results if it is finished.
fn prepare(folder: &Path, settings: &Settings, fresh: bool) -> CommandResult<Option<Results>> {
    let unusable =
        |error: std::io::Error| Failure::input(format!("--out {}: {error}", folder.display()));
    std::fs::create_dir_all(folder).map_err(unusable)?;
    let settings_path = folder.join(SETTINGS_FILE);
    let earlier: Option<Value> = std::fs::read_to_string(&settings_path)
        .ok()
        .and_then(|text| serde_json::from_str(&text).ok());
    match earlier.filter(|earlier| earlier["experiment"] == settings.experiment.as_str()) {
        // Without the settings of an earlier run, nothing in the folder is known to be ours.
        None => {
            let mut entries = std::fs::read_dir(folder).map_err(unusable)?;
            // A run that was killed at its very start leaves a file that never got its name.
            let foreign = |name: &std::ffi::OsStr| !files::is_unfinished(name);
            if entries.any(|entry| entry.map_or(true, |entry| foreign(&entry.file_name()))) {
                return Err(Failure::input(format!(
                    "--out {}: expected an empty folder or one with results of experiment3, got \
                     one with other files",
                    folder.display()
                )));
            }
        }
        Some(_) if fresh => remove_earlier_run(folder)?,
        Some(earlier) => {
            if let Some((name, then, now)) = settings.difference(&earlier) {
                return Err(Failure::input(format!(
                    "{} holds results of another setting: {name} was {then}, now it is {now}; \
                     choose another --out, or start anew with --fresh",
                    folder.display()
                )));
            }
            let results_path = folder.join(RESULTS_FILE);
            return if results_path.exists() {
                Ok(Some(read_json(&results_path)?))
            } else {
                Ok(None)
            };
        }
    }
    files::remove_unfinished(folder);
    files::write_json(&settings_path, settings)?;
    Ok(None)
}

/// Removes what an earlier run wrote, and nothing else.
fn remove_earlier_run(folder: &Path) -> CommandResult<()> {
    // The settings go last: a folder without them is not taken for an unfinished run.
    for (name, is_folder) in [
        (RESULTS_FILE, false),
        (MODELS_FOLDER, true),
        (SETTINGS_FILE, false),
    ] {
        let path = folder.join(name);
        let removed = if is_folder {
            std::fs::remove_dir_all(&path)
        } else {
            std::fs::remove_file(&path)
        };
        match removed {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Failure::Failed(
                    anyhow::Error::new(error).context(format!("cannot remove {}", path.display())),
                ));
            }
            _ => {}
        }
    }
    Ok(())
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
    let progress = Progress::epochs(steps, global.quiet);
    // candle gives every thread a CUDA stream of its own and orders none after another, so that a
    // tensor of one thread may not be finished when another reads it. A GPU is one queue anyway.
    let threads = if device.is_cpu() {
        global.threads.unwrap_or(0)
    } else {
        1
    };
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .context("cannot start threads")?;
    let run_seed = |seed: &u64| {
        let folder = folder.join(MODELS_FOLDER).join(format!("seed{seed}"));
        let outcome = seed::run(settings, &table.samples, *seed, &folder, device, &progress)?;
        if !std::io::stderr().is_terminal() {
            progress.note(&format!("seed {seed} done"));
        }
        Ok(outcome)
    };
    let outcomes: CommandResult<Vec<_>> =
        pool.install(|| settings.seeds.par_iter().map(run_seed).collect());
    progress.finish();
    let results = Results::new(settings.clone(), &outcomes?, start.elapsed().as_secs_f64());
    files::write_json(&folder.join(RESULTS_FILE), &results)?;
    Ok(results)
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> CommandResult<T> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Failure::input(format!(
            "{}: {error}; start anew with --fresh",
            path.display()
        ))
    };
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(&error))?;
    serde_json::from_str(&text).map_err(|error| unreadable(&error))
}
