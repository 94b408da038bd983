//! Where data and results are, when nobody says.

use std::path::{Path, PathBuf};

/// The workspace that the current folder lies in, else the current folder.
pub(crate) fn workspace_root() -> PathBuf {
    let current = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    let root = current
        .ancestors()
        .find(|folder| folder.join("crates/emma-cli/Cargo.toml").is_file())
        .map(Path::to_owned);
    root.unwrap_or(current)
}

/// The data folder: as given, else `EMMA_DATA_DIR`, else `data/` in the workspace.
pub(crate) fn data_folder(given: Option<&Path>) -> PathBuf {
    match (given, std::env::var_os("EMMA_DATA_DIR")) {
        (Some(folder), _) => folder.to_owned(),
        (None, Some(folder)) if !folder.is_empty() => PathBuf::from(folder),
        _ => workspace_root().join("data"),
    }
}

/// The results folder of an experiment: as given, else `results/<experiment>/` in the workspace.
pub(crate) fn results_folder(given: Option<&Path>, experiment: &str) -> PathBuf {
    match given {
        Some(folder) => folder.to_owned(),
        None => workspace_root().join("results").join(experiment),
    }
}
