//! The threads that a command computes with.

use anyhow::Context;
use candle_core::Device;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::args::GlobalArgs;
use crate::failure::CommandResult;

/// As many threads as were asked for, one on a GPU.
///
/// candle gives every thread a CUDA stream of its own and orders none after another, so that a tensor of
/// one thread may not be finished when another reads it. A GPU is one queue anyway.
pub(crate) fn pool(global: &GlobalArgs, device: &Device) -> CommandResult<ThreadPool> {
    let threads = if device.is_cpu() {
        global.threads.unwrap_or(0)
    } else {
        1
    };
    let pool = ThreadPoolBuilder::new().num_threads(threads).build();
    Ok(pool.context("cannot start threads")?)
}
