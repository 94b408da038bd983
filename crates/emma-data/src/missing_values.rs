//! What becomes of values that a table does not have.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// What a reader does with a missing feature value.
///
/// In text, an empty field, `nan`, `na` and `null` are missing values, in capital letters or not; in
/// Parquet, a null and a NaN. Everything else that is not a finite number stays an error, and so does a
/// missing label.
///
/// Written as `refuse` or `as_nan`; on a command line also `error` and `missing`, as in `--nan missing`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissingValues {
    /// A missing value is an error that names its row and column.
    #[default]
    Refuse,
    /// A missing value becomes NaN, and is counted.
    AsNan,
}

impl FromStr for MissingValues {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "refuse" | "error" => Ok(Self::Refuse),
            "as_nan" | "missing" => Ok(Self::AsNan),
            _ => Err(Error::MissingValuesText {
                found: text.to_owned(),
            }),
        }
    }
}

/// Whether a trimmed field is one of the ways to write that there is no value.
pub(crate) fn is_missing(text: &[u8]) -> bool {
    text.is_empty()
        || [&b"nan"[..], b"na", b"null"]
            .iter()
            .any(|name| text.eq_ignore_ascii_case(name))
}
