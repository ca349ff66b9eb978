//! Looks for inputs that break `properties::introspection`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| postern_fuzz::properties::introspection(data));
