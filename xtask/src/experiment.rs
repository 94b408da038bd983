//! Experiments are subcommands of `emma`; this builds it in release and passes everything on.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Context;

use crate::cargo;

/// Runs the experiment and hands its exit code on.
pub(crate) fn run(name: &str, options: &[OsString]) -> anyhow::Result<ExitCode> {
    // Apart from the run, so that the build's progress is shown and the run's output is emma's.
    crate::run(cargo().args(["build", "--locked", "--release", "--package", "emma-cli"]))?;
    let status = cargo()
        .args([
            "run",
            "--locked",
            "--quiet",
            "--release",
            "--package",
            "emma-cli",
            "--",
        ])
        .arg(name)
        .args(options)
        .status()
        .context("cannot start cargo")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
