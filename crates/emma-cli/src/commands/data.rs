//! `emma data`: data sets.

use emma_data::{CandidateTable, Corruption};
use serde_json::json;

use crate::args::{CorruptionsArgs, DataArgs, DataCommand, FetchArgs, GlobalArgs};
use crate::failure::CommandResult;
use crate::text::{align_left, thousands};
use crate::{files, folders, htru2_file};

pub(crate) fn run(args: &DataArgs, global: &GlobalArgs) -> CommandResult<()> {
    // A device that is not there is refused whether it would be used or not.
    global.device.open()?;
    match &args.command {
        DataCommand::Fetch(args) => fetch(args, global),
        DataCommand::Compare(args) => super::compare::run(args, global),
        DataCommand::Describe(args) => super::describe::run(args),
        DataCommand::Corrupt(args) => super::corrupt::run(args, global),
        DataCommand::Coupling(args) => super::coupling::run(args, global),
        DataCommand::Manifold(args) => super::manifold::run(args, global),
        DataCommand::Simulate(args) => super::simulate::run(args, global),
        DataCommand::Corruptions(args) => corruptions(args),
    }
}

/// HTRU2 is the only data set there is to fetch, so far.
fn fetch(args: &FetchArgs, global: &GlobalArgs) -> CommandResult<()> {
    let folder = folders::data_folder(args.data_dir.as_deref());
    let (table, downloaded) = if let Some(table) = htru2_file::read(&folder)? {
        (table, false)
    } else {
        let download = htru2_file::download(global.quiet)
            .map_err(|failure| htru2_file::explain(failure, &folder))?;
        download.keep(&folder)?;
        (download.table, true)
    };
    let path = htru2_file::path_in(&folder);
    let (n_rows, n_pulsars) = counts(&table);
    if args.json {
        let about = json!({
            "path": path.display().to_string(),
            "rows": n_rows,
            "positives": n_pulsars,
            "sha256": table.sha256,
            "downloaded": downloaded,
        });
        return files::print_json(&about);
    }
    files::print(&format!(
        "{}: {} candidates, {} pulsars; {}, SHA-256 {}\n",
        path.display(),
        thousands(n_rows),
        thousands(n_pulsars),
        if downloaded {
            "downloaded"
        } else {
            "already there"
        },
        table.sha256
    ))
}

fn corruptions(args: &CorruptionsArgs) -> CommandResult<()> {
    if args.json {
        return files::print_json(&Corruption::KINDS);
    }
    let mut text = "A corruption of a mode is written MODE:KIND:LEVEL, such as ip:noise:0.5, or MODE:KIND \
                    where there is no level.\nIt is done to standard scores, so shifts, bounds and levels \
                    of noise are in standard deviations.\n\n"
        .to_owned();
    let mut rows = vec![["kind", "level", "what it does to a mode of a row"].map(str::to_owned)];
    for kind in Corruption::KINDS {
        let level = kind.level.unwrap_or("none");
        rows.push([kind.form, level, kind.summary].map(str::to_owned));
    }
    align_left(&mut text, &rows);
    files::print(&text)
}

fn counts(table: &CandidateTable) -> (usize, usize) {
    let labels = table.samples.labels();
    let n_pulsars = labels.iter().map(|&label| usize::from(label)).sum();
    (labels.len(), n_pulsars)
}
