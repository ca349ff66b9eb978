//! Owns: every way in which a request to a token endpoint ends without what it asked for, and its name in the log.
//! Refuses: saying how that looks on the wire; each dialect has its own words for it.
//! Always holds: one reason for each, out of a closed list, the same in all dialects.

use std::{sync::Arc, time::Duration};

use http::HeaderValue;
use thiserror::Error;

use super::{Echo, IssueError, ProviderRefusal, ProviderRefusalKind};
use crate::oauth::IssueRefusal;

/// When a client may try again after the issuer failed.
pub(super) const RETRY_AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Why a request was not understood.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Error)]
pub enum RequestError {
    /// Not the method that the operation is asked with (RFC 6749 section 3.2).
    #[error("the method is not allowed")]
    MethodNotAllowed,
    /// Neither a form nor JSON, or not said.
    #[error("the body is of a media type that is not read here")]
    UnsupportedMediaType,
    /// Longer than is read.
    #[error("the body is too large")]
    BodyTooLarge,
    /// It ended before it was whole.
    #[error("the body could not be read")]
    BodyIncomplete,
    /// It does not parse, or a parameter in it is of the wrong type.
    #[error("the body is malformed")]
    MalformedBody,
    /// A parameter comes twice.
    #[error("a parameter is repeated")]
    RepeatedParameter,
    /// A parameter that must be there is not.
    #[error("the parameter {name} is missing")]
    ParameterMissing {
        /// Its name.
        name: &'static str,
    },
    /// No `grant_type`.
    #[error("there is no grant type")]
    GrantTypeMissing,
    /// Another grant than client credentials.
    #[error("the grant type is not supported")]
    UnsupportedGrantType {
        /// The one that was asked for.
        asked: Echo,
    },
    /// More than one audience is named.
    #[error("two different audiences are named")]
    TwoAudiences,
    /// More than one way of client authentication, or two client ids.
    #[error("the client authenticates in two ways")]
    TwoAuthentications,
    /// No client authentication.
    #[error("the client does not authenticate")]
    AuthenticationMissing,
    /// An `Authorization` header of another scheme than Basic.
    #[error("the authentication scheme is not supported")]
    UnsupportedAuthenticationScheme,
    /// A Basic header that does not decode.
    #[error("the Basic credentials are malformed")]
    MalformedBasicCredentials,
    /// A client assertion without its type, or the other way round (RFC 7521 section 4.2).
    #[error("of client_assertion and client_assertion_type one is missing")]
    AssertionIncomplete,
    /// A client assertion of another type than JWT (RFC 7523 section 2.2).
    #[error("the type of the client assertion is not supported")]
    UnsupportedAssertionType,
}

/// Why there is no token, or nothing else was done.
#[derive(Debug, Error)]
pub enum TokenRefusal {
    /// The request was not understood.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The issuer refused.
    #[error("{error}")]
    Issue {
        /// Why.
        #[source]
        error: IssueError,
        /// The audience that was asked for, which one dialect repeats.
        audience: Option<Echo>,
    },
}

impl From<IssueError> for TokenRefusal {
    fn from(error: IssueError) -> Self {
        Self::Issue { error, audience: None }
    }
}

impl TokenRefusal {
    /// Its stable name, for logs and metrics.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Request(error) => error.reason(),
            Self::Issue { error, .. } => match error {
                IssueError::UnknownClient => "unknown_client",
                IssueError::WrongSecret => "wrong_secret",
                IssueError::InvalidAssertion { .. } => "invalid_assertion",
                IssueError::AuthenticationMethodNotAllowed => "authentication_method_not_allowed",
                IssueError::InvalidRefreshToken => "invalid_refresh_token",
                IssueError::ApiTokensDisabled { .. } => "api_tokens_disabled",
                IssueError::LockedOut { .. } => "locked_out",
                IssueError::QuotaExceeded { .. } => "quota_exceeded",
                IssueError::Refused { refusal, .. } => refusal_reason(*refusal),
                IssueError::Provider(refusal) => provider_reason(refusal.kind),
                IssueError::Unavailable { .. } => "issuer_unavailable",
            },
        }
    }

    /// The client, if it was authenticated before the request was refused.
    #[must_use]
    pub const fn client_id(&self) -> Option<&Arc<str>> {
        match self {
            Self::Issue { error: IssueError::Refused { client_id, .. }, .. } => Some(client_id),
            Self::Issue {
                error:
                    IssueError::Unavailable { client_id, .. }
                    | IssueError::ApiTokensDisabled { client_id }
                    | IssueError::QuotaExceeded { client_id, .. },
                ..
            } => client_id.as_ref(),
            Self::Issue { .. } | Self::Request(_) => None,
        }
    }

    /// The nonce that the outside provider wants in a proof of possession (RFC 9449 section 8).
    #[must_use]
    pub const fn nonce(&self) -> Option<&HeaderValue> {
        match self {
            Self::Issue { error: IssueError::Provider(refusal), .. } => refusal.nonce.as_ref(),
            Self::Issue { .. } | Self::Request(_) => None,
        }
    }

    /// How long to wait before trying again, if waiting helps.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Issue { error: IssueError::LockedOut { retry_after }, .. } => Some(*retry_after),
            Self::Issue { error: IssueError::QuotaExceeded { exceeded, .. }, .. } => Some(exceeded.retry_after),
            Self::Issue { error: IssueError::Unavailable { .. }, .. } => Some(RETRY_AFTER_FAILURE),
            Self::Issue { error: IssueError::Provider(ProviderRefusal { kind, retry_after, .. }), .. } => {
                match (retry_after, kind) {
                    (Some(retry_after), _) => Some(*retry_after),
                    (None, ProviderRefusalKind::TooManyRequests) => Some(RETRY_AFTER_FAILURE),
                    (None, _) => None,
                }
            }
            Self::Issue { .. } | Self::Request(_) => None,
        }
    }
}

impl RequestError {
    /// Its stable name, for logs and metrics.
    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Self::MethodNotAllowed => "method_not_allowed",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyIncomplete => "body_incomplete",
            Self::MalformedBody => "malformed_body",
            Self::RepeatedParameter => "repeated_parameter",
            Self::ParameterMissing { .. } => "parameter_missing",
            Self::GrantTypeMissing => "grant_type_missing",
            Self::UnsupportedGrantType { .. } => "unsupported_grant_type",
            Self::TwoAudiences => "two_audiences",
            Self::TwoAuthentications => "two_authentications",
            Self::AuthenticationMissing => "authentication_missing",
            Self::UnsupportedAuthenticationScheme => "unsupported_authentication_scheme",
            Self::MalformedBasicCredentials => "malformed_basic_credentials",
            Self::AssertionIncomplete => "assertion_incomplete",
            Self::UnsupportedAssertionType => "unsupported_assertion_type",
        }
    }
}

const fn provider_reason(kind: ProviderRefusalKind) -> &'static str {
    match kind {
        ProviderRefusalKind::InvalidClient => "provider_refused_client",
        ProviderRefusalKind::AccessDenied => "provider_denied_access",
        ProviderRefusalKind::UnauthorizedClient => "provider_refused_grant_type",
        ProviderRefusalKind::InvalidScope => "provider_refused_scope",
        ProviderRefusalKind::InvalidTarget => "provider_refused_audience",
        ProviderRefusalKind::InvalidGrant => "provider_refused_grant",
        ProviderRefusalKind::TooManyRequests => "provider_limits_requests",
        ProviderRefusalKind::Other => "provider_refused_request",
    }
}

const fn refusal_reason(refusal: IssueRefusal) -> &'static str {
    match refusal {
        IssueRefusal::Disabled => "issuing_disabled",
        IssueRefusal::ClientDisabled => "client_disabled",
        IssueRefusal::NoGrants => "no_grants",
        IssueRefusal::AudienceMissing => "audience_missing",
        IssueRefusal::UnknownAudience => "unknown_audience",
        IssueRefusal::AudienceNotGranted => "audience_not_granted",
        IssueRefusal::MalformedScope => "malformed_scope",
        IssueRefusal::ScopeNotGranted => "scope_not_granted",
        IssueRefusal::OrganizationNotAllowed => "organization_not_allowed",
        IssueRefusal::ExpirationPast => "expiration_past",
        IssueRefusal::ExpirationTooFar => "expiration_too_far",
    }
}
