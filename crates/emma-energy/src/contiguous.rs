//! Elements of tensors on the CPU, for operations on plain slices.

use candle_core::{Layout, Result};

/// The elements of a contiguous layout. The caller made every operand contiguous.
pub(crate) fn contiguous<'a, T>(values: &'a [T], layout: &Layout) -> Result<&'a [T]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&values[start..end]),
        None => candle_core::bail!("expected contiguous operands"),
    }
}
