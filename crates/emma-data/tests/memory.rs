//! A bad table costs no more memory than its own size and 1 MiB, whatever is in it.
//!
//! One test alone in its program, because all threads share the allocator that counts.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

use std::fmt::Write as _;
use std::io::Write as _;

use emma_data::{FeatureReader, LabelColumn, htru2, read_candidates};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Most bytes allocated at once, above those before, while `work` runs.
fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let result = work();
    (result, ALLOCATOR.peak_usage() - before)
}

const MIB: usize = 1 << 20;

#[test]
fn a_bad_table_costs_its_own_size_and_a_mebibyte() {
    let header = htru2::COLUMNS.join(",");
    let mut rows = String::new();
    for row in 0..60_000 {
        let _ = writeln!(rows, "{row},2,3,4,5,6,7,8,{}", row % 2);
    }
    let tables = [
        (
            "a bad last row",
            format!("{header}\n{rows}1,2,3,4,5,6,7,8,9\n"),
        ),
        ("commas without end", ",".repeat(3 * MIB)),
        ("more commas than a row may have", ",".repeat(270_000)),
        (
            "commas below the bound",
            format!("{}\n1\n", ",".repeat(65_000)),
        ),
        ("one long field", "a".repeat(3 * MIB)),
        ("one field just below the bound", "a".repeat(MIB / 2 - 100)),
        (
            "an open quote",
            format!("{header}\n\"{}", "1,\n".repeat(MIB)),
        ),
        ("short names", format!("{}\n", "a,".repeat(65_000))),
        (
            "many columns of rows",
            format!("{}\n", "1,".repeat(65_000)).repeat(8),
        ),
        ("nothing but line ends", "\n".repeat(3 * MIB)),
        ("zero bytes", "\0".repeat(3 * MIB)),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (name, table) in tables {
        let path = folder.path().join("table.csv");
        std::fs::write(&path, &table).unwrap();
        let length = table.len();
        let packed = gzip(table.as_bytes());
        drop(table);
        let (result, peak) = peak_of(|| read_candidates(&path).map(|_| ()));
        assert!(result.is_err(), "{name}");
        assert!(peak <= length + MIB, "{name}: {peak} of {length} bytes");

        let (result, peak) = peak_of(|| {
            let file = std::fs::File::open(&path).unwrap();
            let columns = &htru2::COLUMNS[..8];
            let mut reader = FeatureReader::new(file, "table.csv", columns, LabelColumn::None)?;
            let mut chunk = emma_data::Chunk::new();
            while reader.next_chunk(1024, &mut chunk)? {}
            emma_data::Result::Ok(())
        });
        // The label is not read here, so the first table is a good one.
        assert_eq!(result.is_err(), name != "a bad last row", "{name}");
        assert!(peak <= length + MIB, "{name}: {peak} of {length} bytes");

        // Packed, the same costs no more than the packed bytes and a mebibyte: most of these tables
        // are a thousand times as long once unpacked.
        std::fs::write(&path, &packed).unwrap();
        let length = packed.len();
        drop(packed);
        let (result, peak) = peak_of(|| read_candidates(&path).map(|_| ()));
        assert!(result.is_err(), "{name}");
        assert!(
            peak <= length + MIB,
            "{name}, packed: {peak} of {length} bytes"
        );
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
