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
    /// Progress over `total` steps, called by a word in the plural.
    pub(crate) fn steps(total: u64, what: &str, quiet: bool) -> Self {
        let style = format!(
            "{{elapsed_precise}} [{{bar:40}}] {{pos}}/{{len}} {what}, {{eta}} left {{wide_msg}}"
        );
        Self::new(ProgressBar::new(total), &style, quiet)
    }

    /// Progress over bytes whose number is not known yet.
    pub(crate) fn bytes(quiet: bool) -> Self {
        let style = "{elapsed_precise} [{bar:40}] {bytes}/{total_bytes}, {bytes_per_sec}";
        Self::new(ProgressBar::no_length(), style, quiet)
    }

    fn new(bar: ProgressBar, style: &str, quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = if quiet || !terminal {
            ProgressBar::hidden()
        } else {
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

    /// So many steps are done, of so many if that is known.
    pub(crate) fn at(&self, steps: u64, total: Option<u64>) {
        if let Some(total) = total {
            self.bar.set_length(total);
        }
        self.bar.set_position(steps);
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

    /// Where the work stands: beside the bar, or a line in a file.
    pub(crate) fn tell(&self, message: &str) {
        if self.plain {
            self.note(message);
        } else {
            self.bar.set_message(message.to_owned());
        }
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
