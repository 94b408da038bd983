//! Fetching one file of a published zip archive over HTTP.

use std::io::{self, Cursor, Read};
use std::time::Duration;

use sha2::{Digest, Sha256};
use zip::ZipArchive;

use crate::error::{Error, Result};
use crate::hexadecimal::hexadecimal;
use crate::htru2;

/// Longest that a whole download may take, however steadily its bytes drip in.
const LONGEST: Duration = Duration::from_secs(600);
/// Bytes asked of the connection at a time.
const PIECE: usize = 64 << 10;

/// A published zip archive, and the file in it that is wanted.
///
/// Who serves the archive need not be trusted: the file is told by its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Where the archive is. An `https` address is never left for an unencrypted one.
    pub url: String,
    /// Name of the file in the archive; folders before it do not count.
    pub member: String,
    /// Digests (SHA-256, lowercase hexadecimal) that the file may have.
    pub sha256: Vec<String>,
    /// Most bytes that the archive may have, and that the file may have.
    pub most_bytes: usize,
    /// Longest wait for an answer, and for each further part of it. In seconds in errors.
    pub silence: Duration,
}

impl Archive {
    /// The archive that holds HTRU2, at the repository that publishes it.
    ///
    /// Ten seconds of silence are too much.
    pub fn htru2() -> Self {
        Self {
            url: htru2::ARCHIVE_URL.to_owned(),
            member: htru2::ARCHIVE_MEMBER.to_owned(),
            sha256: vec![htru2::SHA256_LF.to_owned(), htru2::SHA256_CRLF.to_owned()],
            most_bytes: 16 << 20,
            silence: Duration::from_secs(10),
        }
    }

    /// Downloads the archive into memory and unpacks the file.
    ///
    /// `on_bytes` is told after every piece how many bytes have come, and how many there will be if
    /// the server says so. Nothing is written to disk. Environment variables such as `HTTPS_PROXY`
    /// are respected.
    ///
    /// # Errors
    /// - [`Error::HttpStatus`], [`Error::NoAnswer`], [`Error::DownloadCut`] and
    ///   [`Error::Connection`] for failures of the network or the server;
    /// - [`Error::DownloadTooLarge`], [`Error::NotAnArchive`] and [`Error::WrongDigest`] for an answer
    ///   that is not the archive.
    pub fn fetch(&self, on_bytes: impl FnMut(u64, Option<u64>)) -> Result<Vec<u8>> {
        let file = self.unpack(&self.download(on_bytes)?)?;
        let found = hexadecimal(&Sha256::digest(&file));
        if self.sha256.contains(&found) {
            return Ok(file);
        }
        Err(Error::WrongDigest {
            file: format!("{} in {}", self.member, self.url),
            expected: self.sha256.clone(),
            found,
        })
    }

    fn download(&self, mut on_bytes: impl FnMut(u64, Option<u64>)) -> Result<Vec<u8>> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .https_only(self.url.to_ascii_lowercase().starts_with("https:"))
            .timeout_resolve(Some(self.silence))
            .timeout_connect(Some(self.silence))
            .timeout_per_read(Some(self.silence))
            .timeout_per_write(Some(self.silence))
            .timeout_global(Some(LONGEST))
            .build()
            .into();
        let answer = agent.get(&self.url).call();
        let body = answer
            .map_err(|error| self.failure(error, "an answer"))?
            .into_body();
        let length = body.content_length();
        if length.is_some_and(|length| length > self.most_bytes as u64) {
            return Err(self.too_large());
        }
        let mut source = body.into_reader();
        let mut bytes = Vec::new();
        let mut piece = vec![0; PIECE];
        loop {
            match source.read(&mut piece) {
                Ok(0) => break,
                Ok(n_read) => bytes.extend_from_slice(&piece[..n_read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(self.cut(length, bytes.len()));
                }
                Err(error) => return Err(self.failure(error.into(), "more of the file")),
            }
            if bytes.len() > self.most_bytes {
                return Err(self.too_large());
            }
            on_bytes(bytes.len() as u64, length);
        }
        if length.is_some_and(|length| length != bytes.len() as u64) {
            return Err(self.cut(length, bytes.len()));
        }
        Ok(bytes)
    }

    fn unpack(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        let broken = |source: Option<zip::result::ZipError>| Error::NotAnArchive {
            url: self.url.clone(),
            member: self.member.clone(),
            source: source.map(Into::into),
        };
        let mut archive =
            ZipArchive::new(Cursor::new(bytes)).map_err(|error| broken(Some(error)))?;
        let index = (0..archive.len()).find(|&index| {
            let name = archive
                .name_for_index(index)
                .and_then(std::result::Result::ok);
            name.is_some_and(|name| name.rsplit('/').next() == Some(self.member.as_str()))
        });
        let index = index.ok_or_else(|| broken(None))?;
        let member = archive
            .by_index(index)
            .map_err(|error| broken(Some(error)))?;
        let mut file = Vec::new();
        // What the archive says of the file's size is not believed.
        let mut limited = member.take((self.most_bytes as u64).saturating_add(1));
        limited
            .read_to_end(&mut file)
            .map_err(|error| broken(Some(error.into())))?;
        if file.len() > self.most_bytes {
            return Err(self.too_large());
        }
        Ok(file)
    }

    fn failure(&self, error: ureq::Error, awaited: &'static str) -> Error {
        let url = self.url.clone();
        match error {
            ureq::Error::StatusCode(found) => Error::HttpStatus { url, found },
            ureq::Error::Timeout(ureq::Timeout::Global) => Error::NoAnswer {
                url,
                wait: LONGEST,
                what: "the whole file",
            },
            ureq::Error::Timeout(_) => Error::NoAnswer {
                url,
                wait: self.silence,
                what: awaited,
            },
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => Error::Address { url },
            error => Error::Connection {
                url,
                source: error.into(),
            },
        }
    }

    fn cut(&self, expected: Option<u64>, found: usize) -> Error {
        Error::DownloadCut {
            url: self.url.clone(),
            expected,
            found,
        }
    }

    fn too_large(&self) -> Error {
        Error::DownloadTooLarge {
            url: self.url.clone(),
            most: self.most_bytes,
        }
    }
}
