//! Owns: what each refusal says in the `auth0` dialect. Where the product has words of its own, clients look for them, and they
//! are its words.
//! Always holds: what is repeated out of the request is cut short, and escaped as JSON asks.

use http::StatusCode;

use super::super::{
    Echo, HolderKind, IssueError, ProviderRefusal, ProviderRefusalKind, RequestError, TokenRefusal,
    oauth_error::Wording,
};
use crate::oauth::IssueRefusal;

pub(super) fn of(refusal: &TokenRefusal) -> Wording {
    match refusal {
        TokenRefusal::Request(error) => of_request(error),
        TokenRefusal::Issue { error, audience } => of_issue(error, audience.as_ref()),
    }
}

fn of_request(error: &RequestError) -> Wording {
    match error {
        RequestError::MethodNotAllowed => {
            let status = StatusCode::METHOD_NOT_ALLOWED;
            Wording::new(status, "invalid_request", "Requests to this endpoint are made with POST.")
        }
        RequestError::UnsupportedMediaType => {
            invalid_request("The Content-Type must be application/x-www-form-urlencoded or application/json.")
        }
        RequestError::BodyTooLarge => {
            Wording::new(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request", "The request body is too large.")
        }
        RequestError::BodyIncomplete => invalid_request("The request body could not be read."),
        RequestError::MalformedBody => invalid_request("The request body is malformed."),
        RequestError::RepeatedParameter => invalid_request("A parameter is included more than once."),
        RequestError::ParameterMissing { name } => {
            let description = format!("Missing required parameter: {name}");
            Wording::new(StatusCode::BAD_REQUEST, "invalid_request", description)
        }
        RequestError::GrantTypeMissing => invalid_request("Missing required parameter: grant_type"),
        RequestError::UnsupportedGrantType { asked } => grant_type_refused(asked),
        RequestError::TwoAudiences => invalid_request("A token can be requested for one audience at a time."),
        RequestError::TwoAuthentications => invalid_request("The client must authenticate in exactly one way."),
        RequestError::AssertionIncomplete => {
            invalid_request("The parameters client_assertion and client_assertion_type must come together.")
        }
        RequestError::AuthenticationMissing
        | RequestError::UnsupportedAuthenticationScheme
        | RequestError::MalformedBasicCredentials
        | RequestError::UnsupportedAssertionType => unauthorized(),
    }
}

fn of_issue(error: &IssueError, audience: Option<&Echo>) -> Wording {
    match error {
        IssueError::UnknownClient
        | IssueError::WrongSecret
        | IssueError::InvalidAssertion { .. }
        | IssueError::AuthenticationMethodNotAllowed
        | IssueError::InvalidRefreshToken => unauthorized(),
        IssueError::ApiTokensDisabled { .. } => access_denied("API tokens are switched off."),
        IssueError::LockedOut { .. } => Wording::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_attempts",
            "The client is locked out after too many failed attempts; try again later.",
        ),
        IssueError::QuotaExceeded { exceeded, .. } => Wording::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_requests",
            match exceeded.whose {
                HolderKind::Client => "Client quota exceeded",
                HolderKind::Organization => "Organization quota exceeded",
            },
        ),
        IssueError::Unavailable { .. } => Wording::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "temporarily_unavailable",
            "Tokens cannot be issued at the moment.",
        ),
        IssueError::Refused { refusal, .. } => of_refusal(*refusal, audience),
        IssueError::Provider(refusal) => of_provider(refusal),
    }
}

fn of_provider(refusal: &ProviderRefusal) -> Wording {
    let (status, code, description) = match refusal.kind {
        ProviderRefusalKind::InvalidClient => return unauthorized(),
        ProviderRefusalKind::TooManyRequests => {
            (StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "Too many requests; try again later.")
        }
        ProviderRefusalKind::AccessDenied => (StatusCode::FORBIDDEN, "access_denied", "The request is denied."),
        ProviderRefusalKind::UnauthorizedClient => {
            (StatusCode::FORBIDDEN, "unauthorized_client", "The client may not obtain tokens in this way.")
        }
        ProviderRefusalKind::InvalidScope => (StatusCode::BAD_REQUEST, "invalid_scope", "The scope is refused."),
        ProviderRefusalKind::InvalidTarget => (StatusCode::FORBIDDEN, "access_denied", "The audience is refused."),
        ProviderRefusalKind::InvalidGrant => (StatusCode::FORBIDDEN, "invalid_grant", "The grant is not valid."),
        ProviderRefusalKind::Other => (StatusCode::BAD_REQUEST, "invalid_request", "The request is refused."),
    };
    Wording::of_provider(refusal, status, code, description)
}

fn of_refusal(refusal: IssueRefusal, audience: Option<&Echo>) -> Wording {
    match (refusal, audience) {
        (IssueRefusal::Disabled, _) => access_denied("Machine-to-machine tokens are switched off."),
        (IssueRefusal::ClientDisabled, _) => access_denied("The client is disabled."),
        (IssueRefusal::NoGrants | IssueRefusal::AudienceNotGranted, Some(audience)) => access_denied(format!(
            "Client is not authorized to access \"{audience}\". You need to create a \"client-grant\" associated to this API."
        )),
        (IssueRefusal::NoGrants | IssueRefusal::AudienceNotGranted, None) => {
            access_denied("Client is not authorized to access any API.")
        }
        (IssueRefusal::UnknownAudience, Some(audience)) => {
            access_denied(format!("Service not enabled within domain: {audience}"))
        }
        (IssueRefusal::UnknownAudience, None) => access_denied("Service not enabled within domain"),
        (IssueRefusal::AudienceMissing, _) => access_denied("Non-global clients are not allowed access to APIv1"),
        (IssueRefusal::MalformedScope, _) => {
            Wording::new(StatusCode::BAD_REQUEST, "invalid_scope", "The requested scope is malformed.")
        }
        (IssueRefusal::ScopeNotGranted, _) => access_denied("Client has not been granted the requested scopes."),
        (IssueRefusal::OrganizationNotAllowed, _) => {
            access_denied("Client is not authorized to access the requested organization.")
        }
        (IssueRefusal::ExpirationPast, _) => invalid_request("The requested expiration is in the past."),
        (IssueRefusal::ExpirationTooFar, _) => invalid_request("The requested expiration is too far ahead."),
    }
}

fn unauthorized() -> Wording {
    Wording::new(StatusCode::UNAUTHORIZED, "access_denied", "Unauthorized")
}

fn access_denied(description: impl Into<std::borrow::Cow<'static, str>>) -> Wording {
    Wording::new(StatusCode::FORBIDDEN, "access_denied", description)
}

fn grant_type_refused(asked: &Echo) -> Wording {
    let description = format!("Grant type '{asked}' not allowed for the client.");
    Wording::new(StatusCode::FORBIDDEN, "unauthorized_client", description)
}

fn invalid_request(description: &'static str) -> Wording {
    Wording::new(StatusCode::BAD_REQUEST, "invalid_request", description)
}
