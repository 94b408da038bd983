//! One table, however it is packed: the same chunks, and errors that name file and place.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

#[cfg(feature = "parquet")]
#[path = "tables/parquet.rs"]
mod parquet_tables;

use std::error::Error as _;
use std::fmt::Write as _;
use std::io::{self, Read, Write as _};

use emma_data::{
    Chunk, Error, LabelColumn, MissingValues, Result, TableReader, generator, htru2,
    read_candidates,
};
use proptest::prelude::*;
use rand::Rng;
use sha2::Digest as _;

const FEATURES: [&str; 3] = ["y", "x", "z"];

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn digest(bytes: &[u8]) -> String {
    let digest = sha2::Sha256::digest(bytes);
    let mut text = String::new();
    for byte in digest {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

/// Columns x, y, z and label of random rows.
fn columns(n_rows: usize, seed: u64) -> ([Vec<f32>; 3], Vec<u8>) {
    let mut rng = generator(seed, "table");
    let mut column = || {
        (0..n_rows)
            .map(|_| rng.random_range(-1e6_f32..1e6))
            .collect()
    };
    let features = [column(), column(), column()];
    let labels = (0..n_rows).map(|_| rng.random_range(0..=1)).collect();
    (features, labels)
}

fn text(features: &[Vec<f32>; 3], labels: &[u8]) -> String {
    let mut table = "x,y,z,label\n".to_owned();
    for (row, label) in labels.iter().enumerate() {
        let [x, y, z] = [0, 1, 2].map(|column: usize| features[column][row]);
        writeln!(table, "{x},{y},{z},{label}").unwrap();
    }
    table
}

fn open<'a>(table: impl Read + Send + 'a, missing: MissingValues) -> Result<TableReader<'a>> {
    let label = LabelColumn::Required("label".to_owned());
    TableReader::new(table, "table", &FEATURES, label, missing)
}

fn read(table: &[u8]) -> Result<Chunk> {
    open(table, MissingValues::Refuse)?.read_all()
}

#[test]
fn packed_text_gives_the_chunks_of_plain_text() {
    let (features, labels) = columns(10_000, 1);
    let plain = text(&features, &labels).into_bytes();
    let expected = read(&plain).unwrap();
    assert_eq!(expected.n_rows(), 10_000);
    assert_eq!(
        expected.values()[..3],
        [features[1][0], features[0][0], features[2][0]]
    );
    let (first, second) = plain.split_at(100_003);
    for pack in [gzip, zstd] {
        assert_eq!(read(&pack(&plain)).unwrap(), expected);
        // Parts that were packed one by one.
        let parts = [pack(first), pack(second), pack(b"")].concat();
        assert_eq!(read(&parts).unwrap(), expected);
    }
    // A frame to be skipped in front, as some programs write it.
    let skipped = [&b"\x50\x2a\x4d\x18\x03\0\0\0abc"[..], &zstd(&plain)].concat();
    assert_eq!(read(&skipped).unwrap(), expected);
}

#[test]
fn a_cut_stream_is_an_error_wherever_it_is_cut() {
    let (features, labels) = columns(300, 2);
    let plain = text(&features, &labels).into_bytes();
    for (pack, name) in [(gzip as fn(&[u8]) -> Vec<u8>, "gzip"), (zstd, "zstd")] {
        let packed = pack(&plain);
        for length in (4..packed.len())
            .step_by(7)
            .chain(packed.len() - 9..packed.len())
        {
            match read(&packed[..length]).unwrap_err() {
                Error::DamagedStream {
                    file, compression, ..
                } => assert_eq!((file.as_str(), compression), ("table", name)),
                error => panic!("{name} cut to {length} bytes: {error}"),
            }
        }
    }
}

#[test]
fn a_wrong_checksum_is_found() {
    let (features, labels) = columns(300, 3);
    let plain = text(&features, &labels).into_bytes();
    // The last bytes: gzip's CRC-32 and length, zstd's checksum.
    for (pack, from_end) in [
        (gzip as fn(&[u8]) -> Vec<u8>, 8),
        (gzip, 4),
        (zstd, 4),
        (zstd, 1),
    ] {
        let mut packed = pack(&plain);
        let position = packed.len() - from_end;
        packed[position] ^= 1;
        let error = read(&packed).unwrap_err();
        assert!(matches!(error, Error::DamagedStream { .. }), "{error}");
    }
}

#[test]
fn a_source_that_fails_is_not_called_damaged() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::new(io::ErrorKind::ConnectionReset, "unplugged"))
        }
    }
    let (features, labels) = columns(300, 4);
    let plain = text(&features, &labels).into_bytes();
    for bytes in [plain.clone(), gzip(&plain), zstd(&plain)] {
        let half = bytes.len() / 2;
        let error = open(bytes[..half].chain(Broken), MissingValues::Refuse)
            .and_then(TableReader::read_all)
            .unwrap_err();
        let Error::Read { source, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(source.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(source.to_string(), "unplugged");
    }
}

#[test]
fn missing_values_become_nan_only_if_asked() {
    let table = b"x,y,z,label\n1,2,3,0\n,2,NaN,1\n4,null,6,1\n7,NA,9,0\n";
    let error = read(table).unwrap_err();
    assert_eq!(
        error.to_string(),
        "table: line 3: expected a number in column \"x\" (column 1), found \"\""
    );
    let mut reader = open(&table[..], MissingValues::AsNan).unwrap();
    let mut chunk = Chunk::new();
    assert!(reader.next_chunk(10, &mut chunk).unwrap());
    let found: Vec<Option<f32>> = chunk
        .values()
        .iter()
        .map(|&value| (!value.is_nan()).then_some(value))
        .collect();
    let expected = [
        [Some(2.0), Some(1.0), Some(3.0)],
        [Some(2.0), None, None],
        [None, Some(4.0), Some(6.0)],
        [None, Some(7.0), Some(9.0)],
    ];
    assert_eq!(found, expected.concat());
    assert_eq!(reader.n_missing(), [2, 1, 1]);

    for (row, found) in [
        ("1,2,3,", "\"\""),
        ("1,2,inf,0", "\"inf\""),
        ("1,-,3,0", "\"-\""),
    ] {
        let table = format!("x,y,z,label\n{row}\n");
        let error = open(table.as_bytes(), MissingValues::AsNan)
            .and_then(TableReader::read_all)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("line 2") && error.ends_with(found),
            "{error}"
        );
    }
}

#[test]
fn a_first_row_with_a_missing_value_is_no_header() {
    let table = b"1,,3,0\n4,5,6,1\n";
    let chunk = open(&table[..], MissingValues::AsNan)
        .and_then(TableReader::read_all)
        .unwrap();
    assert_eq!(chunk.n_rows(), 2);
    assert!(chunk.values()[1].is_nan());
    assert!(matches!(read(table), Err(Error::MissingColumn { .. })));
}

#[test]
fn candidates_are_read_packed_with_the_digest_of_the_file() {
    let mut table = htru2::COLUMNS.join(",");
    for row in 0..20 {
        write!(table, "\n{row},2,3,4,5,6,7,8,{}", row % 2).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table");
    std::fs::write(&path, &table).unwrap();
    let expected = read_candidates(&path).unwrap();
    for packed in [gzip(table.as_bytes()), zstd(table.as_bytes())] {
        std::fs::write(&path, &packed).unwrap();
        let found = read_candidates(&path).unwrap();
        assert_eq!(found.samples, expected.samples);
        assert_eq!(found.sha256, digest(&packed));
    }
}

proptest! {
    #[test]
    fn damaged_streams_are_no_panic(
        seed in 0_u64..20,
        use_gzip: bool,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let (features, labels) = columns(50, seed);
        let plain = text(&features, &labels).into_bytes();
        let mut packed = if use_gzip { gzip(&plain) } else { zstd(&plain) };
        for (position, byte) in damage {
            let position = position.index(packed.len());
            packed[position] = byte;
        }
        if let Err(error) = read(&packed) {
            prop_assert!(error.to_string().starts_with("table: "), "{error}");
            let _ = error.source();
        }
    }
}
