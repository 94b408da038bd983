//! `emma experiment3`.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use candle_core::Device;
use emma_data::{CandidateTable, Samples, read_candidates};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use serde_json::Value;

use crate::args::{Experiment3Args, Experiment3Command, GlobalArgs, ShowArgs};
use crate::experiment3::data::SeedData;
use crate::experiment3::results::Results;
use crate::experiment3::seed::Unit;
use crate::experiment3::settings::{DataSettings, HTRU2, SIMULATED, Settings};
use crate::experiment3::shard::Shard;
use crate::experiment3::{report, seed};
use crate::failure::{CommandResult, Failure};
use crate::progress::Progress;
use crate::{files, folders, htru2_file, simulated};

use super::merge;

const RESULTS_FILE: &str = "results.json";
pub(crate) const SETTINGS_FILE: &str = "settings.json";
const MODELS_FOLDER: &str = "models";

pub(crate) fn run(args: &Experiment3Args, global: &GlobalArgs) -> CommandResult<()> {
    if let Some(Experiment3Command::Merge(args)) = &args.command {
        return merge::run(args, global);
    }
    let start = Instant::now();
    let device = global.device.open()?;
    let n_seeds = if args.quick { 2 } else { args.seeds } as u64;
    let end = args.seed.checked_add(n_seeds).ok_or_else(|| {
        Failure::input(format!("--seed {}: the last seed is too large", args.seed))
    })?;
    let seeds: Vec<u64> = (args.seed..end).collect();
    let (table, data) = read_data(&args.data, args.data_dir.as_deref(), global)?;
    let mut settings = Settings::new(data, seeds);
    settings.training.n_epochs = args.epochs;
    settings.training.positive_weight = args.positive_weight;
    settings.threshold_rule = args.threshold_rule.into();
    settings.retrain = args.retrain;
    settings.set_grid(args.grid);
    settings.shard = args.shard;

    let folder = folders::results_folder(args.out.as_deref(), "experiment3");
    let headline = report::headline(&settings.data, settings.seeds.len());
    // Whatever the table cannot do must be known before a folder is touched.
    for seed in &settings.seeds {
        SeedData::check(&table.samples, *seed).map_err(|failure| {
            let source = &settings.data.source;
            failure.context(format!("{source}, seed {seed}"))
        })?;
    }
    if !args.show.json {
        // A reader that goes away now still gets the folder filled.
        let _ = files::print(&format!("{headline}\n"));
    }
    let finished = prepare(&folder, &settings, args.fresh)?;
    let work = Work {
        table: &table,
        settings: &settings,
        folder: &folder,
        device: &device,
        global,
    };
    if let Some(shard) = args.shard {
        let (n_trained, n_all) = work.compute_share(shard)?;
        return files::print(&format!(
            "shard {shard}: {n_trained} of {n_all} models trained, none of them scored\n\
             Next: emma experiment3 merge, with the folders of all shards\n"
        ));
    }
    let results = match finished {
        Some(finished) => finished,
        None => work.compute(start)?,
    };
    show(&results, &args.show, &folder)
}

/// Prints results as asked for.
pub(crate) fn show(results: &Results, args: &ShowArgs, folder: &Path) -> CommandResult<()> {
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
        report::table(results, args.metric),
        folder.join(RESULTS_FILE).display()
    ))
}

/// The table that `--data` and `--data-dir` name.
pub(crate) fn read_data(
    data: &str,
    data_dir: Option<&Path>,
    global: &GlobalArgs,
) -> CommandResult<(CandidateTable, DataSettings)> {
    let folder = folders::data_folder(data_dir);
    let (table, source) = match data {
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
pub(crate) fn prepare(
    folder: &Path,
    settings: &Settings,
    fresh: bool,
) -> CommandResult<Option<Results>> {
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
            files::remove_unfinished(folder);
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

/// The folder of a seed in a results folder.
pub(crate) fn seed_folder(folder: &Path, seed: u64) -> PathBuf {
    folder.join(MODELS_FOLDER).join(format!("seed{seed}"))
}

/// What is to be computed, on what, into which folder.
pub(crate) struct Work<'a> {
    pub(crate) table: &'a CandidateTable,
    pub(crate) settings: &'a Settings,
    pub(crate) folder: &'a Path,
    pub(crate) device: &'a Device,
    pub(crate) global: &'a GlobalArgs,
}

impl Work<'_> {
    /// All seeds that are not finished yet, and the results.
    pub(crate) fn compute(&self, start: Instant) -> CommandResult<Results> {
        let (settings, samples) = (self.settings, &self.table.samples);
        let units = seed::units(settings, samples)?;
        let steps = seed::steps(settings, samples, &units) * settings.seeds.len() as u64;
        let outcomes = self.each_seed(steps, |seed, progress| {
            let folder = seed_folder(self.folder, seed);
            seed::run(settings, samples, seed, &folder, self.device, progress)
        })?;
        let wall = start.elapsed().as_secs_f64();
        let results = Results::new(settings.clone(), &outcomes, wall)?;
        files::write_json(&self.folder.join(RESULTS_FILE), &results)?;
        Ok(results)
    }

    /// Trains a shard's models; returns how many, and how many all shards have.
    fn compute_share(&self, shard: Shard) -> CommandResult<(usize, usize)> {
        let (settings, samples) = (self.settings, &self.table.samples);
        let pieces = pieces(settings, samples)?;
        let share = shard.pieces(pieces.len());
        let units_of = |seed: u64| -> Vec<Unit> {
            let share = pieces[share.clone()].iter();
            let of_seed = share.filter(|(owner, _)| *owner == seed);
            of_seed.map(|(_, unit)| unit.clone()).collect()
        };
        let steps = |seed: &u64| seed::steps(settings, samples, &units_of(*seed));
        let all_steps = settings.seeds.iter().map(steps).sum();
        self.each_seed(all_steps, |seed, progress| {
            let units = units_of(seed);
            if units.is_empty() {
                return Ok(());
            }
            let folder = seed_folder(self.folder, seed);
            seed::run_share(
                settings,
                samples,
                seed,
                &units,
                &folder,
                self.device,
                progress,
            )
        })?;
        Ok((share.len(), pieces.len()))
    }

    /// Does something for every seed, on all threads that may be used.
    fn each_seed<T: Send>(
        &self,
        steps: u64,
        run: impl Fn(u64, &Progress) -> CommandResult<T> + Sync,
    ) -> CommandResult<Vec<T>> {
        let progress = Progress::epochs(steps, self.global.quiet);
        // candle gives every thread a CUDA stream of its own and orders none after another, so that a
        // tensor of one thread may not be finished when another reads it. A GPU is one queue anyway.
        let threads = if self.device.is_cpu() {
            self.global.threads.unwrap_or(0)
        } else {
            1
        };
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .context("cannot start threads")?;
        let run_seed = |seed: &u64| {
            let done = run(*seed, &progress)?;
            if !std::io::stderr().is_terminal() {
                progress.note(&format!("seed {seed} done"));
            }
            Ok(done)
        };
        let seeds = &self.settings.seeds;
        let done: CommandResult<Vec<T>> = pool.install(|| seeds.par_iter().map(run_seed).collect());
        progress.finish();
        done
    }
}

/// All pieces of work that shards share out: models by seed.
pub(crate) fn pieces(settings: &Settings, samples: &Samples) -> CommandResult<Vec<(u64, Unit)>> {
    let units = seed::units(settings, samples)?;
    let of_seed = |&seed: &u64| units.iter().map(move |unit| (seed, unit.clone()));
    Ok(settings.seeds.iter().flat_map(of_seed).collect())
}

pub(crate) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> CommandResult<T> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Failure::input(format!(
            "{}: {error}; start anew with --fresh",
            path.display()
        ))
    };
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(&error))?;
    serde_json::from_str(&text).map_err(|error| unreadable(&error))
}
