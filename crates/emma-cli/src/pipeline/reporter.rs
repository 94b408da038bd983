//! What a training tells while it runs: a bar or lines, and the logs that were asked for.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use emma_models::EpochLosses;
use serde_json::json;

use super::tensorboard::EventFile;
use crate::failure::{CommandResult, Failure};
use crate::progress::Progress;

/// Where losses go.
pub(crate) struct Reporter {
    progress: Progress,
    logs: Mutex<Logs>,
}

#[derive(Default)]
struct Logs {
    json: Option<File>,
    events: Option<EventFile>,
    /// The first write that failed.
    failure: Option<String>,
}

impl Reporter {
    /// `total` epochs will be told of. A JSON log is appended to, since a training may go on.
    pub(crate) fn new(
        total: u64,
        quiet: bool,
        json: Option<&Path>,
        tensorboard: Option<&Path>,
    ) -> CommandResult<Self> {
        let open = |path: &Path| {
            let file = File::options().create(true).append(true).open(path);
            file.map_err(|error| Failure::input(format!("--log-json {}: {error}", path.display())))
        };
        let events = |folder: &Path| {
            EventFile::create(folder).map_err(|error| {
                Failure::input(format!("--tensorboard {}: {error}", folder.display()))
            })
        };
        Ok(Self {
            progress: Progress::steps(total, "epochs", quiet),
            logs: Mutex::new(Logs {
                json: json.map(open).transpose()?,
                events: tensorboard.map(events).transpose()?,
                failure: None,
            }),
        })
    }

    /// Something worth a line.
    pub(crate) fn note(&self, message: &str) {
        self.progress.note(message);
    }

    /// Epochs that an earlier run did.
    pub(crate) fn skip(&self, epochs: u64) {
        self.progress.advance(epochs);
    }

    /// An autoencoder is trained.
    pub(crate) fn energy(&self, mode: &str, losses: &[f64]) {
        self.progress.advance(losses.len() as u64);
        let last = losses.last().copied().unwrap_or(f64::NAN);
        self.progress
            .tell(&format!("energy of {mode}: loss {last:.5}"));
        for (epoch, &loss) in (1..).zip(losses) {
            self.log(&format!("energy_{mode}"), 0, epoch, loss, None);
        }
    }

    /// A model has done an epoch; `n_models` train side by side.
    pub(crate) fn epoch(&self, stage: &str, model: usize, n_models: usize, losses: &EpochLosses) {
        self.progress.advance(1);
        let number = if n_models > 1 {
            format!(" {} of {n_models}", model + 1)
        } else {
            String::new()
        };
        self.progress.tell(&format!(
            "{stage}{number}, epoch {}: loss {:.5}, validation {:.5}",
            losses.epoch, losses.training, losses.validation
        ));
        let (training, validation) = (losses.training, Some(losses.validation));
        self.log(stage, model, losses.epoch, training, validation);
    }

    fn log(&self, stage: &str, model: usize, epoch: usize, training: f64, validation: Option<f64>) {
        // A panic cannot leave a log half-written: every write is one line or one record.
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        let logs = &mut *logs;
        if let Some(file) = &mut logs.json {
            let mut line = json!({
                "stage": stage,
                "model": model,
                "epoch": epoch,
                "training_loss": training,
            });
            if let Some(validation) = validation {
                line["validation_loss"] = validation.into();
            }
            if let Err(error) = writeln!(file, "{line}") {
                logs.failure.get_or_insert(format!("--log-json: {error}"));
            }
        }
        if let Some(events) = &mut logs.events {
            let losses = [
                ("training_loss", Some(training)),
                ("validation_loss", validation),
            ];
            for (name, loss) in losses {
                let Some(loss) = loss else { continue };
                let tag = format!("{stage}/{model}/{name}");
                if let Err(error) = events.scalar(&tag, epoch, loss) {
                    logs.failure
                        .get_or_insert(format!("--tensorboard: {error}"));
                }
            }
        }
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.progress.finish();
    }

    /// The first log that could not be written, if any.
    pub(crate) fn failure(&self) -> CommandResult<()> {
        let logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        match &logs.failure {
            Some(failure) => Err(Failure::Failed(anyhow::anyhow!(failure.clone()))),
            None => Ok(()),
        }
    }
}
