//! `emma data`: data sets.

use anyhow::Context;
use emma_data::CandidateTable;
use serde_json::json;

use crate::args::{DataArgs, DataCommand, FetchArgs, GlobalArgs};
use crate::failure::CommandResult;
use crate::text::thousands;
use crate::{files, folders, htru2_file};

pub(crate) fn run(args: &DataArgs, global: &GlobalArgs) -> CommandResult<()> {
    match &args.command {
        DataCommand::Fetch(args) => fetch(args, global),
        DataCommand::Compare(args) => super::compare::run(args, global),
        DataCommand::Simulate(args) => super::simulate::run(args, global),
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
        let text = serde_json::to_string_pretty(&about).context("cannot print the result")?;
        return files::print(&format!("{text}\n"));
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

fn counts(table: &CandidateTable) -> (usize, usize) {
    let labels = table.samples.labels();
    let n_pulsars = labels.iter().map(|&label| usize::from(label)).sum();
    (labels.len(), n_pulsars)
}
