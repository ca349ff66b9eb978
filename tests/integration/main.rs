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
mod admin;
mod balancing;
mod bodies;
mod embedded_issuer;
mod first_steps;
mod grpc;
mod identity;
mod issuer_faults;
mod key_rotation;
mod limits;
mod metrics;
mod paths;
mod protocols;
mod reasons;
mod report_mode;
mod rules;
mod secrecy;
mod startup;
mod statuses;
mod streaming;
mod timeouts;
mod tls;
mod token_attacks;
mod token_cache;
mod upgrade;
