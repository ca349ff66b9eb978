//! Owns: what comes of a request for a token (RFC 6749 section 4.4): the token, or why an authenticated client gets none.
//! Always holds: printing an issued token for a developer does not show it.

use std::{fmt, sync::Arc, time::Duration};

use thiserror::Error;

use crate::secret::Secret;

/// A token that was issued.
pub struct IssuedToken {
    /// The token.
    pub access_token: Secret,
    /// How long it lasts, in whole seconds.
    pub lifetime: Duration,
    /// Its scopes, separated by spaces; none if it has none.
    pub scope: Option<String>,
    /// The client it was issued to.
    pub client_id: Arc<str>,
    /// Its `jti`, for the log.
    pub token_id: String,
}

/// Why an authenticated client gets no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum IssueRefusal {
    /// Issuing is switched off.
    #[error("machine-to-machine tokens are switched off")]
    Disabled,
    /// It may not have any token.
    #[error("it has no grants")]
    NoGrants,
    /// It has to say which audience it means.
    #[error("it has several grants and named no audience")]
    AudienceMissing,
    /// There is no such audience.
    #[error("there is no such audience")]
    UnknownAudience,
    /// There is, but not for this client.
    #[error("the audience is not granted to it")]
    AudienceNotGranted,
    /// The scope is not what RFC 6749 section 3.3 calls one.
    #[error("the scope is malformed")]
    MalformedScope,
    /// A scope is not granted to it.
    #[error("a scope is not granted to it")]
    ScopeNotGranted,
}

impl fmt::Debug for IssuedToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("IssuedToken")
            .field("client_id", &self.client_id)
            .field("token_id", &self.token_id)
            .field("scope", &self.scope)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}
