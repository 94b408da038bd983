//! The arena: EMMA+ and its rivals on the same rows, narrowly and broadly trained.

mod construction;
pub(crate) mod figures;
mod fit;
mod hyper;
pub(crate) mod learner;
pub(crate) mod outcome;
mod peers;
mod regime;
pub(crate) mod report;
pub(crate) mod results;
mod rows;
pub(crate) mod run;
pub(crate) mod settings;
mod standing;
pub(crate) mod table;
mod threshold;
pub(crate) mod tune;
