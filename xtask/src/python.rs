//! Environments of Python with pinned packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

/// Python of an environment in this folder, which is made or brought to the pinned versions where needed.
pub(crate) fn install(folder: &Path, requirements: &str) -> anyhow::Result<PathBuf> {
    let python = folder.join(if cfg!(windows) {
        "Scripts/python.exe"
    } else {
        "bin/python"
    });
    let wanted = fs::read_to_string(requirements).with_context(|| requirements.to_owned())?;
    // Written last: an installation that was broken off is done again.
    let stamp = folder.join("installed-requirements.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    println!(
        "installing the packages of {requirements} into {}",
        folder.display()
    );
    if !python.exists() {
        let made = crate::run(Command::new("python3").args(["-m", "venv"]).arg(folder));
        if made.is_err() {
            // Half of one would pass for a whole one, even after what was missing is there.
            let _ = fs::remove_dir_all(folder);
        }
        made?;
    }
    let pip = ["-m", "pip", "install", "--quiet"];
    // Without a network it is over soon.
    let patience = ["--retries", "2", "--timeout", "15"];
    crate::run(Command::new(&python).args(pip).args(patience).args([
        "--disable-pip-version-check",
        "--requirement",
        requirements,
    ]))?;
    fs::write(stamp, wanted)?;
    Ok(python)
}
