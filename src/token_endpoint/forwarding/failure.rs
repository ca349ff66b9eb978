//! Owns: every way in which an outside provider gives no token, and whose fault that is.
//! Refuses: passing on what the provider says without measure: codes and sentences are cut short and stripped of what does not
//! print.
//! Always holds: nobody is told that a client's proof is bad unless the provider has judged that very proof.

use std::{sync::Arc, time::Duration};

use http::HeaderValue;
use thiserror::Error;

use super::super::{Echo, IssueError, QuotaExceeded};
use crate::outbound::{FlightError, OutboundError};

/// Why a provider gave no token.
#[derive(Clone, Debug, Error)]
pub(in super::super) enum Failure {
    /// It refuses the request as it was made.
    #[error(transparent)]
    Refused(ProviderRefusal),
    /// It refuses the credentials that stand for a client (`clients`), which are the operator's.
    #[error("the provider refuses the id and secret that stand for the client {client_id}")]
    CredentialsRefused {
        /// The client, by the id that is used here.
        client_id: Arc<str>,
    },
    /// It could not be asked, or did not answer.
    #[error("the provider did not answer")]
    Away(#[source] Arc<OutboundError>),
    /// It says itself that it cannot answer.
    #[error("the provider answers with status {status}")]
    Status {
        /// The status.
        status: u16,
    },
    /// Its answer is not one.
    #[error("the provider's answer (status {status}) cannot be used: {what}")]
    Answer {
        /// The status.
        status: u16,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The client, or the organisation that it asks for, gets no more for now.
    #[error(transparent)]
    QuotaExceeded(#[from] Box<QuotaExceeded>),
    /// As many requests are under way as may be.
    #[error("too many requests to the provider are under way")]
    Busy,
    /// The request was given up.
    #[error("the request to the provider was given up")]
    GivenUp,
}

/// What a provider says against a request.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the provider refuses the request ({})", code.as_deref().unwrap_or("without a code"))]
pub struct ProviderRefusal {
    /// What it comes to.
    pub kind: ProviderRefusalKind,
    /// The error code in its words (RFC 6749 section 5.2), if it has one that can be repeated.
    pub code: Option<Box<str>>,
    /// What it says beside it.
    pub description: Option<Echo>,
    /// How long it asks to be left alone.
    pub retry_after: Option<Duration>,
    /// The nonce that it wants in a proof of possession (RFC 9449 section 8).
    pub nonce: Option<HeaderValue>,
}

/// What a provider's refusal comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProviderRefusalKind {
    /// The client's proof is not good, or nobody is known under its id.
    InvalidClient,
    /// The client may not have what it asks for.
    AccessDenied,
    /// The client may not use this grant.
    UnauthorizedClient,
    /// The scope is not for it.
    InvalidScope,
    /// The audience is not for it (RFC 8707).
    InvalidTarget,
    /// The refresh token is not good.
    InvalidGrant,
    /// It asks too often.
    TooManyRequests,
    /// Anything else.
    Other,
}

/// The longest error code that is repeated. The longest registered one is 25 characters.
const LONGEST_CODE_BYTES: usize = 64;

impl ProviderRefusal {
    /// A refusal of this kind, with nothing said beside it.
    pub(super) const fn of(kind: ProviderRefusalKind) -> Self {
        Self { kind, code: None, description: None, retry_after: None, nonce: None }
    }

    /// The same in the provider's words.
    pub(super) fn saying(self, code: Option<&str>, description: Option<&str>) -> Self {
        // RFC 6749 section 5.2: %x20-21 / %x23-5B / %x5D-7E, and no code has a space.
        let repeatable = |code: &&str| {
            !code.is_empty()
                && code.len() <= LONGEST_CODE_BYTES
                && code.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte))
        };
        Self { code: code.filter(repeatable).map(Box::from), description: description.map(Echo::of), ..self }
    }
}

impl ProviderRefusalKind {
    /// Whether the client had proven who it is; none if the provider does not say that.
    pub(in super::super) const fn proven(self) -> Option<bool> {
        match self {
            Self::InvalidClient => Some(false),
            // It has accepted the proof, or has not looked at it.
            Self::AccessDenied
            | Self::UnauthorizedClient
            | Self::InvalidScope
            | Self::InvalidTarget
            | Self::InvalidGrant
            | Self::TooManyRequests
            | Self::Other => None,
        }
    }
}

impl Failure {
    /// Whether the client had proven who it is; none if that was not found out.
    pub(super) const fn proven(&self) -> Option<bool> {
        match self {
            Self::Refused(refusal) => refusal.kind.proven(),
            Self::CredentialsRefused { .. } => Some(true),
            Self::Away(_)
            | Self::Status { .. }
            | Self::Answer { .. }
            | Self::QuotaExceeded(_)
            | Self::Busy
            | Self::GivenUp => None,
        }
    }

    /// Whether the provider refused the client's proof.
    pub(in super::super) const fn is_invalid_client(&self) -> bool {
        matches!(
            self,
            Self::CredentialsRefused { .. }
                | Self::Refused(ProviderRefusal { kind: ProviderRefusalKind::InvalidClient, .. })
        )
    }

    /// Its stable name, for metrics; none if the provider did what it should.
    pub(super) fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Refused(_) | Self::QuotaExceeded(_) | Self::GivenUp => None,
            Self::CredentialsRefused { .. } => Some("credentials_refused"),
            Self::Away(error) => Some(error.reason()),
            Self::Status { .. } => Some("status"),
            Self::Answer { .. } => Some("answer"),
            Self::Busy => Some("busy"),
        }
    }
}

impl From<FlightError> for Failure {
    fn from(error: FlightError) -> Self {
        match error {
            FlightError::TooMany => Self::Busy,
            FlightError::GivenUp => Self::GivenUp,
        }
    }
}

impl From<OutboundError> for Failure {
    fn from(error: OutboundError) -> Self {
        Self::Away(Arc::new(error))
    }
}

impl From<Failure> for IssueError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => Self::Provider(refusal),
            Failure::CredentialsRefused { ref client_id } => {
                // The client has proven itself here.
                Self::Unavailable { client_id: Some(Arc::clone(client_id)), source: failure.into() }
            }
            Failure::QuotaExceeded(exceeded) => exceeded.into(),
            failure => Self::Unavailable { client_id: None, source: failure.into() },
        }
    }
}
