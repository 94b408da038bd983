//! A training between two epochs.

use std::collections::BTreeMap;

use candle_core::Tensor;
use emma_energy::AdamState;

use super::history::TrainingHistory;

/// One model's training after an epoch: all that it needs to go on to the same bits, apart from the
/// rows and the generator that shuffles them.
#[derive(Debug, Clone)]
pub struct TrainingState {
    /// What happened so far.
    pub history: TrainingHistory,
    /// Values of all variables after the last epoch, by path.
    pub parameters: BTreeMap<String, Tensor>,
    /// Values of all variables after the best epoch, by path.
    pub best_parameters: BTreeMap<String, Tensor>,
    /// What the optimizer remembers of the gradients.
    pub optimizer: AdamState,
}

/// The parts of a state as tensors are named.
const PARTS: [&str; 4] = ["parameters", "best", "mean", "mean_square"];

impl TrainingState {
    /// All tensors under one name each: `parameters.{path}`, `best.{path}`, and the optimizer's `mean.{path}` and
    /// `mean_square.{path}`. [`history`](Self::history) and the optimizer's number of steps are not among them.
    pub fn tensors(&self) -> BTreeMap<String, Tensor> {
        let parts = [
            &self.parameters,
            &self.best_parameters,
            &self.optimizer.mean,
            &self.optimizer.mean_square,
        ];
        let parts = PARTS.into_iter().zip(parts);
        let named = |(part, tensors): (&str, &BTreeMap<String, Tensor>)| {
            let tensors = tensors.iter();
            tensors
                .map(|(path, tensor)| (format!("{part}.{path}"), tensor.clone()))
                .collect::<Vec<_>>()
        };
        parts.flat_map(named).collect()
    }

    /// The way back from [`tensors`](Self::tensors). What has another name is left out; whether all is there
    /// shows when the state is taken up.
    pub fn from_tensors(
        tensors: &BTreeMap<String, Tensor>,
        history: TrainingHistory,
        n_steps: u64,
    ) -> Self {
        let [parameters, best_parameters, mean, mean_square] = PARTS.map(|part| {
            let own = tensors.iter().filter_map(|(name, tensor)| {
                let path = name.strip_prefix(part)?.strip_prefix('.')?;
                Some((path.to_owned(), tensor.clone()))
            });
            own.collect()
        });
        Self {
            history,
            parameters,
            best_parameters,
            optimizer: AdamState {
                n_steps,
                mean,
                mean_square,
            },
        }
    }
}
