//! Progress on standard error: a bar for people, plain lines for files, nothing when quiet.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::files;

/// How a long command tells that it goes on. Cheap to share between threads.
pub(crate) struct Progress {
    bar: ProgressBar,
    plain: bool,
    start: Instant,
}

impl Progress {
    /// Progress over `total` steps.
    pub(crate) fn new(total: u64, quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = if quiet || !terminal {
            ProgressBar::hidden()
        } else {
            let bar = ProgressBar::new(total);
            let style = "{elapsed_precise} [{bar:40}] {pos}/{len} epochs, {eta} left";
            // A wrong template is a cosmetic matter; the default bar does.
            if let Ok(style) = ProgressStyle::with_template(style) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        };
        Self {
            bar,
            plain: !quiet && !terminal,
            start: Instant::now(),
        }
    }

    /// Some steps are done.
    pub(crate) fn advance(&self, steps: u64) {
        self.bar.inc(steps);
    }

    /// Something worth a line happened.
    pub(crate) fn note(&self, message: &str) {
        if self.plain {
            let elapsed = self.start.elapsed().as_secs_f64();
            files::tell(&format!("[{elapsed:7.1} s] {message}"));
        } else {
            self.bar.println(message);
        }
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
