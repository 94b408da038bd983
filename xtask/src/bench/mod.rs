//! `cargo xtask bench`: ours and what people would otherwise use, interleaved in one run.

mod contestant;
mod document;
pub(crate) mod machine;
mod peers;
mod race;
mod scaling;
mod statistics;
mod table;
mod work;

use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::{release_build, target_folder};
use race::Race;
use work::{Contestant, Program, Work};

const DOCUMENT: &str = "docs/benchmarks.md";

pub(crate) const USAGE: &str = "\
usage: cargo xtask bench [options]

Runs the kernels, a candle network behind EMMA, PyTorch and JAX in turns, and prints tables of ratios.
A run of everything writes them into docs/benchmarks.md.

  --rounds N           rounds that every contestant takes part in (default 5)
  --only WORK[,WORK]   step, grid, grid2, stage_one, network, score, modes, scaling; nothing is written
  --without-peers      ours alone, offline; nothing is written
  --python PROGRAM     a Python that has the peers' packages, instead of an environment under target/
";

#[derive(Debug, Clone, PartialEq)]
struct Options {
    n_rounds: usize,
    only: Option<Vec<String>>,
    peers: bool,
    python: Option<PathBuf>,
}

impl Options {
    fn parse(arguments: &[OsString]) -> anyhow::Result<Self> {
        let mut options = Self {
            n_rounds: 5,
            only: None,
            peers: true,
            python: None,
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || {
                let value = arguments.next();
                value.with_context(|| format!("{} expects a value", argument.display()))
            };
            match argument.to_str() {
                Some("--rounds") => {
                    let value = value()?.to_string_lossy();
                    options.n_rounds = match value.parse() {
                        Ok(rounds) if rounds > 0 => rounds,
                        _ => bail!("--rounds expects a number of at least 1, got {value}"),
                    };
                }
                Some("--only") => {
                    let value = value()?.to_string_lossy();
                    let names = value.split(',').map(str::to_owned);
                    options.only = Some(names.collect());
                }
                Some("--without-peers") => options.peers = false,
                Some("--python") => options.python = Some(value()?.into()),
                _ => bail!("bench does not know {}\n\n{USAGE}", argument.display()),
            }
        }
        for name in options.only.iter().flatten() {
            let works = work::all(2);
            if name != "scaling" && works.iter().all(|work| work.name != name) {
                bail!("there is no work {name}\n\n{USAGE}");
            }
        }
        Ok(options)
    }

    fn wants(&self, name: &str) -> bool {
        let only = self.only.as_ref();
        only.is_none_or(|names| names.iter().any(|other| other == name))
    }

    fn is_complete(&self) -> bool {
        self.only.is_none() && self.peers
    }
}

/// Programs that contestants run in.
struct Programs {
    folder: PathBuf,
    python: Result<PathBuf, String>,
    /// The core that contestants of one thread run on, where they can be held there.
    core: Option<String>,
}

impl Programs {
    fn command(&self, work: &Work, contestant: &Contestant) -> Result<Command, String> {
        let script = |name: &str| Path::new("benches/peers").join(name);
        let (program, script) = match contestant.program {
            Program::Kernels => (self.folder.join("kernels"), None),
            Program::Network => (self.folder.join("network"), None),
            Program::Torch => (self.python.clone()?, Some(script("torch_peer.py"))),
            Program::Jax => (self.python.clone()?, Some(script("jax_peer.py"))),
        };
        let mut command = self.program(&program, work.n_threads);
        command
            .args(script)
            .args(contestant.options.split_whitespace());
        Ok(command)
    }

    fn program(&self, program: &Path, n_threads: usize) -> Command {
        let mut command = match &self.core {
            Some(core) if n_threads == 1 => {
                let mut command = Command::new("taskset");
                command.args(["-c", core]).arg(program);
                command
            }
            _ => Command::new(program),
        };
        // Before a library looks at the machine.
        for name in ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"] {
            command.env(name, n_threads.to_string());
        }
        command
    }

    fn kernels(&self, options: &str, n_threads: usize) -> Command {
        let mut command = self.program(&self.folder.join("kernels"), n_threads);
        command.args(options.split_whitespace());
        command
    }
}

/// The last core that this process may use, if a program can be held on it.
fn last_core() -> Option<String> {
    let list = machine::first_line("taskset", &["-cp", &std::process::id().to_string()])?;
    let last = list.rsplit([' ', ',', '-']).next()?.to_owned();
    let held = Command::new("taskset")
        .args(["-c", &last, "true"])
        .stderr(Stdio::null())
        .status();
    held.is_ok_and(|status| status.success()).then_some(last)
}

pub(crate) fn run(arguments: &[OsString]) -> anyhow::Result<()> {
    if arguments
        .iter()
        .any(|argument| argument == "--help" || argument == "-h")
    {
        print!("{USAGE}");
        return Ok(());
    }
    let options = Options::parse(arguments)?;
    let target = target_folder()?;
    let packages = ["--package", "emma-bench", "--package", "emma-bench-network"];
    crate::run(release_build(&target).args(packages))?;
    let python = match (&options.python, options.peers) {
        (_, false) => Err("left out".to_owned()),
        (Some(python), true) => Ok(python.clone()),
        (None, true) => peers::install(&target).map_err(|error| format!("{error:#}")),
    };
    if let (Err(reason), true) = (&python, options.peers) {
        eprintln!("the peers cannot be installed: {reason}");
    }
    let programs = Programs {
        folder: target.join("release"),
        python,
        core: last_core(),
    };
    let load = machine::load();
    let n_cores = machine::n_cores();
    let mut races = Vec::new();
    for mut work in work::all(n_cores) {
        if !options.peers {
            work.contestants.truncate(1);
            work.targets.clear();
        }
        if options.wants(work.name) {
            let command = |work: &Work, contestant: &Contestant| programs.command(work, contestant);
            let progress = |line: &str| eprintln!("{line}");
            races.push(Race::run(work, options.n_rounds, command, progress));
        }
    }
    let mut text = heading(&options, &programs, &races, load.as_deref());
    if options.peers {
        let _ = writeln!(text, "### Wanted\n\n{}", table::targets(&races));
    }
    text.push_str("### All contestants\n\n");
    for race in &races {
        let _ = writeln!(text, "{}", table::contestants(race));
    }
    if options.wants("scaling") {
        eprintln!("scaling");
        text.push_str(&growth(&programs, options.n_rounds, n_cores));
    }
    println!("{}", text.trim());
    if options.is_complete() {
        document::write(Path::new(DOCUMENT), &text)?;
        println!("\nwritten into {DOCUMENT}");
    } else {
        println!("\nnot written into {DOCUMENT}: not all was run");
    }
    // Peers may fail; ours may not.
    match races.iter().find(|race| race.outcomes[0].result.is_err()) {
        Some(race) => bail!("ours did not run: {}", race.work.title),
        None => Ok(()),
    }
}

fn heading(options: &Options, programs: &Programs, races: &[Race], load: Option<&str>) -> String {
    let mut outcomes = races
        .iter()
        .filter_map(|race| race.outcomes[0].result.as_ref().ok());
    let set = outcomes.find_map(|(_, ready)| ready.instruction_set.clone());
    let mut text = format!(
        "- Machine: {}, kernels on {}",
        machine::processor(),
        set.as_deref().unwrap_or("unknown")
    );
    if let Some(load) = load {
        let _ = write!(text, "; load before the run {load}");
    }
    let peers = match &programs.python {
        Ok(python) => peers::versions(python),
        Err(reason) => format!("no peers: {reason}"),
    };
    let held = match &programs.core {
        Some(_) => "contestants of one thread held on one core",
        None => "no contestant held on a core",
    };
    let _ = write!(
        text,
        "\n- Versions: {}; {peers}\n- Date: {}; {} rounds in turns, {held}\n\n",
        machine::rustc(),
        machine::today(),
        options.n_rounds
    );
    text
}

fn growth(programs: &Programs, n_rounds: usize, n_cores: usize) -> String {
    let kernels = |options: &str, n_threads: usize| programs.kernels(options, n_threads);
    let mut text = String::new();
    for (title, table) in [
        (
            "Over modes\n\nForward and backward of 256 rows, one thread",
            scaling::over_modes(&kernels, n_rounds),
        ),
        (
            "Over rows\n\nThe same for 32 modes",
            scaling::over_rows(&kernels, n_rounds),
        ),
        (
            "Over threads\n\nTimes the work of one thread; 1.7 are wanted of two threads. Programs at once share nothing, and are held on no core: what the machine gives",
            scaling::over_threads(&kernels, n_rounds, n_cores),
        ),
    ] {
        let _ = writeln!(text, "### {title}:\n\n{table}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> anyhow::Result<Options> {
        let arguments: Vec<OsString> = text.split_whitespace().map(OsString::from).collect();
        Options::parse(&arguments)
    }

    #[test]
    fn only_a_run_of_everything_is_written() {
        assert!(parse("").expect("fine").is_complete());
        assert!(parse("--rounds 9 --python p").expect("fine").is_complete());
        assert!(!parse("--without-peers").expect("fine").is_complete());
        assert!(!parse("--only grid,scaling").expect("fine").is_complete());
    }

    #[test]
    fn options_that_mean_nothing_are_refused() {
        for text in [
            "--rounds 0",
            "--rounds many",
            "--rounds",
            "--only grids",
            "--fast",
            "grid",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
