//! Experiment 1 of the thesis (section 4.3): energies on a wave and on a circle.

pub(crate) mod figures;
pub(crate) mod measures;
pub(crate) mod plane;
pub(crate) mod report;
pub(crate) mod results;
pub(crate) mod run;
pub(crate) mod settings;
pub(crate) mod table;
