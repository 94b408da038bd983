//! Streams a table of five million generated rows through the reader, and says how many came.
//!
//! `cargo run --release -p emma-data --example stream_a_table FILE` writes FILE first if it is not there;
//! run it a second time under `time -v` to see what reading alone takes.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use emma_data::{Chunk, LabelColumn, MissingValues, TableReader, generator, htru2};
use rand::Rng;

const N_ROWS: u64 = 5_000_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args()
        .nth(1)
        .ok_or("expected the path of a table")?;
    let path = Path::new(&path);
    if !path.exists() {
        write(path)?;
    }
    let start = Instant::now();
    let label = LabelColumn::Required(htru2::LABEL_COLUMN.to_owned());
    let features = &htru2::COLUMNS[..8];
    let mut reader = TableReader::open(path, features, label, MissingValues::Refuse)?;
    let mut chunk = Chunk::new();
    let mut n_rows = 0;
    while reader.next_chunk(4096, &mut chunk)? {
        n_rows += chunk.n_rows();
    }
    println!("{n_rows} rows in {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

fn write(path: &Path) -> std::io::Result<()> {
    let mut rng = generator(0, "stream");
    let mut table = BufWriter::new(File::create(path)?);
    writeln!(table, "{}", htru2::COLUMNS.join(","))?;
    for row in 0..N_ROWS {
        for _ in 0..8 {
            let value: f64 = rng.random_range(-1.0..200.0);
            write!(table, "{value:.8},")?;
        }
        writeln!(table, "{}", u8::from(row % 11 == 0))?;
    }
    table.flush()
}
