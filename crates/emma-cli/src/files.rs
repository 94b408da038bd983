//! Files that are written whole or not at all, and standard output that may go away.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;
use tempfile::NamedTempFile;

use crate::failure::{CommandResult, Failure};

/// What the names of files begin with that are not finished.
const UNFINISHED: &str = ".emma-";

/// Whether a file is one that a killed program left behind.
pub(crate) fn is_unfinished(name: &OsStr) -> bool {
    name.to_string_lossy().starts_with(UNFINISHED)
}

/// Removes files that a killed program left behind; what cannot be removed does no harm.
pub(crate) fn remove_unfinished(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if is_unfinished(&entry.file_name()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// A file that appears under its name only when [`finish`](Self::finish) is called; before that
/// an older file of that name stays as it is.
///
/// What is no regular file (a device, a pipe) is written to directly; a link is followed.
pub(crate) struct AtomicFile {
    target: PathBuf,
    output: Output,
}

enum Output {
    Beside(BufWriter<NamedTempFile>),
    Direct(BufWriter<File>),
}

impl AtomicFile {
    pub(crate) fn create(target: &Path) -> anyhow::Result<Self> {
        let target = target.canonicalize().unwrap_or_else(|_| target.to_owned());
        if std::fs::metadata(&target).is_ok_and(|existing| !existing.is_file()) {
            let file = File::options()
                .write(true)
                .open(&target)
                .with_context(|| format!("cannot write {}", target.display()))?;
            let output = Output::Direct(BufWriter::new(file));
            return Ok(Self { target, output });
        }
        let folder = folder_of(&target);
        let mut builder = tempfile::Builder::new();
        builder.prefix(UNFINISHED);
        // Temporary files are private by default; results are for others to read as well. The
        // system takes the user's mask off this.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let beside = builder
            .tempfile_in(folder)
            .with_context(|| format!("cannot write into {}", folder.display()))?;
        let output = Output::Beside(BufWriter::new(beside));
        Ok(Self { target, output })
    }

    /// Makes the contents durable and gives the file its name.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        let cannot = || format!("cannot write {}", self.target.display());
        let beside = match self.output {
            Output::Direct(mut file) => return file.flush().with_context(cannot),
            Output::Beside(beside) => beside,
        };
        let beside = beside
            .into_inner()
            .map_err(io::IntoInnerError::into_error)
            .with_context(cannot)?;
        beside.as_file().sync_all().with_context(cannot)?;
        if let Ok(existing) = std::fs::metadata(&self.target) {
            let permissions = existing.permissions();
            beside
                .as_file()
                .set_permissions(permissions)
                .with_context(cannot)?;
        }
        beside
            .persist(&self.target)
            .map_err(|error| error.error)
            .with_context(cannot)?;
        // The name is durable once its folder is; not every system can sync a folder.
        if let Ok(folder) = File::open(folder_of(&self.target)) {
            let _ = folder.sync_all();
        }
        Ok(())
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.output {
            Output::Beside(file) => file.write(bytes),
            Output::Direct(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.output {
            Output::Beside(file) => file.flush(),
            Output::Direct(file) => file.flush(),
        }
    }
}

/// Prints a line to standard error, whose reader may have gone away.
pub(crate) fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Writes a whole file.
pub(crate) fn write(target: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut file = AtomicFile::create(target)?;
    file.write_all(bytes)
        .with_context(|| format!("cannot write {}", target.display()))?;
    file.finish()
}

/// Writes a value as indented JSON with a final line feed.
pub(crate) fn write_json(target: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    write(target, text.as_bytes())
}

/// Prints to standard output; a reader that went away ends the program quietly.
pub(crate) fn print(text: &str) -> CommandResult<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(output_failure)
}

/// Sorts a failed write of a command's output.
pub(crate) fn output_failure(error: io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        Failure::OutputClosed
    } else {
        Failure::Failed(anyhow::Error::new(error).context("cannot write the output"))
    }
}

fn folder_of(target: &Path) -> &Path {
    match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
