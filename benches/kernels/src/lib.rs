//! What contestants of `cargo xtask bench` share: the workload, and how they answer.
//!
//! `benches/peers/workload.py` is the same in Python: numbers that a contestant states in `check` agree
//! between all of them, so that they are known to have done the same work.

pub mod contestant;
pub mod memory;
pub mod workload;
