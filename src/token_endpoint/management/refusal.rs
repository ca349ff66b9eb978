//! Owns: every way in which a request to manage is refused or fails: its name in the log, its status, its challenge.
//! Refuses: saying how that looks on the wire; each dialect has its own words for it.
//! Always holds: a fault of the caller's token is a 401 with a challenge (RFC 6750 section 3), a good token that may not do this a
//! 403, and our own failure a 503.

use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE},
};
use thiserror::Error;

use super::super::{Operation, RequestError, refusal::RETRY_AFTER_FAILURE};
use crate::{
    auth::{CredentialError, Denial, Fault, VerifyError},
    authorization_server::{ApiTokenError, ManagementError, NotAllowed},
    oauth::{Challenge, ErrorCode},
};

/// The protection space that challenges name (RFC 9110 section 11.5).
const REALM: &str = "postern";

/// Why nothing was managed.
#[derive(Debug, Error)]
pub enum ManagementRefusal {
    /// The request was not understood.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The query was not understood.
    #[error("the query is malformed")]
    MalformedQuery,
    /// There is no credential.
    #[error("the request brings no token")]
    NoToken,
    /// It is not one token in its field.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// It is not good.
    #[error(transparent)]
    Token(#[from] Box<VerifyError>),
    /// It does not satisfy the endpoint's `require`.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// It does not say whose it is.
    #[error("the token does not say whose it is")]
    OwnerMissing,
    /// The tokens to revoke are not named.
    #[error("the request does not say which tokens are to be revoked")]
    IdFilterMissing,
    /// A header that says whose tokens are meant comes twice, or is no text.
    #[error("the request says in two ways whose tokens are meant")]
    AmbiguousOwnership,
    /// The issuer did not do it.
    #[error(transparent)]
    ApiToken(#[from] ApiTokenError),
    /// The issuer could not do it.
    #[error(transparent)]
    Issuer(#[from] ManagementError),
}

impl ManagementRefusal {
    /// Its stable name, for logs and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Request(error) => error.reason(),
            Self::MalformedQuery => "malformed_query",
            Self::NoToken => "no_token",
            Self::Credential(error) => error.reason(),
            Self::Token(error) => error.reason(),
            Self::Denied(denial) => denial.reason(),
            Self::OwnerMissing => "owner_missing",
            Self::IdFilterMissing => "id_filter_missing",
            Self::AmbiguousOwnership => "ambiguous_ownership",
            Self::ApiToken(error) => api_token_reason(error),
            Self::Issuer(_) => "issuer_unavailable",
        }
    }

    /// The status that all dialects answer with.
    pub(in crate::token_endpoint) fn status(&self) -> StatusCode {
        match self {
            Self::Request(RequestError::MethodNotAllowed) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Request(RequestError::BodyTooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Request(_) | Self::MalformedQuery | Self::IdFilterMissing | Self::AmbiguousOwnership => {
                StatusCode::BAD_REQUEST
            }
            Self::NoToken => StatusCode::UNAUTHORIZED,
            Self::Credential(error) if error.error_code() == Some(ErrorCode::InvalidRequest) => StatusCode::BAD_REQUEST,
            Self::Credential(_) => StatusCode::UNAUTHORIZED,
            Self::Token(error) => match error.fault() {
                Fault::Downstream => StatusCode::UNAUTHORIZED,
                Fault::Request => StatusCode::BAD_REQUEST,
                Fault::Issuer => StatusCode::SERVICE_UNAVAILABLE,
            },
            Self::Denied(_) | Self::OwnerMissing => StatusCode::FORBIDDEN,
            Self::ApiToken(error) => api_token_status(error),
            Self::Issuer(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Adds the headers that belong to the status.
    pub(super) fn complete(&self, headers: &mut HeaderMap, operation: Operation) {
        match self.status() {
            StatusCode::METHOD_NOT_ALLOWED => {
                headers.insert(ALLOW, HeaderValue::from_static(operation.allow()));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_FAILURE.as_secs()));
            }
            _ => {}
        }
        if let Some(challenge) = self.challenge() {
            headers.insert(WWW_AUTHENTICATE, challenge.header_value());
        }
    }

    fn challenge(&self) -> Option<Challenge> {
        let bearer = Challenge::bearer(REALM);
        match self {
            Self::NoToken => Some(bearer),
            Self::Credential(error) => Some(match error.error_code() {
                None => bearer,
                Some(code) => bearer.error(code, "The credential is malformed, or there are two."),
            }),
            Self::Token(error) => match error.fault() {
                Fault::Downstream => Some(bearer.error(ErrorCode::InvalidToken, "The token is not good.")),
                Fault::Request => {
                    let sentence = "The token must be sent in the other one of Authorization and X-API-Key.";
                    Some(bearer.error(ErrorCode::InvalidRequest, sentence))
                }
                Fault::Issuer => None,
            },
            Self::Denied(Denial::ScopeMissing { needed }) => {
                Some(bearer.error(ErrorCode::InsufficientScope, "The token lacks a scope.").scope(needed))
            }
            _ => None,
        }
    }
}

const fn api_token_reason(error: &ApiTokenError) -> &'static str {
    match error {
        ApiTokenError::NotAllowed(NotAllowed::PermissionMissing { .. }) => "permission_missing",
        ApiTokenError::NotAllowed(NotAllowed::OtherTenant) => "other_tenant",
        ApiTokenError::NotAllowed(NotAllowed::OtherUser) => "other_user",
        ApiTokenError::NotAllowed(NotAllowed::NobodyMeant) => "nobody_meant",
        ApiTokenError::NotAllowed(NotAllowed::GrantsMore) => "grants_more",
        ApiTokenError::Disabled => "api_tokens_disabled",
        ApiTokenError::OtherStrategy => "other_strategy",
        ApiTokenError::NotFound => "unknown_api_token",
        ApiTokenError::UnknownRole { .. } => "unknown_role",
        ApiTokenError::ExpiresAtOnce => "expiration_past",
        ApiTokenError::TooLarge { .. } => "member_too_large",
        ApiTokenError::NoRandomness
        | ApiTokenError::NoKey
        | ApiTokenError::Signing(_)
        | ApiTokenError::Unrecorded(_)
        | ApiTokenError::Change(_) => "issuer_unavailable",
    }
}

const fn api_token_status(error: &ApiTokenError) -> StatusCode {
    match error {
        ApiTokenError::NotAllowed(NotAllowed::NobodyMeant)
        | ApiTokenError::UnknownRole { .. }
        | ApiTokenError::ExpiresAtOnce
        | ApiTokenError::TooLarge { .. } => StatusCode::BAD_REQUEST,
        ApiTokenError::NotAllowed(
            NotAllowed::PermissionMissing { .. }
            | NotAllowed::OtherTenant
            | NotAllowed::OtherUser
            | NotAllowed::GrantsMore,
        )
        | ApiTokenError::Disabled
        | ApiTokenError::OtherStrategy => StatusCode::FORBIDDEN,
        ApiTokenError::NotFound => StatusCode::NOT_FOUND,
        ApiTokenError::NoRandomness
        | ApiTokenError::NoKey
        | ApiTokenError::Signing(_)
        | ApiTokenError::Unrecorded(_)
        | ApiTokenError::Change(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}
