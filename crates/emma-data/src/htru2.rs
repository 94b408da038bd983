//! The HTRU2 pulsar candidates, and tables with the same columns.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::feature_reader::LabelColumn;
use crate::hexadecimal::hexadecimal;
use crate::missing_values::MissingValues;
use crate::samples::{ModeColumns, Samples, count_rows};
use crate::table_reader::TableReader;

/// Mode of the integrated pulse profile: columns 1 to 4.
pub const PROFILE_MODE: &str = "ip";
/// Mode of the DM-SNR curve: columns 5 to 8.
pub const DISPERSION_MODE: &str = "dm";
/// Columns of the integrated pulse profile, in the file's order.
pub const PROFILE_COLUMNS: [&str; 4] = ["ip_mean", "ip_std", "ip_skewness", "ip_excess_kurtosis"];
/// Columns of the DM-SNR curve, in the file's order.
pub const DISPERSION_COLUMNS: [&str; 4] =
    ["dm_mean", "dm_std", "dm_skewness", "dm_excess_kurtosis"];
/// Column of the label: 1 is a pulsar, 0 is not.
pub const LABEL_COLUMN: &str = "label";
/// All nine columns, in the file's order.
pub const COLUMNS: [&str; 9] = [
    "ip_mean",
    "ip_std",
    "ip_skewness",
    "ip_excess_kurtosis",
    "dm_mean",
    "dm_std",
    "dm_skewness",
    "dm_excess_kurtosis",
    "label",
];

/// Where the archive with the data set is published.
pub const ARCHIVE_URL: &str = "https://archive.ics.uci.edu/static/public/372/htru2.zip";
/// The file in the archive that holds the rows.
pub const ARCHIVE_MEMBER: &str = "HTRU_2.csv";
/// SHA-256 of `HTRU_2.csv` with LF line ends.
pub const SHA256_LF: &str = "b2b388ceaa9718d00f6feba97bfe7096ee61996526cee2bea94e9dd034e9cbbe";
/// SHA-256 of the same rows with CRLF line ends.
pub const SHA256_CRLF: &str = "139e76865edd265a132d1937565f0ee1aad508ed2a0afe158dad9d75b165fc74";

/// Most bytes that HTRU2 can have: 1,748,013 with CRLF line ends, rounded up.
const MOST_BYTES: usize = 2 << 20;

/// The two modes of HTRU2 with their columns.
///
/// Each mode is four moments of a curve, in the order mean, population standard deviation, skewness,
/// excess kurtosis.
///
/// # Units
/// Of the moments: the curve's, the curve's, and none for the two shapes.
///
/// # Source
/// R. J. Lyon et al., MNRAS 459:1104 (2016). The readme in the archive calls columns 3 and 7 excess
/// kurtosis and columns 4 and 8 skewness. It is the other way round, and the data say so: every
/// distribution has `excess kurtosis ≥ skewness² − 2`. Under the readme's names, 17,400 of the 17,898
/// rows would break this (3,010 in the profile, 16,655 in the DM-SNR curve); under these, none does.
pub fn modes() -> [ModeColumns; 2] {
    [
        ModeColumns::new(PROFILE_MODE, PROFILE_COLUMNS),
        ModeColumns::new(DISPERSION_MODE, DISPERSION_COLUMNS),
    ]
}

/// Rows with HTRU2's columns, and the digest of the file that they came from.
#[derive(Debug, Clone, PartialEq)]
pub struct CandidateTable {
    /// The rows, in modes [`PROFILE_MODE`] and [`DISPERSION_MODE`].
    pub samples: Samples,
    /// SHA-256 of the file's bytes, in lowercase hexadecimal.
    pub sha256: String,
}

impl CandidateTable {
    /// Whether the rows are HTRU2 itself, told by the digest.
    pub fn is_htru2(&self) -> bool {
        is_htru2(&self.sha256)
    }
}

/// Reads HTRU2, and nothing but HTRU2: 17,898 rows, 1,639 of them pulsars.
///
/// The digest is checked before anything is parsed. A longer file than HTRU2 is read through for its
/// digest but not kept.
///
/// # Errors
/// [`Error::Open`], [`Error::ReadWhole`]; [`Error::WrongDigest`] if the file's SHA-256 is neither
/// [`SHA256_LF`] nor [`SHA256_CRLF`].
pub fn read_htru2(path: impl AsRef<Path>) -> Result<CandidateTable> {
    let (file, name) = open(path.as_ref())?;
    let (bytes, sha256) = match read_at_most(file, MOST_BYTES) {
        Ok(read) => read,
        Err(source) => return Err(Error::ReadWhole { file: name, source }),
    };
    check_digest(&name, &sha256)?;
    let samples = Samples::read(&*bytes, name, &modes(), LABEL_COLUMN)?;
    Ok(CandidateTable { samples, sha256 })
}

/// Reads HTRU2 from bytes already in memory, such as those of a downloaded archive; `file` is their
/// name in errors.
///
/// # Errors
/// [`Error::WrongDigest`], as [`read_htru2`].
pub fn parse_htru2(bytes: &[u8], file: impl Into<String>) -> Result<CandidateTable> {
    let file = file.into();
    check_digest(&file, &hexadecimal(&Sha256::digest(bytes)))?;
    parse_candidates(bytes, file)
}

/// Reads any table with HTRU2's nine columns that [`TableReader`] can read.
///
/// The digest is that of the file's bytes, packed as they are; it is computed and reported, not
/// checked. Memory grows with a good table; a bad one is found out before any of it is kept, unless it
/// is no regular file that can be read twice.
///
/// # Errors
/// [`Error::Open`], and those of [`Samples::open`].
pub fn read_candidates(path: impl AsRef<Path>) -> Result<CandidateTable> {
    let (mut file, name) = open(path.as_ref())?;
    let features = &COLUMNS[..COLUMNS.len() - 1];
    let label = LabelColumn::Required(LABEL_COLUMN.to_owned());
    let unopened = |source| Error::Open {
        file: name.clone(),
        source,
    };
    let table = |file: &File| {
        let file = file.try_clone().map_err(unopened)?;
        TableReader::of_file(
            file,
            name.clone(),
            features,
            label.clone(),
            MissingValues::Refuse,
        )
    };
    let mut n_rows = 0;
    if file.metadata().is_ok_and(|about| about.is_file()) {
        let reader = table(&file)?;
        let jumps = reader.jumps();
        n_rows = count_rows(reader)?;
        file.rewind().map_err(unopened)?;
        if jumps {
            let (_, sha256) = read_at_most(&file, 0).map_err(|source| Error::ReadWhole {
                file: name.clone(),
                source,
            })?;
            file.rewind().map_err(unopened)?;
            let samples = Samples::read_rows(table(&file)?, &modes(), n_rows)?;
            return Ok(CandidateTable { samples, sha256 });
        }
    }
    let mut file = HashingReader {
        source: file,
        hasher: Sha256::new(),
    };
    let reader = TableReader::new(&mut file, name, features, label, MissingValues::Refuse)?;
    let samples = Samples::read_rows(reader, &modes(), n_rows)?;
    // The samples were read to the end of the file, so all of it was hashed.
    let sha256 = hexadecimal(&file.hasher.finalize());
    Ok(CandidateTable { samples, sha256 })
}

/// Reads a table with HTRU2's nine columns from bytes already in memory; `file` is their name in errors.
///
/// # Errors
/// Those of [`Samples::read`].
pub fn parse_candidates(bytes: &[u8], file: impl Into<String>) -> Result<CandidateTable> {
    let samples = Samples::read(bytes, file, &modes(), LABEL_COLUMN)?;
    let sha256 = hexadecimal(&Sha256::digest(bytes));
    Ok(CandidateTable { samples, sha256 })
}

fn open(path: &Path) -> Result<(File, String)> {
    let name = path.display().to_string();
    match File::open(path) {
        Ok(file) => Ok((file, name)),
        Err(source) => Err(Error::Open { file: name, source }),
    }
}

/// The first `most` bytes of `source`, and the digest of all of them.
fn read_at_most(source: impl Read, most: usize) -> io::Result<(Vec<u8>, String)> {
    let mut source = HashingReader {
        source,
        hasher: Sha256::new(),
    };
    let mut bytes = Vec::new();
    source.by_ref().take(most as u64).read_to_end(&mut bytes)?;
    io::copy(&mut source, &mut io::sink())?;
    Ok((bytes, hexadecimal(&source.hasher.finalize())))
}

fn is_htru2(sha256: &str) -> bool {
    [SHA256_LF, SHA256_CRLF].contains(&sha256)
}

fn check_digest(file: &str, sha256: &str) -> Result<()> {
    if is_htru2(sha256) {
        return Ok(());
    }
    Err(Error::WrongDigest {
        file: file.to_owned(),
        expected: vec![SHA256_LF.to_owned(), SHA256_CRLF.to_owned()],
        found: sha256.to_owned(),
    })
}

/// Passes bytes on and hashes them on the way.
struct HashingReader<R> {
    source: R,
    hasher: Sha256,
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n_read = self.source.read(buffer)?;
        self.hasher.update(&buffer[..n_read]);
        Ok(n_read)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::fs;

    use ndarray::array;
    use tempfile::tempdir;

    use super::{COLUMNS, modes, parse_htru2, read_at_most, read_candidates, read_htru2};

    const ROWS: &str = "1,2,3,4,5,6,7,8,0\n1.5,2.5,3.5,4.5,5.5,6.5,7.5,8.5,1\n";
    /// From `sha256sum`.
    const SHA256_OF_ROWS: &str = "5ba9fe5780fe38678db4a3573cc4ae0011b02c48608f77254ad19ec5c159ac25";

    #[test]
    fn the_modes_and_the_label_are_the_nine_columns() {
        let mut columns: Vec<String> = modes().into_iter().flat_map(|mode| mode.columns).collect();
        columns.push(super::LABEL_COLUMN.to_owned());
        assert_eq!(columns, COLUMNS);
    }

    #[test]
    fn candidates_are_read_with_a_header_and_without() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("candidates.csv");
        fs::write(&path, ROWS).unwrap();
        let bare = read_candidates(&path).unwrap();
        assert_eq!(bare.samples.labels(), [0, 1]);
        assert_eq!(
            bare.samples.mode("dm").unwrap().values,
            array![[5.0, 6.0, 7.0, 8.0], [5.5, 6.5, 7.5, 8.5]]
        );
        assert_eq!(bare.sha256, SHA256_OF_ROWS);
        assert!(!bare.is_htru2());

        fs::write(&path, format!("{}\n{ROWS}", COLUMNS.join(","))).unwrap();
        let headed = read_candidates(&path).unwrap();
        assert_eq!(headed.samples, bare.samples);
        assert_ne!(headed.sha256, bare.sha256);
    }

    #[test]
    fn another_file_is_not_htru2() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("HTRU_2.csv");
        fs::write(&path, ROWS).unwrap();
        let expected = format!(
            "{}: expected a file with SHA-256 \
             b2b388ceaa9718d00f6feba97bfe7096ee61996526cee2bea94e9dd034e9cbbe or \
             139e76865edd265a132d1937565f0ee1aad508ed2a0afe158dad9d75b165fc74, \
             found {SHA256_OF_ROWS}",
            path.display()
        );
        assert_eq!(read_htru2(&path).unwrap_err().to_string(), expected);
        let error = parse_htru2(ROWS.as_bytes(), path.display().to_string()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_file_too_long_for_htru2_is_hashed_but_not_kept() {
        let (bytes, sha256) = read_at_most(ROWS.as_bytes(), 5).unwrap();
        assert_eq!(bytes, b"1,2,3");
        assert_eq!(sha256, SHA256_OF_ROWS);
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("HTRU_2.csv");
        for error in [
            read_htru2(&path).unwrap_err(),
            read_candidates(&path).unwrap_err(),
        ] {
            assert_eq!(
                error.to_string(),
                format!("{}: cannot be opened", path.display())
            );
            assert!(error.source().is_some());
        }
    }

    #[test]
    fn a_folder_cannot_be_read() {
        let folder = tempdir().unwrap();
        // Unix opens folders and fails to read them; Windows does not open them.
        for error in [
            read_htru2(folder.path()).unwrap_err(),
            read_candidates(folder.path()).unwrap_err(),
        ] {
            assert!(error.to_string().contains(": cannot be "), "{error}");
        }
        // It was no line that could not be read.
        let error = read_htru2(folder.path()).unwrap_err().to_string();
        assert!(!error.contains("line"), "{error}");
    }
}
