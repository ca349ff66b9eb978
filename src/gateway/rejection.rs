//! Owns: every way in which a request is refused or fails, and what the caller is told of it.
//! Refuses: a reason outside the closed list; a 401 for a fault that is not the caller's.
//! Always holds: reasons are stable `snake_case`: metric label, log field and a row of `docs/errors.md`. The caller gets a
//! fixed sentence; causes go to the log.

use std::time::Duration;

use http::{HeaderValue, StatusCode};
use thiserror::Error;

use super::tied_body::TokenEnded;
use crate::{
    auth::{self, CredentialError, Denial, VerifyError},
    http::{BodyError, HostError, PathError, whole_seconds},
    oauth::{Challenge, ErrorCode},
    server::RequestFault,
    upstream::{self, ForwardError},
};

/// The protection space that challenges name (RFC 9110 section 11.5).
const REALM: &str = "postern";

/// What is said to whoever brings no token at all, of whom there are most: the challenge of that realm, without an error.
const BARE_CHALLENGE: &str = "Bearer realm=\"postern\"";

/// What a caller is asked to wait where nothing better is known.
const RETRY_AFTER_SECONDS: u64 = 1;

/// Why a request was not answered by its upstream.
#[derive(Debug, Error)]
pub enum Rejection {
    /// `CONNECT` or `TRACE`, which a gateway has no use for (RFC 9110 section 9.3.6, 9.3.8).
    #[error("the method is not forwarded")]
    MethodNotForwarded,
    /// The host cannot be told.
    #[error("the request's host is refused")]
    Host(#[from] HostError),
    /// The path cannot be read in one way only.
    #[error("the request's path is refused")]
    Path(#[from] PathError),
    /// Nothing is configured for this host and path.
    #[error("no route matches")]
    NoRoute,
    /// Something is, but not for this method.
    #[error("a route matches, but not for this method")]
    MethodNotAllowed {
        /// The methods there are.
        allow: HeaderValue,
    },
    /// There is no token.
    #[error("the request brings no token")]
    NoToken,
    /// There is no single usable credential.
    #[error("the request's credential is refused")]
    Credential(#[from] CredentialError),
    /// The token is not good.
    #[error("the token is refused")]
    Token(#[from] VerifyError),
    /// It is, but not for this.
    #[error("the token does not satisfy the route's rules")]
    Denied(#[from] Denial),
    /// A claim that the upstream is to be told cannot stand in a header.
    #[error("the claim {claim:?} cannot be written into a header")]
    ClaimNotForwardable {
        /// Its name.
        claim: Box<str>,
    },
    /// More came than the route's limit lets through.
    #[error("the route's limit lets no more through")]
    LimitExceeded {
        /// In what time one like it would be let through.
        retry_after: Duration,
    },
    /// The body is too long, too slow, or broke off.
    #[error("the request's body is refused")]
    Body(#[from] BodyError),
    /// The upstream did not answer.
    #[error("the request could not be forwarded")]
    Forward(#[source] ForwardError),
    /// The process has enough to do.
    #[error("there are too many requests to take one more")]
    Overloaded,
    /// Its head is none that can be acted on.
    #[error("the request's head is refused")]
    Head(#[from] RequestFault),
}

/// On whose side the fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Whoever sent the request.
    Downstream,
    /// Postern itself.
    Gateway,
    /// The resource server.
    Upstream,
    /// The issuer of the token.
    Issuer,
}

impl From<ForwardError> for Rejection {
    fn from(error: ForwardError) -> Self {
        match error {
            // The downstream's body is read through the forwarding, and fails there in disguise.
            ForwardError::RequestBody(source) => match source.downcast::<BodyError>() {
                Ok(error) => Self::from_body(*error),
                Err(other) => Self::Body(BodyError::Failed(other)),
            },
            // CONNECT was refused long before; what is left is a host that the upstream's protocol has no way to name.
            ForwardError::NotForwardable(_) => Self::Host(HostError::BadCharacter),
            other => Self::Forward(other),
        }
    }
}

impl Rejection {
    /// A body that was cut because its token had ended is refused like any request with such a token.
    fn from_body(error: BodyError) -> Self {
        match error {
            BodyError::Failed(cause) => match cause.downcast::<TokenEnded>() {
                Ok(ended) => Self::Token(ended.0),
                Err(cause) => Self::Body(BodyError::Failed(cause)),
            },
            other => Self::Body(other),
        }
    }

    /// Its name in the answer, the log and the metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::MethodNotForwarded => "method_not_forwarded",
            Self::Host(error) => error.reason(),
            Self::Path(error) => error.reason(),
            Self::NoRoute => "no_route",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::NoToken => "no_token",
            Self::Credential(error) => error.reason(),
            Self::Token(error) => error.reason(),
            Self::Denied(denial) => denial.reason(),
            Self::ClaimNotForwardable { .. } => "claim_not_forwardable",
            Self::LimitExceeded { .. } => "rate_limited",
            Self::Body(BodyError::TooLarge { .. }) => "body_too_large",
            Self::Body(BodyError::Idle) => "body_timeout",
            Self::Body(BodyError::DeadlinePassed) => "deadline_exceeded",
            Self::Body(BodyError::Failed(_)) => "body_aborted",
            Self::Forward(error) => error.reason(),
            Self::Overloaded => "overloaded",
            Self::Head(RequestFault::Malformed) => "malformed_request",
            Self::Head(RequestFault::FramingAmbiguous) => "framing_ambiguous",
            Self::Head(RequestFault::TransferCoding) => "transfer_coding_not_accepted",
            Self::Head(RequestFault::HeadTooLarge) => "head_too_large",
            Self::Head(RequestFault::TooManyFields) => "too_many_headers",
        }
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::MethodNotForwarded | Self::Head(RequestFault::TransferCoding) => StatusCode::NOT_IMPLEMENTED,
            Self::Host(_)
            | Self::Path(_)
            | Self::Body(BodyError::Failed(_))
            | Self::Head(RequestFault::Malformed | RequestFault::FramingAmbiguous) => StatusCode::BAD_REQUEST,
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::NoToken => StatusCode::UNAUTHORIZED,
            Self::Credential(error) => match error.error_code() {
                Some(ErrorCode::InvalidRequest) => StatusCode::BAD_REQUEST,
                _ => StatusCode::UNAUTHORIZED,
            },
            Self::Token(error) => match error.fault() {
                auth::Fault::Downstream => StatusCode::UNAUTHORIZED,
                auth::Fault::Request => StatusCode::BAD_REQUEST,
                auth::Fault::Issuer => StatusCode::SERVICE_UNAVAILABLE,
            },
            Self::Denied(_) | Self::ClaimNotForwardable { .. } => StatusCode::FORBIDDEN,
            Self::LimitExceeded { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Body(BodyError::TooLarge { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Body(BodyError::Idle | BodyError::DeadlinePassed) => StatusCode::REQUEST_TIMEOUT,
            Self::Forward(error) => forward_status(error),
            Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Self::Head(RequestFault::HeadTooLarge | RequestFault::TooManyFields) => {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::MethodNotForwarded
            | Self::Host(_)
            | Self::Path(_)
            | Self::NoRoute
            | Self::MethodNotAllowed { .. }
            | Self::NoToken
            | Self::Credential(_)
            | Self::Denied(_)
            | Self::ClaimNotForwardable { .. }
            | Self::LimitExceeded { .. }
            | Self::Body(_)
            | Self::Head(_) => Fault::Downstream,
            Self::Overloaded => Fault::Gateway,
            Self::Token(error) => match error.fault() {
                auth::Fault::Downstream | auth::Fault::Request => Fault::Downstream,
                auth::Fault::Issuer => Fault::Issuer,
            },
            Self::Forward(error) => match error.fault() {
                upstream::Fault::Downstream => Fault::Downstream,
                upstream::Fault::Gateway => Fault::Gateway,
                upstream::Fault::Upstream => Fault::Upstream,
            },
        }
    }

    /// The challenge to answer with (RFC 6750 section 3), where there is one: the value of `WWW-Authenticate`.
    #[must_use]
    pub fn challenge(&self) -> Option<HeaderValue> {
        let challenge = |code| Challenge::bearer(REALM).error(code, self.detail());
        let challenge = match self {
            Self::NoToken => return Some(const { HeaderValue::from_static(BARE_CHALLENGE) }),
            Self::Credential(error) => match error.error_code() {
                None => Challenge::bearer(REALM),
                Some(code) => challenge(code),
            },
            Self::Token(error) => match error.fault() {
                auth::Fault::Downstream => challenge(ErrorCode::InvalidToken),
                auth::Fault::Request => challenge(ErrorCode::InvalidRequest),
                auth::Fault::Issuer => return None,
            },
            Self::Denied(Denial::ScopeMissing { needed, .. }) => challenge(ErrorCode::InsufficientScope).scope(needed),
            Self::Denied(_)
            | Self::MethodNotForwarded
            | Self::Host(_)
            | Self::Path(_)
            | Self::NoRoute
            | Self::MethodNotAllowed { .. }
            | Self::ClaimNotForwardable { .. }
            | Self::LimitExceeded { .. }
            | Self::Body(_)
            | Self::Forward(_)
            | Self::Overloaded
            | Self::Head(_) => return None,
        };
        Some(challenge.header_value())
    }

    /// Seconds to wait before trying again (RFC 9110 section 10.2.3), where trying again may help.
    #[must_use]
    pub fn retry_after_seconds(&self) -> Option<u64> {
        if let Self::LimitExceeded { retry_after } = self {
            return Some(whole_seconds(*retry_after).max(1));
        }
        (self.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(RETRY_AFTER_SECONDS)
    }

    /// Whether what the caller sends next on the connection could be misread, so that it must be closed.
    #[must_use]
    pub const fn closes_connection(&self) -> bool {
        matches!(self, Self::MethodNotForwarded | Self::Host(_) | Self::Body(_) | Self::Head(_))
    }
}

fn forward_status(error: &ForwardError) -> StatusCode {
    match error {
        ForwardError::Connect { .. } if error.fault() == upstream::Fault::Gateway => StatusCode::SERVICE_UNAVAILABLE,
        ForwardError::RequestBody(_) | ForwardError::NotForwardable(_) => StatusCode::BAD_REQUEST,
        ForwardError::Saturated { .. } => StatusCode::SERVICE_UNAVAILABLE,
        ForwardError::ResponseHeaderTimeout { .. } | ForwardError::Deadline { .. } => StatusCode::GATEWAY_TIMEOUT,
        ForwardError::Connect { .. }
        | ForwardError::Reset { .. }
        | ForwardError::Protocol { .. }
        | ForwardError::UnaskedUpgrade { .. }
        | ForwardError::TransferCoding { .. }
        | ForwardError::RepeatedLength { .. }
        | ForwardError::NotUpgraded { .. } => StatusCode::BAD_GATEWAY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_brings_no_token_is_told_of_the_realm_and_of_no_error() {
        let challenge = Rejection::NoToken.challenge().unwrap();
        assert_eq!(challenge, Challenge::bearer(REALM).header_value());
    }
}
