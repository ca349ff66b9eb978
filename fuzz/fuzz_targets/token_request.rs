//! Looks for inputs that break `properties::token_request`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| postern_fuzz::properties::token_request(data));
