//! Writes a long table of rows like HTRU2's, once as text and once as Parquet, in bounded memory.
//!
//! `cargo run --release -p emma-data --example long_tables FOLDER N` writes `FOLDER/rows.csv` and `FOLDER/rows.parquet` of
//! N rows: 10,000 simulated candidates again and again, each value jittered by a thousandth, so that no two rows are the
//! same and no compression makes more of them than of real ones.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use emma_data::survey::{Survey, SurveyConfig};
use emma_data::{TableFormat, TableWriter, generator, htru2};
use rand::Rng;

const N_CANDIDATES: usize = 10_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("expected a folder")?;
    let n_rows: usize = arguments
        .next()
        .ok_or("expected a number of rows")?
        .parse()?;
    let config = SurveyConfig {
        n_candidates: N_CANDIDATES.min(n_rows),
        ..SurveyConfig::default()
    };
    let survey = Survey::new(&config, 0)?;
    let candidates: Vec<_> = (0..survey.n_candidates())
        .filter_map(|row| survey.candidate(row))
        .collect();
    let mut writers = Vec::new();
    for (name, format) in [
        ("rows.csv", TableFormat::Csv),
        ("rows.parquet", TableFormat::Parquet),
    ] {
        let file = BufWriter::new(File::create(Path::new(&folder).join(name))?);
        writers.push(TableWriter::new(
            file,
            format,
            &htru2::COLUMNS[..8],
            Some(htru2::LABEL_COLUMN),
        )?);
    }
    let mut rng = generator(0, "jitter");
    for row in 0..n_rows {
        let candidate = &candidates[row % candidates.len()];
        let values: Vec<f32> = candidate
            .features()
            .iter()
            .map(|value| value * rng.random_range(0.999..1.001))
            .collect();
        for writer in &mut writers {
            writer.write_row(&values, Some(candidate.label()))?;
        }
    }
    for writer in writers {
        writer.finish()?.flush()?;
    }
    Ok(())
}
