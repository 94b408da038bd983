//! Errors of this crate.

/// What can go wrong when autoencoders are built, trained or asked for energies.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Rows have another number of features than the estimator was built for.
    #[error("expected rows with {expected} features, got a tensor of shape {found:?}")]
    FeatureCount {
        /// Features per row that the estimator was built for.
        expected: usize,
        /// Shape of the tensor that came.
        found: Vec<usize>,
    },
    /// A setting lies outside its range.
    #[error("{name} must be {expected}, got {found}")]
    InvalidSetting {
        /// The setting's field name.
        name: &'static str,
        /// The range, in words.
        expected: &'static str,
        /// The value that came.
        found: String,
    },
    /// Rows were needed and none came.
    #[error("expected at least one row for {purpose}, got none")]
    NoRows {
        /// What the rows were needed for.
        purpose: &'static str,
    },
    /// More rows were needed than came.
    #[error("expected at least {needed} rows for {purpose}, got {found}")]
    TooFewRows {
        /// Fewest rows that will do.
        needed: usize,
        /// What the rows were needed for.
        purpose: &'static str,
        /// Rows that came.
        found: usize,
    },
    /// A feature of a row to fit is NaN, infinite or beyond what 32 bits hold.
    #[error("expected finite 32-bit rows, got {value} in row {row}, feature {feature}")]
    NonFiniteRow {
        /// Zero-based row of the tensor.
        row: usize,
        /// Zero-based feature.
        feature: usize,
        /// The value found there.
        value: f64,
    },
    /// An energy is NaN or infinite.
    #[error("expected finite energies, got {value} in row {row}")]
    NonFiniteEnergy {
        /// Zero-based row of the tensor.
        row: usize,
        /// The value found there.
        value: f64,
    },
    /// Energies do not differ, so that there is no scale to put them on.
    #[error("expected energies that differ for {purpose}, all are the same")]
    ConstantEnergies {
        /// What they were needed for.
        purpose: &'static str,
    },
    /// A variable that was to be restored is not there.
    #[error("no value for variable {name}")]
    MissingVariable {
        /// The variable's full path.
        name: String,
    },
    /// A value has another shape than the variable it is for.
    #[error("expected variable {name} of shape {expected:?}, got {found:?}")]
    VariableShape {
        /// The variable's path.
        name: String,
        /// Its shape.
        expected: Vec<usize>,
        /// The value's shape.
        found: Vec<usize>,
    },
    /// A file could not be opened or read.
    #[error("cannot be read: {0}")]
    Open(std::io::Error),
    /// A file could not be written.
    #[error("cannot be written: {0}")]
    Write(std::io::Error),
    /// A file is not what its format says.
    #[error("not a valid file of tensors: {0}")]
    TensorFile(String),
    /// A failure inside candle.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

/// Result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// Accepts rows `[n, n_features]`.
pub(crate) fn check_features(rows: &candle_core::Tensor, n_features: usize) -> Result<()> {
    if rows.rank() == 2 && rows.dims()[1] == n_features {
        return Ok(());
    }
    Err(Error::FeatureCount {
        expected: n_features,
        found: rows.dims().to_vec(),
    })
}

/// Accepts `value` if `valid`, else says which setting is out of which range.
pub(crate) fn check_setting(
    valid: bool,
    name: &'static str,
    expected: &'static str,
    found: impl std::fmt::Display,
) -> Result<()> {
    if valid {
        return Ok(());
    }
    Err(Error::InvalidSetting {
        name,
        expected,
        found: found.to_string(),
    })
}
