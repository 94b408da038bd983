//! `emma data corrupt`: a table of the user's own with damage done to it, and the truth about it.

use emma_data::{CorruptionRecord, Table, TableConfig, generator};

use crate::args::{CorruptArgs, GlobalArgs, RowsArg};
use crate::failure::{CommandResult, Failure};
use crate::files::{self, AtomicFile, output_failure};
use crate::tables;
use crate::text::thousands;

pub(crate) fn run(args: &CorruptArgs, global: &GlobalArgs) -> CommandResult<()> {
    let truth_path = args
        .truth
        .clone()
        .unwrap_or_else(|| files::beside(&args.out, "truth.csv"));
    let inputs = [
        ("--data", Some(&*args.layout.data)),
        ("--table", args.layout.table.as_deref()),
    ];
    let outputs = [("--out", Some(&*args.out)), ("--truth", Some(&*truth_path))];
    files::check_targets(&outputs, &inputs)?;
    let config = tables::config(&args.layout)?;
    config.header()?;
    check_modes(args, &config)?;
    // A place that cannot be written to is found before the table is read.
    let (out, mut truth_file) = (
        AtomicFile::create(&args.out)?,
        AtomicFile::create(&truth_path)?,
    );

    let table = tables::read(&args.layout.data, &config)?;
    let rows = rows(args, &table)?;
    let rng = &mut generator(args.seed, "corruption");
    let (corrupted, truth) = table.corrupted(&rows, &args.corrupt, rng)?;

    let out = tables::write(&corrupted, &config, &args.out, out)?;
    truth.write(&mut truth_file).map_err(output_failure)?;
    // The table comes last: where it is, its truth is too.
    truth_file.finish()?;
    out.finish()?;
    if !global.quiet {
        let record = truth.record()?;
        let flags = record.flags();
        let n_rows = flags
            .rows()
            .into_iter()
            .filter(|row| row.iter().any(|&flag| flag));
        files::tell(&format!(
            "{}: {} of {} rows corrupted, truth in {}",
            args.out.display(),
            thousands(n_rows.count()),
            thousands(table.n_rows()),
            truth_path.display()
        ));
    }
    Ok(())
}

/// Unknown modes are found before a table is read, which may take its time.
fn check_modes(args: &CorruptArgs, config: &TableConfig) -> CommandResult<()> {
    let names: Vec<&str> = config.modes().iter().map(|mode| &*mode.name).collect();
    for corruption in &args.corrupt {
        corruption
            .mode_index(&names)
            .map_err(|error| Failure::from(error).context(format!("--corrupt {corruption}")))?;
    }
    Ok(())
}

fn rows(args: &CorruptArgs, table: &Table) -> CommandResult<CorruptionRecord> {
    let (n_rows, n_modes) = (table.n_rows(), table.modes().len());
    let rng = &mut generator(args.seed, "corrupted rows");
    Ok(match args.rows {
        RowsArg::All => CorruptionRecord::all(n_rows, n_modes)?,
        RowsArg::Mixture => CorruptionRecord::mixture(n_rows, n_modes, rng)?,
        RowsArg::Constrained => CorruptionRecord::constrained_mixture(n_rows, n_modes, rng)?,
    })
}
