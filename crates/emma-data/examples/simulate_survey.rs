//! Writes a simulated survey as a table, or the configuration that it has by default.
//!
//! ```sh
//! cargo run --release -p emma-data --example simulate_survey > survey.json
//! cargo run --release -p emma-data --example simulate_survey -- 0 survey.json > survey.csv
//! ```
//!
//! Without arguments: the default configuration as JSON. With a seed, and optionally a file with a
//! configuration: HTRU2's nine columns and the kind of each candidate, as CSV with a header.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};

use emma_data::htru2;
use emma_data::survey::{Survey, SurveyConfig};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut output = BufWriter::new(io::stdout().lock());
    let Some(seed) = arguments.next() else {
        serde_json::to_writer_pretty(&mut output, &SurveyConfig::default())?;
        return Ok(writeln!(output)?);
    };
    let config = match arguments.next() {
        Some(path) => serde_json::from_reader(BufReader::new(File::open(path)?))?,
        None => SurveyConfig::default(),
    };
    writeln!(output, "{},kind", htru2::COLUMNS.join(","))?;
    for candidate in Survey::new(&config, seed.parse()?)?.iter() {
        for feature in candidate.features() {
            write!(output, "{feature},")?;
        }
        writeln!(output, "{},{}", candidate.label(), candidate.source.kind)?;
    }
    Ok(output.flush()?)
}
