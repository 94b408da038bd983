//! Experiments are subcommands of `emma`; this builds it in release, with the feature that the
//! device needs, and passes everything on.

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use anyhow::Context;

use crate::cargo;

/// Runs the experiment and hands its exit code on.
pub(crate) fn run(subcommand: &[&str], options: &[OsString]) -> anyhow::Result<ExitCode> {
    let package = ["--locked", "--release", "--package", "emma-cli"];
    let features = device_feature(options).map(|feature| ["--features", feature]);
    let features = features.as_ref().map_or(&[][..], |features| features);
    // Apart from the run, so that the build's progress is shown and the run's output is emma's.
    crate::run(cargo().arg("build").args(package).args(features))?;
    let status = cargo()
        .args(["run", "--quiet"])
        .args(package)
        .args(features)
        .arg("--")
        .args(subcommand)
        .args(options)
        .status()
        .context("cannot start cargo")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// The feature of emma-cli that the options' `--device` needs, if any.
///
/// What is no device is emma's to refuse; a build without features does that soonest.
fn device_feature(options: &[OsString]) -> Option<&'static str> {
    let mut device = None;
    let mut options = options.iter().map(OsString::as_os_str);
    while let Some(option) = options.next() {
        if option == "--" {
            break;
        }
        if option == "--device" {
            device = options.next().and_then(OsStr::to_str);
        } else if let Some(value) = option.to_str().and_then(|o| o.strip_prefix("--device=")) {
            device = Some(value);
        }
    }
    match device? {
        "metal" => Some("metal"),
        device if device == "cuda" || device.starts_with("cuda:") => Some("cuda"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feature(options: &str) -> Option<&'static str> {
        let options: Vec<OsString> = options.split_whitespace().map(OsString::from).collect();
        device_feature(&options)
    }

    #[test]
    fn a_gpu_needs_the_feature_of_its_name() {
        assert_eq!(feature("--device cuda"), Some("cuda"));
        assert_eq!(feature("--quick --device cuda:1 --json"), Some("cuda"));
        assert_eq!(feature("--device=cuda:12"), Some("cuda"));
        assert_eq!(feature("--device metal"), Some("metal"));
        assert_eq!(feature("--device=metal --quick"), Some("metal"));
    }

    #[test]
    fn the_cpu_and_what_is_no_device_need_none() {
        for options in [
            "",
            "--quick",
            "--device cpu",
            "--device=cpu",
            "--device",
            "--device tpu",
            "--device=cudax",
            "--out cuda",
            "--out --device=cudax",
            "-- --device cuda",
        ] {
            assert_eq!(feature(options), None, "{options}");
        }
    }
}
