//! Reading a table and corrupting it, per row.

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use emma_data::{
    Chunk, Corruption, CorruptionRecord, LabelColumn, MissingValues, NoiseStd, Samples,
    TableReader, corrupt, generator, htru2,
};
use rand::Rng;
use serde::Deserialize;

const N_ROWS: usize = 17_898;

/// A table of the size and the number of digits of HTRU2.
fn table() -> String {
    let mut rng = generator(0, "bench");
    let mut table = String::new();
    for row in 0..N_ROWS {
        for _ in 0..8 {
            let value: f64 = rng.random_range(-1.0..200.0);
            write!(table, "{value:.8},").expect("strings take everything");
        }
        writeln!(table, "{}", u8::from(row % 11 == 0)).expect("strings take everything");
    }
    table
}

fn read(criterion: &mut Criterion) {
    let table = table();
    let features = &htru2::COLUMNS[..8];
    let mut group = criterion.benchmark_group("read");
    group.throughput(Throughput::Bytes(table.len() as u64));
    group.bench_function("in chunks of 4096 rows", |bencher| {
        let mut chunk = Chunk::new();
        bencher.iter(|| {
            let label = LabelColumn::Required(htru2::LABEL_COLUMN.to_owned());
            let mut reader = TableReader::new(
                table.as_bytes(),
                "table",
                features,
                label,
                MissingValues::Refuse,
            )
            .expect("the table has these columns");
            while reader
                .next_chunk(4096, &mut chunk)
                .expect("rows are numbers")
            {
                black_box(chunk.values());
            }
        });
    });
    // The yardstick: the `csv` crate's own way to read rows of numbers, on the same bytes.
    group.bench_function("deserialized by csv", |bencher| {
        bencher.iter(|| {
            let mut reader = csv::ReaderBuilder::new()
                .has_headers(false)
                .from_reader(table.as_bytes());
            let mut record = csv::ByteRecord::new();
            while reader
                .read_byte_record(&mut record)
                .expect("the table can be read")
            {
                let row: Row = record.deserialize(None).expect("rows are numbers");
                black_box(row);
            }
        });
    });
    group.finish();
}

/// A row as the `csv` crate deserializes it.
#[derive(Deserialize)]
#[expect(dead_code, reason = "only parsing is measured")]
struct Row {
    ip_mean: f32,
    ip_std: f32,
    ip_skewness: f32,
    ip_excess_kurtosis: f32,
    dm_mean: f32,
    dm_std: f32,
    dm_skewness: f32,
    dm_excess_kurtosis: f32,
    label: f32,
}

fn corrupt_mixture(criterion: &mut Criterion) {
    let samples = Samples::read(
        table().as_bytes(),
        "table",
        &htru2::modes(),
        htru2::LABEL_COLUMN,
    )
    .expect("the table is labelled");
    let modes: Vec<_> = samples
        .modes()
        .iter()
        .map(|mode| mode.values.view())
        .collect();
    let record = CorruptionRecord::mixture(N_ROWS, 2, &mut generator(0, "corruption"))
        .expect("two modes can be mixed");
    let noise = Corruption::Noise(NoiseStd::new(0.5).expect("0.5 is a level"));
    let mut group = criterion.benchmark_group("corrupt");
    group.throughput(Throughput::Elements(N_ROWS as u64));
    group.bench_function("half of the rows", |bencher| {
        let mut rng = generator(0, "noise");
        bencher.iter(|| {
            corrupt(&modes, black_box(&record), &noise, &mut rng).expect("the record fits")
        });
    });
    group.finish();
}

criterion_group!(benches, read, corrupt_mixture);
criterion_main!(benches);
