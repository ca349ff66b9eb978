//! Owns: what each refusal says in the `frontegg` dialect.
//! Refuses: sentences put together from what was sent.

use std::borrow::Cow;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;

use super::super::{IssueError, ProviderRefusalKind, RequestError, TokenRefusal, answer};
use crate::oauth::IssueRefusal;

/// What is said about a refusal.
pub(super) struct Wording {
    status: StatusCode,
    what: Cow<'static, str>,
}

#[derive(Serialize)]
pub(super) struct Failure<'a> {
    pub(super) errors: [&'a str; 1],
}

impl Wording {
    /// The answer that says so.
    pub(super) fn response(&self) -> Response<Full<Bytes>> {
        answer::json(self.status, &Failure { errors: [&self.what] })
    }
}

pub(super) fn of(refusal: &TokenRefusal) -> Wording {
    match refusal {
        TokenRefusal::Request(error) => of_request(error),
        TokenRefusal::Issue { error, .. } => of_issue(error),
    }
}

fn of_request(error: &RequestError) -> Wording {
    let (status, what) = match error {
        RequestError::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "Method not allowed"),
        RequestError::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "Request entity too large"),
        RequestError::UnsupportedMediaType => (StatusCode::BAD_REQUEST, "Content-Type must be application/json"),
        RequestError::BodyIncomplete | RequestError::MalformedBody => (StatusCode::BAD_REQUEST, "Invalid input json"),
        RequestError::RepeatedParameter => (StatusCode::BAD_REQUEST, "A member must not be repeated"),
        RequestError::ParameterMissing { name } => {
            let what = format!("{name} should not be empty").into();
            return Wording { status: StatusCode::BAD_REQUEST, what };
        }
        RequestError::GrantTypeMissing | RequestError::UnsupportedGrantType { .. } => {
            (StatusCode::BAD_REQUEST, "Invalid grant type")
        }
        RequestError::TwoAudiences => (StatusCode::BAD_REQUEST, "Invalid audience"),
        RequestError::TwoAuthentications | RequestError::AssertionIncomplete => {
            (StatusCode::BAD_REQUEST, "Ambiguous authentication")
        }
        RequestError::AuthenticationMissing
        | RequestError::UnsupportedAuthenticationScheme
        | RequestError::MalformedBasicCredentials
        | RequestError::UnsupportedAssertionType => (StatusCode::UNAUTHORIZED, INVALID_AUTHENTICATION),
    };
    Wording { status, what: what.into() }
}

fn of_issue(error: &IssueError) -> Wording {
    let (status, what) = match error {
        // They are told apart in the log, and not on the wire.
        IssueError::UnknownClient
        | IssueError::WrongSecret
        | IssueError::InvalidAssertion { .. }
        | IssueError::AuthenticationMethodNotAllowed
        | IssueError::InvalidRefreshToken => (StatusCode::UNAUTHORIZED, INVALID_AUTHENTICATION),
        IssueError::ApiTokensDisabled { .. } => (StatusCode::FORBIDDEN, API_TOKENS_DISABLED),
        IssueError::LockedOut { .. } => (StatusCode::TOO_MANY_REQUESTS, "Too many failed attempts"),
        IssueError::QuotaExceeded { .. } => (StatusCode::TOO_MANY_REQUESTS, "Too many requests"),
        IssueError::Unavailable { .. } => (StatusCode::SERVICE_UNAVAILABLE, "Temporarily unavailable"),
        IssueError::Refused { refusal, .. } => of_refusal(*refusal),
        IssueError::Provider(refusal) => of_provider(refusal.kind),
    };
    Wording { status, what: what.into() }
}

/// What an outside provider's refusal is called here; its own words may be those of another dialect.
const fn of_provider(kind: ProviderRefusalKind) -> (StatusCode, &'static str) {
    match kind {
        ProviderRefusalKind::InvalidClient => (StatusCode::UNAUTHORIZED, INVALID_AUTHENTICATION),
        ProviderRefusalKind::TooManyRequests => (StatusCode::TOO_MANY_REQUESTS, "Too many requests"),
        ProviderRefusalKind::AccessDenied
        | ProviderRefusalKind::UnauthorizedClient
        | ProviderRefusalKind::InvalidScope
        | ProviderRefusalKind::InvalidTarget => (StatusCode::FORBIDDEN, "Forbidden"),
        ProviderRefusalKind::InvalidGrant | ProviderRefusalKind::Other => (StatusCode::BAD_REQUEST, "Invalid request"),
    }
}

const fn of_refusal(refusal: IssueRefusal) -> (StatusCode, &'static str) {
    match refusal {
        // Whichever switch it is that is off, to a client of this dialect it is the vendor's.
        IssueRefusal::Disabled => (StatusCode::FORBIDDEN, API_TOKENS_DISABLED),
        IssueRefusal::ClientDisabled => (StatusCode::FORBIDDEN, "Api token is disabled"),
        IssueRefusal::NoGrants
        | IssueRefusal::AudienceMissing
        | IssueRefusal::UnknownAudience
        | IssueRefusal::AudienceNotGranted
        | IssueRefusal::MalformedScope
        | IssueRefusal::ScopeNotGranted
        | IssueRefusal::OrganizationNotAllowed => (StatusCode::FORBIDDEN, "Forbidden"),
        IssueRefusal::ExpirationPast | IssueRefusal::ExpirationTooFar => {
            (StatusCode::BAD_REQUEST, "Invalid expiration")
        }
    }
}

/// What the product says while the vendor's switch is off.
pub(super) const API_TOKENS_DISABLED: &str = "Api tokens are disabled";

const INVALID_AUTHENTICATION: &str = "Invalid authentication";
