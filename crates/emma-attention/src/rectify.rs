//! `max(0, x)` that does not hide what is not a number.

use candle_core::{Result, Tensor};

/// `max(0, x)`, element by element; NaN stays NaN.
///
/// candle's `relu` turns NaN into 0, which would make a mode of unknown energy look perfectly clean.
pub(crate) fn rectify(x: &Tensor) -> Result<Tensor> {
    let zeros = x.zeros_like()?;
    x.lt(&zeros)?.where_cond(&zeros, x)
}
