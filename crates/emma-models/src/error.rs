//! Errors of this crate.

use emma_energy::tensor_file::excerpt;

use crate::nearest::{nearest, suggestion};

/// What can go wrong when models are built, trained, stored or loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting lies outside its range.
    #[error("{name} must be {expected}, got {found}")]
    InvalidSetting {
        /// The setting's name.
        name: &'static str,
        /// The range, in words.
        expected: &'static str,
        /// The value that came.
        found: String,
    },
    /// A tensor does not have the shape it should.
    #[error("expected {what} of shape {expected}, got {found:?}")]
    Shape {
        /// Which tensor.
        what: String,
        /// The shape, in words.
        expected: String,
        /// Its shape.
        found: Vec<usize>,
    },
    /// A batch or model has another number of modes.
    #[error("expected {expected} modes, got {found}")]
    ModeCount {
        /// Modes the model was built for.
        expected: usize,
        /// Modes that came.
        found: usize,
    },
    /// Rows were needed and none came.
    #[error("expected at least one row of {what}, got none")]
    NoRows {
        /// Which rows.
        what: &'static str,
    },
    /// So few rows came that nothing can be concluded from them.
    #[error("expected at least {expected} {what}, got {found}")]
    TooFewRows {
        /// Which rows, and what for.
        what: &'static str,
        /// The fewest that would do.
        expected: usize,
        /// How many came.
        found: usize,
    },
    /// As many of something were needed as there are trainees.
    #[error("expected {expected} trainees, got {found}")]
    TraineeCount {
        /// Trainees of the session.
        expected: usize,
        /// How many came.
        found: usize,
    },
    /// A model does something else than what is asked of it.
    #[error("expected a {expected} model, got a {found} one")]
    TaskKind {
        /// The task that is needed.
        expected: &'static str,
        /// The model's task.
        found: &'static str,
    },
    /// A model is of a kind that something does not work with.
    #[error("{what} needs {expected}, this is {found}")]
    Unsupported {
        /// What was asked for.
        what: &'static str,
        /// Models that it works with, in words.
        expected: &'static str,
        /// The model that came.
        found: String,
    },
    /// The loss is no longer a finite number.
    #[error("the {which} loss is {value} in epoch {epoch}: training diverged")]
    Diverged {
        /// Training or validation.
        which: &'static str,
        /// One-based epoch.
        epoch: usize,
        /// The loss.
        value: f64,
    },
    /// Predictions and labels that cannot be compared.
    #[error("expected as many labels as predictions ({predictions}), got {labels}")]
    LabelCount {
        /// Number of predictions.
        predictions: usize,
        /// Number of labels.
        labels: usize,
    },
    /// Rows of one class where two are compared: to choose a threshold, or to measure an order.
    #[error("expected rows of both classes, got {positives} of {rows} positive")]
    OneClass {
        /// Rows labelled 1.
        positives: usize,
        /// All rows.
        rows: usize,
    },
    /// A file could not be opened or read.
    #[error("expected a model file, it cannot be read: {0}")]
    Open(std::io::Error),
    /// Something is wrong with a file.
    #[error("{file}: {cause}")]
    InFile {
        /// The file's path.
        file: String,
        /// What is wrong with it.
        cause: Box<Error>,
    },
    /// A model file is not what its format says.
    #[error("not a valid model file: {0}")]
    Checkpoint(String),
    /// A tensor that the model file must hold is not there.
    #[error("not a valid model file: expected tensor {name}, it is missing")]
    MissingTensor {
        /// The tensor's name.
        name: String,
    },
    /// A part of the model is of a kind that this version does not know.
    #[error(
        "unknown {part} kind {} in the model file; this version knows {}{}",
        excerpt(found),
        known.join(" and "),
        // The only one that is known is named already.
        suggestion(nearest(found, known.iter().map(String::as_str)).filter(|_| known.len() > 1))
    )]
    UnknownKind {
        /// Energy or network.
        part: &'static str,
        /// The kind in the file.
        found: String,
        /// The kinds it could have been.
        known: Vec<String>,
    },
    /// The file was written in a later format.
    #[error("model file has format version {found}; this version reads up to {supported}")]
    FormatVersion {
        /// The file's version.
        found: u64,
        /// The newest version this crate reads.
        supported: u64,
    },
    /// A row that cannot be scored or measured.
    #[error("row {row}: {message}")]
    Row {
        /// Zero-based row of the batch or list.
        row: usize,
        /// What is wrong with it.
        message: String,
    },
    /// A model is too large for a format.
    #[error("expected at most {most} bytes of {what}, the model takes {found}")]
    TooLarge {
        /// What it was to become.
        what: &'static str,
        /// The most that the format allows.
        most: usize,
        /// The bytes it would take.
        found: usize,
    },
    /// Rows to learn from could not be made.
    #[error("cannot make the rows of epoch {epoch}")]
    Rows {
        /// One-based epoch.
        epoch: usize,
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Energies failed.
    #[error(transparent)]
    Energy(emma_energy::Error),
    /// Attention failed.
    #[error(transparent)]
    Attention(#[from] emma_attention::Error),
    /// A failure inside candle.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

impl From<emma_energy::Error> for Error {
    /// A file's faults are said of the model file that it should be.
    fn from(error: emma_energy::Error) -> Self {
        match error {
            emma_energy::Error::TensorFile(message) => Self::Checkpoint(message),
            emma_energy::Error::Open(source) => Self::Open(source),
            error => Self::Energy(error),
        }
    }
}

impl Error {
    /// The same, said of a file.
    #[must_use]
    pub fn in_file(self, path: impl AsRef<std::path::Path>) -> Self {
        Self::InFile {
            file: path.as_ref().display().to_string(),
            cause: Box::new(self),
        }
    }
}

/// Result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;
