//! How much memory this process has taken; known on Linux only.

use std::fs;

/// Forgets the peak, so that [`peak`] is that of what comes.
pub fn forget_peak() {
    // Where the file is not there, there is no peak either.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// Most bytes in memory at once.
pub fn peak() -> Option<u64> {
    kibibytes("VmHWM:").map(|kib| kib * 1024)
}

/// Bytes in memory.
pub fn now() -> Option<u64> {
    kibibytes("VmRSS:").map(|kib| kib * 1024)
}

fn kibibytes(field: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}
