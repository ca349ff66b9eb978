//! Postern: a gateway for machine-to-machine traffic.
#![forbid(unsafe_code)]

pub mod admin;
pub mod app;
pub mod auth;
pub mod authorization_server;
pub mod cli;
pub mod clock;
pub mod config;
pub mod diagnostic;
pub mod gateway;
pub mod http;
pub mod id;
pub mod jose;
pub mod oauth;
pub mod pem;
pub mod routing;
pub mod secret;
pub mod server;
pub mod snapshot;
pub mod telemetry;
pub mod token_endpoint;
pub mod upstream;
