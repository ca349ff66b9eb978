//! Looks for inputs that break `properties::decision`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| postern_fuzz::properties::decision(data));
