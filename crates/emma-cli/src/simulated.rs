//! The simulated survey as data of an experiment, and as files.

use std::io::{self, Write};

use anyhow::Context;
use emma_data::CandidateTable;
use emma_data::htru2::parse_candidates;
use emma_data::survey::{Survey, SurveyConfig, SurveyWriter};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::args::GlobalArgs;
use crate::failure::CommandResult;
use crate::files::output_failure;

/// Seed of the survey that experiments run on; their own seeds split it and draw noise.
const SEED: u64 = 0;
/// Candidates made at a time: two kilobytes each.
const CHUNK: usize = 4096;

/// The survey of HTRU2's size that experiments run on.
///
/// Read back from the text that `emma data simulate --seed 0` writes, whose digest it has: so anybody
/// can have the rows as a file.
pub(crate) fn candidates(global: &GlobalArgs) -> CommandResult<CandidateTable> {
    let mut writer = SurveyWriter::new(Vec::new(), None, None).map_err(output_failure)?;
    write(&SurveyConfig::default(), SEED, global, &mut writer)?;
    Ok(parse_candidates(
        &writer.into_parts().0,
        "simulated survey",
    )?)
}

/// Makes candidates on all threads and writes them in order.
pub(crate) fn write<W: Write + Send>(
    config: &SurveyConfig,
    seed: u64,
    global: &GlobalArgs,
    writer: &mut SurveyWriter<W>,
) -> CommandResult<()> {
    let survey = Survey::new(config, seed)?;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(global.threads.unwrap_or(0))
        .build()
        .context("cannot start threads")?;
    let n = survey.n_candidates();
    for start in (0..n).step_by(CHUNK) {
        let rows = start..n.min(start + CHUNK);
        let candidates: Vec<_> = pool.install(|| {
            rows.into_par_iter()
                .map(|row| survey.candidate(row))
                .collect()
        });
        let written: io::Result<()> = candidates
            .iter()
            .flatten()
            .try_for_each(|candidate| writer.write(candidate));
        written.map_err(output_failure)?;
    }
    Ok(())
}
