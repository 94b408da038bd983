//! Hyper-parameters that are chosen for a learner.

use serde::{Deserialize, Serialize};

/// What is chosen for a learner by `arena tune`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Hyper {
    pub(crate) learning_rate: f64,
    /// One of three values of the learner's own hyper-parameter, 0 to 2.
    pub(crate) variant: usize,
}

impl Hyper {
    /// What a learner has that was not tuned.
    pub(crate) fn first() -> Self {
        Self {
            learning_rate: 1e-3,
            variant: 0,
        }
    }

    /// What every learner may choose from.
    pub(crate) fn all() -> Vec<Self> {
        let rates = [1e-3, 3e-3];
        rates
            .into_iter()
            .flat_map(|learning_rate| {
                (0..3).map(move |variant| Self {
                    learning_rate,
                    variant,
                })
            })
            .collect()
    }
}
