//! Finds the commit that `emma --version` names.
//!
//! Of a package from crates.io it is the one that the package says it was made of; else git knows it, if there is
//! git. Development builds do not look: every commit would compile the program and its tests anew.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Hexadecimal digits that are shown.
const SHOWN: usize = 12;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let folder = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let commit = if std::env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        of_package(&folder).or_else(|| of_repository(&folder))
    } else {
        Some("not recorded in development builds".to_owned())
    };
    let commit = commit.unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=EMMA_COMMIT={commit}");
}

/// What `cargo package` wrote down.
fn of_package(folder: &Path) -> Option<String> {
    let file = folder.join(".cargo_vcs_info.json");
    // Watching a file that is not there would build anew every time.
    if !file.exists() {
        return None;
    }
    println!("cargo::rerun-if-changed={}", file.display());
    let text = std::fs::read_to_string(file).ok()?;
    let (_, rest) = text.split_once("\"sha1\"")?;
    let sha1 = rest.split('"').nth(1)?;
    shown(sha1)
}

/// What is checked out, if this is the project's own repository.
fn of_repository(folder: &Path) -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(folder)
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    // Copied into another repository, that one's commits say nothing.
    if git(&["rev-parse", "--show-prefix"])? != "crates/emma-cli/" {
        return None;
    }
    // The log of what was checked out grows with every commit; without it, the checked-out branch's name.
    for name in ["logs/HEAD", "HEAD"] {
        let path = folder.join(git(&["rev-parse", "--git-path", name])?);
        if path.exists() {
            println!("cargo::rerun-if-changed={}", path.display());
            break;
        }
    }
    shown(&git(&["rev-parse", "HEAD"])?)
}

fn shown(commit: &str) -> Option<String> {
    let is_digest = commit.len() >= SHOWN && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_digest.then(|| commit[..SHOWN].to_owned())
}
