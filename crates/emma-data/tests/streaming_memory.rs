//! Streaming a long table costs the same memory as streaming a short one, however it is packed.
//!
//! One test alone in its program, because all threads share the allocator that counts. It counts what Rust
//! allocates; the window of a zstd stream belongs to a library in C, and is bounded by the stream's header.
#![cfg(feature = "parquet")]
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use emma_data::{Chunk, LabelColumn, MissingValues, TableFormat, TableReader, TableWriter};
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
const N_ROWS: usize = 300_000;
const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

/// Numbers that no compression makes much of, as floats between 1 and 2: their bits are a counter, mixed as in
/// the generator splitmix64.
fn values(row: usize) -> [f32; 8] {
    std::array::from_fn(|column| {
        let mut bits = ((row * 8 + column) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        f32::from_bits(0x3f80_0000 | u32::try_from(bits >> 41).unwrap())
    })
}

fn write(path: &Path, format: TableFormat) -> std::io::Result<()> {
    let file = BufWriter::new(File::create(path)?);
    let mut table = TableWriter::new(file, format, &NAMES, Some("label"))?;
    for row in 0..N_ROWS {
        table.write_row(&values(row), Some(u8::from(row % 3 == 0)))?;
    }
    table.finish()?.flush()
}

/// Rows that were read, and the sum of their first column.
fn read(path: &Path) -> (usize, f64) {
    let label = LabelColumn::Required("label".to_owned());
    let mut reader = TableReader::open(path, &NAMES, label, MissingValues::Refuse).unwrap();
    let mut chunk = Chunk::new();
    let (mut n_rows, mut sum) = (0, 0.0);
    while reader.next_chunk(1024, &mut chunk).unwrap() {
        n_rows += chunk.n_rows();
        sum += chunk
            .values()
            .iter()
            .step_by(8)
            .map(|&x| f64::from(x))
            .sum::<f64>();
    }
    (n_rows, sum)
}

#[test]
fn a_long_table_is_written_and_read_in_bounded_memory() {
    let folder = tempfile::tempdir().unwrap();
    let [text, parquet, zstd, gzip] =
        ["t.csv", "t.parquet", "t.csv.zst", "t.csv.gz"].map(|name| folder.path().join(name));
    // A row group of 8,192 rows has 288 KiB, with the levels of its columns 416 KiB, in buffers up to twice as
    // large; and there are 37 groups to describe, with 9 columns each.
    for (path, format, most) in [
        (&text, TableFormat::Csv, MIB / 8),
        (&parquet, TableFormat::Parquet, 2 * MIB),
    ] {
        let (written, peak) = peak_of(|| write(path, format));
        written.unwrap();
        assert!(peak <= most, "{}: {peak} bytes to write", path.display());
    }
    let plain = File::open(&text).unwrap();
    zstd::stream::copy_encode(&plain, File::create(&zstd).unwrap(), 1).unwrap();
    let mut encoder =
        flate2::write::GzEncoder::new(File::create(&gzip).unwrap(), flate2::Compression::fast());
    std::io::copy(&mut File::open(&text).unwrap(), &mut encoder).unwrap();
    encoder.finish().unwrap();

    let expected = read(&text);
    assert_eq!(expected.0, N_ROWS);
    for path in [&text, &parquet, &zstd, &gzip] {
        let length = std::fs::metadata(path).unwrap().len();
        // Far more than what reading may take.
        assert!(
            length > 6 * MIB as u64,
            "{}: {length} bytes",
            path.display()
        );
        let (found, peak) = peak_of(|| read(path));
        assert_eq!(
            (found.0, found.1.to_bits()),
            (expected.0, expected.1.to_bits())
        );
        assert!(peak <= MIB, "{}: {peak} bytes to read", path.display());
        eprintln!("{}: {length} bytes, {peak} to read", path.display());
    }
}
