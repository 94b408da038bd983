//! `emma train`: a model for the user's own table.

use std::path::Path;
use std::time::Duration;

use candle_core::Device;
use serde_json::{Value, json};

use crate::args::{GlobalArgs, TrainArgs};
use crate::device::DeviceChoice;
use crate::experiment::folder::prepare_for;
use crate::failure::{CommandResult, Failure};
use crate::files;
use crate::pipeline::config::Config;
use crate::pipeline::interruption::Interruption;
use crate::pipeline::outcome::{Metrics, history_csv};
use crate::pipeline::reporter::Reporter;
use crate::pipeline::rows::{Rows, describe_left_out};
use crate::pipeline::run::Pipeline;
use crate::pipeline::state_file::{STATE_FILE, StateFile};
use crate::threads::pool;

const MODEL_FILE: &str = "model.safetensors";
const METRICS_FILE: &str = "metrics.json";
const HISTORY_FILE: &str = "history.csv";
/// What a training leaves beside its settings and measures.
const OUTPUTS: [&str; 3] = [MODEL_FILE, HISTORY_FILE, STATE_FILE];

pub(crate) fn run(args: &TrainArgs, global: &GlobalArgs) -> CommandResult<()> {
    let device = global.device.open()?;
    let config = Config::open(&args.config)?;
    let data = args.data.as_ref().or(config.data.as_ref()).ok_or_else(|| {
        Failure::input(format!(
            "{}: expected the key data, or --data, with the table's file",
            args.config.display()
        ))
    })?;
    let log = ("--log-json", args.log_json.as_deref());
    let inputs = [
        ("the configuration", Some(&*args.config)),
        ("the table", Some(&**data)),
    ];
    files::check_targets(&[log], &inputs)?;
    // Before anything is written: whatever is wrong with the table leaves no folder behind.
    let rows = Rows::read(&config, data, &device)?;
    let folder = &args.out;
    let earlier: Option<Metrics> = prepare_for(
        METRICS_FILE,
        folder,
        &settings(&config, &rows.sha256, &device)?,
        &OUTPUTS,
        args.fresh,
        |_| (),
    )?;
    let state_file = StateFile::of_folder(folder);
    if !args.resume && (earlier.is_some() || state_file.exists()) {
        let what = if earlier.is_some() {
            "a finished"
        } else {
            "an unfinished"
        };
        return Err(Failure::input(format!(
            "--out {}: expected a folder without a training, found {what} one; \
             go on with it by --resume, or start anew with --fresh",
            folder.display()
        )));
    }
    if let Some(metrics) = earlier {
        // A run that was killed just before it did so.
        state_file.remove();
        return show(&metrics, folder, args, global);
    }
    let total = Pipeline::n_epochs(&config)?;
    let logs = (args.log_json.as_deref(), args.tensorboard.as_deref());
    let reporter = Reporter::new(total, global.quiet, logs.0, logs.1)?;
    if let Some(left_out) = describe_left_out(rows.n_left_out, config.missing) {
        reporter.note(&left_out);
    }
    let interruption = Interruption::listen()?;
    let pipeline = Pipeline {
        config: &config,
        rows: &rows,
        device: &device,
        reporter: &reporter,
        interruption: &interruption,
        state_file: &state_file,
        save_every: Duration::from_secs_f64(args.save_every),
    };
    let state = state_file.read()?;
    let outcome = pool(global, &device)?.install(|| pipeline.run(state));
    reporter.finish();
    let Some(outcome) = outcome? else {
        return Err(Failure::Failed(anyhow::anyhow!(
            "stopped before the end; to go on: {}",
            command(args, global, data)
        )));
    };
    files::write(&folder.join(MODEL_FILE), &outcome.checkpoint.to_bytes()?)?;
    files::write(
        &folder.join(HISTORY_FILE),
        history_csv(&outcome.history).as_bytes(),
    )?;
    // Last: where it is, all else is.
    files::write_json(&folder.join(METRICS_FILE), &outcome.metrics)?;
    state_file.remove();
    show(&outcome.metrics, folder, args, global)?;
    // The model is there, whatever became of its logs.
    reporter.failure()
}

/// All that the model depends on; marks a folder as one of a training.
fn settings(config: &Config, data_sha256: &str, device: &Device) -> CommandResult<Value> {
    // The same numbers come from devices of the same kind alone.
    let device = match device {
        Device::Cpu => "cpu",
        Device::Cuda(_) => "cuda",
        Device::Metal(_) => "metal",
    };
    let config = serde_json::to_value(config).map_err(|error| Failure::Failed(error.into()))?;
    Ok(json!({
        "experiment": "train",
        "version": env!("CARGO_PKG_VERSION"),
        "data_sha256": data_sha256,
        "device": device,
        "config": config,
    }))
}

fn show(
    metrics: &Metrics,
    folder: &Path,
    args: &TrainArgs,
    global: &GlobalArgs,
) -> CommandResult<()> {
    if args.json {
        return files::print_json(metrics);
    }
    files::print(&metrics.to_text())?;
    if !global.quiet {
        let model = folder.join(MODEL_FILE);
        files::tell(&format!("the model is {}", model.display()));
    }
    Ok(())
}

/// What goes on with a training that was stopped.
fn command(args: &TrainArgs, global: &GlobalArgs, data: &Path) -> String {
    let mut words = vec!["emma train".to_owned(), quoted(&args.config)];
    let files = [
        ("--data", args.data.as_ref().map(|_| data)),
        ("--out", Some(&*args.out)),
        ("--log-json", args.log_json.as_deref()),
        ("--tensorboard", args.tensorboard.as_deref()),
    ];
    for (option, path) in files {
        words.extend(path.map(|path| format!("{option} {}", quoted(path))));
    }
    if global.device != DeviceChoice::Cpu {
        words.push(format!("--device {}", global.device));
    }
    words.extend(global.threads.map(|threads| format!("--threads {threads}")));
    words.push("--resume".to_owned());
    words.join(" ")
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "._-/+=:,@".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}
