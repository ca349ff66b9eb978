//! Owns: what the management API needs done; the composition root does it.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use serde_json::Value;
use thiserror::Error;

use super::{Configuration, IssuerStatus, Readiness, Reloaded};
use crate::{
    authorization_server::{Actor, AuthorizationServer},
    clock::UnixTime,
    secret::Secret,
    token_endpoint::{NoSuchReuse, ReuseStatus},
};

/// What an operator can ask for.
pub trait Operations: Send + Sync + 'static {
    /// The token that callers must present; none if none is configured. Asked for at each request, so that a reload can
    /// change it.
    fn token(&self) -> Option<Secret>;

    /// Whether requests should be sent here.
    fn readiness(&self) -> Readiness;

    /// All metrics in the OpenMetrics text format.
    ///
    /// # Errors
    /// If they cannot be encoded.
    fn metrics(&self) -> Result<String, fmt::Error>;

    /// The configuration in force.
    fn configuration(&self) -> Configuration;

    /// Reads the configuration anew and applies it if it is good. Runs to its end even if nobody waits for it any more.
    fn reload(&self) -> Pin<Box<dyn Future<Output = Result<Reloaded, ReloadRejected>> + Send + '_>>;

    /// All issuers.
    fn issuers(&self) -> Vec<IssuerStatus>;

    /// Fetches an issuer's keys now and tells how it stands after that.
    fn refresh<'a>(
        &'a self,
        issuer: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<IssuerStatus, RefreshError>> + Send + 'a>>;

    /// What token endpoints keep of their providers' tokens, to hand it out again.
    fn reused_tokens(&self) -> Vec<ReuseStatus>;

    /// Ends the reuse of what is kept, at one endpoint or all, of one client or all; gives back how many tokens that were.
    ///
    /// # Errors
    /// There is no such endpoint.
    fn drop_reused_tokens(&self, endpoint: Option<&str>, client_id: Option<&str>) -> Result<u64, NoSuchReuse>;

    /// The embedded issuer of the configuration in force; none if it has none.
    fn issuer(&self) -> Option<Arc<AuthorizationServer>>;

    /// What time it is.
    fn now(&self) -> UnixTime;

    /// Under which name the audit notes what is done.
    fn actor(&self) -> Actor {
        Actor::new("admin-api")
    }
}

/// A configuration that was not applied.
#[derive(Clone, Debug, Error)]
#[error("the configuration has errors; the one before it stays in force")]
pub struct ReloadRejected {
    /// What is wrong with it.
    pub diagnostics: Value,
}

/// Why an issuer's keys were not fetched.
#[derive(Clone, Debug, Error)]
pub enum RefreshError {
    /// There is no issuer of that name.
    #[error("no issuer has this name")]
    Unknown,
    /// It has no keys that could be fetched.
    #[error("this issuer's keys are not fetched: it is the embedded one")]
    Embedded,
    /// It was tried; the keys before stay in use.
    #[error("the keys could not be fetched: {0}")]
    Failed(String),
}
