//! Owns: what each refusal says in the `plgd` dialect: an HTTP status, and a gRPC status in the body.
//! Refuses: sentences put together from what was sent.

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;

use super::super::{IssueError, ProviderRefusal, ProviderRefusalKind, RequestError, TokenRefusal, answer};
use crate::oauth::IssueRefusal;

/// The numbers of gRPC's status codes.
pub(super) const INVALID_ARGUMENT: u8 = 3;
const RESOURCE_EXHAUSTED: u8 = 8;
pub(super) const UNIMPLEMENTED: u8 = 12;
pub(super) const UNAVAILABLE: u8 = 14;
pub(super) const UNAUTHENTICATED: u8 = 16;

/// What is said about a refusal.
pub(super) struct Wording {
    status: StatusCode,
    code: u8,
    what: &'static str,
}

/// `google.rpc.Status` in JSON.
#[derive(Serialize)]
pub(super) struct Status {
    pub(super) code: u8,
    pub(super) message: String,
    pub(super) details: [&'static str; 0],
}

impl Wording {
    /// The answer that says so.
    pub(super) fn response(&self) -> Response<Full<Bytes>> {
        let message = format!("cannot create token: {}", self.what);
        answer::json(self.status, &Status { code: self.code, message, details: [] })
    }
}

pub(super) fn of(refusal: &TokenRefusal) -> Wording {
    match refusal {
        TokenRefusal::Request(error) => of_request(error),
        TokenRefusal::Issue { error, .. } => of_issue(error),
    }
}

fn of_request(error: &RequestError) -> Wording {
    match error {
        RequestError::MethodNotAllowed => {
            Wording { status: StatusCode::METHOD_NOT_ALLOWED, code: UNIMPLEMENTED, what: "method not allowed" }
        }
        RequestError::BodyTooLarge => {
            Wording { status: StatusCode::PAYLOAD_TOO_LARGE, code: INVALID_ARGUMENT, what: "body too large" }
        }
        RequestError::UnsupportedMediaType => malformed("ambiguous content type"),
        RequestError::BodyIncomplete => malformed("incomplete body"),
        RequestError::MalformedBody => malformed("invalid body"),
        RequestError::RepeatedParameter => malformed("repeated parameter"),
        RequestError::ParameterMissing { .. } => malformed("missing parameter"),
        RequestError::GrantTypeMissing | RequestError::UnsupportedGrantType { .. } => {
            refused("invalid request: invalid grant type")
        }
        RequestError::TwoAudiences => refused("invalid request: invalid audience"),
        RequestError::TwoAuthentications => malformed("ambiguous client authentication"),
        RequestError::AuthenticationMissing
        | RequestError::UnsupportedAuthenticationScheme
        | RequestError::MalformedBasicCredentials => refused(INVALID_CLIENT),
        RequestError::AssertionIncomplete => refused("invalid request: invalid client assertion"),
        RequestError::UnsupportedAssertionType => refused("invalid request: invalid client assertion type"),
    }
}

fn of_issue(error: &IssueError) -> Wording {
    match error {
        // They are told apart in the log, and not on the wire.
        IssueError::UnknownClient
        | IssueError::WrongSecret
        | IssueError::AuthenticationMethodNotAllowed
        | IssueError::InvalidAssertion { .. }
        | IssueError::InvalidRefreshToken => refused(INVALID_CLIENT),
        IssueError::ApiTokensDisabled { .. } => refused("API tokens are switched off"),
        IssueError::LockedOut { .. } => Wording {
            status: StatusCode::TOO_MANY_REQUESTS,
            code: RESOURCE_EXHAUSTED,
            what: "too many failed attempts",
        },
        IssueError::QuotaExceeded { .. } => {
            Wording { status: StatusCode::TOO_MANY_REQUESTS, code: RESOURCE_EXHAUSTED, what: "quota exceeded" }
        }
        IssueError::Unavailable { .. } => {
            Wording { status: StatusCode::SERVICE_UNAVAILABLE, code: UNAVAILABLE, what: "temporarily unavailable" }
        }
        IssueError::Provider(refusal) => of_provider(refusal),
        IssueError::Refused { refusal, .. } => refused(match refusal {
            IssueRefusal::Disabled => "tokens are switched off",
            IssueRefusal::ClientDisabled => "client is disabled",
            IssueRefusal::NoGrants
            | IssueRefusal::AudienceMissing
            | IssueRefusal::UnknownAudience
            | IssueRefusal::AudienceNotGranted => "invalid request: invalid audience",
            IssueRefusal::MalformedScope | IssueRefusal::ScopeNotGranted => "invalid request: invalid scope",
            IssueRefusal::OrganizationNotAllowed => "invalid request: invalid organization",
            IssueRefusal::ExpirationPast => "invalid request: expiration must be in the future",
            IssueRefusal::ExpirationTooFar => "invalid request: expiration exceeds the lifetime that is allowed",
        }),
    }
}

/// What an outside provider's refusal is called here; its own words may be those of another dialect.
const fn of_provider(refusal: &ProviderRefusal) -> Wording {
    match refusal.kind {
        ProviderRefusalKind::InvalidClient => refused(INVALID_CLIENT),
        ProviderRefusalKind::TooManyRequests => {
            Wording { status: StatusCode::TOO_MANY_REQUESTS, code: RESOURCE_EXHAUSTED, what: "too many requests" }
        }
        ProviderRefusalKind::UnauthorizedClient | ProviderRefusalKind::InvalidGrant => {
            refused("invalid request: invalid grant type")
        }
        ProviderRefusalKind::InvalidScope => refused("invalid request: invalid scope"),
        ProviderRefusalKind::InvalidTarget => refused("invalid request: invalid audience"),
        ProviderRefusalKind::AccessDenied => refused("access denied"),
        ProviderRefusalKind::Other => malformed("invalid request"),
    }
}

const INVALID_CLIENT: &str = "invalid request: invalid client or client secret";

const fn refused(what: &'static str) -> Wording {
    Wording { status: StatusCode::UNAUTHORIZED, code: UNAUTHENTICATED, what }
}

const fn malformed(what: &'static str) -> Wording {
    Wording { status: StatusCode::BAD_REQUEST, code: INVALID_ARGUMENT, what }
}
