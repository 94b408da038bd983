//! Elements of tensors on the CPU, for operations on plain slices.

use candle_core::{CpuStorage, Layout, Result, WithDType};

/// The elements of a contiguous tensor. The caller made every operand contiguous.
pub(crate) fn contiguous<'a, T: WithDType>(
    (storage, layout): (&'a CpuStorage, &Layout),
) -> Result<&'a [T]> {
    let values = T::cpu_storage_as_slice(storage)?;
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&values[start..end]),
        None => candle_core::bail!("expected contiguous operands"),
    }
}
