//! A small HTTP server on loopback that answers well or badly, for tests of downloads.
#![allow(dead_code, clippy::unwrap_used)] // Each test file uses what it needs; a panic is the report.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

/// How the server answers every request.
#[derive(Clone)]
pub(crate) enum Answer {
    /// Status 200 and all of the bytes.
    Whole(Vec<u8>),
    /// Another status.
    Status(u16),
    /// Nothing at all, the connection stays open.
    Silence,
    /// Status 200, the first half of the bytes, and then silence.
    HalfThenSilence(Vec<u8>),
    /// Status 200, the first half of the bytes, and then the connection is closed.
    HalfThenClosed(Vec<u8>),
    /// As many bytes as the client takes, without saying how many.
    Endless,
    /// A redirection.
    MovedTo(String),
}

/// Serves until it is dropped.
pub(crate) struct HttpServer {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl HttpServer {
    pub(crate) fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let stopped = Arc::new(AtomicBool::new(false));
        let (count, stop) = (Arc::clone(&requests), Arc::clone(&stopped));
        let thread = std::thread::spawn(move || {
            // Silent connections stay open for as long as the server lives.
            let mut open = Vec::new();
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let mut stream = stream.unwrap();
                if read_request(&mut stream) {
                    count.fetch_add(1, Ordering::SeqCst);
                    // A client may hang up at any time.
                    let _ = respond(&mut stream, &answer);
                }
                if matches!(answer, Answer::Silence | Answer::HalfThenSilence(_)) {
                    open.push(stream);
                }
            }
        });
        Self {
            address,
            requests,
            stopped,
            thread: Some(thread),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/htru2.zip", self.address)
    }

    /// Requests that came so far.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for a connection.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Reads a request's head; false if the client went away.
fn read_request(stream: &mut TcpStream) -> bool {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return false,
        }
    }
    true
}

fn respond(stream: &mut TcpStream, answer: &Answer) -> std::io::Result<()> {
    let head = |status: &str, length: usize| {
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")
    };
    match answer {
        Answer::Whole(bytes) => {
            stream.write_all(head("200 OK", bytes.len()).as_bytes())?;
            stream.write_all(bytes)
        }
        Answer::HalfThenSilence(bytes) | Answer::HalfThenClosed(bytes) => {
            stream.write_all(head("200 OK", bytes.len()).as_bytes())?;
            stream.write_all(&bytes[..bytes.len() / 2])
        }
        Answer::Status(status) => stream.write_all(head(&format!("{status} Sorry"), 0).as_bytes()),
        Answer::Silence => Ok(()),
        Answer::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            loop {
                stream.write_all(&[b'x'; 4096])?;
            }
        }
        Answer::MovedTo(url) => stream.write_all(
            format!("HTTP/1.1 302 Found\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n")
                .as_bytes(),
        ),
    }
}

/// A zip archive with one file in it.
pub(crate) fn zip_of(name: &str, contents: &[u8]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    writer.start_file(name, options).unwrap();
    writer.write_all(contents).unwrap();
    writer.finish().unwrap().into_inner()
}
