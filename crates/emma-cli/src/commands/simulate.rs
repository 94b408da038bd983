//! `emma data simulate`: a survey of pulsar candidates, with its truth in a second file.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use emma_data::survey::{RawModes, Survey, SurveyConfig, SurveyWriter};
use emma_data::{Machine, MissingValues, TableConfig, htru2};

use crate::args::{GlobalArgs, SimulateArgs};
use crate::failure::{CommandResult, Failure};
use crate::files::{self, AtomicFile, output_failure};
use crate::text::thousands;
use crate::{simulated, tables};

pub(crate) fn run(args: &SimulateArgs, global: &GlobalArgs) -> CommandResult<()> {
    if args.machine {
        return machine(args, global);
    }
    let default_truth = || files::beside(&args.out, "truth.csv");
    let truth = args.truth.clone().unwrap_or_else(default_truth);
    let layout = args.raw.as_deref().map(tables::layout_beside);
    let outputs = [
        ("--out", Some(&*args.out)),
        ("--truth", Some(&*truth)),
        ("--curves", args.curves.as_deref()),
        ("--raw", args.raw.as_deref()),
        ("the layout of --raw,", layout.as_deref()),
    ];
    files::check_targets(&outputs, &[])?;
    let mut config = SurveyConfig {
        n_candidates: args.rows,
        ..SurveyConfig::default()
    };
    if let Some(fraction) = args.pulsar_fraction {
        config.pulsar_fraction = fraction;
    }
    let survey = Survey::new(&config, args.seed)?;
    let create = AtomicFile::create;
    let mut writer = SurveyWriter::new(
        create(&args.out)?,
        Some(create(&truth)?),
        args.curves.as_deref().map(create).transpose()?,
    )
    .map_err(output_failure)?;
    let raw = if let Some(path) = &args.raw {
        Some(write_raw(&survey, path, global, &mut writer)?)
    } else {
        simulated::in_order(
            survey.n_candidates(),
            global,
            |row| survey.candidate(row),
            |candidate| writer.write(&candidate),
        )?;
        None
    };
    // The table comes last: where it is, its truth is too.
    let (table, truth_file, curves) = writer.into_parts();
    let (raw, layout_file) = raw.unzip();
    for file in [layout_file, raw, curves, truth_file, Some(table)]
        .into_iter()
        .flatten()
    {
        file.finish()?;
    }
    if global.quiet {
        return Ok(());
    }
    let mut said = format!(
        "{}: {} simulated candidates, truth in {}",
        args.out.display(),
        thousands(args.rows),
        truth.display()
    );
    for (what, path) in [
        ("curves", &args.curves),
        ("raw modes", &args.raw),
        ("their layout", &layout),
    ] {
        if let Some(path) = path {
            let _ = write!(said, ", {what} in {}", path.display());
        }
    }
    files::tell(&said);
    Ok(())
}

/// Writes all candidates, and their raw modes to a table of their own with its layout beside it: files that are
/// still to be finished.
fn write_raw(
    survey: &Survey,
    path: &Path,
    global: &GlobalArgs,
    writer: &mut SurveyWriter<AtomicFile>,
) -> CommandResult<(AtomicFile, AtomicFile)> {
    let label = Some(htru2::LABEL_COLUMN.to_owned());
    let config = TableConfig::new(RawModes::columns().into(), label, MissingValues::Refuse)?;
    let file = AtomicFile::create(path)?;
    let mut table = tables::writer(path, &config.features(), config.label(), file)?;
    let layout = tables::write_layout(&config, path)?;
    let mut values = Vec::new();
    simulated::in_order(
        survey.n_candidates(),
        global,
        |row| survey.raw_modes(row),
        |raw| {
            writer.write(&raw.candidate)?;
            values.clear();
            for mode_index in 0..config.modes().len() {
                raw.append_mode(mode_index, &mut values);
            }
            table.write_row(&values, Some(raw.candidate.label()))
        },
    )?;
    Ok((table.finish().map_err(output_failure)?, layout))
}

/// A pump with three sensors, and its state by name.
fn machine(args: &SimulateArgs, global: &GlobalArgs) -> CommandResult<()> {
    if args
        .out
        .extension()
        .is_some_and(|suffix| suffix == "parquet")
    {
        return Err(Failure::input(format!(
            "{}: expected a name that does not end in .parquet: states by name are written as text",
            args.out.display()
        )));
    }
    let mut file = AtomicFile::create(&args.out)?;
    let mut text = format!("{},state\n", Machine::COLUMNS.join(","));
    for row in Machine::new(args.seed).take(args.rows) {
        for value in row.features {
            let _ = write!(text, "{value},"); // Writing to a String cannot fail.
        }
        text.push_str(row.state.name());
        text.push('\n');
        file.write_all(text.as_bytes()).map_err(output_failure)?;
        text.clear();
    }
    file.finish()?;
    if !global.quiet {
        files::tell(&format!(
            "{}: {} rows of a machine with three sensors",
            args.out.display(),
            thousands(args.rows)
        ));
    }
    Ok(())
}
