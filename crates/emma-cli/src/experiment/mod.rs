//! What all experiments share: where their data come from and where their results go.

pub(crate) mod data;
pub(crate) mod energy_auc;
pub(crate) mod estimators;
pub(crate) mod folder;
pub(crate) mod over_seeds;
