//! Owns: one token endpoint: where it is, and how a request to it is answered.
//! Refuses: reading more of a body than a token request can need.
//! Always holds: a body is not read before method and media type are right.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, request::Parts};
use http_body::Body;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};

use super::{RequestError, TokenIssuer, TokenRefusal, request, response};
use crate::{clock::UnixTime, config::TokenEndpointConfig, oauth::IssuedToken};

/// A path to which clients post to get a token.
#[derive(Clone, Debug)]
pub struct TokenEndpoint {
    name: Arc<str>,
    host: Option<String>,
    path: String,
}

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
        /// The token's `jti`.
        token_id: String,
    },
    /// Without one.
    Refused(TokenRefusal),
}

impl TokenEndpoint {
    /// The longest request body that is read, in bytes.
    pub const LONGEST_BODY_BYTES: usize = 64 * 1024;

    /// An endpoint as it is configured; its path is plain.
    pub(super) fn new(name: &str, config: &TokenEndpointConfig) -> Self {
        Self { name: Arc::from(name), host: config.host.clone(), path: config.path.clone() }
    }

    /// Its name in the configuration.
    #[must_use]
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The host asked for, if it is not any.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// The path, without parameters.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Answers a request, whatever its method and body. If the body was not read to its end, the answer is a refusal.
    pub async fn respond<B>(&self, request: Request<B>, issuer: &dyn TokenIssuer, now: UnixTime) -> Answer
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (parts, body) = request.into_parts();
        if let Err(error) = request::read_head(&parts) {
            return Answer::of(Err(error.into()));
        }
        match Limited::new(body, Self::LONGEST_BODY_BYTES).collect().await {
            Ok(body) => self.respond_to_whole(&parts, &body.to_bytes(), issuer, now),
            Err(error) if error.is::<LengthLimitError>() => Answer::of(Err(RequestError::BodyTooLarge.into())),
            Err(_) => Answer::of(Err(RequestError::BodyIncomplete.into())),
        }
    }

    /// Answers a request whose body is there already.
    #[must_use]
    pub fn respond_to_whole(&self, parts: &Parts, body: &[u8], issuer: &dyn TokenIssuer, now: UnixTime) -> Answer {
        if body.len() > Self::LONGEST_BODY_BYTES {
            return Answer::of(Err(RequestError::BodyTooLarge.into()));
        }
        let read = request::read(parts, body).map_err(TokenRefusal::from);
        Answer::of(read.and_then(|request| issuer.issue(&request, now).map_err(TokenRefusal::from)))
    }
}

impl Answer {
    fn of(result: Result<IssuedToken, TokenRefusal>) -> Self {
        match result {
            Ok(token) => {
                let response = response::success(&token);
                Self { response, outcome: Outcome::Issued { client_id: token.client_id, token_id: token.token_id } }
            }
            Err(refusal) => Self { response: response::failure(&refusal), outcome: Outcome::Refused(refusal) },
        }
    }
}

impl Outcome {
    /// Its stable name, for logs and metrics: `issued`, or why there is no token.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Issued { .. } => "issued",
            Self::Refused(refusal) => refusal.reason(),
        }
    }

    /// The client, if it was authenticated. What a request merely claims to be is never here.
    #[must_use]
    pub const fn client_id(&self) -> Option<&Arc<str>> {
        match self {
            Self::Issued { client_id, .. } => Some(client_id),
            Self::Refused(refusal) => refusal.client_id(),
        }
    }
}
