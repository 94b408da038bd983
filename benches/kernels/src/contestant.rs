//! How a contestant answers `cargo xtask bench`.
//!
//! It warms up, prints one line `{"ready": …}`, then works once for every line that it reads, and prints
//! `{"microseconds": …}`. At the end of the input it ends.

use std::io::{BufRead, Write};
use std::time::Instant;

use emma_kernels::InstructionSet;

/// What stands in the line `ready`.
#[derive(Debug, Default)]
pub struct Ready {
    /// Numbers that contestants of the same work agree on.
    pub check: Vec<f64>,
    /// Most bytes that the work took beyond its inputs.
    pub extra_bytes: Option<u64>,
}

/// Options, all of the form `--name value`.
#[derive(Debug)]
pub struct Options(Vec<String>);

impl Options {
    /// Those of this process.
    pub fn of_process() -> Self {
        Self(std::env::args().skip(1).collect())
    }

    /// The value of an option, where it is given.
    pub fn text(&self, name: &str) -> Option<&str> {
        let place = self.0.iter().position(|option| option == name)?;
        self.0.get(place + 1).map(String::as_str)
    }

    /// A number, or its default.
    ///
    /// # Errors
    /// If it is no number.
    pub fn number(&self, name: &str, default: usize) -> anyhow::Result<usize> {
        self.text(name).map_or(Ok(default), |text| {
            text.parse()
                .map_err(|_| anyhow::anyhow!("{name} expects a number, got {text}"))
        })
    }
}

/// Answers until the input ends. `work` does the work `units` times over.
///
/// # Errors
/// If nobody reads the answers.
pub fn answer(ready: &Ready, units: usize, mut work: impl FnMut()) -> anyhow::Result<()> {
    let extra = ready
        .extra_bytes
        .map_or("null".to_owned(), |bytes| bytes.to_string());
    say(&format!(
        r#"{{"ready": {{"check": {:?}, "extra_bytes": {extra}, "instruction_set": "{:?}"}}}}"#,
        ready.check,
        InstructionSet::current()
    ))?;
    for line in std::io::stdin().lock().lines() {
        line?;
        let start = Instant::now();
        work();
        let microseconds = start.elapsed().as_secs_f64() * 1e6 / units as f64;
        say(&format!(r#"{{"microseconds": {microseconds}}}"#))?;
    }
    Ok(())
}

fn say(line: &str) -> anyhow::Result<()> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}")?;
    output.flush()?;
    Ok(())
}
