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
mod api_keys;
mod balancing;
mod bodies;
mod cli_issuer;
mod clock_jumps;
mod command_line;
mod demo;
mod descriptors;
mod drain;
mod durability;
mod embedded_issuer;
mod end_with_token;
mod explain;
mod first_steps;
mod floods;
mod forwarded_quotas;
mod forwarding;
mod framing;
mod frontegg_management;
mod grpc;
mod guessing;
mod health;
mod http2_conduct;
mod hub_revocation;
mod identity;
mod issuer_faults;
mod key_rotation;
mod limits;
mod management;
mod metrics;
mod names;
mod oauth_client_library;
mod opaque_tokens;
mod outlier;
mod outside_provider;
mod overload;
mod paths;
mod plgd_management;
mod protocols;
mod provider_faults;
mod proxy_protocol;
mod quotas;
mod real_clients;
mod reasons;
mod reload;
mod reload_kept;
mod reload_refused;
mod reload_under_load;
mod replicas;
mod report_mode;
mod retries;
mod revocation_speed;
mod route_limits;
mod route_terms;
mod rules;
mod scripted_provider;
mod secrecy;
mod shared_counters;
mod shared_limits;
mod shared_quotas;
mod slow_writes;
mod spelling;
mod startup;
mod statuses;
mod store_loss;
mod streaming;
mod system_auth0;
mod system_frontegg;
mod system_oauth2;
mod system_plgd;
mod timeouts;
mod tls;
mod token_attacks;
mod token_cache;
mod token_reuse;
mod upgrade;
mod upstream_frames;
mod upstream_framing;
mod websockets;
