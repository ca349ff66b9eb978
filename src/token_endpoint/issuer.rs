//! Owns: what a token endpoint needs of whoever issues: the trait, what is asked of it and what it answers.
//! Refuses: knowing who that is; the composition root wires it.
//! Always holds: what a request says about who sends it is not to be believed, and not to be logged, before the issuer has
//! authenticated it.

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use http::HeaderValue;
use serde_json::{Map, Value};
use thiserror::Error;

use super::{ClientAuthentication, ProviderRefusal, QuotaExceeded, Terms};
use crate::{
    config::DialectConfig,
    oauth::{ExchangedToken, IssueRefusal, IssuedToken},
    secret::Secret,
};

/// Whoever issues the tokens of an endpoint.
pub trait TokenIssuer: Send + Sync + fmt::Debug {
    /// Authenticates the client and issues a token.
    ///
    /// # Errors
    /// Why there is none.
    fn issue<'a>(
        &'a self,
        request: &'a TokenRequest,
        terms: Terms,
    ) -> Pin<Box<dyn Future<Output = Result<IssuedToken, IssueError>> + Send + 'a>>;

    /// Exchanges the credentials of an API token for tokens.
    ///
    /// # Errors
    /// Why there are none.
    fn exchange<'a>(
        &'a self,
        request: &'a ExchangeRequest,
        terms: Terms,
    ) -> Pin<Box<dyn Future<Output = Result<ExchangedToken, IssueError>> + Send + 'a>>;

    /// Exchanges a refresh token, which is good for that once, for the next tokens.
    ///
    /// # Errors
    /// Why there are none.
    fn refresh<'a>(
        &'a self,
        refresh_token: &'a Secret,
        terms: Terms,
    ) -> Pin<Box<dyn Future<Output = Result<ExchangedToken, IssueError>> + Send + 'a>>;

    /// Authenticates the client and withdraws a token of its own. A token that is unknown, has expired or is another's is
    /// no error (RFC 7009 section 2.2).
    ///
    /// # Errors
    /// Why it may be good still.
    fn revoke<'a>(
        &'a self,
        request: &'a RevocationRequest,
        terms: Terms,
    ) -> Pin<Box<dyn Future<Output = Result<(), IssueError>> + Send + 'a>>;

    /// Authenticates the client and says what there is to say about a token. One that the client may not know about is
    /// inactive (RFC 7662 section 2.2).
    ///
    /// # Errors
    /// Why nothing is said.
    fn introspect<'a>(
        &'a self,
        request: &'a IntrospectionRequest,
        terms: Terms,
    ) -> Pin<Box<dyn Future<Output = Result<Introspected, IssueError>> + Send + 'a>>;
}

/// A request for a token by the client credentials grant (RFC 6749 section 4.4.2).
pub struct TokenRequest {
    /// The dialect in which it was made, which decides the claims of the token.
    pub dialect: DialectConfig,
    /// The name of the endpoint at which it was made.
    pub endpoint: Arc<str>,
    /// The URL of that endpoint, for clients whose assertions name it as their audience. None without an issuer's URL.
    pub token_endpoint_url: Option<Arc<str>>,
    /// Who the client says it is, and its proof.
    pub authentication: ClientAuthentication,
    /// What the token is for: `audience`, or `resource` (RFC 8707 section 2).
    pub audience: Option<String>,
    /// By which of the two it was said.
    pub audience_parameter: AudienceParameter,
    /// The scopes asked for, separated by spaces, as they were written.
    pub scope: Option<String>,
    /// The organisation that the token is for (`auth0`).
    pub organization: Option<String>,
    /// What the token shall be called (`plgd`).
    pub token_name: Option<String>,
    /// When it shall expire, in seconds since the Unix epoch, never 0 (`plgd`).
    pub expires_at: Option<i64>,
    /// The `DPoP` header (RFC 9449 section 5), which is an outside provider's to judge.
    pub proof_of_possession: Option<HeaderValue>,
    /// What else was said, in the order in which it was: an outside provider may know what it means.
    pub others: Vec<(String, String)>,
}

impl TokenRequest {
    /// What was said under a name that the dialect does not know, in whatever case: some readers fold it.
    pub(super) fn other(&self, name: &str) -> Option<String> {
        self.others.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
    }
}

/// What a client said beside what its dialect knows may be a secret of its own.
impl fmt::Debug for TokenRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dialect, endpoint, authentication, audience, scope, organization, .. } = self;
        formatter
            .debug_struct("TokenRequest")
            .field("dialect", dialect)
            .field("endpoint", endpoint)
            .field("authentication", authentication)
            .field("audience", audience)
            .field("scope", scope)
            .field("organization", organization)
            .finish_non_exhaustive()
    }
}

/// The parameter that says what a token is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AudienceParameter {
    /// `audience`.
    #[default]
    Audience,
    /// `resource` (RFC 8707 section 2).
    Resource,
}

/// The credentials of an API token.
#[derive(Debug)]
pub struct ExchangeRequest {
    /// The name of the endpoint at which the request was made.
    pub endpoint: Arc<str>,
    /// The API token's id.
    pub client_id: String,
    /// Its secret.
    pub secret: Secret,
}

/// A request to revoke a token (RFC 7009 section 2.1).
#[derive(Debug)]
pub struct RevocationRequest {
    /// The URL of the endpoint for tokens, for clients whose assertions name it as their audience.
    pub token_endpoint_url: Option<Arc<str>>,
    /// Who the client says it is, and its proof.
    pub authentication: ClientAuthentication,
    /// The token.
    pub token: Secret,
}

/// A request to say what a token is (RFC 7662 section 2.1).
#[derive(Debug)]
pub struct IntrospectionRequest {
    /// The URL of the endpoint for tokens, for clients whose assertions name it as their audience.
    pub token_endpoint_url: Option<Arc<str>>,
    /// Who the client says it is, and its proof.
    pub authentication: ClientAuthentication,
    /// The token.
    pub token: Secret,
}

/// What there is to say about a token (RFC 7662 section 2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Introspected {
    /// It is not good, or the client may not know about it.
    Inactive,
    /// It is good, and this is what it says. The endpoint adds `active`.
    Active(Map<String, Value>),
}

/// Why no token was issued, or nothing else done.
#[derive(Debug, Error)]
pub enum IssueError {
    /// No client of this id exists.
    #[error("there is no such client")]
    UnknownClient,
    /// The secret is wrong.
    #[error("the client's secret is wrong")]
    WrongSecret,
    /// The assertion proves nothing.
    #[error("the client's assertion is not accepted: {what}")]
    InvalidAssertion {
        /// What is wrong with it.
        what: &'static str,
    },
    /// The client may not authenticate in this way.
    #[error("the client may not authenticate in this way")]
    AuthenticationMethodNotAllowed,
    /// The refresh token is unknown, has been used or has expired.
    #[error("the refresh token is not good")]
    InvalidRefreshToken,
    /// The tokens that users and tenants make for themselves are switched off.
    #[error("API tokens are switched off")]
    ApiTokensDisabled {
        /// The credentials, if they were looked at: a refresh token stays unused, and so unread.
        client_id: Option<Arc<str>>,
    },
    /// There were too many failures before.
    #[error("the client is locked out for {} s", .retry_after.as_secs())]
    LockedOut {
        /// How long it has to wait.
        retry_after: Duration,
    },
    /// The client, or the organisation that it asks for, gets no more for now.
    #[error("there is no more for now: {exceeded}")]
    QuotaExceeded {
        /// The client, if it was authenticated already.
        client_id: Option<Arc<str>>,
        /// Whose quota is used up, and until when.
        #[source]
        exceeded: Box<QuotaExceeded>,
    },
    /// The client is authenticated, and gets nothing.
    #[error("the client {client_id} is refused: {refusal}")]
    Refused {
        /// The client.
        client_id: Arc<str>,
        /// Why.
        refusal: IssueRefusal,
    },
    /// The outside provider refuses, in its own words.
    #[error(transparent)]
    Provider(ProviderRefusal),
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

/// Whoever knows that the client has proven itself adds its id.
impl From<Box<QuotaExceeded>> for IssueError {
    fn from(exceeded: Box<QuotaExceeded>) -> Self {
        Self::QuotaExceeded { client_id: None, exceeded }
    }
}

impl IssueError {
    /// The same with the id of the client, which has proven who it is, where it makes a difference.
    #[must_use]
    pub fn of_client(self, id: &Arc<str>) -> Self {
        match self {
            Self::QuotaExceeded { exceeded, .. } => Self::QuotaExceeded { client_id: Some(Arc::clone(id)), exceeded },
            Self::Unavailable { source, .. } => Self::Unavailable { client_id: Some(Arc::clone(id)), source },
            other => other,
        }
    }
}
