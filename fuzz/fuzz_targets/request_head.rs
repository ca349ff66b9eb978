//! Looks for inputs that break `wire::request_head`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| postern_fuzz::wire::request_head(data));
