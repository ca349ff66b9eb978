//! Owns: why a verified token does not satisfy a route's rules.

use std::sync::Arc;

use thiserror::Error;

/// The first rule of a route that a verified token does not satisfy.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Denial {
    /// Its issuer is not one of the route's.
    #[error("tokens of issuer {issuer} are not accepted on this route")]
    IssuerNotAccepted {
        /// The token's issuer.
        issuer: Arc<str>,
    },
    /// It was not issued for the route's audience.
    #[error("the token is not for the audience of this route")]
    AudienceMismatch,
    /// It lacks a scope.
    #[error("the token lacks a scope; needed: {needed}")]
    ScopeMissing {
        /// The scopes to name in the challenge (RFC 6750 section 3), separated by spaces.
        needed: Arc<str>,
    },
    /// A claim does not have one of the route's values.
    #[error("the token's claim {name:?} does not have a value that this route accepts")]
    ClaimMismatch {
        /// The claim.
        name: Arc<str>,
    },
    /// A parameter of the path does not equal its claim.
    #[error("the path's {{{parameter}}} does not equal the token's claim {claim:?}")]
    PathClaimMismatch {
        /// The parameter.
        parameter: Arc<str>,
        /// The claim.
        claim: Arc<str>,
    },
}

impl Denial {
    /// The denial's name in logs and metrics.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::IssuerNotAccepted { .. } => "issuer_not_accepted",
            Self::AudienceMismatch => "audience_mismatch",
            Self::ScopeMissing { .. } => "scope_missing",
            Self::ClaimMismatch { .. } => "claim_mismatch",
            Self::PathClaimMismatch { .. } => "path_claim_mismatch",
        }
    }
}
