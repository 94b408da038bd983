//! Files that are written whole or not at all, and standard output that may go away.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::builder::styling::Styles;
use serde::Serialize;
use tempfile::NamedTempFile;

use crate::failure::{CommandResult, Failure};

/// What the names of files that are not finished begin and end with.
const UNFINISHED: [&str; 2] = [".emma-", ".unfinished"];

/// After this time nobody is still writing to an unfinished file.
const ABANDONED: Duration = Duration::from_secs(3600);

/// Whether a file is one that a killed program left behind, or that a running one still writes.
pub(crate) fn is_unfinished(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with(UNFINISHED[0]) && name.ends_with(UNFINISHED[1])
}

/// Removes files that a killed program left behind in a folder that nobody else writes to; what cannot
/// be removed does no harm.
pub(crate) fn remove_unfinished(folder: &Path) {
    remove_unfinished_older_than(Duration::ZERO, folder);
}

/// The same in a folder that others may be writing to just now.
pub(crate) fn remove_abandoned(folder: &Path) {
    remove_unfinished_older_than(ABANDONED, folder);
}

fn remove_unfinished_older_than(age: Duration, folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let modified = entry.metadata().and_then(|about| about.modified());
        let is_old = || modified.is_ok_and(|time| time.elapsed().is_ok_and(|past| past >= age));
        if is_unfinished(&entry.file_name()) && is_old() {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// The file that writing to `named` would change: links followed, also those to files that are not
/// there yet.
pub(crate) fn resolve(named: &Path) -> PathBuf {
    const MOST_LINKS: usize = 16;
    let mut target = named.to_owned();
    for _ in 0..MOST_LINKS {
        if let Ok(canonical) = target.canonicalize() {
            return canonical;
        }
        match std::fs::read_link(&target) {
            Ok(link) => target = folder_of(&target).join(link),
            Err(_) => break,
        }
    }
    match (folder_of(&target).canonicalize(), target.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => target,
    }
}

/// The name of a file that belongs to another: `survey.csv` has its truth in `survey.truth.csv`.
pub(crate) fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.file_stem().unwrap_or_default().to_owned();
    name.push(".");
    name.push(ending);
    file.with_file_name(name)
}

/// Refuses to write two files into one, or over an input; each with its option. Devices and pipes may be
/// there more than once.
pub(crate) fn check_targets(
    outputs: &[(&str, Option<&Path>)],
    inputs: &[(&str, Option<&Path>)],
) -> CommandResult<()> {
    let mut taken: Vec<(&str, PathBuf)> = Vec::new();
    for (option, input) in inputs {
        if let Some(Ok(path)) = input.map(Path::canonicalize) {
            taken.push((option, path));
        }
    }
    for (option, output) in outputs {
        let Some(named) = output else { continue };
        let target = resolve(named);
        if target.metadata().is_ok_and(|about| !about.is_file()) {
            continue;
        }
        if let Some((other, _)) = taken.iter().find(|(_, path)| *path == target) {
            return Err(Failure::input(format!(
                "{option} {}: expected another file than {other}, got the same",
                named.display()
            )));
        }
        taken.push((option, target));
    }
    Ok(())
}

/// Whether this names the standard output, whatever that is: a file behind it belongs to whoever
/// redirected it.
fn is_standard_output(named: &Path) -> bool {
    ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"]
        .iter()
        .any(|name| named == Path::new(name))
}

/// A file that appears under its name only when [`finish`](Self::finish) is called; before that
/// an older file of that name stays as it is.
///
/// What is no regular file (a device, a pipe, the standard output) is written to directly; a link is
/// followed.
pub(crate) struct AtomicFile {
    target: PathBuf,
    output: Output,
}

enum Output {
    Beside(BufWriter<NamedTempFile>),
    Direct(BufWriter<File>),
    Standard(BufWriter<io::Stdout>),
}

impl AtomicFile {
    /// Opens a file to write; a place that cannot be written to is bad input.
    pub(crate) fn create(named: &Path) -> CommandResult<Self> {
        let refusal = |what: &str| Failure::input(format!("{}: {what}", named.display()));
        if is_standard_output(named) {
            return Ok(Self {
                target: named.to_owned(),
                output: Output::Standard(BufWriter::new(io::stdout())),
            });
        }
        let target = resolve(named);
        let ends_as_folder = named.as_os_str().to_string_lossy().ends_with('/');
        if target.is_dir() || ends_as_folder {
            return Err(refusal("expected a file to write, got a folder"));
        }
        if let Ok(existing) = std::fs::metadata(&target) {
            if !existing.is_file() {
                // Appending matters where a device leads to a file, such as /dev/stderr.
                let file = File::options().append(true).open(&target);
                let file = file.map_err(|error| refusal(&format!("cannot be written: {error}")))?;
                let output = Output::Direct(BufWriter::new(file));
                return Ok(Self { target, output });
            }
            if existing.permissions().readonly() {
                return Err(refusal(
                    "expected a file that may be written, it is read-only",
                ));
            }
        }
        let folder = folder_of(&target);
        if !folder.is_dir() {
            return Err(refusal(&format!(
                "expected a folder to write into, there is no {}",
                folder_of(named).display()
            )));
        }
        let mut builder = tempfile::Builder::new();
        builder.prefix(UNFINISHED[0]).suffix(UNFINISHED[1]);
        // Temporary files are private by default; results are for others to read as well. The
        // system takes the user's mask off this.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let beside = fault().and_then(|()| builder.tempfile_in(folder));
        match beside {
            Ok(beside) => Ok(Self {
                target,
                output: Output::Beside(BufWriter::new(beside)),
            }),
            Err(error) => {
                let is_input = matches!(
                    error.kind(),
                    io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
                );
                // Not the error itself, which has the temporary name.
                let reason = match error.raw_os_error() {
                    Some(code) => io::Error::from_raw_os_error(code).to_string(),
                    None if is_input => error.kind().to_string(),
                    None => error.to_string(),
                };
                let folder = folder_of(named).display();
                let message = anyhow::anyhow!("cannot write into {folder}: {reason}");
                Err(if is_input {
                    Failure::BadInput(message)
                } else {
                    Failure::Failed(message)
                })
            }
        }
    }

    /// Makes the contents durable and gives the file its name.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        let cannot = || format!("cannot write {}", self.target.display());
        let beside = match self.output {
            Output::Direct(mut file) => return file.flush().with_context(cannot),
            Output::Standard(mut file) => return file.flush().with_context(cannot),
            Output::Beside(beside) => beside,
        };
        fault().with_context(cannot)?;
        let beside = beside
            .into_inner()
            .map_err(io::IntoInnerError::into_error)
            .with_context(cannot)?;
        fault().with_context(cannot)?;
        beside.as_file().sync_all().with_context(cannot)?;
        if let Ok(existing) = std::fs::metadata(&self.target) {
            let permissions = existing.permissions();
            fault().with_context(cannot)?;
            beside
                .as_file()
                .set_permissions(permissions)
                .with_context(cannot)?;
        }
        fault().with_context(cannot)?;
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
        fault()?;
        match &mut self.output {
            Output::Beside(file) => file.write(bytes),
            Output::Direct(file) => file.write(bytes),
            Output::Standard(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.output {
            Output::Beside(file) => file.flush(),
            Output::Direct(file) => file.flush(),
            Output::Standard(file) => file.flush(),
        }
    }
}

/// Prints a line to standard error, whose reader may have gone away.
pub(crate) fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Prints an error's line, `error: …`, to standard error: its first word in red where that is a terminal that
/// has colors, and the user wants them (`NO_COLOR` unset).
pub(crate) fn tell_error(line: &str) {
    let word = "error:";
    let Some(rest) = line.strip_prefix(word) else {
        return tell(line);
    };
    let style = Styles::styled().get_error().to_owned();
    let _ = writeln!(anstream::stderr(), "{style}{word}{style:#}{rest}");
}

/// Writes a whole file.
pub(crate) fn write(target: &Path, bytes: &[u8]) -> CommandResult<()> {
    let mut file = AtomicFile::create(target)?;
    file.write_all(bytes)
        .with_context(|| format!("cannot write {}", target.display()))?;
    Ok(file.finish()?)
}

/// Writes a value as indented JSON with a final line feed.
pub(crate) fn write_json(target: &Path, value: &impl Serialize) -> CommandResult<()> {
    let mut text = serde_json::to_string_pretty(value).context("cannot write JSON")?;
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

/// Prints something as indented JSON.
pub(crate) fn print_json(value: &impl Serialize) -> CommandResult<()> {
    let text = serde_json::to_string_pretty(value).context("cannot print JSON")?;
    print(&format!("{text}\n"))
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

/// Stands before every operation on the disk that can fail; in tests, any of them does.
#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "it fails in tests")]
fn fault() -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
use tests::fault;

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        /// Operations that still succeed.
        static LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
    }

    pub(super) fn fault() -> io::Result<()> {
        let left = LEFT.get();
        LEFT.set(left.saturating_sub(1));
        if left == 0 {
            return Err(io::Error::other("the disk is gone"));
        }
        Ok(())
    }

    /// Writes in two pieces, with the operations after the first `n_good` failing.
    fn write_failing_after(n_good: usize, target: &Path, halves: [&[u8]; 2]) -> CommandResult<()> {
        LEFT.set(n_good);
        let attempt = || {
            let mut file = AtomicFile::create(target)?;
            for half in halves {
                file.write_all(half).context("cannot write")?;
            }
            Ok(file.finish()?)
        };
        let result = attempt();
        LEFT.set(usize::MAX);
        result
    }

    #[test]
    fn whatever_write_fails_the_old_file_or_the_new_one_is_there() {
        // Halves that fill the buffer, and halves that stay in it.
        for size in [10, 100_000] {
            let new = vec![b'n'; 2 * size];
            for old in [None, Some(b"old".to_vec())] {
                let folder = tempfile::tempdir().unwrap();
                let target = folder.path().join("file");
                if let Some(old) = &old {
                    std::fs::write(&target, old).unwrap();
                }
                let mut n_good = 0;
                while let Err(error) =
                    write_failing_after(n_good, &target, [&new[..size], &new[size..]])
                {
                    assert!(error.to_string().ends_with("the disk is gone"), "{error}");
                    assert_eq!(std::fs::read(&target).ok(), old, "{n_good} went well");
                    let left = std::fs::read_dir(folder.path()).unwrap().count();
                    assert_eq!(left, usize::from(old.is_some()), "nothing else is left");
                    n_good += 1;
                }
                // Create, two writes, flush, sync, permissions of an older file, rename.
                assert_eq!(n_good, 6 + usize::from(old.is_some()));
                assert_eq!(std::fs::read(&target).unwrap(), new);
            }
        }
    }
}
