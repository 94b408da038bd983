//! Comparison of floating-point numbers with a stated tolerance.

use candle_core::{DType, Device, Result, Tensor};

/// Fails unless every `|got − expected| ≤ relative · |expected| + absolute`.
///
/// # Panics
/// With the worst element, when it fails.
#[track_caller]
pub fn assert_close(what: &str, got: &[f64], expected: &[f64], relative: f64, absolute: f64) {
    assert_eq!(got.len(), expected.len(), "{what}: lengths differ");
    for (position, (&got, &expected)) in got.iter().zip(expected).enumerate() {
        let allowed = relative * expected.abs() + absolute;
        let difference = (got - expected).abs();
        assert!(
            difference <= allowed,
            "{what}[{position}]: got {got}, expected {expected}, off by {difference:e}, \
             allowed {allowed:e}"
        );
    }
}

/// As [`assert_close`] for finite numbers; where NaN or an infinity is expected, it must come.
///
/// # Panics
/// With the first element that differs, when it fails.
#[track_caller]
pub fn assert_alike(what: &str, got: &[f64], expected: &[f64], relative: f64, absolute: f64) {
    assert_eq!(got.len(), expected.len(), "{what}: lengths differ");
    for (position, (&got, &expected)) in got.iter().zip(expected).enumerate() {
        let what = format!("{what}[{position}]");
        if expected.is_finite() {
            assert_close(&what, &[got], &[expected], relative, absolute);
        } else {
            // Bits of NaN may differ.
            let same = got.total_cmp(&expected).is_eq() || got.is_nan() && expected.is_nan();
            assert!(same, "{what}: got {got}, expected {expected}");
        }
    }
}

/// All values of a tensor of any shape on any device, in row-major order.
///
/// # Errors
/// Only candle's own.
pub fn values(tensor: &Tensor) -> Result<Vec<f64>> {
    // On the CPU first: Metal cannot cast to f64.
    let tensor = tensor.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
    tensor.flatten_all()?.to_vec1()
}
