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

mod admin;
mod embedded_issuer;
mod first_steps;
mod identity;
mod paths;
mod reasons;
mod report_mode;
mod rules;
mod secrecy;
mod statuses;
mod token_attacks;
mod token_cache;
mod issuer_faults;
mod key_rotation;
mod metrics;
mod startup;
mod access_log;
mod balancing;
mod bodies;
mod grpc;
mod limits;
mod protocols;
mod streaming;
mod timeouts;
mod tls;
mod upgrade;
mod command_line;
mod demo;
mod drain;
mod explain;
mod reload;
mod reload_kept;
mod reload_refused;
mod reload_under_load;
