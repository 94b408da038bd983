//! The simulated survey as data of an experiment, and as files.

use std::io;

use anyhow::Context;
use emma_data::htru2::parse_candidates;
use emma_data::survey::{Survey, SurveyConfig, SurveyWriter};
use emma_data::{CandidateTable, Samples};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::args::GlobalArgs;
use crate::failure::CommandResult;
use crate::files::output_failure;

/// Seed of the survey that experiments run on; their own seeds split it and draw noise.
const SEED: u64 = 0;
/// Candidates whose raw modes experiments run on: 1,216 values each.
const N_RAW: usize = 6_000;
/// Rows made at a time: two kilobytes for a candidate, twenty for one with raw modes.
const CHUNK: usize = 1024;

/// The survey of HTRU2's size that experiments run on.
///
/// Read back from the text that `emma data simulate --seed 0` writes, whose digest it has: so anybody
/// can have the rows as a file.
pub(crate) fn candidates(global: &GlobalArgs) -> CommandResult<CandidateTable> {
    let mut writer = SurveyWriter::new(Vec::new(), None, None).map_err(output_failure)?;
    let survey = Survey::new(&SurveyConfig::default(), SEED)?;
    in_order(
        survey.n_candidates(),
        global,
        |row| survey.candidate(row),
        |candidate| writer.write(&candidate),
    )?;
    Ok(parse_candidates(
        &writer.into_parts().0,
        "simulated survey",
    )?)
}

/// The raw modes of a survey of [`N_RAW`] candidates: those that `emma data simulate --rows 6000 --seed 0 --raw FILE`
/// writes.
pub(crate) fn raw_modes() -> CommandResult<Samples> {
    let config = SurveyConfig {
        n_candidates: N_RAW,
        ..SurveyConfig::default()
    };
    Ok(Survey::new(&config, SEED)?.raw_samples()?)
}

/// Makes rows on all threads and hands them on in order, some at a time.
pub(crate) fn in_order<T: Send>(
    n_rows: usize,
    global: &GlobalArgs,
    make: impl Fn(usize) -> Option<T> + Sync,
    mut take: impl FnMut(T) -> io::Result<()>,
) -> CommandResult<()> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(global.threads.unwrap_or(0))
        .build()
        .context("cannot start threads")?;
    for start in (0..n_rows).step_by(CHUNK) {
        let rows = start..n_rows.min(start + CHUNK);
        let made: Vec<_> = pool.install(|| rows.into_par_iter().map(&make).collect());
        let taken: io::Result<()> = made.into_iter().flatten().try_for_each(&mut take);
        taken.map_err(output_failure)?;
    }
    Ok(())
}
