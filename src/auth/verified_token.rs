//! Owns: what a token said, once it has been verified.
//! Refuses: being made anywhere but in `verify`.
//! Always holds: the signature was good under a key of this issuer; whether it is good *now* is judged on every request.

use std::{borrow::Cow, sync::Arc};

use serde_json::Value;

use super::{Claims, Principal, TrustedKey};
use crate::{clock::UnixTime, oauth::ScopeSet};

/// A token whose signature and form have been verified.
#[derive(Debug)]
pub struct VerifiedToken {
    issuer: Arc<str>,
    key: Arc<TrustedKey>,
    claims: Claims,
}

impl VerifiedToken {
    /// Only `verify` has a good signature in hand when it calls this.
    pub(super) const fn new(issuer: Arc<str>, key: Arc<TrustedKey>, claims: Claims) -> Self {
        Self { issuer, key, claims }
    }

    /// The name of its issuer in the configuration.
    #[must_use]
    pub const fn issuer(&self) -> &Arc<str> {
        &self.issuer
    }

    /// Who presents it.
    #[must_use]
    pub fn principal(&self) -> Principal<'_> {
        Principal { issuer: &self.issuer, client_id: self.client_id(), subject: self.subject() }
    }

    /// Its `sub` (RFC 7519 section 4.1.2).
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.claims.subject()
    }

    /// The client that it was issued to: `client_id` (RFC 9068), or else `azp` (OpenID Connect), or else `cid`.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.claims.client_id()
    }

    /// The id of the key that signed it.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.key.key().key_id()
    }

    /// Its `jti` (RFC 7519 section 4.1.7).
    #[must_use]
    pub fn token_id(&self) -> Option<&str> {
        self.claims.token_id()
    }

    /// Its scopes.
    #[must_use]
    pub const fn scopes(&self) -> &ScopeSet {
        self.claims.scopes()
    }

    /// The moment from which on it is no longer good (RFC 7519 section 4.1.4), leeway not included.
    #[must_use]
    pub const fn expires_at(&self) -> UnixTime {
        self.claims.expires_at()
    }

    /// A claim as it was in the payload.
    #[must_use]
    pub fn claim(&self, name: &str) -> Option<&Value> {
        self.claims.claim(name)
    }

    /// A claim as one text; see [`Claims::claim_text`].
    #[must_use]
    pub fn claim_text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.claims.claim_text(name)
    }

    /// All that it says.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    pub(super) const fn key(&self) -> &Arc<TrustedKey> {
        &self.key
    }
}
