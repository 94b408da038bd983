//! Development commands: `cargo xtask <command>`.
//!
//! Links none of the workspace's crates, so that it starts in seconds: it runs `cargo`, and the
//! `emma` program where an experiment is asked for.

mod bench;
mod ci;
mod experiment;
mod instructions;
mod python;
mod scoring;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};

const USAGE: &str = "\
usage: cargo xtask <command> [options]

  experiment1 [options]  build emma in release and run the thesis's experiment 1, 2 or 3;
  experiment2 [options]  options are emma's own: cargo xtask experiment3 --help;
  experiment3 [options]  --device cuda, cuda:N or metal builds it with that feature
  coupling-study [opts]  the same for the study of shared energies (docs/coupling.md)
  arena [options]        the same for EMMA+ against its rivals (docs/arena.md); arena tune
                         chooses hyper-parameters
  merge DIR... --out DIR puts the results folders of experiment3's shards together;
                         options are emma's own: cargo xtask merge --help
  ci                     all checks, cheapest first: format, clippy, docs, tests; with ONNX
                         Runtime for exported models where Python can be had
  soak                   the long tests: runs of experiment3 and trainings killed a hundred
                         times, property tests of damaged input with 100,000 cases each, and
                         scoring of ten million rows
  scoring [options]      rows a second and memory of emma score, text and Parquet, on one
                         thread and on all; --rows N [10000000], --model FILE
  bench [options]        ours beside PyTorch and JAX, in one run: tables of ratios, and
                         docs/benchmarks.md; options: cargo xtask bench --help
  criterion [options]    the benchmarks of all crates; options are cargo bench's
  instructions           counts instructions of the kernels under valgrind, and compares;
                         --update writes benches/instructions.json
  docs                   the API documentation of all crates
  package                packs every crate as for crates.io and builds it from the package
";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<OsString> = arguments.collect();
    let result = match command.to_str() {
        Some(
            name @ ("experiment1" | "experiment2" | "experiment3" | "coupling-study" | "arena"),
        ) => experiment::run(&[name], &rest),
        Some("merge") => experiment::run(&["experiment3", "merge"], &rest),
        Some("ci") => no_options("ci", &rest).and_then(|()| succeed(ci::run())),
        Some("soak") => no_options("soak", &rest).and_then(|()| succeed(soak())),
        Some("scoring") => succeed(scoring::run(&rest)),
        Some("bench") => succeed(bench::run(&rest)),
        Some("criterion") => succeed(run(cargo().args(["bench", "--workspace"]).args(&rest))),
        Some("instructions") => succeed(instructions::run(&rest)),
        Some("docs") => no_options("docs", &rest).and_then(|()| succeed(run(&mut docs()))),
        Some("package") => no_options("package", &rest).and_then(|()| succeed(package_and_build())),
        Some("help" | "--help" | "-h") => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn succeed(result: anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    result.map(|()| ExitCode::SUCCESS)
}

fn no_options(command: &str, rest: &[OsString]) -> anyhow::Result<()> {
    match rest.first() {
        None => Ok(()),
        Some(option) => bail!("{command} takes no options, got {}", option.display()),
    }
}

/// What takes minutes; the tests have a small sample of it.
/// Inputs of each property test in [`soak`].
const SOAK_CASES: &str = "100000";

fn soak() -> anyhow::Result<()> {
    for (program, test) in [
        ("experiment3_shards", "a_killed_run"),
        ("train", "a_killed_training"),
    ] {
        run(cargo()
            .args(["test", "--locked", "--package", "emma-cli"])
            .args(["--test", program, test])
            .env("EMMA_TEST_KILLS", "100"))?;
    }
    // Every property test of damaged and random input, with many more inputs than CI has.
    run(cargo()
        .args(["test", "--locked", "--workspace", "--", "damage", "fuzz"])
        .env("PROPTEST_CASES", SOAK_CASES))?;
    scoring::run(&[])
}

/// The cargo that runs this program.
fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Where cargo builds: this program lies in a profile's folder there.
fn target_folder() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let folder = program.ancestors().nth(2);
    Ok(folder.context("the program lies in no folder")?.to_owned())
}

/// Builds what is measured, into that folder.
fn release_build(target: &Path) -> Command {
    let mut command = cargo();
    command.args(["build", "--locked", "--release", "--target-dir"]);
    command.arg(target);
    command
}

fn docs() -> Command {
    let mut command = cargo();
    command.args(["doc", "--locked", "--workspace", "--no-deps"]);
    command
}

/// Packs and builds in a folder of its own: cargo takes a package of the same version that it has seen in the
/// same place for unchanged, and would build what the last run packed.
fn package_and_build() -> anyhow::Result<()> {
    let folder = format!("target/package-{}", std::process::id());
    let result = run(package().args(["--target-dir", &folder]));
    // What stays behind takes room and does no harm.
    let _ = std::fs::remove_dir_all(&folder);
    result
}

/// Packs the crates that are published, those that need each other together.
fn package() -> Command {
    let mut command = cargo();
    command.args(["package", "--locked", "--workspace", "--allow-dirty"]);
    for unpublished in ["xtask", "emma-testkit", "emma-bench", "emma-bench-network"] {
        command.args(["--exclude", unpublished]);
    }
    command
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    if !status.success() {
        bail!("{status} from {command:?}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    /// It makes every build wait for the linker.
    #[test]
    fn link_time_optimization_is_in_the_shipping_profile_only() {
        let mut section = "";
        let mut found = Vec::new();
        for line in include_str!("../../Cargo.toml").lines() {
            if line.starts_with('[') {
                section = line;
            } else if line.starts_with("lto") {
                found.push((section, line));
            }
        }
        assert_eq!(found, [("[profile.shipping]", "lto = \"thin\"")]);
    }
}
