//! (to be written)

pub mod token;
pub mod upstream_example;
