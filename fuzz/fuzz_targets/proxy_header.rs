//! Looks for inputs that break `wire::proxy_header`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| postern_fuzz::wire::proxy_header(data));
