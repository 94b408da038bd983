//! Downloads from a server on loopback that behaves well or badly.
#![cfg(feature = "download")]
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

mod http_server;

use std::time::Duration;

use emma_data::{Archive, Error};
use http_server::{Answer, HttpServer, zip_of};

const ROWS: &[u8] = b"1,2,3,4,5,6,7,8,0\n1.5,2.5,3.5,4.5,5.5,6.5,7.5,8.5,1\n";
/// From `sha256sum`.
const SHA256_OF_ROWS: &str = "5ba9fe5780fe38678db4a3573cc4ae0011b02c48608f77254ad19ec5c159ac25";

fn archive(server: &HttpServer) -> Archive {
    Archive {
        url: server.url(),
        sha256: vec![SHA256_OF_ROWS.to_owned()],
        most_bytes: 100_000,
        silence: Duration::from_millis(300),
        ..Archive::htru2()
    }
}

fn fetch(answer: Answer) -> (HttpServer, emma_data::Result<Vec<u8>>) {
    let server = HttpServer::start(answer);
    let fetched = archive(&server).fetch(|_, _| {});
    (server, fetched)
}

fn message(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[test]
fn the_right_file_is_unpacked_and_its_progress_told() {
    for name in ["HTRU_2.csv", "HTRU2/HTRU_2.csv"] {
        let zip = zip_of(name, ROWS);
        let server = HttpServer::start(Answer::Whole(zip.clone()));
        let mut told = Vec::new();
        let file = archive(&server).fetch(|bytes, total| told.push((bytes, total)));
        assert_eq!(file.unwrap(), ROWS);
        let length = zip.len() as u64;
        assert_eq!(told.last(), Some(&(length, Some(length))));
        assert_eq!(server.requests(), 1);
    }
}

#[test]
fn a_redirection_is_followed() {
    let server = HttpServer::start(Answer::Whole(zip_of("HTRU_2.csv", ROWS)));
    let (_mirror, fetched) = fetch(Answer::MovedTo(server.url()));
    assert_eq!(fetched.unwrap(), ROWS);
}

#[test]
fn another_file_is_told_by_its_digest() {
    let (server, fetched) = fetch(Answer::Whole(zip_of("HTRU_2.csv", b"1,2,3\n")));
    let error = fetched.unwrap_err();
    assert!(!error.is_network_failure());
    assert_eq!(
        error.to_string(),
        format!(
            "HTRU_2.csv in {}: expected a file with SHA-256 {SHA256_OF_ROWS}, found \
             7a8988e95e356e2b5b8fecf5e31f7c2e7e8fb44a5cd9d89ebb0d1e60b1f5c689",
            server.url()
        )
    );
}

#[test]
fn failures_of_the_network_say_what_was_expected_and_what_came() {
    let zip = zip_of("HTRU_2.csv", ROWS);
    let half = zip.len() / 2;
    for (answer, expected) in [
        (
            Answer::Status(404),
            "expected HTTP status 200, found 404".to_owned(),
        ),
        (
            Answer::Status(503),
            "expected HTTP status 200, found 503".to_owned(),
        ),
        (
            Answer::Silence,
            "expected an answer within 0.3 s, found none".to_owned(),
        ),
        (
            Answer::HalfThenSilence(zip.clone()),
            "expected more of the file within 0.3 s, found none".to_owned(),
        ),
        (
            Answer::HalfThenClosed(zip.clone()),
            format!(
                "expected {} bytes, found the connection closed after {half} bytes",
                zip.len()
            ),
        ),
    ] {
        let (server, fetched) = fetch(answer);
        let error = fetched.unwrap_err();
        assert!(error.is_network_failure(), "{error}");
        assert_eq!(message(&error), format!("{}: {expected}", server.url()));
    }
}

#[test]
fn a_server_that_is_not_there_is_a_failure_of_the_network() {
    let server = HttpServer::start(Answer::Silence);
    let archive = archive(&server);
    drop(server);
    let error = archive.fetch(|_, _| {}).unwrap_err();
    assert!(matches!(error, Error::Connection { .. }), "{error:?}");
    assert!(
        message(&error).contains(": cannot be downloaded: "),
        "{error}"
    );
}

#[test]
fn an_address_that_is_none_is_nobodys_network() {
    for url in ["not an address", "", "htru2.zip"] {
        let archive = Archive {
            url: url.to_owned(),
            ..Archive::htru2()
        };
        let error = archive.fetch(|_, _| {}).unwrap_err();
        assert!(!error.is_network_failure(), "{error:?}");
        assert!(error.to_string().contains("expected an address"), "{error}");
    }
}

#[test]
fn what_is_no_archive_or_lacks_the_file_is_refused() {
    let url = |server: &HttpServer| server.url();
    let (server, fetched) = fetch(Answer::Whole(b"<html>We have moved</html>".to_vec()));
    let expected = "expected a zip archive with HTRU_2.csv in it, found something else";
    let error = fetched.unwrap_err();
    assert!(message(&error).starts_with(&format!("{}: {expected}: ", url(&server))));
    let (server, fetched) = fetch(Answer::Whole(zip_of("Readme.txt", ROWS)));
    let error = fetched.unwrap_err();
    assert_eq!(message(&error), format!("{}: {expected}", url(&server)));
    // One flipped bit in the packed bytes fails the archive's own checksum.
    let mut zip = zip_of("HTRU_2.csv", ROWS);
    zip[50] ^= 4;
    let (_, fetched) = fetch(Answer::Whole(zip));
    assert!(matches!(fetched, Err(Error::NotAnArchive { .. })));
}

#[test]
fn memory_is_bounded_whatever_the_server_sends() {
    let (server, fetched) = fetch(Answer::Endless);
    let expected = format!(
        "{}: expected at most 100000 bytes, found more",
        server.url()
    );
    assert_eq!(fetched.unwrap_err().to_string(), expected);
    // A small archive may unpack to a large file.
    let (_, fetched) = fetch(Answer::Whole(zip_of("HTRU_2.csv", &vec![b'0'; 100_001])));
    assert!(matches!(fetched, Err(Error::DownloadTooLarge { .. })));
}
