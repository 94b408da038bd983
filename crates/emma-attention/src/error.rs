//! Errors of this crate.

/// What can go wrong when EMMA is built or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Attention over fewer than two modes means nothing: the one mode always has importance 1.
    #[error("expected at least 2 modes to share attention, got {found}")]
    TooFewModes {
        /// Number of modes asked for.
        found: usize,
    },
    /// Inputs speak of another number of modes than EMMA was built for.
    #[error("expected {expected} modes, got {found} in {what}")]
    ModeCountMismatch {
        /// Number of modes EMMA was built for.
        expected: usize,
        /// Number of modes that came.
        found: usize,
        /// Which input it was.
        what: &'static str,
    },
    /// The modes of one batch have different numbers of rows.
    #[error("expected {expected} rows in mode {mode_index}, got a tensor of shape {found:?}")]
    RowCountMismatch {
        /// Rows of the potential energies.
        expected: usize,
        /// Zero-based mode.
        mode_index: usize,
        /// Shape of that mode's tensor.
        found: Vec<usize>,
    },
    /// A tensor does not have the shape of its stage.
    #[error("expected {what} of shape [rows, modes], got {found:?}")]
    NotRowsByModes {
        /// Which tensor.
        what: &'static str,
        /// Its shape.
        found: Vec<usize>,
    },
    /// A mask is not of whole rows.
    #[error("expected a mask of {n_modes} modes a row, got {found} values")]
    MaskLength {
        /// Number of modes.
        n_modes: usize,
        /// Number of values that came.
        found: usize,
    },
    /// A row has nothing to attend to.
    #[error("expected at least one mode in row {row}, got none")]
    NoModePresent {
        /// Zero-based row.
        row: usize,
    },
    /// A setting lies outside its range.
    #[error("{name} must be {expected}, got {found}")]
    InvalidSetting {
        /// The setting's field name.
        name: &'static str,
        /// The range, in words.
        expected: &'static str,
        /// The value that came.
        found: f64,
    },
    /// An estimator failed.
    #[error("mode {mode_index}: {source}")]
    Energy {
        /// Zero-based mode.
        mode_index: usize,
        /// What the estimator said.
        source: emma_energy::Error,
    },
    /// A failure inside candle.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

/// Result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;
