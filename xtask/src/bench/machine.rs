//! What the figures were measured on, and with.

use std::fs;
use std::path::Path;
use std::process::Command;

/// The first line that a program prints.
pub(crate) fn first_line(program: impl AsRef<Path>, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program.as_ref())
        .args(arguments)
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !text.is_empty())
        .then(|| text.lines().next().unwrap_or_default().to_owned())
}

/// Cores that this process may use.
pub(crate) fn n_cores() -> usize {
    std::thread::available_parallelism().map_or(1, Into::into)
}

/// The processor's name, and how many cores there are.
pub(crate) fn processor() -> String {
    let of_linux = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    });
    let name = of_linux
        .or_else(|| first_line("sysctl", &["-n", "machdep.cpu.brand_string"]))
        .unwrap_or_else(|| "unknown processor".to_owned());
    format!("{name}, {} cores", n_cores())
}

/// How busy the machine is: 0 where nothing else runs.
pub(crate) fn load() -> Option<String> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().next().map(str::to_owned)
}

/// Today, as the system knows it.
pub(crate) fn today() -> String {
    first_line("date", &["-u", "+%Y-%m-%d"]).unwrap_or_else(|| "unknown date".to_owned())
}

/// The compiler that builds what is measured.
pub(crate) fn rustc() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    first_line(rustc, &["--version"]).unwrap_or_else(|| "unknown rustc".to_owned())
}
