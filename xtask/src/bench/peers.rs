//! Python with what the peers need, in an environment of its own.

use std::path::{Path, PathBuf};

use super::machine::first_line;
use crate::python;

const REQUIREMENTS: &str = "benches/peers/requirements.txt";

/// Python of the environment, which is made or brought to the pinned versions where needed.
pub(crate) fn install(target: &Path) -> anyhow::Result<PathBuf> {
    python::install(&target.join("peers"), REQUIREMENTS)
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
