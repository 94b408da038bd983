//! `emma data coupling`: three modes whose coupling is dialled in, with the truth in a second file.

use emma_data::{
    CorruptionRecord, CorruptionTruth, Coupling, CouplingConfig, MissingValues, TableConfig, htru2,
};

use crate::args::{CouplingArgs, GlobalArgs};
use crate::failure::CommandResult;
use crate::files::{self, AtomicFile, output_failure};
use crate::tables;
use crate::text::thousands;

/// What is done to a mode in conflict: all its values change their signs.
const CONFLICT: &str = "scale:-1";

pub(crate) fn run(args: &CouplingArgs, global: &GlobalArgs) -> CommandResult<()> {
    let default_truth = || files::beside(&args.out, "truth.csv");
    let truth_path = args.truth.clone().unwrap_or_else(default_truth);
    let layout_path = tables::layout_beside(&args.out);
    let outputs = [
        ("--out", Some(&*args.out)),
        ("--truth", Some(&*truth_path)),
        ("the layout of --out,", Some(&*layout_path)),
    ];
    files::check_targets(&outputs, &[])?;
    let coupling = Coupling::new(&config(args), args.seed)?;
    let label = Some(htru2::LABEL_COLUMN.to_owned());
    let layout = TableConfig::new(coupling.modes().into(), label, MissingValues::Refuse)?;

    let file = AtomicFile::create(&args.out)?;
    let mut table = tables::writer(&args.out, &layout.features(), layout.label(), file)?;
    let mut truth_file = AtomicFile::create(&truth_path)?;
    let layout_file = tables::write_layout(&layout, &args.out)?;
    let mut conflicts = Vec::new();
    for row in coupling.iter() {
        conflicts.push(row.conflicts);
        table
            .write_row(&row.values.concat(), Some(row.label))
            .map_err(output_failure)?;
    }
    let record = CorruptionRecord::from_flags(conflicts.into());
    let names = layout.modes().iter().map(|mode| mode.name.clone());
    let mut truth = CorruptionTruth::new(record.n_rows(), names)?;
    truth.push(&record, &CONFLICT.parse()?)?;
    truth.write(&mut truth_file).map_err(output_failure)?;
    // The table comes last: where it is, its truth is too.
    let table = table.finish().map_err(output_failure)?;
    for file in [layout_file, truth_file, table] {
        file.finish()?;
    }
    if global.quiet {
        return Ok(());
    }
    let best = match coupling.accuracy([true; 3]) {
        Some(accuracy) => format!("; no model is right more often than {accuracy:.4}"),
        None => String::new(),
    };
    files::tell(&format!(
        "{}: {} rows of three coupled modes, truth in {}, layout in {}{best}",
        args.out.display(),
        thousands(args.rows),
        truth_path.display(),
        layout_path.display()
    ));
    Ok(())
}

fn config(args: &CouplingArgs) -> CouplingConfig {
    let defaults = CouplingConfig::default();
    CouplingConfig {
        n_rows: args.rows,
        positive_fraction: args.positive_fraction.unwrap_or(defaults.positive_fraction),
        structure: args.structure.into(),
        shared_strength: args.strength.unwrap_or(defaults.shared_strength),
        redundancy: args.redundancy.unwrap_or(defaults.redundancy),
        complementarity: args.complementarity.unwrap_or(defaults.complementarity),
        conflict: args.conflict.unwrap_or(defaults.conflict),
    }
}
