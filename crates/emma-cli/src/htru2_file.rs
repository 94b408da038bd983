//! HTRU2 in the data folder, downloaded if it is not there.

use std::path::{Path, PathBuf};

use anyhow::Context;
use emma_data::htru2::{ARCHIVE_URL, parse_htru2};
use emma_data::{Archive, CandidateTable, read_htru2};

use crate::failure::{CommandResult, Failure};
use crate::files;
use crate::progress::Progress;

/// Names another place that has the archive, such as a mirror behind an institute's firewall.
const MIRROR: &str = "EMMA_HTRU2_URL";

/// HTRU2's place in a data folder.
pub(crate) fn path_in(data_folder: &Path) -> PathBuf {
    data_folder.join("htru2").join("HTRU_2.csv")
}

/// Reads HTRU2 from the data folder; none if it is not there. Another file in its place is an error.
pub(crate) fn read(data_folder: &Path) -> CommandResult<Option<CandidateTable>> {
    let path = path_in(data_folder);
    // Not `exists`, which takes a folder that may not be looked into for an absent file.
    match path.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        _ => Ok(Some(read_htru2(&path)?)),
    }
}

/// Downloads HTRU2 into memory and checks it; nothing is written.
pub(crate) fn download(quiet: bool) -> CommandResult<Download> {
    let mut archive = Archive::htru2();
    if let Some(url) = std::env::var_os(MIRROR).filter(|url| !url.is_empty()) {
        archive.url = url.into_string().map_err(|url| {
            Failure::input(format!(
                "{MIRROR}: expected an address, got {}",
                url.display()
            ))
        })?;
    }
    let progress = Progress::bytes(quiet);
    progress.note(&format!("downloading HTRU2 from {}", archive.url));
    let fetched = archive.fetch(|bytes, total| progress.at(bytes, total));
    progress.finish();
    let bytes = fetched?;
    let table = parse_htru2(&bytes, archive.url)?;
    Ok(Download { bytes, table })
}

/// HTRU2 from the data folder; downloaded and kept there if it is not there yet.
///
/// The inner result is that of the download, so that callers may do without: a wrong file in the data
/// folder is an error whatever was asked for.
pub(crate) fn read_or_download(
    data_folder: &Path,
    quiet: bool,
) -> CommandResult<CommandResult<CandidateTable>> {
    if let Some(table) = read(data_folder)? {
        return Ok(Ok(table));
    }
    let download = match download(quiet) {
        Ok(download) => download,
        Err(failure) => return Ok(Err(explain(failure, data_folder))),
    };
    if let Err(error) = download.keep(data_folder) {
        // The rows are there, and the next run may have them from the network again.
        files::tell(&format!("warning: cannot keep HTRU2: {error}"));
    }
    Ok(Ok(download.table))
}

/// HTRU2 as it came, checked.
pub(crate) struct Download {
    bytes: Vec<u8>,
    pub(crate) table: CandidateTable,
}

impl Download {
    /// Writes it to its place in the data folder, whole or not at all.
    pub(crate) fn keep(&self, data_folder: &Path) -> CommandResult<()> {
        let path = path_in(data_folder);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot create {}", folder.display()))?;
            files::remove_abandoned(folder);
        }
        files::write(&path, &self.bytes)
    }
}

/// A failed download, with what to do about it.
pub(crate) fn explain(failure: Failure, data_folder: &Path) -> Failure {
    let advice = format!(
        "cannot download HTRU2 (unpack HTRU_2.csv from {ARCHIVE_URL} to {} by hand, or name a mirror \
         in {MIRROR})",
        path_in(data_folder).display()
    );
    failure.context(advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_download_is_kept_whole_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let data_folder = folder.path().join("data");
        let bytes = b"1,2,3,4,5,6,7,8,0\n1.5,2.5,3.5,4.5,5.5,6.5,7.5,8.5,1\n".to_vec();
        let table = emma_data::htru2::parse_candidates(&bytes, "rows").unwrap();
        let download = Download { bytes, table };
        for _ in 0..2 {
            download.keep(&data_folder).unwrap();
            let path = path_in(&data_folder);
            assert_eq!(std::fs::read(&path).unwrap(), download.bytes);
            let left = std::fs::read_dir(path.parent().unwrap()).unwrap();
            assert_eq!(left.count(), 1);
        }
        // Where a file is in the way of the folder, nothing is kept and nothing is lost.
        let blocked = folder.path().join("blocked");
        std::fs::write(&blocked, "mine").unwrap();
        assert!(download.keep(&blocked).is_err());
        assert_eq!(std::fs::read(&blocked).unwrap(), b"mine");
    }
}
