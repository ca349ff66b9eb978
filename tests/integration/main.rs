//! Behaviour over real sockets, a file for each kind of it.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod command_line;
mod demo;
mod drain;
mod explain;
mod first_steps;
mod reload;
mod reload_kept;
mod reload_refused;
mod reload_under_load;
