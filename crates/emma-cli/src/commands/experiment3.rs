//! `emma experiment3`.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use candle_core::Device;
use emma_data::{CandidateTable, Samples};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::args::{Experiment3Args, Experiment3Command, GlobalArgs, ShowArgs, seeds};
use crate::experiment::data::{headline, read_data};
use crate::experiment::folder::{RESULTS_FILE, prepare, read_json};
use crate::experiment3::as_published::{self, AsPublished};
use crate::experiment3::close_look::{self, CLOSE_LOOK_FILE, CloseLook};
use crate::experiment3::data::SeedData;
use crate::experiment3::figures::Evidence;
use crate::experiment3::outcome::SeedOutcome;
use crate::experiment3::results::Results;
use crate::experiment3::seed::Unit;
use crate::experiment3::settings::Settings;
use crate::experiment3::shard::Shard;
use crate::experiment3::{page, report, seed};
use crate::failure::{CommandResult, Failure};
use crate::progress::Progress;
use crate::threads::pool;
use crate::{files, folders};

use super::merge;

const MODELS_FOLDER: &str = "models";
const REPORT_FILE: &str = "report.html";
/// What a run leaves beside its settings and results.
pub(crate) const OUTPUTS: &[&str] = &[MODELS_FOLDER, "figures", REPORT_FILE, CLOSE_LOOK_FILE];

pub(crate) fn run(args: &Experiment3Args, global: &GlobalArgs) -> CommandResult<()> {
    if let Some(Experiment3Command::Merge(args)) = &args.command {
        return merge::run(args, global);
    }
    let start = Instant::now();
    let device = global.device.open()?;
    let seeds = seeds(args.seed, args.seeds, args.quick)?;
    let (table, data) = read_data(&args.source.data, args.source.data_dir.as_deref(), global)?;
    let mut settings = Settings::new(data, seeds);
    settings.training.n_epochs = args.epochs;
    settings.training.positive_weight = args.positive_weight;
    settings.threshold_rule = args.threshold_rule.into();
    settings.retrain = args.retrain;
    settings.set_grid(args.grid);
    settings.shard = args.shard;

    if args.as_published {
        settings.experiment = as_published::EXPERIMENT.into();
    }

    let folder = folders::results_folder(args.out.as_deref(), &settings.experiment);
    let headline = headline("experiment3", &settings.data, settings.seeds.len());
    // Whatever the table cannot do must be known before a folder is touched.
    SeedData::check_all(&table.samples, &settings.seeds, &settings.data.source)?;
    if !args.show.json {
        // A reader that goes away now still gets the folder filled.
        let _ = files::print(&headline);
    }
    let work = Work {
        table: &table,
        settings: &settings,
        folder: &folder,
        device: &device,
        global,
    };
    if args.as_published {
        return work.as_published(args);
    }
    let finished = prepare(&folder, &settings, OUTPUTS, args.fresh, Settings::upgrade)?;
    if let Some(shard) = args.shard {
        let (n_trained, n_all) = work.compute_share(shard)?;
        return files::print(&format!(
            "shard {shard}: {n_trained} of {n_all} models trained, none of them scored\n\
             Next: emma experiment3 merge, with the folders of all shards\n"
        ));
    }
    let results = match finished {
        Some(finished) => {
            work.report_again(&finished)?;
            finished
        }
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
        return files::print_json(&results);
    }
    files::print(&format!(
        "{}\nResults: {}\nReport: {}\n",
        report::table(results, args.metric),
        folder.join(RESULTS_FILE).display(),
        folder.join(REPORT_FILE).display()
    ))
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
        let found = self.each_seed(steps, |seed, progress| {
            let folder = seed_folder(self.folder, seed);
            let outcome = seed::run(settings, samples, seed, &folder, self.device, progress)?;
            let look = close_look::look(settings, samples, &outcome, &folder, self.device)?;
            Ok((outcome, look))
        })?;
        let (outcomes, seeds): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        let wall = start.elapsed().as_secs_f64();
        let results = Results::new(settings.clone(), &outcomes, wall)?;
        let look = CloseLook { seeds };
        files::write_json(&self.folder.join(CLOSE_LOOK_FILE), &look)?;
        self.report(&results, &look, &outcomes)?;
        files::write_json(&self.folder.join(RESULTS_FILE), &results)?;
        Ok(results)
    }

    /// Draws the figures and the page of finished results, if they are not there any more.
    pub(crate) fn report_again(&self, results: &Results) -> CommandResult<()> {
        let (page, look) = (REPORT_FILE, CLOSE_LOOK_FILE);
        // Results of versions that had no page lack what it is made of.
        if self.folder.join(page).is_file() || !self.folder.join(look).is_file() {
            return Ok(());
        }
        let look: CloseLook = read_json(&self.folder.join(look))?;
        let first = results.seeds.first().map(|&seed| {
            let folder = seed_folder(self.folder, seed);
            read_json::<SeedOutcome>(&folder.join(seed::OUTCOME_FILE))
        });
        let first: Vec<SeedOutcome> = first.into_iter().collect::<CommandResult<_>>()?;
        self.report(results, &look, &first)
    }

    /// Writes figures and page; the first outcome is the first seed's.
    fn report(
        &self,
        results: &Results,
        look: &CloseLook,
        outcomes: &[SeedOutcome],
    ) -> CommandResult<()> {
        let first = outcomes.first().context("no seed was run")?;
        let evidence = Evidence {
            results,
            look,
            first,
        };
        pool(self.global, self.device)?.install(|| page::write(&evidence, self.folder))
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

    /// The study of the published program's faults.
    fn as_published(&self, args: &Experiment3Args) -> CommandResult<()> {
        let (settings, samples) = (self.settings, &self.table.samples);
        let finished = prepare(self.folder, settings, &[], args.fresh, Settings::upgrade)?;
        let results = if let Some(finished) = finished {
            finished
        } else {
            let steps = as_published::steps(settings)? * settings.seeds.len() as u64;
            let found = self.each_seed(steps, |seed, progress| {
                as_published::run(settings, samples, seed, self.device, progress)
            })?;
            let results = AsPublished::new(settings.clone(), &found)?;
            files::write_json(&self.folder.join(RESULTS_FILE), &results)?;
            results
        };
        if args.show.json {
            return files::print_json(&results);
        }
        files::print(&format!(
            "{}\nResults: {}\n",
            results.table(),
            self.folder.join(RESULTS_FILE).display()
        ))
    }

    /// Does something for every seed, on all threads that may be used.
    fn each_seed<T: Send>(
        &self,
        steps: u64,
        run: impl Fn(u64, &Progress) -> CommandResult<T> + Sync,
    ) -> CommandResult<Vec<T>> {
        let progress = Progress::steps(steps, "epochs", self.global.quiet);
        let run_seed = |seed: &u64| {
            let done = run(*seed, &progress)?;
            if !std::io::stderr().is_terminal() {
                progress.note(&format!("seed {seed} done"));
            }
            Ok(done)
        };
        let seeds = &self.settings.seeds;
        let done: CommandResult<Vec<T>> =
            pool(self.global, self.device)?.install(|| seeds.par_iter().map(run_seed).collect());
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
