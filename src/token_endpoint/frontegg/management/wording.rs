//! Owns: what a refusal to manage says in the `frontegg` dialect.
//! Refuses: sentences put together from what was sent.

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;

use super::super::{
    super::{ManagementRefusal, RequestError, answer},
    wording::{API_TOKENS_DISABLED, Failure},
};
use crate::authorization_server::{ApiTokenError, NotAllowed};

/// The answer.
pub(super) fn response(refusal: &ManagementRefusal) -> Response<Full<Bytes>> {
    answer::json(refusal.status(), &Failure { errors: [sentence(refusal)] })
}

fn sentence(refusal: &ManagementRefusal) -> &'static str {
    match refusal {
        ManagementRefusal::Request(RequestError::MethodNotAllowed) => "Method not allowed",
        ManagementRefusal::Request(RequestError::BodyTooLarge) => "Request entity too large",
        ManagementRefusal::Request(RequestError::UnsupportedMediaType) => "Content-Type must be application/json",
        ManagementRefusal::Request(RequestError::RepeatedParameter) => "A member must not be repeated",
        ManagementRefusal::Request(_) => "Invalid input json",
        ManagementRefusal::AmbiguousOwnership => "frontegg-tenant-id and frontegg-user-id must be sent once at most",
        ManagementRefusal::ApiToken(error) => of_issuer(error),
        _ => match refusal.status() {
            StatusCode::UNAUTHORIZED => "Unauthorized",
            StatusCode::BAD_REQUEST => "Invalid request",
            StatusCode::SERVICE_UNAVAILABLE => UNAVAILABLE,
            _ => FORBIDDEN,
        },
    }
}

const fn of_issuer(error: &ApiTokenError) -> &'static str {
    match error {
        ApiTokenError::NotAllowed(NotAllowed::NobodyMeant) => "frontegg-tenant-id or frontegg-user-id is missing",
        ApiTokenError::NotAllowed(_) => FORBIDDEN,
        ApiTokenError::Disabled => API_TOKENS_DISABLED,
        ApiTokenError::OtherStrategy => "Api tokens of this kind are disabled",
        ApiTokenError::NotFound => "Api token not found",
        ApiTokenError::UnknownRole { .. } => "Role not found",
        ApiTokenError::ExpiresAtOnce => "expiresInMinutes must be positive",
        ApiTokenError::TooLarge { .. } => "description or metadata is too large",
        ApiTokenError::NoRandomness
        | ApiTokenError::NoKey
        | ApiTokenError::Signing(_)
        | ApiTokenError::Unrecorded(_)
        | ApiTokenError::Change(_) => UNAVAILABLE,
    }
}

const FORBIDDEN: &str = "Forbidden";
const UNAVAILABLE: &str = "Temporarily unavailable";
