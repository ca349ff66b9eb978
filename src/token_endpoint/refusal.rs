//! Owns: every way in which a token request ends without a token, and what each says on the wire and in the log.
//! Refuses: sentences put together from what was sent.
//! Always holds: one reason, one status, one error code and one sentence for each; all of them out of a closed list.

use std::sync::Arc;

use http::StatusCode;
use thiserror::Error;

use super::IssueError;
use crate::oauth::IssueRefusal;

/// Why a request was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum RequestError {
    /// Not POST (RFC 6749 section 3.2).
    #[error("the method is not POST")]
    MethodNotAllowed,
    /// Neither a form nor JSON, or not said.
    #[error("the body is neither a form nor JSON")]
    UnsupportedMediaType,
    /// Longer than is read.
    #[error("the body is too large")]
    BodyTooLarge,
    /// It ended before it was whole.
    #[error("the body could not be read")]
    BodyIncomplete,
    /// It does not parse, or a parameter in it is no text.
    #[error("the body is malformed")]
    MalformedBody,
    /// A parameter comes twice.
    #[error("a parameter is repeated")]
    RepeatedParameter,
    /// No `grant_type`.
    #[error("there is no grant type")]
    GrantTypeMissing,
    /// Another grant than client credentials.
    #[error("the grant type is not supported")]
    UnsupportedGrantType,
    /// `audience` and `resource` differ.
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
    /// A client assertion (RFC 7521), which is not available yet.
    #[error("client assertions are not available yet")]
    AssertionNotAvailable,
}

/// Why there is no token.
#[derive(Debug, Error)]
pub enum TokenRefusal {
    /// The request was not understood.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The issuer issued none.
    #[error(transparent)]
    Issue(#[from] IssueError),
}

/// What is said on the wire (RFC 6749 section 5.2), and in logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wording {
    pub(super) status: StatusCode,
    /// The `error` code.
    pub(super) code: &'static str,
    /// The stable name in logs and metrics.
    pub(super) reason: &'static str,
    /// The `error_description`.
    pub(super) description: &'static str,
}

impl TokenRefusal {
    /// Its stable name, for logs and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.wording().reason
    }

    /// The client, if it was authenticated before the request was refused.
    #[must_use]
    pub const fn client_id(&self) -> Option<&Arc<str>> {
        match self {
            Self::Issue(IssueError::Refused { client_id, .. }) => Some(client_id),
            Self::Issue(IssueError::Unavailable { client_id, .. }) => client_id.as_ref(),
            Self::Issue(IssueError::UnknownClient | IssueError::WrongSecret) | Self::Request(_) => None,
        }
    }

    pub(super) const fn wording(&self) -> Wording {
        match self {
            Self::Request(error) => request_wording(*error),
            // The two are told apart in the log, and not on the wire.
            Self::Issue(IssueError::UnknownClient) => invalid_client("unknown_client", AUTHENTICATION_FAILED),
            Self::Issue(IssueError::WrongSecret) => invalid_client("wrong_secret", AUTHENTICATION_FAILED),
            Self::Issue(IssueError::Refused { refusal, .. }) => issue_wording(*refusal),
            // The RFC has no code for this at the token endpoint; the one of section 4.1.2.1 says what is meant.
            Self::Issue(IssueError::Unavailable { .. }) => Wording {
                status: StatusCode::SERVICE_UNAVAILABLE,
                code: "temporarily_unavailable",
                reason: "issuer_unavailable",
                description: "Tokens cannot be issued at the moment.",
            },
        }
    }
}

const AUTHENTICATION_FAILED: &str = "Client authentication failed.";

const fn request_wording(error: RequestError) -> Wording {
    match error {
        RequestError::MethodNotAllowed => Wording {
            status: StatusCode::METHOD_NOT_ALLOWED,
            code: "invalid_request",
            reason: "method_not_allowed",
            description: "Token requests are made with POST.",
        },
        RequestError::UnsupportedMediaType => invalid_request(
            "unsupported_media_type",
            "The Content-Type must be application/x-www-form-urlencoded or application/json.",
        ),
        RequestError::BodyTooLarge => Wording {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            code: "invalid_request",
            reason: "body_too_large",
            description: "The request body is too large.",
        },
        RequestError::BodyIncomplete => invalid_request("body_incomplete", "The request body could not be read."),
        RequestError::MalformedBody => invalid_request("malformed_body", "The request body is malformed."),
        RequestError::RepeatedParameter => {
            invalid_request("repeated_parameter", "A parameter is included more than once.")
        }
        RequestError::GrantTypeMissing => invalid_request("grant_type_missing", "The parameter grant_type is missing."),
        RequestError::UnsupportedGrantType => refused(
            "unsupported_grant_type",
            "unsupported_grant_type",
            "The only supported grant type is client_credentials.",
        ),
        RequestError::TwoAudiences => {
            refused("invalid_target", "two_audiences", "A token can be requested for one audience at a time.")
        }
        RequestError::TwoAuthentications => {
            invalid_request("two_authentications", "The client must authenticate in exactly one way.")
        }
        RequestError::AuthenticationMissing => invalid_client(
            "authentication_missing",
            "The client must authenticate with its id and secret, by HTTP Basic or in the request body.",
        ),
        RequestError::UnsupportedAuthenticationScheme => {
            invalid_client("unsupported_authentication_scheme", "The only supported authentication scheme is Basic.")
        }
        RequestError::MalformedBasicCredentials => {
            invalid_client("malformed_basic_credentials", "The Basic credentials are malformed.")
        }
        RequestError::AssertionNotAvailable => invalid_client(
            "assertion_not_available",
            "The parameter client_assertion is not available yet: authenticate with the client secret.",
        ),
    }
}

const fn issue_wording(refusal: IssueRefusal) -> Wording {
    match refusal {
        // RFC 6749 section 5.2: "the authenticated client is not authorized to use this authorization grant type". Not
        // a 503: nothing has failed, and nobody should keep trying.
        IssueRefusal::Disabled => {
            refused("unauthorized_client", "issuing_disabled", "Machine-to-machine tokens are switched off.")
        }
        IssueRefusal::NoGrants => {
            refused("unauthorized_client", "no_grants", "The client is not allowed to obtain any token.")
        }
        IssueRefusal::AudienceMissing => refused(
            "invalid_target",
            "audience_missing",
            "The client may obtain tokens for several audiences and must name one in audience or resource.",
        ),
        // One sentence for both, so that a client cannot find out which APIs there are (RFC 8707 section 2).
        IssueRefusal::UnknownAudience => refused("invalid_target", "unknown_audience", AUDIENCE_REFUSED),
        IssueRefusal::AudienceNotGranted => refused("invalid_target", "audience_not_granted", AUDIENCE_REFUSED),
        IssueRefusal::MalformedScope => {
            refused("invalid_scope", "malformed_scope", "The requested scope is malformed.")
        }
        IssueRefusal::ScopeNotGranted => refused(
            "invalid_scope",
            "scope_not_granted",
            "The requested scope exceeds what the client is granted for this audience.",
        ),
    }
}

const AUDIENCE_REFUSED: &str = "The requested audience is unknown or not granted to the client.";

const fn refused(code: &'static str, reason: &'static str, description: &'static str) -> Wording {
    Wording { status: StatusCode::BAD_REQUEST, code, reason, description }
}

const fn invalid_request(reason: &'static str, description: &'static str) -> Wording {
    refused("invalid_request", reason, description)
}

const fn invalid_client(reason: &'static str, description: &'static str) -> Wording {
    Wording { status: StatusCode::UNAUTHORIZED, code: "invalid_client", reason, description }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, iter::successors};

    use super::*;

    /// Every variant once; one that joins does not compile until it has its place here.
    fn next_request_error(error: RequestError) -> Option<RequestError> {
        Some(match error {
            RequestError::MethodNotAllowed => RequestError::UnsupportedMediaType,
            RequestError::UnsupportedMediaType => RequestError::BodyTooLarge,
            RequestError::BodyTooLarge => RequestError::BodyIncomplete,
            RequestError::BodyIncomplete => RequestError::MalformedBody,
            RequestError::MalformedBody => RequestError::RepeatedParameter,
            RequestError::RepeatedParameter => RequestError::GrantTypeMissing,
            RequestError::GrantTypeMissing => RequestError::UnsupportedGrantType,
            RequestError::UnsupportedGrantType => RequestError::TwoAudiences,
            RequestError::TwoAudiences => RequestError::TwoAuthentications,
            RequestError::TwoAuthentications => RequestError::AuthenticationMissing,
            RequestError::AuthenticationMissing => RequestError::UnsupportedAuthenticationScheme,
            RequestError::UnsupportedAuthenticationScheme => RequestError::MalformedBasicCredentials,
            RequestError::MalformedBasicCredentials => RequestError::AssertionNotAvailable,
            RequestError::AssertionNotAvailable => return None,
        })
    }

    fn next_issue_refusal(refusal: IssueRefusal) -> Option<IssueRefusal> {
        Some(match refusal {
            IssueRefusal::Disabled => IssueRefusal::NoGrants,
            IssueRefusal::NoGrants => IssueRefusal::AudienceMissing,
            IssueRefusal::AudienceMissing => IssueRefusal::UnknownAudience,
            IssueRefusal::UnknownAudience => IssueRefusal::AudienceNotGranted,
            IssueRefusal::AudienceNotGranted => IssueRefusal::MalformedScope,
            IssueRefusal::MalformedScope => IssueRefusal::ScopeNotGranted,
            IssueRefusal::ScopeNotGranted => return None,
        })
    }

    #[test]
    fn the_page_of_errors_tells_all_of_them_and_nothing_else() {
        let client_id: Arc<str> = "c".into();
        let requests = successors(Some(RequestError::MethodNotAllowed), |error| next_request_error(*error));
        let refusals = successors(Some(IssueRefusal::Disabled), |refusal| next_issue_refusal(*refusal));
        let others = [
            IssueError::UnknownClient,
            IssueError::WrongSecret,
            IssueError::Unavailable { client_id: None, source: "x".into() },
        ];
        let all =
            requests
                .map(TokenRefusal::Request)
                .chain(refusals.map(|refusal| {
                    TokenRefusal::Issue(IssueError::Refused { client_id: Arc::clone(&client_id), refusal })
                }))
                .chain(others.map(TokenRefusal::Issue));
        let rows: BTreeSet<String> = all
            .map(|refusal| {
                let Wording { status, code, reason, .. } = refusal.wording();
                format!("| `{reason}` | {} | `{code}` |", status.as_u16())
            })
            .collect();
        let page = include_str!("../../docs/errors.md");
        let (_, section) = page.split_once("\n## Token endpoints\n").unwrap();
        let told: BTreeSet<String> = section
            .lines()
            .filter(|line| line.starts_with("| `"))
            .map(|line| line.split_inclusive('|').take(4).collect())
            .collect();
        assert_eq!(told, rows);
    }
}
