//! Event files of TensorBoard.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// A file of events: records with a length and two checksums each (`TFRecord`), every one a message of
/// protocol buffers (`Event`) of which a few fields are enough.
pub(crate) struct EventFile {
    file: File,
}

impl EventFile {
    /// Begins a file in a folder, which is made if it is not there.
    pub(crate) fn create(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let now = seconds();
        // Another run may have begun in the same second.
        for number in 0..1000 {
            let name = format!("events.out.tfevents.{now:.0}.emma.{number}");
            match File::options()
                .write(true)
                .create_new(true)
                .open(folder.join(name))
            {
                Ok(file) => {
                    let mut events = Self { file };
                    let mut event = time_field();
                    bytes_field(&mut event, 3, b"brain.Event:2");
                    events.record(&event)?;
                    return Ok(events);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// One number of one step.
    pub(crate) fn scalar(&mut self, tag: &str, step: usize, value: f64) -> io::Result<()> {
        let mut summary_value = Vec::new();
        bytes_field(&mut summary_value, 1, tag.as_bytes());
        key(&mut summary_value, 2, 5);
        summary_value.extend((value as f32).to_le_bytes());
        let mut summary = Vec::new();
        bytes_field(&mut summary, 1, &summary_value);
        let mut event = time_field();
        key(&mut event, 2, 0);
        varint(&mut event, step as u64);
        bytes_field(&mut event, 5, &summary);
        self.record(&event)
    }

    fn record(&mut self, event: &[u8]) -> io::Result<()> {
        let length = (event.len() as u64).to_le_bytes();
        let mut record = Vec::with_capacity(event.len() + 16);
        record.extend(length);
        record.extend(masked_checksum(&length).to_le_bytes());
        record.extend(event);
        record.extend(masked_checksum(event).to_le_bytes());
        self.file.write_all(&record)
    }
}

fn seconds() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0., |now| now.as_secs_f64())
}

/// The event's time, its first field.
fn time_field() -> Vec<u8> {
    let mut event = Vec::new();
    key(&mut event, 1, 1);
    event.extend(seconds().to_le_bytes());
    event
}

fn key(message: &mut Vec<u8>, field: u64, wire_type: u64) {
    varint(message, field << 3 | wire_type);
}

fn varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push((value & 0x7f | 0x80) as u8);
        value >>= 7;
    }
    message.push(value as u8);
}

fn bytes_field(message: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    key(message, field, 2);
    varint(message, bytes.len() as u64);
    message.extend(bytes);
}

/// CRC-32C, rotated and shifted so that a checksum of something with a checksum in it is none.
fn masked_checksum(bytes: &[u8]) -> u32 {
    const SHIFT: u32 = 0xa282_ead8;
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(SHIFT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_laid_out_as_readers_expect_them() {
        let folder = tempfile::tempdir().unwrap();
        let mut events = EventFile::create(folder.path()).unwrap();
        events.scalar("base/0/training_loss", 300, 0.5).unwrap();
        // A second run of the same second has a file of its own.
        EventFile::create(folder.path()).unwrap();
        let mut files: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        assert_eq!(files.len(), 2);
        let bytes = std::fs::read(&files[0]).unwrap();
        let mut rest = bytes.as_slice();
        let mut payloads = Vec::new();
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            let of_length = u32::from_le_bytes(rest[8..12].try_into().unwrap());
            assert_eq!(of_length, masked_checksum(&rest[..8]));
            let payload = &rest[12..12 + length];
            let of_payload = u32::from_le_bytes(rest[12 + length..16 + length].try_into().unwrap());
            assert_eq!(of_payload, masked_checksum(payload));
            payloads.push(payload);
            rest = &rest[16 + length..];
        }
        assert!(payloads[0].ends_with(b"brain.Event:2"));
        // Key 2, varint 300; then key 5 of 29 bytes: key 1 of 27: the tag, and the value after key 2.
        let tail = &payloads[1][9..];
        assert_eq!(tail[..5], [0x10, 0xac, 0x02, 0x2a, 29]);
        assert_eq!(tail[5..9], [0x0a, 27, 0x0a, 20]);
        assert_eq!(&tail[9..29], b"base/0/training_loss");
        assert_eq!(tail[29], 0x15);
        assert_eq!(tail[30..], 0.5f32.to_le_bytes());
    }

    #[test]
    fn the_checksum_is_the_published_one() {
        // The check value of CRC-32C.
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
    }
}
