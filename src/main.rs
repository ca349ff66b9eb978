//! The `postern` program: allocator, command line, exit code.
#![forbid(unsafe_code)]

fn main() {}
