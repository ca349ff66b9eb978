//! Owns: why a token is not verified, and whose fault that is.
//! Refuses: quoting the token. Ids of issuers and keys are in it, so it is for the log; the caller gets a fixed sentence.

use std::sync::Arc;

use thiserror::Error;

use super::Withdrawal;
use crate::{
    jose::{Algorithm, JwsError},
    oauth::InvalidScope,
};

/// Why a token is not verified.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum VerifyError {
    /// Its form is wrong.
    #[error("the token's form is not accepted")]
    Form(#[source] JwsError),
    /// `iss` is no issuer of the configuration; there may be none, or one with a slash more.
    #[error("no issuer of the configuration has the token's `iss`")]
    UnknownIssuer,
    /// Its algorithm is not one of its issuer's.
    #[error("issuer {issuer} does not sign with {algorithm}")]
    AlgorithmNotAccepted {
        /// The issuer's name.
        issuer: Arc<str>,
        /// What the header says.
        algorithm: Algorithm,
    },
    /// It names no key, and not exactly one key fits.
    #[error("the token names no key, and not exactly one key of issuer {issuer} fits")]
    KeyIdMissing {
        /// The issuer's name.
        issuer: Arc<str>,
    },
    /// Its issuer lists no such key.
    #[error("issuer {issuer} lists no key {key_id:?}")]
    UnknownKey {
        /// The issuer's name.
        issuer: Arc<str>,
        /// The `kid`.
        key_id: Box<str>,
    },
    /// The key that it names is not for its algorithm.
    #[error("key {key_id:?} of issuer {issuer} is not for {algorithm}")]
    KeyMismatch {
        /// The issuer's name.
        issuer: Arc<str>,
        /// The `kid`.
        key_id: Box<str>,
        /// What the header says.
        algorithm: Algorithm,
    },
    /// The issuer's keys are not known, or too old to be relied on.
    #[error("the keys of issuer {issuer} are not available")]
    KeysUnavailable {
        /// The issuer's name.
        issuer: Arc<str>,
    },
    /// The key is not known, and asking the issuer for it failed.
    #[error("the keys of issuer {issuer} could not be fetched on account of key {key_id:?}")]
    KeyFetchFailed {
        /// The issuer's name.
        issuer: Arc<str>,
        /// The `kid`.
        key_id: Box<str>,
    },
    /// The issuer is switched off.
    #[error("issuer {issuer} is switched off")]
    IssuerDisabled {
        /// The issuer's name.
        issuer: Arc<str>,
    },
    /// The signature does not verify.
    #[error("the signature does not verify under the key of issuer {issuer}")]
    BadSignature {
        /// The issuer's name.
        issuer: Arc<str>,
    },
    /// `exp` is past.
    #[error("the token has expired")]
    Expired,
    /// `nbf` is to come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// `iat` is to come.
    #[error("the token was issued in the future")]
    IssuedInFuture,
    /// `exp` is further from `iat` than the issuer's `max_lifetime`.
    #[error("the token lasts longer than its issuer's max_lifetime")]
    LifetimeTooLong,
    /// A claim that must be there is not.
    #[error("the token has no claim {name:?}")]
    MissingClaim {
        /// Its name.
        name: Box<str>,
    },
    /// A registered claim is not of its type.
    #[error("the claim `{name}` is not what RFC 7519 asks for")]
    InvalidClaim {
        /// Its name.
        name: &'static str,
    },
    /// A claim for scopes is not one.
    #[error("the token's scopes cannot be read")]
    InvalidScope(#[source] InvalidScope),
    /// The issuer's tokens must be `at+jwt`.
    #[error("the header's `typ` is not `at+jwt`, which its issuer's tokens must be")]
    WrongTokenType,
    /// It is an ID token, a refresh token, a logout token: not made for access.
    #[error("the token was not made for access")]
    NotForAccess,
    /// `cnf`: good only together with a key, which is not asked for here.
    #[error("the token is bound to a key (`cnf`), and proof of its possession is not verified here")]
    BoundToKey,
    /// It is opaque, and the embedded issuer has issued no such token.
    #[error("issuer {issuer} has issued no such opaque token")]
    UnknownToken {
        /// The issuer's name.
        issuer: Arc<str>,
    },
    /// It is opaque, and its issuer says that it is not good.
    #[error("issuer {issuer} says that the token is not active")]
    Inactive {
        /// The issuer's name.
        issuer: Arc<str>,
    },
    /// It is opaque, and its issuer does not say what it means.
    #[error("issuer {issuer} gives no answer about the token")]
    IntrospectionUnavailable {
        /// The issuer's name.
        issuer: Arc<str>,
    },
    /// Its issuer, which lists its tokens, does not list it.
    #[error("issuer {issuer} lists no token of this `jti`")]
    NotListed {
        /// The issuer's name.
        issuer: Arc<str>,
    },
    /// Its issuer, asked with the token itself, does not accept it.
    #[error("issuer {issuer} does not accept its own token")]
    RefusedByIssuer {
        /// The issuer's name.
        issuer: Arc<str>,
    },
    /// Its issuer was asked, and had not answered when the request's time was over.
    #[error("no issuer has answered in the request's time")]
    IssuerTooSlow,
    /// Its issuer does not say whether it was taken back.
    #[error("issuer {issuer} does not say whether the token was revoked")]
    RevocationUnavailable {
        /// The issuer's name.
        issuer: Arc<str>,
    },
    /// It was good, and its issuer has taken it back.
    #[error("issuer {issuer} has withdrawn the token")]
    Withdrawn {
        /// The issuer's name.
        issuer: Arc<str>,
        /// In what way.
        #[source]
        withdrawal: Withdrawal,
    },
    /// It is good, but does not belong into the field in which it came: an access token that users and tenants make for
    /// themselves goes into `X-API-Key`, any other into `Authorization`.
    #[error("the token came in the wrong one of Authorization and X-API-Key")]
    WrongHeader,
}

/// On whose side the fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Whoever sent the token: `invalid_token`.
    Downstream,
    /// Whoever sent the token, and the token is good: the request is put together wrongly, `invalid_request`.
    Request,
    /// The issuer cannot be asked, so nothing is known against the token: try again later.
    Issuer,
}

impl VerifyError {
    /// The error's name in logs and metrics.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Form(error) => error.reason(),
            Self::UnknownIssuer => "unknown_issuer",
            Self::AlgorithmNotAccepted { .. } => "algorithm_not_accepted",
            Self::KeyIdMissing { .. } => "key_id_missing",
            Self::UnknownKey { .. } => "unknown_key",
            Self::KeyMismatch { .. } => "key_mismatch",
            Self::KeysUnavailable { .. } | Self::KeyFetchFailed { .. } => "keys_unavailable",
            Self::IssuerDisabled { .. } => "issuer_disabled",
            Self::BadSignature { .. } => "bad_signature",
            Self::Expired => "token_expired",
            Self::NotYetValid => "token_not_yet_valid",
            Self::IssuedInFuture => "token_from_future",
            Self::LifetimeTooLong => "lifetime_too_long",
            Self::MissingClaim { .. } => "claim_missing",
            Self::InvalidClaim { .. } | Self::InvalidScope(_) => "claim_invalid",
            Self::WrongTokenType => "token_type_not_accepted",
            Self::NotForAccess => "not_an_access_token",
            Self::BoundToKey => "token_bound_to_key",
            Self::UnknownToken { .. } | Self::NotListed { .. } => "unknown_token",
            Self::Inactive { .. } => "token_inactive",
            Self::IntrospectionUnavailable { .. } => "introspection_unavailable",
            Self::RefusedByIssuer { .. } => "token_refused_by_issuer",
            Self::IssuerTooSlow => "issuer_too_slow",
            Self::RevocationUnavailable { .. } => "revocation_unavailable",
            Self::Withdrawn { withdrawal, .. } => withdrawal.reason(),
            Self::WrongHeader => "wrong_credential_header",
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::KeysUnavailable { .. }
            | Self::KeyFetchFailed { .. }
            | Self::IntrospectionUnavailable { .. }
            | Self::IssuerTooSlow
            | Self::RevocationUnavailable { .. } => Fault::Issuer,
            Self::WrongHeader => Fault::Request,
            Self::Form(_)
            | Self::UnknownIssuer
            | Self::AlgorithmNotAccepted { .. }
            | Self::KeyIdMissing { .. }
            | Self::UnknownKey { .. }
            | Self::KeyMismatch { .. }
            | Self::IssuerDisabled { .. }
            | Self::BadSignature { .. }
            | Self::Expired
            | Self::NotYetValid
            | Self::IssuedInFuture
            | Self::LifetimeTooLong
            | Self::MissingClaim { .. }
            | Self::InvalidClaim { .. }
            | Self::InvalidScope(_)
            | Self::WrongTokenType
            | Self::NotForAccess
            | Self::BoundToKey
            | Self::UnknownToken { .. }
            | Self::Inactive { .. }
            | Self::NotListed { .. }
            | Self::RefusedByIssuer { .. }
            | Self::Withdrawn { .. } => Fault::Downstream,
        }
    }

    /// Whether another token of the same client may be good: this one has ended, or its signature does not verify under a key that
    /// may have been another when it was made. Whatever lies in how the issuer or Postern is set up, or passes by itself, is as
    /// wrong with the next token.
    #[must_use]
    pub const fn is_cured_by_another_token(&self) -> bool {
        match self {
            Self::Expired
            | Self::Inactive { .. }
            | Self::UnknownToken { .. }
            | Self::NotListed { .. }
            | Self::RefusedByIssuer { .. }
            | Self::BadSignature { .. }
            | Self::Withdrawn {
                withdrawal: Withdrawal::TokenRevoked | Withdrawal::IssuedBefore | Withdrawal::ClientDisabled,
                ..
            } => true,
            Self::Form(_)
            | Self::UnknownIssuer
            | Self::AlgorithmNotAccepted { .. }
            | Self::KeyIdMissing { .. }
            | Self::UnknownKey { .. }
            | Self::KeyMismatch { .. }
            | Self::KeysUnavailable { .. }
            | Self::KeyFetchFailed { .. }
            | Self::IssuerDisabled { .. }
            | Self::NotYetValid
            | Self::IssuedInFuture
            | Self::LifetimeTooLong
            | Self::MissingClaim { .. }
            | Self::InvalidClaim { .. }
            | Self::InvalidScope(_)
            | Self::WrongTokenType
            | Self::NotForAccess
            | Self::BoundToKey
            | Self::IntrospectionUnavailable { .. }
            | Self::RevocationUnavailable { .. }
            | Self::IssuerTooSlow
            | Self::Withdrawn { withdrawal: Withdrawal::ApiTokensDisabled, .. }
            | Self::WrongHeader => false,
        }
    }
}
