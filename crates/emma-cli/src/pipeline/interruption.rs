//! Ctrl-C: once to stop where the work can go on later, twice to stop at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;

use crate::failure::CommandResult;
use crate::files;

/// Whether the user wants the work to stop.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interruption(Arc<AtomicBool>);

impl Interruption {
    /// Takes over the process's interrupt and termination signals.
    pub(crate) fn listen() -> CommandResult<Self> {
        let interruption = Self::default();
        let wanted = Arc::clone(&interruption.0);
        ctrlc::set_handler(move || {
            if wanted.swap(true, Ordering::SeqCst) {
                // Whatever is being written gets its name only when it is whole.
                std::process::exit(1);
            }
            files::tell("stopping after this epoch, or this autoencoder; once more stops at once");
        })
        .context("cannot listen for Ctrl-C")?;
        Ok(interruption)
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
