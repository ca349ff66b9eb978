//! Looks for inputs that break `properties::credential`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| postern_fuzz::properties::credential(data));
