//! The combinations of hyper-parameters that `with` chooses from, by validation F1.

use clap::ValueEnum;
use emma_attention::Regularizers;
use serde::{Deserialize, Serialize};

use crate::failure::CommandResult;
use crate::networks::{Candidate, combinations};

/// Values of the coldness at which EMMA is trained without regularizers to show what the coldness does,
/// whatever the grid. Those that are not in the grid are not chosen from.
pub(crate) const COLDNESS_SWEEP: [f64; 8] = [1e-5, 1e-4, 1e-3, 0.01, 0.1, 1., 10., 100.];

/// Which grid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GridName {
    /// The thesis's 125: coldness 0.0001 to 1, lambda_c and lambda_e 0 and 0.0001 to 0.1
    Thesis,
    /// Coldness 0.01, 0.1 and 1 without regularizers
    #[default]
    Small,
    /// Coldness 0.1 without regularizers: nothing is chosen
    None,
}

impl GridName {
    /// Values of the coldness.
    pub(crate) fn coldness(self) -> Vec<f64> {
        match self {
            Self::Thesis => vec![1e-4, 1e-3, 0.01, 0.1, 1.],
            Self::Small => vec![0.01, 0.1, 1.],
            Self::None => vec![0.1],
        }
    }

    /// The grid's values of the regularizers' weights.
    pub(crate) fn grid(self) -> Grid {
        let weights = match self {
            Self::Thesis => vec![0., 1e-4, 1e-3, 0.01, 0.1],
            Self::Small | Self::None => vec![0.],
        };
        Grid {
            name: self,
            lambda_c: weights.clone(),
            lambda_e: weights,
        }
    }
}

/// A grid's weights of the regularizers; its values of the coldness stand beside it in the settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Grid {
    pub(crate) name: GridName,
    /// Capacity weights λ_c.
    pub(crate) lambda_c: Vec<f64>,
    /// Energy weights λ_e.
    pub(crate) lambda_e: Vec<f64>,
}

/// What results of versions without a choice of grids were made with.
impl Default for Grid {
    fn default() -> Self {
        GridName::default().grid()
    }
}

impl Grid {
    /// All combinations: coldness slowest, λ_e fastest. `regularizers` says what the weights weigh.
    pub(crate) fn candidates(
        &self,
        coldness: &[f64],
        regularizers: Regularizers,
    ) -> CommandResult<Vec<Candidate>> {
        combinations(coldness, &self.lambda_c, &self.lambda_e, regularizers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(name: GridName) -> Vec<(f64, f64, f64)> {
        let grid = name.grid();
        grid.candidates(&name.coldness(), Regularizers::default())
            .unwrap()
            .into_iter()
            .map(|candidate| {
                let weights = candidate.regularizers;
                (
                    candidate.coldness.value(),
                    weights.capacity_weight,
                    weights.energy_weight,
                )
            })
            .collect()
    }

    #[test]
    fn the_thesis_has_125_different_combinations() {
        let all = candidates(GridName::Thesis);
        assert_eq!(all.len(), 125);
        let mut different = all.clone();
        different.sort_by(|a, b| a.partial_cmp(b).unwrap());
        different.dedup();
        assert_eq!(different.len(), 125);
        assert_eq!(all[0], (1e-4, 0., 0.));
        assert_eq!(all[1], (1e-4, 0., 1e-4));
        assert_eq!(all[5], (1e-4, 1e-4, 0.));
        assert_eq!(all[124], (1., 0.1, 0.1));
    }

    #[test]
    fn the_smaller_grids_leave_the_regularizers_out() {
        assert_eq!(
            candidates(GridName::Small),
            [(0.01, 0., 0.), (0.1, 0., 0.), (1., 0., 0.)]
        );
        assert_eq!(candidates(GridName::None), [(0.1, 0., 0.)]);
    }
}
