//! Owns: what a token endpoint needs of whoever issues: the trait, what is asked of it and what it answers.
//! Refuses: knowing who that is; the composition root wires it.

use std::{fmt, sync::Arc, time::Duration};

use thiserror::Error;

use crate::{clock::UnixTime, secret::Secret};

/// Whoever issues the tokens of an endpoint.
pub trait TokenIssuer: Send + Sync + fmt::Debug {
    /// Authenticates the client and issues a token.
    ///
    /// # Errors
    /// Why there is none.
    fn issue(&self, request: &TokenRequest, now: UnixTime) -> Result<IssuedToken, IssueError>;
}

/// A request for a token by the client credentials grant (RFC 6749 section 4.4.2).
#[derive(Debug)]
pub struct TokenRequest {
    /// Who the client says it is. Not to be believed, and not to be logged, before it is authenticated.
    pub client_id: String,
    /// Its proof.
    pub client_secret: Secret,
    /// What the token is for: `audience`, or `resource` (RFC 8707 section 2).
    pub audience: Option<String>,
    /// The scopes asked for, as they were written.
    pub scope: Option<String>,
}

/// A token that was issued.
pub struct IssuedToken {
    /// The token.
    pub access_token: Secret,
    /// How long it lasts; answered in whole seconds.
    pub lifetime: Duration,
    /// Its scopes, separated by spaces.
    pub scope: Option<String>,
    /// The client it was issued to.
    pub client_id: Arc<str>,
    /// Its `jti`.
    pub token_id: String,
}

/// Why no token was issued.
#[derive(Debug, Error)]
pub enum IssueError {
    /// No client of this id exists.
    #[error("there is no such client")]
    UnknownClient,
    /// The secret is wrong.
    #[error("the client's secret is wrong")]
    WrongSecret,
    /// The client is authenticated, and gets no token.
    #[error("the client {client_id} is refused: {refusal}")]
    Refused {
        /// The client.
        client_id: Arc<str>,
        /// Why.
        refusal: IssueRefusal,
    },
    /// The issuer cannot issue now, through no fault of the client.
    #[error("the issuer failed")]
    Unavailable {
        /// The client, if it was authenticated already.
        client_id: Option<Arc<str>>,
        /// What failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
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
