//! Failures, told apart by whose fault they are: the exit code follows.

use std::fmt;

/// Why a command did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something the user gave (a file, an option) is not what it must be: exit code 2.
    BadInput(anyhow::Error),
    /// Something else went wrong: exit code 1.
    Failed(anyhow::Error),
    /// The reader of standard output went away; nothing is wrong: exit code 0, silently.
    OutputClosed,
}

pub(crate) type CommandResult<T> = Result<T, Failure>;

impl Failure {
    /// Bad input, said in one line.
    pub(crate) fn input(message: impl fmt::Display + fmt::Debug + Send + Sync + 'static) -> Self {
        Self::BadInput(anyhow::Error::msg(message))
    }

    /// The same with where it happened in front.
    pub(crate) fn context(self, place: String) -> Self {
        match self {
            Self::BadInput(error) => Self::BadInput(error.context(place)),
            Self::Failed(error) => Self::Failed(error.context(place)),
            Self::OutputClosed => Self::OutputClosed,
        }
    }

    /// The process's exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::OutputClosed => 0,
            Self::Failed(_) => 1,
            Self::BadInput(_) => 2,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadInput(error) | Self::Failed(error) => write!(f, "{error:#}"),
            Self::OutputClosed => write!(f, "output closed"),
        }
    }
}

/// Tables are the user's: whatever is wrong with one is bad input. The network is not.
impl From<emma_data::Error> for Failure {
    fn from(error: emma_data::Error) -> Self {
        if error.is_network_failure() {
            Self::Failed(error.into())
        } else {
            Self::BadInput(error.into())
        }
    }
}

/// Whatever is wrong with a file is bad input.
impl From<emma_models::Error> for Failure {
    fn from(error: emma_models::Error) -> Self {
        if matches!(error, emma_models::Error::InFile { .. }) {
            Self::BadInput(error.into())
        } else {
            Self::Failed(error.into())
        }
    }
}

impl From<emma_energy::Error> for Failure {
    fn from(error: emma_energy::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<emma_attention::Error> for Failure {
    fn from(error: emma_attention::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<candle_core::Error> for Failure {
    fn from(error: candle_core::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}
