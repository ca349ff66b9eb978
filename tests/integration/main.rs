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

mod access_log;
mod balancing;
mod bodies;
mod first_steps;
mod grpc;
mod limits;
mod protocols;
mod streaming;
mod timeouts;
mod tls;
mod upgrade;
