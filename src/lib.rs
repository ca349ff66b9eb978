//! Postern: a gateway for machine-to-machine traffic. It stands before backend APIs, lets a request through only with a token
//! that the route asks for, and issues such tokens itself where it is told to.
//!
//! # The life of a request
//!
//! [`server`] accepts a connection and reads a request; [`gateway`] takes it from there:
//!
//! 1. the [`snapshot`] is loaded, once: one request is decided by one configuration
//! 2. host and path are normalised, and what is ambiguous is refused: [`http::NormalHost`], [`http::NormalPath`]
//! 3. the route is matched: [`routing::RouteTable`]
//! 4. exactly one credential is extracted: [`auth::extract`]
//! 5. it is verified, out of the cache, by signature, or by its issuer's word: [`auth::verify`] gives an
//!    [`auth::VerifiedToken`]
//! 6. the route's rules are judged, on every request: [`auth::Requirement::authorize`] gives an [`auth::Permit`]
//! 7. the fields are rewritten: [`http::headers`], [`http::forwarded`]
//! 8. the request is forwarded: [`upstream::forward`] consumes the permit, and nothing else makes one, so what nobody
//!    authorized cannot be forwarded: it does not compile
//! 9. the answer streams back, and once its body has ended the request is counted and logged: [`telemetry`]
//!
//! # The rooms, by floors
//!
//! Imports go downwards only; `tests/architecture.rs` holds that, and `ARCHITECTURE.md` says why.
//!
//! | floor | rooms |
//! | --- | --- |
//! | 8 | [`cli`]: the commands; [`app`]: builds, starts and stops everything |
//! | 7 | [`gateway`]: a request's way; [`admin`]: health, metrics, management |
//! | 6 | [`snapshot`]: a configuration compiled whole, and its replacement |
//! | 5 | [`token_endpoint`]: what clients post to, in four dialects |
//! | 4 | [`authorization_server`]: the embedded issuer |
//! | 3 | [`routing`], [`auth`], [`upstream`], [`server`], [`limit`]: siblings that do not know each other |
//! | 2 | [`store`]: what survives a restart; [`outbound`]: what Postern itself asks of other servers |
//! | 1 | [`config`]: the TOML as plain data; [`http`], [`jose`], [`oauth`], [`pem`]: vocabularies; [`telemetry`]: metrics and logs |
//! | 0 | [`clock`], [`id`], [`secret`], [`diagnostic`], [`living`], [`descriptors`], [`read_ahead`], [`received`], [`in_place`], [`ahead`], [`turn`] |
//!
//! The library is there for the program, its tests and its benchmarks; it promises nothing to other crates.
#![forbid(unsafe_code)]

pub mod admin;
pub mod ahead;
pub mod app;
pub mod auth;
pub mod authorization_server;
pub mod cli;
pub mod clock;
pub mod config;
pub mod descriptors;
pub mod diagnostic;
pub mod gateway;
pub mod http;
pub mod id;
pub mod in_place;
pub mod jose;
pub mod limit;
pub mod living;
pub mod oauth;
pub mod outbound;
pub mod pem;
pub mod read_ahead;
pub mod received;
pub mod routing;
pub mod secret;
pub mod server;
pub mod snapshot;
pub mod store;
pub mod telemetry;
pub mod token_endpoint;
pub mod turn;
pub mod upstream;
