//! `emma train` and `emma init`: a model for the user's own table.
//!
//! [`config`] is the file that says what to do, [`init`] guesses one. [`rows`] reads, splits and corrupts the
//! table; [`run`] trains, chooses and measures; [`state_file`] keeps what is done, so that a training can go
//! on; [`outcome`] is what it leaves, [`abstention`] the rows in the model by which it may say nothing. [`reporter`] tells, to people and logs.

mod abstention;
pub(crate) mod config;
pub(crate) mod init;
pub(crate) mod interruption;
pub(crate) mod outcome;
mod plus;
pub(crate) mod reporter;
pub(crate) mod rows;
pub(crate) mod run;
pub(crate) mod state_file;
mod tensorboard;
