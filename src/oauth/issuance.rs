//! Owns: what comes of a request for a token (RFC 6749 section 4.4): the token, or why an authenticated client gets none.
//! Always holds: printing an issued token for a developer does not show it.

use std::{fmt, sync::Arc, time::Duration};

use serde_json::{Map, Value};
use thiserror::Error;

use crate::{clock::UnixTime, id::TokenId, secret::Secret};

/// A token that was issued.
#[derive(Clone)]
pub struct IssuedToken {
    /// The token.
    pub access_token: Secret,
    /// What it takes to use it.
    pub token_type: AccessTokenType,
    /// How long it lasts, in whole seconds; none: it never expires.
    pub lifetime: Option<Duration>,
    /// The moment of its `exp`; none: it never expires.
    pub expires_at: Option<UnixTime>,
    /// Its scopes, separated by spaces; none if it has none.
    pub scope: Option<String>,
    /// The client it was issued to.
    pub client_id: Arc<str>,
    /// Its name, for the log; that of a token of an outside provider is a hash of it.
    pub token_id: TokenId,
    /// What else its issuer says of it.
    pub beside: Map<String, Value>,
}

/// What it takes to use an access token (RFC 6749 section 7.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AccessTokenType {
    /// Having it (RFC 6750).
    #[default]
    Bearer,
    /// Having a key as well (RFC 9449).
    Dpop,
}

impl AccessTokenType {
    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Dpop => "DPoP",
        }
    }
}

/// What an API token's credentials, or a refresh token, were exchanged for.
pub struct ExchangedToken {
    /// The token.
    pub access_token: Secret,
    /// What the next one is had for, once; none if the issuer gives none.
    pub refresh_token: Option<Secret>,
    /// How long the access token lasts, in whole seconds; none: it never expires.
    pub lifetime: Option<Duration>,
    /// The moment of its `exp`; none: it never expires.
    pub expires_at: Option<UnixTime>,
    /// The API token's client id.
    pub client_id: Arc<str>,
    /// The access token's name, for the log; that of a token of an outside provider is a hash of it.
    pub token_id: TokenId,
}

/// Why an authenticated client gets no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum IssueRefusal {
    /// Issuing is switched off.
    #[error("machine-to-machine tokens are switched off")]
    Disabled,
    /// This client is switched off.
    #[error("it is disabled")]
    ClientDisabled,
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
    /// It may not ask for a token for that organisation.
    #[error("the organization is not allowed for it")]
    OrganizationNotAllowed,
    /// The token should have expired before it is issued.
    #[error("the requested expiration is in the past")]
    ExpirationPast,
    /// The token should last longer than it may.
    #[error("the requested expiration is too far ahead")]
    ExpirationTooFar,
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

impl fmt::Debug for ExchangedToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ExchangedToken")
            .field("client_id", &self.client_id)
            .field("token_id", &self.token_id)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}
