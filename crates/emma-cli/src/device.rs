//! The device that a command computes on.

use std::any::Any;
use std::fmt;
use std::panic::{self, UnwindSafe, catch_unwind};
use std::str::FromStr;

use candle_core::Device;
// Whether they were compiled in, not whether there is a card.
use candle_core::utils::{cuda_is_available, metal_is_available};

use crate::failure::{CommandResult, Failure};

/// What `--device` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeviceChoice {
    Cpu,
    /// The CUDA card of this number.
    Cuda(u16),
    /// The first GPU that Metal knows.
    Metal,
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let card = match text {
            "cpu" => return Ok(Self::Cpu),
            "metal" => return Ok(Self::Metal),
            "cuda" => "0",
            _ => text.strip_prefix("cuda:").unwrap_or_default(),
        };
        // `parse` alone would take a sign.
        let digits = card.bytes().all(|byte| byte.is_ascii_digit());
        match card.parse() {
            Ok(card) if digits => Ok(Self::Cuda(card)),
            _ => Err("expected cpu, cuda, cuda:N (N the card's number, from 0) or metal".into()),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => write!(f, "cpu"),
            Self::Cuda(0) => write!(f, "cuda"),
            Self::Cuda(card) => write!(f, "cuda:{card}"),
            Self::Metal => write!(f, "metal"),
        }
    }
}

impl DeviceChoice {
    /// Opens the device; once a command, since tensors of two openings do not fit together.
    pub(crate) fn open(self) -> CommandResult<Device> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(card) => self.open_as("CUDA", "cuda", cuda_is_available(), move || {
                Device::new_cuda(card.into())
            }),
            Self::Metal => self.open_as("Metal", "metal", metal_is_available(), || {
                Device::new_metal(0)
            }),
        }
    }

    fn open_as(
        self,
        name: &str,
        feature: &str,
        compiled_in: bool,
        open: impl FnOnce() -> candle_core::Result<Device> + UnwindSafe,
    ) -> CommandResult<Device> {
        if !compiled_in {
            return Err(Failure::input(format!(
                "--device {self}: this emma was built without {name}; build it with \
                 `cargo build --release -p emma-cli --features {feature}`"
            )));
        }
        opened(open).map_err(|reason| {
            Failure::input(format!(
                "--device {self}: expected a {name} device that opens, got: {reason}"
            ))
        })
    }
}

/// The device, or the reason in one line.
///
/// A panic is a reason too: candle takes Metal's first GPU out of a list without asking whether
/// there is one, and the CUDA bindings panic, where they are built to load the driver themselves,
/// if they do not find it. Nothing is shared with the closure that a panic could leave half-done.
fn opened(
    open: impl FnOnce() -> candle_core::Result<Device> + UnwindSafe,
) -> Result<Device, String> {
    let hook = panic::take_hook();
    // The reason is printed once, as an error.
    panic::set_hook(Box::new(|_| {}));
    let result = catch_unwind(open);
    panic::set_hook(hook);
    let reason = match result {
        Ok(Ok(device)) => return Ok(device),
        Ok(Err(error)) => error.to_string(),
        Err(payload) => panic_message(payload.as_ref()),
    };
    // candle's errors may go on with a backtrace.
    let first_line = reason.lines().find(|line| !line.trim().is_empty());
    Err(first_line.unwrap_or("no reason given").trim().to_owned())
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no reason given")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_read_back_as_they_are_written() {
        for text in ["cpu", "cuda", "cuda:1", "cuda:17", "metal"] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap().to_string(), text);
        }
        assert_eq!("cuda:0".parse(), Ok(DeviceChoice::Cuda(0)));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "CPU",
            "cpu:0",
            "cuda:",
            "cuda:-1",
            "cuda:+1",
            "cuda:x",
            "cuda: 1",
            "cuda:1.0",
            "cuda:4294967296",
            "cuda0",
            "metal:0",
            "gpu",
        ] {
            assert_eq!(
                text.parse::<DeviceChoice>(),
                Err("expected cpu, cuda, cuda:N (N the card's number, from 0) or metal".into()),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_device_that_fails_or_panics_gives_one_line() {
        let failing = || candle_core::bail!("no driver\n   0: backtrace");
        assert_eq!(opened(failing).unwrap_err(), "no driver");
        let panicking = || panic!("no {}", "library\nfound");
        assert_eq!(opened(panicking).unwrap_err(), "no library");
        assert!(opened(|| Ok(Device::Cpu)).unwrap().is_cpu());
    }
}
