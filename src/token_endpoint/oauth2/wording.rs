//! Owns: what each refusal says in the `oauth2` dialect (RFC 6749 section 5.2, RFC 8707 section 2).
//! Refuses: sentences put together from what was sent.

use http::StatusCode;

use super::super::{
    HolderKind, IssueError, ProviderRefusal, ProviderRefusalKind, RequestError, TokenRefusal, oauth_error::Wording,
};
use crate::oauth::IssueRefusal;

const AUTHENTICATION_FAILED: &str = "Client authentication failed.";
const AUDIENCE_REFUSED: &str = "The requested audience is unknown or not granted to the client.";

pub(super) fn of(refusal: &TokenRefusal) -> Wording {
    match refusal {
        TokenRefusal::Request(error) => of_request(error),
        TokenRefusal::Issue { error, .. } => of_issue(error),
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
            let description = format!("The parameter {name} is missing.");
            Wording::new(StatusCode::BAD_REQUEST, "invalid_request", description)
        }
        RequestError::GrantTypeMissing => invalid_request("The parameter grant_type is missing."),
        RequestError::UnsupportedGrantType { .. } => {
            refused("unsupported_grant_type", "The only supported grant type is client_credentials.")
        }
        RequestError::TwoAudiences => refused("invalid_target", "A token can be requested for one audience at a time."),
        RequestError::TwoAuthentications => invalid_request("The client must authenticate in exactly one way."),
        RequestError::AuthenticationMissing => invalid_client(
            "The client must authenticate: with its id and secret, by HTTP Basic or in the request body, or with an assertion.",
        ),
        RequestError::UnsupportedAuthenticationScheme => {
            invalid_client("The only supported authentication scheme is Basic.")
        }
        RequestError::MalformedBasicCredentials => invalid_client("The Basic credentials are malformed."),
        RequestError::AssertionIncomplete => {
            invalid_request("The parameters client_assertion and client_assertion_type must come together.")
        }
        RequestError::UnsupportedAssertionType => invalid_client(
            "The only supported client_assertion_type is urn:ietf:params:oauth:client-assertion-type:jwt-bearer.",
        ),
    }
}

fn of_issue(error: &IssueError) -> Wording {
    match error {
        // They are told apart in the log, and not on the wire.
        IssueError::UnknownClient
        | IssueError::WrongSecret
        | IssueError::InvalidAssertion { .. }
        | IssueError::AuthenticationMethodNotAllowed => invalid_client(AUTHENTICATION_FAILED),
        IssueError::InvalidRefreshToken => refused("invalid_grant", "The refresh token is not valid."),
        // The RFC has no code for these two at the token endpoint; the one of section 4.1.2.1 says what is meant.
        IssueError::ApiTokensDisabled { .. } => refused("unauthorized_client", "API tokens are switched off."),
        IssueError::LockedOut { .. } => Wording::new(
            StatusCode::TOO_MANY_REQUESTS,
            "temporarily_unavailable",
            "Client authentication failed too often; try again later.",
        ),
        // Again the RFC has no code of its own; what the client is to do is the same as when it is locked out.
        IssueError::QuotaExceeded { exceeded, .. } => Wording::new(
            StatusCode::TOO_MANY_REQUESTS,
            "temporarily_unavailable",
            match exceeded.whose {
                HolderKind::Client => "The client has used up its quota of tokens; try again later.",
                HolderKind::Organization => "The organization has used up its quota of tokens; try again later.",
            },
        ),
        IssueError::Unavailable { .. } => Wording::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "temporarily_unavailable",
            "Tokens cannot be issued at the moment.",
        ),
        IssueError::Refused { refusal, .. } => of_refusal(*refusal),
        IssueError::Provider(refusal) => of_provider(refusal),
    }
}

fn of_provider(refusal: &ProviderRefusal) -> Wording {
    let (status, code, description) = match refusal.kind {
        // Whatever the provider calls it, here it has one name and one status.
        ProviderRefusalKind::InvalidClient => return invalid_client(AUTHENTICATION_FAILED),
        ProviderRefusalKind::TooManyRequests => {
            (StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable", "Too many requests; try again later.")
        }
        ProviderRefusalKind::AccessDenied => (StatusCode::FORBIDDEN, "access_denied", "The request is denied."),
        ProviderRefusalKind::UnauthorizedClient => {
            (StatusCode::BAD_REQUEST, "unauthorized_client", "The client may not obtain tokens in this way.")
        }
        ProviderRefusalKind::InvalidScope => (StatusCode::BAD_REQUEST, "invalid_scope", "The scope is refused."),
        ProviderRefusalKind::InvalidTarget => (StatusCode::BAD_REQUEST, "invalid_target", AUDIENCE_REFUSED),
        ProviderRefusalKind::InvalidGrant => (StatusCode::BAD_REQUEST, "invalid_grant", "The grant is not valid."),
        ProviderRefusalKind::Other => (StatusCode::BAD_REQUEST, "invalid_request", "The request is refused."),
    };
    Wording::of_provider(refusal, status, code, description)
}

fn of_refusal(refusal: IssueRefusal) -> Wording {
    match refusal {
        // RFC 6749 section 5.2: "the authenticated client is not authorized to use this authorization grant type". Not
        // a 503: nothing has failed, and nobody should keep trying.
        IssueRefusal::Disabled => refused("unauthorized_client", "Machine-to-machine tokens are switched off."),
        IssueRefusal::ClientDisabled => refused("unauthorized_client", "The client is disabled."),
        IssueRefusal::NoGrants => refused("unauthorized_client", "The client is not allowed to obtain any token."),
        IssueRefusal::AudienceMissing => refused(
            "invalid_target",
            "The client may obtain tokens for several audiences and must name one in audience or resource.",
        ),
        // One sentence for both, so that a client cannot find out which APIs there are (RFC 8707 section 2).
        IssueRefusal::UnknownAudience | IssueRefusal::AudienceNotGranted => refused("invalid_target", AUDIENCE_REFUSED),
        IssueRefusal::MalformedScope => refused("invalid_scope", "The requested scope is malformed."),
        IssueRefusal::ScopeNotGranted => {
            refused("invalid_scope", "The requested scope exceeds what the client is granted for this audience.")
        }
        IssueRefusal::OrganizationNotAllowed => invalid_request("The organization is not allowed for the client."),
        IssueRefusal::ExpirationPast => invalid_request("The requested expiration is in the past."),
        IssueRefusal::ExpirationTooFar => invalid_request("The requested expiration is too far ahead."),
    }
}

fn refused(code: &'static str, description: &'static str) -> Wording {
    Wording::new(StatusCode::BAD_REQUEST, code, description)
}

fn invalid_request(description: &'static str) -> Wording {
    refused("invalid_request", description)
}

fn invalid_client(description: &'static str) -> Wording {
    Wording::new(StatusCode::UNAUTHORIZED, "invalid_client", description)
}
