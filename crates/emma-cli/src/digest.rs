//! SHA-256 of bytes and files, as hexadecimal digits.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use emma_data::Samples;
use sha2::{Digest, Sha256};

pub(crate) fn of_bytes(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// Of a file of any size, read once.
pub(crate) fn of_file(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut sha256 = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hexadecimal(&sha256.finalize())),
            n_read => sha256.update(&buffer[..n_read]),
        }
    }
}

/// Of the values of all modes, mode by mode and row by row, little-endian, and the labels behind them.
pub(crate) fn of_samples(samples: &Samples) -> String {
    let mut sha256 = Sha256::new();
    for value in samples.modes().iter().flat_map(|mode| &mode.values) {
        sha256.update(value.to_le_bytes());
    }
    sha256.update(samples.labels());
    hexadecimal(&sha256.finalize())
}

fn hexadecimal(digest: &[u8]) -> String {
    let mut text = String::new();
    for byte in digest {
        let _ = write!(text, "{byte:02x}"); // Writing to a String cannot fail.
    }
    text
}
