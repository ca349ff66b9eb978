//! What must hold of every input, in one place: the fuzz targets look for inputs that break it, and `tests/properties.rs`
//! tries it with generated ones on stable Rust.
#![forbid(unsafe_code)]

pub mod properties;
pub mod wire;
