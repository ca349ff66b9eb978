//! Owns: what a token endpoint needs of whoever issues: the trait, what is asked of it and what it answers.
//! Refuses: knowing who that is; the composition root wires it.

use std::{fmt, sync::Arc};

use thiserror::Error;

use crate::{
    clock::UnixTime,
    oauth::{IssueRefusal, IssuedToken},
    secret::Secret,
};

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
