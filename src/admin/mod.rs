//! Owns: the listener for operators: health, metrics, and the management API under `/api/v1`.
//! Refuses: deciding or knowing anything by itself: it asks [`Operations`]. Refuses callers without the token, requests
//! that a browser sends on behalf of another site, and hosts that are not its own (DNS rebinding).
//! Always holds: an answer never carries a secret, and never a configuration that was rejected.

mod api;
mod configuration;
mod extract;
mod guard;
mod health;
mod issuer;
mod issuers;
mod model;
mod moment;
mod openapi;
mod operations;
mod problem;
mod reused_tokens;
mod serve;
mod settings;

pub use self::{
    api::router,
    model::{Configuration, IssuerState, IssuerStatus, Missing, MissingKind, Readiness, RejectedReload, Reloaded},
    operations::{Operations, RefreshError, ReloadRejected},
    serve::{AdminListener, serve},
    settings::{AdminSettings, compile},
};

#[cfg(test)]
mod tests;
