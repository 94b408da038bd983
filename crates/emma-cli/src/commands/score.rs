//! `emma score`: one output row per input row, in order, in bounded memory.

use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};

use candle_core::{Device, Tensor};
use emma_data::{Chunk, LabelColumn, MissingValues, TableReader};
use emma_models::{Answers, Checkpoint, ModelMetadata, Prediction, TrainedModel};
use rayon::ThreadPool;

use crate::args::{GlobalArgs, ScoreArgs};
use crate::failure::{CommandResult, Failure};
use crate::files::{self, AtomicFile, output_failure};
use crate::threads::pool;

/// Rows scored at once.
const ROWS_PER_CHUNK: usize = 4096;

pub(crate) fn run(args: &ScoreArgs, global: &GlobalArgs) -> CommandResult<()> {
    files::check_targets(
        &[("--out", args.out.as_deref())],
        &[
            ("--model", Some(&*args.model)),
            ("--data", Some(&*args.data)),
        ],
    )?;
    if let Some(path) = &args.out
        && path.extension().is_some_and(|suffix| suffix == "parquet")
    {
        return Err(Failure::input(format!(
            "{}: expected a CSV file; this version does not write Parquet",
            path.display()
        )));
    }
    let device = global.device.open()?;
    let checkpoint = Checkpoint::load(&args.model)?;
    let model = TrainedModel::from_checkpoint(&checkpoint, &device)
        .map_err(|error| error.in_file(&args.model))?;
    if args.explain && !model.has_emma() && !global.quiet {
        files::tell(&format!(
            "note: {} has no EMMA, so --explain adds nothing",
            args.model.display()
        ));
    }
    let explain = args.explain && model.has_emma();
    let columns: Vec<&String> = model
        .metadata()
        .modes
        .iter()
        .flat_map(|mode| &mode.columns)
        .collect();
    let (label, missing) = (LabelColumn::None, MissingValues::Refuse);
    let reader = if args.data.as_os_str() == "-" {
        TableReader::new(io::stdin().lock(), "-", &columns, label, missing)?
    } else {
        TableReader::open(&args.data, &columns, label, missing).map_err(|error| match error {
            emma_data::Error::Open { file, source } => Failure::input(format!(
                "{file}: expected a table, it cannot be opened: {source}"
            )),
            error => error.into(),
        })?
    };
    let pool = pool(global, &device)?;
    match &args.out {
        Some(target) => {
            let mut file = AtomicFile::create(target)?;
            score(&model, &pool, reader, explain, &mut file)?;
            Ok(file.finish()?)
        }
        None => score(
            &model,
            &pool,
            reader,
            explain,
            &mut BufWriter::new(io::stdout().lock()),
        ),
    }
}

fn score(
    model: &TrainedModel,
    pool: &ThreadPool,
    mut reader: TableReader<'_>,
    explain: bool,
    output: &mut impl Write,
) -> CommandResult<()> {
    let mut text = header(model, explain);
    let mut chunk = Chunk::new();
    loop {
        // Rows before one that cannot be read are still written; the error names its line.
        let more = reader.next_chunk(ROWS_PER_CHUNK, &mut chunk);
        if chunk.n_rows() > 0 {
            let prediction = predict(model, pool, &chunk, reader.file())?;
            append(&mut text, model, &prediction, chunk.first_row(), explain);
        }
        output.write_all(text.as_bytes()).map_err(output_failure)?;
        text.clear();
        if !more? {
            break;
        }
    }
    output.flush().map_err(output_failure)
}

fn predict(
    model: &TrainedModel,
    pool: &ThreadPool,
    chunk: &Chunk,
    file: &str,
) -> CommandResult<Prediction> {
    let mut start = 0;
    let mut modes = Vec::with_capacity(model.metadata().modes.len());
    for mode in &model.metadata().modes {
        let end = start + mode.columns.len();
        let mut values = Vec::with_capacity(chunk.n_rows() * mode.columns.len());
        chunk.copy_columns(start..end, &mut values)?;
        let shape = (chunk.n_rows(), mode.columns.len());
        modes.push(Tensor::from_vec(values, shape, &Device::Cpu)?);
        start = end;
    }
    let prediction = pool.install(|| model.predict(&modes));
    prediction.map_err(|error| match error {
        emma_models::Error::Row { row, message } => {
            Failure::input(format!("{file}: {}: {message}", chunk.place(row)))
        }
        error => error.into(),
    })
}

fn header(model: &TrainedModel, explain: bool) -> String {
    let mut text = String::from("row,probability,label");
    if model.has_emma() {
        text.push_str(",total_energy");
    }
    if explain {
        for mode in &model.metadata().modes {
            let name = &mode.name;
            let _ = write!(
                text,
                ",potential_{name},energy_{name},importance_{name},attention_{name}"
            );
        }
    }
    text.push('\n');
    text
}

/// Numbers are printed with the fewest digits that read back as the same f32.
fn append(
    text: &mut String,
    model: &TrainedModel,
    prediction: &Prediction,
    first_row: u64,
    explain: bool,
) {
    let Answers::Binary(probabilities) = &prediction.answers else {
        return;
    };
    for (row, probability) in probabilities.iter().enumerate() {
        let label = label(*probability, model.metadata());
        let _ = write!(text, "{},{probability},{label}", first_row + row as u64);
        if let Some(explanation) = &prediction.explanation {
            let _ = write!(text, ",{}", explanation.total_energy[row]);
            if explain {
                for mode in 0..model.metadata().modes.len() {
                    let _ = write!(
                        text,
                        ",{},{},{},{}",
                        explanation.potential[row][mode],
                        explanation.energy[row][mode],
                        explanation.importance[row][mode],
                        explanation.attention[row][mode]
                    );
                }
            }
        }
        text.push('\n');
    }
}

fn label(probability: f32, metadata: &ModelMetadata) -> u8 {
    u8::from(f64::from(probability) >= metadata.threshold)
}
