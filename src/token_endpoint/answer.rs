//! Owns: what a request to a token endpoint is answered with, and what is told of it in the log.
//! Refuses: being kept by any cache.
//! Always holds: a 405 says which method is meant, a 429 and a 503 when to come back.

use std::sync::Arc;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE},
};
use http_body_util::Full;
use serde::Serialize;

use super::{IssueError, Operation, Standing, TokenRefusal, auth0, authentication::DPOP_NONCE, frontegg, oauth2, plgd};
use crate::{
    config::DialectConfig,
    http::whole_seconds,
    id::TokenId,
    oauth::{ExchangedToken, IssuedToken},
};

/// How a request was answered.
#[derive(Debug)]
pub struct Answer {
    /// What goes out.
    pub response: Response<Full<Bytes>>,
    /// What goes into the log and the metrics.
    pub outcome: Outcome,
}

/// How a request ended.
#[derive(Debug)]
pub enum Outcome {
    /// With a token.
    Issued {
        /// The client.
        client_id: Arc<str>,
        /// The token's name.
        token_id: TokenId,
    },
    /// With a token withdrawn, if it was the client's and good.
    Revoked,
    /// With what there is to say about a token.
    Introspected,
    /// With nothing.
    Refused(TokenRefusal),
}

impl Answer {
    pub(super) fn issued(response: Response<Full<Bytes>>, token: &IssuedToken) -> Self {
        let client_id = Arc::clone(&token.client_id);
        Self { response, outcome: Outcome::Issued { client_id, token_id: token.token_id } }
    }

    pub(super) fn exchanged(response: Response<Full<Bytes>>, token: &ExchangedToken) -> Self {
        let client_id = Arc::clone(&token.client_id);
        Self { response, outcome: Outcome::Issued { client_id, token_id: token.token_id } }
    }

    /// The same, telling what is left of the client's quota.
    pub(super) fn told(mut self, dialect: DialectConfig, standing: Option<Standing>) -> Self {
        if let Some(standing) = standing {
            standing.tell(dialect, self.response.headers_mut());
        }
        self
    }

    /// A refusal in the words of the operation's dialect.
    pub(super) fn refused(operation: Operation, refusal: TokenRefusal) -> Self {
        let mut response = match operation {
            Operation::Oauth2(_) => oauth2::refuse(&refusal),
            Operation::Auth0 => auth0::refuse(&refusal),
            Operation::Plgd(_) => plgd::refuse(&refusal),
            Operation::Frontegg(_) => frontegg::refuse(&refusal),
        };
        let status = response.status();
        let headers = response.headers_mut();
        match status {
            // After Basic RFC 6749 section 5.2 asks for it; in every 401 RFC 9110 section 15.5.2 does. Where Basic is not
            // spoken there is no challenge that would help.
            StatusCode::UNAUTHORIZED if !matches!(operation, Operation::Frontegg(_)) => {
                set(headers, WWW_AUTHENTICATE, r#"Basic realm="postern", charset="UTF-8""#);
            }
            StatusCode::METHOD_NOT_ALLOWED => set(headers, ALLOW, operation.allow()),
            _ => {}
        }
        if let Some(nonce) = refusal.nonce() {
            headers.insert(DPOP_NONCE, nonce.clone());
        }
        if let TokenRefusal::Issue { error: IssueError::QuotaExceeded { exceeded, .. }, .. } = &refusal {
            exceeded.tell(operation.dialect(), headers);
        }
        if let Some(wait) = refusal.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
        }
        Self { response, outcome: Outcome::Refused(refusal) }
    }
}

impl Outcome {
    /// Its stable name, for logs and metrics: what was done, or why it was not.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Issued { .. } => "issued",
            Self::Revoked => "revoked",
            Self::Introspected => "introspected",
            Self::Refused(refusal) => refusal.reason(),
        }
    }

    /// Why nothing was done, if so.
    #[must_use]
    pub const fn refusal(&self) -> Option<&TokenRefusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Issued { .. } | Self::Revoked | Self::Introspected => None,
        }
    }

    /// The client, if it was authenticated and is known. What a request merely claims to be is never here.
    #[must_use]
    pub fn client_id(&self) -> Option<&Arc<str>> {
        match self {
            // A refresh token of an outside provider does not say whose it is.
            Self::Issued { client_id, .. } => Some(client_id).filter(|client_id| !client_id.is_empty()),
            Self::Refused(refusal) => refusal.client_id(),
            Self::Revoked | Self::Introspected => None,
        }
    }
}

/// A response with a JSON body.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response<Full<Bytes>> {
    // Texts, numbers and lists of them always serialize; were it otherwise, an empty answer would grant nothing.
    let mut response = uncached(status, serde_json::to_vec(body).unwrap_or_default().into());
    set(response.headers_mut(), CONTENT_TYPE, "application/json");
    response
}

/// A response that no cache keeps (RFC 6749 section 5.1).
pub(super) fn uncached(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    set(headers, CACHE_CONTROL, "no-store");
    set(headers, PRAGMA, "no-cache");
    response
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}
