//! `emma data simulate`: a survey of pulsar candidates, with its truth in a second file.

use std::io::Write;
use std::path::{Path, PathBuf};

use emma_data::survey::{SurveyConfig, SurveyWriter};

use crate::args::{GlobalArgs, SimulateArgs};
use crate::failure::{CommandResult, Failure};
use crate::files::{self, AtomicFile, output_failure};
use crate::simulated;
use crate::text::thousands;

pub(crate) fn run(args: &SimulateArgs, global: &GlobalArgs) -> CommandResult<()> {
    let truth = args.truth.clone().unwrap_or_else(|| beside(&args.out));
    check_targets(&[Some(&args.out), Some(&truth), args.curves.as_deref()])?;
    let mut config = SurveyConfig {
        n_candidates: args.rows,
        ..SurveyConfig::default()
    };
    if let Some(fraction) = args.pulsar_fraction {
        config.pulsar_fraction = fraction;
    }
    let create = AtomicFile::create;
    let mut writer = SurveyWriter::new(
        create(&args.out)?,
        Some(create(&truth)?),
        args.curves.as_deref().map(create).transpose()?,
    )
    .map_err(output_failure)?;
    simulated::write(&config, args.seed, global, &mut writer)?;
    // The table comes last: where it is, its truth is too.
    let (table, truth_file, curves) = writer.into_parts();
    for file in [curves, truth_file, Some(table)].into_iter().flatten() {
        file.finish()?;
    }
    if global.quiet {
        return Ok(());
    }
    let curves = args
        .curves
        .iter()
        .map(|path| format!(", curves {}", path.display()));
    files::tell(&format!(
        "{}: {} simulated candidates, truth in {}{}",
        args.out.display(),
        thousands(args.rows),
        truth.display(),
        curves.collect::<String>()
    ));
    std::io::stderr().flush().map_err(output_failure)
}

/// `survey.csv` has its truth in `survey.truth.csv`.
fn beside(table: &Path) -> PathBuf {
    let mut name = table.file_stem().unwrap_or_default().to_owned();
    name.push(".truth.csv");
    table.with_file_name(name)
}

/// The files must be different ones.
fn check_targets(targets: &[Option<&Path>]) -> CommandResult<()> {
    let mut resolved: Vec<PathBuf> = Vec::new();
    for named in targets.iter().flatten() {
        let target = files::resolve(named);
        let is_device = target.metadata().is_ok_and(|about| !about.is_file());
        if !is_device && resolved.contains(&target) {
            return Err(Failure::input(format!(
                "{}: expected a file of its own for table, truth and curves, got it twice",
                named.display()
            )));
        }
        resolved.push(target);
    }
    Ok(())
}
