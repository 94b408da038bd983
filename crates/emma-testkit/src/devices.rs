//! The devices that a test runs on.

use std::panic::catch_unwind;
use std::sync::OnceLock;

use candle_core::utils::{cuda_is_available, metal_is_available};
use candle_core::{DType, Device, Result};

/// Every device that this build has and this machine offers, the CPU always first.
///
/// A build without device features, in whatever crate, has the CPU alone. With `cuda` every card
/// follows, by its number, with `metal` the first GPU. A device that does not open is left out,
/// with the reason on standard error. Devices are opened once a process, so that tensors of two
/// calls fit together.
///
/// A test keeps its tensors to its own thread: candle gives every thread a CUDA stream of its own
/// and orders none after another.
pub fn devices() -> &'static [Device] {
    static DEVICES: OnceLock<Vec<Device>> = OnceLock::new();
    DEVICES.get_or_init(|| {
        let mut devices = vec![Device::Cpu];
        if cuda_is_available() {
            // Cards are numbered without a gap: the first that does not open ends them.
            devices.extend((0..).map_while(|ordinal| {
                opened(&format!("cuda:{ordinal}"), || Device::new_cuda(ordinal))
            }));
        }
        if metal_is_available() {
            devices.extend(opened("metal", || Device::new_metal(0)));
        }
        devices
    })
}

/// The devices of [`devices`] that can compute in a type.
pub fn devices_with(dtype: DType) -> impl Iterator<Item = &'static Device> {
    devices()
        .iter()
        .filter(move |device| has_type(device, dtype))
}

/// Whether a device can compute in a type: Metal has no f64, everything else is everywhere.
pub fn has_type(device: &Device, dtype: DType) -> bool {
    !(device.is_metal() && dtype == DType::F64)
}

/// The device, unless opening it fails or panics (candle takes Metal's first GPU out of a list
/// that may be empty).
fn opened(
    name: &str,
    open: impl FnOnce() -> Result<Device> + std::panic::UnwindSafe,
) -> Option<Device> {
    match catch_unwind(open) {
        Ok(Ok(device)) => Some(device),
        Ok(Err(error)) => {
            // The first line: candle's errors go on with a backtrace.
            let reason = error.to_string();
            eprintln!(
                "tests leave out {name}: {}",
                reason.lines().next().unwrap_or_default()
            );
            None
        }
        Err(_) => {
            eprintln!("tests leave out {name}: opening it panicked");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Tensor;

    #[test]
    fn the_cpu_comes_first_and_every_device_adds() -> Result<()> {
        assert!(devices()[0].is_cpu());
        for device in devices() {
            let one = Tensor::new(&[1f32], device)?;
            assert_eq!(
                (one + 1.)?.to_vec1::<f32>()?,
                [2.],
                "{:?}",
                device.location()
            );
        }
        Ok(())
    }

    #[test]
    fn the_cpu_has_every_type() {
        for dtype in [DType::F32, DType::F64, DType::U32] {
            assert!(devices_with(dtype).next().is_some_and(Device::is_cpu));
        }
    }
}
