//! All checks, cheapest first. What runs here is what continuous integration runs.

use std::process::{Command, Stdio};
use std::time::Instant;

use crate::{cargo, docs, instructions, package};

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
    run_step("tests", cargo().args(["test", "--locked", "--workspace"]))?;
    println!("== instructions");
    let start = Instant::now();
    instructions::run(&[])?;
    println!("== instructions: {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

fn installed(subcommand: &str) -> bool {
    cargo()
        .args([subcommand, "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
