//! `cargo xtask scoring`: how fast and in how much memory `emma score` goes through a long table.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use crate::{cargo, release_build, run as succeed, target_folder};

/// Rows unless another number is asked for.
const N_ROWS: u64 = 10_000_000;

/// Most bytes that may be resident, however long the table.
const MOST_RESIDENT: u64 = 200 << 20;

/// How often a running program's memory is looked at; what is read is the highest so far.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Scores a table of simulated candidates as text and as Parquet, on one thread and on all, and prints rows a second
/// and the most memory. Too much of it, and scores that depend on threads or format, are failures; times are not.
///
/// Options: `--rows N`; `--model FILE`, else `with` of a quick experiment3 on simulated candidates.
pub(crate) fn run(options: &[OsString]) -> anyhow::Result<()> {
    let (n_rows, model) = parse(options)?;
    let target = target_folder()?;
    succeed(release_build(&target).args(["--package", "emma-cli"]))?;
    let emma = target.join("release").join("emma");
    let folder = target.join("scoring");
    std::fs::create_dir_all(&folder)?;
    succeed(
        cargo()
            .args(["run", "--locked", "--release", "--target-dir"])
            .arg(&target)
            .args(["--package", "emma-data", "--example", "long_tables", "--"])
            .arg(&folder)
            .arg(n_rows.to_string()),
    )?;
    let model = match model {
        Some(model) => model,
        None => train(&emma, &folder)?,
    };
    println!("{n_rows} rows, 8 features, {}", Path::new(&model).display());
    println!("  threads  input    output   rows/s     most resident");
    let mut scores = Vec::new();
    for threads in [Some("1"), None] {
        for (input, output) in [("csv", "csv"), ("parquet", "csv"), ("parquet", "parquet")] {
            let out = folder.join(format!("scores.{output}"));
            let mut command = Command::new(&emma);
            command.arg("score").arg("--model").arg(&model);
            command
                .arg("--data")
                .arg(folder.join(format!("rows.{input}")));
            command.arg("--out").arg(&out);
            if let Some(threads) = threads {
                command.args(["--threads", threads]);
            }
            let (time, resident) = measure(&mut command)?;
            println!(
                "  {:7}  {input:7}  {output:7}  {:9.0}  {}",
                threads.unwrap_or("all"),
                n_rows as f64 / time.as_secs_f64(),
                resident.map_or_else(|| "unknown".into(), |bytes| format!("{} MiB", bytes >> 20)),
            );
            if let Some(resident) = resident {
                ensure!(resident <= MOST_RESIDENT, "{resident} bytes are too many");
            }
            scores.push((output, std::fs::read(&out).map(|bytes| digest(&bytes))?));
        }
    }
    for (output, found) in &scores {
        let first = scores.iter().find(|(other, _)| other == output);
        ensure!(
            first.is_some_and(|(_, first)| first == found),
            "scores as {output} depend on the threads or on the table's format"
        );
    }
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

fn parse(options: &[OsString]) -> anyhow::Result<(u64, Option<OsString>)> {
    let (mut n_rows, mut model) = (N_ROWS, None);
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let value = options
            .next()
            .with_context(|| format!("expected a value behind {}", option.display()))?;
        match option.to_str() {
            Some("--rows") => {
                let text = value.to_str().unwrap_or_default();
                n_rows = text
                    .parse()
                    .with_context(|| format!("expected a number of rows, got {text:?}"))?;
            }
            Some("--model") => model = Some(value.clone()),
            _ => bail!("scoring takes --rows and --model, got {}", option.display()),
        }
    }
    Ok((n_rows, model))
}

/// A model of the thesis's form.
fn train(emma: &Path, folder: &Path) -> anyhow::Result<OsString> {
    let out = folder.join("experiment3");
    let mut command = Command::new(emma);
    command.args(["experiment3", "--data", "simulated", "--seeds", "1"]);
    command.args(["--quiet", "--fresh", "--out"]).arg(&out);
    succeed(command.stdout(Stdio::null()))?;
    Ok(out.join("models/seed0/with.safetensors").into())
}

/// Runs a program; its time, and the most memory that was resident where the system says it.
fn measure(command: &mut Command) -> anyhow::Result<(Duration, Option<u64>)> {
    let start = Instant::now();
    let mut child = command.spawn().context("cannot start emma")?;
    let status = format!("/proc/{}/status", child.id());
    let mut resident = None;
    loop {
        if let Some(code) = child.try_wait()? {
            ensure!(code.success(), "{code} from {command:?}");
            return Ok((start.elapsed(), resident));
        }
        let now = std::fs::read_to_string(&status).ok();
        resident = resident.max(now.as_deref().and_then(peak));
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The highest resident memory in a process's status, in bytes.
fn peak(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}

/// FNV-1a, to tell whether two files are the same without keeping them.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_off_a_status() {
        let status = "Name:\temma\nVmPeak:\t  900 kB\nVmHWM:\t   12 kB\nVmRSS:\t   10 kB\n";
        assert_eq!(peak(status), Some(12 << 10));
        assert_eq!(peak("Name:\temma\n"), None);
    }

    #[test]
    fn options_are_read_and_others_refused() {
        let parse = |text: &str| {
            parse(
                &text
                    .split_whitespace()
                    .map(OsString::from)
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(parse("").unwrap(), (N_ROWS, None));
        assert_eq!(parse("--rows 5 --model m").unwrap(), (5, Some("m".into())));
        assert!(
            parse("--rows five").is_err() && parse("--row 5").is_err() && parse("--rows").is_err()
        );
    }
}
