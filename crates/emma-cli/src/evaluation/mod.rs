//! `emma evaluate`: measures of a model on labelled rows, clean or corrupted.
//!
//! [`rows`] reads and corrupts the table, [`measured`] takes measures and their intervals, [`curve`] follows one
//! measure over the levels of a corruption, [`selective_risk`] counts the rows that a model answers
//! which may abstain.

pub(crate) mod curve;
pub(crate) mod measured;
pub(crate) mod rows;
pub(crate) mod selective_risk;
