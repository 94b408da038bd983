//! `emma data compare`: two tables side by side, class by class and feature by feature.

use emma_data::{CandidateTable, read_candidates};

use crate::args::{CompareArgs, GlobalArgs};
use crate::comparison::{Comparison, Table};
use crate::experiment3::settings::{HTRU2, SIMULATED};
use crate::failure::CommandResult;
use crate::{files, folders, htru2_file, simulated};

pub(crate) fn run(args: &CompareArgs, global: &GlobalArgs) -> CommandResult<()> {
    let device = global.device.open()?;
    let (first, second) = (
        read(&args.data, args, global)?,
        read(&args.with, args, global)?,
    );
    let about = |source: &str, table: &CandidateTable| Table {
        source: source.to_owned(),
        rows: table.samples.n_rows(),
        sha256: table.sha256.clone(),
    };
    let comparison = Comparison::of(
        [about(&args.data, &first), about(&args.with, &second)],
        [&first.samples, &second.samples],
        args.seed,
        &device,
    )?;
    if args.json {
        return files::print_json(&comparison);
    }
    files::print(&comparison.text())
}

fn read(source: &str, args: &CompareArgs, global: &GlobalArgs) -> CommandResult<CandidateTable> {
    match source {
        HTRU2 => {
            let folder = folders::data_folder(args.data_dir.as_deref());
            htru2_file::read_or_download(&folder, global.quiet)?
        }
        SIMULATED => simulated::candidates(global),
        path => Ok(read_candidates(path)?),
    }
}
