//! Reading, scoring and writing at once, in order.

use emma_data::Chunk;
use rayon::ThreadPool;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::scorer::Scored;
use crate::failure::CommandResult;

/// Chunks in flight for each thread, in each of the three stages.
const CHUNKS_PER_THREAD: usize = 2;
/// Most of them, so that memory is bounded on any number of threads; a chunk is scored by several threads if need be.
const MOST_CHUNKS: usize = 64;

/// Reads chunks, scores them and writes what comes of them, in the order of the table.
///
/// It goes on in rounds: while some chunks are scored, the next ones are read and the last ones written, all on the
/// threads of the pool and no others. On one thread one chunk is read, scored and written after the other. What is
/// written does not depend on the number of threads.
///
/// # Errors
/// What comes first in the table; all rows before it have been handed to `write`.
pub(crate) fn run(
    pool: &ThreadPool,
    mut read: impl FnMut(&mut Chunk) -> CommandResult<bool> + Send,
    score: impl Fn(&Chunk) -> CommandResult<Scored> + Sync,
    mut write: impl FnMut(Scored) -> CommandResult<()> + Send,
) -> CommandResult<()> {
    let n_threads = pool.current_num_threads();
    let n_chunks = if n_threads == 1 {
        1
    } else {
        (CHUNKS_PER_THREAD * n_threads).min(MOST_CHUNKS)
    };
    pool.install(|| {
        let mut reading = Reading {
            spare: Vec::new(),
            ended: None,
        };
        let mut chunks = reading.next(n_chunks, &mut read);
        let mut scored = Vec::new();
        while !chunks.is_empty() {
            let (next, (results, written)) = rayon::join(
                || reading.next(n_chunks, &mut read),
                || {
                    rayon::join(
                        || chunks.par_iter().map(&score).collect::<Vec<_>>(),
                        || write_all(&mut scored, &mut write),
                    )
                },
            );
            written?;
            for result in results {
                match result {
                    Ok(result) => scored.push(result),
                    Err(failure) => {
                        write_all(&mut scored, &mut write)?;
                        return Err(failure);
                    }
                }
            }
            reading.spare = std::mem::replace(&mut chunks, next);
        }
        write_all(&mut scored, &mut write)?;
        reading.ended.unwrap_or(Ok(()))
    })
}

/// Writes chunks in order, up to one with a failure.
fn write_all(
    scored: &mut Vec<Scored>,
    write: &mut impl FnMut(Scored) -> CommandResult<()>,
) -> CommandResult<()> {
    for mut one in scored.drain(..) {
        let failure = one.failure.take();
        write(one)?;
        if let Some(failure) = failure {
            return Err(failure);
        }
    }
    Ok(())
}

struct Reading {
    /// Chunks whose buffers are used again.
    spare: Vec<Chunk>,
    /// How the table ended, once it has.
    ended: Option<CommandResult<()>>,
}

impl Reading {
    /// Reads up to so many chunks; none at the end.
    fn next(
        &mut self,
        n_chunks: usize,
        read: &mut impl FnMut(&mut Chunk) -> CommandResult<bool>,
    ) -> Vec<Chunk> {
        let mut chunks = Vec::with_capacity(n_chunks);
        while chunks.len() < n_chunks && self.ended.is_none() {
            let mut chunk = self.spare.pop().unwrap_or_default();
            match read(&mut chunk) {
                Ok(true) => {}
                Ok(false) => self.ended = Some(Ok(())),
                Err(failure) => self.ended = Some(Err(failure)),
            }
            // Rows before one that cannot be read are still scored.
            if chunk.n_rows() > 0 {
                chunks.push(chunk);
            }
        }
        chunks
    }
}
