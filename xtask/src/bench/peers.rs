//! Python with what the peers need, in an environment of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use super::machine::first_line;

const REQUIREMENTS: &str = "benches/peers/requirements.txt";

/// Python of the environment, which is made or brought to the pinned versions where needed.
pub(crate) fn install(target: &Path) -> anyhow::Result<PathBuf> {
    let folder = target.join("peers");
    let python = folder.join(if cfg!(windows) {
        "Scripts/python.exe"
    } else {
        "bin/python"
    });
    let wanted = fs::read_to_string(REQUIREMENTS).with_context(|| REQUIREMENTS.to_owned())?;
    // Written last: an installation that was broken off is done again.
    let stamp = folder.join("installed-requirements.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    println!(
        "installing the peers of {REQUIREMENTS} into {}",
        folder.display()
    );
    if !python.exists() {
        crate::run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    }
    let pip = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--requirement",
        REQUIREMENTS,
    ];
    crate::run(Command::new(&python).args(pip))?;
    fs::write(stamp, wanted)?;
    Ok(python)
}

/// Python's version and those of the packages that count.
pub(crate) fn versions(python: &Path) -> String {
    const SCRIPT: &str = "\
import importlib.metadata as m, platform
print('Python', platform.python_version(), *(', ' + n + ' ' + m.version(n) for n in ('torch', 'jax', 'jaxlib', 'numpy')), sep=' ')";
    let line = first_line(python, &["-c", SCRIPT]);
    line.map_or_else(
        || "unknown".to_owned(),
        |line| line.replace(" , ", ", ").replace("  ", " "),
    )
}
