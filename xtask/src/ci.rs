//! All checks, cheapest first. What runs here is what continuous integration runs.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::{cargo, docs, instructions, package, python, target_folder};

/// What checks exported models: ONNX Runtime, but not PyTorch, which is fifty times as large.
const EXPORT_REQUIREMENTS: &str = "docs/checks/export-requirements.txt";

fn run_step(name: &str, command: &mut Command) -> anyhow::Result<()> {
    println!("== {name}");
    let start = Instant::now();
    crate::run(command)?;
    println!("== {name}: {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

pub(crate) fn run() -> anyhow::Result<()> {
    run_step("format", cargo().args(["fmt", "--all", "--check"]))?;
    run_step(
        "clippy",
        cargo()
            .args(["clippy", "--locked", "--workspace", "--all-targets", "--"])
            .args(["-D", "warnings"]),
    )?;
    run_step("docs", docs().env("RUSTDOCFLAGS", "-D warnings"))?;
    // Building from the packages as well takes minutes: that is `cargo xtask package`.
    run_step("package", package().arg("--no-verify"))?;
    if installed("deny") {
        run_step(
            "deny",
            cargo().args(["deny", "check", "licenses", "bans", "sources"]),
        )?;
    } else {
        println!("== deny: SKIPPED, cargo-deny is not installed");
    }
    let mut tests = cargo();
    tests.args(["test", "--locked", "--workspace"]);
    match python_for_exports() {
        Ok(python) => {
            tests.env("EMMA_PYTHON", python);
        }
        Err(error) => println!(
            "== exports: SKIPPED, no Python with {EXPORT_REQUIREMENTS}: {error:#}; no other runtime checks what \
             `emma export` writes"
        ),
    }
    run_step("tests", &mut tests)?;
    println!("== instructions");
    let start = Instant::now();
    instructions::run(&[])?;
    println!("== instructions: {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// The Python that checks exported models: the one that is named already, or an environment of its own.
fn python_for_exports() -> anyhow::Result<PathBuf> {
    if let Some(python) = std::env::var_os("EMMA_PYTHON").filter(|python| !python.is_empty()) {
        return Ok(python.into());
    }
    python::install(&target_folder()?.join("export-check"), EXPORT_REQUIREMENTS)
}

fn installed(subcommand: &str) -> bool {
    cargo()
        .args([subcommand, "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
