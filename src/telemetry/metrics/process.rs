//! Owns: what the kernel says of this process, under the names that Prometheus clients use everywhere.

use std::fs;

use super::{Samples, catalogue};

/// Adds what can be read; what cannot (no `/proc` there) is left out.
pub(super) fn collect(samples: &mut Samples) {
    if let Some(bytes) = resident_bytes() {
        samples.add(&catalogue::RESIDENT_MEMORY, &[], bytes);
    }
    if let Ok(descriptors) = fs::read_dir("/proc/self/fd") {
        // The one that reads the folder is not counted.
        samples.add(&catalogue::OPEN_DESCRIPTORS, &[], descriptors.count().saturating_sub(1));
    }
}

fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kibibytes.checked_mul(1024)
}
