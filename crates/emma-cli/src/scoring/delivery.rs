//! From a table to an output, with rows of which nothing can be made put aside.

use emma_data::Chunk;
use rayon::ThreadPool;

use super::input::Input;
use super::output::Output;
use super::pipeline;
use super::ranking::Ranking;
use super::rejects::Rejects;
use super::scorer::{Rows, Scored};
use crate::failure::CommandResult;

/// Where rows go.
pub(crate) struct Delivery {
    pub(crate) output: Output,
    /// Holds rows back until the best are known, if only they are wanted.
    pub(crate) ranking: Option<Ranking>,
    /// Without it the first row of which nothing can be made ends it all.
    pub(crate) rejects: Option<Rejects>,
}

/// How many rows went where.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) n_made: u64,
    pub(crate) n_rejected: u64,
}

impl Delivery {
    /// Whether the output takes lines of text as they are made.
    pub(crate) fn takes_text(&self) -> bool {
        self.output.is_text() && self.ranking.is_none()
    }

    /// Reads all of a table, makes something of each chunk on any thread, and writes it in order.
    ///
    /// # Errors
    /// What comes first in the table; on the standard output all rows before it have been written, and a file does not
    /// appear.
    pub(crate) fn run(
        self,
        pool: &ThreadPool,
        input: &mut Input,
        make: impl Fn(&Chunk) -> CommandResult<Scored> + Sync,
    ) -> CommandResult<Counts> {
        let Self {
            mut output,
            mut ranking,
            mut rejects,
        } = self;
        let mut counts = Counts::default();
        let ended = pipeline::run(
            pool,
            |chunk| input.read(chunk),
            make,
            |made| {
                counts.n_made += made.n_kept;
                counts.n_rejected += made.n_rejected;
                if let Some(rejects) = &mut rejects {
                    rejects.write(&made.rejected)?;
                }
                match (&mut ranking, made.rows) {
                    (Some(ranking), Rows::Columns(columns)) => {
                        ranking.take(&columns);
                        Ok(())
                    }
                    (_, rows) => output.write(rows),
                }
            },
        );
        if let Err(failure) = ended {
            output.flush()?;
            return Err(failure);
        }
        if let Some(ranking) = ranking {
            output.write(Rows::Columns(ranking.ranked()))?;
        }
        // The rows come last: where they are, all that is missing among them is there too.
        if let Some(rejects) = rejects {
            rejects.finish()?;
        }
        output.finish()?;
        Ok(counts)
    }
}
