//! Experiment 2 of the thesis (section 6.3): energies of modes, clean, noisy, foreign and missing.

pub(crate) mod figures;
pub(crate) mod outcome;
pub(crate) mod report;
pub(crate) mod results;
pub(crate) mod run;
pub(crate) mod settings;
pub(crate) mod table;
