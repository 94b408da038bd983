//! Rows that cannot be scored.

use super::row_scores::RowFault;
use crate::checkpoint::ModeColumns;

type Result<T> = std::result::Result<T, RowFault>;

fn fault(row: usize, message: String) -> RowFault {
    RowFault::new(row, message)
}

/// A ReLU may turn NaN into 0, so that a network's output need not betray it.
pub(super) fn check_features(row: usize, features: &[f64], mode: &ModeColumns) -> Result<()> {
    match features.iter().find(|value| !value.is_finite()) {
        None => Ok(()),
        Some(value) => Err(fault(
            row,
            format!(
                "expected finite features in mode {}, got {value}",
                mode.name
            ),
        )),
    }
}

pub(super) fn check_self_energies(
    row: usize,
    energies: &[f64],
    modes: &[ModeColumns],
) -> Result<()> {
    for (energy, mode) in energies.iter().zip(modes) {
        // Not positive, or NaN.
        if !(*energy > 0. && energy.is_finite()) {
            let name = &mode.name;
            return Err(fault(
                row,
                format!("expected a positive, finite self-energy of mode {name}, got {energy}"),
            ));
        }
    }
    Ok(())
}

pub(super) fn check_modal_energies(
    row: usize,
    energies: &[f64],
    modes: &[ModeColumns],
) -> Result<()> {
    for (energy, mode) in energies.iter().zip(modes) {
        if !energy.is_finite() {
            let name = &mode.name;
            return Err(fault(
                row,
                format!("expected a finite modal energy of mode {name}, got {energy}"),
            ));
        }
    }
    Ok(())
}

pub(super) fn check_importance(row: usize, importance: &[f64]) -> Result<()> {
    if importance.iter().any(|share| share.is_nan()) {
        return Err(fault(
            row,
            "the importance of its modes is not a number".into(),
        ));
    }
    Ok(())
}

pub(super) fn check_attention(row: usize, attention: &[f64]) -> Result<()> {
    if attention.iter().any(|share| share.is_nan()) {
        return Err(fault(
            row,
            "the attention of its modes is not a number".into(),
        ));
    }
    Ok(())
}

pub(super) fn check_outputs(row: usize, outputs: &[f64]) -> Result<()> {
    if outputs.iter().any(|output| output.is_nan()) {
        return Err(fault(row, "the network's output is not a number".into()));
    }
    Ok(())
}
