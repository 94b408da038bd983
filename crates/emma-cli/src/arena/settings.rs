//! All that the arena's scores depend on.

use std::collections::BTreeMap;

use anyhow::Context;
use emma_energy::NoiseModel;
use serde::{Deserialize, Serialize};

use super::hyper::Hyper;
use super::learner::Learner;
use super::regime::Regime;
use crate::experiment3::settings::{DataSettings, RAW};
use crate::failure::CommandResult;

/// What `arena tune` chose, as it is committed: on HTRU2.
const TUNED: &str = include_str!("../../arena/tuned.json");
/// The same on the raw modes of the simulated survey.
const TUNED_RAW: &str = include_str!("../../arena/tuned_raw.json");

/// Which hyper-parameters each learner has in each regime.
pub(crate) type Tuned = BTreeMap<Regime, BTreeMap<Learner, Hyper>>;

/// What made them.
pub(super) fn tuning_command(source: &str) -> &'static str {
    if source == RAW {
        "cargo xtask arena --data raw --seeds 1 --epochs 15 tune"
    } else {
        "cargo xtask arena --data htru2 --seeds 2 tune"
    }
}

/// For data of a source; what was chosen on HTRU2 goes for all tables like it.
fn tuned(source: &str) -> CommandResult<Tuned> {
    let text = if source == RAW { TUNED_RAW } else { TUNED };
    Ok(serde_json::from_str(text).context("the arena's committed hyper-parameters")?)
}

/// Everything that can change a score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// `arena`: marks a folder as its own.
    pub(crate) experiment: String,
    pub(crate) version: String,
    pub(crate) data: DataSettings,
    pub(crate) seeds: Vec<u64>,
    pub(crate) learners: Vec<Learner>,
    pub(crate) regimes: Vec<Regime>,
    pub(crate) n_epochs: usize,
    pub(crate) noise: NoiseModel,
    pub(crate) tuned: Tuned,
}

impl Settings {
    pub(crate) fn new(data: DataSettings, seeds: Vec<u64>) -> CommandResult<Self> {
        let tuned = tuned(&data.source)?;
        Ok(Self {
            experiment: "arena".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            data,
            seeds,
            learners: Learner::ALL.to_vec(),
            regimes: Regime::ALL.to_vec(),
            n_epochs: 35,
            noise: NoiseModel::default(),
            tuned,
        })
    }

    /// The hyper-parameters of a learner.
    pub(crate) fn hyper(&self, regime: Regime, learner: Learner) -> Hyper {
        let of_regime = self.tuned.get(&regime);
        let own = of_regime.and_then(|learners| learners.get(&learner));
        own.copied().unwrap_or_else(Hyper::first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment3::settings::HTRU2;

    #[test]
    fn the_committed_choice_can_be_read_and_is_one_of_those_offered() {
        for source in [HTRU2, RAW] {
            let tuned = tuned(source).unwrap();
            for regime in Regime::ALL {
                let learners = Learner::ALL.into_iter();
                for learner in learners.filter(|learner| learner.takes_part(regime)) {
                    let hyper = tuned[&regime][&learner];
                    assert!(Hyper::all().contains(&hyper), "{regime:?} {learner:?}");
                }
            }
        }
    }
}
