//! `emma experiment3 merge`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::Value;

use super::experiment3::{OUTPUTS, Work, pieces, seed_folder, show};
use crate::args::{GlobalArgs, MergeArgs};
use crate::experiment::data::{headline, read_data};
use crate::experiment::folder::{SETTINGS_FILE, prepare, read_json};
use crate::experiment3::settings::Settings;
use crate::experiment3::shard::Shard;
use crate::experiment3::unscored::Unscored;
use crate::failure::{CommandResult, Failure};
use crate::files;

/// A shard's results folder.
struct ShardFolder {
    path: PathBuf,
    shard: Shard,
    /// Without the shard: those of the whole.
    settings: Settings,
}

pub(crate) fn run(args: &MergeArgs, global: &GlobalArgs) -> CommandResult<()> {
    let start = Instant::now();
    let device = global.device.open()?;
    let mut shards = args
        .shards
        .iter()
        .map(|path| ShardFolder::read(path))
        .collect::<CommandResult<Vec<_>>>()?;
    shards.sort_by_key(|folder| folder.shard);
    let settings = &check_together(&shards)?;
    let out = files::resolve(&args.out);
    if let Some(shard) = shards.iter().find(|one| files::resolve(&one.path) == out) {
        return Err(Failure::input(format!(
            "--out {}: expected a folder of its own, got that of shard {}",
            args.out.display(),
            shard.shard
        )));
    }
    let source = args.data.as_deref().unwrap_or(&settings.data.source);
    let (table, data) = read_data(source, args.data_dir.as_deref(), global)?;
    if data.sha256 != settings.data.sha256 {
        return Err(Failure::input(format!(
            "--data {source}: expected the table of the shards with SHA-256 {}, got one with {}",
            settings.data.sha256, data.sha256
        )));
    }
    let pieces = pieces(settings, &table.samples)?;
    let unscored = |path: &Path, seed: u64| Unscored::of_seed(&seed_folder(path, seed));
    for ShardFolder { path, shard, .. } in &shards {
        for (seed, unit) in &pieces[shard.pieces(pieces.len())] {
            if !unscored(path, *seed).has(&unit.name) {
                return Err(Failure::input(format!(
                    "{}: shard {shard} is not finished, {} of seed {seed} is missing: run its command \
                     again",
                    path.display(),
                    unit.name
                )));
            }
        }
    }
    // All is known to be well: now the folder may be touched.
    if !args.show.json {
        let headline = headline("experiment3", &settings.data, settings.seeds.len());
        let _ = files::print(&headline);
    }
    let finished = prepare(&args.out, settings, OUTPUTS, args.fresh, Settings::upgrade)?;
    let work = Work {
        table: &table,
        settings,
        folder: &args.out,
        device: &device,
        global,
    };
    let results = if let Some(finished) = finished {
        work.report_again(&finished)?;
        finished
    } else {
        for ShardFolder { path, shard, .. } in &shards {
            for (seed, unit) in &pieces[shard.pieces(pieces.len())] {
                let target = unscored(&args.out, *seed);
                target.prepare()?;
                target.take_from(&unscored(path, *seed), &unit.name)?;
            }
        }
        work.compute(start)?
    };
    show(&results, &args.show, &args.out)
}

impl ShardFolder {
    fn read(path: &Path) -> CommandResult<Self> {
        let refusal = |found: &str| {
            Failure::input(format!(
                "{}: expected a results folder that experiment3 --shard wrote, got {found}",
                path.display()
            ))
        };
        let file = path.join(SETTINGS_FILE);
        if !file.is_file() {
            return Err(refusal("none"));
        }
        let value: Value = read_json(&file)?;
        if value["experiment"] != "experiment3" {
            return Err(refusal("another"));
        }
        let version = env!("CARGO_PKG_VERSION");
        if value["version"] != version {
            let found = &value["version"];
            return Err(refusal(&format!(
                "one of version {found}, this is {version}"
            )));
        }
        let mut settings: Settings = read_json(&file)?;
        let shard = settings.shard.take();
        Ok(Self {
            path: path.to_owned(),
            shard: shard.ok_or_else(|| refusal("one of a whole run"))?,
            settings,
        })
    }
}

/// The settings that all shards, in order, are shards of.
fn check_together(shards: &[ShardFolder]) -> CommandResult<Settings> {
    let Some(first) = shards.first() else {
        return Err(Failure::input(
            "expected the folders of all shards, got none",
        ));
    };
    let of = first.shard.of;
    for other in &shards[1..] {
        let paths = format!("{} and {}", first.path.display(), other.path.display());
        if other.shard.of != of {
            return Err(Failure::input(format!(
                "{paths} are no shards of one run: {} and {}",
                first.shard, other.shard
            )));
        }
        let earlier = serde_json::to_value(&first.settings).map_err(anyhow::Error::from)?;
        if let Some((name, then, now)) = other.settings.difference(&earlier) {
            return Err(Failure::input(format!(
                "{paths} are no shards of one run: {name} is {then} in one, {now} in the other"
            )));
        }
    }
    for pair in shards.windows(2) {
        if pair[0].shard == pair[1].shard {
            return Err(Failure::input(format!(
                "{} and {} overlap: both are shard {}",
                pair[0].path.display(),
                pair[1].path.display(),
                pair[0].shard
            )));
        }
    }
    let is_there = |index: &usize| shards.iter().any(|folder| folder.shard.index == *index);
    let missing: Vec<String> = (0..of)
        .filter(|index| !is_there(index))
        .map(|index| Shard { index, of }.to_string())
        .collect();
    if !missing.is_empty() {
        const MOST_NAMED: usize = 8;
        let more = missing.len().saturating_sub(MOST_NAMED);
        let rest = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        return Err(Failure::input(format!(
            "expected the folders of all {of} shards, missing {}{rest}",
            missing[..missing.len() - more].join(", ")
        )));
    }
    Ok(first.settings.clone())
}
