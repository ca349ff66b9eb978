//! The `postern` program: the allocator, the command line, the exit code.
#![forbid(unsafe_code)]

use std::process::ExitCode;

/// It puts what takes as many bytes as a power of two at a multiple of that, which `telemetry::metrics` relies on for being quick.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    keep_pages_small();
    postern::cli::run()
}

/// The allocator asks for huge pages, of which each thread touches a little here and a little there: what fits into 5 MiB then
/// takes 16. A gateway that passes bodies on without gathering them has nothing that would be worth it.
#[cfg(target_os = "linux")]
fn keep_pages_small() {
    // Where the kernel refuses, more memory is used; nothing else changes.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

#[cfg(not(target_os = "linux"))]
const fn keep_pages_small() {}
