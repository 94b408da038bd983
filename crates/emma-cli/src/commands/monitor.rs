//! `emma monitor`: a stream of rows or scores, watched for drifting modes.

use std::io::{self, BufWriter, Write};

use emma_data::{Chunk, Generator, LabelColumn, MissingValues, TableReader, generator};
use emma_models::{
    Calibration, Checkpoint, DriftAlarm, DriftMonitor, MissingModes, ModelMetadata, TrainedModel,
};
use serde::Serialize;

use crate::args::{GlobalArgs, MonitorArgs};
use crate::failure::{CommandResult, Failure};
use crate::files::{self, output_failure};
use crate::scoring::input::Input;
use crate::text::thousands;
use crate::threads::pool;

/// Rows of scores read at once from a file. From a pipe it is one, so that an alarm comes with its row.
const ROWS_PER_CHUNK: usize = 1024;

/// A line of output.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    alarm: &'a DriftAlarm,
    mode: &'a str,
    threshold: f64,
    rows_per_false_alarm: f64,
}

pub(crate) fn run(args: &MonitorArgs, global: &GlobalArgs) -> CommandResult<()> {
    let device = global.device.open()?;
    let checkpoint = Checkpoint::load(&args.model)?;
    let model = TrainedModel::from_checkpoint(&checkpoint, &device)
        .map_err(|error| error.in_file(&args.model))?;
    if model.emma_plus().is_some() {
        return Err(Failure::input(format!(
            "{}: monitor needs the potentials of a model of the thesis's kinds, this is EMMA+ (energy of kind \
             joint_density)",
            args.model.display()
        )));
    }
    let calibration =
        Calibration::from_checkpoint(&checkpoint).map_err(|error| error.in_file(&args.model))?;
    let Some(calibration) = calibration else {
        return Err(Failure::input(format!(
            "{}: expected a model with energies and with potentials of clean rows, as emma train leaves \
             (calibration.{{mode}}.potential), got one without",
            args.model.display()
        )));
    };
    let monitor = DriftMonitor::new(&calibration, args.rows_per_false_alarm)?;
    let mut watch = Watch {
        monitor,
        rng: generator(args.seed, "monitor"),
        metadata: model.metadata(),
        rows_per_false_alarm: args.rows_per_false_alarm,
        output: BufWriter::new(io::stdout().lock()),
        n_alarms: 0,
        n_passed_over: 0,
    };
    if args.scores {
        watch.scores(args)?;
    } else {
        let pool = pool(global, &device)?;
        let mut input = Input::open(
            &args.data,
            model.metadata(),
            LabelColumn::None,
            MissingValues::AsNan,
            false,
        )?;
        if args.data.as_os_str() == "-" {
            input.read_row_by_row();
        }
        let mut chunk = Chunk::new();
        loop {
            // Rows before one that cannot be read are still looked at.
            let more = input.read(&mut chunk);
            let scores =
                pool.install(|| model.score_rows(chunk.values(), MissingModes::LeaveOut))?;
            // A row that cannot be scored says nothing of any mode: its potentials are NaN, and passed over.
            watch.n_passed_over += scores.faults.len();
            if let Some(energies) = &scores.energies {
                for potentials in energies.potential.chunks_exact(scores.n_modes.max(1)) {
                    watch.row(potentials)?;
                }
            }
            watch.flush()?;
            if !more? {
                break;
            }
        }
    }
    if !global.quiet {
        let passed_over = match watch.n_passed_over {
            0 => String::new(),
            n => format!(", {} of which cannot be scored", thousands(n)),
        };
        files::tell(&format!(
            "watched {} rows{passed_over}: {} alarms",
            thousands(usize::try_from(watch.monitor.n_rows()).unwrap_or(usize::MAX)),
            watch.n_alarms
        ));
    }
    Ok(())
}

struct Watch<'a, W> {
    monitor: DriftMonitor,
    rng: Generator,
    metadata: &'a ModelMetadata,
    rows_per_false_alarm: f64,
    output: W,
    n_alarms: usize,
    n_passed_over: usize,
}

impl<W: Write> Watch<'_, W> {
    /// Potentials as `emma score --explain` wrote them; where one is missing, so is the mode.
    fn scores(&mut self, args: &MonitorArgs) -> CommandResult<()> {
        let modes = self.metadata.modes.iter();
        let columns: Vec<String> = modes
            .map(|mode| format!("potential_{}", mode.name))
            .collect();
        let (label, missing) = (LabelColumn::None, MissingValues::AsNan);
        let (mut reader, max_rows) = if args.data.as_os_str() == "-" {
            let reader = TableReader::new(io::stdin(), "-", &columns, label, missing)?;
            (reader, 1)
        } else {
            let reader = TableReader::open(&args.data, &columns, label, missing)?;
            (reader, ROWS_PER_CHUNK)
        };
        let mut chunk = Chunk::new();
        loop {
            let more = reader.next_chunk(max_rows, &mut chunk);
            for potentials in chunk.values().chunks_exact(columns.len()) {
                self.row(potentials)?;
            }
            self.flush()?;
            if !more? {
                return Ok(());
            }
        }
    }

    fn row(&mut self, potentials: &[f32]) -> CommandResult<()> {
        for alarm in self.monitor.observe(potentials, &mut self.rng)? {
            self.n_alarms += 1;
            let line = Line {
                mode: &self.metadata.modes[alarm.mode_index].name,
                alarm: &alarm,
                threshold: self.monitor.threshold(),
                rows_per_false_alarm: self.rows_per_false_alarm,
            };
            let line =
                serde_json::to_string(&line).map_err(|error| Failure::Failed(error.into()))?;
            writeln!(self.output, "{line}").map_err(output_failure)?;
        }
        Ok(())
    }

    /// Alarms are seen when their rows are, whoever reads them.
    fn flush(&mut self) -> CommandResult<()> {
        self.output.flush().map_err(output_failure)
    }
}
