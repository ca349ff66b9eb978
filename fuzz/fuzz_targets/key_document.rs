//! Looks for inputs that break `properties::key_document`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| postern_fuzz::properties::key_document(data));
